package autoencoder_test

import (
	"context"
	"fmt"
	"image"
	"log"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
)

// session stands in for runtime.Open: a model of 2×2 images whose latent vector is the mean
// brightness of the two rows.
func session() *runtime.Session {
	b := onnx.NewBuilder(17)
	batch := onnx.NamedDim("batch")
	x := b.Input("image", tensor.Float32, batch, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
	b.Op("Flatten", "pixels", []string{x})
	w := b.Initializer("we", tensor.Must(tensor.Of([]float32{0.5, 0, 0.5, 0, 0, 0.5, 0, 0.5}, 4, 2)))
	b.Op("MatMul", "z", []string{"pixels", w})
	w = b.Initializer("wd", tensor.Must(tensor.Of([]float32{1, 1, 0, 0, 0, 0, 1, 1}, 2, 4)))
	b.Op("MatMul", "flat", []string{"z", w})
	b.Op("Reshape", "reconstruction", []string{"flat", b.Initializer("shape", tensor.Must(tensor.Of([]int64{-1, 1, 2, 2}, 4)))})
	b.Output("reconstruction", tensor.Float32, batch, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
	m, err := b.Model()
	if err != nil {
		log.Fatal(err)
	}
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return s
}

func picture(pix ...uint8) image.Image {
	return &image.Gray{Pix: pix, Stride: 2, Rect: image.Rect(0, 0, 2, 2)}
}

func ExampleModel_Reconstruct() {
	s := session()
	defer s.Close()
	m, err := autoencoder.New(s, autoencoder.Options{Latent: "z"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	rec, err := m.Reconstruct(context.Background(), picture(255, 255, 0, 0), picture(255, 0, 0, 0))
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range rec {
		fmt.Printf("%v mse %.4f\n", r.Output.(*image.Gray).Pix, r.MSE)
	}
	// Output:
	// [255 255 0 0] mse 0.0000
	// [128 128 0 0] mse 0.1250
}

func ExampleModel_Encode() {
	s := session()
	defer s.Close()
	m, err := autoencoder.New(s, autoencoder.Options{Latent: "z"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	l, err := m.Encode(context.Background(), picture(255, 255, 51, 51))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Z, l.Z.Float32s())
	// Output: float32[1 2] [1 0.2]
}

func ExampleModel_Generate() {
	s := session()
	defer s.Close()
	m, err := autoencoder.New(s, autoencoder.Options{Latent: "z"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	images, err := m.Generate(context.Background(), 3, autoencoder.Sampling{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	again, err := m.Generate(context.Background(), 1, autoencoder.Sampling{Seed: 1, First: 2})
	if err != nil {
		log.Fatal(err)
	}
	a, b := images[2].(*image.Gray), again[0].(*image.Gray)
	fmt.Println(a.Rect.Dx(), a.Rect.Dy(), string(a.Pix) == string(b.Pix))
	// Output: 2 2 true
}

func ExampleModel_Interpolate() {
	s := session()
	defer s.Close()
	m, err := autoencoder.New(s, autoencoder.Options{Latent: "z"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	images, err := m.Interpolate(context.Background(), picture(0, 0, 100, 100), picture(200, 200, 100, 100), 3, autoencoder.Linear)
	if err != nil {
		log.Fatal(err)
	}
	for _, img := range images {
		fmt.Println(img.(*image.Gray).Pix)
	}
	// Output:
	// [0 0 100 100]
	// [100 100 100 100]
	// [200 200 100 100]
}

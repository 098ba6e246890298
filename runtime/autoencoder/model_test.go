package autoencoder

import (
	"image"
	"image/color"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

func of[T tensor.Element](v []T, shape ...int) *tensor.Tensor {
	return tensor.Must(tensor.Of(v, shape...))
}

// eye is the n×n identity matrix times s.
func eye(n int, s float32) *tensor.Tensor {
	v := make([]float32, n*n)
	for i := range n {
		v[i*n+i] = s
	}
	return of(v, n, n)
}

var batchDim = onnx.NamedDim("batch")

// linear is an autoencoder of flat 2×2 images: z = image·2, reconstruction = z/2.
func linear(t testing.TB, md *meta.Model) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Op("MatMul", "z", []string{x, b.Initializer("we", eye(4, 2))})
	b.Value("z", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Op("MatMul", "reconstruction", []string{"z", b.Initializer("wd", eye(4, 0.5))})
	b.Output("reconstruction", tensor.Float32, batchDim, onnx.FixedDim(4))
	return finish(t, b, md)
}

func finish(t testing.TB, b *onnx.Builder, md *meta.Model) *onnx.Model {
	t.Helper()
	if md != nil {
		props, err := meta.Encode(md)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range props {
			b.Metadata(p.Key, p.Value)
		}
	}
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// linearMeta describes linear.
func linearMeta() *meta.Model {
	return &meta.Model{
		Kind:   meta.KindAE,
		Values: meta.Values{Image: "image", Z: "z", Reconstruction: "reconstruction"},
		Image:  meta.Image{Width: 2, Height: 2, Channels: 1, Layout: meta.LayoutFlat},
		Prior:  []meta.Stage{{Value: "z", Distribution: meta.DistNormal, DType: "float32", Shape: []int{4}}},
	}
}

func open(t testing.TB, m *onnx.Model, o Options) *Model {
	t.Helper()
	s, err := runtime.New(m, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); s.Close() })
	return a
}

// grey returns an image with these pixels.
func grey(w int, pix ...uint8) image.Image {
	return &image.Gray{Pix: pix, Stride: w, Rect: image.Rect(0, 0, w, len(pix)/w)}
}

// flatRGB is a w×h image of one colour.
func flatRGB(w, h int, c color.NRGBA) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(m.Pix); i += 4 {
		copy(m.Pix[i:], []uint8{c.R, c.G, c.B, c.A})
	}
	return m
}

func pixelsOf(t testing.TB, img image.Image) []uint8 {
	t.Helper()
	switch m := img.(type) {
	case *image.Gray:
		return m.Pix
	case *image.NRGBA:
		var p []uint8
		for i := 0; i < len(m.Pix); i += 4 {
			p = append(p, m.Pix[i:i+3]...)
		}
		return p
	}
	t.Fatalf("image of type %T", img)
	return nil
}

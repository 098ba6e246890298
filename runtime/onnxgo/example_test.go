package onnxgo_test

import (
	"fmt"
	"log"

	onnxgo "github.com/owulveryck/onnx-go"
	gorgonia "gorgonia.org/tensor"

	"github.com/aekit/aekit/onnx"
	backend "github.com/aekit/aekit/runtime/onnxgo"
	"github.com/aekit/aekit/tensor"
)

// file stands in for the bytes of a model file: y = x·w + c.
func file() []byte {
	b := onnx.NewBuilder(9)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2))
	w := b.Initializer("w", tensor.Must(tensor.Of([]float32{1, 2, 3, 4}, 2, 2)))
	c := b.Initializer("c", tensor.Must(tensor.Of([]float32{10, 20}, 2)))
	b.Op("Gemm", "y", []string{x, w, c})
	b.Output("y", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2))
	m, err := b.Model()
	if err != nil {
		log.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func Example() {
	graph := backend.New()
	defer graph.Close()
	model := onnxgo.NewModel(graph)
	if err := model.UnmarshalBinary(file()); err != nil {
		log.Fatal(err)
	}
	x := gorgonia.New(gorgonia.WithShape(1, 2), gorgonia.WithBacking([]float32{1, 1}))
	for range 2 {
		if err := model.SetInput(0, x); err != nil {
			log.Fatal(err)
		}
		if err := graph.Run(); err != nil {
			log.Fatal(err)
		}
		out, err := model.GetOutputTensors()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(out[0].Data())
	}
	// Output:
	// [14 26]
	// [14 26]
}

package onnx_test

import (
	"fmt"
	"log"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// A model of two layers is built, and its second half is cut out.
func Example() {
	weights := tensor.Must(tensor.New(tensor.Float32, 784, 32))
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(784))
	z := b.Op("MatMul", "z", []string{x, b.Initializer("w", weights)})
	y := b.Op("Gemm", "y", []string{z, "w"}, onnx.AttrI("transB", 1))
	b.Output(b.Op("Sigmoid", "reconstruction", []string{y}), tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(784))
	m, err := b.Model()
	if err != nil {
		log.Fatal(err)
	}
	decoder, err := onnx.Extract(m, []string{"z"}, []string{"reconstruction"})
	if err != nil {
		log.Fatal(err)
	}
	bytes, err := onnx.Encode(decoder)
	if err != nil {
		log.Fatal(err)
	}
	again, err := onnx.Decode(bytes, onnx.DecodeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range again.Graph.Nodes {
		fmt.Println(n.OpType, n.Inputs, n.Outputs)
	}
	// Output:
	// Gemm [z w] [y]
	// Sigmoid [y] [reconstruction]
}

func ExampleCheck() {
	m := &onnx.Model{
		IRVersion: 8,
		Opsets:    []onnx.OpsetID{{Version: 17}},
		Graph: &onnx.Graph{
			Name:    "g",
			Nodes:   []*onnx.Node{{Name: "act", OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}},
			Outputs: []*onnx.ValueInfo{onnx.NewValueInfo("y", tensor.Float32)},
		},
	}
	fmt.Println(onnx.Check(m))
	// Output:
	// onnx: invalid model: node "act" (Relu): input "x" is not defined
}

package runtime_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// scale returns the encoded model y = Relu(x·2).
func scale() []byte {
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(3))
	two := b.Initializer("two", tensor.Scalar[float32](2))
	h := b.Op("Mul", "h", []string{x, two})
	b.Value(h, tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(3))
	b.Output(b.Op("Relu", "y", []string{h}), tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(3))
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

// A model is loaded once and run by name.
func Example() {
	s, err := runtime.Load(scale(), runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	x, err := tensor.Of([]float32{1, -2, 3}, 1, 3)
	if err != nil {
		log.Fatal(err)
	}
	out, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": x})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out["y"], out["y"].Float32s())
	// Output: float32[1 3] [2 0 6]
}

// RunInto writes to buffers of the caller and allocates nothing.
func ExampleSession_RunInto() {
	s, err := runtime.Load(scale(), runtime.Options{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	x := tensor.Must(tensor.New(tensor.Float32, 1, 3))
	y := tensor.Must(tensor.New(tensor.Float32, 1, 3))
	in, out := map[string]*tensor.Tensor{"x": x}, map[string]*tensor.Tensor{"y": y}
	for i := range 3 {
		x.Float32s()[i] = float32(i)
		if err := s.RunInto(context.Background(), out, in); err != nil {
			log.Fatal(err)
		}
		fmt.Println(y.Float32s())
	}
	// Output:
	// [0 0 0]
	// [0 2 0]
	// [0 2 4]
}

// Sub gives a session over a part of the model.
func ExampleSession_Sub() {
	s, err := runtime.Load(scale(), runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	relu, err := s.Sub([]string{"h"}, []string{"y"})
	if err != nil {
		log.Fatal(err)
	}
	defer relu.Close()
	for _, in := range relu.Inputs() {
		fmt.Println(in.Name, &in)
	}
	// Output: h float32[batch 3]
}

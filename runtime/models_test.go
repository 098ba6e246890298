package runtime_test

import (
	"fmt"
	"testing"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// random returns a tensor of values in [-scale, scale), the same for the same label.
func random(t testing.TB, label uint64, scale float32, shape ...int) *tensor.Tensor {
	t.Helper()
	x, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		t.Fatal(err)
	}
	s := rng.New(7, label)
	d := x.Float32s()
	s.Uniform(d, 0)
	for i := range d {
		d[i] = (2*d[i] - 1) * scale
	}
	return x
}

// dense returns an autoencoder widths[0] → … → widths[n-1] of Gemm and Relu, the last with
// Sigmoid. The value in the middle is called z.
func dense(t testing.TB, widths ...int) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(int64(widths[0])))
	layers := len(widths) - 1
	for i := range layers {
		w := b.Initializer(fmt.Sprintf("w%d", i), random(t, uint64(i), 1/float32(widths[i])*4, widths[i], widths[i+1]))
		c := b.Initializer(fmt.Sprintf("b%d", i), random(t, 100+uint64(i), 0.5, widths[i+1]))
		x = b.Op("Gemm", fmt.Sprintf("h%d", i), []string{x, w, c})
		name := fmt.Sprintf("a%d", i)
		if i == layers/2-1 {
			name = "z"
		}
		act := "Relu"
		if i == layers-1 {
			act, name = "Sigmoid", "reconstruction"
		}
		b.Value(name, tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(int64(widths[i+1])))
		x = b.Op(act, name, []string{x})
	}
	b.Output(x, tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(int64(widths[layers])))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func session(t testing.TB, m *onnx.Model, o runtime.Options) *runtime.Session {
	t.Helper()
	s, err := runtime.New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

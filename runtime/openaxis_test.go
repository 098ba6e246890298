package runtime_test

import (
	"context"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestOpenAxisWithOneExtent runs models whose first axis is declared open, though they work for
// one extent only.
func TestOpenAxisWithOneExtent(t *testing.T) {
	w := tensor.Must(tensor.New(tensor.Float32, 6, 4))
	tests := map[string]func(b *onnx.Builder, x string) string{
		"Reshape": func(b *onnx.Builder, x string) string {
			return b.Op("Reshape", "", []string{x, b.Initializer("to", tensor.Must(tensor.Of([]int64{3, 8}, 2)))})
		},
		"Concat": func(b *onnx.Builder, x string) string {
			return b.Op("Concat", "", []string{x, b.Initializer("w", w)}, onnx.AttrI("axis", 1))
		},
	}
	for name, body := range tests {
		b := onnx.NewBuilder(17)
		b.Output(b.Op("Relu", "y", []string{body(b, b.Input("x", tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(4)))}), tensor.Float32, onnx.NamedDim("a"), onnx.FixedDim(8))
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.New(m, runtime.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for rows, ok := range map[int]bool{6: true, 1: false, 2: false} {
			out, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.Must(tensor.New(tensor.Float32, rows, 4))})
			if (err == nil) != ok {
				t.Errorf("%s of %d rows: %v, %v", name, rows, out["y"], err)
			}
		}
		s.Close()
	}
}

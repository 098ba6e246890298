package runtime_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestBroadcastingBeforeOpset7 compares operators that say by an attribute which axes the
// second input has with newer ones whose second input has the shape that this means.
func TestBroadcastingBeforeOpset7(t *testing.T) {
	x := tensor.Must(tensor.New(tensor.Float32, 2, 3, 4, 5))
	for i := range x.Float32s() {
		x.Float32s()[i] = float32(i%37)/7 - 2
	}
	at := func(axis int64) []*onnx.Attribute {
		return []*onnx.Attribute{onnx.AttrI("broadcast", 1), onnx.AttrI("axis", axis)}
	}
	model := func(opset int64, op string, open, constant bool, b tensor.Shape, attrs []*onnx.Attribute) (*onnx.Model, *tensor.Tensor) {
		v := tensor.Must(tensor.New(tensor.Float32, b...))
		for i := range v.Float32s() {
			v.Float32s()[i] = float32(i%5) - 1.25
		}
		g := onnx.NewBuilder(opset)
		batch := onnx.FixedDim(2)
		if open {
			batch = onnx.NamedDim("batch")
		}
		in := g.Input("x", tensor.Float32, batch, onnx.FixedDim(3), onnx.FixedDim(4), onnx.FixedDim(5))
		second := "b"
		if constant {
			g.Initializer("b", v)
		} else {
			var dims []onnx.Dim
			for _, d := range b {
				dims = append(dims, onnx.FixedDim(int64(d)))
			}
			g.Input("b", tensor.Float32, dims...)
		}
		typ := tensor.Float32
		if op == "Greater" {
			typ = tensor.Bool
		}
		// The operator follows another one, so that its rank has to be inferred.
		h := g.Op("Abs", "h", []string{in})
		g.Output(g.Op(op, "y", []string{h, second}, attrs...), typ, batch, onnx.FixedDim(3), onnx.FixedDim(4), onnx.FixedDim(5))
		m, err := g.Model()
		if err != nil {
			t.Fatal(err)
		}
		return m, v
	}
	run := func(m *onnx.Model, b *tensor.Tensor, constant bool) (*tensor.Tensor, error) {
		s, err := runtime.New(m, runtime.Options{})
		if err != nil {
			return nil, err
		}
		defer s.Close()
		in := map[string]*tensor.Tensor{"x": x}
		if !constant {
			in["b"] = b
		}
		out, err := s.Run(context.Background(), in)
		return out["y"], err
	}
	for _, c := range []struct {
		op    string
		shape tensor.Shape
		attrs []*onnx.Attribute
		means tensor.Shape // at opset 7
	}{
		{"Add", tensor.Shape{3}, at(1), tensor.Shape{3, 1, 1}},
		{"Sub", tensor.Shape{3}, at(-3), tensor.Shape{3, 1, 1}},
		{"Mul", tensor.Shape{3, 4}, at(1), tensor.Shape{3, 4, 1}},
		{"Div", tensor.Shape{4, 5}, at(2), tensor.Shape{4, 5}},
		{"Pow", tensor.Shape{2}, at(0), tensor.Shape{2, 1, 1, 1}},
		{"Greater", tensor.Shape{2, 3}, at(0), tensor.Shape{2, 3, 1, 1}},
		{"Add", tensor.Shape{5}, []*onnx.Attribute{onnx.AttrI("broadcast", 1)}, tensor.Shape{5}},
		{"Mul", tensor.Shape{}, at(1), tensor.Shape{}},
		{"PRelu", tensor.Shape{3}, nil, tensor.Shape{3, 1, 1}},
		{"PRelu", tensor.Shape{1}, nil, tensor.Shape{1}},
	} {
		for _, constant := range []bool{true, false} {
			for _, open := range []bool{true, false} {
				m, b := model(6, c.op, open, constant, c.shape, c.attrs)
				got, err := run(m, b, constant)
				if err != nil {
					t.Errorf("%s of %v, %v: %v", c.op, c.shape, c.attrs, err)
					continue
				}
				m, b = model(9, c.op, open, constant, c.means, nil)
				want, err := run(m, b, constant)
				if err != nil {
					t.Fatal(err)
				}
				if string(got.Bytes()) != string(want.Bytes()) {
					t.Errorf("%s of %v, constant %v, open %v: other results than with %v at opset 9", c.op, c.shape, constant, open, c.means)
				}
			}
		}
	}
	for _, axis := range []int64{2, 4, -5} {
		m, b := model(6, "Add", false, true, tensor.Shape{3, 4, 5}, at(axis))
		if _, err := run(m, b, true); err == nil || !strings.Contains(err.Error(), "does not fit") {
			t.Errorf("axis %d: error %v", axis, err)
		}
	}
}

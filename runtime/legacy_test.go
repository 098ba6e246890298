package runtime_test

import (
	"context"
	"slices"
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

// TestScanOfOpset8 runs the form of Scan that has a batch and lengths: sums of slices, forward
// and backward, as in the specification's example.
func TestScanOfOpset8(t *testing.T) {
	for _, c := range []struct {
		name    string
		lengths []int64
		back    int64
		state   []float32
		sums    []float32
	}{
		{"whole", nil, 0, []float32{9, 12, 90, 120}, []float32{1, 2, 4, 6, 9, 12, 10, 20, 40, 60, 90, 120}},
		{"lengths", []int64{2, 3}, 0, []float32{4, 6, 90, 120}, []float32{1, 2, 4, 6, 0, 0, 10, 20, 40, 60, 90, 120}},
		{"backward", []int64{2, 0}, 1, []float32{4, 6, 0, 0}, []float32{3, 4, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0}},
	} {
		body := onnx.NewBuilder(8)
		sum := body.Input("sum", tensor.Float32, onnx.FixedDim(2))
		next := body.Input("next", tensor.Float32, onnx.FixedDim(2))
		body.Op("Add", "sum_out", []string{sum, next})
		body.Output("sum_out", tensor.Float32, onnx.FixedDim(2))
		body.Output(body.Op("Identity", "scan_out", []string{"sum_out"}), tensor.Float32, onnx.FixedDim(2))
		b := onnx.NewBuilder(8)
		lengths := ""
		if c.lengths != nil {
			lengths = b.Initializer("lengths", tensor.Must(tensor.Of(c.lengths, 2)))
		}
		state, x := b.Input("state", tensor.Float32, onnx.FixedDim(2), onnx.FixedDim(2)), b.Input("x", tensor.Float32, onnx.FixedDim(2), onnx.FixedDim(3), onnx.FixedDim(2))
		node(b, "Scan", []string{"y", "z"}, []string{lengths, state, x}, onnx.AttrG("body", body.Graph()), onnx.AttrI("num_scan_inputs", 1), onnx.AttrIs("directions", c.back))
		b.Output("y", tensor.Float32, onnx.FixedDim(2), onnx.FixedDim(2))
		b.Output("z", tensor.Float32, onnx.FixedDim(2), onnx.FixedDim(3), onnx.FixedDim(2))
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, session(t, m, runtime.Options{}), inputs{
			"state": tensor.Must(tensor.New(tensor.Float32, 2, 2)),
			"x":     tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60}, 2, 3, 2)),
		})
		if y := out["y"].Float32s(); !slices.Equal(y, c.state) {
			t.Errorf("%s: final state %v, want %v", c.name, y, c.state)
		}
		if z := out["z"].Float32s(); !slices.Equal(z, c.sums) || !out["z"].Shape().Equal(tensor.Shape{2, 3, 2}) {
			t.Errorf("%s: slices %v of shape %v, want %v", c.name, z, out["z"].Shape(), c.sums)
		}
	}
}

// TestQuantizersOfMicrosoft: com.microsoft's QuantizeLinear and DequantizeLinear, which ONNX
// Runtime's quantiser writes below opset 21, are the standard operators.
func TestQuantizersOfMicrosoft(t *testing.T) {
	results := map[string][]float32{}
	for _, domain := range []string{"", "com.microsoft"} {
		b := onnx.NewBuilder(21)
		b.Opset("com.microsoft", 1)
		x := b.Input("x", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(4))
		s := b.Initializer("s", tensor.Must(tensor.Of([]float32{0.001, 0.02}, 2)))
		z := b.Initializer("z", tensor.Must(tensor.Of([]uint16{30000, 7}, 2)))
		for _, n := range [][2]string{{"QuantizeLinear", "q"}, {"DequantizeLinear", "y"}} {
			b.Node(&onnx.Node{OpType: n[0], Domain: domain, Inputs: []string{x, s, z}, Outputs: []string{n[1]}, Attrs: []*onnx.Attribute{onnx.AttrI("axis", 1)}})
			x = n[1]
		}
		b.Output("y", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(4))
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		in := tensor.Must(tensor.Of([]float32{-40, -0.0104, 3.3333, 40, -1, 0.011, 1.005, 2000}, 1, 2, 4))
		results[domain] = run(t, session(t, m, runtime.Options{}), inputs{"x": in})["y"].Float32s()
	}
	want := []float32{-30, -0.010, 3.333, 35.535, -0.14, 0.02, 1, 1310.56}
	for domain, got := range results {
		for i, v := range got {
			if d := v - want[i]; d > 2e-4 || d < -2e-4 {
				t.Errorf("domain %q: element %d is %v, want %v", domain, i, v, want[i])
			}
		}
	}
}

package autodiff

import (
	"context"
	"math"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/gradop"
)

// TestFakeQuant checks values and straight-through gradients of the sum of y·k.
func TestFakeQuant(t *testing.T) {
	quant := []*onnx.Attribute{onnx.AttrF("scale", 0.5), onnx.AttrI("zero_point", 3), onnx.AttrI("qmin", 0), onnx.AttrI("qmax", 10)}
	tests := []struct {
		op      string
		attrs   []*onnx.Attribute
		shape   []int
		x, y, g []float64
	}{
		// -1.5 … 3.5 is the range; beyond half a step outside, there is no gradient.
		{"FakeQuant", quant, []int{6}, []float64{-1.9, -1.6, 0.2, 0.25, 0.75, 3.9}, []float64{-1.5, -1.5, 0, 0, 1, 3.5}, []float64{0, 2, 3, 4, 5, 0}},
		{"FakeQuantWeights", []*onnx.Attribute{onnx.AttrI("axis", 1), onnx.AttrI("limit", 4)}, []int{2, 3}, []float64{4, 0.2, 0, -3.4, -0.4, 0}, []float64{4, 0.2, 0, -3, -0.4, 0}, []float64{1, 2, 3, 4, 5, 6}},
		{"FakeQuantWeights", []*onnx.Attribute{onnx.AttrI("axis", 0), onnx.AttrI("limit", 2)}, []int{2, 2}, []float64{4, 0.9, 0.1, 0.06}, []float64{4, 0, 0.1, 0.05}, []float64{1, 2, 3, 4}},
		{"FakeQuantWeights", []*onnx.Attribute{onnx.AttrI("limit", 8)}, []int{4}, []float64{8, -7.4, 0.6, 0.4}, []float64{8, -7, 1, 0}, []float64{1, 2, 3, 4}},
	}
	for _, c := range tests {
		for _, double := range []bool{true, false} {
			g := &graph.Graph{Set: testSet, Opsets: map[string]int{"": newest}}
			value := func(v []float64) *tensor.Tensor {
				d := tensor.Must(tensor.Of(append([]float64{}, v...), c.shape...))
				if double {
					return d
				}
				f := tensor.Must(tensor.New(tensor.Float32, c.shape...))
				for i := range v {
					f.Float32s()[i] = float32(v[i])
				}
				return f
			}
			x := g.AddValue(graph.Value{Name: "x", Kind: graph.Variable, Data: value(c.x)})
			k := make([]float64, len(c.x))
			for i := range k {
				k[i] = float64(i + 1)
			}
			add := func(domain, opType string, in []graph.ValueID, attrs ...*onnx.Attribute) graph.ValueID {
				n, err := g.Add(graph.Spec{Name: opType, Domain: domain, OpType: opType, In: in, Attrs: attrs})
				if err != nil {
					t.Fatalf("%s: %v", c.op, err)
				}
				return n.Out[0]
			}
			y := add(gradop.Domain, c.op, []graph.ValueID{x}, c.attrs...)
			loss := add("", "ReduceSum", []graph.ValueID{add("", "Mul", []graph.ValueID{y, g.AddConst("k", value(k))})}, onnx.AttrI("keepdims", 0))
			grads, err := Differentiate(g, loss, []graph.ValueID{x})
			if err != nil {
				t.Fatal(err)
			}
			g.Outputs = []graph.ValueID{y, grads[0]}
			p, err := plan.Build(g, nil, plan.Options{})
			if err != nil {
				t.Fatal(err)
			}
			out := make([]*tensor.Tensor, 2)
			if err := p.Run(context.Background(), p.NewState(), out, nil); err != nil {
				t.Fatal(err)
			}
			for i, want := range [][]float64{c.y, c.g} {
				for j := range want {
					got := 0.0
					if double {
						got = tensor.Data[float64](out[i])[j]
					} else {
						got = float64(out[i].Float32s()[j])
					}
					if math.Abs(got-want[j]) > 1e-6 {
						t.Errorf("%s %v, float64 %t, element %d of %s: %v, want %v", c.op, c.x, double, j, []string{"the value", "the gradient"}[i], got, want[j])
					}
				}
			}
		}
	}
}

func TestFakeQuantErrors(t *testing.T) {
	for _, attrs := range [][]*onnx.Attribute{
		{onnx.AttrF("scale", 0)}, {onnx.AttrF("scale", float32(math.NaN()))}, {onnx.AttrI("zero_point", 300)}, {onnx.AttrI("zero_point", -1)},
	} {
		g := &graph.Graph{Set: testSet, Opsets: map[string]int{"": newest}}
		x := g.AddInput("x", tensor.Float32)
		if _, err := g.Add(graph.Spec{Domain: gradop.Domain, OpType: "FakeQuant", In: []graph.ValueID{x}, Attrs: attrs}); err == nil {
			t.Errorf("attributes %v were accepted", attrs[0])
		}
	}
}

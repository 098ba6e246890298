package autodiff

import (
	"errors"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func variables(g *graph.Graph, values ...float64) []graph.ValueID {
	var ids []graph.ValueID
	for _, v := range values {
		ids = append(ids, g.AddValue(graph.Value{Name: "v", Kind: graph.Variable, Data: tensor.Scalar(v)}))
	}
	return ids
}

func apply(t *testing.T, g *graph.Graph, opType string, in ...graph.ValueID) graph.ValueID {
	t.Helper()
	n, err := g.Add(graph.Spec{Name: "n/" + opType, OpType: opType, In: in})
	if err != nil {
		t.Fatal(err)
	}
	return n.Out[0]
}

// TestSharedValues: a value that is read several times gets the sum of its gradients, and
// a parameter that the loss does not depend on gets none.
func TestSharedValues(t *testing.T) {
	g := &graph.Graph{Set: testSet, Opsets: map[string]int{"": newest}}
	v := variables(g, 3, 5, 7)
	// loss = x·x·y + x, with x = 3 and y = 5; z is not used.
	sq := apply(t, g, "Mul", v[0], v[0])
	loss := apply(t, g, "Add", apply(t, g, "Mul", sq, v[1]), v[0])
	grads, err := Differentiate(g, loss, v)
	if err != nil {
		t.Fatal(err)
	}
	if grads[2] != graph.None {
		t.Errorf("a parameter that is not used has the gradient %d", grads[2])
	}
	g.Outputs = grads[:2]
	out, err := run(g)
	if err != nil {
		t.Fatal(err)
	}
	if x, y := tensor.Data[float64](out[0])[0], tensor.Data[float64](out[1])[0]; x != 31 || y != 9 {
		t.Errorf("gradients %v and %v, want 31 and 9", x, y)
	}
}

// TestFlat: gradients end at operators whose derivative is zero.
func TestFlat(t *testing.T) {
	g := &graph.Graph{Set: testSet, Opsets: map[string]int{"": newest}}
	v := variables(g, 2.5)
	loss := apply(t, g, "Add", apply(t, g, "Floor", v[0]), v[0])
	grads, err := Differentiate(g, loss, v)
	if err != nil {
		t.Fatal(err)
	}
	g.Outputs = grads
	out, err := run(g)
	if err != nil {
		t.Fatal(err)
	}
	if d := tensor.Data[float64](out[0])[0]; d != 1 {
		t.Errorf("gradient %v of floor(x)+x, want 1", d)
	}
	only := &graph.Graph{Set: testSet, Opsets: map[string]int{"": newest}}
	v = variables(only, 2.5)
	grads, err = Differentiate(only, apply(t, only, "Floor", v[0]), v)
	if err != nil || grads[0] != graph.None {
		t.Errorf("gradient %v of floor(x), error %v, want none", grads, err)
	}
}

func TestNoRule(t *testing.T) {
	g := &graph.Graph{Set: testSet, Opsets: map[string]int{"": newest}}
	id := g.AddValue(graph.Value{Name: "m", Kind: graph.Variable, Data: tensor.Must(tensor.Of([]float64{1, 2, 3, 4}, 2, 2))})
	n, err := g.Add(graph.Spec{Name: "the node", OpType: "Det", In: []graph.ValueID{id}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Differentiate(g, n.Out[0], []graph.ValueID{id})
	var e *Error
	if !errors.As(err, &e) || e.OpType != "Det" || !strings.Contains(err.Error(), `"the node"`) {
		t.Errorf("error %v, want one that names the node", err)
	}
	// A pair of labels in one operand has no rule.
	n, err = g.Add(graph.Spec{Name: "trace", OpType: "Einsum", In: []graph.ValueID{id}, Attrs: []*onnx.Attribute{onnx.AttrS("equation", "ii->")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Differentiate(g, n.Out[0], []graph.ValueID{id}); !errors.As(err, &e) {
		t.Errorf("error %v for a trace", err)
	}
}

// TestStraightThrough: the value is that of the second input, the gradient goes to the first.
func TestStraightThrough(t *testing.T) {
	g := &graph.Graph{Set: testSet, Opsets: map[string]int{"": newest}}
	v := variables(g, 0.3, 2)
	n, err := g.Add(graph.Spec{Name: "quantise", Domain: graddomain, OpType: "StraightThrough", In: []graph.ValueID{v[0], v[1]}})
	if err != nil {
		t.Fatal(err)
	}
	loss := apply(t, g, "Mul", n.Out[0], n.Out[0])
	grads, err := Differentiate(g, loss, v)
	if err != nil {
		t.Fatal(err)
	}
	if grads[1] != graph.None {
		t.Error("the quantised value has a gradient")
	}
	g.Outputs = []graph.ValueID{loss, grads[0]}
	out, err := run(g)
	if err != nil {
		t.Fatal(err)
	}
	if l, d := tensor.Data[float64](out[0])[0], tensor.Data[float64](out[1])[0]; l != 4 || d != 4 {
		t.Errorf("loss %v and gradient %v, want 4 and 4", l, d)
	}
}

package autodiff

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/gradop"
)

// variable is an input of a case that is differentiated: elements are uniform in [lo, hi].
type variable struct {
	shape  []int
	lo, hi float64
}

// v is a variable with elements in [-1, 1].
func v(shape ...int) variable { return variable{shape, -1, 1} }

// in is a variable with elements in [lo, hi].
func in(lo, hi float64, shape ...int) variable { return variable{shape, lo, hi} }

// data is a constant float64 input with elements in [0, 1].
type data []int

func ints(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

func intsOf(shape []int, v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, shape...)) }

func scalar(v float64) *tensor.Tensor { return tensor.Scalar(v) }

// gradCase is one application of an operator. The elements of ins are variables, data,
// constant tensors, or nil for an omitted input.
type gradCase struct {
	op     string
	domain string
	name   string
	opset  int // 0: the newest
	ins    []any
	attrs  []*onnx.Attribute
	outs   int // 0 means 1
	skip   int // bit i: output i does not influence the loss
}

func (c gradCase) String() string {
	return fmt.Sprintf("%s.%s(%v) opset %d %s", c.domain, c.op, c.ins, c.opset, c.name)
}

var testSet = op.Core.With(gradop.Set)

// newest is the opset of cases that do not name one.
const newest = 21

// build makes the graph of a case: loss = Σ over outputs of Σ weightᵢ·yᵢ. With weights nil
// the outputs themselves are the graph's outputs.
func (c gradCase) build(weights []*tensor.Tensor) (*graph.Graph, []graph.ValueID, error) {
	opset := c.opset
	if opset == 0 {
		opset = newest
	}
	g := &graph.Graph{Set: testSet, Opsets: map[string]int{"": opset, "com.microsoft": 1}}
	var vars, ins []graph.ValueID
	for i, x := range c.ins {
		stream := rng.New(7, uint64(len(c.op)), uint64(i))
		switch x := x.(type) {
		case nil:
			ins = append(ins, graph.None)
		case variable:
			id := g.AddValue(graph.Value{Name: fmt.Sprintf("v%d", i), Kind: graph.Variable, Data: random(stream, x.lo, x.hi, x.shape)})
			vars = append(vars, id)
			ins = append(ins, id)
		case data:
			ins = append(ins, g.AddConst(fmt.Sprintf("d%d", i), random(stream, 0, 1, x)))
		case *tensor.Tensor:
			ins = append(ins, g.AddConst(fmt.Sprintf("c%d", i), x))
		default:
			return nil, nil, fmt.Errorf("case input %T", x)
		}
	}
	n, err := g.Add(graph.Spec{Name: "node", Domain: c.domain, OpType: c.op, Attrs: c.attrs, In: ins, Outputs: c.outs, OutName: "y"})
	if err != nil {
		return nil, nil, err
	}
	if weights == nil {
		g.Outputs = n.Out
		return g, vars, nil
	}
	loss := graph.None
	for i, y := range n.Out {
		if c.skip>>i&1 == 1 {
			continue
		}
		w := g.AddConst(fmt.Sprintf("w%d", i), weights[i])
		m, err := g.Add(graph.Spec{Name: "weighted", OpType: "Mul", In: []graph.ValueID{y, w}})
		if err != nil {
			return nil, nil, err
		}
		s, err := g.Add(graph.Spec{Name: "sum", OpType: "ReduceSum", In: m.Out, Attrs: []*onnx.Attribute{onnx.AttrI("keepdims", 0)}})
		if err != nil {
			return nil, nil, err
		}
		if loss == graph.None {
			loss = s.Out[0]
			continue
		}
		a, err := g.Add(graph.Spec{Name: "add", OpType: "Add", In: []graph.ValueID{loss, s.Out[0]}})
		if err != nil {
			return nil, nil, err
		}
		loss = a.Out[0]
	}
	g.Outputs = []graph.ValueID{loss}
	return g, vars, nil
}

func random(s rng.Stream, lo, hi float64, shape []int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float64, shape...))
	r := s.Rand()
	for i := range tensor.Data[float64](t) {
		tensor.Data[float64](t)[i] = r.Range(lo, hi)
	}
	return t
}

func run(g *graph.Graph) ([]*tensor.Tensor, error) {
	p, err := plan.Build(g, nil, plan.Options{})
	if err != nil {
		return nil, err
	}
	outs := make([]*tensor.Tensor, len(g.Outputs))
	err = p.Run(context.Background(), p.NewState(), outs, nil)
	return outs, err
}

// estimates are the rules that are no derivatives; they have tests of their own.
var estimates = map[op.Key]bool{
	{Domain: gradop.Domain, Type: "FakeQuant"}:        true,
	{Domain: gradop.Domain, Type: "FakeQuantWeights"}: true,
	{Domain: gradop.Domain, Type: "StraightThrough"}:  true,
}

// TestRules compares every rule with central differences of the forward graph, all in
// float64.
func TestRules(t *testing.T) {
	tested := map[op.Key]bool{}
	for _, c := range gradCases {
		tested[op.Key{Domain: c.domain, Type: c.op}] = true
		t.Run(c.op+"/"+c.name, func(t *testing.T) {
			c.check(t)
		})
	}
	for _, k := range Operators() {
		if !tested[k] && !estimates[k] {
			t.Errorf("the rule of %v has no test case", k)
		}
	}
}

func (c gradCase) check(t *testing.T) {
	g, _, err := c.build(nil)
	if err != nil {
		t.Fatalf("%v: %v", c, err)
	}
	ys, err := run(g)
	if err != nil {
		t.Fatalf("%v: forward: %v", c, err)
	}
	var weights []*tensor.Tensor
	for i, y := range ys {
		weights = append(weights, random(rng.New(11, uint64(i)), 0.5, 1.5, y.Shape()))
	}
	g, vars, err := c.build(weights)
	if err != nil {
		t.Fatalf("%v: %v", c, err)
	}
	forward, err := plan.Build(g, nil, plan.Options{})
	if err != nil {
		t.Fatalf("%v: %v", c, err)
	}
	st := forward.NewState()
	loss := func() float64 {
		outs := make([]*tensor.Tensor, 1)
		if err := forward.Run(context.Background(), st, outs, nil); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		return tensor.Data[float64](outs[0])[0]
	}
	back := g.Clone()
	grads, err := Differentiate(back, back.Outputs[0], vars)
	if err != nil {
		t.Fatalf("%v: %v", c, err)
	}
	back.Outputs = grads
	got, err := run(back)
	if err != nil {
		t.Fatalf("%v: backward: %v", c, err)
	}
	const h = 1e-6
	for k, id := range vars {
		x := g.Value(id).Data
		if !got[k].Shape().Equal(x.Shape()) {
			t.Fatalf("%v: gradient of input %d is %v, the input %v", c, k, got[k], x)
		}
		for i := range x.Elems() {
			p := &tensor.Data[float64](x)[i]
			old := *p
			*p = old + h
			up := loss()
			*p = old - h
			down := loss()
			*p = old
			want := (up - down) / (2 * h)
			if g := tensor.Data[float64](got[k])[i]; !(math.Abs(g-want) <= 2e-7*(1+math.Abs(want))*(1+math.Abs(up))) {
				t.Errorf("%v: variable %d, element %d (%g): gradient %.10g, differences give %.10g", c, k, i, old, g, want)
			}
		}
	}
}

// TestFloat32 compares the gradients of every case in float32 with those in float64: the
// two have separate code.
func TestFloat32(t *testing.T) {
	for _, c := range gradCases {
		if c.op == "Cast" {
			continue
		}
		t.Run(c.op+"/"+c.name, func(t *testing.T) {
			var want, got []*tensor.Tensor
			for pass := range 2 {
				g, _, err := c.build(nil)
				if err != nil {
					t.Fatalf("%v: %v", c, err)
				}
				if pass == 1 {
					toFloat32(g)
				}
				ys, err := run(g)
				if err != nil {
					t.Fatalf("%v: %v", c, err)
				}
				var weights []*tensor.Tensor
				for i, y := range ys {
					weights = append(weights, random(rng.New(11, uint64(i)), 0.5, 1.5, y.Shape()))
				}
				g, vars, err := c.build(weights)
				if err != nil {
					t.Fatalf("%v: %v", c, err)
				}
				if pass == 1 {
					toFloat32(g)
				}
				grads, err := Differentiate(g, g.Outputs[0], vars)
				if err != nil {
					t.Fatalf("%v: %v", c, err)
				}
				g.Outputs = grads
				out, err := run(g)
				if err != nil {
					t.Fatalf("%v: %v", c, err)
				}
				if pass == 0 {
					want = out
				} else {
					got = out
				}
			}
			for k := range want {
				for i, w := range tensor.Data[float64](want[k]) {
					if g := float64(got[k].Float32s()[i]); !(math.Abs(g-w) <= 2e-5*(1+math.Abs(w))) {
						t.Errorf("%v: variable %d, element %d: %g in float32, %g in float64", c, k, i, g, w)
					}
				}
			}
		})
	}
}

func toFloat32(g *graph.Graph) {
	for _, v := range g.Values {
		if v.Data == nil || v.Data.DType() != tensor.Float64 {
			continue
		}
		f := tensor.Must(tensor.New(tensor.Float32, v.Data.Shape()...))
		for i, x := range tensor.Data[float64](v.Data) {
			f.Float32s()[i] = float32(x)
		}
		v.Data = f
	}
}

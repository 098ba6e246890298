package graph

import (
	"math"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// FuseActivations turns activations that are spelled out as products into their operators:
//
//	x·Sigmoid(x), x·Sigmoid(c·x)     Swish
//	x·HardSigmoid(x, 1/6, 1/2)       HardSwish
//	x·Tanh(Softplus(x))              Mish
//	½·x·(1 + Erf(x/√2))              Gelu
//
// in any order and grouping of the factors. These are one step that a product can end with,
// where the parts are two to five. It is not portable in that the operators are newer than the
// opset of the file. Parts that something else reads as well are not joined.
func FuseActivations(g *Graph) error {
	f := &activations{g: g, prod: g.Producers(), uses: g.Uses(), shapes: shapesOf(g)}
	changed := false
	for i, n := range g.Nodes {
		if !f.is(n, "Mul") {
			continue
		}
		spec, ok := f.match(f.factors(n, nil, 2))
		if !ok {
			continue
		}
		spec.Name, spec.Out = n.Name, n.Out
		made, err := g.Make(spec)
		if err != nil {
			return err
		}
		g.Nodes[i] = made
		changed = true
	}
	if changed {
		g.RemoveDead()
	}
	return nil
}

// activations looks at the producers of factors.
type activations struct {
	g          *Graph
	prod, uses []int
	shapes     *shapes
}

func (f *activations) is(n *Node, opType string) bool {
	return n.Domain == "" && n.OpType == opType && len(n.In) > 0 && len(n.Out) == 1 && n.Out[0] != None
}

// only returns the node of that type that makes a value which nothing else reads, or nil.
func (f *activations) only(id ValueID, opType string) *Node {
	if id == None || int(id) >= len(f.prod) || f.prod[id] < 0 || f.uses[id] != 1 {
		return nil
	}
	if n := f.g.Nodes[f.prod[id]]; f.is(n, opType) {
		return n
	}
	return nil
}

// factors appends the factors of a product, of which some may be products themselves.
func (f *activations) factors(n *Node, to []ValueID, depth int) []ValueID {
	for _, id := range n.In {
		if m := f.only(id, "Mul"); m != nil && depth > 1 {
			to = f.factors(m, to, depth-1)
		} else {
			to = append(to, id)
		}
	}
	return to
}

// match says which activation a product is.
func (f *activations) match(factors []ValueID) (Spec, bool) {
	half := false
	if len(factors) == 3 {
		for i, id := range factors {
			if c, ok := f.scalar(id, factors[(i+1)%3]); ok && c == 0.5 {
				factors = slices.Delete(factors, i, i+1)
				half = true
				break
			}
		}
	}
	if len(factors) != 2 {
		return Spec{}, false
	}
	for i, gate := range factors {
		x := factors[1-i]
		if x == None {
			continue
		}
		if half {
			if f.isErfGate(gate, x) {
				return Spec{OpType: "Gelu", In: []ValueID{x}, Opset: 20}, true
			}
			continue
		}
		if n := f.only(gate, "Sigmoid"); n != nil {
			if alpha, ok := f.multiple(n.In[0], x); ok {
				return Spec{OpType: "Swish", In: []ValueID{x}, Opset: 24, Attrs: []*onnx.Attribute{onnx.AttrF("alpha", alpha)}}, true
			}
		}
		if n := f.only(gate, "HardSigmoid"); n != nil && n.In[0] == x && floatAttr(n, "alpha", 0.2) == float32(1)/6 && floatAttr(n, "beta", 0.5) == 0.5 {
			return Spec{OpType: "HardSwish", In: []ValueID{x}, Opset: 14}, true
		}
		if n := f.only(gate, "Tanh"); n != nil {
			if p := f.only(n.In[0], "Softplus"); p != nil && p.In[0] == x {
				return Spec{OpType: "Mish", In: []ValueID{x}, Opset: 18}, true
			}
		}
	}
	return Spec{}, false
}

// isErfGate reports whether a value is 1 + Erf(x/√2).
func (f *activations) isErfGate(id, x ValueID) bool {
	add := f.only(id, "Add")
	if add == nil || len(add.In) != 2 {
		return false
	}
	for i, in := range add.In {
		if one, ok := f.scalar(add.In[1-i], x); !ok || one != 1 {
			continue
		}
		erf := f.only(in, "Erf")
		if erf == nil {
			continue
		}
		if d := f.only(erf.In[0], "Div"); d != nil && len(d.In) == 2 && d.In[0] == x {
			if c, ok := f.scalar(d.In[1], x); ok && near(c, math.Sqrt2) {
				return true
			}
		}
		if c, ok := f.multiple(erf.In[0], x); ok && near(float64(c), math.Sqrt2/2) {
			return true
		}
	}
	return false
}

// multiple reports whether a value is a number times x, and which.
func (f *activations) multiple(id, x ValueID) (float32, bool) {
	if id == x {
		return 1, true
	}
	if m := f.only(id, "Mul"); m != nil && len(m.In) == 2 {
		for i, in := range m.In {
			if c, ok := f.scalar(m.In[1-i], x); ok && in == x {
				return float32(c), true
			}
		}
	}
	return 0, false
}

// scalar returns a constant number that gives x no further axes.
func (f *activations) scalar(id, x ValueID) (float64, bool) {
	t, err := f.g.ConstOf(id)
	if err != nil || t.Elems() != 1 || t.Rank() > max(0, f.shapes.rank(x)) {
		return 0, false
	}
	switch t.DType() {
	case tensor.Float32:
		return float64(t.Float32s()[0]), true
	case tensor.Float64:
		return tensor.Data[float64](t)[0], true
	}
	return 0, false
}

// near reports whether a factor is v but for the rounding of float32 and of a file's decimals.
func near(c, v float64) bool { return math.Abs(c-v) <= 1e-6*v }

func floatAttr(n *Node, name string, def float32) float32 {
	if a := attr(n, name); a != nil && a.Type == onnx.AttrFloat {
		return a.Float
	}
	return def
}

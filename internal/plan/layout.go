package plan

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// chooseLayouts moves convolutions, and what lies between them, to channels-last storage.
// A convolution always moves; any other operator that can moves if one of its inputs has
// moved already. Conversions are placed where a value is needed in the other order; a
// value is converted at most once.
func (b *builder) chooseLayouts() error {
	l := &layouts{builder: b, last: map[graph.ValueID]graph.ValueID{}, first: map[graph.ValueID]graph.ValueID{}}
	nodes := b.g.Nodes
	b.g.Nodes = make([]*graph.Node, 0, len(nodes))
	for _, n := range nodes {
		moved, err := l.move(n)
		if err != nil {
			return err
		}
		if moved {
			continue
		}
		for i, id := range n.In {
			if n.In[i], err = l.channelsFirst(id); err != nil {
				return err
			}
		}
		b.g.Nodes = append(b.g.Nodes, n)
	}
	for i, id := range b.g.Outputs {
		out, err := l.channelsFirst(id)
		if err != nil {
			return err
		}
		b.g.Outputs[i] = out
	}
	for i, c := range b.g.Commits {
		from, err := l.channelsFirst(c.From)
		if err != nil {
			return err
		}
		b.g.Commits[i].From = from
	}
	return nil
}

// layouts knows which values exist in which order.
type layouts struct {
	*builder
	// last gives, for a value of the original graph, the value that holds it
	// channels-last. first gives the one that holds it in its own order, for values that
	// were computed channels-last; None as long as nobody has asked for it.
	last, first map[graph.ValueID]graph.ValueID
}

// movers are the operators that are worth converting their inputs for.
var movers = map[string]bool{
	"Conv": true, "ConvTranspose": true, "QLinearConv": true, "QLinearConvTranspose": true, "ConvInteger": true,
	"MaxPool": true, "AveragePool": true,
}

// move adds the channels-last variant of a node in place of the node, if it has one that
// pays.
func (l *layouts) move(n *graph.Node) (bool, error) {
	la, ok := n.Op.(op.LayoutAware)
	if !ok || l.isDynamic(n) || len(n.Out) != 1 || n.Out[0] == graph.None || l.dynamic[n.Out[0]] {
		return false, nil
	}
	if !movers[n.OpType] && !l.hasMovedInput(n) {
		return false, nil
	}
	o, nhwc, ok := la.ChannelsLast(l.inFacts(n))
	if !ok {
		return false, nil
	}
	m := *n
	m.Op = o
	m.In = make([]graph.ValueID, len(n.In))
	for i, id := range n.In {
		var err error
		if i < len(nhwc) && nhwc[i] {
			m.In[i], err = l.channelsLast(id)
		} else {
			m.In[i], err = l.channelsFirst(id)
		}
		if err != nil {
			return false, err
		}
	}
	facts, err := o.Infer(l.inFacts(&m))
	if err != nil {
		return false, nodeError(&m, l.inFacts(&m), err)
	}
	out := l.g.AddValue(graph.Value{Name: l.g.Value(n.Out[0]).Name + "_nhwc"})
	l.setFact(out, op.Fact{DType: facts[0].DType, Shape: facts[0].Shape})
	m.Out = []graph.ValueID{out}
	l.last[n.Out[0]], l.first[n.Out[0]] = out, graph.None
	l.g.Nodes = append(l.g.Nodes, &m)
	return true, nil
}

func (l *layouts) hasMovedInput(n *graph.Node) bool {
	for _, id := range n.In {
		if _, ok := l.first[id]; ok && id != graph.None {
			return true
		}
	}
	return false
}

// channelsLast returns a value that holds id with its channels as the last axis.
func (l *layouts) channelsLast(id graph.ValueID) (graph.ValueID, error) {
	if id == graph.None {
		return id, nil
	}
	if v, ok := l.last[id]; ok {
		return v, nil
	}
	rank := len(l.facts[id].Shape)
	perm := []int64{0}
	for a := 2; a < rank; a++ {
		perm = append(perm, int64(a))
	}
	v, err := l.convert(id, append(perm, 1), "_nhwc")
	if err == nil {
		l.last[id] = v
	}
	return v, err
}

// channelsFirst returns a value that holds id in the order of the original graph.
func (l *layouts) channelsFirst(id graph.ValueID) (graph.ValueID, error) {
	v, moved := l.first[id]
	if id == graph.None || !moved {
		return id, nil
	}
	if v != graph.None {
		return v, nil
	}
	from := l.last[id]
	rank := len(l.facts[from].Shape)
	perm := []int64{0, int64(rank - 1)}
	for a := 1; a < rank-1; a++ {
		perm = append(perm, int64(a))
	}
	v, err := l.convert(from, perm, "_nchw")
	if err == nil {
		l.first[id] = v
	}
	return v, err
}

// convert adds the node that reorders the axes of a value. Where that does not move any
// element, the node is a Reshape, which costs nothing.
func (l *layouts) convert(id graph.ValueID, perm []int64, suffix string) (graph.ValueID, error) {
	in := l.facts[id]
	if len(in.Shape) < 3 {
		return id, fmt.Errorf("plan: value %q of shape %v has no spatial axes", l.g.Value(id).Name, in.Shape)
	}
	shape := make(tensor.Shape, len(perm))
	for i, p := range perm {
		shape[i] = in.Shape[p]
	}
	name := l.g.Value(id).Name + suffix
	spec := graph.Spec{Name: name, Opset: graph.NewestOpset(l.g.Set, ""), OpType: "Transpose", In: []graph.ValueID{id}, OutName: name,
		Attrs: []*onnx.Attribute{{Name: "perm", Type: onnx.AttrInts, Ints: perm}}}
	if !movesElements(in.Shape, perm) {
		dims := make([]int64, len(shape))
		for i, d := range shape {
			dims[i] = int64(d)
		}
		t, err := tensor.Of(dims, len(dims))
		if err != nil {
			return id, err
		}
		c := l.g.AddConst(name+"_shape", t)
		l.setFact(c, op.FactOf(t))
		spec.OpType, spec.In = "Reshape", append(spec.In, c)
		spec.Attrs = []*onnx.Attribute{{Name: "allowzero", Type: onnx.AttrInt, Int: 1}}
	}
	n, err := l.g.Make(spec)
	if err != nil {
		return id, err
	}
	out := n.Out[0]
	l.setFact(out, op.Fact{DType: in.DType, Shape: shape})
	if in.Const != nil {
		ts, err := op.Eval(n.Op, l.inFacts(n), []op.Fact{l.facts[out]})
		if err != nil {
			return id, err
		}
		l.makeConst(out, ts[0])
		return out, nil
	}
	l.g.Nodes = append(l.g.Nodes, n)
	return out, nil
}

// movesElements reports whether a permutation changes the order of the elements in memory:
// it does if it changes the order of the axes that are longer than 1.
func movesElements(s tensor.Shape, perm []int64) bool {
	last := int64(-1)
	for _, p := range perm {
		if s[p] == 1 {
			continue
		}
		if p < last {
			return true
		}
		last = p
	}
	return false
}

package plan

import (
	"fmt"
	"slices"

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
	l := &layouts{builder: b, last: map[graph.ValueID]graph.ValueID{}, first: map[graph.ValueID]graph.ValueID{},
		makers: map[graph.ValueID]*graph.Node{}, same: map[graph.ValueID]graph.ValueID{}}
	nodes := b.g.Nodes
	l.findWanted(nodes)
	b.g.Nodes = make([]*graph.Node, 0, len(nodes))
	for _, n := range nodes {
		for i, id := range n.In {
			if v, ok := l.same[id]; ok {
				n.In[i] = v
			}
		}
		if l.isConversion(n) {
			continue
		}
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
		for _, id := range n.Out {
			if id != graph.None {
				l.makers[id] = n
			}
		}
		b.g.Nodes = append(b.g.Nodes, n)
	}
	for i, id := range b.g.Outputs {
		if v, ok := l.same[id]; ok {
			b.g.Outputs[i] = v
			continue
		}
		out, err := l.channelsFirst(id)
		if err != nil {
			return err
		}
		b.g.Outputs[i] = out
	}
	for i, c := range b.g.Commits {
		if v, ok := l.same[c.From]; ok {
			b.g.Commits[i].From = v
			continue
		}
		from, err := l.channelsFirst(c.From)
		if err != nil {
			return err
		}
		b.g.Commits[i].From = from
	}
	b.g.RemoveDead()
	return nil
}

// layouts knows which values exist in which order.
type layouts struct {
	*builder
	// last gives, for a value of the original graph, the value that holds it
	// channels-last. first gives the one that holds it in its own order, for values that
	// were computed channels-last; None as long as nobody has asked for it.
	last, first map[graph.ValueID]graph.ValueID
	makers      map[graph.ValueID]*graph.Node
	// wanted are the values of which something channels-last is made that is not only widened.
	wanted map[graph.ValueID]bool
	// same gives, for the output of a Transpose of the model that is a conversion itself,
	// the value that is there already.
	same map[graph.ValueID]graph.ValueID
}

// isConversion takes note of a Transpose that gives in the model's own terms what the
// planner has in memory anyway: the channels-last form of a value that has moved.
func (l *layouts) isConversion(n *graph.Node) bool {
	if n.Domain != "" || n.OpType != "Transpose" || l.isDynamic(n) {
		return false
	}
	_, moved := l.first[n.In[0]]
	out := n.Out[0]
	if !moved || !isPerm(n, lastPerm(len(l.facts[out].Shape))) {
		return false
	}
	l.same[out] = l.last[n.In[0]]
	return true
}

// lastPerm is the permutation that makes the second of rank axes the last.
func lastPerm(rank int) []int64 {
	perm := []int64{0}
	for a := 2; a < rank; a++ {
		perm = append(perm, int64(a))
	}
	return append(perm, 1)
}

// firstPerm is the inverse of lastPerm.
func firstPerm(rank int) []int64 {
	perm := []int64{0, int64(rank - 1)}
	for a := 1; a < rank-1; a++ {
		perm = append(perm, int64(a))
	}
	return perm
}

func isPerm(n *graph.Node, perm []int64) bool {
	return slices.ContainsFunc(n.Attrs, func(a *onnx.Attribute) bool { return a.Name == "perm" && slices.Equal(a.Ints, perm) })
}

// movers are the operators that are worth converting their inputs for.
var movers = map[string]bool{
	"Conv": true, "ConvTranspose": true, "QLinearConv": true, "QLinearConvTranspose": true, "ConvInteger": true,
	"MaxPool": true, "AveragePool": true,
}

// findWanted finds the values from which operators on single elements lead to one of movers or to 8-bit values. A
// DequantizeLinear of another value stays in the model's order: at the end of a graph, moving 8-bit values is cheaper than
// moving what it makes of them.
func (l *layouts) findWanted(nodes []*graph.Node) {
	l.wanted = map[graph.ValueID]bool{}
	for _, n := range slices.Backward(nodes) {
		if _, ok := n.Op.(op.LayoutAware); !ok || l.isDynamic(n) {
			continue
		}
		want := movers[n.OpType] || n.OpType == "QuantizeLinear"
		for _, id := range n.Out {
			want = want || l.wanted[id]
		}
		if !want {
			continue
		}
		for _, id := range n.In {
			if id != graph.None {
				l.wanted[id] = true
			}
		}
	}
}

// move adds the channels-last variant of a node in place of the node, if it has one that
// pays.
func (l *layouts) move(n *graph.Node) (bool, error) {
	la, ok := n.Op.(op.LayoutAware)
	if !ok || l.isDynamic(n) {
		return false, nil
	}
	for _, id := range n.Out {
		if id != graph.None && l.dynamic[id] {
			return false, nil
		}
	}
	if !movers[n.OpType] && !l.hasMovedInput(n) || n.OpType == "DequantizeLinear" && !l.wanted[n.Out[0]] {
		return false, nil
	}
	o, nhwc, ok := la.ChannelsLast(l.inFacts(n))
	if !ok {
		return false, nil
	}
	mixed, isMixed := o.(op.MixedLayout)
	if !isMixed && (len(n.Out) != 1 && n.OpType != "Split" || slices.Contains(n.Out, graph.None)) {
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
	m.Out = make([]graph.ValueID, len(n.Out))
	for i, id := range n.Out {
		if id == graph.None || isMixed && (i >= len(mixed.OutputsLast()) || !mixed.OutputsLast()[i]) {
			m.Out[i] = id
			if id != graph.None {
				l.makers[id] = &m
			}
			continue
		}
		out := l.g.AddValue(graph.Value{Name: l.g.Value(id).Name + "_nhwc"})
		l.setFact(out, op.Fact{DType: facts[i].DType, Shape: facts[i].Shape})
		m.Out[i] = out
		l.last[id], l.first[id] = out, graph.None
	}
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
	if m := l.makers[id]; m != nil && m.Domain == "" && m.OpType == "Transpose" && rank > 2 && isPerm(m, firstPerm(rank)) {
		// The model made it from a value that is channels-last.
		v, err := l.channelsFirst(m.In[0])
		l.last[id] = v
		return v, err
	}
	v, err := l.convert(id, lastPerm(rank), "_nhwc")
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
	v, err := l.convert(from, firstPerm(len(l.facts[from].Shape)), "_nchw")
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
	var n *graph.Node
	var err error
	if movesElements(in.Shape, perm) {
		n, err = l.g.Make(graph.Spec{Name: name, Opset: graph.NewestOpset(l.g.Set, ""), OpType: "Transpose", In: []graph.ValueID{id}, OutName: name,
			Attrs: []*onnx.Attribute{{Name: "perm", Type: onnx.AttrInts, Ints: perm}}})
	} else {
		n, err = l.reshape(id, shape, name)
	}
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

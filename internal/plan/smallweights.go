package plan

import (
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
)

// keepSmall lets matrix products and convolutions take constant weights in the 8-bit or
// half-precision form in which the model has them, see [op.SmallWeights]. Other constants
// of such forms are then folded like any.
func (b *builder) keepSmall() error {
	g := b.g
	if !slices.ContainsFunc(g.Nodes, b.expandsWeights) {
		return nil
	}
	prod := g.Producers()
	for i, n := range g.Nodes {
		if n.Domain != "" || len(n.In) < 2 || n.In[1] == graph.None || prod[n.In[1]] < 0 || b.isDynamic(n) || b.facts[n.In[1]].Const != nil {
			continue
		}
		from := g.Nodes[prod[n.In[1]]]
		if !b.expandsWeights(from) {
			continue
		}
		if o, ok := op.SmallWeights(n.Op, b.inFacts(n), from.Op, b.inFacts(from)); ok {
			m := *n
			m.Op, m.In = o, slices.Clone(n.In)
			m.In[1] = from.In[0]
			g.Nodes[i] = &m
		}
	}
	g.RemoveDead()
	for _, n := range g.Nodes {
		if !b.expandsWeights(n) {
			continue
		}
		in := b.inFacts(n)
		if err := b.foldNode(n, in, []op.Fact{b.facts[n.Out[0]]}); err != nil {
			return nodeError(n, in, err)
		}
	}
	return nil
}

// manyElements is from which number on constants are weights that are to stay small.
const manyElements = 1024

// expandsWeights reports whether a node makes float values of a constant in a smaller form.
func (b *builder) expandsWeights(n *graph.Node) bool {
	if n.Domain != "" || n.OpType != "DequantizeLinear" && n.OpType != "Cast" || len(n.In) == 0 || len(n.Out) != 1 || n.Out[0] == graph.None || n.In[0] == graph.None {
		return false
	}
	c := b.facts[n.In[0]].Const
	return c != nil && c.Rank() > 1 && c.Elems() >= manyElements && b.facts[n.Out[0]].DType.IsFloat() && !b.opts.Plain
}

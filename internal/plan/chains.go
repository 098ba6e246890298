package plan

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
)

// joinChains makes one node of dense layers on 8-bit values that follow each other and whose
// values in between nobody else reads, see [op.ChainStart].
func (b *builder) joinChains() {
	g := b.g
	uses, reader := g.Uses(), b.readers()
	gone := make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		if gone[i] || !b.mayChain(n) {
			continue
		}
		chain, ok := op.ChainStart(n.Op, b.inFacts(n))
		if !ok {
			continue
		}
		m := *n
		m.In = append([]graph.ValueID{}, n.In...)
		var joined []int
		for uses[m.Out[0]] == 1 {
			j := reader[m.Out[0]]
			next := g.Nodes[j]
			if j <= i || gone[j] || !b.mayChain(next) || next.In[0] != m.Out[0] {
				break
			}
			longer, ok := op.ChainMore(chain, next.Op, b.inFacts(next))
			if !ok {
				break
			}
			chain, joined = longer, append(joined, j)
			m.In, m.Out = append(m.In, next.In[1:]...), next.Out
		}
		if len(joined) == 0 || !op.ChainWorth(chain) {
			continue
		}
		m.Op = chain
		for _, j := range joined {
			gone[j] = true
		}
		// A reader of the chain's result comes after its last node.
		gone[i] = true
		last := joined[len(joined)-1]
		gone[last], g.Nodes[last] = false, &m
	}
	kept := g.Nodes[:0]
	for i, n := range g.Nodes {
		if !gone[i] {
			kept = append(kept, n)
		}
	}
	g.Nodes = kept
}

// mayChain reports whether a node is one that the passes know all of.
func (b *builder) mayChain(n *graph.Node) bool {
	return len(n.Out) == 1 && n.Out[0] != graph.None && len(n.In) > 0 && n.In[0] != graph.None && len(n.Bodies) == 0 && !b.isDynamic(n)
}

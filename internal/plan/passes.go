package plan

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
)

// machinePasses rewrites the builder's graph for this machine. The order matters: islands
// are recognised by operators that have absorbed nothing yet; an
// operator that has absorbed its neighbours leaves fewer values whose layout is to be
// chosen, and conversions between layouts would keep it from absorbing them.
func (b *builder) machinePasses() error {
	if err := b.makeIslands(); err != nil {
		return err
	}
	if err := b.keepSmall(); err != nil {
		return err
	}
	b.joinResizes()
	b.fuse()
	if err := b.chooseLayouts(); err != nil {
		return err
	}
	if op.Complete {
		b.boundGrowth()
		if err := b.absorbOrders(); err != nil {
			return err
		}
		b.joinChains()
	}
	return nil
}

// readers returns for each value a node that reads it; 0 also where there is none.
func (b *builder) readers() []int {
	reader := make([]int, len(b.g.Values))
	for i, n := range b.g.Nodes {
		for _, in := range n.In {
			if in != graph.None {
				reader[in] = i
			}
		}
	}
	return reader
}

// fuse lets each operator absorb the only reader of its output, as often as it can.
func (b *builder) fuse() {
	g := b.g
	uses, reader := g.Uses(), b.readers()
	gone := make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		for !gone[i] {
			f, ok := n.Op.(op.Fuser)
			if !ok || len(n.Out) != 1 && n.OpType != "BatchNormalization" || n.Out[0] == graph.None || uses[n.Out[0]] != 1 || b.isDynamic(n) {
				break
			}
			j := reader[n.Out[0]]
			if j <= i || gone[j] || !b.readsOnce(g.Nodes[j], n.Out[0]) || len(g.Nodes[j].Out) != 1 || b.isDynamic(g.Nodes[j]) {
				break
			}
			next := g.Nodes[j]
			pos := 0
			for next.In[pos] != n.Out[0] {
				pos++
			}
			fused, extra, ok := f.Fuse(next.Op, pos, b.inFacts(next))
			if !ok || !b.available(next, pos, extra) {
				break
			}
			merged := *n
			merged.Op = fused
			merged.In = append([]graph.ValueID{}, n.In...)
			added := 0
			for k, in := range next.In {
				if k != pos && added < extra {
					merged.In = append(merged.In, in)
					added++
				}
			}
			merged.Out = append([]graph.ValueID{next.Out[0]}, n.Out[1:]...)
			n = &merged
			g.Nodes[i] = n
			gone[j] = true
		}
	}
	kept := g.Nodes[:0]
	for i, n := range g.Nodes {
		if !gone[i] {
			kept = append(kept, n)
		}
	}
	g.Nodes = kept
}

func (b *builder) readsOnce(n *graph.Node, id graph.ValueID) bool {
	c := 0
	for _, in := range n.In {
		if in == id {
			c++
		}
	}
	return c == 1
}

// available reports whether the inputs that a fused node would take over exist at the
// place of the node that absorbs: they must be constants, inputs or parameters.
func (b *builder) available(next *graph.Node, pos, extra int) bool {
	if extra == 0 {
		return true
	}
	for k, in := range next.In {
		if k != pos && in != graph.None && b.g.Value(in).Kind == graph.Activation {
			return false
		}
	}
	return true
}

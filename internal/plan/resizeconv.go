package plan

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
)

// joinResizes lets a convolution read the small picture where only it reads the enlarged
// one, see [op.ResizeConv].
func (b *builder) joinResizes() {
	g := b.g
	uses := g.Uses()
	prod := g.Producers()
	for i, n := range g.Nodes {
		if n.Domain != "" || n.OpType != "Conv" || b.isDynamic(n) || n.In[0] == graph.None || uses[n.In[0]] != 1 || prod[n.In[0]] < 0 {
			continue
		}
		r := g.Nodes[prod[n.In[0]]]
		if b.isDynamic(r) || len(r.In) == 0 || r.In[0] == graph.None {
			continue
		}
		o, ok := op.ResizeConv(r.Op, b.inFacts(r), n.Op, b.inFacts(n))
		if !ok || op.Complete && !b.mayGrow(o, append([]op.Fact{b.fact(r.In[0])}, b.inFacts(n)[1:]...)) {
			continue
		}
		joined := *n
		joined.Op = o
		joined.In = append([]graph.ValueID{r.In[0]}, n.In[1:]...)
		g.Nodes[i] = &joined
	}
	g.RemoveDead()
}

package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
)

// fakeQuantRules are straight-through estimates: rounding has the gradient 1, saturation 0.
var fakeQuantRules = map[op.Key]rule{
	{Domain: graddomain, Type: "FakeQuant"}: func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		d.add(n.In[0], d.grad("FakeQuantGrad", []graph.ValueID{dy[0], n.In[0]}, n.Attrs...))
		return nil
	},
	{Domain: graddomain, Type: "FakeQuantWeights"}: func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		d.add(n.In[0], dy[0])
		return nil
	},
}

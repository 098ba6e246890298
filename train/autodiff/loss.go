package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train/gradop"
)

const graddomain = gradop.Domain

// The losses' targets (input 1 of the first two, ε of GaussianSample) are data: they get
// no gradient, but for SquaredError's, which is symmetric.
var lossRules = map[op.Key]rule{
	{Domain: graddomain, Type: "BCEWithLogits"}:  bceRule,
	{Domain: graddomain, Type: "SquaredError"}:   squaredErrorRule,
	{Domain: graddomain, Type: "GaussianKL"}:     klRule,
	{Domain: graddomain, Type: "GaussianSample"}: sampleRule,
	{Domain: graddomain, Type: "DiscretizedLogistic"}: func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		if d.needs(n.In[1]) {
			return errNoRule
		}
		d.add(n.In[0], d.grad("DiscretizedLogisticGrad", []graph.ValueID{dy[0], n.In[0], n.In[1]}, onnx.AttrF("alpha", attrFloat(n, "alpha", 1))))
		return nil
	},
	{Domain: graddomain, Type: "StraightThrough"}: straightThroughRule,
	{Domain: graddomain, Type: "Scale"}: unaryRule(func(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID {
		return d.scale(dy, attrFloat(n, "alpha", 1))
	}),
	{Domain: graddomain, Type: "ReshapeLike"}: unaryRule(reshapeLike),
}

func bceRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if d.needs(n.In[1]) {
		return errNoRule
	}
	d.add(n.In[0], d.grad("BCEWithLogitsGrad", []graph.ValueID{dy[0], n.In[0], n.In[1]}))
	return nil
}

func squaredErrorRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	dx := d.grad("SquaredErrorGrad", []graph.ValueID{dy[0], n.In[0], n.In[1]},
		onnx.AttrF("alpha", attrFloat(n, "alpha", 1)), onnx.AttrI("mean", attrInt(n, "mean", 0)))
	d.add(n.In[0], dx)
	if d.needs(n.In[1]) {
		d.add(n.In[1], d.grad("ReshapeLike", []graph.ValueID{d.scale(dx, -1), n.In[1]}))
	}
	return nil
}

func klRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	out := d.node(graddomain, "GaussianKLGrad", 2, []graph.ValueID{dy[0], n.In[0], n.In[1]})
	d.add(n.In[0], out[0])
	d.add(n.In[1], out[1])
	return nil
}

func sampleRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if d.needs(n.In[2]) {
		return errNoRule
	}
	d.add(n.In[0], dy[0])
	if d.needs(n.In[1]) {
		d.add(n.In[1], d.grad("GaussianSampleGrad", []graph.ValueID{dy[0], n.In[1], n.In[2]}))
	}
	return nil
}

// straightThroughRule passes the gradient to the first input as if the operator were the
// identity. The second gets none.
func straightThroughRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	d.add(n.In[0], dy[0])
	return nil
}

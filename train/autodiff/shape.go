package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

var shapeRules = map[op.Key]rule{
	{Type: "Concat"}:         concatRule,
	{Type: "Expand"}:         unaryRule(func(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID { return d.reduceTo(dy, n.In[0]) }),
	{Type: "Flatten"}:        unaryRule(reshapeLike),
	{Type: "Gather"}:         gatherRule("GatherGrad"),
	{Type: "GatherElements"}: gatherRule("GatherElementsGrad"),
	{Type: "Reshape"}:        unaryRule(reshapeLike),
	{Type: "Slice"}:          sliceRule,
	{Type: "Split"}:          splitRule,
	{Type: "Squeeze"}:        unaryRule(reshapeLike),
	{Type: "Tile"}: unaryRule(func(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID {
		return d.grad("TileGrad", []graph.ValueID{dy, n.In[0]})
	}),
	{Type: "Transpose"}: transposeRule,
	{Type: "Unsqueeze"}: unaryRule(reshapeLike),
}

func reshapeLike(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID {
	return d.grad("ReshapeLike", []graph.ValueID{dy, n.In[0]})
}

func concatRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	in := append([]graph.ValueID{dy[0]}, n.In...)
	out := d.node(graddomain, "ConcatGrad", len(n.In), in, onnx.AttrI("axis", attrInt(n, "axis", 1)))
	for i, x := range n.In {
		d.add(x, out[i])
	}
	return nil
}

// splitRule joins the gradients; parts that do not influence the loss have the gradient 0.
func splitRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	in := []graph.ValueID{n.In[0]}
	for i, g := range dy {
		if g == graph.None {
			if n.Out[i] == graph.None {
				return errNoRule
			}
			g = d.grad("FillLike", []graph.ValueID{n.Out[i]}, onnx.AttrF("alpha", 0))
		}
		in = append(in, g)
	}
	d.add(n.In[0], d.grad("SplitGrad", in, onnx.AttrI("axis", attrInt(n, "axis", 0))))
	return nil
}

func sliceRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	in := append([]graph.ValueID{dy[0]}, n.In...)
	d.add(n.In[0], d.grad("SliceGrad", in))
	return nil
}

func gatherRule(name string) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		d.add(n.In[0], d.grad(name, []graph.ValueID{dy[0], n.In[0], n.In[1]}, onnx.AttrI("axis", attrInt(n, "axis", 0))))
		return nil
	}
}

// transposeRule applies the inverse permutation; without one, Transpose reverses the axes,
// which is its own inverse.
func transposeRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	a := attr(n, "perm")
	if a == nil {
		d.add(n.In[0], d.op("Transpose", dy))
		return nil
	}
	inv := make([]int64, len(a.Ints))
	for i, p := range a.Ints {
		if p < 0 || p >= int64(len(inv)) {
			return errNoRule
		}
		inv[p] = int64(i)
	}
	d.add(n.In[0], d.op("Transpose", dy, onnx.AttrIs("perm", inv...)))
	return nil
}

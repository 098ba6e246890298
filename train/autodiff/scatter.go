package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

// sparseRules: operators that put elements somewhere or take them from there, and forms
// that other operators' rules cover.
var sparseRules = map[op.Key]rule{
	{Type: "CastLike"}:                          castRule,
	{Type: "LpNormalization"}:                   lpNormalizationRule,
	{Type: "ScatterElements"}:                   scatterRule("GatherElements", "axis"),
	{Type: "ScatterND"}:                         scatterRule("GatherND"),
	{Type: "Shrink"}:                            shrinkRule,
	{Type: "TopK"}:                              topKRule,
	{Domain: "com.microsoft", Type: "BiasGelu"}: biasGeluRule("GeluGrad"),
	{Domain: "com.microsoft", Type: "FastGelu"}: biasGeluRule("GeluTanhGrad"),
}

// scatterRule: elements that were replaced have no influence, and updates that of the place
// they went to, from which the operator gather takes it. Where several updates go to one
// place only sums have a derivative.
func scatterRule(gather string, names ...string) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		reduction := attrString(n, "reduction", "none")
		if reduction != "none" && reduction != "add" {
			return errNoRule
		}
		var attrs []*onnx.Attribute
		for _, name := range names {
			if a := attr(n, name); a != nil {
				attrs = append(attrs, a)
			}
		}
		data, index, updates := n.In[0], n.In[1], n.In[2]
		if d.needs(data) {
			g := dy[0]
			if reduction == "none" {
				zero := d.grad("FillLike", []graph.ValueID{updates}, onnx.AttrF("alpha", 0))
				g = d.op(n.OpType, []graph.ValueID{g, index, zero}, attrs...)
			}
			d.add(data, g)
		}
		if d.needs(updates) {
			d.add(updates, d.op(gather, []graph.ValueID{dy[0], index}, attrs...))
		}
		return nil
	}
}

// topKRule puts the gradients of the values where they were found.
func topKRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if dy[0] == graph.None || n.Out[1] == graph.None {
		return errNoRule
	}
	d.add(n.In[0], d.grad("GatherElementsGrad", []graph.ValueID{dy[0], n.In[0], n.Out[1]}, onnx.AttrI("axis", attrInt(n, "axis", -1))))
	return nil
}

// shrinkRule passes gradients where the value is not set to zero.
func shrinkRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	x := n.In[0]
	lambda := d.grad("FillLike", []graph.ValueID{x}, onnx.AttrF("alpha", attrFloat(n, "lambd", 0.5)))
	zero := d.grad("FillLike", []graph.ValueID{x}, onnx.AttrF("alpha", 0))
	kept := d.op("Greater", []graph.ValueID{d.op("Abs", []graph.ValueID{x}), lambda})
	d.add(x, d.op("Where", []graph.ValueID{kept, dy[0], zero}))
	return nil
}

// lpNormalizationRule: y = x/‖x‖, so that dx = (dy - v·Σ dy·y)/‖x‖, where v is y for the
// Euclidean norm and the sign of x for the sum of absolute values.
func lpNormalizationRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	x, y, axis := n.In[0], n.Out[0], attrInt(n, "axis", -1)
	reduce := func(kind string, v graph.ValueID) graph.ValueID {
		if d.err != nil {
			return graph.None
		}
		axes := d.g.AddConst("axes", int64s(axis))
		return d.node18("Reduce"+kind, []graph.ValueID{v, axes}, onnx.AttrI("keepdims", 1))
	}
	kind, v := "L2", y
	if attrInt(n, "p", 2) == 1 {
		kind, v = "L1", d.op("Sign", []graph.ValueID{x})
	}
	along := reduce("Sum", d.op("Mul", []graph.ValueID{dy[0], y}))
	g := d.op("Sub", []graph.ValueID{dy[0], d.op("Mul", []graph.ValueID{v, along})})
	d.add(x, d.op("Div", []graph.ValueID{g, reduce(kind, x)}))
	return nil
}

// biasGeluRule: gelu(x + b), where b may be omitted.
func biasGeluRule(name string) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		x, b := n.In[0], input(n, 1)
		s := x
		if b != graph.None {
			s = d.op("Add", []graph.ValueID{x, b})
		}
		g := d.grad(name, []graph.ValueID{dy[0], s})
		d.add(x, g)
		if d.needs(b) {
			d.add(b, d.reduceTo(g, b))
		}
		return nil
	}
}

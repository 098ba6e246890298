package autodiff

import (
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

var convRules = map[op.Key]rule{
	{Type: "Conv"}:          convRule(0),
	{Type: "ConvTranspose"}: convRule(1),
}

// windowAttrs returns the attributes of a windowed operator that say where its windows lie.
func windowAttrs(n *graph.Node, more ...*onnx.Attribute) []*onnx.Attribute {
	names := []string{"kernel_shape", "strides", "dilations", "pads", "auto_pad", "group", "output_padding", "output_shape"}
	for _, a := range n.Attrs {
		if slices.Contains(names, a.Name) {
			more = append(more, a)
		}
	}
	return more
}

func convRule(transposed int64) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		x, w, b := n.In[0], n.In[1], input(n, 2)
		attrs := windowAttrs(n, onnx.AttrI("transposed", transposed))
		if d.needs(x) {
			d.add(x, d.grad("ConvInputGrad", []graph.ValueID{dy[0], w, x}, attrs...))
		}
		if d.needs(w) {
			d.add(w, d.grad("ConvWeightGrad", []graph.ValueID{dy[0], x, w}, attrs...))
		}
		if d.needs(b) {
			d.add(b, d.grad("ChannelSum", []graph.ValueID{dy[0], b}))
		}
		return nil
	}
}

package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

var softmaxRules = map[op.Key]rule{
	{Type: "LogSoftmax"}: softmaxRule,
	{Type: "Softmax"}:    softmaxRule,
}

func softmaxRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	axis, flatten := int64(-1), int64(0)
	if n.Opset < 13 {
		axis, flatten = 1, 1
	}
	d.add(n.In[0], d.grad(n.OpType+"Grad", []graph.ValueID{dy[0], n.Out[0]},
		onnx.AttrI("axis", attrInt(n, "axis", axis)), onnx.AttrI("flatten", flatten)))
	return nil
}

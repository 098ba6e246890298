package autodiff

import (
	"strings"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

var reduceRules = map[op.Key]rule{
	{Type: "ReduceL1"}:        reduceRule,
	{Type: "ReduceL2"}:        reduceRule,
	{Type: "ReduceLogSum"}:    reduceRule,
	{Type: "ReduceLogSumExp"}: reduceRule,
	{Type: "ReduceMax"}:       reduceRule,
	{Type: "ReduceMean"}:      reduceRule,
	{Type: "ReduceMin"}:       reduceRule,
	{Type: "ReduceProd"}:      reduceRule,
	{Type: "ReduceSum"}:       reduceRule,
	{Type: "ReduceSumSquare"}: reduceRule,
}

func reduceRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	in := []graph.ValueID{dy[0], n.In[0], n.Out[0]}
	if axes := input(n, 1); axes != graph.None {
		in = append(in, axes)
	}
	d.add(n.In[0], d.grad("ReduceGrad", in, onnx.AttrS("kind", strings.TrimPrefix(n.OpType, "Reduce")),
		onnx.AttrI("noop_with_empty_axes", attrInt(n, "noop_with_empty_axes", 0))))
	return nil
}

package graph

import (
	"fmt"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// aligned are the operators that before opset 7 said with an attribute which axis of the
// first input the first axis of the second one belongs to (ONNX operator specification,
// Add-6). Since then shapes are aligned at their ends.
var aligned = set("Add And Div Equal Greater Less Mul Or PRelu Pow Sub Xor")

// alignment is a node whose second input has to be aligned.
type alignment struct {
	n    *Node
	axis int // of the first input; may be negative
}

// takeAlignment removes the attributes of broadcasting before opset 7 from a node. A slope
// of PRelu with more than one element belongs to axis 1 (PRelu-6).
func (g *Graph) takeAlignment(n *Node) (alignment, bool) {
	if n.Domain != "" || n.Opset >= 7 || !aligned[n.OpType] || len(n.In) != 2 {
		return alignment{}, false
	}
	if n.OpType == "PRelu" {
		return alignment{n, 1}, true
	}
	axis, does := intAttr(n, "axis", -1), intAttr(n, "broadcast", 0) != 0
	if int64(int(axis)) != axis {
		return alignment{}, false
	}
	n.Attrs = slices.DeleteFunc(slices.Clone(n.Attrs), func(a *onnx.Attribute) bool { return a.Name == "axis" && a.Type == onnx.AttrInt })
	return alignment{n, int(axis)}, does && axis != -1
}

// align gives the second inputs of nodes trailing axes of extent 1, where their last axis is
// not to meet the last one of the first input.
func (g *Graph) align(list []alignment) error {
	if len(list) == 0 {
		return nil
	}
	s := shapesOf(g)
	before := map[*Node]*Node{}
	for _, a := range list {
		x, y := s.rank(a.n.In[0]), s.rank(a.n.In[1])
		fail := func(format string, args ...any) error {
			return errorf("node %q (%s): %s", a.n.Name, a.n.OpType, fmt.Sprintf(format, args...))
		}
		if x < 0 || y < 0 {
			return fail("attribute \"axis\" of opset %d: the ranks of the inputs are not known", a.n.Opset)
		}
		axis := a.axis
		if axis < 0 {
			axis += x
		}
		if a.n.OpType == "PRelu" && (y != 1 || x < 2 || s.dims[a.n.In[1]][0].known() && s.dims[a.n.In[1]][0].n == 1) {
			continue
		}
		if axis < 0 || axis+y > x {
			return fail("attribute \"axis\" is %d: an input of rank %d does not fit there into one of rank %d", a.axis, y, x)
		}
		if y == 0 || axis+y == x {
			continue
		}
		axes := make([]int64, 0, x-axis-y)
		for i := y; i < x-axis; i++ {
			axes = append(axes, int64(i))
		}
		to := g.AddConst(a.n.Name+"/axes", tensor.Must(tensor.Of(axes, len(axes))))
		u, err := g.Make(Spec{Name: a.n.Name + "/aligned", OpType: "Unsqueeze", In: []ValueID{a.n.In[1], to}, Opset: a.n.Opset})
		if err != nil {
			return err
		}
		a.n.In = []ValueID{a.n.In[0], u.Out[0]}
		before[a.n] = u
	}
	nodes := make([]*Node, 0, len(g.Nodes)+len(before))
	for _, n := range g.Nodes {
		if u := before[n]; u != nil {
			nodes = append(nodes, u)
		}
		nodes = append(nodes, n)
	}
	g.Nodes = nodes
	return nil
}

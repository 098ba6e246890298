package graph

import (
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// FoldShapes computes in advance what chains of Shape, Gather, Concat and their like give,
// as far as the extents of the graph's inputs are known: integer vectors all of whose
// elements are known become constants, and a Reshape whose target has unknown extents gets
// a constant target where 0 (that axis as it is) and a single -1 can say the same. Axes of
// unknown extent, such as the batch, stay so.
func FoldShapes(g *Graph) (bool, error) {
	if !slices.ContainsFunc(g.Nodes, func(n *Node) bool { return n.OpType == "Shape" }) {
		return false, nil
	}
	s := shapesOf(g)
	changed := false
	for _, n := range g.Nodes {
		for i, id := range n.In {
			if s.foldVector(id) {
				changed = true
			}
			if i == 1 && n.OpType == "Reshape" && n.Domain == "" {
				changed = s.foldTarget(n) || changed
			}
		}
	}
	// What has become a constant is no longer computed.
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *Node) bool {
		return len(n.Out) == 1 && n.Out[0] != None && g.Values[n.Out[0]].Kind == Constant
	})
	return changed, nil
}

// foldVector makes a computed vector a constant if it is known. The operators of the chain
// have one output each.
func (s *shapes) foldVector(id ValueID) bool {
	if id == None || s.prod[id] < 0 || s.g.Values[id].Kind != Activation || slices.Contains(s.g.Outputs, id) {
		return false
	}
	v := s.vecs[id]
	if v == nil || !v.known() || len(s.g.Nodes[s.prod[id]].Out) != 1 {
		return false
	}
	t := v.tensor()
	if t == nil {
		return false
	}
	value := s.g.Values[id]
	value.Kind, value.Data, value.Type = Constant, t, TypeOf(t)
	return true
}

// foldTarget gives a Reshape a constant target.
func (s *shapes) foldTarget(n *Node) bool {
	v := s.vector(n.In[1])
	if v == nil || n.In[0] == None || v.scalar || v.known() || v.dtype != tensor.Int64 || intAttr(n, "allowzero", 0) != 0 {
		return false
	}
	src := s.dims[n.In[0]]
	target := make([]int64, len(v.elems))
	free := 0
	for i, e := range v.elems {
		switch {
		case e.known() && (e.n > 0 || e.n == 0 && i < len(src)):
			target[i] = e.n
		case e == number(-1):
			target[i] = -1
			free++
		case e.known():
			return false
		case i < len(src) && src[i] == e:
			target[i] = 0
		default:
			target[i] = -1
			free++
		}
	}
	if free > 1 {
		return false
	}
	name := s.g.Values[n.In[1]].Name + "_folded"
	id := s.g.AddConst(name, tensor.Must(tensor.Of(target, len(target))))
	n.In[1] = id
	s.dims = append(s.dims, []extent{number(int64(len(target)))})
	s.vecs = append(s.vecs, vectorOf(s.g.Values[id].Data))
	s.prod = append(s.prod, -1)
	return true
}

// declared returns the type of a value whose axes a pass has put into another order.
func declared(t onnx.Type, perm []int) onnx.Type {
	if !t.HasShape || len(t.Shape) != len(perm) {
		return onnx.Type{Kind: t.Kind, Elem: t.Elem}
	}
	t.Shape = permuted(t.Shape, perm)
	return t
}

package graph

import (
	"slices"

	"github.com/aekit/aekit/tensor"
)

// MatMulToGemm turns the product of two matrices and what is added to each of its rows into
// one Gemm, and a product before a BatchNormalization into a Gemm, into which that can be
// folded.
func MatMulToGemm(g *Graph) (bool, error) {
	if g.Opsets[""] < 7 { // Gemm did not broadcast without an attribute
		return false, nil
	}
	prod, uses := g.Producers(), g.Uses()
	var s *shapes
	changed := false
	gone := make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		if n.Domain != "" || len(n.In) < 2 || n.OpType == "Add" && len(n.In) != 2 || len(n.Out) == 0 || n.Out[0] == None || n.OpType != "Add" && n.OpType != "BatchNormalization" {
			continue
		}
		pos := slices.IndexFunc(n.In, func(id ValueID) bool {
			return id != None && uses[id] == 1 && prod[id] >= 0 && g.Nodes[prod[id]].Domain == "" && g.Nodes[prod[id]].OpType == "MatMul"
		})
		if pos < 0 {
			continue
		}
		p := prod[n.In[pos]]
		m := g.Nodes[p]
		if s == nil {
			s = shapesOf(g)
		}
		if len(m.In) != 2 || s.rank(m.In[0]) != 2 || s.rank(m.In[1]) != 2 || !g.isFloat(m.In[1]) {
			continue
		}
		spec := Spec{Name: m.Name, OpType: "Gemm", In: slices.Clone(m.In), Out: m.Out, Opset: m.Opset}
		if n.OpType == "Add" {
			c := n.In[1-pos]
			w := s.dims[m.In[1]]
			bias, err := g.ConstOf(c)
			if err != nil || !w[1].known() || bias.Rank() > 2 || !isRow(bias.Shape(), int(w[1].n)) {
				continue
			}
			spec.In, spec.Out = append(spec.In, c), n.Out
		} else if pos != 0 {
			continue
		}
		gemm, err := g.Make(spec)
		if err != nil {
			return changed, err
		}
		g.Nodes[p] = gemm
		changed = true
		if n.OpType == "Add" {
			gone[i] = true
			prod[n.Out[0]] = p
		}
	}
	g.dropNodes(gone)
	return changed, nil
}

// dropNodes removes the nodes that are marked.
func (g *Graph) dropNodes(gone []bool) {
	kept := g.Nodes[:0:0]
	for i, n := range g.Nodes {
		if !gone[i] {
			kept = append(kept, n)
		}
	}
	g.Nodes = kept
}

// isFloat reports whether a value is known to be of a floating-point type: Gemm and MatMul
// take different sets of integers.
func (g *Graph) isFloat(id ValueID) bool {
	v := g.Values[id]
	d := v.Type.Elem
	if v.Data != nil {
		d = v.Data.DType()
	}
	if d == tensor.Undefined {
		// Dequantised and converted weights have no declared type.
		for _, n := range g.Nodes {
			if slices.Contains(n.Out, id) {
				return n.OpType == "DequantizeLinear" || n.OpType == "Cast" && tensor.DType(intAttr(n, "to", 0)).IsFloat()
			}
		}
	}
	return d.IsFloat()
}

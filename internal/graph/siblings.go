package graph

import (
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// JoinGemms turns Gemms that multiply the same matrix by constant float32 weights into one: the heads of a variational
// encoder, for example. Their columns become columns of one product, which kernels pad once. Products that one
// Concat puts side by side take its place; others need a Split, and are joined where that saves more than it costs, and
// where nothing else could absorb what follows them. It is not portable in that weights no longer have the names and
// extents of the file.
func JoinGemms(g *Graph) error {
	uses := g.Uses()
	readers := map[ValueID][]*Node{}
	families := map[ValueID][]*Node{}
	var inputs []ValueID
	for _, n := range g.Nodes {
		for _, in := range n.In {
			if in != None {
				readers[in] = append(readers[in], n)
			}
		}
		if !g.joinable(n) {
			continue
		}
		if families[n.In[0]] == nil {
			inputs = append(inputs, n.In[0])
		}
		families[n.In[0]] = append(families[n.In[0]], n)
	}
	for _, in := range inputs {
		family := families[in]
		for len(family) > 0 {
			group := g.sameWeights(family)
			family = slices.DeleteFunc(family, func(n *Node) bool { return slices.Contains(group, n) })
			if len(group) < 2 {
				continue
			}
			if cat := sideBySide(group, readers, uses); cat != nil {
				if err := g.joinConcat(group, cat); err != nil {
					return err
				}
				continue
			}
			group = slices.DeleteFunc(group, func(n *Node) bool { return !slices.Contains(g.Outputs, n.Out[0]) })
			if g.worthSplitting(group) {
				if err := g.joinSplit(group); err != nil {
					return err
				}
			}
		}
	}
	g.RemoveDead()
	return nil
}

// joinable reports whether n is x·W or x·W + c with constants W and c of float32, where c is a row of as many values as
// W has columns.
func (g *Graph) joinable(n *Node) bool {
	if n.Domain != "" || n.OpType != "Gemm" || len(n.In) < 2 || n.In[0] == None || len(n.Out) != 1 || n.Out[0] == None || intAttr(n, "transA", 0) != 0 {
		return false
	}
	for _, name := range []string{"alpha", "beta"} {
		if a := attr(n, name); a != nil && a.Float != 1 {
			return false
		}
	}
	w, err := g.ConstOf(n.In[1])
	if err != nil || w.DType() != tensor.Float32 || w.Rank() != 2 || w.Elems() == 0 {
		return false
	}
	if len(n.In) == 2 || n.In[2] == None {
		return true
	}
	c, err := g.ConstOf(n.In[2])
	return err == nil && c.DType() == tensor.Float32 && c.Elems() == g.columns(n) && isRow(c.Shape(), g.columns(n))
}

// columns returns the columns of the weights of a Gemm.
func (g *Graph) columns(n *Node) int {
	w := g.Values[n.In[1]].Data.Shape()
	if intAttr(n, "transB", 0) != 0 {
		return w[0]
	}
	return w[1]
}

// sameWeights returns the nodes whose weights have the layout and the rows of the first one's, and which have a bias if it has.
func (g *Graph) sameWeights(nodes []*Node) []*Node {
	form := func(n *Node) [2]int64 {
		trans := intAttr(n, "transB", 0)
		w := g.Values[n.In[1]].Data.Shape()
		return [2]int64{trans, int64(w[trans&1])}
	}
	biased := func(n *Node) bool { return len(n.In) > 2 && n.In[2] != None }
	var same []*Node
	for _, n := range nodes {
		if form(n) == form(nodes[0]) && biased(n) == biased(nodes[0]) {
			same = append(same, n)
		}
	}
	return same
}

// sideBySide returns the Concat along the columns that reads all of the group and nothing else, and orders the group as it
// does; nil if there is none.
func sideBySide(group []*Node, readers map[ValueID][]*Node, uses []int) *Node {
	r := readers[group[0].Out[0]]
	if len(r) != 1 {
		return nil
	}
	cat := r[0]
	axis := intAttr(cat, "axis", 1)
	if cat.Domain != "" || cat.OpType != "Concat" || axis != 1 && axis != -1 || len(cat.In) != len(group) || len(cat.Out) != 1 {
		return nil
	}
	order := make([]*Node, len(group))
	for i, in := range cat.In {
		at := slices.IndexFunc(group, func(n *Node) bool { return n.Out[0] == in })
		if at < 0 || uses[in] != 1 {
			return nil
		}
		order[i] = group[at]
	}
	copy(group, order)
	return cat
}

// Products are padded to vectors of joinedVector columns. Copying a column of the result costs as much as joinedCopy
// multiplications of a padded one.
const joinedVector, joinedCopy = 16, 32

// worthSplitting reports whether the padding that one product saves takes longer than copying its parts.
func (g *Graph) worthSplitting(group []*Node) bool {
	if len(group) < 2 {
		return false
	}
	total, padded := 0, 0
	padding := func(n int) int { return (joinedVector - n%joinedVector) % joinedVector }
	for _, n := range group {
		total += g.columns(n)
		padded += padding(g.columns(n))
	}
	rows := g.Values[group[0].In[1]].Data.Elems() / max(1, g.columns(group[0]))
	return (padded-padding(total))*rows >= joinedCopy*total
}

func (g *Graph) joinConcat(group []*Node, cat *Node) error {
	n, err := g.joined(group, cat.Out)
	if err != nil {
		return err
	}
	g.Nodes[slices.Index(g.Nodes, group[0])] = n
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *Node) bool { return n == cat || slices.Contains(group, n) })
	return nil
}

func (g *Graph) joinSplit(group []*Node) error {
	n, err := g.joined(group, nil)
	if err != nil {
		return err
	}
	var sizes []int64
	var out []ValueID
	for _, n := range group {
		sizes, out = append(sizes, int64(g.columns(n))), append(out, n.Out[0])
	}
	t, err := tensor.Of(sizes, len(sizes))
	if err != nil {
		return err
	}
	s, err := g.Make(Spec{OpType: "Split", In: []ValueID{n.Out[0], g.AddConst("", t)}, Out: out, Attrs: []*onnx.Attribute{onnx.AttrI("axis", 1)}, Opset: splitOpset})
	if err != nil {
		return err
	}
	at := slices.Index(g.Nodes, group[0])
	g.Nodes = slices.Insert(g.Nodes, at, n, s)
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *Node) bool { return slices.Contains(group, n) })
	return nil
}

// splitOpset is the version of Split whose lengths are an input.
const splitOpset = 13

// joined returns the product by the weights of all of the group, side by side. It is to be placed where the first of them is.
func (g *Graph) joined(group []*Node, out []ValueID) (*Node, error) {
	first := group[0]
	s := Spec{Name: first.Name, OpType: "Gemm", In: []ValueID{first.In[0]}, Out: out, Attrs: first.Attrs, Opset: first.Opset}
	for i := 1; i < len(first.In) && first.In[i] != None; i++ {
		var parts []*tensor.Tensor
		for _, n := range group {
			parts = append(parts, g.Values[n.In[i]].Data)
		}
		byRows := i == 1 && intAttr(first, "transB", 0) != 0
		t, err := beside(parts, byRows)
		if err != nil {
			return nil, err
		}
		s.In = append(s.In, g.AddConst("", t))
	}
	return g.Make(s)
}

// beside puts float32 matrices, or rows, side by side, or below each other if byRows.
func beside(parts []*tensor.Tensor, byRows bool) (*tensor.Tensor, error) {
	rows := 1
	if parts[0].Rank() == 2 && !byRows {
		rows = parts[0].Shape()[0]
	}
	cols := 0
	for _, p := range parts {
		cols += p.Elems() / rows
	}
	data := make([]float32, 0, rows*cols)
	for r := range rows {
		for _, p := range parts {
			n := p.Elems() / rows
			data = append(data, p.Float32s()[r*n:][:n]...)
		}
	}
	switch {
	case byRows:
		k := parts[0].Shape()[1]
		return tensor.Of(data, cols/k, k)
	case rows == 1 && parts[0].Rank() < 2:
		return tensor.Of(data, cols)
	}
	return tensor.Of(data, rows, cols)
}

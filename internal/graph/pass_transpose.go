package graph

import (
	"fmt"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// SinkTransposes removes Transpose nodes where it can. Operators that treat axes alike, or
// name them, are applied before the Transpose of their inputs instead of after it, so that
// transposes move towards the outputs; there they meet their inverses, with which they
// vanish. The channels-last models that converters write with channels-first operators, each
// between two transposes, keep those at their inputs and outputs only.
//
// The graph is changed only if it has fewer transposes then.
func SinkTransposes(g *Graph) (bool, error) {
	before := g.transposes()
	if before == 0 {
		return false, nil
	}
	best := (*Graph)(nil)
	// Sinking a Transpose through an operator with another input that is not transposed
	// takes a new one for that input, which pays only if it vanishes later.
	for _, eager := range []bool{false, true} {
		c := g.Clone()
		if err := c.sinkTransposes(eager); err != nil {
			return false, err
		}
		c.RemoveDead()
		if n := c.transposes(); n < before {
			before, best = n, c
		}
	}
	if best == nil {
		return false, nil
	}
	*g = *best
	return true, nil
}

// transposes counts the Transpose nodes of computed values.
func (g *Graph) transposes() int {
	c := 0
	for _, n := range g.Nodes {
		if isTranspose(n) && n.In[0] != None && g.Values[n.In[0]].Kind != Constant {
			c++
		}
	}
	return c
}

func isTranspose(n *Node) bool { return n.Domain == "" && n.OpType == "Transpose" && len(n.In) == 1 }

// sinker is the state of one walk over the nodes.
type sinker struct {
	*Graph
	shapes *shapes
	ranks  map[ValueID]int     // of values that the walk has made
	makers map[ValueID]*Node   // by output
	alias  map[ValueID]ValueID // values that another one stands for
	nodes  []*Node
	eager  bool
}

func (g *Graph) sinkTransposes(eager bool) error {
	for range maxRounds {
		k := &sinker{Graph: g, shapes: shapesOf(g), ranks: map[ValueID]int{}, makers: map[ValueID]*Node{}, alias: map[ValueID]ValueID{}, eager: eager}
		changed := false
		for _, n := range g.Nodes {
			for i, id := range n.In {
				if other, ok := k.alias[id]; ok {
					n.In[i] = other
				}
			}
			done, err := k.visit(n)
			if err != nil {
				return err
			}
			changed = changed || done
		}
		g.Nodes = k.nodes
		for i, c := range g.Commits {
			if other, ok := k.alias[c.From]; ok {
				g.Commits[i].From = other
			}
		}
		if !changed {
			return nil
		}
		g.RemoveDead()
	}
	return nil
}

func (k *sinker) emit(n *Node) {
	k.nodes = append(k.nodes, n)
	for _, o := range n.Out {
		if o != None {
			k.makers[o] = n
		}
	}
}

func (k *sinker) rank(id ValueID) int {
	if r, ok := k.ranks[id]; ok {
		return r
	}
	if int(id) >= len(k.shapes.dims) {
		return -1
	}
	return k.shapes.rank(id)
}

// visit emits n, or what takes its place, and reports whether anything changed.
func (k *sinker) visit(n *Node) (bool, error) {
	switch {
	case n.Domain != "" || len(n.In) == 0 || len(n.Out) == 0 || n.Out[0] == None || len(n.Bodies) > 0:
	case isTranspose(n):
		return k.transpose(n)
	default:
		if rule := sinkRules[n.OpType]; rule != nil {
			if done, err := k.sink(n, rule); done || err != nil {
				return done, err
			}
		}
	}
	k.emit(n)
	return false, nil
}

// transpose merges a Transpose with one before it, takes it out if it changes nothing, and
// applies it to small weights rather than to what is made of them.
func (k *sinker) transpose(n *Node) (bool, error) {
	perm, ok := permOf(n, k.rank(n.In[0]))
	if !ok {
		k.emit(n)
		return false, nil
	}
	changed := false
	if m := k.makers[n.In[0]]; m != nil && isTranspose(m) {
		if first, ok := permOf(m, len(perm)); ok {
			perm = permuted(first, perm)
			var err error
			if n, err = k.transposeNode(m.In[0], perm, n); err != nil {
				return false, err
			}
			changed = true
		}
	}
	if isIdentityPerm(perm) {
		if !slices.Contains(k.Outputs, n.Out[0]) {
			k.alias[n.Out[0]] = n.In[0]
			return true, nil
		}
		id, err := k.Make(Spec{Name: n.Name, OpType: "Identity", In: n.In, Out: n.Out, Opset: n.Opset})
		if err != nil {
			return false, err
		}
		k.emit(id)
		return true, nil
	}
	if m := k.makers[n.In[0]]; m != nil && m.Domain == "" && len(m.Out) == 1 && len(m.In) > 0 && m.In[0] != None &&
		k.Values[m.In[0]].Kind == Constant && (m.OpType == "DequantizeLinear" || m.OpType == "Cast") {
		done, err := k.hoist(n, m, perm)
		if done || err != nil {
			return done, err
		}
	}
	k.emit(n)
	return changed, nil
}

// hoist replaces Transpose(m(constant)) by m(Transpose(constant)).
func (k *sinker) hoist(n, m *Node, perm []int) (bool, error) {
	in := slices.Clone(m.In)
	attrs := m.Attrs
	if m.OpType == "DequantizeLinear" {
		if intAttr(m, "block_size", 0) != 0 {
			return false, nil
		}
		if axis, ok := axisOf(m, len(perm), 1); ok {
			attrs = withInt(attrs, "axis", int64(slices.Index(perm, axis)))
		}
	}
	before := k.AddValue(Value{Name: k.Values[in[0]].Name + "_t", Type: declared(k.Values[in[0]].Type, perm)})
	t, err := k.transposeNode(in[0], perm, &Node{Name: n.Name, Opset: n.Opset, Out: []ValueID{before}})
	if err != nil {
		return false, err
	}
	k.emit(t)
	in[0] = before
	moved, err := k.Make(Spec{Name: m.Name, OpType: m.OpType, Attrs: attrs, In: in, Out: n.Out, Opset: m.Opset})
	if err != nil {
		return false, err
	}
	k.emit(moved)
	return true, nil
}

// transposeNode returns a Transpose of id with the name and outputs of like.
func (k *sinker) transposeNode(id ValueID, perm []int, like *Node) (*Node, error) {
	ints := make([]int64, len(perm))
	for i, p := range perm {
		ints[i] = int64(p)
	}
	return k.Make(Spec{Name: like.Name, OpType: "Transpose", In: []ValueID{id}, Out: like.Out, Opset: like.Opset, Attrs: []*onnx.Attribute{onnx.AttrIs("perm", ints...)}})
}

func isIdentityPerm(perm []int) bool {
	for i, p := range perm {
		if i != p {
			return false
		}
	}
	return true
}

func inverse(perm []int) []int {
	inv := make([]int, len(perm))
	for i, p := range perm {
		inv[p] = i
	}
	return inv
}

// withInt returns attributes with one integer replaced or added.
func withInt(attrs []*onnx.Attribute, name string, v int64) []*onnx.Attribute {
	out := slices.DeleteFunc(slices.Clone(attrs), func(a *onnx.Attribute) bool { return a.Name == name })
	return append(out, onnx.AttrI(name, v))
}

// withInts is withInt for a list.
func withInts(attrs []*onnx.Attribute, name string, v []int64) []*onnx.Attribute {
	out := slices.DeleteFunc(slices.Clone(attrs), func(a *onnx.Attribute) bool { return a.Name == name })
	return append(out, onnx.AttrIs(name, v...))
}

// sinkRule says how an operator is applied to tensors whose axes are in another order.
type sinkRule struct {
	// all: every input has the axes of the output, up to broadcasting; else only input 0.
	all bool
	// move changes m, a copy of the node with the transposed inputs in place, from the
	// order of the output of the Transpose to that of its input: axis a becomes perm[a].
	// It returns the permutation that gives the node's outputs.
	move func(k *sinker, m *Node, perm []int) (out []int, ok bool)
}

// sink applies n before the transposes of its inputs, if it can.
func (k *sinker) sink(n *Node, rule *sinkRule) (bool, error) {
	count := 1
	if rule.all {
		count = len(n.In)
	}
	var perm []int
	others := 0
	for _, id := range n.In[:count] {
		if id == None {
			continue
		}
		if m := k.makers[id]; m != nil && isTranspose(m) {
			p, ok := permOf(m, k.rank(m.In[0]))
			if !ok || perm != nil && !slices.Equal(p, perm) {
				return false, nil
			}
			perm = p
		} else if k.Values[id].Kind != Constant {
			others++
		}
	}
	if perm == nil || others > 0 && !k.eager {
		return false, nil
	}
	m := *n
	m.In = slices.Clone(n.In)
	for i, id := range n.In[:count] {
		if id == None {
			continue
		}
		moved, ok, err := k.moveInput(id, perm)
		if !ok || err != nil {
			return false, err
		}
		m.In[i] = moved
	}
	out, ok := rule.move(k, &m, perm)
	if !ok {
		return false, nil
	}
	m.Out = make([]ValueID, len(n.Out))
	var after []*Node
	for i, o := range n.Out {
		m.Out[i] = None
		if o == None {
			continue
		}
		v := k.Values[o]
		m.Out[i] = k.AddValue(Value{Name: v.Name + "_t", Type: declared(v.Type, inverse(out))})
		k.ranks[m.Out[i]] = len(out)
		t, err := k.transposeNode(m.Out[i], out, &Node{Name: fmt.Sprintf("%s_t%d", n.Name, i), Opset: k.Opsets[""], Out: []ValueID{o}})
		if err != nil {
			return false, err
		}
		after = append(after, t)
	}
	if err := k.makeOp(&m, nil); err != nil {
		return false, errorf("node %q (%s): %w", m.Name, m.OpType, err)
	}
	k.emit(&m)
	for _, t := range after {
		k.ranks[t.Out[0]] = len(out)
		if _, err := k.transpose(t); err != nil {
			return false, err
		}
	}
	return true, nil
}

// moveInput returns the value that gives id when it is transposed by perm.
func (k *sinker) moveInput(id ValueID, perm []int) (ValueID, bool, error) {
	if m := k.makers[id]; m != nil && isTranspose(m) {
		return m.In[0], true, nil
	}
	v := k.Values[id]
	if v.Kind != Constant {
		if k.rank(id) != len(perm) {
			return None, k.rank(id) == 0, nil
		}
		out := k.AddValue(Value{Name: v.Name + "_t", Type: declared(v.Type, inverse(perm))})
		k.ranks[out] = len(perm)
		t, err := k.transposeNode(id, inverse(perm), &Node{Name: v.Name + "_t", Opset: k.Opsets[""], Out: []ValueID{out}})
		if err != nil {
			return None, false, err
		}
		k.emit(t)
		return out, true, nil
	}
	switch shape := v.Data.Shape(); {
	case v.Data.Elems() == 1 && len(shape) <= len(perm):
		return id, true, nil
	case len(shape) > len(perm):
		return None, false, nil
	default:
		full := make([]int, len(perm)-len(shape), len(perm))
		for i := range full {
			full[i] = 1
		}
		t, err := v.Data.Reshape(append(full, shape...)...)
		if err != nil {
			return None, false, err
		}
		if t, err = transposed(t, inverse(perm)); err != nil {
			return None, false, err
		}
		c := k.AddConst(v.Name+"_t", t)
		k.Values[c].Origin = v.Origin
		k.ranks[c] = len(perm)
		return c, true, nil
	}
}

// transposed returns a copy of a constant with its axes in another order.
func transposed(t *tensor.Tensor, perm []int) (*tensor.Tensor, error) {
	out, err := tensor.New(t.DType(), permuted(t.Shape(), perm)...)
	if err != nil || t.Elems() == 0 {
		return out, err
	}
	size := len(t.Bytes()) / t.Elems()
	steps := permuted(t.Shape().Strides(), perm)
	index := make([]int, len(perm))
	dst, src := out.Bytes(), t.Bytes()
	for at, from := 0, 0; at < len(dst); at += size {
		copy(dst[at:at+size], src[from*size:])
		for a := len(index) - 1; a >= 0; a-- {
			if index[a]++; index[a] < out.Shape()[a] {
				from += steps[a]
				break
			}
			from -= (index[a] - 1) * steps[a]
			index[a] = 0
		}
	}
	return out, nil
}

package graph

import (
	"fmt"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// sequences replaces the sequences of tensors in a graph that exporters write where the parts
// and which of them is taken are known: SequenceAt of SplitToSequence is a Slice or Gather,
// SequenceAt of SequenceConstruct is one of its inputs, and ConcatFromSequence of
// SequenceConstruct is a Concat. It returns g itself where there is nothing to replace, and
// leaves sequences that something else reads; g is not changed.
func sequences(g *onnx.Graph, opset int) *onnx.Graph {
	f := &sequenceFolder{opset: opset, makers: map[string]*onnx.Node{}, values: map[string]*tensor.Tensor{}, names: map[string]bool{}}
	for _, n := range g.Nodes {
		if (n.OpType == "SplitToSequence" || n.OpType == "SequenceConstruct") && len(n.Inputs) > 0 && len(n.Outputs) == 1 {
			f.makers[n.Outputs[0]] = n
		}
	}
	if len(f.makers) == 0 {
		return g
	}
	f.look(g)
	out := *g
	out.Initializers = slices.Clone(g.Initializers)
	out.Nodes = nil
	used := map[string]bool{}
	for _, n := range g.Nodes {
		made, ok := f.replace(n)
		if !ok {
			made = []*onnx.Node{n}
		}
		for _, m := range made {
			for _, in := range m.Inputs {
				used[in] = true
			}
			for _, a := range m.Attrs {
				if a.Graph != nil { // may read any sequence
					return g
				}
			}
		}
		out.Nodes = append(out.Nodes, made...)
	}
	for _, o := range g.Outputs {
		used[o.Name] = true
	}
	out.Nodes = slices.DeleteFunc(out.Nodes, func(n *onnx.Node) bool {
		return len(n.Outputs) == 1 && f.makers[n.Outputs[0]] == n && !used[n.Outputs[0]]
	})
	out.Initializers = append(out.Initializers, f.made...)
	return &out
}

type sequenceFolder struct {
	opset  int
	makers map[string]*onnx.Node // of sequences, by output
	values map[string]*tensor.Tensor
	names  map[string]bool
	made   []*onnx.Tensor
}

// look collects the constants and all names.
func (f *sequenceFolder) look(g *onnx.Graph) {
	for _, in := range g.Inputs {
		f.names[in.Name] = true
	}
	for _, t := range g.Initializers {
		f.names[t.Name] = true
		if t.Value != nil {
			f.values[t.Name] = t.Value
		}
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			f.names[o] = true
		}
		if n.OpType != "Constant" || domainOf(n) != "" || len(n.Outputs) != 1 {
			continue
		}
		if a := n.Attr("value"); a != nil && a.Tensor != nil && a.Tensor.Value != nil {
			f.values[n.Outputs[0]] = a.Tensor.Value
		} else if a := n.Attr("value_int"); a != nil {
			f.values[n.Outputs[0]] = tensor.Scalar(a.Int)
		} else if a := n.Attr("value_ints"); a != nil {
			f.values[n.Outputs[0]] = tensor.Must(tensor.Of(a.Ints, len(a.Ints)))
		}
	}
}

// ints returns a constant of integers.
func (f *sequenceFolder) ints(name string) (v []int64, rank int, ok bool) {
	t := f.values[name]
	if t == nil {
		return nil, 0, false
	}
	switch t.DType() {
	case tensor.Int64:
		v = t.Int64s()
	case tensor.Int32:
		for _, x := range tensor.Data[int32](t) {
			v = append(v, int64(x))
		}
	default:
		return nil, 0, false
	}
	return v, t.Rank(), true
}

// constant adds an initializer and returns its name.
func (f *sequenceFolder) constant(base string, rank int, v ...int64) string {
	name := base
	for i := 1; f.names[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	f.names[name] = true
	t := tensor.Must(tensor.Of(v, len(v)))
	dims := []int64{int64(len(v))}
	if rank == 0 {
		t, dims = tensor.Scalar(v[0]), nil
	}
	f.made = append(f.made, &onnx.Tensor{Name: name, DType: tensor.Int64, Dims: dims, Value: t})
	return name
}

// replace returns what takes the place of a node that reads a sequence, if that is known.
func (f *sequenceFolder) replace(n *onnx.Node) ([]*onnx.Node, bool) {
	if domainOf(n) != "" || len(n.Inputs) == 0 || len(n.Outputs) != 1 {
		return nil, false
	}
	maker := f.makers[n.Inputs[0]]
	if maker == nil || domainOf(maker) != "" {
		return nil, false
	}
	switch {
	case n.OpType == "SequenceAt" && len(n.Inputs) == 2:
		pos, _, ok := f.ints(n.Inputs[1])
		if !ok || len(pos) != 1 {
			return nil, false
		}
		if maker.OpType == "SequenceConstruct" {
			at := pos[0]
			if at < 0 {
				at += int64(len(maker.Inputs))
			}
			if at < 0 || at >= int64(len(maker.Inputs)) {
				return nil, false
			}
			return []*onnx.Node{{Name: n.Name, OpType: "Identity", Inputs: []string{maker.Inputs[at]}, Outputs: n.Outputs}}, true
		}
		m := f.part(maker, pos[0], n)
		return []*onnx.Node{m}, m != nil
	case n.OpType == "ConcatFromSequence" && maker.OpType == "SequenceConstruct":
		return f.concat(maker, n)
	}
	return nil, false
}

// part is one part of a tensor that is split.
func (f *sequenceFolder) part(split *onnx.Node, pos int64, n *onnx.Node) *onnx.Node {
	axis := int64(0)
	if a := split.Attr("axis"); a != nil {
		axis = a.Int
	}
	m := &onnx.Node{Name: n.Name, Outputs: n.Outputs, Inputs: split.Inputs[:1:1]}
	base := n.Outputs[0]
	if len(split.Inputs) < 2 || split.Inputs[1] == "" { // parts of extent 1, or without the axis
		rank := 1
		if a := split.Attr("keepdims"); a != nil && a.Int == 0 {
			rank = 0
		}
		m.OpType, m.Attrs = "Gather", []*onnx.Attribute{onnx.AttrI("axis", axis)}
		m.Inputs = append(m.Inputs, f.constant(base+"_index", rank, pos))
		return m
	}
	sizes, rank, ok := f.ints(split.Inputs[1])
	if !ok {
		return nil
	}
	var from, to int64
	const most = 1 << 31
	if rank == 0 {
		if pos < 0 || pos > most || sizes[0] < 1 || sizes[0] > most {
			return nil
		}
		from, to = pos*sizes[0], (pos+1)*sizes[0]
	} else {
		if pos < 0 {
			pos += int64(len(sizes))
		}
		if pos < 0 || pos >= int64(len(sizes)) {
			return nil
		}
		for _, s := range sizes[:pos+1] {
			if s < 0 || s > most {
				return nil
			}
			from, to = to, to+s
		}
	}
	m.OpType = "Slice"
	m.Inputs = append(m.Inputs, f.constant(base+"_start", 1, from), f.constant(base+"_end", 1, to), f.constant(base+"_axis", 1, axis))
	return m
}

// concat joins the inputs of a SequenceConstruct.
func (f *sequenceFolder) concat(maker, n *onnx.Node) ([]*onnx.Node, bool) {
	axis := n.Attr("axis")
	if axis == nil || len(maker.Inputs) == 0 {
		return nil, false
	}
	var out []*onnx.Node
	in := maker.Inputs
	if a := n.Attr("new_axis"); a != nil && a.Int != 0 {
		in = nil
		for i, x := range maker.Inputs {
			u := &onnx.Node{Name: fmt.Sprintf("%s_%d", nodeName(n, 0), i), OpType: "Unsqueeze", Inputs: []string{x}}
			if f.opset < 13 {
				u.Attrs = []*onnx.Attribute{onnx.AttrIs("axes", axis.Int)}
			} else {
				u.Inputs = append(u.Inputs, f.constant(n.Outputs[0]+"_axis", 1, axis.Int))
			}
			y := fmt.Sprintf("%s_part_%d", n.Outputs[0], i)
			for f.names[y] {
				y += "_"
			}
			f.names[y] = true
			u.Outputs = []string{y}
			in = append(in, y)
			out = append(out, u)
		}
	}
	return append(out, &onnx.Node{Name: n.Name, OpType: "Concat", Inputs: in, Outputs: n.Outputs, Attrs: []*onnx.Attribute{onnx.AttrI("axis", axis.Int)}}), true
}

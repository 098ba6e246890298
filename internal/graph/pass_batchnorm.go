package graph

import (
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/late"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// FoldBatchNorm multiplies what follows a Conv, ConvTranspose or Gemm, and scales and shifts
// each channel by constants, into the weights and bias: a BatchNormalization that
// does not train,
//
//	y = (x − mean) / sqrt(var + ε) · scale + B
//
// which is x·k + (B − mean·k) with k = scale / sqrt(var + ε), computed in float64; and Mul,
// Div, Add and Sub, as which it may be spelled out.
func FoldBatchNorm(g *Graph) (bool, error) {
	prod, uses := g.Producers(), g.Uses()
	changed := false
	gone := make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		x, ok := g.scaled(n, prod)
		if !ok || uses[x] != 1 {
			continue
		}
		p := prod[x]
		channels, rank := g.outputChannels(g.Nodes[p])
		if channels < 1 {
			continue
		}
		k, shift, ok := g.affine(n, x, channels, rank)
		if !ok {
			continue
		}
		merged, ok, err := g.scaleOutput(g.Nodes[p], k, shift)
		if err != nil {
			return changed, err
		}
		if !ok {
			continue
		}
		merged.Out = []ValueID{n.Out[0]}
		g.Nodes[p] = merged
		gone[i], prod[n.Out[0]] = true, p
		changed = true
	}
	if changed {
		g.dropNodes(gone)
	}
	return changed, nil
}

// scaled returns the input of n that another node computes, if n may be a scaling and
// shifting of its channels.
func (g *Graph) scaled(n *Node, prod []int) (ValueID, bool) {
	if n.Domain != "" || len(n.In) < 2 || n.In[0] == None || n.In[1] == None || len(n.Out) == 0 || n.Out[0] == None || extraOutputs(n) {
		return None, false
	}
	switch n.OpType {
	case "BatchNormalization":
		return n.In[0], len(n.In) == 5 && prod[n.In[0]] >= 0
	case "Mul", "Add", "Sub", "Div":
		if len(n.In) != 2 || len(n.Attrs) > 0 { // the broadcast attribute of opset 6
			return None, false
		}
		if prod[n.In[0]] >= 0 && g.Values[n.In[1]].Kind == Constant {
			return n.In[0], true
		}
		if prod[n.In[1]] >= 0 && g.Values[n.In[0]].Kind == Constant && n.OpType != "Div" {
			return n.In[1], true
		}
	}
	return None, false
}

// outputChannels returns the number of channels, along axis 1, and the rank of the output
// of a node with constant weights, or zeros.
func (g *Graph) outputChannels(n *Node) (channels, rank int) {
	if n.Domain != "" || len(n.In) < 2 {
		return 0, 0
	}
	w, err := g.ConstOf(n.In[1])
	if err != nil || w.Rank() < 2 {
		return 0, 0
	}
	group := intAttr(n, "group", 1)
	if group < 1 || group > int64(w.Shape()[0]) {
		return 0, 0
	}
	switch n.OpType {
	case "Conv":
		return w.Shape()[0], w.Rank()
	case "ConvTranspose":
		return w.Shape()[1] * int(group), w.Rank()
	case "Gemm":
		return w.Shape()[1-intAttr(n, "transB", 0)&1], 2
	}
	return 0, 0
}

func extraOutputs(n *Node) bool {
	for _, o := range n.Out[1:] {
		if o != None {
			return true
		}
	}
	return false
}

// affine returns the factor and the shift that a node applies to each channel of x.
func (g *Graph) affine(n *Node, x ValueID, channels, rank int) (k, shift []float64, ok bool) {
	if n.OpType == "BatchNormalization" {
		return g.batchNorm(n)
	}
	other := n.In[1]
	if other == x {
		other = n.In[0]
	}
	t, err := g.ConstOf(other)
	if err != nil || t.DType() != tensor.Float32 || t.Rank() > rank {
		return nil, nil, false
	}
	// The only axis that may be longer than 1 is that of the channels.
	for i, d := range t.Shape() {
		if d != 1 && (i != t.Rank()-rank+1 || d != channels) {
			return nil, nil, false
		}
	}
	k, shift = make([]float64, channels), make([]float64, channels)
	for c := range k {
		v := float64(t.Float32s()[c%t.Elems()])
		switch n.OpType {
		case "Mul":
			k[c] = v
		case "Div":
			k[c] = 1 / v
		case "Add":
			k[c], shift[c] = 1, v
		case "Sub":
			k[c], shift[c] = 1, -v
			if x == n.In[1] {
				k[c], shift[c] = -1, v
			}
		}
		if math.IsNaN(k[c]) || math.IsInf(k[c], 0) || math.IsNaN(shift[c]) || math.IsInf(shift[c], 0) {
			return nil, nil, false
		}
	}
	return k, shift, true
}

// batchNorm returns the factor and the shift, by channel, of a BatchNormalization.
func (g *Graph) batchNorm(bn *Node) (k, shift []float64, ok bool) {
	eps := float64(float32(1e-5))
	for _, a := range bn.Attrs {
		switch {
		case a.Name == "epsilon" && a.Type == onnx.AttrFloat:
			eps = float64(a.Float)
		case a.Name == "training_mode" && a.Int != 0, a.Name == "spatial" && a.Int == 0:
			return nil, nil, false
		}
	}
	var p [4][]float32
	for i := range p {
		t, err := g.ConstOf(bn.In[1+i])
		if err != nil || t.DType() != tensor.Float32 || t.Rank() != 1 {
			return nil, nil, false
		}
		p[i] = t.Float32s()
		if len(p[i]) != len(p[0]) {
			return nil, nil, false
		}
	}
	k, shift = make([]float64, len(p[0])), make([]float64, len(p[0]))
	for c := range k {
		k[c] = float64(p[0][c]) / math.Sqrt(float64(p[3][c])+eps)
		shift[c] = float64(p[1][c]) - float64(p[2][c])*k[c]
		if math.IsNaN(k[c]) || math.IsInf(k[c], 0) || math.IsNaN(shift[c]) || math.IsInf(shift[c], 0) {
			return nil, nil, false
		}
	}
	return k, shift, true
}

// scaleOutput returns a copy of a node with the weights and bias that give k times its
// output plus shift, by channel.
func (g *Graph) scaleOutput(n *Node, k, shift []float64) (*Node, bool, error) {
	if n.Domain != "" || len(n.In) < 2 || len(n.Out) != 1 {
		return nil, false, nil
	}
	w, err := g.ConstOf(n.In[1])
	if err != nil || w.DType() != tensor.Float32 || w.Rank() < 2 {
		return nil, false, nil
	}
	axis, group, alpha, beta := 0, 1, 1.0, 1.0
	for _, a := range n.Attrs {
		switch a.Name {
		case "group":
			group = int(a.Int)
		case "alpha":
			alpha = float64(a.Float)
		case "beta":
			beta = float64(a.Float)
		}
	}
	switch n.OpType {
	case "Conv":
	case "ConvTranspose":
		axis = 1
	case "Gemm":
		axis = 1
		if a := attr(n, "transB"); a != nil && a.Int != 0 {
			axis = 0
		}
		if alpha != 1 || beta != 1 {
			return nil, false, nil
		}
	default:
		return nil, false, nil
	}
	if group < 1 || w.Shape()[0]%group != 0 {
		return nil, false, nil
	}
	channels := w.Shape()[axis]
	if n.OpType == "ConvTranspose" {
		channels *= group
	}
	if channels != len(k) {
		return nil, false, nil
	}
	bias := make([]float32, len(k))
	if len(n.In) > 2 && n.In[2] != None {
		b, err := g.ConstOf(n.In[2])
		if err != nil || b.DType() != tensor.Float32 || !isRow(b.Shape(), len(k)) {
			return nil, false, nil
		}
		for c := range bias {
			bias[c] = b.Float32s()[c%b.Elems()]
		}
	}
	for c := range bias {
		bias[c] = float32(float64(bias[c])*k[c] + shift[c])
	}
	out := *n
	base := g.Values[n.In[1]]
	out.In = []ValueID{n.In[0], n.In[1], g.AddConst(fmt.Sprintf("%s_bn_bias", base.Name), tensor.Must(tensor.Of(bias, len(bias))))}
	if slices.ContainsFunc(k, func(v float64) bool { return v != 1 }) {
		scaled, err := g.scaledAxis(w, axis, n.OpType == "ConvTranspose" && group > 1, group, k)
		if err != nil {
			return nil, false, err
		}
		out.In[1] = g.AddValue(Value{Name: base.Name + "_bn", Kind: Constant, Data: scaled, Type: TypeOf(scaled), Origin: base.Origin})
	}
	return &out, true, g.makeOp(&out, nil)
}

// isRow reports whether a shape broadcasts to n columns, the same in each row.
func isRow(s tensor.Shape, n int) bool {
	for i, d := range s {
		if d != 1 && (i != len(s)-1 || d != n) {
			return false
		}
	}
	return true
}

//go:noinline
func attr(n *Node, name string) *onnx.Attribute {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// lateFrom is the number of elements from which weights are computed when they are read, if
// [Config.Late] is set.
const lateFrom = 16 << 10

// scaledAxis returns w multiplied by k along an axis. With groups, ConvTranspose weights are
// [C, M/group, …] and the channel of row c and column m is (c / (C/group))·(M/group) + m.
func (g *Graph) scaledAxis(w *tensor.Tensor, axis int, grouped bool, group int, k []float64) (*tensor.Tensor, error) {
	s := w.Shape()
	inner := 1
	for _, e := range s[axis+1:] {
		inner *= e
	}
	scale := func(dst, src []float32, from int) {
		for at := 0; at < len(dst); {
			row := (from + at) / inner // of the axis and those before it
			c := row % s[axis]
			if grouped {
				c += row / s[axis] / (s[0] / group) * s[axis]
			}
			f, end := k[c], min((row+1)*inner-from, len(dst))
			for ; at < end; at++ {
				dst[at] = float32(float64(src[at]) * f)
			}
		}
	}
	if !op.Complete || !g.late || w.Elems() < lateFrom {
		scaled := w.Clone()
		scale(scaled.Float32s(), scaled.Float32s(), 0)
		return scaled, nil
	}
	return tensor.NewLate(&late.Values{Src: w, Each: scale}, s...)
}

package graph

import (
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// FoldBatchNorm multiplies a BatchNormalization that does not train into the weights and
// bias of the Conv, ConvTranspose or Gemm before it:
//
//	y = (x − mean) / sqrt(var + ε) · scale + B
//
// which is x·k + (B − mean·k) with k = scale / sqrt(var + ε), computed in float64.
func FoldBatchNorm(g *Graph) (bool, error) {
	prod, uses := g.Producers(), g.Uses()
	changed := false
	for i := 0; i < len(g.Nodes); i++ {
		bn := g.Nodes[i]
		if bn.Domain != "" || bn.OpType != "BatchNormalization" || len(bn.In) != 5 || bn.In[0] == None || extraOutputs(bn) {
			continue
		}
		p := prod[bn.In[0]]
		if p < 0 || uses[bn.In[0]] != 1 {
			continue
		}
		k, shift, ok := g.affine(bn)
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
		merged.Out = []ValueID{bn.Out[0]}
		g.Nodes[p] = merged
		g.Nodes = slices.Delete(g.Nodes, i, i+1)
		prod, uses = g.Producers(), g.Uses()
		i--
		changed = true
	}
	return changed, nil
}

func extraOutputs(n *Node) bool {
	for _, o := range n.Out[1:] {
		if o != None {
			return true
		}
	}
	return false
}

// affine returns the factor and the shift, by channel, of a BatchNormalization.
func (g *Graph) affine(bn *Node) (k, shift []float64, ok bool) {
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
		if err != nil || b.DType() != tensor.Float32 || b.Elems() != len(k) {
			return nil, false, nil
		}
		copy(bias, b.Float32s())
	}
	for c := range bias {
		bias[c] = float32(float64(bias[c])*k[c] + shift[c])
	}
	scaled := w.Clone()
	scaleAxis(scaled, axis, n.OpType == "ConvTranspose" && group > 1, group, k)
	out := *n
	base := g.Values[n.In[1]]
	out.In = []ValueID{n.In[0],
		g.AddValue(Value{Name: base.Name + "_bn", Kind: Constant, Data: scaled, Type: TypeOf(scaled), Origin: base.Origin}),
		g.AddConst(fmt.Sprintf("%s_bn_bias", base.Name), tensor.Must(tensor.Of(bias, len(bias))))}
	return &out, true, nil
}

func attr(n *Node, name string) *onnx.Attribute {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// scaleAxis multiplies w by k along an axis. With groups, ConvTranspose weights are
// [C, M/group, …] and the channel of row c and column m is (c / (C/group))·(M/group) + m.
func scaleAxis(w *tensor.Tensor, axis int, grouped bool, group int, k []float64) {
	d, s := w.Float32s(), w.Shape()
	outer, inner := 1, 1
	for _, e := range s[:axis] {
		outer *= e
	}
	for _, e := range s[axis+1:] {
		inner *= e
	}
	for o := range outer {
		first := 0
		if grouped {
			first = o / (s[0] / group) * s[axis]
		}
		for c := range s[axis] {
			row := d[(o*s[axis]+c)*inner:][:inner]
			for i := range row {
				row[i] = float32(float64(row[i]) * k[first+c])
			}
		}
	}
}

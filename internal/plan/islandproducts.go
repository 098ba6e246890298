package plan

import (
	"math"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// product replaces a convolution or matrix product.
func (s *islands) product(p *graph.Node, y quantised) bool {
	o, ok := op.Integer(p.Op)
	if !ok {
		return false
	}
	x, ok := s.ints[p.In[0]]
	if !ok {
		return false
	}
	w, ok := s.weights(p)
	if !ok {
		return false
	}
	in := []graph.ValueID{x.value, x.scale, x.zero, w.value, w.scale, w.zero, y.scale, y.zero}
	if len(p.In) > 2 && p.In[2] != graph.None {
		b, ok := s.bias(p, x, w)
		if !ok {
			return false
		}
		in = append(in, b)
	}
	name := map[string]string{"Conv": "QLinearConv", "ConvTranspose": "QLinearConvTranspose", "Gemm": "QGemm", "MatMul": "QLinearMatMul"}[p.OpType]
	return s.emit(p, name, o, in, y.value)
}

// weights returns the int8 or uint8 weights of a node, constants behind a DequantizeLinear
// with one scale or one for each output channel.
func (s *islands) weights(p *graph.Node) (quantised, bool) {
	d := s.makers[p.In[1]]
	if d == nil || d.OpType != "DequantizeLinear" || d.Domain != "" {
		return quantised{}, false
	}
	w := quantised{value: d.In[0], scale: d.In[1]}
	f := s.facts[w.value]
	if f.Const == nil || f.DType != tensor.Int8 && f.DType != tensor.Uint8 || len(f.Shape) < 2 {
		return w, false
	}
	scale := s.facts[w.scale]
	if scale.Const == nil || scale.DType != tensor.Float32 || len(scale.Shape) > 1 {
		return w, false
	}
	if scale.Const.Elems() > 1 {
		axis, err := tensor.Axis(int(intAttr(d, "axis", 1)), len(f.Shape))
		if err != nil || axis != outputAxis(p, f.Shape) || intAttr(d, "block_size", 0) != 0 {
			return w, false
		}
	}
	if len(d.In) > 2 && d.In[2] != graph.None {
		w.zero = d.In[2]
		return w, s.facts[w.zero].Const != nil
	}
	t, err := tensor.New(f.DType, scale.Shape...)
	if err != nil {
		return w, false
	}
	w.zero = s.constant(d.Name+"_zero_point", t)
	return w, true
}

// outputAxis is the axis of a node's weights along which its output channels lie, or -1.
func outputAxis(p *graph.Node, w tensor.Shape) int {
	switch p.OpType {
	case "Conv":
		return 0
	case "ConvTranspose":
		if intAttr(p, "group", 1) == 1 {
			return 1
		}
	case "Gemm":
		if intAttr(p, "transB", 0) != 0 {
			return 0
		}
		return 1
	case "MatMul":
		if len(w) == 2 {
			return 1
		}
	}
	return -1
}

func intAttr(n *graph.Node, name string, def int64) int64 {
	for _, a := range n.Attrs {
		if a.Name == name && a.Type == onnx.AttrInt {
			return a.Int
		}
	}
	return def
}

// bias returns the bias of a node as int32 in units of x_scale·w_scale: the constant behind
// its DequantizeLinear where that has this scale, else the rounded one.
func (s *islands) bias(p *graph.Node, x, w quantised) (graph.ValueID, bool) {
	c := s.facts[p.In[2]]
	ws := s.facts[w.scale].Const.Float32s()
	xs := s.facts[x.scale].Const.Float32s()[0]
	unit := func(i int) float64 {
		if len(ws) == 1 {
			i = 0
		}
		return float64(float32(xs * ws[i]))
	}
	shape := c.Shape
	n, _ := shape.Elems()
	if len(shape) < 1 || shape[len(shape)-1] != n || len(ws) > 1 && n != len(ws) {
		return graph.None, false
	}
	if d := s.makers[p.In[2]]; d != nil && d.OpType == "DequantizeLinear" && s.facts[d.In[0]].DType == tensor.Int32 && s.facts[d.In[0]].Const != nil {
		q, bs := s.facts[d.In[0]], s.facts[d.In[1]]
		direct := bs.Const != nil && bs.DType == tensor.Float32 && len(q.Shape) == 1
		if len(d.In) > 2 && d.In[2] != graph.None {
			z := s.facts[d.In[2]].Const
			direct = direct && z != nil && !slices.ContainsFunc(z.Bytes(), func(b byte) bool { return b != 0 })
		}
		if direct {
			v := bs.Const.Float32s()
			for i := range n {
				k := min(i, len(v)-1)
				direct = direct && math.Abs(float64(v[k])/unit(i)-1) < 1e-4
			}
		}
		if direct {
			return d.In[0], true
		}
	}
	if c.Const == nil || c.DType != tensor.Float32 {
		return graph.None, false
	}
	q := make([]int32, n)
	for i, v := range c.Const.Float32s() {
		r := math.RoundToEven(float64(v) / unit(i))
		if !(math.Abs(r) < 1<<30) {
			return graph.None, false
		}
		q[i] = int32(r)
	}
	t, err := tensor.Of(q, n)
	if err != nil {
		return graph.None, false
	}
	return s.constant(s.g.Value(p.In[2]).Name+"_int", t), true
}

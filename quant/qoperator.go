package quant

import (
	"math"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/tensor"
)

// contrib is the domain of integer operators that ONNX does not have.
const contrib = "com.microsoft"

// integers is a quantised tensor.
type integers struct{ value, scale, zero graph.ValueID }

// qoperators is the state of the pass that turns QDQ into QOperator form.
type qoperators struct {
	*rewriter
	ints   map[graph.ValueID]integers // float value → what it is the dequantised form of
	makers map[graph.ValueID]*graph.Node
	uses   []int
	same   map[graph.ValueID]graph.ValueID // integers → an equal value that stands for them
}

// integerMovers are the operators of movers that ONNX Runtime has for 8-bit integers.
var integerMovers = []string{"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Expand", "MaxPool"}

// toQOperator replaces operators that stand between DequantizeLinear and QuantizeLinear by
// operators on integers. Nodes must be in order.
func (r *rewriter) toQOperator() error {
	s := &qoperators{rewriter: r, ints: map[graph.ValueID]integers{}, makers: map[graph.ValueID]*graph.Node{}, uses: r.g.Uses(), same: map[graph.ValueID]graph.ValueID{}}
	g := r.g
	nodes := g.Nodes
	g.Nodes = make([]*graph.Node, 0, len(nodes))
	for _, n := range nodes {
		for _, id := range n.Out {
			s.makers[id] = n
		}
		switch {
		case n.Domain != "":
		case n.OpType == "DequantizeLinear":
			if v, ok := s.same[n.In[0]]; ok {
				n.In[0] = v
			}
			x := integers{n.In[0], n.In[1], graph.None}
			if len(n.In) > 2 {
				x.zero = n.In[2]
			}
			s.ints[n.Out[0]] = x
		case n.OpType == "QuantizeLinear" && len(n.In) == 3:
			// Behind an operator that moves integers there is nothing to quantise.
			if x, ok := s.ints[n.In[0]]; ok && slices.Contains(integerMovers, s.makers[n.In[0]].OpType) && x.scale == n.In[1] && x.zero == n.In[2] {
				s.same[n.Out[0]] = x.value
				continue
			}
			if s.end(n) {
				continue
			}
		case slices.Contains(integerMovers, n.OpType) && len(n.Out) == 1:
			if x, ok := s.ints[n.In[0]]; ok {
				in := slices.Clone(n.In)
				in[0] = x.value
				m, err := g.Add(graph.Spec{Name: n.Name + "_integer", OpType: n.OpType, Attrs: n.Attrs, In: in, OutName: g.Value(n.Out[0]).Name + "_quantized", Opset: n.Opset})
				if err != nil {
					return err
				}
				x.value = m.Out[0]
				s.ints[n.Out[0]] = x
			}
		}
		g.Nodes = append(g.Nodes, n)
	}
	g.RemoveDead()
	return nil
}

// end replaces a QuantizeLinear and what is before it, back to DequantizeLinear nodes, by
// one operator.
func (s *qoperators) end(q *graph.Node) bool {
	y := integers{q.Out[0], q.In[1], q.In[2]}
	p := s.makers[q.In[0]]
	for p != nil && (p.OpType == "Relu" || p.OpType == "Clip") {
		if s.uses[p.Out[0]] != 1 || !s.saturates(p, y) {
			return false
		}
		p = s.makers[p.In[0]]
	}
	if p == nil || p.Domain != "" || len(p.Out) != 1 || s.uses[p.Out[0]] != 1 {
		return false
	}
	xs := make([]integers, len(p.In))
	for i, id := range p.In {
		x, ok := s.ints[id]
		if !ok {
			return false
		}
		xs[i] = x
	}
	if len(xs) == 0 {
		return false
	}
	spec := graph.Spec{Name: p.Name, Domain: contrib, Out: []graph.ValueID{y.value}, Opset: 1}
	flat := func(list ...integers) {
		for _, x := range list {
			spec.In = append(spec.In, x.value, x.scale, x.zero)
		}
	}
	switch p.OpType {
	case "Conv":
		spec.Domain, spec.OpType, spec.Opset, spec.Attrs = "", "QLinearConv", s.opset(), p.Attrs
		flat(xs[:2]...)
		spec.In = append(spec.In, y.scale, y.zero)
		if len(xs) > 2 {
			spec.In = append(spec.In, xs[2].value)
		}
	case "Gemm":
		spec.OpType = "QGemm"
		for _, a := range p.Attrs {
			if a.Name != "beta" {
				spec.Attrs = append(spec.Attrs, a)
			}
		}
		flat(xs[:2]...)
		bias := graph.None
		if len(xs) > 2 {
			bias = xs[2].value
		}
		spec.In = append(spec.In, bias, y.scale, y.zero)
	case "MatMul":
		spec.Domain, spec.OpType, spec.Opset = "", "QLinearMatMul", s.opset()
		flat(xs...)
		spec.In = append(spec.In, y.scale, y.zero)
	case "Sigmoid", "LeakyRelu", "AveragePool", "GlobalAveragePool":
		spec.OpType, spec.Attrs = "QLinear"+p.OpType, p.Attrs
		flat(xs[0], integers{y.scale, y.zero, graph.None})
		spec.In = spec.In[:5]
	case "Add", "Mul":
		spec.OpType = "QLinear" + p.OpType
		flat(xs...)
		spec.In = append(spec.In, y.scale, y.zero)
	case "Concat":
		spec.OpType, spec.Attrs = "QLinearConcat", p.Attrs
		spec.In = []graph.ValueID{y.scale, y.zero}
		flat(xs...)
	default:
		return false
	}
	// Attributes that the integer form does not have are an error of Add.
	_, err := s.g.Add(spec)
	return err == nil
}

// saturates reports whether saturation of the integers y does what Relu or Clip does.
func (s *qoperators) saturates(n *graph.Node, y integers) bool {
	zero, err := s.g.ConstOf(y.zero)
	if err != nil {
		return false
	}
	scale, err := s.g.ConstOf(y.scale)
	if err != nil {
		return false
	}
	qmin, qmax := limits(zero.DType())
	z := int(zero.Bytes()[0])
	if zero.DType() == tensor.Int8 {
		z = int(int8(z))
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	if n.OpType == "Relu" {
		lo = 0
	}
	for i, v := range []*float64{&lo, &hi} {
		if n.OpType == "Relu" || len(n.In) <= i+1 || n.In[i+1] == graph.None {
			continue
		}
		t, err := s.g.ConstOf(n.In[i+1])
		if err != nil || t.DType() != tensor.Float32 || t.Elems() != 1 {
			return false
		}
		*v = float64(t.Float32s()[0])
	}
	f := float64(scale.Float32s()[0])
	return lo/f+float64(z) < float64(qmin)+0.5 && hi/f+float64(z) > float64(qmax)-0.5
}

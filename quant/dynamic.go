package quant

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Dynamic returns a model that quantises the inputs of its Gemm, MatMul and Conv nodes
// while it runs, by the smallest and largest value of each: DynamicQuantizeLinear, then
// MatMulInteger or ConvInteger with int8 weights, then float32. Weights are symmetric with
// one scale for each output channel; those of ConvInteger are uint8 with zero point 128,
// which is the form that ONNX Runtime has, and means the same. ConvTranspose, for which
// ONNX has no integer form, keeps its arithmetic and has int8 weights behind a
// DequantizeLinear. No calibration is needed. Of the options, PerTensor, ReduceRange and
// Exclude count. m is not changed.
func Dynamic(m *onnx.Model, o Options) (*onnx.Model, *Report, error) {
	g, err := prepare(m)
	if err != nil {
		return nil, nil, err
	}
	r := &rewriter{g: g, opts: o, report: &Report{Method: "dynamic"}}
	d := &dynamic{rewriter: r, inputs: map[graph.ValueID][]graph.ValueID{}, weights: map[graph.ValueID]graph.ValueID{}}
	for _, n := range append([]*graph.Node{}, g.Nodes...) {
		w, axis, ok := r.weightOf(n)
		if !ok {
			continue
		}
		l := Layer{Node: n.Name, OpType: n.OpType, Weights: w.Elems(), Float: o.Exclude != nil && o.Exclude(n.Name)}
		if !l.Float {
			if err := d.layer(n, w, axis, &l); err != nil {
				return nil, nil, fmt.Errorf("quant: node %q (%s): %w", n.Name, n.OpType, err)
			}
		}
		r.report.Layers = append(r.report.Layers, l)
	}
	if err := g.Sort(); err != nil {
		return nil, nil, err
	}
	g.RemoveDead()
	return r.finish(m)
}

// dynamic is the state of the rewriting.
type dynamic struct {
	*rewriter
	inputs  map[graph.ValueID][]graph.ValueID // activation → its integers, scale and zero point
	weights map[graph.ValueID]graph.ValueID   // of ConvTranspose
}

// node adds a node before the one at hand and returns its first output.
func (d *dynamic) node(name, opType string, in []graph.ValueID, attrs ...*onnx.Attribute) (graph.ValueID, error) {
	n, err := d.g.Add(graph.Spec{Name: name, OpType: opType, In: in, Attrs: attrs, OutName: name + "_output", Opset: d.opset()})
	if err != nil {
		return graph.None, err
	}
	return n.Out[0], nil
}

// quantised returns the integers, the scale and the zero point of an activation.
func (d *dynamic) quantised(id graph.ValueID) ([]graph.ValueID, error) {
	if q, ok := d.inputs[id]; ok {
		return q, nil
	}
	name := d.g.Value(id).Name
	n, err := d.g.Add(graph.Spec{Name: name + "_DynamicQuantizeLinear", OpType: "DynamicQuantizeLinear", In: []graph.ValueID{id}, Outputs: 3, OutName: name + "_quantized", Opset: d.opset()})
	if err != nil {
		return nil, err
	}
	d.inputs[id] = n.Out
	return n.Out, nil
}

func (d *dynamic) layer(n *graph.Node, w *tensor.Tensor, axis int, l *Layer) error {
	q, scales := quantizeWeights(w, axis, d.opts, nil)
	l.WeightSQNR = weightSQNR(w, q, scales, axis)
	name := d.g.Value(n.In[1]).Name
	if n.OpType == "ConvTranspose" {
		id, ok := d.weights[n.In[1]]
		if !ok {
			var err error
			if id, err = d.dequantConst(name, q, scales, axis); err != nil {
				return err
			}
			d.weights[n.In[1]] = id
		}
		n.In[1] = id
		return nil
	}
	x, err := d.quantised(n.In[0])
	if err != nil {
		return err
	}
	conv := n.OpType == "Conv"
	in, attrs, opType := []graph.ValueID{x[0], graph.None, x[2]}, n.Attrs, "ConvInteger"
	switch {
	case conv:
		u := tensor.Must(tensor.New(tensor.Uint8, q.Shape()...))
		for i, v := range tensor.Data[int8](q) {
			u.Bytes()[i] = uint8(v) ^ 0x80
		}
		in[1] = d.g.AddConst(name+"_quantized", u)
		in = append(in, d.g.AddConst(name+"_zero_point", tensor.Scalar(uint8(128))))
	default:
		opType, attrs = "MatMulInteger", nil
		if n.OpType == "Gemm" && axis == 0 {
			q = transposed(q)
		}
		in[1] = d.g.AddConst(name+"_quantized", q)
	}
	sums, err := d.node(n.Name+"/"+opType, opType, in, attrs...)
	if err != nil {
		return err
	}
	y, err := d.node(n.Name+"/Cast", "Cast", []graph.ValueID{sums}, onnx.AttrI("to", int64(tensor.Float32)))
	if err != nil {
		return err
	}
	channels := func(v []float32) (*tensor.Tensor, error) {
		shape := []int{len(v)}
		if conv {
			shape = append(shape, ones(w.Rank()-2)...)
		}
		return tensor.Of(v, shape...)
	}
	st := tensor.Scalar(scales[0])
	if len(scales) > 1 {
		if st, err = channels(scales); err != nil {
			return err
		}
	}
	scale, err := d.node(n.Name+"/scale", "Mul", []graph.ValueID{x[1], d.g.AddConst(name+"_scale", st)})
	if err != nil {
		return err
	}
	last := graph.Spec{Name: n.Name + "/Mul", OpType: "Mul", In: []graph.ValueID{y, scale}, Out: n.Out, Opset: d.opset()}
	if len(n.In) > 2 && n.In[2] != graph.None {
		bias := n.In[2]
		if conv {
			b, err := d.g.ConstOf(bias)
			if err != nil {
				return err
			}
			if b, err = channels(b.Float32s()); err != nil {
				return err
			}
			bias = d.g.AddConst(d.g.Value(bias).Name, b)
		}
		scaled, err := d.node(n.Name+"/Mul", "Mul", []graph.ValueID{y, scale})
		if err != nil {
			return err
		}
		last = graph.Spec{Name: n.Name + "/Add", OpType: "Add", In: []graph.ValueID{scaled, bias}, Out: n.Out, Opset: d.opset()}
	}
	d.remove(n)
	_, err = d.g.Add(last)
	return err
}

// remove takes out a node whose outputs another is to produce.
func (d *dynamic) remove(n *graph.Node) {
	for i, m := range d.g.Nodes {
		if m == n {
			d.g.Nodes = append(d.g.Nodes[:i:i], d.g.Nodes[i+1:]...)
			return
		}
	}
}

func ones(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = 1
	}
	return s
}

// transposed returns the transpose of an int8 matrix.
func transposed(q *tensor.Tensor) *tensor.Tensor {
	rows, cols := q.Shape()[0], q.Shape()[1]
	out := tensor.Must(tensor.New(tensor.Int8, cols, rows))
	dst, src := tensor.Data[int8](out), tensor.Data[int8](q)
	for i := range rows {
		for j := range cols {
			dst[j*rows+i] = src[i*cols+j]
		}
	}
	return out
}

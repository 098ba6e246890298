package quant

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// WeightsInt8 returns a model whose weights of Gemm, MatMul, Conv and ConvTranspose are
// int8, symmetric, with one scale for each output channel, behind a DequantizeLinear.
// Activations stay float32; no calibration is needed. Operators that o.Exclude names stay
// as they are. m is not changed.
func WeightsInt8(m *onnx.Model, o Options) (*onnx.Model, *Report, error) {
	return weightsOnly(m, o, "weight-only int8", func(r *rewriter, name string, w *tensor.Tensor, axis int, l *Layer) (graph.ValueID, error) {
		q, scales := quantizeWeights(w, axis, o, nil)
		l.WeightSQNR = weightSQNR(w, q, scales, axis)
		return r.dequantConst(name, q, scales, axis)
	})
}

// WeightsFloat16 is WeightsInt8 with weights in float16 behind a Cast. Weights beyond the
// range of float16 are an error.
func WeightsFloat16(m *onnx.Model, o Options) (*onnx.Model, *Report, error) {
	return weightsOnly(m, o, "weight-only float16", func(r *rewriter, name string, w *tensor.Tensor, _ int, l *Layer) (graph.ValueID, error) {
		h, err := tensor.New(tensor.Float16, w.Shape()...)
		if err != nil {
			return graph.None, err
		}
		signal, noise := 0.0, 0.0
		for i, v := range w.Float32s() {
			x := tensor.ToF16(v)
			if math.IsInf(float64(x.Float32()), 0) {
				return graph.None, fmt.Errorf("weight %v does not fit float16", v)
			}
			tensor.Data[tensor.F16](h)[i] = x
			d := float64(v - x.Float32())
			signal += float64(v) * float64(v)
			noise += d * d
		}
		l.WeightSQNR = decibels(signal, noise)
		g := r.g
		v := g.AddValue(graph.Value{Name: name + "_float16", Kind: graph.Constant, Data: h, Type: graph.TypeOf(h), Origin: name})
		n, err := g.Add(graph.Spec{Name: name + "_Cast", OpType: "Cast", In: []graph.ValueID{v}, OutName: name + "_float32", Opset: r.opset(),
			Attrs: []*onnx.Attribute{onnx.AttrI("to", int64(tensor.Float32))}})
		if err != nil {
			return graph.None, err
		}
		return n.Out[0], nil
	})
}

func weightsOnly(m *onnx.Model, o Options, method string, f func(*rewriter, string, *tensor.Tensor, int, *Layer) (graph.ValueID, error)) (*onnx.Model, *Report, error) {
	g, err := prepare(m)
	if err != nil {
		return nil, nil, err
	}
	r := &rewriter{g: g, opts: o, quantised: map[graph.ValueID]graph.ValueID{}, report: &Report{Method: method}}
	small := map[graph.ValueID]graph.ValueID{} // weights that several nodes share
	for _, n := range append([]*graph.Node{}, g.Nodes...) {
		w, axis, ok := r.weightOf(n)
		if !ok {
			continue
		}
		l := Layer{Node: n.Name, OpType: n.OpType, Weights: w.Elems(), Float: o.Exclude != nil && o.Exclude(n.Name)}
		if !l.Float {
			id, ok := small[n.In[1]]
			if !ok {
				if id, err = f(r, g.Value(n.In[1]).Name, w, axis, &l); err != nil {
					return nil, nil, fmt.Errorf("quant: node %q (%s): %w", n.Name, n.OpType, err)
				}
				small[n.In[1]] = id
			}
			n.In[1] = id
		}
		r.report.Layers = append(r.report.Layers, l)
	}
	if err := g.Sort(); err != nil {
		return nil, nil, err
	}
	g.RemoveDead()
	return r.finish(m)
}

package quant

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

// Operators of training that stand in for quantised tensors.
const (
	trainingDomain   = "ai.aekit.training"
	fakeQuant        = "FakeQuant"
	fakeQuantWeights = "FakeQuantWeights"
)

// Fake returns a model for quantisation-aware training: the float32 graph that [Quantize]
// starts from, with operators of the set's training domain where Quantize puts pairs and
// int8 weights, whose values they round likewise. Activations have fixed parameters, which
// are returned by name, for Options.Params; scales of weights follow the weights. The output
// of a Sigmoid is left as it is, so that objectives find its logits. Package quant/qat
// trains such models.
func Fake(m *onnx.Model, c *Calibration, o Options, set op.Set) (*onnx.Model, map[string]Params, error) {
	r, err := newRewriter(m, c, o, set)
	if err != nil {
		return nil, nil, err
	}
	r.chosen = map[string]Params{}
	if err := r.run(); err != nil {
		return nil, nil, err
	}
	out, _, err := r.finish(m)
	return out, r.chosen, err
}

// Optimized returns the float32 graph that [Quantize] starts from as a model: m with
// BatchNormalization folded and constants computed.
func Optimized(m *onnx.Model) (*onnx.Model, error) {
	g, err := prepare(m)
	if err != nil {
		return nil, err
	}
	return writeModel(g, m)
}

// fakeLayer is layer for training.
func (r *rewriter) fakeLayer(n *graph.Node, in graph.ValueID, axis int, layer *Layer) error {
	w := r.fakeWeights[n.In[1]]
	if w == nil {
		if r.opts.PerTensor {
			axis = -1
		}
		name := r.g.Value(n.In[1]).Name
		var err error
		w, err = r.g.Add(graph.Spec{Name: name + "_FakeQuant", Domain: trainingDomain, OpType: fakeQuantWeights, In: []graph.ValueID{n.In[1]}, OutName: name + "_dq", Opset: 1,
			Attrs: []*onnx.Attribute{onnx.AttrI("axis", int64(axis)), onnx.AttrI("limit", int64(r.opts.weightLimit()))}})
		if err != nil {
			return fmt.Errorf("for training: %w", err)
		}
		if r.fakeWeights == nil {
			r.fakeWeights = map[graph.ValueID]*graph.Node{}
		}
		r.fakeWeights[n.In[1]] = w
	}
	n.In[0], n.In[1] = in, w.Out[0]
	return r.output(n, layer)
}

// fakePair is pair for training.
func (r *rewriter) fakePair(id graph.ValueID, name string, p Params) (graph.ValueID, Params, error) {
	qmin, qmax := limits(p.DType)
	n, err := r.g.Add(graph.Spec{Name: name + "_FakeQuant", Domain: trainingDomain, OpType: fakeQuant, In: []graph.ValueID{id}, OutName: name + "_dq", Opset: 1,
		Attrs: []*onnx.Attribute{onnx.AttrF("scale", p.Scale), onnx.AttrI("zero_point", int64(p.ZeroPoint)), onnx.AttrI("qmin", int64(qmin)), onnx.AttrI("qmax", int64(qmax))}})
	if err != nil {
		return id, p, fmt.Errorf("for training: %w", err)
	}
	r.quantised[id], r.behind[n.Out[0]] = n.Out[0], pairOf{Params: p}
	return n.Out[0], p, nil
}

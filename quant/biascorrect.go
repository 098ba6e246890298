package quant

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// meanError returns, for each output channel of a node, the mean over the calibration's
// inputs of what the rounding of the weights adds to it: Σ (s·q - w)·E[x] (Nagel et al.
// 2019, section 4.2). It is nil where the means are not known. Borders, where a convolution
// sees fewer inputs, count like the rest.
func meanError(n *graph.Node, means []float64, w, q *tensor.Tensor, scales []float32, axis int) []float64 {
	in, from := inputChannels(n, w.Shape())
	if len(means) != in {
		return nil
	}
	channels, to := channelIndex(w.Shape(), axis)
	out := make([]float64, channels)
	qd := tensor.Data[int8](q)
	for i, v := range w.Float32s() {
		c := to(i)
		s := scales[0]
		if len(scales) > 1 {
			s = scales[c]
		}
		out[c] += (float64(s)*float64(qd[i]) - float64(v)) * means[from(i)]
	}
	if n.OpType == "ConvTranspose" {
		// Each output sees the taps of its phase only.
		for _, a := range n.Attrs {
			if a.Name == "strides" && a.Type == onnx.AttrInts {
				for _, s := range a.Ints {
					for c := range out {
						out[c] /= float64(max(1, s))
					}
				}
			}
		}
	}
	return out
}

// corrected returns the bias of a node less a mean error of its outputs.
func (r *rewriter) corrected(n *graph.Node, shift []float64) (graph.ValueID, error) {
	b := make([]float32, len(shift))
	name := n.Name + "_bias"
	if len(n.In) > 2 && n.In[2] != graph.None {
		t, err := r.g.ConstOf(n.In[2])
		if err != nil || t.DType() != tensor.Float32 || t.Elems() != len(b) {
			return n.In[2], nil // of a form that is refused later, or broadcast
		}
		copy(b, t.Float32s())
		name = r.g.Value(n.In[2]).Name
	}
	for c, s := range shift {
		b[c] -= float32(s)
	}
	t, err := tensor.Of(b, len(b))
	if err != nil {
		return graph.None, err
	}
	return r.g.AddConst(name, t), nil
}

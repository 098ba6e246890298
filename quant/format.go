package quant

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
)

// Format is a way to write a model whose activations are integers.
type Format string

// Formats.
const (
	// QDQ keeps the float32 operators, between pairs of QuantizeLinear and DequantizeLinear
	// at which runtimes recognise what they can compute in integers.
	QDQ Format = "qdq"
	// QOperator has the integer operators themselves: QLinearConv and QLinearMatMul, and
	// QGemm, QLinearAdd, QLinearSigmoid and others of the domain com.microsoft. Operators
	// without such a form, ConvTranspose and Tanh among them, stay as in QDQ.
	QOperator Format = "qoperator"
)

// ParseFormat returns the format of that name; "" is QDQ.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case "":
		return QDQ, nil
	case QDQ, QOperator:
		return f, nil
	}
	return "", fmt.Errorf("quant: no format %q; there are qdq and qoperator", s)
}

// description returns what a model says of itself, or nil.
func description(m *onnx.Model) *meta.Model {
	var props []meta.Property
	for _, kv := range m.Metadata {
		props = append(props, meta.Property{Key: kv.Key, Value: kv.Value})
	}
	d, err := meta.Decode(props)
	if err != nil {
		return nil
	}
	return d
}

// optimize applies the portable passes but keeps the value at which the model is cut into
// encoder and decoder, which its metadata name.
func optimize(g *graph.Graph, m *onnx.Model) error {
	z := latentOf(g, m)
	n := len(g.Outputs)
	if z != graph.None {
		for _, id := range g.Outputs {
			if id == z {
				z = graph.None
			}
		}
	}
	if z != graph.None {
		g.Outputs = append(g.Outputs, z)
	}
	err := graph.Optimize(g)
	g.Outputs = g.Outputs[:n]
	return err
}

// latentOf returns the value that the decoder starts from, or None where the metadata do
// not name one or it is an input of the graph.
func latentOf(g *graph.Graph, m *onnx.Model) graph.ValueID {
	d := description(m)
	if d == nil || d.Values.Z == "" {
		return graph.None
	}
	id := g.Lookup(d.Values.Z)
	if id == graph.None || g.Value(id).Kind != graph.Activation {
		return graph.None
	}
	return id
}

// normalReach is the range, in standard deviations, that an activation covers whose values
// may be draws from a standard normal distribution: 1 in 16,000 lies outside.
const normalReach = 4

// cut prepares for the value at which the model may be cut in two: the part behind it
// quantises it again, and its range covers what a standard normal prior draws.
func (r *rewriter) cut(m *onnx.Model) {
	r.latent = latentOf(r.g, m)
	if r.latent == graph.None {
		return
	}
	for _, s := range description(m).Prior {
		if s.Distribution == meta.DistNormal && s.Value == r.g.Value(r.latent).Name {
			r.wide = map[graph.ValueID]bool{}
			for id := r.latent; id != graph.None; {
				r.wide[id] = true
				p := producer(r.g, id)
				if p == nil || p.OpType != "Identity" && p.OpType != "Reshape" {
					break
				}
				id = p.In[0]
			}
		}
	}
}

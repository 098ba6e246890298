package quant

import (
	"math"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Equalize returns a float32 model that computes what m does, up to rounding, in which the
// weights before and after each channel of a hidden layer have the same range (cross-layer
// equalisation: Nagel et al., "Data-free quantization through weight equalization and bias
// correction", 2019, section 4.1). It helps most where weights get one scale for a whole
// tensor, and where channels of activations have very different ranges. Layers are joined
// across Relu, LeakyRelu, MaxPool, Flatten and Reshape; latents and outputs keep their
// scale. BatchNormalization is folded first. The second result is the number of joined
// layers. m is not changed; a calibration of it is not one of the result.
func Equalize(m *onnx.Model) (*onnx.Model, int, error) {
	g, err := prepare(m)
	if err != nil {
		return nil, 0, err
	}
	e := &equalizer{rewriter: &rewriter{g: g, latent: latentOf(g, m)}, uses: g.Uses()}
	var links []link
	for _, n := range g.Nodes {
		if l, ok := e.link(n); ok {
			links = append(links, l)
		}
	}
	for _, l := range links {
		e.own(l.from)
		for _, n := range l.to {
			e.own(n)
		}
	}
	for range equalizeRounds {
		most := 0.0
		for _, l := range links {
			most = max(most, e.equalize(l))
		}
		if most < 0.01 {
			break
		}
	}
	out, err := writeModel(g, m)
	return out, len(links), err
}

const (
	// equalizeRounds bounds the passes over all layers; a layer in the middle changes with
	// both of its neighbours.
	equalizeRounds = 20
	// equalizeFactor bounds the change of a channel in one pass.
	equalizeFactor = 100
)

// link is an operator and those that alone read what it gives.
type link struct {
	from *graph.Node
	to   []*graph.Node
}

type equalizer struct {
	*rewriter
	uses []int
}

// weighted returns the weights of a node whose constants nobody else reads.
func (e *equalizer) weighted(n *graph.Node) (*tensor.Tensor, int, bool) {
	w, axis, ok := e.weightOf(n)
	if !ok || e.uses[n.In[1]] != 1 {
		return nil, 0, false
	}
	if len(n.In) > 2 && n.In[2] != graph.None {
		b, err := e.g.ConstOf(n.In[2])
		ok = err == nil && b.DType() == tensor.Float32 && b.Elems() == w.Shape()[axis] && e.uses[n.In[2]] == 1
	}
	return w, axis, ok
}

// link finds the readers of n. It fails where something other than weights reads a channel.
func (e *equalizer) link(n *graph.Node) (link, bool) {
	l := link{from: n}
	w, axis, ok := e.weighted(n)
	if !ok {
		return l, false
	}
	channels := w.Shape()[axis]
	var walk func(id graph.ValueID) bool
	walk = func(id graph.ValueID) bool {
		if id == e.latent || slices.Contains(e.g.Outputs, id) {
			return false
		}
		rs := readers(e.g, id)
		for _, r := range rs {
			if r.Domain != "" || r.In[0] != id || slices.Contains(r.In[1:], id) {
				return false
			}
			switch r.OpType {
			case "Relu", "LeakyRelu", "MaxPool", "Identity":
				if len(r.Out) != 1 || !walk(r.Out[0]) {
					return false
				}
				continue
			case "Flatten", "Reshape":
				if n.OpType == "MatMul" || !e.keepsChannels(r, n, channels) || !walk(r.Out[0]) {
					return false
				}
				continue
			}
			v, _, ok := e.weighted(r)
			if !ok {
				return false
			}
			in, _ := inputChannels(r, v.Shape())
			if in%channels != 0 && channels%in != 0 {
				return false
			}
			l.to = append(l.to, r)
		}
		return len(rs) > 0
	}
	return l, walk(n.Out[0]) && len(l.to) > 0
}

// keepsChannels reports whether a Flatten or Reshape of what n gives leaves the batch alone,
// so that each channel becomes a run of features or the reverse.
func (e *equalizer) keepsChannels(r, n *graph.Node, channels int) bool {
	if r.OpType == "Flatten" {
		return intAttr(r, "axis", 1) == 1
	}
	t, err := e.g.ConstOf(r.In[1])
	if err != nil || t.DType() != tensor.Int64 || t.Elems() < 2 {
		return false
	}
	dims := t.Int64s()
	if dims[0] == 0 {
		return intAttr(r, "allowzero", 0) == 0
	}
	rest := int64(1)
	for _, d := range dims[1:] {
		rest *= max(d, 0)
	}
	return n.OpType == "Gemm" && dims[0] == -1 && rest == int64(channels)
}

// own makes the constants of a node ones that may be changed.
func (e *equalizer) own(n *graph.Node) {
	for _, id := range n.In[1:] {
		if id != graph.None {
			v := e.g.Value(id)
			v.Data = v.Data.Clone()
		}
	}
}

// equalize scales the channels between two layers and returns the largest change, as the
// logarithm of a factor.
func (e *equalizer) equalize(l link) float64 {
	w, axis, _ := e.weightOf(l.from)
	n, at := channelIndex(w.Shape(), axis)
	before, after := make([]float64, n), make([]float64, n)
	for i, v := range w.Float32s() {
		before[at(i)] = max(before[at(i)], math.Abs(float64(v)))
	}
	for _, r := range l.to {
		v, _, _ := e.weightOf(r)
		channel := between(n, r, v.Shape())
		for i, x := range v.Float32s() {
			channel(i, func(c int) { after[c] = max(after[c], math.Abs(float64(x))) })
		}
	}
	factor := make([]float32, n)
	most := 0.0
	for c := range factor {
		factor[c] = 1
		if before[c] > 0 && after[c] > 0 {
			factor[c] = float32(min(equalizeFactor, max(1.0/equalizeFactor, math.Sqrt(after[c]/before[c]))))
			most = max(most, math.Abs(math.Log(float64(factor[c]))))
		}
	}
	// A run of channels that the next layer takes as one has one factor.
	for _, r := range l.to {
		v, _, _ := e.weightOf(r)
		if in, _ := inputChannels(r, v.Shape()); in < n {
			run := n / in
			for c := 0; c < n; c += run {
				f := float64(1)
				for _, x := range factor[c : c+run] {
					f *= math.Pow(float64(x), 1/float64(run))
				}
				for k := range run {
					factor[c+k] = float32(f)
				}
			}
		}
	}
	d := w.Float32s()
	for i := range d {
		d[i] *= factor[at(i)]
	}
	if len(l.from.In) > 2 && l.from.In[2] != graph.None {
		b := e.g.Value(l.from.In[2]).Data.Float32s()
		for c := range b {
			b[c] *= factor[c]
		}
	}
	for _, r := range l.to {
		v, _, _ := e.weightOf(r)
		channel := between(n, r, v.Shape())
		d := v.Float32s()
		for i := range d {
			f := float32(1)
			channel(i, func(c int) { f = factor[c] })
			d[i] /= f
		}
	}
	return most
}

// between maps element i of the weights of r to those of the n channels before it that it
// multiplies: one, or a run of them.
func between(n int, r *graph.Node, w tensor.Shape) func(i int, f func(c int)) {
	in, at := inputChannels(r, w)
	return func(i int, f func(c int)) {
		j := at(i)
		if in >= n {
			f(j / (in / n))
			return
		}
		for k := range n / in {
			f(j*(n/in) + k)
		}
	}
}

// inputChannels returns the number of input channels of an operator with weights of shape
// w, and the channel that element i multiplies.
func inputChannels(n *graph.Node, w tensor.Shape) (int, func(i int) int) {
	switch n.OpType {
	case "Conv":
		groups := int(intAttr(n, "group", 1))
		per, inner := w[1], 1
		for _, d := range w[2:] {
			inner *= d
		}
		outs := max(1, w[0]/groups)
		return per * groups, func(i int) int { return i/(per*inner)/outs*per + i/inner%per }
	case "Gemm":
		if intAttr(n, "transB", 0) != 0 {
			return channelIndex(w, 1)
		}
	}
	return channelIndex(w, 0) // ConvTranspose, MatMul and Gemm
}

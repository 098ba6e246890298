package quant

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Correlations holds, by the name of an operator with weights, the second moments E[x·xᵀ] of
// the inputs that are multiplied with the weights of an output. With them, [Quantize]
// rounds each weight up or down such that the squared error of the outputs,
// (s·q - w)ᵀ·E[x·xᵀ]·(s·q - w), is small, instead of the error of the weight: the objective
// of AdaRound (Nagel et al., "Up or down? Adaptive rounding for post-training quantization",
// 2020, equation 13), here descended one weight at a time.
type Correlations map[string]*correlation

// correlation is of the K products that make an output.
type correlation struct {
	k int
	h []float32 // k×k
	n int       // samples
}

const (
	// maxCorrelation bounds the products of an output; an operator with more has its weights
	// rounded to the nearest. It bounds the memory: 4·K² bytes an operator, at most 64 MiB.
	maxCorrelation = 4096
	// correlationSamples is how many inputs of an output count, correlationPositions how many
	// of them of one image.
	correlationSamples   = 2048
	correlationPositions = 16
)

// Correlate runs a model on batches of a source, until every operator has seen 2,048 inputs.
// Operators with groups, with more than two spatial axes or with automatic padding are left
// out.
func Correlate(ctx context.Context, m *onnx.Model, src Source, o runtime.Options) (Correlations, error) {
	g, err := prepare(m)
	if err != nil {
		return nil, err
	}
	r := &rewriter{g: g}
	out := Correlations{}
	var nodes []*graph.Node
	var gathers []*gather
	have := map[graph.ValueID]bool{}
	for _, id := range append(append([]graph.ValueID{}, g.Outputs...), g.Inputs...) {
		have[id] = true
	}
	for _, n := range g.Nodes {
		w, axis, ok := r.weightOf(n)
		if !ok {
			continue
		}
		c := newGather(n, w.Shape(), axis)
		if c == nil || c.k > maxCorrelation {
			continue
		}
		nodes, gathers = append(nodes, n), append(gathers, c)
		out[n.Name] = &correlation{k: c.k, h: make([]float32, c.k*c.k)}
		if !have[n.In[0]] {
			have[n.In[0]] = true
			g.Outputs = append(g.Outputs, n.In[0])
		}
	}
	full, err := g.Model(0)
	if err != nil {
		return nil, err
	}
	full.IRVersion = m.IRVersion
	s, err := runtime.New(full, o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for batch := uint64(0); ; batch++ {
		in, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		values, err := s.Run(ctx, in)
		if err != nil {
			return nil, err
		}
		enough := true
		for i, n := range nodes {
			name := g.Value(n.In[0]).Name
			x := values[name]
			if x == nil {
				x = in[name]
			}
			c := out[n.Name]
			if x == nil || x.DType() != tensor.Float32 {
				return nil, fmt.Errorf("quant: input %q of node %q is not there", name, n.Name)
			}
			gathers[i].add(c, x, rng.New(0, batch, uint64(i)).Rand())
			enough = enough && c.n >= correlationSamples
		}
		if enough {
			break
		}
	}
	for _, c := range out {
		if c.n == 0 {
			return nil, errors.New("quant: no inputs to correlate")
		}
		for i := range c.k {
			for j := range i {
				c.h[i*c.k+j] = c.h[j*c.k+i]
			}
		}
		for i := range c.h {
			c.h[i] /= float32(c.n)
		}
	}
	return out, nil
}

// gather reads the inputs that make an output, in the order of the weights of that output.
type gather struct {
	op               string
	k                int
	channels         int
	kernel, strides  [2]int
	pads, dilations  [2]int
	outputs, padsEnd [2]int
}

// newGather returns nil for operators that it does not cover.
func newGather(n *graph.Node, w tensor.Shape, axis int) *gather {
	c := &gather{op: n.OpType, strides: [2]int{1, 1}, dilations: [2]int{1, 1}}
	switch n.OpType {
	case "Gemm", "MatMul":
		c.k = w[1-axis]
		return c
	}
	if len(w) != 4 || intAttr(n, "group", 1) != 1 {
		return nil
	}
	c.channels, c.kernel = w[1-axis], [2]int{w[2], w[3]}
	c.k = c.channels * w[2] * w[3]
	for _, a := range n.Attrs {
		switch {
		case a.Name == "auto_pad" && string(a.String) != "NOTSET", a.Name == "output_padding", a.Name == "output_shape":
			return nil
		case a.Name == "strides" && len(a.Ints) == 2:
			c.strides = [2]int{int(a.Ints[0]), int(a.Ints[1])}
		case a.Name == "dilations" && len(a.Ints) == 2:
			c.dilations = [2]int{int(a.Ints[0]), int(a.Ints[1])}
		case a.Name == "pads" && len(a.Ints) == 4:
			c.pads, c.padsEnd = [2]int{int(a.Ints[0]), int(a.Ints[1])}, [2]int{int(a.Ints[2]), int(a.Ints[3])}
		}
	}
	return c
}

// add counts inputs of x: rows of a matrix, or those of random positions of images.
func (c *gather) add(to *correlation, x *tensor.Tensor, r *rng.Rand) {
	s, d := x.Shape(), x.Float32s()
	if c.channels == 0 {
		for at := 0; at+c.k <= len(d) && to.n < correlationSamples; at += c.k {
			to.add(d[at:][:c.k])
		}
		return
	}
	if len(s) != 4 || s[1] != c.channels || x.Elems() == 0 {
		return
	}
	for i := range 2 {
		reach := c.dilations[i]*(c.kernel[i]-1) + 1
		if c.op == "Conv" {
			c.outputs[i] = (s[2+i]+c.pads[i]+c.padsEnd[i]-reach)/c.strides[i] + 1
		} else {
			c.outputs[i] = (s[2+i]-1)*c.strides[i] + reach - c.pads[i] - c.padsEnd[i]
		}
		if c.outputs[i] < 1 {
			return
		}
	}
	row := make([]float32, c.k)
	for img := range s[0] {
		for range min(correlationPositions, c.outputs[0]*c.outputs[1]) {
			if to.n >= correlationSamples {
				return
			}
			c.read(row, d[img*s[1]*s[2]*s[3]:], s, r.IntN(c.outputs[0]), r.IntN(c.outputs[1]))
			to.add(row)
		}
	}
}

// read gathers the inputs of the output at a position, channel by channel and tap by tap;
// zero outside the image and, of a transposed convolution, between the strides.
func (c *gather) read(row, d []float32, s tensor.Shape, oy, ox int) {
	at := 0
	for ch := range c.channels {
		plane := d[ch*s[2]*s[3]:]
		for ky := range c.kernel[0] {
			y, okY := c.source(0, oy, ky, s[2])
			for kx := range c.kernel[1] {
				x, okX := c.source(1, ox, kx, s[3])
				row[at] = 0
				if okY && okX {
					row[at] = plane[y*s[3]+x]
				}
				at++
			}
		}
	}
}

// source returns the input position that a tap of an output reads along an axis.
func (c *gather) source(axis, out, tap, extent int) (int, bool) {
	var i int
	if c.op == "Conv" {
		i = out*c.strides[axis] - c.pads[axis] + tap*c.dilations[axis]
	} else {
		i = out + c.pads[axis] - tap*c.dilations[axis]
		if i < 0 || i%c.strides[axis] != 0 {
			return 0, false
		}
		i /= c.strides[axis]
	}
	return i, i >= 0 && i < extent
}

// add adds x·xᵀ, upper triangle.
func (c *correlation) add(x []float32) {
	c.n++
	for i, v := range x {
		if v == 0 {
			continue
		}
		row := c.h[i*c.k:][i:c.k]
		for j, u := range x[i:] {
			row[j] += v * u
		}
	}
}

// roundingSweeps bounds the passes over the weights of an output.
const roundingSweeps = 12

// round changes the rounding of q, which holds w/scale to the nearest, where the error of
// the outputs falls. Weights stay within -limit … limit.
func (c *correlation) round(w, q *tensor.Tensor, scales []float32, axis, limit int) {
	channels, at := channelIndex(w.Shape(), axis)
	if channels == 0 || w.Elems()/channels != c.k {
		return
	}
	index := make([][]int, channels) // of the weights of each output
	for i := range w.Elems() {
		index[at(i)] = append(index[at(i)], i)
	}
	wd, qd := w.Float32s(), tensor.Data[int8](q)
	e, g := make([]float32, c.k), make([]float32, c.k)
	for ch, list := range index {
		s := scales[0]
		if len(scales) > 1 {
			s = scales[ch]
		}
		clear(g)
		for j, i := range list {
			e[j] = s*float32(qd[i]) - wd[i]
			c.addRow(g, j, e[j])
		}
		for range roundingSweeps {
			changed := false
			for j, i := range list {
				step, to := s, int(qd[i])+1
				if e[j] > 0 {
					step, to = -s, int(qd[i])-1
				}
				// Further from the weight than the other neighbour is no rounding.
				if after := e[j] + step; to > limit || to < -limit || after >= s || after <= -s {
					continue
				}
				if step*(2*g[j]+step*c.h[j*c.k+j]) < 0 {
					qd[i] = int8(to)
					e[j] += step
					c.addRow(g, j, step)
					changed = true
				}
			}
			if !changed {
				break
			}
		}
	}
}

// addRow adds f times row j of the matrix.
func (c *correlation) addRow(g []float32, j int, f float32) {
	if f == 0 {
		return
	}
	row := c.h[j*c.k:][:c.k]
	for i, v := range row {
		g[i] += f * v
	}
}

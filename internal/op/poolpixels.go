package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// poolPixels is a run of a pool over channels-last float32 tensors of up to three spatial
// axes: all channels of an output position at once. Kept in the node's state.
type poolPixels struct {
	task     spreader
	o        *pool
	x, y     []float32
	shape    tensor.Shape // the logical input shape that g belongs to
	g        cube
	channels int
}

func runPoolPixels(o *pool, ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[poolPixels](ctx)
	if t.task.f == nil || !t.shape.Equal(in[0].Shape()) {
		t.task.f = t.pixels
		t.shape = append(t.shape[:0], in[0].Shape()...)
		x := toChannelsFirst(t.shape)
		ax, err := o.slideOver(x)
		if err != nil {
			return err
		}
		t.g, _ = asCube(ax)
		t.channels = x[1]
	}
	t.o, t.x, t.y = o, in[0].Float32s(), out[0].Float32s()
	work := mulSize(len(t.y), t.g.taps())
	t.task.run(ctx.Pool, len(t.y)/t.channels, min(work, mulSize(copyCost, max(len(t.x), len(t.y)))))
	t.o, t.x, t.y = nil, nil, nil
	return nil
}

func (t *poolPixels) pixels(lo, hi int) {
	g, c := &t.g, t.channels
	for u := lo; u < hi; u++ {
		y := t.y[u*c:][:c]
		w, r := u%g[2].out, u/g[2].out
		h, r := r%g[1].out, r/g[1].out
		d, n := r%g[0].out, r/g[0].out
		x := t.x[n*g[0].in*g[1].in*g[2].in*c:]
		d0, d1, dAt := g[0].within(d)
		h0, h1, hAt := g[1].within(h)
		w0, w1, wAt := g[2].within(w)
		first := true
		for kd := d0; kd < d1; kd++ {
			for kh := h0; kh < h1; kh++ {
				row := ((dAt+kd*g[0].dilation)*g[1].in + hAt + kh*g[1].dilation) * g[2].in
				for kw := w0; kw < w1; kw++ {
					t.o.addPixel(y, x[(row+wAt+kw*g[2].dilation)*c:][:c], first)
					first = false
				}
			}
		}
		count := (d1 - d0) * (h1 - h0) * (w1 - w0)
		if t.o.includePad {
			count = g[0].counted(d) * g[1].counted(h) * g[2].counted(w)
		}
		t.o.finishPixel(y, first, count)
	}
}

// fewChannels is how many channels it takes to pay for the call of a vector function.
const fewChannels = 16

// addPixel adds one position's channels to the result; the first one begins it.
func (o *pool) addPixel(y, x []float32, first bool) {
	switch {
	case o.kind == poolLp:
		if first {
			clear(y)
		}
		for i, v := range x {
			y[i] += float32(lpPower(float64(v), o.p))
		}
	case first:
		copy(y, x)
	case len(y) < fewChannels:
		x = x[:len(y)]
		for i, v := range x {
			if o.kind == poolAverage {
				y[i] += v
			} else if v > y[i] || v != v {
				y[i] = v
			}
		}
	case o.kind == poolMax:
		kernel.MaximumF32(y, y, x)
	default:
		kernel.AddF32(y, y, x)
	}
}

// finishPixel turns what addPixel left into the result; empty says that there was nothing.
func (o *pool) finishPixel(y []float32, empty bool, count int) {
	switch {
	case empty && o.kind == poolMax:
		for i := range y {
			y[i] = float32(math.Inf(-1))
		}
	case empty:
		clear(y)
	case o.kind == poolLp:
		for i, v := range y {
			y[i] = float32(lpRoot(float64(v), o.p))
		}
	case o.kind == poolAverage && count > 1:
		kernel.MulScalarF32(y, y, 1/float32(count))
	}
}

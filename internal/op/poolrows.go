package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// poolRows is a run of a maximum or average over float32 tensors of up to three spatial axes: a unit is a row of output
// pixels. A tensor that is not channels-last is one of more images of one channel. Kept in the node's state.
type poolRows struct {
	task     spreader
	o        *pool
	x, y     []float32
	shape    tensor.Shape // the logical input shape that g belongs to
	g        cube
	channels int
	whole    [2]int // output columns whose windows lie inside the input
}

func runPoolRows(o *pool, ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[poolRows](ctx)
	if t.task.f == nil || !t.shape.Equal(in[0].Shape()) {
		t.task.f = t.rows
		t.shape = append(t.shape[:0], in[0].Shape()...)
		x := t.shape
		t.channels = 1
		if o.last {
			x = toChannelsFirst(t.shape)
			t.channels = x[1]
		}
		ax, err := o.slideOver(x)
		if err != nil {
			return err
		}
		t.g, _ = asCube(ax)
		t.whole[0], t.whole[1] = t.g[2].inside()
	}
	t.o, t.x, t.y = o, in[0].Float32s(), out[0].Float32s()
	work := mulSize(len(t.y), t.g.taps())
	t.task.run(ctx.Pool, len(t.y)/(t.channels*t.g[2].out), min(work, mulSize(copyCost, max(len(t.x), len(t.y)))))
	t.o, t.x, t.y = nil, nil, nil
	return nil
}

// inside returns the range of output positions whose windows lie inside the input.
func (a axisWindow) inside() (from, to int) {
	from = min((a.begin+a.stride-1)/a.stride, a.out)
	if room := a.in - a.span() + a.begin; room >= 0 {
		to = min(room/a.stride+1, a.out)
	}
	return from, max(from, to)
}

func (t *poolRows) rows(lo, hi int) {
	g, c := &t.g, t.channels
	for u := lo; u < hi; u++ {
		y := t.y[u*g[2].out*c:][:g[2].out*c]
		h, r := u%g[1].out, u/g[1].out
		d, n := r%g[0].out, r/g[0].out
		d0, d1, dAt := g[0].within(d)
		h0, h1, hAt := g[1].within(h)
		if d1-d0 != 1 || h1 == h0 {
			t.pixels(y, n, d, h, 0, g[2].out)
			continue
		}
		x := t.x[((n*g[0].in+dAt+d0*g[0].dilation)*g[1].in+hAt+h0*g[1].dilation)*g[2].in*c:]
		from, to := t.whole[0], t.whole[1]
		t.pixels(y, n, d, h, 0, from)
		if from < to {
			count := (h1 - h0) * g[2].kernel
			if t.o.includePad {
				count = g[0].counted(d) * g[1].counted(h) * g[2].kernel
			}
			first := from*g[2].stride - g[2].begin
			t.span(y[from*c:to*c], x[first*c:], h1-h0, to-from, 1/float32(count))
		}
		t.pixels(y, n, d, h, to, g[2].out)
	}
}

// span computes n neighbouring output pixels, whose windows begin at x and lie inside the input.
func (t *poolRows) span(y, x []float32, rows, n int, scale float32) {
	a, c := &t.g[2], t.channels
	w := kernel.Window{Pixels: n, Channels: c, Step: a.stride * c, Rows: rows, RowPitch: t.g[1].dilation * a.in * c, Cols: a.kernel, ColPitch: a.dilation * c}
	switch {
	case c == 1 && n == 1 && a.dilation == 1:
		y[0] = t.plane(x, &w, scale)
		return
	case a.stride == 1 || n == 1:
		w.Pixels, w.Channels = 1, n*c
	case c < fewChannels:
		t.narrow(y, x, &w, n, scale)
		return
	}
	t.reduce(y, x, &w, scale)
}

func (t *poolRows) reduce(y, x []float32, w *kernel.Window, scale float32) {
	if t.o.kind == poolMax {
		kernel.MaxWindowF32(y, x, w)
	} else {
		kernel.SumWindowF32(y, x, w, scale)
	}
}

// plane computes one window of one channel.
func (t *poolRows) plane(x []float32, w *kernel.Window, scale float32) float32 {
	const block = 4096
	rows, cols := w.Rows, w.Cols
	if w.RowPitch == cols {
		rows, cols = 1, rows*cols
	}
	sum, most := 0.0, float32(math.Inf(-1))
	for r := range rows {
		row := x[r*w.RowPitch:][:cols]
		for len(row) > 0 {
			b := row[:min(block, len(row))]
			row = row[len(b):]
			if t.o.kind == poolMax {
				most = max(most, kernel.MaxF32(b))
			} else {
				sum += float64(kernel.SumF32(b))
			}
		}
	}
	if t.o.kind == poolMax {
		return most
	}
	return float32(sum * float64(scale))
}

const (
	// fewChannels is how many channels it takes to pay for vectors of the channels of one pixel.
	fewChannels = 8
	// poolBuffer is how many values are kept on the stack.
	poolBuffer = 1024
)

// narrow computes spans of few channels: windows of stride 1 are reduced in long vectors, and those wanted are kept.
func (t *poolRows) narrow(y, x []float32, w *kernel.Window, n int, scale float32) {
	var buf [poolBuffer]float32
	stride, c := t.g[2].stride, t.channels
	most := (poolBuffer/c-1)/stride + 1
	for p := 0; p < n; p += most {
		m := min(most, n-p)
		v := *w
		v.Pixels, v.Channels = 1, ((m-1)*stride+1)*c
		t.reduce(buf[:v.Channels], x[p*w.Step:], &v, scale)
		b, d := buf[:v.Channels], y[p*c:][:m*c]
		switch c {
		case 1:
			for i := range d {
				d[i] = b[i*stride]
			}
		case 3:
			for len(d) >= 3 {
				d[0], d[1], d[2] = b[0], b[1], b[2]
				d, b = d[3:], b[min(w.Step, len(b)):]
			}
		default:
			for i := range m {
				copy(d[i*c:][:c], b[i*w.Step:])
			}
		}
	}
}

// pixels computes the output pixels [from, to) of a row one by one, whatever part of their windows lies inside.
func (t *poolRows) pixels(y []float32, n, d, h, from, to int) {
	g, c := &t.g, t.channels
	d0, d1, dAt := g[0].within(d)
	h0, h1, hAt := g[1].within(h)
	for w := from; w < to; w++ {
		y := y[w*c:][:c]
		w0, w1, wAt := g[2].within(w)
		count := (d1 - d0) * (h1 - h0) * (w1 - w0)
		if count == 0 {
			v := float32(0)
			if t.o.kind == poolMax {
				v = float32(math.Inf(-1))
			}
			for i := range y {
				y[i] = v
			}
			continue
		}
		if t.o.includePad {
			count = g[0].counted(d) * g[1].counted(h) * g[2].counted(w)
		}
		win := kernel.Window{Pixels: 1, Channels: c, Rows: h1 - h0, RowPitch: g[1].dilation * g[2].in * c, Cols: w1 - w0, ColPitch: g[2].dilation * c}
		for kd := d0; kd < d1; kd++ {
			x := t.x[(((n*g[0].in+dAt+kd*g[0].dilation)*g[1].in+hAt+h0*g[1].dilation)*g[2].in+wAt+w0*g[2].dilation)*c:]
			if kd == d0 {
				t.reduce(y, x, &win, 1/float32(count))
			} else {
				t.deepen(y, x, win, 1/float32(count))
			}
		}
	}
}

// deepen adds another depth of the window to the pixel y.
func (t *poolRows) deepen(y, x []float32, w kernel.Window, scale float32) {
	var buf [poolBuffer]float32
	for k := 0; k < len(y); k += poolBuffer {
		part := y[k:min(len(y), k+poolBuffer)]
		b := buf[:len(part)]
		w.Channels = len(part)
		t.reduce(b, x[k:], &w, scale)
		if t.o.kind == poolMax {
			kernel.MaximumF32(part, part, b)
		} else {
			kernel.AddF32(part, part, b)
		}
	}
}

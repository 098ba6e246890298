package op

import (
	"errors"
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// resizedConv is a convolution of a picture that has been enlarged by repeating each element
// scale[i] times along axis i. Of the kernel positions that read copies of one element, the
// weights are added in advance: what is left is a transposed convolution with stride scale
// and kernel k + scale − 1, whose every phase has ⌈(k+scale−1)/scale⌉ positions along an
// axis in place of k. A 3×3 kernel after doubling becomes four kernels of 2×2. Convolutions may be depthwise.
//
// Its inputs are those of the Conv, with the small picture as input 0.
type resizedConv struct {
	conv  // the transposed convolution
	scale []int
	key   string // distinguishes the form of packed weights
}

var (
	_ Prepacker   = (*resizedConv)(nil)
	_ Workspacer  = (*resizedConv)(nil)
	_ Fuser       = (*resizedConv)(nil)
	_ Coster      = (*resizedConv)(nil)
	_ LayoutAware = (*resizedConv)(nil)
)

// ResizeConv returns one operator for a Resize and the Conv that reads it, where the Resize
// repeats elements, the Conv has constant float32 weights, and the one operator multiplies
// less. The inputs of the operator are the Resize's input 0 and the other inputs of the
// Conv.
func ResizeConv(resize Op, resizeIn []Fact, next Op, convIn []Fact) (Op, bool) {
	r, ok1 := resize.(*resizeOp)
	c, ok2 := next.(*conv)
	if !ok1 || !ok2 || r.mode != "nearest" || r.last || c.last || c.transposed || len(convIn) < 2 || convIn[1].Const == nil || convIn[0].DType != tensor.Float32 {
		return nil, false
	}
	// Weights of both convolutions have the same order if there is one group, or if channels are groups.
	if w := convIn[1].Shape; c.group != 1 && !(len(w) > 2 && w[1] == 1 && w[0] == c.group) {
		return nil, false
	}
	ax, err := r.resolve(resizeIn)
	if err != nil || len(ax) < 3 {
		return nil, false
	}
	f, err := c.facts(convIn)
	if err != nil {
		return nil, false
	}
	o := &resizedConv{conv: conv{group: c.group, transposed: true, act: c.act}}
	var begins, ends []int
	for i := range ax {
		s, ok := r.repeats(&ax[i])
		if !ok || i < 2 && s != 1 {
			return nil, false
		}
		if i < 2 {
			continue
		}
		w := f.ax[i-2]
		b, e := w.kernel-1-w.begin, w.kernel-1-w.end
		if w.stride != 1 || w.dilation != 1 || b < 0 || e < 0 {
			return nil, false
		}
		o.scale = append(o.scale, s)
		begins, ends = append(begins, b), append(ends, e)
	}
	o.window = window{strides: o.scale, pads: append(begins, ends...), autoPad: "NOTSET"}
	o.key = fmt.Sprintf("resized %v ", o.scale)
	in := append([]Fact{resizeIn[0]}, convIn[1:]...)
	out, err := o.Infer(in)
	if err != nil || !out[0].Shape.Equal(f.out) {
		return nil, false
	}
	if _, ok := o.PackKey(1, in); !ok || o.MACs(in, out) >= c.MACs(convIn, []Fact{{Shape: f.out}}) {
		return nil, false
	}
	return o, true
}

// repeats returns how often each element of an axis appears in a row, if that is all that a
// nearest Resize does to it.
func (o *resizeOp) repeats(a *resizeAxis) (int, bool) {
	if a.in < 1 || a.out%a.in != 0 {
		return 0, false
	}
	s := a.out / a.in
	if s == 1 && a.isIdentity(&o.interpolation) {
		return 1, true
	}
	for i := range a.out {
		if o.nearestIndex(a, i) != i/s {
			return 0, false
		}
	}
	return s, true
}

// weightShape returns the shape of the weights of the transposed convolution, [C, O, k…], or [C, 1, k…] if channels are groups.
func (o *resizedConv) weightShape(w tensor.Shape) tensor.Shape {
	out := w.Clone()
	if len(w) == len(o.scale)+2 {
		if o.group == 1 {
			out[0], out[1] = w[1], w[0]
		}
		for i, s := range o.scale {
			out[i+2] += s - 1
		}
	}
	return out
}

// inner returns the facts of the inputs of the transposed convolution.
func (o *resizedConv) inner(in []Fact) []Fact {
	out := append([]Fact{}, in...)
	if len(out) > 1 {
		out[1].Shape = o.weightShape(in[1].Shape)
	}
	return out
}

// Infer implements [Op].
func (o *resizedConv) Infer(in []Fact) ([]Fact, error) { return o.conv.Infer(o.inner(in)) }

// PackKey implements [Prepacker].
func (o *resizedConv) PackKey(i int, in []Fact) (string, bool) {
	key, ok := o.conv.PackKey(i, o.inner(in))
	return o.key + key, ok
}

// Prepack implements [Prepacker].
func (o *resizedConv) Prepack(i int, in []Fact, s Slices) (Packed, error) {
	facts := o.inner(in)
	f, err := o.facts(facts)
	if err != nil {
		return nil, err
	}
	e := o.enlarger(in[1].Const, facts[1].Shape)
	if Complete && !f.scatter && !isDepthwise(&f.shape) {
		c := newSlicedConv(&f.shape, nil, s)
		c.rows = func(buf []float32, from, to int) []float32 {
			e.rows(buf, from, to)
			return buf
		}
		return f.packSliced(c), nil
	}
	t, err := tensor.New(tensor.Float32, facts[1].Shape...)
	if err != nil {
		return nil, err
	}
	e.rows(t.Float32s(), 0, e.inner)
	facts[1].Const = t
	return o.conv.Prepack(i, facts, Slices{})
}

// enlarger makes the weights of the transposed convolution: at position t of an axis, the sum of
// those at j with 0 ≤ t − (k−1) + j < scale.
type enlarger struct {
	w               []float32 // [outer, inner, from…]
	outer, inner    int
	from, to, scale [3]int
}

func (o *resizedConv) enlarger(w *tensor.Tensor, shape tensor.Shape) *enlarger {
	e := &enlarger{w: w.Float32s(), outer: w.Shape()[0], inner: w.Shape()[1], from: [3]int{1, 1, 1}, to: [3]int{1, 1, 1}, scale: [3]int{1, 1, 1}}
	lead := 3 - len(o.scale)
	for i, s := range o.scale {
		e.from[lead+i], e.to[lead+i], e.scale[lead+i] = w.Shape()[2+i], shape[2+i], s
	}
	return e
}

// rows sets dst to the weights [to-from, outer, …] of input channels [from, to).
func (e *enlarger) rows(dst []float32, from, to int) {
	taps := e.to[0] * e.to[1] * e.to[2]
	sum := make([]float64, taps)
	for m := range e.outer {
		for c := from; c < to; c++ {
			clear(sum)
			// Each kernel position of w adds to a block of positions of the result.
			for j0 := range e.from[0] {
				for j1 := range e.from[1] {
					for j2 := range e.from[2] {
						v := float64(e.w[((m*e.inner+c)*e.from[0]+j0)*e.from[1]*e.from[2]+j1*e.from[2]+j2])
						for s0 := range e.scale[0] {
							for s1 := range e.scale[1] {
								for s2 := range e.scale[2] {
									t0, t1, t2 := e.from[0]-1-j0+s0, e.from[1]-1-j1+s1, e.from[2]-1-j2+s2
									sum[(t0*e.to[1]+t1)*e.to[2]+t2] += v
								}
							}
						}
					}
				}
			}
			row := dst[((c-from)*e.outer+m)*taps:][:taps]
			for i, v := range sum {
				row[i] = float32(v)
			}
		}
	}
}

// Workspace implements [Workspacer].
func (o *resizedConv) Workspace(in []Fact) int { return o.conv.Workspace(o.inner(in)) }

// WorkspaceFor implements [ThreadWorkspacer].
func (o *resizedConv) WorkspaceFor(in []Fact, threads int) (size, first int) {
	return o.conv.WorkspaceFor(o.inner(in), threads)
}

// MACs implements [Coster].
func (o *resizedConv) MACs(in, out []Fact) int64 { return o.conv.MACs(o.inner(in), out) }

// Fuse implements [Fuser].
func (o *resizedConv) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) {
	f, extra, ok := o.conv.Fuse(next, pos, nextIn)
	if !ok {
		return nil, 0, false
	}
	v := *o
	v.conv = *f.(*conv)
	return &v, extra, true
}

// ChannelsLast implements [LayoutAware].
func (o *resizedConv) ChannelsLast(in []Fact) (Op, []bool, bool) {
	f, nhwc, ok := o.conv.ChannelsLast(o.inner(in))
	if !ok {
		return nil, nil, false
	}
	v := *o
	v.conv = *f.(*conv)
	return &v, nhwc, true
}

// Run implements [Op]. The weights must have been packed.
func (o *resizedConv) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if ctx.PackedInput(1) == nil {
		return errors.New("weights of a convolution after a Resize have not been packed")
	}
	return o.conv.Run(ctx, out, in)
}

package op

import (
	"fmt"
	"strings"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// smallWeights is a matrix product or convolution of float32 values whose constant weights
// are 8-bit or half-precision: it takes them as they are, packs them so, and converts them
// where they are multiplied. Input 1 is what from, a DequantizeLinear or Cast, is given.
type smallWeights struct {
	Op
	from   Op
	params []Fact // the other inputs of from, with their values
}

var (
	_ Prepacker   = (*smallWeights)(nil)
	_ Workspacer  = (*smallWeights)(nil)
	_ Fuser       = (*smallWeights)(nil)
	_ Coster      = (*smallWeights)(nil)
	_ LayoutAware = (*smallWeights)(nil)
)

// SmallWeights returns an operator that does the work of a DequantizeLinear or Cast of
// constants to float32, with inputs fromIn, and of the operator next, whose input 1 it
// gives. Input 1 of the result is input 0 of from. ok is false where next wants the weights
// in float32.
func SmallWeights(next Op, nextIn []Fact, from Op, fromIn []Fact) (o Op, ok bool) {
	switch c := next.(type) {
	case *gemm, *matmul:
	case *conv:
		taps := *c
		taps.tapsOnly = true
		next = &taps
	default:
		return nil, false
	}
	switch f := from.(type) {
	case *linear:
		if f.quantize {
			return nil, false
		}
	case cast:
		if f.to != tensor.Float32 {
			return nil, false
		}
	default:
		return nil, false
	}
	for _, f := range fromIn {
		if f.Present() && f.Const == nil {
			return nil, false
		}
	}
	out, err := from.Infer(fromIn)
	if err != nil || out[0].DType != tensor.Float32 || len(nextIn) < 2 {
		return nil, false
	}
	s := &smallWeights{Op: next, from: from, params: fromIn[1:]}
	if _, err := s.source(fromIn[0].Const); err != nil {
		return nil, false
	}
	in := append([]Fact{}, nextIn...)
	in[1] = fromIn[0]
	if _, ok := s.PackKey(1, in); !ok {
		return nil, false
	}
	return s, true
}

// smallSource is a constant with what gives its elements their meaning: one scale for all,
// or one for each index along axis, or for blocks of it.
type smallSource struct {
	kernel.SmallB // Scale as the model has it
	axis          int
}

// halfSource describes half-precision values.
func halfSource(t *tensor.Tensor, factor float32) *smallSource {
	kind := kernel.SmallF16
	if t.DType() == tensor.BFloat16 {
		kind = kernel.SmallBF16
	}
	return &smallSource{SmallB: kernel.SmallB{Kind: kind, Data: t.Bytes(), Scale: []float32{factor}}}
}

// source describes the weights t.
func (o *smallWeights) source(t *tensor.Tensor) (*smallSource, error) {
	if isHalf(t.DType()) {
		return halfSource(t, 1), nil
	}
	l, ok := o.from.(*linear)
	if !ok || !types8.Has(t.DType()) || len(o.params) == 0 {
		return nil, fmt.Errorf("%v has no small form", t)
	}
	scale := o.params[0].Const
	if _, err := l.layout(t.Shape(), scale.Shape()); err != nil {
		return nil, err
	}
	s := &smallSource{SmallB: kernel.SmallB{Kind: kernel.SmallU8, Data: t.Bytes(), Scale: floats32(nil, scale), Block: l.block}}
	if t.DType() == tensor.Int8 {
		s.Kind = kernel.SmallS8
	}
	if len(o.params) > 1 && o.params[1].Present() {
		zeros := ints32(nil, o.params[1].Const)
		for _, z := range zeros {
			if z != zeros[0] {
				return nil, fmt.Errorf("zero points differ")
			}
			s.Zero = z
		}
	}
	if len(s.Scale) == 1 {
		s.Block = 0
		return s, nil
	}
	var err error
	s.axis, err = tensor.Axis(l.axis, t.Rank())
	return s, err
}

// matrix returns the source, of a matrix with the given rows and columns, as the kernels
// take it: op(t) is k×n.
func (s *smallSource) matrix(rows, cols int, trans bool, alpha float32) (kernel.SmallB, bool) {
	b := s.SmallB
	b.Scale = make([]float32, len(s.Scale))
	for i, v := range s.Scale {
		b.Scale[i] = v * alpha
	}
	if len(b.Scale) == 1 {
		return b, true
	}
	alongK := s.axis == 0 != trans
	switch {
	case s.Block > 0 && !alongK:
		return b, false
	case s.Block > 0 && trans:
		groups := len(b.Scale) / rows
		turned := make([]float32, len(b.Scale))
		transposeF32(turned, rows, b.Scale, groups, rows, groups)
		b.Scale = turned
	case s.Block == 0 && alongK:
		b.Rows, b.Scale = b.Scale, []float32{1}
	}
	return b, true
}

// packSmallB packs the k×n matrix alpha·op(t).
func packSmallB(s *smallSource, t *tensor.Tensor, k, n int, trans bool, alpha float32) (*packedB, bool) {
	if t.Rank() != 2 {
		return nil, false
	}
	rows, cols := t.Shape()[0], t.Shape()[1]
	b, ok := s.matrix(rows, cols, trans, alpha)
	if !ok {
		return nil, false
	}
	return &packedB{kernel.PackSmallF32(k, n, b, cols, trans), t.Shape().Clone()}, true
}

// packSmallTaps is packTaps for weights in a small form; scale is one for all or one for
// each output channel.
func packSmallTaps(shape *convShape, src *smallSource) *packedConv {
	p := &packedConv{}
	p.work = &tapPacker{packedConv: p, small: src}
	packTaps(p, shape, nil)
	p.work = nil
	return p
}

// tapSmall is tap for weights in a small form.
func (b *tapPacker) tapSmall(g int, at [3]int) {
	s, src := b.s, b.small
	size := 1
	if src.Kind >= kernel.SmallF16 {
		size = 2
	}
	k := len(b.rows) * s.c
	m := src.SmallB
	m.Data = make([]byte, k*s.o*size)
	for r, kp := range b.rows {
		for c := range s.c {
			dst := m.Data[(r*s.c+c)*s.o*size:][:s.o*size]
			from, step := (g*s.o*s.c+c)*b.taps+kp, s.c*b.taps
			if s.transposed {
				from, step = (g*s.c+c)*s.o*b.taps+kp, b.taps
			}
			for o := 0; o < len(dst); o += size {
				copy(dst[o:o+size], src.Data[from*size:])
				from += step
			}
		}
	}
	if len(m.Scale) > 1 {
		m.Scale = m.Scale[g*s.o : (g+1)*s.o]
	}
	b.add(convTap{at: at, w: kernel.PackSmallF32(k, s.o, m, s.o, false)})
}

// inner returns the facts of the inputs of the operator on float32 values.
func (o *smallWeights) inner(in []Fact) []Fact {
	out := append([]Fact{}, in...)
	if len(out) > 1 {
		out[1].DType = tensor.Float32
	}
	return out
}

// Infer implements [Op].
func (o *smallWeights) Infer(in []Fact) ([]Fact, error) { return o.Op.Infer(o.inner(in)) }

// PackKey implements [Prepacker].
func (o *smallWeights) PackKey(i int, in []Fact) (string, bool) {
	key, ok := o.Op.(Prepacker).PackKey(i, o.inner(in))
	if !ok || i != 1 {
		return key, ok
	}
	if len(o.params) > 0 {
		key += fmt.Sprintf(" scale %p", o.params[0].Const)
	}
	return key + " small", true
}

// Prepack implements [Prepacker]. Weights that the operator does not multiply as matrices,
// and those of whose scales the kernels know nothing, become float32.
func (o *smallWeights) Prepack(i int, in []Fact, _ Slices) (Packed, error) {
	t, facts := in[1].Const, o.inner(in)
	src, err := o.source(t)
	if err != nil {
		return nil, err
	}
	switch p := o.Op.(type) {
	case *gemm:
		if _, n, k, err := p.extents(in[0].Shape, in[1].Shape); err == nil {
			if b, ok := packSmallB(src, t, k, n, p.transB, p.alpha); ok {
				return b, nil
			}
		}
	case *matmul:
		if d, _, err := p.dims(in[0].Shape, in[1].Shape); err == nil {
			if b, ok := packSmallB(src, t, d.k, d.n, p.transB, p.alpha); ok {
				return b, nil
			}
		}
	case *conv:
		output := 0
		if p.transposed {
			output = 1
		}
		f, err := p.facts(facts)
		if err != nil {
			return nil, err
		}
		if p.multipliesTaps(&f, facts) && (len(src.Scale) == 1 || src.Block == 0 && src.axis == output && len(src.Scale) == f.o*f.groups) {
			return packSmallTaps(&f.shape, src), nil
		}
	}
	out, err := o.from.Infer(append([]Fact{in[1]}, o.params...))
	if err != nil {
		return nil, err
	}
	ts, err := Eval(o.from, append([]Fact{in[1]}, o.params...), out)
	if err != nil {
		return nil, err
	}
	facts[1].Const = ts[0]
	return o.Op.(Prepacker).Prepack(i, facts, Slices{})
}

// multipliesTaps reports whether weights are packed as the matrices of the taps.
func (o *conv) multipliesTaps(f *convFacts, in []Fact) bool {
	key, ok := o.PackKey(1, in)
	return ok && strings.HasPrefix(key, "taps ") && !isDepthwise(&f.shape)
}

// prepackHalf is Prepack for half-precision weights.
func (o *conv) prepackHalf(i int, in []Fact) (Packed, error) {
	f, err := o.facts(in)
	if err != nil {
		return nil, err
	}
	if o.multipliesTaps(&f, in) {
		return packSmallTaps(&f.shape, halfSource(in[1].Const, 1)), nil
	}
	wide := append([]Fact{}, in...)
	for k := range wide {
		if wide[k].Present() {
			wide[k].DType = tensor.Float32
		}
	}
	t, err := tensor.New(tensor.Float32, in[1].Shape...)
	if err != nil {
		return nil, err
	}
	widen(t.Float32s(), in[1].Const)
	wide[1].Const = t
	return o.Prepack(i, wide, Slices{})
}

// Workspace implements [Workspacer].
func (o *smallWeights) Workspace(in []Fact) int {
	if w, ok := o.Op.(Workspacer); ok {
		return w.Workspace(o.inner(in))
	}
	return 0
}

// MACs implements [Coster].
func (o *smallWeights) MACs(in, out []Fact) int64 { return o.Op.(Coster).MACs(o.inner(in), out) }

// Fuse implements [Fuser].
func (o *smallWeights) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) {
	f, extra, ok := o.Op.(Fuser).Fuse(next, pos, nextIn)
	if !ok {
		return nil, 0, false
	}
	v := *o
	v.Op = f
	return &v, extra, true
}

// ChannelsLast implements [LayoutAware].
func (o *smallWeights) ChannelsLast(in []Fact) (Op, []bool, bool) {
	l, ok := o.Op.(LayoutAware)
	if !ok {
		return nil, nil, false
	}
	f, nhwc, ok := l.ChannelsLast(o.inner(in))
	if !ok {
		return nil, nil, false
	}
	v := *o
	v.Op = f
	return &v, nhwc, true
}

// Run implements [Op]. The weights must have been packed.
func (o *smallWeights) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if ctx.PackedInput(1) == nil {
		return fmt.Errorf("weights have not been packed")
	}
	return o.Op.Run(ctx, out, in)
}

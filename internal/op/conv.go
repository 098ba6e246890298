package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// conv is Conv and ConvTranspose over any number of spatial axes. The weights are
// [M, C/group, k…] for Conv and [C, M/group, k…] for ConvTranspose.
//
// float32 with up to three spatial axes goes through the tap engine (convtaps.go), or, to few
// channels, one product and a scattered sum (convscatter.go).
type conv struct {
	window
	group         int
	transposed    bool
	outputPadding []int
	outputShape   []int
	act           kernel.Epilogue // activation of float32 results; Bias is unused
	last          bool            // input 0 and the output are channels-last
	direct        bool            // results are not computed in tiles, whose weights are larger
	tapsOnly      bool            // windows are not gathered: weights are packed by taps, see smallWeights
}

var (
	_ Prepacker   = (*conv)(nil)
	_ Workspacer  = (*conv)(nil)
	_ Fuser       = (*conv)(nil)
	_ Coster      = (*conv)(nil)
	_ LayoutAware = (*conv)(nil)
)

func newConv(a *Attrs) (Op, error) {
	return &conv{window: readWindow(a), group: a.Int("group", 1)}, nil
}

func newConvTranspose(a *Attrs) (Op, error) {
	return &conv{
		window: readWindow(a), group: a.Int("group", 1), transposed: true,
		outputPadding: a.Ints("output_padding"), outputShape: a.Ints("output_shape"),
	}, nil
}

// convFacts is what conv derives from its inputs.
type convFacts struct {
	n, groups, c, o int // channels are per group
	ax              []axisWindow
	out             tensor.Shape // physical
	shape           convShape
	engine          bool // the tap engine applies
	scatter         bool // product and scattered sum
	gather          bool // product with a matrix of windows
	winograd        bool // tiles; needs constant weights
	banded          bool // gather, but the rows of windows are read from bands of the source
	mapped          bool // gather, but the windows are found by tables instead of being copied
	halving         bool // tiles of 4×4 windows
	constant        bool // weights
}

func (o *conv) facts(in []Fact) (f convFacts, err error) {
	if err := arity(in, 2, 3); err != nil {
		return f, err
	}
	if err := wantType(in, 0, typesFloat); err != nil {
		return f, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return f, err
	}
	x, w := in[0].Shape, in[1].Shape
	if o.last {
		x = toChannelsFirst(x)
	}
	f, err = o.geometry(x, w)
	if err != nil {
		return f, err
	}
	if present(in, 2) {
		if err := wantSame(in, 0, 2); err != nil {
			return f, err
		}
		if b := in[2].Shape; len(b) != 1 || b[0] != f.o*f.groups {
			return f, fmt.Errorf("bias has shape %v, want [%d]", b, f.o*f.groups)
		}
	}
	if in[0].DType != tensor.Float64 {
		if cube, ok := asCube(f.ax); ok {
			f.shape = newConvShape(f.n, f.groups, f.c, f.o, len(f.ax), cube, o.transposed)
			f.engine = viable(&f.shape)
			f.scatter = f.engine && (o.transposed || !o.tapsOnly) && usesScatter(&f.shape)
			f.mapped = f.engine && !o.tapsOnly && !f.scatter && o.last && usesMaps(&f.shape)
			f.banded = f.engine && !o.tapsOnly && !f.scatter && o.last && usesBands(&f.shape)
			f.gather = f.mapped || f.banded || f.engine && !o.tapsOnly && !f.scatter && (o.last || f.c*f.groups == 1) && usesGather(&f.shape)
			f.constant = in[1].Const != nil
			tiled := f.engine && !o.tapsOnly && o.last && in[0].DType == tensor.Float32
			f.halving = tiled && !(f.constant && o.direct) && usesHalving(&f.shape, f.constant)
			f.winograd = tiled && f.constant && !o.direct && usesWinograd(&f.shape)
		}
	}
	return f, nil
}

// geometry checks logical shapes of operand and weights.
func (o *conv) geometry(x, w tensor.Shape) (f convFacts, err error) {
	if len(x) < 3 || len(x) != len(w) {
		return f, fmt.Errorf("input %v and weights %v: want equal ranks of at least 3", x, w)
	}
	f.n, f.groups = x[0], o.group
	outer, per := w[0], w[1] // conv: M and C/group; transposed: C and M/group
	if o.group < 1 || outer < 1 || per < 1 || outer%o.group != 0 {
		return f, fmt.Errorf("weights %v do not divide into %d groups", w, o.group)
	}
	c := per
	f.c, f.o = per, outer/o.group
	if o.transposed {
		c = outer / o.group
		f.c, f.o = c, per
	}
	if x[1]%o.group != 0 || x[1]/o.group != c {
		return f, fmt.Errorf("input %v has %d channels, weights %v in %d groups take %d per group", x, x[1], w, o.group, c)
	}
	if o.kernel != nil && !tensor.Shape(o.kernel).Equal(w[2:]) {
		return f, fmt.Errorf("attribute %q is %v, weights have shape %v", "kernel_shape", o.kernel, w)
	}
	if o.transposed {
		f.ax, err = o.transpose(x[2:], w[2:], o.outputPadding, o.outputShape)
	} else {
		f.ax, err = o.slide(x[2:], w[2:], false)
	}
	if err != nil {
		return f, err
	}
	if mulSize(f.o, o.group) == math.MaxInt {
		return f, fmt.Errorf("%d groups of %d channels are too many", o.group, f.o)
	}
	f.out = tensor.Shape{f.n, f.o * o.group}
	for _, a := range f.ax {
		if o.transposed {
			f.out = append(f.out, a.in)
		} else {
			f.out = append(f.out, a.out)
		}
	}
	if o.last {
		f.out = toChannelsLast(f.out)
	}
	return f, nil
}

// Infer implements [Op].
func (o *conv) Infer(in []Fact) ([]Fact, error) {
	f, err := o.facts(in)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, f.out)
}

// PackKey implements [Prepacker]: constant float32 weights are wanted in the form of the
// method that will compute with them.
func (o *conv) PackKey(i int, in []Fact) (string, bool) {
	if i != 1 || in[0].DType != tensor.Float32 && !isHalf(in[0].DType) || in[1].Const == nil {
		return "", false
	}
	f, err := o.facts(in)
	switch {
	case err != nil || !f.engine:
		return "", false
	case f.scatter:
		return fmt.Sprintf("scatter t%v g%d", o.transposed, o.group), true
	case Complete && f.halving:
		return halvingKey(o.transposed, o.group), true
	case f.winograd:
		return winogradKey(o.group), true
	case f.gather:
		return gatherKey(&f.shape, o.group), true
	}
	var s [6]int
	for i, a := range f.shape.cube {
		s[i], s[3+i] = a.stride, a.dilation
	}
	return fmt.Sprintf("taps t%v g%d s%v d%v", o.transposed, o.group, s[:3], s[3:]), true
}

// Prepack implements [Prepacker].
func (o *conv) Prepack(i int, in []Fact, s Slices) (Packed, error) {
	if isHalf(in[1].Const.DType()) {
		return o.prepackHalf(i, in)
	}
	f, err := o.facts(in)
	if err != nil {
		return nil, err
	}
	w := in[1].Const
	if Complete && f.halving {
		if p := packHalving(&f.shape, w); p != nil {
			return p, nil
		}
	}
	if f.scatter {
		return packScatter(nil, &f.shape, w.Float32s()), nil
	}
	if f.winograd {
		if p := packWinograd(&f.shape, w, s); p != nil {
			return p, nil
		}
		f.gather = false
	}
	if !f.gather && (isDepthwise(&f.shape) || !Complete) {
		return packTaps(nil, &f.shape, w.Float32s()), nil
	}
	if !Complete {
		return packGather(nil, &f.shape, w.Float32s()), nil
	}
	return f.packSliced(newSlicedConv(&f.shape, w, s)), nil
}

// packSliced packs the weights of c for gathering or for taps.
func (f *convFacts) packSliced(c *slicedConv) Packed {
	if f.gather {
		return c.gatherSlices()
	}
	return c.tapSlices()
}

// Workspace implements [Workspacer].
func (o *conv) Workspace(in []Fact) int {
	size, _ := o.WorkspaceFor(in, maxSize)
	return size
}

// WorkspaceFor implements [ThreadWorkspacer], for any number of threads if that is maxSize.
func (o *conv) WorkspaceFor(in []Fact, threads int) (size, first int) {
	f, err := o.facts(in)
	if err != nil || !f.engine {
		return 0, 0
	}
	if !Complete || !f.halving {
		return o.workspaceOf(&f, threads)
	}
	var p halvingPlan
	p.lay(&f.shape)
	if !f.constant {
		return p.most, 0
	}
	// Weights without transform are multiplied directly.
	direct, _ := o.workspaceOf(&f, threads)
	if threads == maxSize {
		return max(p.work, direct), 0
	}
	size, first = p.need(threads)
	return max(size, direct), first
}

// workspaceOf is WorkspaceFor for methods other than halving.
func (o *conv) workspaceOf(f *convFacts, threads int) (size, first int) {
	slot := 0
	if f.scatter {
		var p scatterPlan
		p.lay(&f.shape)
		if min(p.slots, threads) > 1 {
			slot = scratchBytes(p.slotLen()) + slotGap/2
		}
		return p.workspace(o.last, threads), slot
	}
	if f.mapped && !f.winograd {
		return 0, 0
	}
	if f.banded && !f.winograd {
		var p bandPlan
		p.lay(&f.shape)
		if min(p.slots, threads) > 1 {
			slot = scratchBytes(p.srcLen) + slotGap/2
		}
		return p.workspace(threads), slot
	}
	if f.gather && !f.winograd {
		var p gatherPlan
		p.lay(&f.shape, o.last)
		return p.workspace(), 0
	}
	p := planConv(f.shape, o.last, o.last)
	if f.winograd {
		// Weights without transform are multiplied by taps.
		var w winogradPlan
		w.lay(&f.shape)
		return max(w.workspace(), p.workspace()), 0
	}
	return p.workspace(), 0
}

// MACs implements [Coster].
func (o *conv) MACs(in, out []Fact) int64 {
	f, err := o.facts(in)
	if err != nil {
		return 0
	}
	n := int64(f.n) * int64(f.groups) * int64(f.c) * int64(f.o)
	for _, a := range f.ax {
		n *= int64(a.out) * int64(a.kernel)
	}
	return n
}

// Fuse implements [Fuser].
func (o *conv) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) {
	if o.act.Act != kernel.ActNone {
		return nil, 0, false
	}
	e, ok := epilogue{}.activation(next, pos, nextIn)
	if !ok {
		return nil, 0, false
	}
	fused := *o
	e.kernel(&fused.act, nil)
	return &fused, 0, true
}

// ChannelsLast implements [LayoutAware].
func (o *conv) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || in[0].DType != tensor.Float32 {
		return nil, nil, false
	}
	if f, err := o.facts(in); err != nil || !f.engine {
		return nil, nil, false
	}
	v := *o
	v.last = true
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	return &v, nhwc, true
}

// Run implements [Op].
func (o *conv) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	switch d := in[0].DType(); {
	case isHalf(d):
		return viaFloat32(ctx, out, in, o.Run)
	case d == tensor.Float64:
		return runDirectConv[float64](o, ctx, out, in)
	}
	return o.runFloat32(ctx, out, in)
}

// convNode is what a conv keeps between runs.
type convNode struct {
	ready   bool
	x, w    tensor.Shape // the shapes that facts belongs to
	facts   convFacts
	taps    convState
	scatter scatterState
	gather  gatherState
	tiles   winogradState
	mapped  mappedState
	bands   bandState
	halves  halvingState
	packed  *packedConv    // weights that are not constant, packed anew in each run
	matrix  *packedScatter // the same for scatter
	windows *packedGather  // the same for gather
}

func (o *conv) runFloat32(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[convNode](ctx)
	packed := ctx.PackedInput(1)
	if !st.ready || !st.x.Equal(in[0].Shape()) || in[1] != nil && !st.w.Equal(in[1].Shape()) {
		if err := o.prepare(st, out, in, packed); err != nil {
			return err
		}
	}
	f := &st.facts
	if !f.engine {
		if err := runDirectConv[float32](o, ctx, out, in); err != nil {
			return err
		}
		y := out[0].Float32s()
		kernel.ActivateF32(y, y, &o.act)
		return nil
	}
	var bias []float32
	if b := given(in, 2); b != nil {
		bias = b.Float32s()
	}
	x, y := in[0].Float32s(), out[0].Float32s()
	if m, ok := packed.(*packedWinograd); ok {
		st.tiles.execute(ctx.Pool, m, x, y, bias, o.act, ctx.Scratch)
		return nil
	}
	if m, ok := packed.(*packedHalving); Complete && ok {
		st.halves.execute(ctx.Pool, m, x, nil, y, bias, o.act, ctx.Scratch)
		return nil
	}
	if Complete && f.halving && packed == nil && len(ctx.Scratch) >= st.halves.most {
		st.halves.execute(ctx.Pool, nil, x, in[1].Float32s(), y, bias, o.act, ctx.Scratch)
		return nil
	}
	if f.scatter {
		m, ok := packed.(*packedScatter)
		if !ok {
			st.matrix = packScatter(st.matrix, &f.shape, in[1].Float32s())
			m = st.matrix
		}
		st.scatter.execute(ctx.Pool, o.last, m, x, y, bias, o.act, ctx.Scratch)
		return nil
	}
	if f.gather {
		m, ok := packed.(*packedGather)
		if !ok {
			st.windows = packGather(st.windows, &f.shape, in[1].Float32s())
			m = st.windows
		}
		if f.mapped {
			st.mapped.execute(ctx.Pool, m, x, y, bias, o.act)
			return nil
		}
		if f.banded {
			st.bands.execute(ctx.Pool, m, x, y, bias, o.act, ctx.Scratch)
			return nil
		}
		st.gather.execute(ctx.Pool, o.last, m, x, y, bias, o.act, ctx.Scratch)
		return nil
	}
	m, ok := packed.(*packedConv)
	if !ok {
		st.packed = packTaps(st.packed, &f.shape, in[1].Float32s())
		m = st.packed
	}
	st.taps.execute(ctx.Pool, planConv(f.shape, o.last, o.last), m, x, y, bias, o.act, ctx.Scratch)
	return nil
}

// prepare derives the geometry again when shapes have changed.
func (o *conv) prepare(st *convNode, out, in []*tensor.Tensor, packed Packed) error {
	st.x = append(st.x[:0], in[0].Shape()...)
	var w tensor.Shape
	switch p := packed.(type) {
	case *packedConv:
		w = p.shape
	case *packedScatter:
		w = p.shape
	case *packedGather:
		w = p.shape
	case *packedWinograd:
		w = p.shape
	case *packedHalving:
		w = p.shape
	default:
		w = in[1].Shape()
	}
	st.w = append(st.w[:0], w...)
	f, err := o.facts([]Fact{{DType: tensor.Float32, Shape: st.x}, {DType: tensor.Float32, Shape: st.w}})
	_, taps := packed.(*packedConv)
	_, tiles := packed.(*packedWinograd)
	_, halves := packed.(*packedHalving)
	f.gather = f.gather && !taps && !tiles && !halves
	f.mapped, f.banded = f.mapped && f.gather, f.banded && f.gather
	st.facts, st.ready = f, err == nil
	if Complete && (halves || f.halving && packed == nil) {
		st.halves.lay(&f.shape)
	}
	switch {
	case halves:
	case f.scatter:
		st.scatter.prepare(&f.shape)
	case tiles:
		st.tiles.lay(&f.shape)
	case f.mapped:
		st.mapped.lay(&f.shape)
	case f.banded:
		st.bands.prepare(&f.shape)
	case f.gather:
		st.gather.lay(&f.shape, o.last)
	}
	return err
}

func runDirectConv[T floating](o *conv, ctx *Context, out, in []*tensor.Tensor) error {
	x, w := in[0].Shape(), in[1].Shape()
	if o.last {
		x = toChannelsFirst(x)
	}
	f, err := o.geometry(x, w)
	if err != nil {
		return err
	}
	d := directConv[T]{
		x: tensor.Data[T](in[0]), w: tensor.Data[T](in[1]), y: tensor.Data[T](out[0]), ax: f.ax, transposed: o.transposed,
		n: f.n, groups: f.groups, c: f.c, o: f.o, xLast: o.last, yLast: o.last,
	}
	if b := given(in, 2); b != nil {
		d.bias = tensor.Data[T](b)
	}
	d.run(ctx.Pool)
	return nil
}

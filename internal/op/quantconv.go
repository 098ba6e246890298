package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// quantConv is ConvInteger and QLinearConv: an exact convolution of 8-bit values, by rows
// of gathered taps and products of 8-bit matrices. The fields in the middle are indices of
// inputs, -1 where the operator has no such input.
type quantConv struct {
	conv                // the geometry
	integer             bool
	least, inputs       int
	xScale, xZero       int
	w, wScale, wZero    int
	yScale, yZero, bias int
	table               *kernel.Table8 // applied to the results, or nil
}

var (
	_ Prepacker   = (*quantConv)(nil)
	_ Workspacer  = (*quantConv)(nil)
	_ LayoutAware = (*quantConv)(nil)
	_ Coster      = (*quantConv)(nil)
)

func newQLinearConv(a *Attrs) (Op, error) {
	o := &quantConv{least: 8, inputs: 9, xScale: 1, xZero: 2, w: 3, wScale: 4, wZero: 5, yScale: 6, yZero: 7, bias: 8}
	o.conv = conv{window: readWindow(a), group: a.Int("group", 1)}
	if a.Has("channels_last") { // of com.microsoft
		o.last = a.Bool("channels_last", false)
	}
	return o, nil
}

func newConvInteger(a *Attrs) (Op, error) {
	o := &quantConv{integer: true, least: 2, inputs: 4, xScale: -1, xZero: 2, w: 1, wScale: -1, wZero: 3, yScale: -1, yZero: -1, bias: -1}
	o.conv = conv{window: readWindow(a), group: a.Int("group", 1)}
	return o, nil
}

// facts checks the inputs and returns the geometry.
func (o *quantConv) facts(in []Fact) (f convFacts, err error) {
	if err := arity(in, o.least, o.inputs); err != nil {
		return f, err
	}
	for _, i := range []int{0, o.w} {
		if err := wantType(in, i, types8); err != nil {
			return f, err
		}
	}
	if f, err = o.extents(in[0].Shape, in[o.w].Shape); err != nil {
		return f, err
	}
	m := f.o * f.groups
	if err := checkZero(in, o.xZero, 0, in[0].DType); err != nil {
		return f, err
	}
	if err := checkZero(in, o.wZero, m, in[o.w].DType); err != nil {
		return f, err
	}
	if !o.integer {
		for i, n := range map[int]int{o.xScale: 0, o.wScale: m, o.yScale: 0} {
			if err := checkScale(in, i, n); err != nil {
				return f, err
			}
		}
		if !types8.Has(in[o.yZero].DType) {
			return f, fmt.Errorf("input %d: type %v is not supported, want one of %v", o.yZero, in[o.yZero].DType, types8)
		}
		if err := checkCount(in, o.yZero, 0); err != nil {
			return f, err
		}
		if present(in, o.bias) {
			if b := in[o.bias]; b.DType != tensor.Int32 || len(b.Shape) != 1 || b.Shape[0] != m {
				return f, fmt.Errorf("bias %v, want int32[%d]", b, m)
			}
		}
	}
	return f, nil
}

// extents is facts for shapes alone.
func (o *quantConv) extents(x, w tensor.Shape) (f convFacts, err error) {
	if o.last {
		x = toChannelsFirst(x)
	}
	if f, err = o.geometry(x, w); err != nil {
		return f, err
	}
	cube, ok := asCube(f.ax)
	if !ok {
		return f, fmt.Errorf("%d spatial axes are not supported", len(f.ax))
	}
	f.shape = newConvShape(f.n, f.groups, f.c, f.o, len(f.ax), cube, false)
	if f.c > math.MaxInt32/(255*128)/max(1, mulSize(f.shape.taps())) {
		return f, fmt.Errorf("weights %v: so many terms may overflow a sum of 32 bits", w)
	}
	if o.plan(&f.shape).bytes == math.MaxInt || flatWindows(&f.shape) && tooMany(windowBytes(&f.shape, o.last, maxSize)) ||
		Complete && o.last && isPlain3x3(&f.shape, 1) && winogradQ8Bytes(&f.shape) == math.MaxInt ||
		o.last && isDepth8(&f.shape) && (tooMany(depth8Bytes(&f.shape, depthPairs, maxSize)) || tooMany(depth8Bytes(&f.shape, depthQuads, maxSize))) {
		return f, fmt.Errorf("shapes %v and %v are too large", x, w)
	}
	return f, nil
}

// Infer implements [Op].
func (o *quantConv) Infer(in []Fact) ([]Fact, error) {
	f, err := o.facts(in)
	if err != nil {
		return nil, err
	}
	d := tensor.Int32
	if !o.integer {
		d = in[o.yZero].DType
	}
	return outFact(d, f.out)
}

// conv8Form is how a convolution of 8-bit values is computed, and so what its weights are packed as.
type conv8Form uint8

const (
	convRows    conv8Form = iota // rows of gathered taps: packed8
	convDepth                    // each channel on its own: packedDepth8
	convFew                      // by position: packedFew
	convTiles                    // in Winograd tiles: packedWinogradQ8
	convWindows                  // windows that are read in place: packedQ8
)

func (o *quantConv) form(in []Fact, s *convShape) conv8Form {
	closed := o.closed(in, s)
	_, few := o.few(closed, s)
	switch {
	case o.byDepth(in, s):
		return convDepth
	case few:
		return convFew
	case Complete && o.tiled(in, s):
		return convTiles
	case closed:
		return convWindows
	}
	return convRows
}

// PackKey implements [Prepacker].
func (o *quantConv) PackKey(i int, in []Fact) (string, bool) {
	if i == o.wScale && !o.integer {
		return factorsKey(in, o.xScale, o.wScale, o.yScale, in[o.w].Shape[0], 1)
	}
	if i != o.w && (i != o.bias || i < 0) {
		return "", false
	}
	f, err := o.extents(in[0].Shape, in[o.w].Shape)
	if err != nil {
		return "", false
	}
	form := o.form(in, &f.shape)
	if i == o.bias {
		return "int32", in[i].Const != nil && form != convRows && form != convDepth
	}
	name := "conv-i8"
	switch form {
	case convDepth:
		return depth8Key(&f.shape, o.depthForm(&f.shape)), true
	case convFew:
		return keyOfFew(&f.shape), true
	case convTiles:
		name = "winograd-q8"
	case convWindows:
		name = "conv-q8"
	}
	return fmt.Sprintf("%s g%d", name, o.group), true
}

// Prepack implements [Prepacker].
func (o *quantConv) Prepack(i int, in []Fact, _ Slices) (Packed, error) {
	if i == o.wScale {
		return packFactors(in, o.xScale, o.wScale, o.yScale, in[o.w].Shape[0], 1), nil
	}
	if i == o.bias {
		return packInts(in[i].Const), nil
	}
	f, err := o.facts(in)
	if err != nil {
		return nil, err
	}
	s, w := &f.shape, in[o.w].Const
	switch form := o.form(in, s); {
	case form == convDepth:
		return packDepth8(s, w, o.depthForm(s)), nil
	case form == convFew:
		g, _ := geometryOfFew(s)
		return packFew(s, &g, w), nil
	case Complete && form == convTiles:
		return packWinogradQ8(s, w), nil
	case form == convWindows:
		return packWindows(s, w), nil
	}
	return packConv8(s, w), nil
}

// packConv8 packs the weights of each group as [taps·C, O].
func packConv8(s *convShape, w *tensor.Tensor) *packed8 {
	v := signed8(w)
	taps := s.taps()
	p := &packed8{shape: w.Shape().Clone(), dtype: w.DType()}
	buf := make([]int8, taps*s.c*s.o)
	for g := range s.groups {
		for o := range s.o {
			for c := range s.c {
				for k := range taps {
					buf[o*taps*s.c+k*s.c+c] = v[((g*s.o+o)*s.c+c)*taps+k]
				}
			}
		}
		p.w = append(p.w, kernel.PackI8(taps*s.c, s.o, buf, taps*s.c, true))
	}
	return p
}

// conv8Plan is the division of a run into units, and the scratch memory of a chunk.
type conv8Plan struct {
	blocks, units, chunks int // a unit is a block of positions of one image
	work                  int
	k                     int // taps·C
	direct                bool
	source                int // bytes of the channels-last operand; 0 where it is in place
	rows, sums, result    int // bytes of a chunk's gathered rows, sums and channels-last results
	bytes                 int
}

// conv8Rows is how many positions a unit has.
const conv8Rows = 64

func (o *quantConv) plan(s *convShape) conv8Plan {
	positions := mulSize(s.dst[:]...)
	source := mulSize(s.src[:]...)
	var p conv8Plan
	if positions == math.MaxInt || source == math.MaxInt {
		return conv8Plan{bytes: math.MaxInt}
	}
	p.blocks = (positions + conv8Rows - 1) / conv8Rows
	p.units = mulSize(s.n, p.blocks)
	p.k = mulSize(s.taps(), s.c)
	p.work = mulSize(s.n, positions, p.k, s.o, s.groups)
	p.chunks = chunksFor(p.units, p.work)
	if !o.last && s.c*s.groups > 1 && source > 1 {
		p.source = mulSize(s.n, source, s.c, s.groups)
	}
	// Where windows are single pixels side by side, the operand is the matrix.
	p.direct = s.groups == 1 && s.taps() == 1 && !isPadded(s) && s.src == s.dst && s.cube[2].stride == 1
	if !p.direct {
		p.rows = mulSize(conv8Rows, p.k)
	}
	p.sums = mulSize(4, conv8Rows, s.o)
	if !o.last {
		p.result = mulSize(4, conv8Rows, s.o)
	}
	line := func(n int) int { return alignedFloats((n+3)/4) * 4 }
	if mulSize(p.source, 2) == math.MaxInt || mulSize(p.rows, 2) == math.MaxInt || mulSize(p.sums, 4) == math.MaxInt {
		return conv8Plan{bytes: math.MaxInt}
	}
	p.source, p.rows, p.sums, p.result = line(p.source), line(p.rows), line(p.sums), line(p.result)
	per := slotBytes(p.chunks, p.rows+p.sums+p.result)
	if per > math.MaxInt-p.source {
		return conv8Plan{bytes: math.MaxInt}
	}
	p.bytes = p.source + per
	return p
}

// Workspace implements [Workspacer].
func (o *quantConv) Workspace(in []Fact) int {
	size, _ := o.WorkspaceFor(in, maxSize)
	return size
}

// WorkspaceFor implements [ThreadWorkspacer], for any number of threads if that is maxSize.
func (o *quantConv) WorkspaceFor(in []Fact, threads int) (size, first int) {
	f, err := o.facts(in)
	if err != nil {
		return 0, 0
	}
	s := &f.shape
	switch form := o.form(in, s); {
	case form == convDepth:
		return depth8Bytes(s, o.depthForm(s), threads)
	case form == convFew:
		g, _ := geometryOfFew(s)
		return fewBytes(s, &g, threads)
	case Complete && form == convTiles:
		return winogradQ8Bytes(s), 0
	case form == convWindows:
		size, first = windowBytes(s, o.last, threads)
	}
	return max(o.plan(s).bytes, size), first
}

// MACs implements [Coster].
func (o *quantConv) MACs(in, out []Fact) int64 {
	return o.conv.MACs([]Fact{{DType: tensor.Float32, Shape: in[0].Shape}, {DType: tensor.Float32, Shape: in[o.w].Shape}}, out)
}

// ChannelsLast implements [LayoutAware].
func (o *quantConv) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last {
		return nil, nil, false
	}
	if _, err := o.facts(in); err != nil {
		return nil, nil, false
	}
	v := *o
	v.last = true
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	return &v, nhwc, true
}

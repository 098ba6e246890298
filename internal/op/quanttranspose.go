package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A transposed convolution of 8-bit values is computed in cells. Along an axis with stride
// s, cell j holds the results at positions j·s + r − begin for r in [0, s); tap k
// contributes to residue r = k·dilation mod s from source position j − k·dilation div s.
// The cells of a group of residues thus read windows of consecutive source positions, and
// are the rows of one matrix product whose columns are residues and channels. Where the
// kernel is a multiple of the stride, one group of all residues has no zero weights;
// elsewhere, residues form groups of their own.

// quantConvTranspose is the transposed form of QLinearConv, with the same inputs. ONNX has
// no such operator: the planner makes it of a ConvTranspose between DequantizeLinear and
// QuantizeLinear.
type quantConvTranspose struct {
	quantConv
	planes bool // several channels are given in planes, for channels-last images
}

var (
	_ Prepacker   = (*quantConvTranspose)(nil)
	_ Workspacer  = (*quantConvTranspose)(nil)
	_ LayoutAware = (*quantConvTranspose)(nil)
	_ Coster      = (*quantConvTranspose)(nil)
)

// newQuantConvTranspose returns the 8-bit form of a transposed convolution.
func newQuantConvTranspose(c *conv) *quantConvTranspose {
	o := &quantConvTranspose{quantConv: quantConv{least: 8, inputs: 9, xScale: 1, xZero: 2, w: 3, wScale: 4, wZero: 5, yScale: 6, yZero: 7, bias: 8}}
	o.conv = conv{window: c.window, group: c.group, transposed: true, outputPadding: c.outputPadding, outputShape: c.outputShape}
	return o
}

// extents is the geometry for shapes alone.
func (o *quantConvTranspose) extents(x, w tensor.Shape) (f convFacts, err error) {
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
	f.shape = newConvShape(f.n, f.groups, f.c, f.o, len(f.ax), cube, true)
	if f.c > math.MaxInt32/(255*128)/max(1, mulSize(f.shape.taps())) {
		return f, fmt.Errorf("weights %v: so many terms may overflow a sum of 32 bits", w)
	}
	if mulSize(cube[0].stride, cube[1].stride, cube[2].stride) > maxPhases {
		return f, fmt.Errorf("strides of more than %d results in a cell are not supported", maxPhases)
	}
	if planCells(&f.shape, o.last).bytes == math.MaxInt || closedCells(&f.shape) && tooMany(cellBytes(&f.shape, o.last, maxSize)) {
		return f, fmt.Errorf("shapes %v and %v are too large", x, w)
	}
	return f, nil
}

// Infer implements [Op]. Weights have no zero point.
func (o *quantConvTranspose) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, o.least, o.inputs); err != nil {
		return nil, err
	}
	for _, i := range []int{0, o.w} {
		if err := wantType(in, i, types8); err != nil {
			return nil, err
		}
	}
	f, err := o.extents(in[0].Shape, in[o.w].Shape)
	if err != nil {
		return nil, err
	}
	m := f.o * f.groups
	if in[o.w].DType != tensor.Int8 || !allZero(in[o.wZero]) {
		return nil, fmt.Errorf("weights %v with a zero point other than 0 are not supported", in[o.w])
	}
	if err := checkZero(in, o.xZero, 0, in[0].DType); err != nil {
		return nil, err
	}
	for _, c := range [][2]int{{o.xScale, 0}, {o.wScale, m}, {o.yScale, 0}} {
		if err := checkScale(in, c[0], c[1]); err != nil {
			return nil, err
		}
	}
	if err := wantType(in, o.yZero, types8); err != nil {
		return nil, err
	}
	if err := checkCount(in, o.yZero, 0); err != nil {
		return nil, err
	}
	if present(in, o.bias) {
		if b := in[o.bias]; b.DType != tensor.Int32 || len(b.Shape) != 1 || b.Shape[0] != m {
			return nil, fmt.Errorf("bias %v, want int32[%d]", b, m)
		}
	}
	return outFact(in[o.yZero].DType, f.out)
}

// allZero reports whether a zero point is omitted or a constant of zeros.
func allZero(f Fact) bool {
	if !f.Present() {
		return true
	}
	if f.Const == nil {
		return false
	}
	for _, b := range f.Const.Bytes() {
		if b != 0 {
			return false
		}
	}
	return true
}

// PackKey implements [Prepacker].
func (o *quantConvTranspose) PackKey(i int, in []Fact) (string, bool) {
	if i == o.wScale {
		return factorsKey(in, o.xScale, o.wScale, o.yScale, mulSize(in[o.w].Shape[1], o.group), 1)
	}
	if i == o.bias {
		return "int32", in[i].Const != nil
	}
	if i != o.w {
		return "", false
	}
	f, err := o.extents(in[0].Shape, in[o.w].Shape)
	if err != nil {
		return "", false
	}
	var v [6]int
	for i, a := range f.shape.cube {
		v[i], v[3+i] = a.stride, a.dilation
	}
	name := "cells-i8"
	switch form := o.form(in, &f.shape); {
	case Complete && form == transposedPhases:
		g, _ := phasesOf(&f.shape)
		return g.key(&f.shape), true
	case form == transposedOverlap:
		return "overlap-q8", true
	case form == transposedFew:
		return keyOfFew(&f.shape), true
	case form == transposedWindows:
		name = "cells-q8"
	}
	return fmt.Sprintf("%s g%d s%v d%v", name, o.group, v[:3], v[3:]), true
}

// transposed8Form is how a transposed convolution of 8-bit values is computed, and so what its weights are packed as.
type transposed8Form uint8

const (
	transposedCells   transposed8Form = iota // by parts of the results, of 32-bit sums: packedCells
	transposedOverlap                        // each pixel with all taps: packedOverlap
	transposedFew                            // by position: packedFew
	transposedWindows                        // by parts, in windows that are read in place: packedQ8
	transposedPhases                         // each channel on its own: packedPhases
)

func (o *quantConvTranspose) form(in []Fact, s *convShape) transposed8Form {
	if Complete && o.last && in[o.w].Const != nil {
		if g, ok := phasesOf(s); ok && !tooMany(phasesBytes(s, &g, maxSize)) {
			return transposedPhases
		}
	}
	if !o.closed(in, s) {
		return transposedCells
	}
	if o.overlaps(s) {
		return transposedOverlap
	}
	if _, ok := o.few(true, s); ok {
		return transposedFew
	}
	return transposedWindows
}

// closed reports whether constant weights can be packed for products with 8-bit results.
func (o *quantConvTranspose) closed(in []Fact, s *convShape) bool {
	return in[o.w].Const != nil && closedCells(s)
}

// Prepack implements [Prepacker].
func (o *quantConvTranspose) Prepack(i int, in []Fact, _ Slices) (Packed, error) {
	if i == o.wScale {
		return packFactors(in, o.xScale, o.wScale, o.yScale, in[o.w].Shape[1]*o.group, 1), nil
	}
	if i == o.bias {
		return packInts(in[i].Const), nil
	}
	f, err := o.extents(in[0].Shape, in[o.w].Shape)
	if err != nil {
		return nil, err
	}
	switch form := o.form(in, &f.shape); {
	case Complete && form == transposedPhases:
		g, _ := phasesOf(&f.shape)
		return packPhases(&f.shape, &g, in[o.w].Const), nil
	case form == transposedOverlap:
		return packOverlap(&f.shape, in[o.w].Const), nil
	case form == transposedFew:
		g, _ := o.few(true, &f.shape)
		return packFew(&f.shape, &g, in[o.w].Const), nil
	case form == transposedWindows:
		return packCellWindows(&f.shape, in[o.w].Const), nil
	}
	return packCells(&f.shape, in[o.w].Const), nil
}

// Workspace implements [Workspacer].
func (o *quantConvTranspose) Workspace(in []Fact) int {
	size, _ := o.WorkspaceFor(in, maxSize)
	return size
}

// WorkspaceFor implements [ThreadWorkspacer], for any number of threads if that is maxSize.
func (o *quantConvTranspose) WorkspaceFor(in []Fact, threads int) (size, first int) {
	f, err := o.extents(in[0].Shape, in[o.w].Shape)
	if err != nil {
		return 0, 0
	}
	switch form := o.form(in, &f.shape); {
	case Complete && form == transposedPhases:
		g, _ := phasesOf(&f.shape)
		size, first = phasesBytes(&f.shape, &g, threads)
	case form == transposedOverlap:
		size, first = overlapBytes(&f.shape, threads)
	case form == transposedFew:
		g, _ := o.few(true, &f.shape)
		return fewBytes(&f.shape, &g, threads)
	case form == transposedWindows:
		size, first = cellBytes(&f.shape, o.last, threads)
	}
	return max(planCells(&f.shape, o.last).bytes, size), first
}

// ChannelsLast implements [LayoutAware].
func (o *quantConvTranspose) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last {
		return nil, nil, false
	}
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	if p, ok := o.planar(in); ok {
		return p, nhwc, true
	}
	v := *o
	v.last = true
	return &v, nhwc, true
}

// cellState is one run. Kept in the node's state.
type cellState struct {
	cellPlan
	chunkMemory
	convShape
	ready, last bool
	inputs      [2]tensor.Shape
	packed      *packedCells
	x, y        []uint8 // channels-last
	scratch     []byte
	signed      bool
	zero, yZero int32
	yType       tensor.DType
	columns     []cellColumns // by part and group of channels
	factorsFrom *packedFactors
	biasFrom    *packedInts
	wScale      []float32
	windows     cellRun
	few         fewRun
	overlap     overlapRun
}

// cellColumns are the multiplier and the bias of each column of a part, or for all rows of
// a unit, one after the other, where the part is flat.
type cellColumns struct {
	scale []float32
	bias  []int32
}

// Run implements [Op].
func (o *quantConvTranspose) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	if Complete {
		if p, ok := ctx.PackedInput(o.w).(*packedPhases); ok {
			return o.runPhases(ctx, p, out, in)
		}
	}
	t := StateOf[cellState](ctx)
	w, _ := ctx.PackedInput(o.w).(*packedCells)
	closed, _ := ctx.PackedInput(o.w).(*packedQ8)
	few, _ := ctx.PackedInput(o.w).(*packedFew)
	overlap, _ := ctx.PackedInput(o.w).(*packedOverlap)
	wShape := weightShape(ctx, o.w, in)
	if !t.ready || !t.inputs[0].Equal(in[0].Shape()) || !t.inputs[1].Equal(wShape) {
		f, err := o.extents(in[0].Shape(), wShape)
		if err != nil {
			return err
		}
		t.inputs = [2]tensor.Shape{in[0].Shape().Clone(), wShape.Clone()}
		t.convShape, t.cellPlan, t.last, t.ready = f.shape, planCells(&f.shape, o.last), o.last, true
		if closed != nil {
			t.windows.prepare(&f.shape, o.last)
		}
		if few != nil {
			t.few.prepare(&f.shape)
		}
		if overlap != nil {
			t.overlap.prepare(&f.shape)
		}
	}
	if overlap != nil {
		o.runOverlap(ctx, &t.overlap, overlap, out, in)
		return nil
	}
	if few != nil {
		o.runFew(ctx, &t.few, few, out, in)
		return nil
	}
	if closed != nil {
		o.runClosed(ctx, &t.windows, closed, out, in)
		return nil
	}
	if w == nil {
		w = packCells(&t.convShape, in[o.w])
	}
	t.packed, t.signed, t.zero, t.yType = w, in[0].DType() == tensor.Int8, 0, out[0].DType()
	if z := optional(in, o.xZero); z != nil {
		t.zero = zeroOf(z)
	}
	t.factors(ctx, o, in)
	t.x, t.y, t.scratch = in[0].Bytes(), out[0].Bytes(), ctx.Scratch
	channels, positions := t.c*t.groups, t.src[0]*t.src[1]*t.src[2]
	outs, results := t.o*t.groups, t.dst[0]*t.dst[1]*t.dst[2]
	if !t.last {
		t.x, t.y = t.scratch[:t.n*channels*positions], t.scratch[t.source:][:t.n*outs*results]
		for n := range t.n {
			kernel.TransposeU8(t.x[n*channels*positions:], in[0].Bytes()[n*channels*positions:], channels, positions)
		}
		t.scratch = t.scratch[t.source+t.result:]
	}
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
	if !t.last {
		for n := range t.n {
			kernel.TransposeU8(out[0].Bytes()[n*outs*results:], t.y[n*outs*results:], results, outs)
		}
	}
	o.finish(out[0])
	t.packed, t.x, t.y, t.scratch = nil, nil, nil, nil
	return nil
}

// factors sets the multipliers and the bias, in the order of the columns of each part.
func (t *cellState) factors(ctx *Context, o *quantConvTranspose, in []*tensor.Tensor) {
	t.yZero = zeroOf(in[o.yZero])
	scale, _ := ctx.PackedInput(o.wScale).(*packedFactors)
	constBias, _ := ctx.PackedInput(o.bias).(*packedInts)
	constant := scale != nil && optional(in, o.bias) == nil
	if constant && t.columns != nil && t.factorsFrom == scale && t.biasFrom == constBias {
		return
	}
	t.factorsFrom, t.biasFrom = scale, constBias
	var bias []int32
	if constBias != nil {
		bias = constBias.v
	}
	if scale == nil {
		t.wScale = floats32(t.wScale[:0], in[o.wScale])
		scale = &packedFactors{factorsOf(nil, scalarOf(in[o.xScale]), t.wScale, in[o.yScale], t.o*t.groups, 1)}
	}
	if b := optional(in, o.bias); b != nil {
		bias = tensor.Data[int32](b)
	}
	t.columns = t.columns[:0]
	for _, part := range t.parts {
		for g := range t.groups {
			repeat := part.n / t.o
			if part.flat {
				repeat *= t.rows
			}
			var c cellColumns
			for range repeat {
				c.scale = append(c.scale, scale.scale[g*t.o:][:t.o]...)
				if bias != nil {
					c.bias = append(c.bias, bias[g*t.o:][:t.o]...)
				}
			}
			t.columns = append(t.columns, c)
		}
	}
}

// Do implements [parallel.Task]: one chunk of units.
func (t *cellState) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.gather+t.sums+t.flat, chunk, worker)
	rows, mem := mem[:t.gather], mem[t.gather:]
	f, _ := floatsOf(mem, t.sums/4)
	result := mem[t.sums:][:t.flat]
	sums := intsIn(f)
	perImage := t.units / t.n
	for u := lo; u < hi; u++ {
		n, b, i := u/perImage, u%perImage, 0
		for b >= t.parts[i].blocks {
			b -= t.parts[i].blocks
			i++
		}
		g := &t.parts[i]
		first := b * t.rows
		m := min(t.rows, g.cells-first)
		for c := range t.groups {
			if g.k == 0 {
				clear(sums[:m*g.n])
			} else {
				t.gatherCells(rows, g, n, c, first, m)
				w := t.packed.w[t.index[i]][c]
				if t.signed {
					kernel.GemmS8(m, asInt8(rows), g.k, int8(t.zero), w, 0, w.Panels(), sums, g.n, false)
				} else {
					kernel.GemmU8(m, rows, g.k, uint8(t.zero), w, 0, w.Panels(), sums, g.n, false)
				}
			}
			w := cellWriter{cellState: t, part: g, columns: &t.columns[i*t.groups+c], sums: sums, group: c}
			if g.flat {
				w.bytes = result
				w.requantise(1, m*g.n, result, m*g.n, sums, m*g.n, 0)
			}
			w.store(n, first, m)
		}
	}
}

// gatherCells writes the windows of m cells of image n as rows.
func (t *cellState) gatherCells(rows []uint8, g *cellGroup, n, c, first, m int) {
	channels := t.c * t.groups
	x := t.x[n*t.src[0]*t.src[1]*t.src[2]*channels:]
	zero := uint8(t.zero)
	d, h, w := &g.ax[0], &g.ax[1], &g.ax[2]
	segment := w.window * t.c
	for i := range m {
		cell := first + i
		jw, r := cell%w.count+w.first, cell/w.count
		jh, jd := r%h.count+h.first, r/h.count+d.first
		w0 := jw - w.window + 1
		from, to := max(0, -w0), min(w.window, t.src[2]-w0)
		for sd := jd - d.window + 1; sd <= jd; sd++ {
			for sh := jh - h.window + 1; sh <= jh; sh++ {
				row := rows[:segment]
				rows = rows[segment:]
				if sd < 0 || sd >= t.src[0] || sh < 0 || sh >= t.src[1] || from >= to {
					kernel.FillU8(row, zero)
					continue
				}
				kernel.FillU8(row[:from*t.c], zero)
				kernel.FillU8(row[to*t.c:], zero)
				line := ((sd*t.src[1]+sh)*t.src[2] + w0) * channels
				if t.groups == 1 {
					copy(row[from*t.c:to*t.c], x[line+from*channels:])
					continue
				}
				for k := from; k < to; k++ {
					copy(row[k*t.c:(k+1)*t.c], x[line+k*channels+c*t.c:])
				}
			}
		}
	}
}

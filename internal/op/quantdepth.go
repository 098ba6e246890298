package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A depthwise convolution of 8-bit values has nothing to multiply as matrices. A band of the
// image becomes pairs of 16-bit values, each with its neighbour along the row, less the zero
// point and with a border of zeros, so that one instruction multiplies two taps of a row. Where the processor multiplies
// four bytes at a time and results have 8 bits, a row of results reads words of four rows of the image instead; and where
// it has a kernel for 3×3, that reads three rows of bytes.

// isDepth8 reports whether a convolution is one of images where each channel is a group.
func isDepth8(s *convShape) bool {
	return isDepthwise(s) && s.o == 1 && !s.transposed && s.cube[0].kernel == 1 && s.padded[0] == 1 && s.dst[0] == 1 && s.taps() > 0
}

// byDepth reports whether a convolution is computed by [kernel.DepthI16].
func (o *quantConv) byDepth(in []Fact, s *convShape) bool {
	if !o.last || in[o.w].Const == nil || !isDepth8(s) {
		return false
	}
	z := Fact{}
	if present(in, o.wZero) {
		z = in[o.wZero]
	}
	return isCentred(z, in[o.w].DType)
}

// depth8Form is how a depthwise convolution is computed.
type depth8Form uint8

const (
	depthPairs depth8Form = iota // by [kernel.DepthI16]
	depthQuads                   // by [kernel.DepthQ8]
	depth3x3                     // by [kernel.Depth3x3Q8]
)

// depthForm returns the form of a convolution that byDepth accepts.
func (o *quantConv) depthForm(s *convShape) depth8Form {
	switch {
	case o.integer:
	case kernel.HasDepthQ8() && s.groups%16 == 0 && mulSize(s.src[2], s.groups) >= 64 && s.dst[2] >= 4:
		return depthQuads
	case kernel.HasDepth3x3Q8() && s.groups%8 == 0 && s.cube[1].kernel == 3 && s.cube[2].kernel == 3 && s.cube[2].dilation == 1 && s.cube[2].stride <= 2:
		return depth3x3
	}
	return depthPairs
}

// packedDepth8 is the weights of a depthwise convolution as pairs of neighbouring taps of a row,
// or as four taps of a column.
type packedDepth8 struct {
	w     []int32 // [pairs or quads, channels]
	zeros []int32 // in place of a bias; nil for quads
	sums  []int32 // of the weights of each channel, for quads
	nine  []int16 // the weights, for 3×3
	form  depth8Form
	shape tensor.Shape
}

// Bytes implements [Packed].
func (p *packedDepth8) Bytes() int { return 4*(len(p.w)+len(p.zeros)+len(p.sums)) + 2*len(p.nine) }

func depth8Key(s *convShape, form depth8Form) string {
	switch form {
	case depthQuads:
		return "depth-q8"
	case depth3x3:
		return "depth-q8 3x3"
	}
	return fmt.Sprintf("depth-i8 d%d", s.cube[2].dilation)
}

// pairTaps calls f for each pair of taps, or single tap, of each row of the kernel.
func pairTaps(s *convShape, f func(row, tap int, pair bool)) {
	w := s.cube[2]
	for row := range s.cube[1].kernel {
		for k := 0; k < w.kernel; k++ {
			pair := w.dilation == 1 && k+1 < w.kernel
			f(row, k, pair)
			if pair {
				k++
			}
		}
	}
}

func packDepth8(s *convShape, w *tensor.Tensor, form depth8Form) *packedDepth8 {
	switch form {
	case depthQuads:
		return packQuads(s, w)
	case depth3x3:
		return &packedDepth8{form: form, nine: kernel.PackDepth3x3(nil, signed8(w), s.groups), shape: w.Shape().Clone()}
	}
	v, taps := signed8(w), s.taps()
	p := &packedDepth8{shape: w.Shape().Clone(), zeros: make([]int32, s.groups)}
	pairTaps(s, func(row, tap int, pair bool) {
		at := row*s.cube[2].kernel + tap
		for c := range s.groups {
			next := int8(0)
			if pair {
				next = v[c*taps+at+1]
			}
			p.w = append(p.w, kernel.PairWeights(v[c*taps+at], next))
		}
	})
	return p
}

// packQuads packs four rows of the kernel at a time; three rows also as they are for the next row of results.
func packQuads(s *convShape, w *tensor.Tensor) *packedDepth8 {
	v, kh, kw := signed8(w), s.cube[1].kernel, s.cube[2].kernel
	p := &packedDepth8{form: depthQuads, shape: w.Shape().Clone(), sums: make([]int32, s.groups)}
	pack := func(row, shift int) {
		for col := range kw {
			for c := range s.groups {
				var q [4]int8
				for i := shift; i < min(4, kh-row+shift); i++ {
					q[i] = v[(c*kh+row+i-shift)*kw+col]
				}
				p.w = append(p.w, kernel.QuadWeights(q[0], q[1], q[2], q[3]))
			}
		}
	}
	for row := 0; row < kh; row += 4 {
		pack(row, 0)
	}
	if kh == 3 {
		pack(0, 1)
	}
	for i, b := range v {
		p.sums[i/(kh*kw)] += int32(b)
	}
	return p
}

// depth8Plan is the division of a run into bands of result rows, and the scratch memory of a
// chunk.
type depth8Plan struct {
	rows, bands        int // result rows of a band; bands of an image
	units, chunks      int
	band, sums, border int // bytes of a chunk: the image or a row of quads, sums of a row, and zero points
}

// depth8Cost is the work of one multiply-add of a depthwise convolution of 8-bit values, in those of others.
const depth8Cost = 4

func planDepth8(s *convShape, form depth8Form, by sharing) depth8Plan {
	var p depth8Plan
	h, c := s.cube[1], s.groups
	work := mulSize(s.n, s.dst[1], s.dst[2], s.taps(), c, depth8Cost)
	pitch := mulSize(4, s.padded[2], c)
	inRows := func(rows int) int { return mulSize(rows-1, h.stride) + h.span() }
	p.rows = s.dst[1]
	for p.rows > 1 && mulSize(inRows(p.rows), pitch) > 2*bandBytes {
		p.rows = (p.rows + 1) / 2
	}
	p.rows = by.band(p.rows, s.dst[1], s.n, work)
	p.bands = ceilDiv(s.dst[1], p.rows)
	p.units = mulSize(s.n, p.bands)
	p.chunks = by.split(p.units, work)
	p.band = scratchBytes(mulSize(inRows(p.rows), pitch/4))
	p.sums = scratchBytes(mulSize(s.dst[2], c))
	p.border = scratchBytes(c/4 + 1)
	switch form {
	case depthQuads:
		p.band, p.sums = scratchBytes(mulSize(ceilDiv(h.kernel, 4), pitch/4)), 0
		p.border = scratchBytes(mulSize(s.src[2], c)/4 + 1)
	case depth3x3:
		p.band, p.sums, p.border = scratchBytes(mulSize(inRows(p.rows), pitch/4)/4+1), 0, 0
	}
	return p
}

func depth8Scratch(p depth8Plan) scratch8 {
	return scratch8{0, addSize(p.band, addSize(p.sums, p.border)), p.chunks}
}

// depth8Bytes is the scratch memory of a run for a number of threads.
//
//go:noinline
func depth8Bytes(s *convShape, form depth8Form, threads int) (size, first int) {
	return bytesFor(threads, func(by sharing) scratch8 { return depth8Scratch(planDepth8(s, form, by)) })
}

// depth8Run is one run. Kept in the node's state.
type depth8Run struct {
	depth8Plan
	plans [sharings]depth8Plan
	chunkMemory
	convShape
	taps    []kernel.DepthTap
	packed  *packedDepth8
	signed  bool
	zero    int32
	yZero   int32
	x       []uint8
	y       *tensor.Tensor
	scale   []float32
	bias    []int32
	table   *kernel.Table8
	scratch []byte
	quads   kernel.DepthQ8
	direct  bool // pairs give 8-bit results by quads
	nine    kernel.Depth3x3Q8
}

func (t *depth8Run) lay(s *convShape, form depth8Form) {
	t.convShape, t.taps = *s, t.taps[:0]
	t.plans = plansFor(func(by sharing) depth8Plan { return planDepth8(s, form, by) })
	switch form {
	case depth3x3:
		return
	case depthQuads:
		for row := range ceilDiv(s.cube[1].kernel, 4) {
			for col := range s.cube[2].kernel {
				t.taps = append(t.taps, kernel.DepthTap{X: (row*s.padded[2] + col*s.cube[2].dilation) * s.groups, W: len(t.taps) * s.groups})
			}
		}
		return
	}
	pairTaps(s, func(row, tap int, _ bool) {
		at := row*s.cube[1].dilation*s.padded[2] + tap*s.cube[2].dilation
		t.taps = append(t.taps, kernel.DepthTap{X: at * s.groups, W: len(t.taps) * s.groups})
	})
}

// runDepth8 is Run for packed depthwise weights.
func (o *quantConv) runDepth8(ctx *Context, st *quantConvState, p *packedDepth8, out, in []*tensor.Tensor) {
	t := &st.depth
	keep(&t.packed, p)
	keepSlice(&t.x, bytes8(in[0]))
	keep(&t.y, out[0])
	keep(&t.signed, in[0].DType() == tensor.Int8)
	zero := int32(0)
	if z := optional(in, o.xZero); z != nil {
		zero = zeroOf(z)
	}
	keep(&t.zero, zero)
	if !o.integer {
		st.bias = nil
		st.factors(ctx, o, in)
		keepSlice(&t.scale, st.scale)
		keepSlice(&t.bias, st.bias)
		keep(&t.yZero, st.yZero)
	}
	keepSlice(&t.scratch, ctx.Scratch)
	keep(&t.table, o.table)
	keep(&t.depth8Plan, t.plans[sharingOf(ctx.Pool)])
	switch result := t.y.DType() == tensor.Int8; p.form {
	case depthQuads:
		t.quads.Set(p.sums, t.zero, t.signed, t.bias, t.scale, t.yZero, result)
	case depthPairs:
		keep(&t.direct, !o.integer && kernel.HasDepthPairsQ8() && t.groups%8 == 0 && t.dst[2] >= 4)
		if t.direct {
			t.quads.Set(p.zeros, 0, false, t.bias, t.scale, t.yZero, result)
		}
	case depth3x3:
		t.nine.Set(t.zero, t.signed, t.bias, t.scale, t.yZero, result)
	}
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
	st.bias = nil
}

// Do implements [parallel.Task]: one chunk of bands.
func (t *depth8Run) Do(chunk, worker int) {
	switch t.packed.form {
	case depthQuads:
		t.doQuads(chunk, worker)
		return
	case depth3x3:
		t.do3x3(chunk, worker)
		return
	}
	c, h := t.groups, t.cube[1]
	mem := t.part(t.scratch, t.band+t.sums+t.border, chunk, worker)
	words, mem := floatsOf(mem, t.band/4)
	sums, mem := floatsOf(mem, t.dst[2]*c)
	band, acc, border := intsIn(words), intsIn(sums), mem[:c]
	for i := range border {
		border[i] = uint8(t.zero)
	}
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.rows
		last := min(first+t.rows, t.dst[1])
		y0 := first*h.stride - t.before[1]
		pitch := t.padded[2] * c
		for r := range (last-first-1)*h.stride + h.span() {
			t.pairs(band[r*pitch:][:pitch], n, y0+r, border)
		}
		for y := first; y < last; y++ {
			row := band[(y-first)*h.stride*pitch:]
			at := (n*t.dst[1] + y) * t.dst[2] * c
			if t.direct {
				y := t.y.Bytes()[at:][:t.dst[2]*c]
				t.quads.RunPairs(y, c, row, t.cube[2].stride*c, t.dst[2], t.packed.w, t.taps)
				if t.table != nil {
					t.table.Map(y, y)
				}
				continue
			}
			kernel.DepthI16(acc, c, row, t.cube[2].stride*c, t.dst[2], c, t.packed.w, t.taps, t.packed.zeros)
			t.store(acc, at, t.dst[2], c)
		}
	}
}

// doQuads is Do for quads.
func (t *depth8Run) doQuads(chunk, worker int) {
	c, h := t.groups, t.cube[1]
	mem := t.part(t.scratch, t.band+t.border, chunk, worker)
	words, mem := floatsOf(mem, t.band/4)
	band, outside := intsIn(words), mem[:t.src[2]*c]
	kernel.FillU8(outside, uint8(t.zero))
	pitch, lead := t.padded[2]*c, t.before[2]*c
	for at := 0; at < ceilDiv(h.kernel, 4)*pitch; at += pitch {
		t.quads.Border(band[at:][:lead], t.zero)
		t.quads.Border(band[at:][lead+len(outside):pitch], t.zero)
	}
	// The four image rows of a word are those of two rows of results.
	two := h.kernel == 3 && h.stride == 1 && h.dilation == 1
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.rows
		for y, last := first, min(first+t.rows, t.dst[1]); y < last; y++ {
			for k := 0; k < h.kernel; k += 4 {
				var rows [4][]uint8
				for i := range rows {
					rows[i] = outside
					if r := y*h.stride - t.before[1] + (k+i)*h.dilation; (two || k+i < h.kernel) && r >= 0 && r < t.src[1] {
						rows[i] = t.x[(n*t.src[1]+r)*len(outside):]
					}
				}
				t.quads.Quads(band[k/4*pitch+lead:][:len(outside)], &rows)
			}
			size := t.dst[2] * c
			row := t.y.Bytes()[(n*t.dst[1]+y)*size:][:size]
			t.quads.Run(row, c, band, t.cube[2].stride*c, t.dst[2], t.packed.w, t.taps)
			if two && y+1 < last {
				y++
				row = t.y.Bytes()[(n*t.dst[1]+y-1)*size:][:2*size]
				t.quads.Run(row[size:], c, band, t.cube[2].stride*c, t.dst[2], t.packed.w[len(t.taps)*c:], t.taps)
			}
			if t.table != nil {
				t.table.Map(row, row)
			}
		}
	}
}

// do3x3 is Do for kernels of 3×3.
func (t *depth8Run) do3x3(chunk, worker int) {
	c, h := t.groups, t.cube[1]
	band := t.part(t.scratch, t.band, chunk, worker)
	pitch, width := t.padded[2]*c, t.src[2]*c
	zero := uint8(t.zero)
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.rows
		last := min(first+t.rows, t.dst[1])
		for r := range (last-first-1)*h.stride + h.span() {
			row := band[r*pitch:][:pitch]
			y := first*h.stride - t.before[1] + r
			if y < 0 || y >= t.src[1] {
				kernel.FillU8(row, zero)
				continue
			}
			lead := t.before[2] * c
			kernel.FillU8(row[:lead], zero)
			copy(row[lead:], t.x[(n*t.src[1]+y)*width:][:width])
			kernel.FillU8(row[min(pitch, lead+width):], zero)
		}
		for y := first; y < last; y++ {
			var rows [3][]uint8
			for k := range rows {
				rows[k] = band[((y-first)*h.stride+k*h.dilation)*pitch:][:pitch]
			}
			size := t.dst[2] * c
			row := t.y.Bytes()[(n*t.dst[1]+y)*size:][:size]
			t.nine.Run(row, c, &rows, t.cube[2].stride, t.dst[2], t.packed.nine)
			if t.table != nil {
				t.table.Map(row, row)
			}
		}
	}
}

// pairs fills a row of a band from row y of an image, which may lie outside it.
func (t *depth8Run) pairs(dst []int32, n, y int, border []uint8) {
	c, w := t.groups, t.src[2]
	if y < 0 || y >= t.src[1] || w == 0 {
		clear(dst)
		return
	}
	src := t.x[(n*t.src[1]+y)*w*c:][:w*c]
	lead := t.before[2] * c
	if lead > 0 {
		clear(dst[:lead-c])
		kernel.PairI16(dst[lead-c:lead], border, src, t.signed, t.zero)
	}
	body := dst[lead:]
	kernel.PairI16(body[:(w-1)*c], src, src[c:], t.signed, t.zero)
	kernel.PairI16(body[(w-1)*c:w*c], src[(w-1)*c:], border, t.signed, t.zero)
	clear(body[w*c:])
}

// store writes w results, step elements apart.
func (t *depth8Run) store(acc []int32, at, w, step int) {
	c := t.groups
	switch t.y.DType() {
	case tensor.Int32:
		copy(tensor.Data[int32](t.y)[at:], acc[:w*c])
	case tensor.Int8:
		kernel.RequantI8(w, c, asInt8(t.y.Bytes()[at:]), step, acc, c, t.bias, t.scale, t.yZero, -128, 127)
	default:
		kernel.RequantU8(w, c, t.y.Bytes()[at:], step, acc, c, t.bias, t.scale, t.yZero, 0, 255)
	}
	if t.table != nil {
		row := t.y.Bytes()[at:][:w*c]
		t.table.Map(row, row)
	}
}

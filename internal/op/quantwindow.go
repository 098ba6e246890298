package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// The windows of a convolution are rows of a matrix that lie in an image: the taps of one
// kernel row are consecutive values of one image row, and windows side by side begin a
// fixed number of values apart. So [kernel.PackedQ8] multiplies them where they are, in a
// band of image rows that has a border of zero points and the kernel's form of values.

// windowBand is the part of an image that the windows of a band of result rows cover.
type windowBand struct {
	first, rows int // image rows, which may lie outside the image
	left, width int // image columns; likewise
}

// fill converts the band of channels [c0, c0+c) of a channels-last image of h×w positions
// with all channels to dst. What lies outside the image is written if border is set.
func (b windowBand) fill(p *kernel.PackedQ8, dst []byte, x []uint8, h, w, all, c0, c int, signed bool, zero int32, border bool) {
	size := p.ValueBytes()
	pitch := b.width * c * size
	lead := min(max(0, -b.left), b.width) * c * size
	from, to := max(0, b.left), min(w, b.left+b.width)
	top, bottom := min(max(0, -b.first), b.rows), max(0, min(h-b.first, b.rows)) // rows of the band that the image has
	if from >= to || top >= bottom {
		top, bottom = b.rows, b.rows
	}
	n := (to - from) * c
	if border {
		// The end of a row and the beginning of the next one are side by side.
		at := 0
		for r := top; r < bottom; r++ {
			p.Border(dst[at:r*pitch+lead], signed, zero)
			at = r*pitch + lead + n*size
		}
		p.Border(dst[at:b.rows*pitch], signed, zero)
	}
	if top == bottom {
		return
	}
	src := x[((b.first+top)*w+from)*all+c0:]
	if c == all {
		p.ConvertRows(dst[top*pitch+lead:], b.width*c, src, w*all, bottom-top, n, signed, zero)
		return
	}
	for r := range bottom - top {
		p.ConvertRows(dst[(top+r)*pitch+lead:], c, src[r*w*all:], all, to-from, c, signed, zero)
	}
}

// bandBytes is what a band may take of the second-level cache.
const bandBytes = 64 << 10

// windowPlan is the division of a convolution into units, which are bands of result rows of
// one image or several whole images, and the scratch memory of a chunk.
type windowPlan struct {
	rows, bands   int // result rows of a band; bands of an image
	images        int // of a unit
	units, chunks int
	width, pitch  int // positions and values of a row of a band
	channels      int // values of a position: those of one group, or of all if kernels are one position wide
	source        int // bytes of the channels-last operand; 0 where it is in place
	image, result int // bytes of a chunk: a band, as wide as any kernel wants it, and results
}

// planWindows divides a convolution that closed accepts.
func planWindows(s *convShape, last bool, by sharing) windowPlan {
	var p windowPlan
	h, w := s.cube[1], s.cube[2]
	work := mulSize(s.n, s.dst[1], s.dst[2], s.taps(), s.c, s.o, s.groups)
	p.width = mulSize(s.dst[2]-1, w.stride) + w.kernel
	if p.channels = s.c; w.kernel == 1 {
		p.channels = mulSize(s.c, s.groups)
	}
	p.pitch = mulSize(p.width, p.channels)
	inRows := func(rows int) int { return mulSize(rows-1, h.stride) + h.span() }
	p.rows, p.images = s.dst[1], 1
	for p.rows > 1 {
		bytes, half := mulSize(inRows(p.rows), p.pitch, 2), (p.rows+1)/2
		// Rows that two bands read are copied twice. Where they would be many, bands take more of the cache.
		if bytes <= bandBytes || bytes <= 4*bandBytes && inRows(half) > mulSize(half, h.stride, 3)/2 {
			break
		}
		p.rows = half
	}
	p.rows = by.band(p.rows, s.dst[1], s.n, work)
	p.bands = (s.dst[1] + p.rows - 1) / p.rows
	p.image = scratchBytes(mulSize(inRows(p.rows), p.pitch)/2 + kernel.SlackQ8)
	if by == alone && p.bands == 1 && last {
		p.images = max(1, min(s.n, 2*bandBytes/p.image, queuedLines/max(1, p.rows)))
	}
	p.units = mulSize((s.n+p.images-1)/p.images, p.bands)
	p.chunks = by.split(p.units, work)
	if !last && s.c*s.groups > 1 && s.src[1]*s.src[2] > 1 {
		p.source = scratchBytes(mulSize(s.n, s.src[1], s.src[2], s.c, s.groups)/4 + 1)
	}
	if !last {
		p.result = scratchBytes(mulSize(p.rows, s.dst[2], s.o)/4 + 1)
	}
	return p
}

func windowScratch(p windowPlan) scratch8 {
	return scratch8{p.source, addSize(mulSize(p.images, p.image), p.result), p.chunks}
}

// windowBytes is the scratch memory of a convolution that closed accepts for a number of threads.
//
//go:noinline
func windowBytes(s *convShape, last bool, threads int) (size, first int) {
	j := joinGroups(s)
	return bytesFor(threads, func(by sharing) scratch8 { return windowScratch(planWindows(&j, last, by)) })
}

// chunkMemory chooses the scratch memory of a chunk, of which there is one part for each. Where there are no more threads
// than chunks, a thread keeps to one part, which stays in its cache.
type chunkMemory struct{ byWorker bool }

func (m *chunkMemory) share(pool *parallel.Pool, chunks int) {
	keep(&m.byWorker, pool.Threads() <= chunks)
}

func (m *chunkMemory) part(scratch []byte, size, chunk, worker int) []byte {
	if m.byWorker {
		chunk = worker
	}
	return scratch[chunk*(size+slotGap):][:size]
}

// addSize is mulSize for sums.
func addSize(a, b int) int {
	if mulSize(2, a) == maxSize || mulSize(2, b) == maxSize {
		return maxSize
	}
	return a + b
}

const maxSize = int(^uint(0) >> 1)

// closed reports whether all that is made of the sums is 8-bit values and windows lie in
// images as [kernel.PackedQ8] wants them, for constant weights without zero point.
func (o *quantConv) closed(in []Fact, s *convShape) bool { return kernel.HasQ8() && o.flat(in, s) }

// flat is closed for any processor.
func (o *quantConv) flat(in []Fact, s *convShape) bool {
	if o.integer || in[o.w].Const == nil || o.byDepth(in, s) {
		return false
	}
	z := Fact{}
	if present(in, o.wZero) {
		z = in[o.wZero]
	}
	return isCentred(z, in[o.w].DType) && flatWindows(s)
}

// flatWindows reports whether windows are those of images and rows of taps have no gaps.
func flatWindows(s *convShape) bool {
	return s.cube[0].kernel == 1 && s.src[0] == 1 && s.dst[0] == 1 && s.cube[2].dilation == 1 && s.c > 0 && s.o > 0 && s.taps() > 0
}

const (
	// joinedChannels is how many channels groups have at least, if there are so many, where they are computed together.
	joinedChannels = 16
	// joinedTaps is the most taps of kernels whose groups are joined, so that sums stay within 32 bits.
	joinedTaps = 1 << 10
)

// joinGroups returns s with groups of few channels joined to larger ones, whose weights between channels that were of different
// groups are 0. Tiles multiply so many columns and steps whether they are wanted or not.
func joinGroups(s *convShape) convShape {
	j := *s
	for n := 1; n <= s.groups && j.c < joinedChannels && s.taps() <= joinedTaps; n++ {
		if s.groups%n == 0 {
			j.groups, j.c, j.o = s.groups/n, s.c*n, s.o*n
		}
	}
	return j
}

// packQ8 is a function that packs a matrix, as [kernel.PackQ8].
type packQ8 func(segs, segK, n int, b []int8, ldb int, transB bool) *kernel.PackedQ8

// packAlike returns what f packs: matrices for which left values have the same form.
func packAlike(f func(pack packQ8) []*kernel.PackedQ8) []*kernel.PackedQ8 {
	list := f(kernel.PackQ8)
	for _, p := range list {
		if p.ValueBytes() != list[0].ValueBytes() {
			return f(kernel.PackAlikeQ8)
		}
	}
	return list
}

// packWindows packs the weights of each group.
func packWindows(s *convShape, w *tensor.Tensor) *packedQ8 {
	v := signed8(w)
	taps, j := s.taps(), joinGroups(s)
	return &packedQ8{packAlike(func(pack packQ8) (list []*kernel.PackedQ8) {
		buf := make([]int8, taps*j.c*j.o)
		for g := range j.groups {
			for o := range j.o {
				group := o / s.o * s.c // channels of the joined group before those of the result's own
				for c := range s.c {
					for k := range taps {
						buf[o*taps*j.c+k*j.c+group+c] = v[((g*j.o+o)*s.c+c)*taps+k]
					}
				}
			}
			list = append(list, pack(s.cube[1].kernel, s.cube[2].kernel*j.c, j.o, buf, taps*j.c, true))
		}
		return list
	}), w.Shape().Clone()}
}

// windowRun is one run of a convolution by windows. Kept in the node's state.
type windowRun struct {
	windowPlan
	plans [sharings]windowPlan
	chunkMemory
	convShape
	packed      *packedQ8
	table       *kernel.Table8
	columns     columnsQ8
	last        bool
	signed      bool
	zero        int32
	x, source   []uint8
	y           []uint8
	scratch     []byte
	transposing spreader
}

// runClosed is Run for packed windows.
func (o *quantConv) runClosed(ctx *Context, t *windowRun, w *packedQ8, out, in []*tensor.Tensor) {
	keep(&t.packed, w)
	keep(&t.signed, in[0].DType() == tensor.Int8)
	keep(&t.last, o.last)
	keep(&t.table, o.table)
	keep(&t.zero, t.columns.find(ctx, o.inputsQ8(), 1, t.packed, t.groups, t.o*t.groups, out, in))
	keep(&t.windowPlan, t.plans[sharingOf(ctx.Pool)])
	x, scratch := bytes8(in[0]), ctx.Scratch
	keepSlice(&t.x, x)
	keepSlice(&t.y, out[0].Bytes())
	if t.windowPlan.source == 0 {
		keepSlice(&t.source, x)
		keepSlice(&t.scratch, scratch)
	} else {
		keepSlice(&t.source, scratch)
		keepSlice(&t.scratch, scratch[t.windowPlan.source:])
		if t.transposing.f == nil {
			t.transposing.f = t.transposeImages
		}
		t.transposing.run(ctx.Pool, t.n*t.src[1], mulSize(copyCost, len(t.x)))
	}
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
}

// transposeImages brings rows of the operand to channels-last order. A unit is one row of
// one image.
func (t *windowRun) transposeImages(lo, hi int) {
	c, w, h := t.c*t.groups, t.src[2], t.src[1]
	for u := lo; u < hi; u++ {
		dst := t.source[u*w*c:][:w*c]
		for i := range c {
			at := i
			for _, v := range t.x[((u/h*c+i)*h+u%h)*w:][:w] {
				dst[at] = v
				at += c
			}
		}
	}
}

// prepare sets the divisions for a shape.
func (t *windowRun) prepare(s *convShape, last bool) {
	t.convShape = joinGroups(s)
	t.plans = plansFor(func(by sharing) windowPlan { return planWindows(&t.convShape, last, by) })
}

// Do implements [parallel.Task]: one chunk of units.
func (t *windowRun) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.images*t.image+t.result, chunk, worker)
	h, w := t.cube[1], t.cube[2]
	outs, width := t.o*t.groups, t.dst[2]
	var lines lineQueue
	for u := lo; u < hi; u++ {
		n, first := u/t.bands*t.images, u%t.bands*t.rows
		rows, images := min(t.rows, t.dst[1]-first), min(t.images, t.n-n)
		b := windowBand{first: first*h.stride - h.begin, rows: (rows-1)*h.stride + h.span(), left: -w.begin, width: t.width}
		for g := range t.groups {
			p, cols := t.packed.w[g], t.columns.list[g]
			left, each := t.windows(p, b, mem, n, images, g, u == lo || t.bands > 1 || t.groups > 1)
			dst, ldd, at := t.y, outs, (n*t.dst[1]+first)*width*outs+g*t.o
			if !t.last {
				dst, ldd, at = mem[t.images*t.image:], t.o, 0
			}
			lines.of(p, cols, left, w.stride*t.channels, h.dilation*t.pitch, dst, ldd)
			lines.p0, lines.p1 = 0, p.Panels()
			m, count := width, rows
			if h.stride*t.pitch == width*w.stride*t.channels {
				m, count = m*rows, 1
			}
			for i := range images {
				lines.add(m, count, i*each, h.stride*t.pitch, at+i*t.dst[1]*width*ldd, width*ldd)
			}
			lines.flush()
			if !t.last {
				if t.table != nil {
					t.table.Map(dst[:rows*width*t.o], dst[:rows*width*t.o])
				}
				t.toPlanes(dst, (n*outs+g*t.o)*t.dst[1]*width+first*width, rows*width)
			}
		}
		if t.last && t.table != nil {
			results := t.y[(n*t.dst[1]+first)*width*outs:][:((images-1)*t.dst[1]+rows)*width*outs]
			t.table.Map(results, results)
		}
	}
}

// windows returns the left values of a band of images from n on, group g, and how many of them are an image's: in place or
// converted in mem, which has the border of the band already unless border is set. All
// channels of a position are converted with those of the first group, if windows take them together.
func (t *windowRun) windows(p *kernel.PackedQ8, b windowBand, mem []byte, n, images, g int, border bool) (left []byte, each int) {
	all := t.c * t.groups
	each = t.src[1] * t.src[2] * all
	image := t.source[n*each:][:images*each]
	together := t.channels == all
	first := 0 // channel of those that are converted
	if together {
		first = g * t.c
	}
	if p.InPlace(t.signed) && together && b.first >= 0 && b.first+b.rows <= t.src[1] && b.left == 0 && b.width == t.src[2] {
		return image[b.first*t.src[2]*all+first:], each
	}
	if !together || g == 0 {
		for i := range images {
			b.fill(p, mem[i*t.image:][:t.image], image[i*each:], t.src[1], t.src[2], all, g*t.c-first, t.channels, t.signed, t.zero, border)
		}
	}
	return mem[first*p.ValueBytes() : images*t.image], t.image / p.ValueBytes()
}

// queuedLines is how many lines go through a panel together. A unit of several images has no more of them, so that the border
// in its memory serves the next one.
const queuedLines = 64

// lineQueue collects lines of a product, so that panels of weights go through several of them while they are in the cache.
type lineQueue struct {
	p                 *kernel.PackedQ8
	columns           *kernel.ColumnsQ8
	a                 []byte
	stride, segStride int
	dst               []uint8
	ldd               int
	p0, p1            int // panels
	m, n              int // rows of each line, and lines
	lines             [queuedLines]kernel.LineQ8
}

// of says what is multiplied, and where results go.
func (q *lineQueue) of(p *kernel.PackedQ8, columns *kernel.ColumnsQ8, a []byte, stride, segStride int, dst []uint8, ldd int) {
	q.p, q.columns, q.a, q.stride, q.segStride, q.dst, q.ldd = p, columns, a, stride, segStride, dst, ldd
}

// add adds count lines of m rows each, the first from left value a on and with results from byte dst on, the others so many
// values and bytes further.
func (q *lineQueue) add(m, count, a, stepA, dst, stepDst int) {
	if q.m != m {
		q.flush()
		q.m = m
	}
	for ; count > 0; count-- {
		if q.n == len(q.lines) {
			q.flush()
		}
		q.lines[q.n] = kernel.LineQ8{A: a, Dst: dst}
		q.n++
		a, dst = a+stepA, dst+stepDst
	}
}

// flush multiplies what was added.
func (q *lineQueue) flush() {
	if q.n > 0 {
		q.p.RunLines(q.lines[:q.n], q.m, q.a, q.stride, q.segStride, q.columns, q.p0, q.p1, q.dst, q.ldd)
	}
	q.n = 0
}

// toPlanes writes m channels-last results to planes, from element at on.
func (t *windowRun) toPlanes(src []uint8, at, m int) {
	plane := t.dst[1] * t.dst[2]
	for j := range t.o {
		dst := t.y[at+j*plane:][:m]
		for i := range dst {
			dst[i] = src[i*t.o+j]
		}
	}
}

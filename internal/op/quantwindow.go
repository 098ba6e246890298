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

// fill converts the band of channels [g·c, g·c+c) of a channels-last image of h×w positions
// with all channels to dst.
func (b windowBand) fill(p *kernel.PackedQ8, dst []byte, x []uint8, h, w, all, g, c int, signed bool, zero int32) {
	size := p.ValueBytes()
	pitch := b.width * c * size
	lead := min(max(0, -b.left), b.width) * c * size
	from, to := max(0, b.left), min(w, b.left+b.width)
	for r := range b.rows {
		row := dst[r*pitch:][:pitch]
		y := b.first + r
		if y < 0 || y >= h || from >= to {
			p.Border(row, signed, zero)
			continue
		}
		p.Border(row[:lead], signed, zero)
		p.Border(row[lead+(to-from)*c*size:], signed, zero)
		src := x[(y*w+from)*all+g*c:]
		if c == all {
			p.Convert(row[lead:], src[:(to-from)*c], signed, zero)
			continue
		}
		for i := range to - from {
			p.Convert(row[lead+i*c*size:], src[i*all:][:c], signed, zero)
		}
	}
}

// bandBytes is what a band may take of the second-level cache.
const bandBytes = 64 << 10

// chunk8Work is chunkWork for kernels that requantise in registers, which take a fraction of the time.
const chunk8Work = chunkWork / 2

func chunks8For(units, work int) int { return max(1, min(units, work/chunk8Work, maxChunks)) }

// windowPlan is the division of a convolution into units, which are bands of result rows of
// one image, and the scratch memory of a chunk.
type windowPlan struct {
	rows, bands   int // result rows of a band; bands of an image
	units, chunks int
	width, pitch  int // positions and values of a row of a band
	source        int // bytes of the channels-last operand; 0 where it is in place
	band, result  int // bytes of a chunk
	bytes         int
}

// planWindows divides a convolution that closed accepts.
func planWindows(s *convShape, last bool) windowPlan {
	var p windowPlan
	h, w := s.cube[1], s.cube[2]
	work := mulSize(s.n, s.dst[1], s.dst[2], s.taps(), s.c, s.o, s.groups)
	p.width = mulSize(s.dst[2]-1, w.stride) + w.kernel
	p.pitch = mulSize(p.width, s.c)
	inRows := func(rows int) int { return mulSize(rows-1, h.stride) + h.span() }
	p.rows = s.dst[1]
	for p.rows > 1 && mulSize(inRows(p.rows), p.pitch, 2) > bandBytes {
		p.rows = (p.rows + 1) / 2
	}
	if want := min(work/chunk8Work, maxChunks) / max(1, s.n); want > 1 {
		p.rows = max(1, min(p.rows, s.dst[1]/want))
	}
	p.bands = (s.dst[1] + p.rows - 1) / p.rows
	p.units = mulSize(s.n, p.bands)
	p.chunks = chunks8For(p.units, work)
	if !last && s.c*s.groups > 1 && s.src[1]*s.src[2] > 1 {
		p.source = scratchBytes(mulSize(s.n, s.src[1], s.src[2], s.c, s.groups)/4 + 1)
	}
	p.band = scratchBytes(mulSize(inRows(p.rows), p.pitch)/2 + kernel.SlackQ8)
	if !last {
		p.result = scratchBytes(mulSize(p.rows, s.dst[2], s.o)/4 + 1)
	}
	p.bytes = addSize(p.source, mulSize(p.chunks, addSize(p.band, p.result)))
	return p
}

// chunkMemory chooses the scratch memory of a chunk, of which there is one part for each. Where there are no more threads
// than chunks, a thread keeps to one part, which stays in its cache.
type chunkMemory struct{ byWorker bool }

func (m *chunkMemory) share(pool *parallel.Pool, chunks int) { m.byWorker = pool.Threads() <= chunks }

func (m *chunkMemory) part(scratch []byte, size, chunk, worker int) []byte {
	if m.byWorker {
		chunk = worker
	}
	return scratch[chunk*size:][:size]
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
func (o *quantConv) closed(in []Fact, s *convShape) bool {
	if !kernel.HasQ8() || o.integer || in[o.w].Const == nil || o.byDepth(in, s) {
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

// packWindows packs the weights of each group.
func packWindows(s *convShape, w *tensor.Tensor) *packedQ8 {
	v := signed8(w)
	taps := s.taps()
	p := &packedQ8{shape: w.Shape().Clone()}
	buf := make([]int8, taps*s.c*s.o)
	for g := range s.groups {
		for o := range s.o {
			for c := range s.c {
				for k := range taps {
					buf[o*taps*s.c+k*s.c+c] = v[((g*s.o+o)*s.c+c)*taps+k]
				}
			}
		}
		p.w = append(p.w, kernel.PackQ8(s.cube[1].kernel, s.cube[2].kernel*s.c, s.o, buf, taps*s.c, true))
	}
	return p
}

// windowRun is one run of a convolution by windows. Kept in the node's state.
type windowRun struct {
	windowPlan
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
func (o *quantConv) runClosed(ctx *Context, t *windowRun, out, in []*tensor.Tensor) {
	t.signed, t.last, t.table = in[0].DType() == tensor.Int8, o.last, o.table
	t.zero = t.columns.find(ctx, o.inputsQ8(), 1, t.packed, t.groups, t.o*t.groups, out, in)
	t.x, t.y, t.scratch = bytes8(in[0]), out[0].Bytes(), ctx.Scratch
	t.source = t.x
	if t.windowPlan.source > 0 {
		t.source, t.scratch = t.scratch, t.scratch[t.windowPlan.source:]
		if t.transposing.f == nil {
			t.transposing.f = t.transposeImages
		}
		t.transposing.run(ctx.Pool, t.n*t.src[1], mulSize(copyCost, len(t.x)))
	}
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
	t.x, t.source, t.y, t.scratch = nil, nil, nil, nil
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

// Do implements [parallel.Task]: one chunk of bands.
func (t *windowRun) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.band+t.result, chunk, worker)
	h, w := t.cube[1], t.cube[2]
	all, outs, width := t.c*t.groups, t.o*t.groups, t.dst[2]
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.rows
		rows := min(t.rows, t.dst[1]-first)
		b := windowBand{first: first*h.stride - h.begin, rows: (rows-1)*h.stride + h.span(), left: -w.begin, width: t.width}
		image := t.source[n*t.src[1]*t.src[2]*all:][:t.src[1]*t.src[2]*all]
		for g := range t.groups {
			p, cols := t.packed.w[g], t.columns.list[g]
			size := p.ValueBytes()
			left := mem[:t.band]
			if p.InPlace(t.signed) && t.groups == 1 && b.first >= 0 && b.first+b.rows <= t.src[1] && b.left == 0 && b.width == t.src[2] {
				left = image[b.first*t.src[2]*all:]
			} else {
				b.fill(p, left, image, t.src[1], t.src[2], all, g, t.c, t.signed, t.zero)
			}
			dst, ldd, at := t.y, outs, (n*t.dst[1]+first)*width*outs+g*t.o
			if !t.last {
				dst, ldd, at = mem[t.band:], t.o, 0
			}
			if h.stride*t.pitch == width*w.stride*t.c {
				p.Run(rows*width, left, w.stride*t.c, h.dilation*t.pitch, cols, 0, p.Panels(), dst[at:], ldd)
			} else {
				for r := range rows {
					p.Run(width, left[r*h.stride*t.pitch*size:], w.stride*t.c, h.dilation*t.pitch, cols, 0, p.Panels(), dst[at+r*width*ldd:], ldd)
				}
			}
			if !t.last {
				if t.table != nil {
					t.table.Map(dst[:rows*width*t.o], dst[:rows*width*t.o])
				}
				t.toPlanes(dst, (n*outs+g*t.o)*t.dst[1]*width+first*width, rows*width)
			}
		}
		if t.last && t.table != nil {
			results := t.y[(n*t.dst[1]+first)*width*outs:][:rows*width*outs]
			t.table.Map(results, results)
		}
	}
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

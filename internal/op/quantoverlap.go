package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A transposed convolution of 4×4 and stride 2 to one channel, the last of many decoders, is a product of each pixel with
// all sixteen taps: no weight is multiplied by zeros, and pixels are read where they are. What pixels side by side give to the same results is added in
// registers.

// overlaps reports whether a convolution that closedCells accepts is one, for channels-last images.
func (s *convShape) overlaps() bool {
	h, w := s.cube[1], s.cube[2]
	is := func(a axisWindow) bool { return a.kernel == 4 && a.stride == 2 && a.dilation == 1 && a.begin == 1 }
	return kernel.HasOverlapQ8() && s.transposed && s.groups == 1 && s.o == 1 && s.c >= 8 && s.c%4 == 0 && is(h) && is(w) &&
		s.dst[1] == 2*s.src[1] && s.dst[2] == 2*s.src[2] && s.src[1] > 0 && s.src[2] >= 4 && mulSize(s.c, s.src[1], s.src[2]) < 1<<28
}

// packedOverlap is the weights.
type packedOverlap struct{ packedQ8 }

// packOverlap packs constant weights for a shape that overlaps accepts.
func packOverlap(s *convShape, w *tensor.Tensor) *packedOverlap {
	return &packedOverlap{packedQ8{w: []*kernel.PackedQ8{kernel.PackOverlapQ8(s.c, signed8(w))}, shape: w.Shape().Clone()}}
}

// overlapPlan is the division of a run into units, which are bands of rows of pixels, and the scratch memory of a chunk.
type overlapPlan struct {
	rows, bands   int // rows of a band; bands of an image
	units, chunks int
	sums, image   int // bytes of a chunk: what pixels at the end of a vector give, and an image in the kernel's form
	bytes         int
}

func planOverlap(s *convShape, alone bool) overlapPlan {
	p := overlapPlan{rows: s.src[1]}
	work := mulSize(s.n, s.src[1], s.src[2], s.c, s.taps())
	if want := min(work/chunk8Work, maxChunks) / max(1, s.n); want > 1 && !alone {
		p.rows = max(1, min(p.rows, s.src[1]/want))
	}
	p.bands = ceilDiv(s.src[1], p.rows)
	p.units = mulSize(s.n, p.bands)
	if p.chunks = chunks8For(p.units, work); alone {
		p.chunks = 1
	}
	p.sums = scratchBytes(kernel.OverlapScratch(p.rows))
	p.image = scratchBytes(mulSize(s.src[1], s.src[2], s.c) / 4)
	p.bytes = mulSize(p.chunks, addSize(p.sums, p.image))
	return p
}

// overlapBytes is the scratch memory of a run, however many threads compute it.
func overlapBytes(s *convShape) int {
	return max(planOverlap(s, false).bytes, planOverlap(s, true).bytes)
}

// overlapRun is one run. Kept in the node's state.
type overlapRun struct {
	overlapPlan
	plans [2]overlapPlan // for several threads, and for one
	chunkMemory
	convShape
	packed    *packedOverlap
	columns   columnsQ8
	constants *kernel.OverlapQ8
	of        *kernel.ColumnsQ8 // what constants are made of
	table     *kernel.Table8
	signed    bool
	x, y      []uint8 // channels-last
	scratch   []byte
}

func (t *overlapRun) prepare(s *convShape) {
	t.convShape, t.plans = *s, [2]overlapPlan{planOverlap(s, false), planOverlap(s, true)}
}

// runOverlap is Run for weights that packOverlap packed.
func (o *quantConv) runOverlap(ctx *Context, t *overlapRun, w *packedOverlap, out, in []*tensor.Tensor) {
	t.packed, t.signed, t.table = w, in[0].DType() == tensor.Int8, o.table
	border := uint8(t.columns.find(ctx, o.inputsQ8(), 1, &w.packedQ8, 1, 1, out, in))
	if t.signed {
		border ^= 0x80
	}
	if c := t.columns.list[0]; t.of != c {
		t.constants, t.of = w.w[0].Overlap(c, border), c
	}
	t.x, t.y, t.scratch = in[0].Bytes(), out[0].Bytes(), ctx.Scratch
	if t.overlapPlan = t.plans[0]; ctx.Pool.Threads() == 1 {
		t.overlapPlan = t.plans[1]
	}
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
	t.x, t.y, t.scratch = nil, nil, nil
}

// Do implements [parallel.Task]: one chunk of bands.
func (t *overlapRun) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.sums+t.image, chunk, worker)
	f, mem := floatsOf(mem, t.sums/4)
	h, w, p := t.src[1], t.src[2], t.packed.w[0]
	row, width := w*t.c, t.dst[2]
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.rows
		end := min(h, first+t.rows)
		x, y := t.x[n*h*row:][:h*row], t.y[n*t.dst[1]*width:][:t.dst[1]*width]
		if t.signed {
			from := max(0, first-1) * row
			p.Convert(mem[from:], x[from:end*row], true, 0)
			x = mem[:h*row]
		}
		p.RunOverlap(x, h, w, first, end, t.constants, y, 0, width, intsIn(f))
		if t.table != nil {
			from, to := max(0, 2*first-1), 2*end-1
			if end == h {
				to++
			}
			t.table.Map(y[from*width:to*width], y[from*width:to*width])
		}
	}
}

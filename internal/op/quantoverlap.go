package op

import (
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A transposed convolution of 4×4 and stride 2 to one channel or to three, the last of many decoders, is a product of each
// pixel with all sixteen taps of a channel: no weight is multiplied by zeros, and pixels are read where they are. What pixels
// side by side give to the same results is added in registers.

// overlapping reports whether a convolution that closedCells accepts is one, for channels-last images.
func overlapping(s *convShape) bool {
	h, w := s.cube[1], s.cube[2]
	is := func(a axisWindow) bool { return a.kernel == 4 && a.stride == 2 && a.dilation == 1 && a.begin == 1 }
	return kernel.HasOverlapQ8() && s.transposed && s.groups == 1 && (s.o == 1 || s.o == 3) && s.c >= 8 && s.c%4 == 0 && is(h) && is(w) &&
		s.dst[1] == 2*s.src[1] && s.dst[2] == 2*s.src[2] && s.src[1] > 0 && s.src[2] >= 4 && mulSize(s.c, s.src[1], s.src[2]) < 1<<28
}

// overlaps reports whether a run, which closed accepts, is computed so.
func (o *quantConvTranspose) overlaps(s *convShape) bool {
	return o.last && (s.o == 1 || o.planes) && overlapping(s)
}

// packedOverlap is the weights.
type packedOverlap struct{ packedQ8 }

// packOverlap packs constant weights for a shape that overlaps accepts.
func packOverlap(s *convShape, w *tensor.Tensor) *packedOverlap {
	v, taps := signed8(w), s.taps()
	p := &packedOverlap{packedQ8{shape: w.Shape().Clone()}}
	for m := range s.o {
		var one []int8
		for c := range s.c {
			one = append(one, v[(c*s.o+m)*taps:][:taps]...)
		}
		p.w = append(p.w, kernel.PackOverlapQ8(s.c, one))
	}
	return p
}

// overlapPlan is the division of a run into units, which are bands of rows of pixels, and the scratch memory of a chunk.
type overlapPlan struct {
	rows, bands   int // rows of a band; bands of an image
	units, chunks int
	sums, image   int // bytes of a chunk: what pixels at the end of a vector give, and an image in the kernel's form
}

func planOverlap(s *convShape, by sharing) overlapPlan {
	p := overlapPlan{rows: s.src[1]}
	work := mulSize(s.n, s.src[1], s.src[2], s.c, s.o, s.taps())
	p.rows = by.band(p.rows, s.src[1], s.n, work)
	p.bands = ceilDiv(s.src[1], p.rows)
	p.units = mulSize(s.n, p.bands)
	p.chunks = by.split(p.units, work)
	p.sums = scratchBytes(kernel.OverlapScratch(p.rows, s.src[2]))
	p.image = scratchBytes(mulSize(s.src[1], s.src[2], s.c) / 4)
	return p
}

func overlapScratch(p overlapPlan) scratch8 { return scratch8{0, addSize(p.sums, p.image), p.chunks} }

// overlapBytes is the scratch memory of a run for a number of threads.
//
//go:noinline
func overlapBytes(s *convShape, threads int) (size, first int) {
	return bytesFor(threads, func(by sharing) scratch8 { return overlapScratch(planOverlap(s, by)) })
}

// overlapRun is one run. Kept in the node's state.
type overlapRun struct {
	overlapPlan
	plans [sharings]overlapPlan
	chunkMemory
	convShape
	packed    *packedOverlap
	columns   columnsQ8
	constants []*kernel.OverlapQ8 // by channel
	of        *kernel.ColumnsQ8   // what the first is made of
	table     *kernel.Table8
	signed    bool
	x, y      []uint8 // channels-last
	scratch   []byte
}

func (t *overlapRun) prepare(s *convShape) {
	t.convShape, t.plans = *s, plansFor(func(by sharing) overlapPlan { return planOverlap(s, by) })
}

// runOverlap is Run for weights that packOverlap packed.
func (o *quantConv) runOverlap(ctx *Context, t *overlapRun, w *packedOverlap, out, in []*tensor.Tensor) {
	keep(&t.packed, w)
	keep(&t.signed, in[0].DType() == tensor.Int8)
	keep(&t.table, o.table)
	border := uint8(t.columns.find(ctx, o.inputsQ8(), 1, &w.packedQ8, t.o, t.o, out, in))
	if t.signed {
		border ^= 0x80
	}
	if c := t.columns.list[0]; t.of != c {
		t.constants, t.of = t.constants[:0], c
		for m, c := range t.columns.list {
			t.constants = append(t.constants, w.w[m].Overlap(c, border))
		}
	}
	keepSlice(&t.x, in[0].Bytes())
	keepSlice(&t.y, out[0].Bytes())
	keepSlice(&t.scratch, ctx.Scratch)
	keep(&t.overlapPlan, t.plans[sharingOf(ctx.Pool)])
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
}

// Do implements [parallel.Task]: one chunk of bands.
func (t *overlapRun) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.sums+t.image, chunk, worker)
	f, mem := floatsOf(mem, t.sums/4)
	h, w := t.src[1], t.src[2]
	row, width, plane := w*t.c, t.dst[2], t.dst[1]*t.dst[2]
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.rows
		end := min(h, first+t.rows)
		x := t.x[n*h*row:][:h*row]
		if t.signed {
			from := max(0, first-1) * row
			t.packed.w[0].Convert(mem[from:], x[from:end*row], true, 0)
			x = mem[:h*row]
		}
		for m, p := range t.packed.w {
			y := t.y[(n*t.o+m)*plane:][:plane]
			p.RunOverlap(x, h, w, first, end, t.constants[m], y, 0, width, intsIn(f))
			if t.table != nil {
				from, to := max(0, 2*first-1), 2*end-1
				if end == h {
					to++
				}
				t.table.Map(y[from*width:to*width], y[from*width:to*width])
			}
		}
	}
}

// planarConvTranspose is a convolution that is computed so, of channels-last images, to several channels, which it gives in
// planes.
type planarConvTranspose struct{ quantConvTranspose }

var _ MixedLayout = (*planarConvTranspose)(nil)

// OutputsLast implements [MixedLayout].
func (o *planarConvTranspose) OutputsLast() []bool { return []bool{false} }

// Infer implements [Op].
func (o *planarConvTranspose) Infer(in []Fact) ([]Fact, error) {
	out, err := o.quantConvTranspose.Infer(in)
	if err != nil {
		return nil, err
	}
	out[0].Shape = toChannelsFirst(out[0].Shape)
	return out, nil
}

// Run implements [Op].
func (o *planarConvTranspose) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if _, ok := ctx.PackedInput(o.w).(*packedOverlap); !ok {
		return fmt.Errorf("weights have not been packed")
	}
	return o.quantConvTranspose.Run(ctx, out, in)
}

// planar returns the operator for channels-last images that gives planes, if there is one.
func (o *quantConvTranspose) planar(in []Fact) (*planarConvTranspose, bool) {
	p := &planarConvTranspose{*o}
	p.last, p.planes = true, true
	nhwc := slices.Clone(in)
	nhwc[0].Shape = toChannelsLast(in[0].Shape)
	f, err := p.extents(nhwc[0].Shape, in[o.w].Shape)
	return p, err == nil && f.shape.o > 1 && p.closed(nhwc, &f.shape) && p.overlaps(&f.shape)
}

// Fuse hides that of the convolution, whose results are channels-last.
func (o *planarConvTranspose) Fuse(Op, int, []Fact) (Op, int, bool) { return nil, 0, false }

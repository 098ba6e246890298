package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// Of few channels, the taps of one kernel row are a run of neighbouring values of the channels-last source. Bands of a few
// rows of it are copied with their borders, which stay in the first-level cache, and multiplied where they lie: a table says
// where each kernel row of each window begins. Weights are packed as for gathered windows.

const (
	// bandResults is how many results a band aims at, of one channel.
	bandResults = 224
	// bandSlots is how many bands are in work at most at the same time.
	bandSlots = 8
)

// usesBands reports whether a convolution whose operand and result are channels-last is computed in bands.
func usesBands(s *convShape) bool {
	if !kernel.HasRowsF32() || s.transposed || s.groups > 1 || s.c >= mappedChannels || s.taps() == 1 || isDepthwise(s) {
		return false
	}
	if d := s.cube[0]; d.kernel > 1 || s.padded[0] > 1 || s.cube[2].dilation > 1 || s.cube[1].kernel > 1<<8 {
		return false
	}
	var p bandPlan
	p.lay(s)
	return p.srcLen <= 64<<10 && mulSize(p.rows, s.dst[2]) <= 4*bandResults && mulSize(p.rows, s.dst[2], s.o) <= math.MaxInt32
}

// bandPlan is the division of a run into bands.
type bandPlan struct {
	convShape
	rows, bands int // rows of results of a band, at most; bands of an image
	srcRows     int // rows of the source that a band reads
	line        int // elements of one of them with its borders
	srcLen      int // elements of a slot
	slots       int
}

func (p *bandPlan) lay(s *convShape) {
	p.convShape = *s
	h := max(1, s.dst[1])
	p.bands = ceilDiv(h, max(1, min(bandResults/max(1, s.dst[2]), h)))
	if p.bands > 1 {
		p.bands = min(h, (p.bands+1)/2*2) // two threads have equal halves
	}
	p.rows = ceilDiv(h, p.bands)
	p.srcRows = mulSize(p.rows-1, s.cube[1].stride) + s.cube[1].span()
	p.line = mulSize(s.padded[2], s.c)
	p.srcLen = alignedFloats(mulSize(p.srcRows, p.line))
	p.slots = min(mulSize(s.n, p.bands), bandSlots)
}

func (p *bandPlan) workspace(threads int) int {
	return scratchBytes(slotFloats(min(p.slots, threads), p.srcLen))
}

// bandState is the task of a run.
type bandState struct {
	bandPlan
	task                slotTask
	table               *kernel.RowMap
	x, y, bias, sources []float32
	act                 kernel.Epilogue
	packed              *packedGather
}

// prepare makes the table for a shape.
func (t *bandState) prepare(s *convShape) {
	t.lay(s)
	t.task.f = t.unit
	a := &t.cube
	var src, dst []int32
	for k := range a[1].kernel {
		for h := range t.rows {
			for w := range s.dst[2] {
				src = append(src, int32((h*a[1].stride+k*a[1].dilation)*t.line+w*a[2].stride*t.c))
			}
		}
	}
	for i := range t.rows * s.dst[2] {
		dst = append(dst, int32(i*t.o))
	}
	t.table = nil
	if len(dst) > 0 {
		t.table = kernel.NewRowMap(a[1].kernel, a[2].kernel*t.c, src, dst)
	}
}

// execute computes the convolution of the channels-last x into the channels-last y. bias may be nil.
func (t *bandState) execute(pool *parallel.Pool, packed *packedGather, x, y, bias []float32, act kernel.Epilogue, scratch []byte) {
	keep(&t.packed, packed)
	keepSlice(&t.x, x)
	keepSlice(&t.y, y)
	keepSlice(&t.bias, bias)
	keepEpilogue(&t.act, act)
	sources, _ := floatsOf(scratch, slotFloats(min(t.slots, pool.Threads()), t.srcLen))
	keepSlice(&t.sources, sources)
	t.task.run(pool, t.n*t.bands, t.slots, mulSize(t.n, t.dst[1], t.dst[2], t.taps(), t.c, t.o))
}

// unit computes one band of one image.
func (t *bandState) unit(u, slot int) {
	n, band := u/t.bands, u%t.bands
	h0, h1 := band*t.dst[1]/t.bands, (band+1)*t.dst[1]/t.bands
	rows := h1 - h0
	source := slotOf(t.sources, slot, t.srcLen)
	w, left := t.src[2]*t.c, t.before[2]*t.c
	for i := range (rows-1)*t.cube[1].stride + t.cube[1].span() {
		line := source[i*t.line:][:t.line]
		h := h0*t.cube[1].stride - t.before[1] + i
		if h < 0 || h >= t.src[1] {
			clear(line)
			continue
		}
		clear(line[:left])
		copy(line[left:], t.x[(n*t.src[1]+h)*w:][:w])
		clear(line[left+w:])
	}
	ep := t.act
	ep.Bias = t.bias
	b := t.packed.weights[0]
	kernel.GemmRowsF32(t.table, 0, rows*t.dst[2], source, b, 0, b.Panels(), t.y[(n*t.dst[1]+h0)*t.dst[2]*t.o:], &ep)
}

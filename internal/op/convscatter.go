package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// A transposed convolution to few channels is one product, [positions, C] by
// [C, taps·O], whose rows are then added where their windows lie. Sub-pixel phases would
// pad O to a whole panel of columns in each of the taps. A convolution with stride 1 is the
// same with the kernel turned around, and would pad O as well.
//
// Products of a few source rows at a time go to a ring in the first-level cache, from which
// rows of results take them as soon as all that they need are there.

const (
	// scatterChannels is the number of output channels below which that pays.
	scatterChannels = 16
	// scatterMinInputs is the number of input channels of a convolution from which it does: each
	// product is added once, whatever the number of inputs.
	scatterMinInputs = 8
	// scatterPositions is how many source positions a product aims at.
	scatterPositions = 56
	// scatterBandRows is the least number of source rows of a band.
	scatterBandRows = 16
	// scatterBands and scatterSlots bound the bands of an image and the units in work at the same time.
	scatterBands, scatterSlots = 8, 8
)

// usesScatter reports whether a convolution is better computed in this way: sums of the few channels of a group among many are
// too short for vectors.
func usesScatter(s *convShape) bool {
	if s.o >= scatterChannels || isDepthwise(s) || s.groups > 1 && !s.transposed {
		return false
	}
	if !s.transposed {
		if s.c < scatterMinInputs || s.taps() == 1 {
			return false
		}
		for _, a := range s.cube {
			if a.stride != 1 {
				return false
			}
		}
	}
	var p scatterPlan
	p.lay(s)
	return p.workspace(false, maxSize) < math.MaxInt
}

// packedScatter is the weights of each group as [C, taps·O].
type packedScatter struct {
	groups []*kernel.PackedF32
	shape  tensor.Shape // of the weight tensor
	buf    []float32
}

// Bytes implements [Packed].
func (p *packedScatter) Bytes() int {
	n := 4 * len(p.buf)
	for _, g := range p.groups {
		n += g.Bytes()
	}
	return n
}

// packScatter packs the weights w, of shape [C, O/groups, k…] for a transposed convolution and [O, C/groups, k…] for a
// convolution, into the memory of p if p is not nil.
func packScatter(p *packedScatter, s *convShape, w []float32) *packedScatter {
	keep := p != nil
	if !keep {
		p = &packedScatter{}
	}
	taps := s.taps()
	if len(p.groups) != s.groups {
		p.groups = make([]*kernel.PackedF32, s.groups)
	}
	p.shape = append(p.shape[:0], s.c*s.groups, s.o)
	if !s.transposed {
		p.shape = append(p.shape[:0], s.o*s.groups, s.c)
	}
	for _, a := range s.cube[3-s.rank:] {
		p.shape = append(p.shape, a.kernel)
	}
	across := s.cube[2].kernel
	per := scatterTaps(s.cube[2]) // columns of O of one kernel row
	n := taps / across * per * s.o
	if cap(p.buf) < s.c*n {
		p.buf = make([]float32, s.c*n)
	}
	buf := p.buf[:s.c*n]
	clear(buf)
	for g := range s.groups {
		for c := range s.c {
			row := buf[c*n:][:n]
			for o := range s.o {
				from := ((g*s.o+o)*s.c + c) * taps
				if s.transposed {
					from = ((g*s.c+c)*s.o + o) * taps
				}
				for t, v := range w[from:][:taps] {
					if !s.transposed {
						t = taps - 1 - t
					}
					row[(t/across*per+t%across)*s.o+o] = v
				}
			}
		}
		p.groups[g] = kernel.RepackF32(p.groups[g], s.c, n, buf, n, false)
	}
	if !keep {
		p.buf = nil
	}
	return p
}

// scatterTaps is how many taps of a kernel row have columns in the product: where windows overlap, a whole number of
// strides, with zeros for those that are not there.
func scatterTaps(a axisWindow) int {
	if a.dilation > 1 {
		return a.kernel
	}
	return ceilDiv(a.kernel, a.stride) * a.stride
}

// scatterPlan is the division of a run into units, and the memory of one.
type scatterPlan struct {
	convShape     // as a transposed convolution
	kernelRow int // elements of the products of a position with one kernel row
	width     int // elements between the products of neighbouring positions
	each      int // source rows of a product
	ring      int // products in the ring, or all of an image
	planes    int // of results, or images where planes of results share sources
	rows      int // source rows of a plane
	maxBands  int // of a plane
	slots     int // units in work at the same time
	colLen    int // elements of a ring
	lead      int // positions of a row of results before its first one
	rowLen    int // elements of a row of results with the positions around it where windows reach beyond the borders
	srcLen    int // elements of the channels-last operand
}

// lay divides the work.
func (p *scatterPlan) lay(s *convShape) {
	p.convShape = *s
	if !s.transposed {
		p.transposed = true
		for i, a := range s.cube {
			p.cube[i] = axisWindow{in: a.out, out: a.in, kernel: a.kernel, stride: 1, dilation: a.dilation, begin: a.span() - 1 - a.begin}
		}
	}
	const line = tensor.Align / 4
	p.kernelRow = mulSize(scatterTaps(p.cube[2]), p.o)
	p.width = mulSize(ceilDiv(mulSize(p.cube[0].kernel, p.cube[1].kernel, p.kernelRow), line), line)
	p.each = max(1, min(scatterPositions/max(1, p.src[2]), p.src[1]))
	p.planes, p.rows = mulSize(p.n, p.dst[0]), p.src[1]
	p.ring = min(ceilDiv((p.cube[1].span()-1)/p.cube[1].stride, p.each)+1, ceilDiv(p.rows, p.each))
	p.maxBands = 1
	if p.cube[0].kernel > 1 {
		p.planes, p.rows = p.n, mulSize(p.src[0], p.src[1])
		p.ring = ceilDiv(p.rows, p.each)
	} else if p.planes < scatterBands {
		p.maxBands = max(1, min(ceilDiv(scatterBands, max(1, p.planes)), p.src[1]/scatterBandRows))
	}
	p.slots = min(mulSize(p.planes, p.maxBands), scatterSlots)
	p.colLen = mulSize(p.ring, p.each, p.src[2], p.groups, p.width)
	if p.colLen < math.MaxInt-line {
		p.colLen = alignedFloats(p.colLen + kernel.WindowSlack)
	}
	// A row of results with the positions around it that windows reach beyond the borders.
	w := p.cube[2]
	p.lead = max(0, w.begin)
	reach := mulSize(p.src[2]-1, w.stride) + max(w.span(), scatterTaps(w)) - w.begin
	p.rowLen = mulSize(p.lead+max(p.dst[2], reach), p.o, p.groups)
	if p.rowLen < math.MaxInt-line {
		p.rowLen = alignedFloats(p.rowLen + kernel.WindowSlack)
	}
	p.srcLen = mulSize(p.n, p.src[0], p.src[1], p.src[2], p.c, p.groups)
}

// workspace returns the bytes of scratch memory for data in channels-last order or not,
// and a number of threads.
func (p *scatterPlan) workspace(last bool, threads int) int {
	slots := slotFloats(min(p.slots, threads), p.slotLen())
	if last {
		return scratchBytes(slots)
	}
	return scratchBytes(slots, p.srcLen)
}

// slotLen returns the elements of a slot.
func (p *scatterPlan) slotLen() int { return addSize(p.colLen, p.rowLen) }

// scatterState is the task of a run.
type scatterState struct {
	scatterPlan
	task          slotTask
	turn          spreader
	bands         int
	last          bool
	x, y, source  []float32
	memory        []float32 // of the slots
	first         []float32 // a row of results before anything is added
	biasLen       int       // values of the bias that it is made of
	act           kernel.Epilogue
	rowAt         []int // by source row of a plane: where its products begin in the ring
	rows2D        []scatterRow
	at            [][]int // by slot: where the products of a row of results begin
	packed        *packedScatter
	unitFunc      func(u, slot int)
	transposeFunc func(lo, hi int)
}

// prepare makes the state one for a shape.
func (t *scatterState) prepare(s *convShape) {
	t.lay(s)
	t.rowAt = t.rowAt[:0]
	for r := range t.rows {
		t.rowAt = append(t.rowAt, (r/t.each%t.ring*t.each+r%t.each)*t.src[2]*t.groups*t.width)
	}
	t.rows2D = t.rows2D[:0]
	a := t.cube[1]
	for h := 0; h < t.dst[1] && t.cube[0].kernel == 1; h++ {
		var r scatterRow
		if v := h + a.begin; v >= 0 {
			least := max(0, ceilDiv(max(0, v-a.span()+1), a.stride))
			most := min(v/a.stride, t.rows-1)
			if least <= most {
				r = scatterRow{least / t.each, most/t.each + 1, t.sources(nil, 0, h, 0)}
			}
		}
		t.rows2D = append(t.rows2D, r)
	}
}

// scatterRow is what a row of results of a plane needs.
type scatterRow struct {
	from, to int   // products of t.each source rows, none if to is 0
	at       []int // where its summands begin in the ring
}

func (t *scatterState) execute(pool *parallel.Pool, last bool, packed *packedScatter, x, y, bias []float32, act kernel.Epilogue, scratch []byte) {
	if t.unitFunc == nil {
		t.unitFunc, t.transposeFunc = t.unit, t.transposeBlocks
	}
	slots, scratch := floatsOf(scratch, slotFloats(min(t.slots, pool.Threads()), t.slotLen()))
	positions := t.src[0] * t.src[1] * t.src[2]
	turned := !last && positions > 1 && t.c*t.groups > 1
	source := x
	if turned {
		source, _ = floatsOf(scratch, t.srcLen)
	}
	keep(&t.last, last)
	keep(&t.packed, packed)
	keepSlice(&t.x, x)
	keepSlice(&t.y, y)
	keepSlice(&t.source, source)
	keepSlice(&t.memory, slots)
	keepEpilogue(&t.act, act)
	if turned {
		t.turn.f = t.transposeFunc
		t.turn.run(pool, t.n*ceilDiv(positions, scatterTurn), mulSize(copyCost, t.srcLen))
	}
	t.repeat(bias)
	for len(t.at) < t.slots {
		// A cache line to itself, and never moved: slots are used side by side.
		t.at = append(t.at, make([]int, 0, max(cacheLine, t.cube[0].kernel*t.cube[1].kernel)))
	}
	bands := 1
	if pool.Threads() > 1 {
		bands = t.maxBands
	}
	keep(&t.bands, bands)
	if t.task.f == nil {
		t.task.f = t.unitFunc
	}
	t.task.run(pool, t.planes*t.bands, t.slots, mulSize(t.n, positions, t.groups, t.width, t.c+copyCost))
}

// repeat makes a row of results of the bias alone, unless it is there.
func (t *scatterState) repeat(bias []float32) {
	same := len(t.first) == t.rowLen && t.biasLen == len(bias) && len(bias) <= t.rowLen
	for i := 0; same && i < len(bias); i++ {
		same = math.Float32bits(t.first[i]) == math.Float32bits(bias[i])
	}
	if same {
		return
	}
	t.first, t.biasLen = resize(t.first, t.rowLen), len(bias)
	clear(t.first)
	for i := copy(t.first, bias); i > 0 && i < t.rowLen; i *= 2 {
		copy(t.first[i:], t.first[:i])
	}
}

// scatterTurn is how many positions a unit of transposeBlocks brings to channels-last order.
const scatterTurn = 64

func (t *scatterState) transposeBlocks(lo, hi int) {
	plane := t.src[0] * t.src[1] * t.src[2]
	all, blocks := t.c*t.groups, ceilDiv(plane, scatterTurn)
	for u := lo; u < hi; u++ {
		n, p := u/blocks, u%blocks*scatterTurn
		transposeF32(t.source[(n*plane+p)*all:], all, t.x[n*all*plane+p:], plane, all, min(scatterTurn, plane-p))
	}
}

// unit computes a band of rows of one plane of results, or an image.
func (t *scatterState) unit(u, slot int) {
	plane, band := u/t.bands, u%t.bands
	memory := slotOf(t.memory, slot, t.slotLen())
	col, row := memory[:t.colLen], memory[t.colLen:]
	h0, h1 := chunkRange(t.dst[1], t.bands, band)
	if t.cube[0].kernel > 1 {
		source := plane * t.rows
		t.multiply(col, source, 0, t.ring)
		for d := range t.dst[0] {
			for h := range t.dst[1] {
				at := t.at[slot][:0]
				for kd := range t.cube[0].kernel {
					if sd, ok := scatterSource(t.cube[0], d, kd); ok {
						at = t.sources(at, kd, h, sd*t.src[1])
					}
				}
				t.add(row, col, at)
				t.end(row, plane*t.dst[0]+d, h)
			}
			t.activate(plane*t.dst[0]+d, 0, t.dst[1])
		}
		return
	}
	image, d := plane/t.dst[0], plane%t.dst[0]
	sd, ok := scatterSource(t.cube[0], d, 0)
	done := 0       // products before this one have been computed, or are not needed
	activated := h0 // rows from here on lack their activation
	for h := h0; h < h1; h++ {
		var r scatterRow
		if ok {
			r = t.rows2D[h]
		}
		if done = max(done, r.from); done < r.to {
			t.multiply(col, (image*t.src[0]+sd)*t.rows, done, r.to)
			done = r.to
		}
		t.add(row, col, r.at)
		t.end(row, plane, h)
		if h == h1-1 || (h+1-activated)*t.dst[2]*t.o*t.groups >= scatterActivation {
			t.activate(plane, activated, h+1)
			activated = h + 1
		}
	}
}

// multiply computes products [from, to) of t.each source rows each, the first of which is row source of all.
func (t *scatterState) multiply(col []float32, source, from, to int) {
	all, ld, w := t.c*t.groups, t.groups*t.width, t.src[2]
	for i := from; i < to; i++ {
		m := min(t.each, t.rows-i*t.each) * w
		x := t.source[(source+i*t.each)*w*all:]
		c := col[i%t.ring*t.each*w*ld:]
		for g, b := range t.packed.groups {
			kernel.GemmPackedF32(m, x[g*t.c:], all, b, 0, b.Panels(), c[g*t.width:], ld, false, nil)
		}
	}
}

// inPlace reports whether rows of results only have to be copied.
func (t *scatterState) inPlace() bool { return t.last || t.o*t.groups == 1 }

// end puts row h of a plane of results where it belongs. It applies the activation unless that is left to activate.
func (t *scatterState) end(row []float32, plane, h int) {
	co := t.o * t.groups
	row = row[t.lead*co:][:t.dst[2]*co]
	if t.inPlace() {
		copy(t.y[(plane*t.dst[1]+h)*len(row):], row)
		return
	}
	kernel.ActivateF32(row, row, &t.act)
	n, d := plane/t.dst[0], plane%t.dst[0]
	size := t.dst[0] * t.dst[1] * t.dst[2]
	transposeF32(t.y[n*co*size+(d*t.dst[1]+h)*t.dst[2]:], size, row, co, t.dst[2], co)
}

// scatterActivation is how many results at least get their activation at a time: they are still in the first-level cache,
// and starting costs little.
const scatterActivation = 1024

// activate applies the activation to rows [from, to) of a plane of results, unless end has done it.
func (t *scatterState) activate(plane, from, to int) {
	if !t.inPlace() || t.act.Act == kernel.ActNone {
		return
	}
	size := t.dst[2] * t.o * t.groups
	y := t.y[(plane*t.dst[1]+from)*size:][:(to-from)*size]
	kernel.ActivateF32(y, y, &t.act)
}

// sources appends where the products begin that the rows of one kernel plane add to row h of results, from source rows
// that are counted from first.
func (t *scatterState) sources(at []int, kd, h, first int) []int {
	a := t.cube[1]
	for kh := range a.kernel {
		if sh, ok := scatterSource(a, h, kh); ok {
			at = append(at, t.rowAt[first+sh]+(kd*a.kernel+kh)*t.kernelRow)
		}
	}
	return at
}

// add sets a row of results to the bias and the products at the given places.
func (t *scatterState) add(row, col []float32, at []int) {
	w, co, ld := t.cube[2], t.o*t.groups, t.groups*t.width
	if w.dilation == 1 && t.groups == 1 && len(at) > 0 {
		begin := (t.lead - w.begin) * co
		copy(row[:begin], t.first)
		parts := scatterTaps(w) / w.stride
		end := begin + (t.src[2]+parts-1)*w.stride*co
		kernel.SumWindowsF32(row[begin:], t.first[begin:], w.stride*co, col, at, ld, t.src[2], parts)
		copy(row[end:], t.first[end:])
		return
	}
	copy(row, t.first)
	for _, a := range at {
		for g := range t.groups {
			for i := range t.src[2] {
				to := row[(t.lead-w.begin+i*w.stride)*co+g*t.o:]
				from := col[a+i*ld+g*t.width:]
				for k := range w.kernel {
					dst := to[k*w.dilation*co:][:t.o]
					for j, v := range from[k*t.o:][:t.o] {
						dst[j] += v
					}
				}
			}
		}
	}
}

// scatterSource returns the operand position from which tap k contributes to result position p.
func scatterSource(a axisWindow, p, k int) (int, bool) {
	v := p + a.begin - k*a.dilation
	if v < 0 || v%a.stride != 0 || v/a.stride >= a.out {
		return 0, false
	}
	return v / a.stride, true
}

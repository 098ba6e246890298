package op

import (
	"math"
	"slices"
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// The tap engine computes convolutions and transposed convolutions of float32 as products
// of an activation matrix, read in place from a channels-last source, with packed weights:
// for each kernel row, the run of (kx, c) is contiguous in memory, so that one product
// covers it, and neighbouring results are a constant distance apart in the source.

// convTap is one product: the run of source elements at a distance from the window's
// origin, times its weights.
type convTap struct {
	at [3]int // padded source position of the run's first element
	w  *kernel.PackedF32
}

// packedConv is the weights of a convolution in the tap engine's form.
type packedConv struct {
	phases [][]convTap  // [phase*groups+group]
	depth  []float32    // of a depthwise convolution: [taps, O]
	zeros  []float32    // beside depth, in place of a bias
	shape  tensor.Shape // of the weight tensor
	bytes  int
	work   *tapPacker // kept where the weights are packed again in each run
}

func (p *packedConv) Bytes() int { return p.bytes }

// packTaps packs weights, into the memory of p if p is not nil. The form depends on the
// kernel, strides and dilations of s, not on its extents.
func packTaps(p *packedConv, s *convShape, data []float32) *packedConv {
	keep := p != nil
	if !keep {
		p = &packedConv{}
	}
	if p.work == nil {
		p.work = &tapPacker{packedConv: p}
	}
	b := p.work
	b.s, b.w, b.taps, b.n, b.i = s, data, s.taps(), 0, 0
	b.bytes = 0
	b.shape = append(b.shape[:0], s.o*s.groups, s.c)
	if s.transposed {
		b.shape = append(b.shape[:0], s.c*s.groups, s.o)
	}
	for _, a := range s.cube[3-s.rank:] {
		b.shape = append(b.shape, a.kernel)
	}
	switch {
	case isDepthwise(s):
		p.packDepth(s, data)
	default:
		for rd := range residues(s, 0) {
			for rh := range residues(s, 1) {
				for rw := range residues(s, 2) {
					for i, r := range [3]int{rd, rh, rw} {
						b.at[i] = phaseTaps(b.at[i][:0], s.cube[i], s.transposed, r)
					}
					for g := range s.groups {
						b.phase(g)
					}
				}
			}
		}
	}
	p.phases = p.phases[:b.n]
	b.s, b.w = nil, nil
	if !keep {
		p.work = nil
	}
	return p
}

// tapPacker builds a packedConv phase by phase.
type tapPacker struct {
	*packedConv
	s    *convShape
	w    []float32
	taps int
	n, i int          // phase and tap under construction
	at   [3][]axisTap // the phase's taps by axis
	rows []int        // kernel positions of the run
	// small, if not nil, is what w is made from: the weights are packed in its form.
	small *smallSource
	buf   []float32
	// slices, if not nil, fills the matrices afterwards.
	slices *slicedConv
}

// phase adds the taps of one phase of one group: for each kernel row, each run of
// neighbouring source positions.
func (b *tapPacker) phase(g int) {
	a, tw := &b.s.cube, b.at[2]
	for _, d := range b.at[0] {
		for _, h := range b.at[1] {
			row := (d.k*a[1].kernel + h.k) * a[2].kernel
			for i := 0; i < len(tw); {
				b.rows = append(b.rows[:0], row+tw[i].k)
				j := i + 1
				for ; j < len(tw) && tw[j].at == tw[j-1].at+1; j++ {
					b.rows = append(b.rows, row+tw[j].k)
				}
				b.tap(g, [3]int{d.at, h.at, tw[i].at})
				i = j
			}
		}
	}
	b.endPhase()
}

// endPhase closes the phase under construction, which may have no taps.
func (b *tapPacker) endPhase() {
	if b.n == len(b.phases) {
		b.phases = append(b.phases, nil)
	}
	b.phases[b.n] = b.phases[b.n][:b.i]
	b.n, b.i = b.n+1, 0
}

// tap packs the run b.rows of group g: element (r, c) of column o is the weight from
// channel c to o at kernel position rows[r].
func (b *tapPacker) tap(g int, at [3]int) {
	if b.small != nil {
		b.tapSmall(g, at)
		return
	}
	s := b.s
	k := len(b.rows) * s.c
	if Complete && b.slices != nil {
		b.add(convTap{at: at, w: b.slices.matrix(g, k, slices.Clone(b.rows))})
		return
	}
	if cap(b.buf) < k*s.o {
		b.buf = make([]float32, k*s.o)
	}
	buf := b.buf[:k*s.o]
	for r, kp := range b.rows {
		for c := range s.c {
			dst := buf[(r*s.c+c)*s.o:][:s.o]
			from, step := (g*s.o*s.c+c)*b.taps+kp, s.c*b.taps
			if s.transposed {
				from, step = (g*s.c+c)*s.o*b.taps+kp, b.taps
			}
			for o := range dst {
				dst[o] = b.w[from]
				from += step
			}
		}
	}
	if b.n == len(b.phases) {
		b.phases = append(b.phases, nil)
	}
	taps := &b.phases[b.n]
	if b.i == len(*taps) {
		*taps = append(*taps, convTap{})
	}
	t := &(*taps)[b.i]
	t.at, t.w = at, kernel.RepackF32(t.w, k, s.o, buf, s.o, false)
	b.bytes += t.w.Bytes()
	b.i++
}

// add appends a tap to the phase under construction.
//
//go:noinline
func (b *tapPacker) add(t convTap) {
	if b.n == len(b.phases) {
		b.phases = append(b.phases, nil)
	}
	b.phases[b.n] = append(b.phases[b.n][:b.i], t)
	b.bytes += t.w.Bytes()
	b.i++
}

// convPlan says where the stages of a run find their data.
type convPlan struct {
	convShape
	depthwise       bool
	srcNHWC         bool // the operand is channels-last
	dstNHWC         bool // the result is
	copySrc         bool // the operand is brought into the scratch source first
	copyDst         bool // the result is computed in scratch and then transposed
	srcLen, dstLen  int  // scratch elements
	srcC            int  // elements between neighbouring source positions
	srcImage, srcGr int  // elements between images and between groups of the source
}

func planConv(s convShape, srcNHWC, dstNHWC bool) convPlan {
	depthwise := isDepthwise(&s)
	if depthwise {
		s.groups, s.c, s.o = 1, s.groups, s.o*s.groups
	}
	p := convPlan{depthwise: depthwise, srcNHWC: srcNHWC, dstNHWC: dstNHWC}
	p.convShape = s
	srcPos, dstPos := mulSize(s.src[:]...), mulSize(s.dst[:]...)
	channelsLast := srcNHWC || s.c*s.groups == 1 || srcPos == 1
	short := s.cube[2].kernel == 1 || s.cube[2].dilation > 1
	switch {
	case depthwise && channelsLast && s.c == s.o:
		p.srcC = s.c
		p.srcImage = mulSize(srcPos, s.c)
	case channelsLast && !isPadded(&s) && (s.groups == 1 || short && !s.transposed):
		p.srcC, p.srcGr = s.c*s.groups, s.c
		p.srcImage = mulSize(srcPos, p.srcC)
	default:
		p.copySrc = true
		p.srcC = s.c
		p.srcGr = mulSize(s.padded[0], s.padded[1], s.padded[2], s.c)
		p.srcImage = mulSize(p.srcGr, s.groups)
		p.srcLen = mulSize(p.srcImage, s.n)
	}
	if !dstNHWC && s.o*s.groups > 1 && dstPos > 1 {
		p.copyDst = true
		p.dstLen = mulSize(s.n, dstPos, s.o, s.groups)
	}
	return p
}

// alignedFloats rounds a number of floats up to whole cache lines.
//
//go:noinline
func alignedFloats(n int) int {
	const line = tensor.Align / 4
	if n > math.MaxInt-line {
		return math.MaxInt
	}
	return (n + line - 1) / line * line
}

// scratchBytes adds up the bytes of float regions, each aligned; math.MaxInt if too many.
//
//go:noinline
func scratchBytes(floats ...int) int {
	total := 0
	for _, n := range floats {
		n = alignedFloats(n)
		if n > math.MaxInt/4-total {
			return math.MaxInt
		}
		total += n
	}
	return 4 * total
}

// floatsOf cuts the first n floats off a scratch area.
//
//go:noinline
func floatsOf(scratch []byte, n int) (f []float32, rest []byte) {
	if n == 0 {
		return nil, scratch
	}
	f = unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(scratch))), n)
	return f, scratch[4*alignedFloats(n):]
}

func (p *convPlan) workspace() int { return scratchBytes(p.srcLen, p.dstLen) }

// convState is what a convolution keeps between runs: the task, and the memory behind it.
type convState struct {
	convPlan
	stage          convStage
	units, chunks  int
	threads        int       // that share the products
	products       int       // units that they are divided into
	x, y           []float32 // operand and result
	source, result []float32 // what the products read and write
	packed         *packedConv
	blocks         []convBlock
	offs           []int
	eps            []kernel.Epilogue
	bias           []float32
	act            kernel.Epilogue
}

// Do runs one chunk of the current stage.
func (t *convState) Do(chunk, _ int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	switch t.stage {
	case stagePad:
		t.padRows(lo, hi)
	case stageDepth:
		t.depthRows(lo, hi)
	case stageMultiply:
		t.multiply(lo, hi)
	case stageUnpack:
		t.unpackRows(lo, hi)
	}
}

// convStage is what a run does with all units before the next.
type convStage uint8

const (
	stagePad convStage = iota
	stageDepth
	stageMultiply
	stageUnpack
)

// chunkRange divides n units evenly among chunks.
//
//go:noinline
func chunkRange(n, chunks, i int) (lo, hi int) {
	q, r := n/chunks, n%chunks
	lo = i*q + min(i, r)
	hi = lo + q
	if i < r {
		hi++
	}
	return lo, hi
}

// chunkWork is the number of multiply-adds that is worth a chunk of its own, maxChunks how
// many chunks a task has at most.
const (
	chunkWork = 1 << 19
	maxChunks = 64
)

// cacheLine is at least the integers in a cache line, or in the two that are fetched together.
const cacheLine = 32

// chunksFor returns into how many chunks units of the given total work are cut. It depends
// on the shape of the problem only.
func chunksFor(units, work int) int {
	if work < chunkWork {
		return 1
	}
	return max(1, min(units, work/(chunkWork/4), maxChunks))
}

func (t *convState) run(pool *parallel.Pool, units, work int, stage convStage) {
	keep(&t.units, units)
	keep(&t.stage, stage)
	keep(&t.chunks, chunksFor(units, work))
	pool.Run(t.chunks, t)
}

// copyCost is the work of moving one element, in multiply-adds.
const copyCost = 8

// execute computes the convolution. bias may be nil; ep gives the activation.
func (t *convState) execute(pool *parallel.Pool, p convPlan, packed *packedConv, x, y, bias []float32, act kernel.Epilogue, scratch []byte) {
	if n := pool.Threads(); t.convPlan != p || t.packed != packed || t.threads != n {
		t.convPlan, t.packed, t.threads = p, packed, n
		t.products = 0
		if !p.depthwise {
			t.products = t.layBlocks()
		}
		t.eps = make([]kernel.Epilogue, p.groups)
	}
	src, scratch := floatsOf(scratch, p.srcLen)
	dst, _ := floatsOf(scratch, p.dstLen)
	source, result := x, y
	if p.copySrc {
		source = src
	}
	if p.dstLen > 0 {
		result = dst
	}
	keepSlice(&t.x, x)
	keepSlice(&t.y, y)
	keepSlice(&t.source, source)
	keepSlice(&t.result, result)
	keepSlice(&t.bias, bias)
	keepEpilogue(&t.act, act)
	for g := range t.eps {
		act.Bias = nil
		if bias != nil {
			act.Bias = bias[g*p.o : (g+1)*p.o]
		}
		keepEpilogue(&t.eps[g], act)
	}
	if p.copySrc {
		t.run(pool, p.n*p.groups*p.padded[0]*p.padded[1], mulSize(copyCost, p.srcLen), stagePad)
	}
	positions := mulSize(p.n, p.taps(), p.cube[0].out, p.cube[1].out, p.cube[2].out)
	if p.depthwise {
		work := mulSize(positions, p.o, depthCost)
		if 2*work >= chunkWork && work < chunkWork {
			work = chunkWork // half as much is worth sharing out, since threads read what they have written
		}
		t.run(pool, p.n*p.dst[0]*p.dst[1], work, stageDepth)
	} else {
		t.run(pool, t.products, mulSize(positions, p.groups, p.o, p.c), stageMultiply)
	}
	if p.copyDst {
		t.run(pool, p.n*p.unpackBlocks(), mulSize(copyCost, p.dstLen), stageUnpack)
	}
}

package op

import (
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// A 4×4 convolution with stride 2, or a transposed one, takes nine products in place of sixteen
// (see [kernel.HalvingInputF32]). Blocks of tiles are transformed, multiplied and transformed back
// while they are in the second-level cache. Constant weights are transformed once; others, those of
// training, in every run, which pays where a run has many tiles.
//
// What is said of values that are not finite in convwinograd.go holds here too, of weights as well if
// they are not constant.

const (
	// halvingMinChannels is the least number of channels, of either side, for which the transforms
	// cost less than the products that they save.
	halvingMinChannels = 16
	// halvingMinTiles is the least number of tiles for which it pays to transform the weights.
	halvingMinTiles = 64
	// halvingMinImageTiles is the least number of tiles of an image, and of a phase of it, where weights
	// are constant. That it does not count images makes the method the same in every batch.
	halvingMinImageTiles = 4
	// Below halvingFewTiles, either side has at least halvingFewChannels, or the transforms of few rows
	// cost more than is saved, and there are at most halvingMostPairs of channels: weights have grown
	// by 9/4, and are read for one image if there are no more.
	halvingFewTiles, halvingFewChannels, halvingMostPairs = 16, 64, 32 << 10
	// Of the products of an image at most these hundredths may be left: tiles at the border can be
	// half empty, and the transforms cost something.
	halvingLeft = 65
	// halvingFloats is how many values the matrices of a block aim at; halvingMinRows and
	// halvingMaxRows bound its tiles.
	halvingFloats  = 96 << 10
	halvingMinRows = 48
	halvingMaxRows = 192
	halvingTaps    = 4 * 4
	// halvingCols is the least number of channels of results that are worth a thread of their own, for
	// which it transforms the operand once more.
	halvingCols = 64
	// halvingCut is how many tiles at least a thread has of a block that is cut because there are no others. Each reads
	// all weights, but only part of the picture, which it has mostly written itself in the operator before.
	halvingCut = 24
)

// usesHalving reports whether a convolution by weights that are constant or not is better computed in
// tiles.
func usesHalving(s *convShape, constant bool) bool {
	if s.rank != 2 || s.c < halvingMinChannels || s.o < halvingMinChannels || !kernel.HalvingIsFast() {
		return false
	}
	small := [2]int{}
	for i, a := range s.cube[1:] {
		if a.kernel != 4 || a.stride != 2 || a.dilation != 1 {
			return false
		}
		small[i] = a.out
	}
	tiles := mulSize(ceilDiv(small[0], 2), ceilDiv(small[1], 2))
	if constant {
		if tiles < halvingFewTiles && (min(s.c, s.o) < halvingFewChannels || mulSize(s.c, s.o) > halvingMostPairs) {
			return false
		}
		return tiles >= halvingMinImageTiles && 100*kernel.HalvingTaps*tiles <= halvingLeft*4*small[0]*small[1]
	}
	return mulSize(s.n, tiles) >= halvingMinTiles
}

// halvingAxis is where the tiles of a phase lie along an axis: results first, first + step, …, of
// which there are count, and the operand's position origin + pitch·j for result j and tap 0.
type halvingAxis struct{ first, step, count, origin, pitch, tiles int }

// halvingPhase is a set of results that are a convolution with 2×2 kernels of one residue of the
// operand, or a sum of four.
type halvingPhase struct {
	axes   [2]halvingAxis
	tiles  int // of all images
	blocks int
}

// halvingPlan is the division of a run into blocks of tiles, and the memory of one.
type halvingPlan struct {
	convShape
	phases           []halvingPhase
	parts            int // residues of the operand that make up a product
	depth            int // parts·c
	size             int // tiles of a block
	units            int
	cuts             int // into how many pieces a block may be cut
	borderLen        int
	tapsLen, fullLen int // elements of the weights by taps and transformed
	work, most       int // bytes of scratch, with transformed weights and in all
}

// lay divides the work.
func (p *halvingPlan) lay(s *convShape) {
	p.convShape = *s
	p.parts = 4
	if s.transposed {
		p.parts = 1
	}
	p.depth = p.parts * s.c
	per := mulSize(kernel.HalvingTaps, p.depth+s.o)
	p.size = max(halvingMinRows, min(halvingFloats/per/winogradRows*winogradRows, halvingMaxRows))
	p.phases = p.phases[:0]
	p.units = 0
	most := mulSize(s.n, ceilDiv(s.dst[1], 2), ceilDiv(s.dst[2], 2))
	p.size = max(1, min(p.size, most))
	for r := range residues(s, 1) {
		for q := range residues(s, 2) {
			f := halvingPhase{axes: [2]halvingAxis{p.axis(1, r), p.axis(2, q)}}
			f.tiles = mulSize(s.n, f.axes[0].tiles, f.axes[1].tiles)
			f.blocks = ceilDiv(f.tiles, p.size)
			p.units += f.blocks * s.groups
			p.phases = append(p.phases, f)
		}
	}
	p.cuts = 1
	if p.units == len(p.phases)*s.groups {
		p.cuts = max(1, min(p.size/halvingCut, 4))
	}
	p.borderLen = mulSize(kernel.HalvingTaps, max(s.c, s.o))
	p.tapsLen = mulSize(halvingTaps, s.c, s.o)
	p.fullLen = mulSize(4, kernel.HalvingTaps, s.c, s.o)
	p.work = 0
	for threads := 1; threads <= winogradSlots; threads++ {
		work, _ := p.need(threads)
		p.work = max(p.work, work)
	}
	p.most = max(p.work, scratchBytes(p.tapsLen, p.fullLen))
}

// pieced returns into how many pieces blocks are cut for a number of threads.
func (p *halvingPlan) pieced(threads int) int { return min(threads, p.cuts) }

// memory returns the number of slots for a number of threads, and the elements of the parts of a slot.
func (p *halvingPlan) memory(threads int) (slots, in, out int) {
	pieces := p.pieced(threads)
	units, size := mulSize(p.units, pieces), ceilDiv(p.size, pieces)
	if pieces == 1 {
		units = mulSize(units, ceilDiv(p.o, halvingCols))
	}
	return max(1, min(units, winogradSlots)), alignedFloats(mulSize(kernel.HalvingTaps, mulSize(size, p.depth)+winogradGap)),
		alignedFloats(mulSize(kernel.HalvingTaps, mulSize(size, p.o)+winogradGap))
}

// need returns the bytes of scratch for a number of threads that find transformed weights, and how many are before those of
// the second.
func (p *halvingPlan) need(threads int) (size, first int) {
	slots, in, out := p.memory(threads)
	slot := addSize(addSize(in, out), alignedFloats(p.borderLen))
	if slots = min(slots, threads); slots > 1 {
		first = scratchBytes(slot) + slotGap/2
	}
	return scratchBytes(slotFloats(slots, slot), p.o), first
}

// unit returns the phase, the group and the block of unit u. Units are in the order of the picture as far as all phases have as
// many blocks: threads begin with shares that follow each other, and mostly read what they have written themselves in the
// operator before.
func (p *halvingPlan) unit(u int) (phase, group, block int) {
	per := p.units / p.groups
	group, u = u/per, u%per
	common := p.phases[0].blocks
	for i := range p.phases {
		common = min(common, p.phases[i].blocks)
	}
	if n := len(p.phases); u < common*n {
		return u % n, group, u / n
	}
	u -= common * len(p.phases)
	for p.phases[phase].blocks-common <= u {
		u -= p.phases[phase].blocks - common
		phase++
	}
	return phase, group, common + u
}

func (p *halvingPlan) axis(i, r int) halvingAxis {
	var a halvingAxis
	var at int
	a.first, a.step, a.count, at = phaseRange(p.cube[i], p.transposed, r)
	a.pitch, a.origin = p.cube[i].stride, at-p.before[i]
	if p.transposed {
		a.pitch = 1
	}
	a.tiles = ceilDiv(a.count, 2)
	return a
}

// halvingState is the task of a run.
type halvingState struct {
	halvingPlan
	splits        int // of the channels of each unit's results
	pieces        int // into how many blocks are cut
	in, out, slot int // elements of the parts of a slot, and of it
	wave, chunks  int
	first         int // unit of the wave
	bySlot        bool
	x, y, bias, w []float32
	memory        []float32 // of the slots
	zeros         []float32 // in place of a bias
	taps, full    []float32 // weights of a group
	act           kernel.Epilogue
	packed        []*kernel.PackedF32 // [group, phase, position]
	packer        halvingPacker
}

// packedHalving is the transformed weights.
type packedHalving struct {
	matrices []*kernel.PackedF32 // [group, phase, position]
	shape    tensor.Shape
	bytes    int
}

// Bytes implements [Packed].
func (p *packedHalving) Bytes() int { return p.bytes }

func halvingKey(transposed bool, groups int) string {
	return fmt.Sprintf("halving t%v g%d", transposed, groups)
}

// packHalving packs weights, or returns nil if they have no transform.
func packHalving(s *convShape, w *tensor.Tensor) *packedHalving {
	var t halvingState
	t.lay(s)
	t.w = w.Float32s()
	if !t.pack(nil, make([]byte, t.most), true) {
		return nil
	}
	p := &packedHalving{matrices: t.packed, shape: w.Shape().Clone()}
	for _, m := range p.matrices {
		p.bytes += m.Bytes()
	}
	return p
}

// execute computes the convolution of the channels-last operand x with weights w, unless packed are
// they transformed. bias may be nil.
func (t *halvingState) execute(pool *parallel.Pool, packed *packedHalving, x, w, y, bias []float32, act kernel.Epilogue, scratch []byte) {
	keepSlice(&t.x, x)
	keepSlice(&t.y, y)
	keepSlice(&t.bias, bias)
	keepSlice(&t.w, w)
	keepEpilogue(&t.act, act)
	if packed != nil {
		keepSlice(&t.packed, packed.matrices)
	} else {
		t.pack(pool, scratch, false)
	}
	// Neither columns nor tiles depend on how they are shared out.
	n := pool.Threads()
	splits, pieces := 1, t.pieced(n)
	if pieces == 1 && t.units < 2*n && t.units%n != 0 {
		splits = min(n, ceilDiv(t.o, halvingCols))
	}
	keep(&t.splits, splits)
	keep(&t.pieces, pieces)
	slots, in, out := t.halvingPlan.memory(n)
	keep(&t.in, in)
	keep(&t.out, out)
	keep(&t.slot, in+out+alignedFloats(t.borderLen))
	memory, scratch := floatsOf(scratch, slotFloats(min(slots, n), t.slot))
	keepSlice(&t.memory, memory)
	if bias == nil {
		zeros, _ := floatsOf(scratch, t.o)
		clear(zeros)
		keepSlice(&t.zeros, zeros)
	}
	units := t.units * splits * pieces
	keep(&t.bySlot, n > slots)
	wave := units
	if t.bySlot {
		wave = slots
	}
	work := mulSize(ceilDiv(t.size, pieces), kernel.HalvingTaps, t.depth, ceilDiv(t.o, t.splits))
	for first := 0; first < units; first += wave {
		keep(&t.first, first)
		keep(&t.wave, min(wave, units-first))
		keep(&t.chunks, chunksFor(t.wave, mulSize(t.wave, work)))
		pool.Run(t.chunks, t)
	}
}

// pack transforms the weights and packs them. If they must be finite it returns false if they are not.
func (t *halvingState) pack(pool *parallel.Pool, scratch []byte, finite bool) bool {
	if n := t.groups * len(t.phases) * kernel.HalvingTaps; len(t.packed) != n {
		t.packed = make([]*kernel.PackedF32, n)
	}
	t.taps, scratch = floatsOf(scratch, t.tapsLen)
	t.full, _ = floatsOf(scratch, t.fullLen)
	k := &t.packer
	k.t = t
	for k.group = range t.groups {
		k.units, k.stage = t.c, (*halvingPacker).channels
		k.chunks = chunksFor(k.units, mulSize(copyCost, t.tapsLen+t.fullLen))
		pool.Run(k.chunks, k)
		if finite && slices.ContainsFunc(t.full, func(v float32) bool { return v-v != 0 }) {
			return false
		}
		k.units, k.stage = len(t.phases)*kernel.HalvingTaps, (*halvingPacker).matrices
		k.chunks = chunksFor(k.units, mulSize(copyCost, t.fullLen))
		pool.Run(k.chunks, k)
	}
	k.t, t.taps, t.full = nil, nil, nil
	return true
}

// halvingPacker is the task of making the weights of a group ready.
type halvingPacker struct {
	t             *halvingState
	group         int
	units, chunks int
	stage         func(k *halvingPacker, lo, hi int)
}

// Do implements [parallel.Task].
func (k *halvingPacker) Do(chunk, _ int) {
	lo, hi := chunkRange(k.units, k.chunks, chunk)
	k.stage(k, lo, hi)
}

// channels transforms the weights of operand channels lo to hi: full is [position, residue, c, o].
func (k *halvingPacker) channels(lo, hi int) {
	t := k.t
	c, o := t.c, t.o
	w := t.w[k.group*halvingTaps*c*o:][:halvingTaps*c*o]
	for i := lo; i < hi; i++ {
		// by tap, with results side by side
		rows := t.taps[i*halvingTaps*o:][:halvingTaps*o]
		if t.transposed {
			transposeF32(rows, o, w[i*o*halvingTaps:], halvingTaps, o, halvingTaps)
		} else {
			transposeF32(rows, o, w[i*halvingTaps:], c*halvingTaps, o, halvingTaps)
		}
		for r := range 4 {
			kernel.HalvingFilterF32(t.full[(r*c+i)*o:], 4*c*o, 0, rows[(r/2*4+r%2)*o:], 8*o, 2*o, 1, o)
		}
	}
}

// matrices packs matrices lo to hi of (phase, position). A transposed convolution takes the taps of
// an axis in descending order, which is the order of positions backwards.
func (k *halvingPacker) matrices(lo, hi int) {
	t := k.t
	for u := lo; u < hi; u++ {
		phase, f := u/kernel.HalvingTaps, u%kernel.HalvingTaps
		if t.transposed {
			f = kernel.HalvingTaps - 1 - f
		}
		at := &t.packed[k.group*len(t.phases)*kernel.HalvingTaps+u]
		*at = kernel.RepackF32(*at, t.depth, t.o, t.full[(f*4+phase)*t.c*t.o:], t.o, false)
	}
}

// Do implements [parallel.Task].
func (t *halvingState) Do(chunk, worker int) {
	lo, hi := chunkRange(t.wave, t.chunks, chunk)
	for u := lo; u < hi; u++ {
		slot := worker
		if t.bySlot {
			slot = u
		}
		m := slotOf(t.memory, slot, t.slot)
		t.compute(t.first+u, m[:t.in], m[t.in:][:t.out], m[t.in+t.out:][:t.borderLen])
	}
}

// compute computes a block of tiles of one phase of one group, or a piece of it, or some of its channels.
func (t *halvingState) compute(u int, in, out, border []float32) {
	piece, u := u/(t.units*t.splits), u%(t.units*t.splits)
	split := u % t.splits
	phase, g, b := t.unit(u / t.splits)
	p := &t.phases[phase]
	t0, t1 := chunkRange(p.tiles, p.blocks*t.pieces, b*t.pieces+piece)
	n := t1 - t0
	ldi, ldo := n*t.depth+winogradGap, n*t.o+winogradGap
	p.segments(t0, t1, func(at, image, ty, tx, run int) {
		for part := range t.parts {
			t.input(in[at*t.depth+part*t.c:], ldi, p, g, image, part, ty, tx, run, border)
		}
	})
	first, last := 0, t.o
	for f := range kernel.HalvingTaps {
		w := t.packed[(g*len(t.phases)+phase)*kernel.HalvingTaps+f]
		p0, p1 := split*w.Panels()/t.splits, (split+1)*w.Panels()/t.splits
		first, last = p0*w.NR, min(p1*w.NR, t.o)
		kernel.GemmPackedF32(n, in[f*ldi:], t.depth, w, p0, p1, out[f*ldo:], t.o, false, nil)
	}
	if first == last {
		return
	}
	bias := t.zeros
	if t.bias != nil {
		bias = t.bias[g*t.o:][:t.o]
	}
	p.segments(t0, t1, func(at, image, ty, tx, run int) {
		t.output(out[at*t.o+first:], ldo, p, g, image, ty, tx, run, first, last-first, bias[first:], border)
	})
}

// segments calls f for the tiles [t0, t1) row by row: at counts from t0, the first tile is
// tile tx of row ty of an image, and run tiles follow.
func (p *halvingPhase) segments(t0, t1 int, f func(at, image, ty, tx, run int)) {
	down, across := p.axes[0].tiles, p.axes[1].tiles
	for i := t0; i < t1; {
		tx, r := i%across, i/across
		run := min(across-tx, t1-i)
		f(i-t0, r/down, r%down, tx, run)
		i += run
	}
}

// input transforms the values of residue part that tiles of a row see.
func (t *halvingState) input(dst []float32, ldf int, p *halvingPhase, g, image, part, ty, tx, run int, border []float32) {
	all, h, w := t.c*t.groups, t.src[1], t.src[2]
	m := kernel.ImageF32{X: t.x[image*h*w*all+g*t.c:], H: h, W: w, Pix: all, C: t.c}
	pitch := p.axes[0].pitch
	m.HalvingInput(dst, ldf, t.depth, p.axes[0].origin+2*ty*pitch+part/2, p.axes[1].origin+2*tx*pitch+part%2, pitch, run, border)
}

// output transforms products of a row of tiles to channels [first, first+o) of the results.
func (t *halvingState) output(src []float32, ldf int, p *halvingPhase, g, image, ty, tx, run, first, o int, bias, border []float32) {
	all, h, w := t.o*t.groups, t.dst[1], t.dst[2]
	y := t.y[image*h*w*all+g*t.o+first:]
	v, u := &p.axes[0], &p.axes[1]
	at := func(j, k int) int { return ((v.first+v.step*j)*w + u.first + u.step*k) * all }
	whole := 0
	if 2*ty+2 <= v.count {
		whole = min(run, (u.count-2*tx)/2)
		if whole > 0 {
			kernel.HalvingOutputF32(y[at(2*ty, 2*tx):], v.step*w*all, u.step*all, src, ldf, t.o, whole, o, bias, &t.act)
		}
	}
	for i := whole; i < run; i++ {
		tile := border[:4*o]
		kernel.HalvingOutputF32(tile, 2*o, o, src[i*t.o:], ldf, t.o, 1, o, bias, &t.act)
		for r := range min(2, v.count-2*ty) {
			for k := range min(2, u.count-2*(tx+i)) {
				copy(y[at(2*ty+r, 2*(tx+i)+k):][:o], tile[(2*r+k)*o:])
			}
		}
	}
}

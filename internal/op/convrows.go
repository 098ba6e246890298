package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// Where the processor has a kernel for products whose rows a table finds, nothing of the windows is copied: each phase of
// a convolution has a table of where the taps of its results lie in the channels-last source, or beyond its border, and
// where the results go. A table serves images, or groups of small images, one after the other. Weights are packed as for
// gathered windows.

const (
	// mappedEntries bounds the tables of a convolution: beyond it, copies cost less memory.
	mappedEntries = 1 << 16
	// mappedChannels is the length of a run from which looking up its address costs little.
	mappedChannels = 16
	// mappedRows is how many results of small images one table covers at least.
	mappedRows = 96
	// mappedBlock bounds the rows of a block, so that their sources stay in the second-level cache from panel to panel.
	mappedBlock = 168
)

// usesMaps reports whether tables suit a convolution whose operand and result are channels-last.
func usesMaps(s *convShape) bool {
	if !kernel.HasRowsF32() || s.c < mappedChannels || s.o < mappedChannels || s.taps() == 1 || isDepthwise(s) {
		return false
	}
	n := imagesPerMap(s)
	src := mulSize(n, s.src[0], s.src[1], s.src[2], s.c, s.groups)
	dst := mulSize(n, s.dst[0], s.dst[1], s.dst[2], s.o, s.groups)
	return mapEntries(s, n) <= mappedEntries && src <= math.MaxInt32 && dst <= math.MaxInt32
}

// imagesPerMap is the number of images that a table covers.
func imagesPerMap(s *convShape) int {
	positions := max(1, mulSize(s.dst[0], s.dst[1], s.dst[2]))
	if s.transposed {
		positions = max(1, positions/(residues(s, 0)*residues(s, 1)*residues(s, 2)))
	}
	return max(1, min(s.n, ceilDiv(mappedRows, positions)))
}

// mapEntries is the number of sources in the tables of all phases for n images.
func mapEntries(s *convShape, n int) int {
	total := n
	for i, a := range s.cube {
		axis := 0
		for r := range residues(s, i) {
			taps := a.kernel
			if s.transposed {
				taps = (a.kernel + a.stride - 1) / a.stride
			}
			_, _, count, _ := phaseRange(a, s.transposed, r)
			axis += mulSize(taps, count)
		}
		total = mulSize(total, axis)
	}
	return total
}

// mappedPhase is the part of a run that has one residue along each axis.
type mappedPhase struct {
	phase        int
	rows         *kernel.RowMap // nil if the phase has no taps
	dst          []int32
	perImage     int // rows
	first, units int // among the units of one table's images
	size, blocks int // of a table, in rows and in all
}

// mappedState is the task of a run.
type mappedState struct {
	convShape
	phases        []mappedPhase
	images        int  // that a table covers
	each          int  // units of the images that a table covers
	alike         bool // phases have the same number of units: those of the same rows follow each other
	units         int
	panelGroups   int
	chunks, total int
	x, y, bias    []float32
	act           kernel.Epilogue
	packed        *packedGather
}

// lay makes the tables for a shape.
func (t *mappedState) lay(s *convShape) {
	t.convShape, t.phases, t.each = *s, nil, 0
	t.images = imagesPerMap(s)
	var taps [3][]axisTap
	phase := -1
	for rd := range residues(s, 0) {
		for rh := range residues(s, 1) {
			for rw := range residues(s, 2) {
				phase++
				var axes [3]mappedAxis
				for i, r := range [3]int{rd, rh, rw} {
					taps[i] = phaseTaps(taps[i][:0], s.cube[i], s.transposed, r)
					axes[i] = newMappedAxis(s, i, r, taps[i])
				}
				f := mappedPhase{phase: phase, first: t.each, perImage: axes[0].n * axes[1].n * axes[2].n}
				if f.perImage == 0 || s.n == 0 {
					continue
				}
				src, dst := t.table(&axes)
				if f.dst = dst; len(src) > 0 {
					f.rows = kernel.NewRowMap(len(src)/len(dst), s.c, src, dst)
				}
				f.size = evenShare(len(dst), mappedBlock)
				f.blocks = ceilDiv(len(dst), f.size)
				f.units = f.blocks * s.groups
				t.each += f.units
				t.phases = append(t.phases, f)
			}
		}
	}
	t.alike = true
	for i := range t.phases {
		t.alike = t.alike && t.phases[i].units == t.phases[0].units
	}
	t.units = t.each * ceilDiv(s.n, t.images)
}

// mappedAxis is one axis of a phase.
type mappedAxis struct {
	n   int   // results
	dst []int // their positions
	src []int // [tap*n+result]: source positions, or -1
}

func newMappedAxis(s *convShape, axis, residue int, taps []axisTap) mappedAxis {
	first, step, n, origin := phaseRange(s.cube[axis], s.transposed, residue)
	move := 1
	if !s.transposed {
		move = s.cube[axis].stride
	}
	a := mappedAxis{n: n}
	for i := range n {
		a.dst = append(a.dst, first+i*step)
	}
	for _, tap := range taps {
		for i := range n {
			p := origin + i*move - s.before[axis] + tap.at
			if p < 0 || p >= s.src[axis] {
				p = -1
			}
			a.src = append(a.src, p)
		}
	}
	return a
}

// table returns the sources of each tap and the places of the results of a phase, for t.images images.
func (t *mappedState) table(a *[3]mappedAxis) (src, dst []int32) {
	ci, co := t.c*t.groups, t.o*t.groups
	srcImage, dstImage := t.src[0]*t.src[1]*t.src[2]*ci, t.dst[0]*t.dst[1]*t.dst[2]*co
	for m := range t.images {
		for _, d := range a[0].dst {
			for _, h := range a[1].dst {
				for _, w := range a[2].dst {
					dst = append(dst, int32(m*dstImage+((d*t.dst[1]+h)*t.dst[2]+w)*co))
				}
			}
		}
	}
	n := [3]int{a[0].n, a[1].n, a[2].n}
	for kd := range len(a[0].src) / n[0] {
		for kh := range len(a[1].src) / n[1] {
			for kw := range len(a[2].src) / n[2] {
				for m := range t.images {
					for _, d := range a[0].src[kd*n[0]:][:n[0]] {
						for _, h := range a[1].src[kh*n[1]:][:n[1]] {
							for _, w := range a[2].src[kw*n[2]:][:n[2]] {
								at := -1
								if d >= 0 && h >= 0 && w >= 0 {
									at = m*srcImage + ((d*t.convShape.src[1]+h)*t.convShape.src[2]+w)*ci
								}
								src = append(src, int32(at))
							}
						}
					}
				}
			}
		}
	}
	return src, dst
}

// execute computes the convolution of the channels-last x into the channels-last y. bias may be nil.
func (t *mappedState) execute(pool *parallel.Pool, packed *packedGather, x, y, bias []float32, act kernel.Epilogue) {
	keep(&t.packed, packed)
	keepSlice(&t.x, x)
	keepSlice(&t.y, y)
	keepSlice(&t.bias, bias)
	keepEpilogue(&t.act, act)
	work, panels := 0, 1
	for i := range t.phases {
		f := &t.phases[i]
		if w := packed.weights[f.phase*t.groups]; w != nil {
			work += mulSize(t.n, f.perImage, w.K, t.o, t.groups)
			panels = w.Panels()
		}
	}
	panelGroups := 1
	if pool.Threads() > 1 && t.units < 16 {
		// Few blocks: the threads share the columns of each, which do not depend on how they are shared out.
		panelGroups = min(panels, ceilDiv(16, t.units))
	}
	keep(&t.panelGroups, panelGroups)
	keep(&t.total, t.units*panelGroups)
	keep(&t.chunks, chunksFor(t.total, work))
	pool.Run(t.chunks, t)
}

// Do implements [parallel.Task].
func (t *mappedState) Do(chunk, _ int) {
	lo, hi := chunkRange(t.total, t.chunks, chunk)
	for u := lo; u < hi; u++ {
		t.unit(u/t.panelGroups, u%t.panelGroups)
	}
}

// unit computes one block of rows in one of the groups of panels.
func (t *mappedState) unit(u, panelGroup int) {
	// All phases of some images come before the next images, so that source and results stay in cache.
	n, u := u/t.each*t.images, u%t.each
	i := 0
	if t.alike {
		i, u = u%len(t.phases), u/len(t.phases)
	} else {
		for u >= t.phases[i].first+t.phases[i].units {
			i++
		}
		u -= t.phases[i].first
	}
	f := &t.phases[i]
	block, g := u%f.blocks, u/f.blocks
	r0 := block * f.size
	r1 := min(r0+f.size, min(t.images, t.n-n)*f.perImage)
	if r0 >= r1 {
		return // the last images are fewer than a table covers
	}
	ci, co := t.c*t.groups, t.o*t.groups
	x := t.x[n*t.src[0]*t.src[1]*t.src[2]*ci+g*t.c:]
	y := t.y[n*t.dst[0]*t.dst[1]*t.dst[2]*co+g*t.o:]
	ep := t.act
	if t.bias != nil {
		ep.Bias = t.bias[g*t.o:][:t.o]
	}
	w := t.packed.weights[f.phase*t.groups+g]
	if w == nil || f.rows == nil {
		for _, at := range f.dst[r0:r1] {
			if panelGroup == 0 {
				clear(y[at:][:t.o])
				kernel.EpilogueF32(1, t.o, y[at:], t.o, 0, &ep)
			}
		}
		return
	}
	p0, p1 := chunkRange(w.Panels(), t.panelGroups, panelGroup)
	kernel.GemmRowsF32(f.rows, r0, r1, x, w, p0, p1, y, &ep)
}

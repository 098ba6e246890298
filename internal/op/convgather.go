package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A convolution with several taps is one product for each phase: the windows of a block of
// results are copied, run by run, into a matrix that stays in the second-level cache, and
// that matrix is multiplied with all taps' weights at once. Borders become zeros in the
// copy. Against products in place (convtaps.go), one for each kernel row, the copy costs a
// few percent of the multiplications and saves reading and writing the sums of each row,
// and tiles are full whatever the extents of the image.

const (
	// gatherFloats is how many values the matrix of a block aims at.
	gatherFloats = 32 << 10
	// gatherMinRows and gatherMaxRows bound the rows of a block.
	gatherMinRows, gatherMaxRows = 24, 168
	// gatherSlots is how many blocks are in work at most at the same time.
	gatherSlots = 8
)

// usesGather reports whether the channels-last operand of a convolution is better gathered.
// Products in place do as well where rows of results are long and neighbouring windows
// overlap, or the copy serves few channels, as those of a group.
func usesGather(s *convShape) bool {
	if s.taps() == 1 || isDepthwise(s) || s.groups > 1 && s.c < mappedChannels && !s.transposed {
		return false
	}
	w := s.cube[2]
	switch {
	case s.transposed:
		return s.o >= 64 || w.out < 12
	case w.stride > 1 || s.c <= 4:
		return true
	}
	return w.out < 24
}

// gatherRun is a run of neighbouring source positions that a window takes together.
type gatherRun struct {
	at [3]int // position of the first in the padded source, from the window's origin
	n  int    // positions
}

// packedGather is the weights of a convolution as one matrix for each phase and group.
type packedGather struct {
	weights []*kernel.PackedF32 // [phase*groups+group]; nil for phases without taps
	runs    [][]gatherRun       // [phase]
	shape   tensor.Shape        // of the weight tensor
	bytes   int
	buf     []float32   // kept where the weights are packed again in each run
	slices  *slicedConv // if not nil, what fills the matrices afterwards
}

// Bytes implements [Packed].
func (p *packedGather) Bytes() int { return p.bytes }

// packGather packs weights, into the memory of p if p is not nil. The form depends on the
// kernel, strides and dilations of s, not on its extents.
func packGather(p *packedGather, s *convShape, w []float32) *packedGather {
	keep := p != nil
	if !keep {
		p = &packedGather{}
	}
	p.shape = append(p.shape[:0], s.o*s.groups, s.c)
	if s.transposed {
		p.shape = append(p.shape[:0], s.c*s.groups, s.o)
	}
	for _, a := range s.cube[3-s.rank:] {
		p.shape = append(p.shape, a.kernel)
	}
	p.bytes = 0
	phase := 0
	var at [3][]axisTap
	for rd := range residues(s, 0) {
		for rh := range residues(s, 1) {
			for rw := range residues(s, 2) {
				for i, r := range [3]int{rd, rh, rw} {
					at[i] = phaseTaps(at[i][:0], s.cube[i], s.transposed, r)
				}
				p.packPhase(s, w, phase, &at)
				phase++
			}
		}
	}
	if !keep {
		p.buf = nil
	}
	return p
}

func (p *packedGather) packPhase(s *convShape, w []float32, phase int, at *[3][]axisTap) {
	if phase == len(p.runs) {
		p.runs = append(p.runs, nil)
		p.weights = append(p.weights, make([]*kernel.PackedF32, s.groups)...)
	}
	runs, taps := p.runs[phase][:0], s.taps()
	k := len(at[0]) * len(at[1]) * len(at[2]) * s.c
	if cap(p.buf) < k*s.o && (!Complete || p.slices == nil) {
		p.buf = make([]float32, k*s.o)
	}
	buf := p.buf[:cap(p.buf)]
	for g := range s.groups {
		row := 0
		var positions []int
		for _, d := range at[0] {
			for _, h := range at[1] {
				for i, t := range at[2] {
					if g == 0 {
						if i > 0 && t.at == at[2][i-1].at+1 {
							runs[len(runs)-1].n++
						} else {
							runs = append(runs, gatherRun{[3]int{d.at, h.at, t.at}, 1})
						}
					}
					tap := (d.k*s.cube[1].kernel+h.k)*s.cube[2].kernel + t.k
					if Complete && p.slices != nil {
						positions = append(positions, tap)
						continue
					}
					for c := range s.c {
						dst := buf[row*s.o:][:s.o]
						from, step := (g*s.o*s.c+c)*taps+tap, s.c*taps
						if s.transposed {
							from, step = (g*s.c+c)*s.o*taps+tap, taps
						}
						for o := range dst {
							dst[o] = w[from]
							from += step
						}
						row++
					}
				}
			}
		}
		if k == 0 {
			continue
		}
		m := &p.weights[phase*s.groups+g]
		if Complete && p.slices != nil {
			*m = p.slices.matrix(g, k, positions)
		} else {
			*m = kernel.RepackF32(*m, k, s.o, buf[:k*s.o], s.o, false)
		}
		p.bytes += (*m).Bytes()
	}
	p.runs[phase] = runs
}

// gatherPhase is the part of a run that has one residue along each axis, for one group.
type gatherPhase struct {
	phase, group int
	axes         [3]struct{ first, step, n, origin int } // of the results; see phaseRange
	k            int                                     // elements of a window
	rows         int                                     // results of all images
	size         int                                     // of a block, in rows
	first, units int
}

// gatherPlan is the division of a run into blocks, and the memory that it takes.
type gatherPlan struct {
	convShape
	phases             []gatherPhase
	units, slots       int
	blockLen, stageLen int  // elements of a slot: the matrix, and results before they are placed
	inPlace            bool // products go to the result directly
}

// lay divides the work. dstNHWC says how the result is stored.
func (p *gatherPlan) lay(s *convShape, dstNHWC bool) {
	p.convShape = *s
	p.phases, p.units, p.blockLen, p.stageLen = p.phases[:0], 0, 0, 0
	p.inPlace = !s.transposed && (dstNHWC || s.o*s.groups == 1)
	phase := -1
	for rd := range residues(s, 0) {
		for rh := range residues(s, 1) {
			for rw := range residues(s, 2) {
				phase++
				f := gatherPhase{phase: phase, rows: s.n, k: s.c}
				for i, r := range [3]int{rd, rh, rw} {
					a := &f.axes[i]
					a.first, a.step, a.n, a.origin = phaseRange(s.cube[i], s.transposed, r)
					f.rows = mulSize(f.rows, a.n)
					taps := s.cube[i].kernel
					if s.transposed {
						taps = 0
						for k := range s.cube[i].kernel {
							if k*s.cube[i].dilation%s.cube[i].stride == r {
								taps++
							}
						}
					}
					f.k = mulSize(f.k, taps)
				}
				if f.rows == 0 {
					continue
				}
				f.size = max(gatherMinRows, min(gatherFloats/max(1, f.k)/24*24, gatherMaxRows))
				f.units = ceilDiv(f.rows, f.size)
				f.size = ceilDiv(f.rows, f.units)
				if f.size > 24 {
					f.size = ceilDiv(f.size, 24) * 24
				}
				f.units = ceilDiv(f.rows, f.size)
				for g := range s.groups {
					f.group, f.first = g, p.units
					p.units += f.units
					p.phases = append(p.phases, f)
				}
				p.blockLen = max(p.blockLen, alignedFloats(mulSize(f.size, f.k)))
				if !p.inPlace {
					p.stageLen = max(p.stageLen, alignedFloats(mulSize(f.size, s.o)))
				}
			}
		}
	}
	p.slots = min(p.units, gatherSlots)
}

func (p *gatherPlan) workspace() int {
	return scratchBytes(mulSize(p.slots, p.blockLen), mulSize(p.slots, p.stageLen))
}

package op

import "github.com/aekit/aekit/internal/kernel"

// transposeF32 sets dst[j*ldd+i] = src[i*lds+j] for i < rows and j < cols.
func transposeF32(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if cols == 0 || rows == 0 {
		return
	}
	if lds == 1 && ldd >= rows && cols == 1 {
		copy(dst[:rows], src)
		return
	}
	i := 0
	for ; i+4 <= rows; i += 4 {
		s0, s1, s2, s3 := src[i*lds:][:cols], src[(i+1)*lds:][:cols], src[(i+2)*lds:][:cols], src[(i+3)*lds:][:cols]
		for j := range s0 {
			d := dst[j*ldd+i:][:4]
			d[0], d[1], d[2], d[3] = s0[j], s1[j], s2[j], s3[j]
		}
	}
	for ; i < rows; i++ {
		for j, v := range src[i*lds:][:cols] {
			dst[j*ldd+i] = v
		}
	}
}

// padRows fills rows of the padded source. A unit is one row of one group of one image.
func (t *convState) padRows(lo, hi int) {
	c, w := t.c, t.src[2]
	size := t.padded[2] * c
	plane := t.src[0] * t.src[1] * w
	for u := lo; u < hi; u++ {
		row := t.source[u*size:][:size]
		h, r := u%t.padded[1]-t.before[1], u/t.padded[1]
		d, r := r%t.padded[0]-t.before[0], r/t.padded[0]
		if h < 0 || h >= t.src[1] || d < 0 || d >= t.src[0] {
			clear(row)
			continue
		}
		begin := t.before[2] * c
		clear(row[:begin])
		clear(row[begin+w*c:])
		row = row[begin:][:w*c]
		g, n := r%t.groups, r/t.groups
		switch all := c * t.groups; {
		case !t.srcNHWC:
			x := t.x[((n*t.groups+g)*c)*plane+(d*t.src[1]+h)*w:]
			transposeF32(row, c, x, plane, c, w)
		case t.groups == 1:
			copy(row, t.x[((n*t.src[0]+d)*t.src[1]+h)*w*c:])
		default:
			x := t.x[((n*t.src[0]+d)*t.src[1]+h)*w*all+g*c:]
			for i := range w {
				copy(row[i*c:][:c], x[i*all:])
			}
		}
	}
}

// convAxis is a loop over results: their number, and the distances in elements between
// neighbours in the source and in the result.
type convAxis struct{ n, src, dst int }

// convBlock is one phase of a run, as loops and their division into units.
type convBlock struct {
	phase                           int
	outer                           [3]convAxis
	m                               convAxis // the rows of one product
	src0, dst0                      int
	offs                            int // index in convState.offs of the first tap's
	rows, rowBlocks, mSize, mBlocks int
	panels, panelGroups             int
	first, units                    int
}

// Units aim at unitRows results, so that their source rows stay in the second-level cache
// while the panels of weights pass by; tasks aim at minUnits units.
const (
	unitRows = 192
	minUnits = 16
	// leastRows is how many positions at least a thread has of a product whose rows are shared out: threads that share the
	// columns instead read what others have written in the operator before.
	leastRows = 64
)

// layBlocks divides the products of all phases into units and returns their number. How is of no consequence to the results.
func (t *convState) layBlocks() int {
	t.blocks, t.offs = t.blocks[:0], t.offs[:0]
	grid := t.padded
	srcPitch := [3]int{grid[1] * grid[2] * t.srcC, grid[2] * t.srcC, t.srcC}
	co := t.o * t.groups
	dstPitch := [3]int{t.dst[1] * t.dst[2] * co, t.dst[2] * co, co}
	units, phase := 0, -1
	for rd := range residues(&t.convShape, 0) {
		for rh := range residues(&t.convShape, 1) {
			for rw := range residues(&t.convShape, 2) {
				phase++
				b := convBlock{phase: phase, offs: len(t.offs), first: units}
				axes := [4]convAxis{{t.n, t.srcImage, t.dst[0] * dstPitch[0]}}
				empty := t.n == 0
				for i, r := range [3]int{rd, rh, rw} {
					first, step, count, origin := phaseRange(t.cube[i], t.transposed, r)
					move := 1
					if !t.transposed {
						move = t.cube[i].stride
					}
					axes[i+1] = convAxis{count, move * srcPitch[i], step * dstPitch[i]}
					b.src0 += origin * srcPitch[i]
					b.dst0 += first * dstPitch[i]
					empty = empty || count == 0
				}
				if empty {
					continue
				}
				b.loops(axes)
				taps := t.packed.phases[phase*t.groups]
				for _, tap := range taps {
					t.offs = append(t.offs, tap.at[0]*srcPitch[0]+tap.at[1]*srcPitch[1]+tap.at[2]*srcPitch[2])
				}
				b.divide(t, taps)
				units += b.units
				t.blocks = append(t.blocks, b)
			}
		}
	}
	return units
}

// loops merges axes that are one even progression in both source and result, and chooses
// the one whose results become the rows of a product.
func (b *convBlock) loops(axes [4]convAxis) {
	var list [4]convAxis
	n := 0
	for _, a := range axes {
		if a.n == 1 {
			continue
		}
		if n > 0 && list[n-1].src == a.n*a.src && list[n-1].dst == a.n*a.dst {
			list[n-1] = convAxis{list[n-1].n * a.n, a.src, a.dst}
			continue
		}
		list[n] = a
		n++
	}
	b.m = convAxis{n: 1}
	m := n - 1
	for i := n - 2; i >= 0; i-- {
		if list[m].n < 4 && list[i].n > list[m].n {
			m = i
		}
	}
	if n > 0 {
		b.m = list[m]
	}
	for i := range b.outer {
		b.outer[i].n = 1
	}
	k := 0
	for i := range n {
		if i != m {
			b.outer[k] = list[i]
			k++
		}
	}
}

func (b *convBlock) divide(t *convState, taps []convTap) {
	ceil := func(a, b int) int { return (a + b - 1) / b }
	outer := b.outer[0].n * b.outer[1].n * b.outer[2].n
	b.mBlocks = ceil(b.m.n, 256)
	if n := t.threads; n > 1 && outer < n {
		b.mBlocks = max(b.mBlocks, min(ceil(n, max(1, outer)), b.m.n/leastRows))
	}
	b.mSize = ceil(b.m.n, b.mBlocks)
	b.rows = max(1, unitRows/b.mSize)
	b.rowBlocks = ceil(outer, b.rows)
	b.panels, b.panelGroups = 1, 1
	if len(taps) > 0 {
		b.panels = taps[0].w.Panels()
		spatial := b.rowBlocks * b.mBlocks * len(t.packed.phases)
		if spatial < minUnits {
			b.panelGroups = min(b.panels, ceil(minUnits, spatial))
		}
	}
	b.units = b.rowBlocks * b.mBlocks * b.panelGroups * t.groups
}

// multiply computes units of the blocks.
func (t *convState) multiply(lo, hi int) {
	for i := range t.blocks {
		b := &t.blocks[i]
		for u := max(lo, b.first); u < min(hi, b.first+b.units); u++ {
			t.unit(b, u-b.first)
		}
	}
}

func (t *convState) unit(b *convBlock, u int) {
	pg, u := u%b.panelGroups, u/b.panelGroups
	mb, u := u%b.mBlocks, u/b.mBlocks
	rb, g := u%b.rowBlocks, u/b.rowBlocks
	p0, p1 := chunkRange(b.panels, b.panelGroups, pg)
	m0 := mb * b.mSize
	m := min(b.mSize, b.m.n-m0)
	r0 := rb * b.rows
	r1 := min(r0+b.rows, b.outer[0].n*b.outer[1].n*b.outer[2].n)
	src0 := b.src0 + g*t.srcGr + m0*b.m.src
	dst0 := b.dst0 + g*t.o + m0*b.m.dst
	taps := t.packed.phases[b.phase*t.groups+g]
	ep := &t.eps[g]
	if len(taps) == 0 {
		for r := r0; r < r1; r++ {
			_, dst := b.row(r)
			t.fill(m, t.result[dst0+dst:], b.m.dst, ep)
		}
		return
	}
	var none kernel.Epilogue
	for p := p0; p < p1; p++ {
		for i := range taps {
			e := &none
			if i == len(taps)-1 {
				e = ep
			}
			s := src0 + t.offs[b.offs+i]
			for r := r0; r < r1; r++ {
				src, dst := b.row(r)
				kernel.GemmPackedF32(m, t.source[s+src:], b.m.src, taps[i].w, p, p+1, t.result[dst0+dst:], b.m.dst, i > 0, e)
			}
		}
	}
}

// row returns the distances of row r of the outer loops from the first.
func (b *convBlock) row(r int) (src, dst int) {
	o := &b.outer
	i2, r := r%o[2].n, r/o[2].n
	i1, i0 := r%o[1].n, r/o[1].n
	return i0*o[0].src + i1*o[1].src + i2*o[2].src, i0*o[0].dst + i1*o[1].dst + i2*o[2].dst
}

// fill writes m results that no tap reaches.
func (t *convState) fill(m int, c []float32, ldc int, ep *kernel.Epilogue) {
	for i := range m {
		clear(c[i*ldc:][:t.o])
	}
	kernel.EpilogueF32(m, t.o, c, ldc, 0, ep)
}

// unpackSize is how many positions unpackRows transposes in one unit.
const unpackSize = 64

func (p *convPlan) unpackBlocks() int {
	return (p.dst[0]*p.dst[1]*p.dst[2] + unpackSize - 1) / unpackSize
}

// unpackRows transposes the result to channels-first. A unit is a block of positions of one
// image.
func (t *convState) unpackRows(lo, hi int) {
	co, plane, blocks := t.o*t.groups, t.dst[0]*t.dst[1]*t.dst[2], t.unpackBlocks()
	for u := lo; u < hi; u++ {
		n, p := u/blocks, u%blocks*unpackSize
		rows := min(unpackSize, plane-p)
		transposeF32(t.y[n*co*plane+p:], plane, t.result[(n*plane+p)*co:], co, rows, co)
	}
}

package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// cellAxis is the part of a group of residues along one axis.
type cellAxis struct {
	lo, hi int // residues
	window int // source positions j-window+1 … j that cell j reads
	first  int // the first cell with a result
	count  int
}

// cellAxes returns the groups of residues along an axis: one of all residues, or one each.
func cellAxes(a axisWindow, out int, joined bool) []cellAxis {
	var all []cellAxis
	step := 1
	if joined {
		step = a.stride
	}
	for r := 0; r < a.stride; r += step {
		c := cellAxis{lo: r, hi: r + step}
		for k := range a.kernel {
			if d := k * a.dilation; d%a.stride >= c.lo && d%a.stride < c.hi {
				c.window = max(c.window, d/a.stride+1)
			}
		}
		last := out - 1 + a.begin - c.lo
		if last < 0 {
			continue
		}
		if v := a.begin - (c.hi - 1); v > 0 {
			c.first = (v + a.stride - 1) / a.stride
		}
		if c.count = last/a.stride - c.first + 1; c.count > 0 {
			all = append(all, c)
		}
	}
	return all
}

// cellGroup is a group of residues along all axes.
type cellGroup struct {
	ax     [3]cellAxis
	k, n   int // terms and columns of the product, for one group of channels
	cells  int
	blocks int
	flat   bool // the products of a unit are requantised as one row, before they are placed
}

// flatColumns is the number of columns up to which requantising cell by cell would mostly be
// the cost of calls.
const flatColumns = 48

// cellGroups divides the residues of a transposed convolution. It depends on the weights'
// shape, strides and dilations only, but for the cells that have results.
func cellGroups(s *convShape) []cellGroup {
	joined, useful := true, 1.0
	for i := range s.cube {
		a := s.cube[i]
		a.begin = 0
		w := cellAxes(a, someResults, true)[0].window
		useful *= float64(a.kernel) / float64(max(1, w*a.stride))
	}
	if useful < 0.75 && s.o >= scatterChannels {
		joined = false
	}
	var groups []cellGroup
	for _, d := range cellAxes(s.cube[0], s.dst[0], joined) {
		for _, h := range cellAxes(s.cube[1], s.dst[1], joined) {
			for _, w := range cellAxes(s.cube[2], s.dst[2], joined) {
				g := cellGroup{ax: [3]cellAxis{d, h, w}, n: s.o, k: s.c}
				for _, c := range g.ax {
					g.n, g.k = mulSize(g.n, c.hi-c.lo), mulSize(g.k, c.window)
				}
				g.flat = g.n <= flatColumns
				g.cells = mulSize(d.count, h.count, w.count)
				groups = append(groups, g)
			}
		}
	}
	return groups
}

// packedCells is the weights for each group of residues, for each group of channels.
type packedCells struct {
	w     [][]*kernel.PackedI8
	shape tensor.Shape
}

// Bytes implements [Packed].
func (p *packedCells) Bytes() int {
	n := 0
	for _, ws := range p.w {
		for _, w := range ws {
			n += w.Bytes()
		}
	}
	return n
}

// someResults is an extent at which every residue occurs.
const someResults = 1 << 30

// residueGroups returns every group of residues, whether or not any result has them.
func residueGroups(s *convShape) []cellGroup {
	t := *s
	for i := range t.cube {
		t.dst[i] = someResults
		t.cube[i].begin = 0
	}
	return cellGroups(&t)
}

// packCells packs weights of shape [C, O/groups, k…] as [window·C, residues·O].
func packCells(s *convShape, w *tensor.Tensor) *packedCells {
	p := &packedCells{shape: w.Shape().Clone()}
	eachCellMatrix(s, w, func(g *cellGroup, group int, m []int8) {
		if group == 0 {
			p.w = append(p.w, nil)
		}
		var packed *kernel.PackedI8
		if g.k > 0 {
			packed = kernel.PackI8(g.k, g.n, m, g.n, false)
		}
		p.w[len(p.w)-1] = append(p.w[len(p.w)-1], packed)
	})
	return p
}

// packCellWindows is packCells for [cellRun]: the matrix of part i of the residues and group
// c is number i·groups + c.
func packCellWindows(s *convShape, w *tensor.Tensor) *packedQ8 {
	return &packedQ8{packAlike(func(pack packQ8) (list []*kernel.PackedQ8) {
		eachCellMatrix(s, w, func(g *cellGroup, _ int, m []int8) {
			list = append(list, pack(g.ax[1].window, g.ax[2].window*s.c, g.n, m, g.n, false))
		})
		return list
	}), w.Shape().Clone()}
}

// eachCellMatrix calls f with the g.k×g.n matrix of each part of the residues and each group
// of channels. f must not keep it.
func eachCellMatrix(s *convShape, w *tensor.Tensor, f func(g *cellGroup, group int, m []int8)) {
	v := tensor.Data[int8](w)
	taps := s.taps()
	var buf []int8
	for _, g := range residueGroups(s) {
		for c := range s.groups {
			if n := g.k * g.n; cap(buf) < n {
				buf = make([]int8, n)
			}
			m := buf[:g.k*g.n]
			clear(m)
			for t := range taps {
				kd, kh, kw := t/s.cube[2].kernel/s.cube[1].kernel, t/s.cube[2].kernel%s.cube[1].kernel, t%s.cube[2].kernel
				row, col, ok := 0, 0, true
				for i, k := range [3]int{kd, kh, kw} {
					a, x := s.cube[i], g.ax[i]
					r, at := k*a.dilation%a.stride, k*a.dilation/a.stride
					ok = ok && r >= x.lo && r < x.hi
					row = row*x.window + x.window - 1 - at
					col = col*(x.hi-x.lo) + r - x.lo
				}
				if !ok {
					continue
				}
				for ci := range s.c {
					src := v[(c*s.c+ci)*s.o*taps:]
					dst := m[(row*s.c+ci)*g.n+col*s.o:][:s.o]
					for o := range dst {
						dst[o] = src[o*taps+t]
					}
				}
			}
			f(&g, c, m)
		}
	}
}

// cellPlan is the division of a run into units and its scratch memory.
type cellPlan struct {
	parts          []cellGroup
	index          []int // of each group among those of packedCells
	rows           int   // cells of a unit
	units, chunks  int
	source, result int // bytes of channels-last copies; 0 where tensors are in that order
	gather, sums   int // bytes of a chunk: rows of the left matrix, and products
	flat           int // bytes of a chunk: requantised products of flat parts
	bytes          int
}

func planCells(s *convShape, last bool) cellPlan {
	p := cellPlan{parts: cellGroups(s), rows: conv8Rows}
	all := residueGroups(s)
	for _, g := range p.parts {
		for i := range all {
			if all[i].ax[0].lo == g.ax[0].lo && all[i].ax[1].lo == g.ax[1].lo && all[i].ax[2].lo == g.ax[2].lo {
				p.index = append(p.index, i)
			}
		}
	}
	work, per := 0, 0
	for i := range p.parts {
		g := &p.parts[i]
		if g.cells > math.MaxInt/4 {
			return cellPlan{bytes: math.MaxInt}
		}
		g.blocks = (g.cells + p.rows - 1) / p.rows
		p.units = min(math.MaxInt/2, p.units+g.blocks)
		work = max(work, mulSize(len(p.parts), g.cells, g.n, g.k, s.groups))
		p.gather = max(p.gather, mulSize(p.rows, g.k))
		p.sums = max(p.sums, mulSize(p.rows, g.n, 4))
		if g.flat {
			p.flat = max(p.flat, p.rows*g.n)
		}
	}
	p.units = mulSize(p.units, s.n)
	p.chunks = chunksFor(p.units, mulSize(work, s.n))
	if !last {
		p.source = mulSize(s.n, s.c, s.groups, s.src[0], s.src[1], s.src[2])
		p.result = mulSize(s.n, s.o, s.groups, s.dst[0], s.dst[1], s.dst[2])
	}
	lines := func(n int) int {
		if n > math.MaxInt/2 {
			return math.MaxInt
		}
		return (n + tensor.Align - 1) / tensor.Align * tensor.Align
	}
	p.source, p.result, p.gather, p.sums, p.flat = lines(p.source), lines(p.result), lines(p.gather), lines(p.sums), lines(p.flat)
	if per = max(p.gather, p.sums); per > math.MaxInt/4 || max(p.source, p.result) > math.MaxInt/4 {
		p.bytes = math.MaxInt
		return p
	}
	if per = slotBytes(p.chunks, p.gather+p.sums+p.flat); per > math.MaxInt/4 {
		p.bytes = math.MaxInt
		return p
	}
	p.bytes = p.source + p.result + per
	return p
}

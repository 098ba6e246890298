package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// cellRun computes a transposed convolution by the cells of quantcells.go, whose windows
// are rows of a matrix that lie in the image, as those of quantwindow.go. Kept in the
// node's state.
type cellRun struct {
	cellBands
	plans [sharings]cellBands
	chunkMemory
	convShape
	parts   []cellGroup
	packed  *packedQ8
	index   []int // of each part's matrix of group 0
	table   *kernel.Table8
	columns columnsQ8
	last    bool
	signed  bool
	zero    int32
	x, y    []uint8 // channels-last
	scratch []byte
}

// cellBands is the division of a run into units, which are bands of cell rows of one image
// or several whole images, and its scratch memory.
type cellBands struct {
	low            int  // first cell row
	rows, bands    int  // cell rows of a band, at most; bands of an image
	even           bool // bands have equally many rows of results, and may share a row of cells
	images         int  // of a unit
	units, chunks  int
	above          int // image rows that a cell reads before its own
	left           int // first image column of a band, which may be negative
	width          int // columns of a band
	source, result int // bytes of channels-last copies; 0 where tensors are in that order
	image, line    int // bytes of a chunk: a band, as wide as any kernel wants it, and the results of one row of cells
}

// closedCells reports whether the windows of all parts lie in images as
// [kernel.PackedQ8] wants them.
func closedCells(s *convShape) bool {
	if !kernel.HasQ8() || s.cube[0].kernel != 1 || s.cube[0].stride != 1 || s.src[0] != 1 || s.dst[0] != 1 || s.c == 0 || s.o == 0 {
		return false
	}
	for _, g := range residueGroups(s) {
		if g.k == 0 {
			return false
		}
	}
	return true
}

// planBands divides a run that closedCells accepts.
func planBands(s *convShape, parts []cellGroup, last bool, by sharing) cellBands {
	var p cellBands
	high, right, work, line, window := 0, 0, 0, 0, 0
	for i := range parts {
		h, w := &parts[i].ax[1], &parts[i].ax[2]
		if i == 0 {
			p.low, p.left = h.first, w.first-w.window+1
		}
		p.low, high = min(p.low, h.first), max(high, h.first+h.count)
		p.left, right = min(p.left, w.first-w.window+1), max(right, w.first+w.count)
		window = max(window, h.window)
		line = max(line, mulSize(w.count, parts[i].n))
		work = addSize(work, mulSize(parts[i].cells, parts[i].n, parts[i].k, s.groups))
	}
	p.above, p.width = window-1, right-p.left
	work = mulSize(work, s.n)
	cells := high - p.low
	p.rows, p.images = max(1, cells), 1
	for p.rows > 1 && mulSize(p.rows+p.above, p.width, s.c, 2) > bandBytes {
		p.rows = (p.rows + 1) / 2
	}
	p.bands = (cells + p.rows - 1) / p.rows
	if want := min(by.chunks(work)/max(1, s.n), s.dst[1]); want > p.bands {
		p.bands, p.even = want, true
		p.rows = (ceilDiv(s.dst[1], want) + 2*s.cube[1].stride - 2) / s.cube[1].stride
	}
	p.image = scratchBytes(mulSize(p.rows+p.above, p.width, s.c)/2 + kernel.SlackQ8)
	if by == alone && p.bands == 1 {
		p.images = max(1, min(s.n, 2*bandBytes/p.image, queuedLines/p.rows))
	}
	p.units = mulSize((s.n+p.images-1)/p.images, p.bands)
	p.chunks = by.split(p.units, work)
	if !last {
		p.source = scratchBytes(mulSize(s.n, s.c, s.groups, s.src[1], s.src[2])/4 + 1)
		p.result = scratchBytes(mulSize(s.n, s.o, s.groups, s.dst[1], s.dst[2])/4 + 1)
	}
	p.line = scratchBytes(line/4 + 1)
	return p
}

func cellScratch(p cellBands) scratch8 {
	return scratch8{addSize(p.source, p.result), addSize(mulSize(p.images, p.image), p.line), p.chunks}
}

// cellBytes is the scratch memory of a run that closedCells accepts for a number of threads.
//
//go:noinline
func cellBytes(s *convShape, last bool, threads int) (size, first int) {
	parts := cellGroups(s)
	return bytesFor(threads, func(by sharing) scratch8 { return cellScratch(planBands(s, parts, last, by)) })
}

// prepare sets the division for a shape.
func (t *cellRun) prepare(s *convShape, last bool) {
	t.convShape, t.parts, t.index, t.last = *s, cellGroups(s), t.index[:0], last
	t.plans = plansFor(func(by sharing) cellBands { return planBands(s, t.parts, last, by) })
	for _, g := range t.parts {
		for i, r := range residueGroups(s) {
			if r.ax[0].lo == g.ax[0].lo && r.ax[1].lo == g.ax[1].lo && r.ax[2].lo == g.ax[2].lo {
				t.index = append(t.index, i*s.groups)
			}
		}
	}
}

// runClosed is Run for packed windows.
func (o *quantConvTranspose) runClosed(ctx *Context, t *cellRun, w *packedQ8, out, in []*tensor.Tensor) {
	keep(&t.packed, w)
	keep(&t.signed, in[0].DType() == tensor.Int8)
	keep(&t.table, o.table)
	keep(&t.zero, t.columns.find(ctx, o.inputsQ8(), 1, t.packed, t.groups, t.o*t.groups, out, in))
	keep(&t.cellBands, t.plans[sharingOf(ctx.Pool)])
	x, y, scratch := in[0].Bytes(), out[0].Bytes(), ctx.Scratch
	channels, positions := t.c*t.groups, t.src[1]*t.src[2]
	outs, results := t.o*t.groups, t.dst[1]*t.dst[2]
	if !t.last {
		x, y = scratch[:t.n*channels*positions], scratch[t.source:][:t.n*outs*results]
		for n := range t.n {
			kernel.TransposeU8(x[n*channels*positions:], in[0].Bytes()[n*channels*positions:], channels, positions)
		}
		scratch = scratch[t.source+t.result:]
	}
	keepSlice(&t.x, x)
	keepSlice(&t.y, y)
	keepSlice(&t.scratch, scratch)
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
	if !t.last {
		for n := range t.n {
			kernel.TransposeU8(out[0].Bytes()[n*outs*results:], t.y[n*outs*results:], results, outs)
		}
	}
}

// Do implements [parallel.Task]: one chunk of units.
func (t *cellRun) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.images*t.image+t.line, chunk, worker)
	all, outs := t.c*t.groups, t.o*t.groups
	each := t.src[1] * t.src[2] * all
	var lines lineQueue
	for u := lo; u < hi; u++ {
		n, images := u/t.bands*t.images, min(t.images, t.n-u/t.bands*t.images)
		y0, y1 := t.results(u % t.bands)
		first := (y0 + t.cube[1].begin) / t.cube[1].stride
		rows := (y1-1+t.cube[1].begin)/t.cube[1].stride + 1 - first
		b := windowBand{first: first - t.above, rows: rows + t.above, left: t.left, width: t.width}
		for g := range t.groups {
			for i := range images {
				b.fill(t.packed.w[g], mem[i*t.image:][:t.image], t.x[(n+i)*each:][:each], t.src[1], t.src[2], all, g*t.c, t.c, t.signed, t.zero, u == lo || t.bands > 1 || t.groups > 1)
			}
			for i := range t.parts {
				h := &t.parts[i].ax[1]
				from, to := max(first, h.first), min(first+rows, h.first+h.count)
				if p := t.packed.w[t.index[i]+g]; t.o%p.NR == 0 {
					t.cellPanels(&lines, i, n, images, g, first, from, to, y0, y1, mem)
					continue
				}
				for k := range images {
					for j := from; j < to; j++ {
						t.cellRow(i, n+k, g, j, j-first, y0, y1, mem[k*t.image:][:t.image], mem[t.images*t.image:])
					}
				}
			}
		}
		if t.table != nil {
			// The residues of a band's cells are all positions of these lines.
			line := t.dst[2] * outs
			results := t.y[(n*t.dst[1]+y0)*line : ((n+images-1)*t.dst[1]+y1)*line]
			t.table.Map(results, results)
		}
	}
}

// results returns the first row of results of a band, and one past its last.
func (t *cellRun) results(band int) (y0, y1 int) {
	if t.even {
		return chunkRange(t.dst[1], t.bands, band)
	}
	a := &t.cube[1]
	first := t.low + band*t.rows
	return max(0, first*a.stride-a.begin), min(t.dst[1], (first+t.rows)*a.stride-a.begin)
}

// leftOf returns the number of the left value at which the window of cell 0 of a row of cells begins, which need not exist.
// at is the row's place in the band.
func (t *cellRun) leftOf(i, at int) int {
	h, w := &t.parts[i].ax[1], &t.parts[i].ax[2]
	return (at+t.above-h.window+1)*t.width*t.c + (1-w.window-t.left)*t.c
}

// cellPanels computes rows [from, to) of the cells of part i in the bands of images from n on, group g, where each panel
// belongs to one residue. first is the first row of the band, whose results lie in lines [y0, y1).
func (t *cellRun) cellPanels(lines *lineQueue, i, n, images, g, first, from, to, y0, y1 int, mem []byte) {
	p, cols := t.packed.w[t.index[i]+g], t.columns.list[t.index[i]+g]
	h, w, ch, cw := &t.parts[i].ax[1], &t.parts[i].ax[2], &t.cube[1], &t.cube[2]
	nh, nw, outs, panels := h.hi-h.lo, w.hi-w.lo, t.o*t.groups, t.o/p.NR
	each := t.image / p.ValueBytes()
	lines.of(p, cols, mem[:t.images*t.image], t.c, t.width*t.c, t.y, cw.stride*outs)
	for r := range nh * nw {
		rh, rw := h.lo+r/nw-ch.begin, w.lo+r%nw-cw.begin
		c0, c1 := w.first, w.first+w.count
		for c0 < c1 && c0*cw.stride+rw < 0 {
			c0++
		}
		for c0 < c1 && (c1-1)*cw.stride+rw >= t.dst[2] {
			c1--
		}
		if c0 == c1 {
			continue
		}
		// Rows of cells that have results there.
		j0, j1 := from, to
		for j0 < j1 && j0*ch.stride+rh < y0 {
			j0++
		}
		for j0 < j1 && (j1-1)*ch.stride+rh >= y1 {
			j1--
		}
		lines.p0, lines.p1 = r*panels, (r+1)*panels
		a, dst := t.leftOf(i, j0-first)+c0*t.c, ((n*t.dst[1]+j0*ch.stride+rh)*t.dst[2]+c0*cw.stride+rw)*outs+g*t.o
		for k := range images {
			lines.add(c1-c0, j1-j0, a+k*each, t.width*t.c, dst+k*t.dst[1]*t.dst[2]*outs, ch.stride*t.dst[2]*outs)
		}
		lines.flush()
	}
}

// cellRow computes the results of cells of row j of part i in lines [y0, y1), for group g of image n, by way of line. at is the
// row's place in the band.
func (t *cellRun) cellRow(i, n, g, j, at, y0, y1 int, band, line []byte) {
	part := &t.parts[i]
	p, cols := t.packed.w[t.index[i]+g], t.columns.list[t.index[i]+g]
	h, w := &part.ax[1], &part.ax[2]
	nh, nw, outs := h.hi-h.lo, w.hi-w.lo, t.o*t.groups
	y := t.y[n*t.dst[1]*t.dst[2]*outs:]
	line = line[:w.count*part.n]
	p.Run(w.count, band[(t.leftOf(i, at)+w.first*t.c)*p.ValueBytes():], t.c, t.width*t.c, cols, 0, p.Panels(), line, part.n)
	for r := range nh {
		oh := j*t.cube[1].stride + h.lo + r - t.cube[1].begin
		if oh < y0 || oh >= y1 {
			continue
		}
		t.placeRow(line[r*nw*t.o:], part.n, y[oh*t.dst[2]*outs+g*t.o:], w, outs)
	}
}

// placeRow writes the results of a row of cells, cell i's from line[i*n] on, to a line of
// the result. Those of a cell lie side by side, as far as they exist.
func (t *cellRun) placeRow(line []uint8, n int, y []uint8, w *cellAxis, outs int) {
	nw, stride := w.hi-w.lo, t.cube[2].stride
	first := w.first*stride + w.lo - t.cube[2].begin
	for i := 0; i < w.count; {
		ow := first + i*stride
		if whole := (t.dst[2] - ow) / stride; ow >= 0 && whole > 0 && nw == stride && outs == t.o {
			// Cells with all results follow one another.
			whole = min(whole, w.count-i)
			kernel.JoinRunsU8(y[ow*outs:][:whole*nw*outs], line[i*n:], n, whole, nw*outs)
			i += whole
			continue
		}
		for r := max(0, -ow); r < min(nw, t.dst[2]-ow); r++ {
			copy(y[(ow+r)*outs:][:t.o], line[i*n+r*t.o:])
		}
		i++
	}
}

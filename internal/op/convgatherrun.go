package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// gatherState is the task of a run.
type gatherState struct {
	gatherPlan
	n0                         int // first unit of the wave
	wave, chunks, panelGroups  int
	stage                      func(t *gatherState, lo, hi, worker int)
	dstNHWC, bySlot            bool
	x, y, bias, blocks, staged []float32
	act                        kernel.Epilogue
	packed                     *packedGather
}

// Do implements [parallel.Task].
func (t *gatherState) Do(chunk, worker int) {
	lo, hi := chunkRange(t.wave, t.chunks, chunk)
	t.stage(t, lo, hi, worker)
}

// execute computes the convolution of the channels-last operand x. bias may be nil.
func (t *gatherState) execute(pool *parallel.Pool, dstNHWC bool, packed *packedGather, x, y, bias []float32, act kernel.Epilogue, scratch []byte) {
	t.dstNHWC, t.packed, t.x, t.y, t.bias, t.act = dstNHWC, packed, x, y, bias, act
	t.blocks, scratch = floatsOf(scratch, t.slots*t.blockLen)
	t.staged, _ = floatsOf(scratch, t.slots*t.stageLen)
	work := 0
	for i := range t.phases {
		f := &t.phases[i]
		work += f.rows * f.k * t.o
	}
	threads := pool.Threads()
	panels := ceilDiv(t.o, max(1, t.panelWidth()))
	switch {
	case threads > 1 && t.units <= t.slots && t.units < 4*threads && panels > 1 && work > 2*chunkWork:
		// Few blocks: the threads share the columns of each.
		t.bySlot, t.panelGroups = true, min(panels, ceilDiv(16, t.units))
		t.n0 = 0
		t.run(pool, t.units, t.units*t.blockLen*copyCost, (*gatherState).gatherUnits)
		t.run(pool, t.units*t.panelGroups, work, (*gatherState).multiplyUnits)
		if !t.inPlace {
			t.run(pool, t.units, t.units*t.stageLen*copyCost, (*gatherState).placeUnits)
		}
	case threads <= t.slots || t.units <= t.slots:
		t.bySlot, t.panelGroups, t.n0 = threads > t.slots, 1, 0
		t.run(pool, t.units, work, (*gatherState).wholeUnits)
	default:
		// More threads than slots: waves of as many blocks as there are slots.
		t.bySlot, t.panelGroups = true, 1
		for t.n0 = 0; t.n0 < t.units; t.n0 += t.slots {
			t.run(pool, min(t.slots, t.units-t.n0), work, (*gatherState).wholeUnits)
		}
	}
	t.x, t.y, t.bias, t.blocks, t.staged, t.packed = nil, nil, nil, nil, nil, nil
}

func (t *gatherState) panelWidth() int {
	for _, w := range t.packed.weights {
		if w != nil {
			return w.NR
		}
	}
	return t.o
}

func (t *gatherState) run(pool *parallel.Pool, units, work int, stage func(t *gatherState, lo, hi, worker int)) {
	t.wave, t.stage = units, stage
	t.chunks = chunksFor(units, work)
	pool.Run(t.chunks, t)
}

// unit returns the block that unit u of the wave is: its phase, its rows and its memory.
func (t *gatherState) unit(u, worker int) (f *gatherPhase, r0, r1 int, block, staged []float32) {
	slot := worker
	if t.bySlot {
		slot = u
	}
	u += t.n0
	i := 0
	for u >= t.phases[i].first+t.phases[i].units {
		i++
	}
	f = &t.phases[i]
	r0 = (u - f.first) * f.size
	r1 = min(r0+f.size, f.rows)
	block = t.blocks[slot*t.blockLen:][:(r1-r0)*f.k]
	if !t.inPlace {
		staged = t.staged[slot*t.stageLen:][:(r1-r0)*t.o]
	}
	return f, r0, r1, block, staged
}

func (t *gatherState) wholeUnits(lo, hi, worker int) {
	for u := lo; u < hi; u++ {
		f, r0, r1, block, staged := t.unit(u, worker)
		t.gather(f, r0, r1, block)
		t.multiply(f, r0, r1, block, staged, 0, 1)
		t.place(f, r0, r1, staged)
	}
}

func (t *gatherState) gatherUnits(lo, hi, _ int) {
	for u := lo; u < hi; u++ {
		f, r0, r1, block, _ := t.unit(u, 0)
		t.gather(f, r0, r1, block)
	}
}

func (t *gatherState) multiplyUnits(lo, hi, _ int) {
	for u := lo; u < hi; u++ {
		f, r0, r1, block, staged := t.unit(u/t.panelGroups, 0)
		t.multiply(f, r0, r1, block, staged, u%t.panelGroups, t.panelGroups)
	}
}

func (t *gatherState) placeUnits(lo, hi, _ int) {
	for u := lo; u < hi; u++ {
		f, r0, r1, _, staged := t.unit(u, 0)
		t.place(f, r0, r1, staged)
	}
}

// multiply computes the rows [r0, r1) of a phase, in one of several groups of panels.
func (t *gatherState) multiply(f *gatherPhase, r0, r1 int, block, staged []float32, group, groups int) {
	co := t.o * t.groups
	c, ldc := staged, t.o
	if t.inPlace {
		c, ldc = t.y[r0*co+f.group*t.o:], co
	}
	ep := t.act
	if t.bias != nil {
		ep.Bias = t.bias[f.group*t.o:][:t.o]
	}
	w := t.packed.weights[f.phase*t.groups+f.group]
	if w == nil {
		if group == 0 {
			for i := range r1 - r0 {
				clear(c[i*ldc:][:t.o])
			}
			kernel.EpilogueF32(r1-r0, t.o, c, ldc, 0, &ep)
		}
		return
	}
	p0, p1 := chunkRange(w.Panels(), groups, group)
	if p0 < p1 {
		kernel.GemmPackedF32(r1-r0, block, f.k, w, p0, p1, c, ldc, false, &ep)
	}
}

// place puts computed rows where they belong in the result.
func (t *gatherState) place(f *gatherPhase, r0, r1 int, staged []float32) {
	if t.inPlace {
		return
	}
	co := t.o * t.groups
	plane := t.dst[0] * t.dst[1] * t.dst[2]
	for r := r0; r < r1; {
		n, at, run := t.segment(f, r, r1)
		pos := ((f.axes[0].first+at[0]*f.axes[0].step)*t.dst[1]+f.axes[1].first+at[1]*f.axes[1].step)*t.dst[2] + f.axes[2].first + at[2]*f.axes[2].step
		rows := staged[(r-r0)*t.o:]
		step := f.axes[2].step
		if t.dstNHWC {
			y := t.y[(n*plane+pos)*co+f.group*t.o:]
			copyRuns(y, step*co, rows, t.o, run, t.o)
		} else {
			y := t.y[(n*co+f.group*t.o)*plane+pos:]
			if step == 1 {
				transposeF32(y, plane, rows, t.o, run, t.o)
			} else {
				for o := range t.o {
					for i := range run {
						y[o*plane+i*step] = rows[i*t.o+o]
					}
				}
			}
		}
		r += run
	}
}

// segment decomposes row r of a phase into its image and its index along each axis, and
// returns how many rows before end follow along the last axis, itself included.
func (t *gatherState) segment(f *gatherPhase, r, end int) (n int, at [3]int, run int) {
	first := r
	for i := 2; i >= 0; i-- {
		at[i] = r % f.axes[i].n
		r /= f.axes[i].n
	}
	return r, at, min(f.axes[2].n-at[2], end-first)
}

// gather copies the windows of rows [r0, r1) of a phase, as a matrix of f.k columns.
func (t *gatherState) gather(f *gatherPhase, r0, r1 int, block []float32) {
	all := t.c * t.groups
	var move [3]int
	for i := range move {
		move[i] = 1
		if !t.transposed {
			move[i] = t.cube[i].stride
		}
	}
	for r := r0; r < r1; {
		n, at, run := t.segment(f, r, r1)
		var from [3]int // the window's origin in the source
		for i := range from {
			from[i] = f.axes[i].origin + at[i]*move[i] - t.before[i]
		}
		dst := block[(r-r0)*f.k:][:run*f.k]
		off := 0
		for _, g := range t.packed.runs[f.phase] {
			d, h, w := from[0]+g.at[0], from[1]+g.at[1], from[2]+g.at[2]
			size := g.n * t.c
			if d < 0 || d >= t.src[0] || h < 0 || h >= t.src[1] {
				clearRuns(dst[off:], f.k, run, size)
			} else {
				row := t.x[((n*t.src[0]+d)*t.src[1]+h)*t.src[2]*all+f.group*t.c:]
				t.gatherRow(dst[off:], f.k, row, w, move[2], run, g.n)
			}
			off += size
		}
		r += run
	}
}

// gatherRow copies runs of n source positions each, rows of them, the first from position w
// of a source row on and the others move apart. Positions outside the row are zeros.
func (t *gatherState) gatherRow(dst []float32, ldd int, src []float32, w, move, rows, n int) {
	all := t.c * t.groups
	// Rows [a, b) lie inside.
	a, b := 0, 0
	if w < 0 {
		a = min(rows, ceilDiv(-w, move))
	}
	if last := t.src[2] - n - w; last >= 0 {
		b = min(rows, last/move+1)
	}
	b = max(a, b)
	edge := func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j := range n {
				p := w + i*move + j
				to := dst[i*ldd+j*t.c:][:t.c]
				if p < 0 || p >= t.src[2] {
					clear(to)
				} else {
					copy(to, src[p*all:])
				}
			}
		}
	}
	edge(0, a)
	edge(b, rows)
	switch {
	case a == b:
	case t.groups == 1:
		copyRuns(dst[a*ldd:], ldd, src[(w+a*move)*all:], move*all, b-a, n*t.c)
	default:
		for j := range n {
			copyRuns(dst[a*ldd+j*t.c:], ldd, src[(w+a*move+j)*all:], move*all, b-a, t.c)
		}
	}
}

// copyRuns copies rows of n values, which are ldd and lds apart.
func copyRuns(dst []float32, ldd int, src []float32, lds, rows, n int) {
	switch n {
	case 1:
		for i := range rows {
			dst[i*ldd] = src[i*lds]
		}
	case 3:
		for i := range rows {
			*(*[3]float32)(dst[i*ldd:]) = [3]float32(src[i*lds:])
		}
	case 4:
		for i := range rows {
			*(*[4]float32)(dst[i*ldd:]) = [4]float32(src[i*lds:])
		}
	case 9:
		for i := range rows {
			*(*[9]float32)(dst[i*ldd:]) = [9]float32(src[i*lds:])
		}
	case 12:
		for i := range rows {
			*(*[12]float32)(dst[i*ldd:]) = [12]float32(src[i*lds:])
		}
	default:
		for i := range rows {
			copy(dst[i*ldd:][:n], src[i*lds:])
		}
	}
}

// clearRuns sets rows of n values, ldd apart, to zero.
func clearRuns(dst []float32, ldd, rows, n int) {
	for i := range rows {
		clear(dst[i*ldd:][:n])
	}
}

// gatherKey names the form of packGather's result.
func gatherKey(s *convShape, group int) string {
	var v [6]int
	for i, a := range s.cube {
		v[i], v[3+i] = a.stride, a.dilation
	}
	return fmt.Sprintf("gather t%v g%d s%v d%v", s.transposed, group, v[:3], v[3:])
}

package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A transposed depthwise convolution of 8-bit values is a depthwise one with stride 1 for each phase of its results, that is each
// residue of rows and of columns by the stride. All phases read the same band, and write results a stride apart.

// depthPhase is one of them. The fields are by axis, rows and columns: results first + i·step, for i < n, are made of the source
// positions from i + at on, with the kernel's positions taps.
type depthPhase struct {
	first, step, n, at [2]int
	taps               [2][]int
}

// depthPhases are all that have results.
type depthPhases struct {
	low, rows   int // the first source row that a result row i of any phase is made of, less i, and how many there are
	lead, pitch int // positions of a row of the band: before the source, and all
	cells, line int // the most result rows of a phase, and results of a row
	quads       bool
	list        []depthPhase
}

// phasesOf returns the phases of a convolution that is computed so.
func phasesOf(s *convShape) (g depthPhases, ok bool) {
	d := &s.cube[0]
	if !s.transposed || !isDepthwise(s) || d.kernel != 1 || d.stride != 1 || s.padded[0] != 1 || s.dst[0] != 1 || s.src[1] == 0 || s.src[2] == 0 {
		return g, false
	}
	var axes [2][]depthPhase
	for i := range axes {
		a := s.cube[1+i]
		if a.dilation != 1 {
			return g, false
		}
		for r := range a.stride {
			var p depthPhase
			first, step, n, origin := phaseRange(a, true, r)
			taps := phaseTaps(nil, a, true, r)
			if n == 0 {
				continue
			}
			if len(taps) == 0 {
				return g, false
			}
			p.first[i], p.step[i], p.n[i], p.at[i] = first, step, n, origin+taps[0].at-s.before[1+i]
			for _, t := range taps {
				p.taps[i] = append(p.taps[i], t.k)
			}
			axes[i] = append(axes[i], p)
		}
	}
	if len(axes[0]) == 0 || len(axes[1]) == 0 {
		return g, false
	}
	g.low = axes[0][0].at[0]
	for _, y := range axes[0] {
		g.low, g.cells = min(g.low, y.at[0]), max(g.cells, y.n[0])
	}
	for _, y := range axes[0] {
		g.rows = max(g.rows, y.at[0]+len(y.taps[0])-g.low)
	}
	for _, x := range axes[1] {
		g.lead = max(g.lead, -x.at[1])
	}
	g.pitch = g.lead + s.src[2]
	g.quads = kernel.HasDepthQ8() && s.groups%16 == 0 && mulSize(s.src[2], s.groups) >= 64 && g.rows <= 4
	for _, x := range axes[1] {
		g.pitch, g.line = max(g.pitch, g.lead+x.at[1]+x.n[1]-1+len(x.taps[1])), max(g.line, x.n[1])
		g.quads = g.quads && x.n[1] >= 4
	}
	for _, y := range axes[0] {
		for _, x := range axes[1] {
			x.first[0], x.step[0], x.n[0], x.at[0], x.taps[0] = y.first[0], y.step[0], y.n[0], y.at[0], y.taps[0]
			g.list = append(g.list, x)
		}
	}
	return g, true
}

// key is that of weights that packPhases packs.
func (g *depthPhases) key(s *convShape) string {
	h, w := &s.cube[1], &s.cube[2]
	return fmt.Sprintf("depth phases %v s%d,%d b%d,%d %d of %d", g.quads, h.stride, w.stride, h.begin, w.begin, g.low, len(g.list))
}

// packedPhases is the weights of each phase, as those of packedDepth8.
type packedPhases struct {
	w     [][]int32 // [pairs or quads, channels]
	zeros []int32   // in place of a bias, for pairs
	sums  [][]int32 // of the weights of each channel, for quads
	shape tensor.Shape
}

// Bytes implements [Packed].
func (p *packedPhases) Bytes() int {
	n := len(p.zeros)
	for i := range p.w {
		n += len(p.w[i]) + len(p.sums[i])
	}
	return 4 * n
}

func (p *packedPhases) weightShape() tensor.Shape { return p.shape }

func packPhases(s *convShape, g *depthPhases, w *tensor.Tensor) *packedPhases {
	v, kh, kw := signed8(w), s.cube[1].kernel, s.cube[2].kernel
	p := &packedPhases{shape: w.Shape().Clone(), zeros: make([]int32, s.groups)}
	for i := range g.list {
		ph := &g.list[i]
		rows, columns := ph.taps[0], ph.taps[1]
		var packed, sums []int32
		at := func(c, row, column int) int8 {
			if row >= len(rows) || column >= len(columns) {
				return 0
			}
			return v[(c*kh+rows[row])*kw+columns[column]]
		}
		if g.quads {
			sums = make([]int32, s.groups)
			for x := range columns {
				for c := range s.groups {
					var q [4]int8
					for y := range rows {
						q[ph.at[0]-g.low+y] = at(c, y, x)
						sums[c] += int32(at(c, y, x))
					}
					packed = append(packed, kernel.QuadWeights(q[0], q[1], q[2], q[3]))
				}
			}
		} else {
			for y := range rows {
				for x := 0; x < len(columns); x += 2 {
					for c := range s.groups {
						packed = append(packed, kernel.PairWeights(at(c, y, x), at(c, y, x+1)))
					}
				}
			}
		}
		p.w, p.sums = append(p.w, packed), append(p.sums, sums)
	}
	return p
}

// planPhases divides a run into bands of result rows of all phases.
func planPhases(s *convShape, g *depthPhases, by sharing) depth8Plan {
	var p depth8Plan
	c := s.groups
	work := mulSize(s.n, s.dst[1], s.dst[2], len(g.list[0].taps[0]), len(g.list[0].taps[1]), c, depth8Cost)
	pitch := mulSize(g.pitch, c)
	p.rows = g.cells
	for p.rows > 1 && mulSize(p.rows-1+g.rows, pitch, 4) > 2*bandBytes {
		p.rows = (p.rows + 1) / 2
	}
	p.rows = by.band(p.rows, g.cells, s.n, work)
	p.bands = ceilDiv(g.cells, p.rows)
	p.units = mulSize(s.n, p.bands)
	p.chunks = by.split(p.units, work)
	if g.quads {
		p.band, p.border = scratchBytes(pitch), scratchBytes(mulSize(s.src[2], c)/4+1)
	} else {
		p.band, p.sums, p.border = scratchBytes(mulSize(p.rows-1+g.rows, pitch)), scratchBytes(mulSize(g.line, c)), scratchBytes(c/4+1)
	}
	return p
}

// phasesBytes is the scratch memory of a run for a number of threads.
//
//go:noinline
func phasesBytes(s *convShape, g *depthPhases, threads int) (size, first int) {
	return bytesFor(threads, func(by sharing) scratch8 { return depth8Scratch(planPhases(s, g, by)) })
}

// phasesRun is one run. Kept in the node's state.
type phasesRun struct {
	depth8Run
	depthPhases
	inputs  [2]tensor.Shape
	of      *packedPhases
	offsets [][]kernel.DepthTap
	results []kernel.DepthQ8
	own     []float32 // factors that are not constant
}

func (t *phasesRun) prepare(s *convShape) {
	t.depthPhases, _ = phasesOf(s)
	t.convShape = *s
	t.plans = plansFor(func(by sharing) depth8Plan { return planPhases(s, &t.depthPhases, by) })
	t.before[2], t.offsets, t.results = t.lead, nil, make([]kernel.DepthQ8, len(t.list))
	for i := range t.list {
		p := &t.list[i]
		var taps []kernel.DepthTap
		add := func(row, column int) {
			at := row*t.pitch + t.lead + p.at[1] + column
			taps = append(taps, kernel.DepthTap{X: at * t.groups, W: len(taps) * t.groups})
		}
		if t.depthPhases.quads {
			for x := range p.taps[1] {
				add(0, x)
			}
		} else {
			for y := range p.taps[0] {
				for x := 0; x < len(p.taps[1]); x += 2 {
					add(p.at[0]-t.low+y, x)
				}
			}
		}
		t.offsets = append(t.offsets, taps)
	}
}

// runPhases is Run for weights that packPhases packed.
func (o *quantConvTranspose) runPhases(ctx *Context, w *packedPhases, out, in []*tensor.Tensor) error {
	t := StateOf[phasesRun](ctx)
	if !t.inputs[0].Equal(in[0].Shape()) || !t.inputs[1].Equal(w.shape) {
		f, err := o.extents(in[0].Shape(), w.shape)
		if err != nil {
			return err
		}
		t.inputs = [2]tensor.Shape{in[0].Shape().Clone(), w.shape.Clone()}
		t.prepare(&f.shape)
	}
	keep(&t.of, w)
	keepSlice(&t.x, in[0].Bytes())
	keep(&t.y, out[0])
	keep(&t.signed, in[0].DType() == tensor.Int8)
	zero := int32(0)
	if z := optional(in, o.xZero); z != nil {
		zero = zeroOf(z)
	}
	keep(&t.zero, zero)
	if p, ok := ctx.PackedInput(o.wScale).(*packedFactors); ok {
		keepSlice(&t.scale, p.scale)
	} else {
		t.own = factorsOf(t.own[:0], scalarOf(in[o.xScale]), floats32(nil, in[o.wScale]), in[o.yScale], t.groups, 1)
		keepSlice(&t.scale, t.own)
	}
	_, bias := biasAt(ctx, o.bias, in)
	keepSlice(&t.bias, bias)
	keep(&t.yZero, zeroOf(in[o.yZero]))
	keepSlice(&t.scratch, ctx.Scratch)
	keep(&t.depth8Plan, t.plans[sharingOf(ctx.Pool)])
	if t.depthPhases.quads {
		for i := range t.results {
			t.results[i].Set(w.sums[i], t.zero, t.signed, t.bias, t.scale, t.yZero, t.y.DType() == tensor.Int8)
		}
	}
	keep(&t.direct, !t.depthPhases.quads && kernel.HasDepthPairsQ8() && t.groups%8 == 0)
	if t.direct {
		t.results[0].Set(w.zeros, 0, false, t.bias, t.scale, t.yZero, t.y.DType() == tensor.Int8)
	}
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
	o.finish(out[0])
	return nil
}

// Do implements [parallel.Task]: one chunk of bands.
func (t *phasesRun) Do(chunk, worker int) {
	c, quads := t.groups, t.depthPhases.quads
	mem := t.part(t.scratch, t.band+t.sums+t.border, chunk, worker)
	words, mem := floatsOf(mem, t.band/4)
	band, pitch, lead, line := intsIn(words), t.pitch*c, t.lead*c, t.src[2]*c
	var acc []int32
	var outside []byte
	if quads {
		outside = mem[:line]
		t.results[0].Border(band[:lead], t.zero)
		t.results[0].Border(band[lead+line:pitch], t.zero)
	} else {
		var sums []float32
		sums, mem = floatsOf(mem, t.line*c)
		acc, outside = intsIn(sums), mem[:c]
	}
	kernel.FillU8(outside, uint8(t.zero))
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.depth8Plan.rows
		last := min(first+t.depth8Plan.rows, t.cells)
		if !quads {
			for r := range last - first - 1 + t.depthPhases.rows {
				t.pairs(band[r*pitch:][:pitch], n, first+t.low+r, outside)
			}
		}
		for i := first; i < last; i++ {
			if quads {
				var rows [4][]uint8
				for k := range rows {
					rows[k] = outside
					if r := i + t.low + k; k < t.depthPhases.rows && r >= 0 && r < t.src[1] {
						rows[k] = t.x[(n*t.src[1]+r)*line:]
					}
				}
				t.results[0].Quads(band[lead:][:line], &rows)
			}
			for k := range t.list {
				p := &t.list[k]
				if i >= p.n[0] {
					continue
				}
				at := ((n*t.dst[1]+p.first[0]+i*p.step[0])*t.dst[2] + p.first[1]) * c
				if quads {
					t.results[k].Run(t.y.Bytes()[at:], p.step[1]*c, band[:pitch], c, p.n[1], t.of.w[k], t.offsets[k])
					continue
				}
				if t.direct && p.n[1] >= 4 {
					t.results[0].RunPairs(t.y.Bytes()[at:], p.step[1]*c, band[(i-first)*pitch:], c, p.n[1], t.of.w[k], t.offsets[k])
					continue
				}
				kernel.DepthI16(acc, c, band[(i-first)*pitch:], c, p.n[1], c, t.of.w[k], t.offsets[k], t.of.zeros)
				t.store(acc, at, p.n[1], p.step[1]*c)
			}
		}
	}
}

package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// A transposed convolution to few channels is one product, [positions, C] by
// [C, taps·O], whose rows are then added where their windows lie. Sub-pixel phases would
// pad O to a whole panel of columns in each of the taps.

// scatterChannels is the number of output channels below which that pays.
const scatterChannels = 16

func useScatter(s *convShape) bool {
	return s.o < scatterChannels && !s.isDepthwise() && scatterWorkspace(s) < math.MaxInt
}

// packedScatter is the weights of each group as [C, taps·O].
type packedScatter struct {
	groups []*kernel.PackedF32
	shape  tensor.Shape // of the weight tensor
	buf    []float32
}

func (p *packedScatter) Bytes() int {
	n := 4 * len(p.buf)
	for _, g := range p.groups {
		n += g.Bytes()
	}
	return n
}

// packScatter packs the weights w, of shape [C, O/groups, k…], into the memory of p if p
// is not nil.
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
	for _, a := range s.cube[3-s.rank:] {
		p.shape = append(p.shape, a.kernel)
	}
	n := taps * s.o
	if cap(p.buf) < s.c*n {
		p.buf = make([]float32, s.c*n)
	}
	buf := p.buf[:s.c*n]
	for g := range s.groups {
		for c := range s.c {
			transposeF32(buf[c*n:], s.o, w[(g*s.c+c)*n:], taps, s.o, taps)
		}
		p.groups[g] = kernel.RepackF32(p.groups[g], s.c, n, buf, n, false)
	}
	if !keep {
		p.buf = nil
	}
	return p
}

// scatterFloats returns the scratch elements of the three stages: the channels-last
// operand, the products and the channels-last result.
func scatterFloats(s *convShape) (src, col, dst int) {
	in, out := mulSize(s.n, s.src[0], s.src[1], s.src[2]), mulSize(s.n, s.dst[0], s.dst[1], s.dst[2])
	return mulSize(in, s.c, s.groups), mulSize(in, s.groups, s.taps(), s.o), mulSize(out, s.o, s.groups)
}

func scatterWorkspace(s *convShape) int { return scratchBytes(scatterFloats(s)) }

// scatterState is the task of the stages.
type scatterState struct {
	convShape
	task                      spreader
	last                      bool
	x, y, source, col, result []float32
	bias                      []float32
	act                       kernel.Epilogue
	packed                    *packedScatter
	transpose, multiply, add  func(lo, hi int)
}

const scatterRows = 64 // positions in a unit of the first two stages

func (t *scatterState) execute(pool *parallel.Pool, s *convShape, last bool, packed *packedScatter, x, y, bias []float32, act kernel.Epilogue, scratch []byte) {
	if t.add == nil {
		t.transpose, t.multiply, t.add = t.transposeBlocks, t.multiplyBlocks, t.addRows
	}
	t.convShape, t.last, t.packed, t.x, t.y, t.bias, t.act = *s, last, packed, x, y, bias, act
	ns, nc, nd := scatterFloats(s)
	src, scratch := floatsOf(scratch, ns)
	t.col, scratch = floatsOf(scratch, nc)
	dst, _ := floatsOf(scratch, nd)
	positions := s.src[0] * s.src[1] * s.src[2]
	t.source = x
	if !last && positions > 1 && s.c*s.groups > 1 {
		t.source = src
		t.task.f = t.transpose
		t.task.run(pool, s.n*t.blocks(positions), mulSize(copyCost, ns))
	}
	t.task.f = t.multiply
	t.task.run(pool, t.blocks(s.n*positions)*s.groups, mulSize(nc, s.c))
	t.result = y
	if !last && s.o*s.groups > 1 {
		t.result = dst
	}
	t.task.f = t.add
	t.task.run(pool, s.n*s.dst[0]*s.dst[1], mulSize(copyCost, nc))
	t.x, t.y, t.source, t.col, t.result, t.bias, t.packed = nil, nil, nil, nil, nil, nil, nil
}

func (t *scatterState) blocks(positions int) int {
	return (positions + scatterRows - 1) / scatterRows
}

func (t *scatterState) transposeBlocks(lo, hi int) {
	plane := t.src[0] * t.src[1] * t.src[2]
	all, blocks := t.c*t.groups, t.blocks(plane)
	for u := lo; u < hi; u++ {
		n, p := u/blocks, u%blocks*scatterRows
		transposeF32(t.source[(n*plane+p)*all:], all, t.x[n*all*plane+p:], plane, all, min(scatterRows, plane-p))
	}
}

func (t *scatterState) multiplyBlocks(lo, hi int) {
	positions := t.n * t.src[0] * t.src[1] * t.src[2]
	all, width, blocks := t.c*t.groups, t.taps()*t.o, t.blocks(positions)
	for u := lo; u < hi; u++ {
		g, p := u/blocks, u%blocks*scatterRows
		w := t.packed.groups[g]
		m := min(scatterRows, positions-p)
		kernel.GemmPackedF32(m, t.source[p*all+g*t.c:], all, w, 0, w.Panels(), t.col[(g*positions+p)*width:], width, false, nil)
	}
}

// addRows computes rows of the result. A unit is one row of one image, all channels.
func (t *scatterState) addRows(lo, hi int) {
	a := &t.cube
	co, width := t.o*t.groups, t.taps()*t.o
	size := t.dst[2] * co
	image := t.src[0] * t.src[1] * t.src[2]
	for u := lo; u < hi; u++ {
		row := t.result[u*size:][:size]
		if t.bias == nil {
			clear(row)
		} else if co == 1 {
			for i := range row {
				row[i] = t.bias[0]
			}
		} else {
			for i := 0; i < size; i += co {
				copy(row[i:], t.bias)
			}
		}
		h, r := u%t.dst[1], u/t.dst[1]
		d, n := r%t.dst[0], r/t.dst[0]
		for kd := range a[0].kernel {
			sd, ok := scatterSource(a[0], d, kd)
			if !ok {
				continue
			}
			for kh := range a[1].kernel {
				sh, ok := scatterSource(a[1], h, kh)
				if !ok {
					continue
				}
				first := n*image + (sd*t.src[1]+sh)*t.src[2]
				tap := (kd*a[1].kernel + kh) * a[2].kernel * t.o
				for g := range t.groups {
					t.addRow(row[g*t.o:], t.col[(g*t.n*image+first)*width+tap:], width, co)
				}
			}
		}
		kernel.ActivateF32(row, row, &t.act)
		if !t.last && co > 1 {
			plane := t.dst[0] * t.dst[1] * t.dst[2]
			y := t.y[n*co*plane+(d*t.dst[1]+h)*t.dst[2]:]
			transposeF32(y, plane, row, co, t.dst[2], co)
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

// addRow adds the products of one operand row and one row of taps to a row of results,
// whose neighbours are co elements apart.
func (t *scatterState) addRow(row, col []float32, width, co int) {
	a := t.cube[2]
	if a.dilation == 1 && t.groups == 1 {
		t.addRuns(row, col, width)
		return
	}
	for i := range t.src[2] {
		at := i*a.stride - a.begin
		run := col[i*width:]
		for k := range a.kernel {
			if p := at + k*a.dilation; p >= 0 && p < t.dst[2] {
				dst := row[p*co:][:t.o]
				for j, v := range run[k*t.o:][:t.o] {
					dst[j] += v
				}
			}
		}
	}
}

// addRuns is addRow for taps that lie side by side. Neighbouring windows overlap; every
// passes-th do not.
func (t *scatterState) addRuns(row, col []float32, width int) {
	a := t.cube[2]
	edge := func(i int) {
		at := i*a.stride - a.begin
		from, to := max(0, -at), min(a.kernel, t.dst[2]-at)
		if from < to {
			kernel.AddRunsF32(row[(at+from)*t.o:], 0, col[i*width+from*t.o:], 0, 1, (to-from)*t.o)
		}
	}
	// Windows [lo, hi) lie inside the row.
	lo := min(ceilDiv(max(0, a.begin), a.stride), t.src[2])
	hi := lo
	if room := t.dst[2] - a.kernel + a.begin; room >= 0 {
		hi = max(lo, min(room/a.stride+1, t.src[2]))
	}
	for i := range lo {
		edge(i)
	}
	passes := ceilDiv(a.kernel, a.stride)
	for i := lo; i < min(lo+passes, hi); i++ {
		kernel.AddRunsF32(row[(i*a.stride-a.begin)*t.o:], passes*a.stride*t.o, col[i*width:], passes*width, ceilDiv(hi-i, passes), a.kernel*t.o)
	}
	for i := hi; i < t.src[2]; i++ {
		edge(i)
	}
}

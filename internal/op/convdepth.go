package op

import "github.com/aekit/aekit/internal/kernel"

// depthCost is the work of one multiply-add of a depthwise convolution, in those of a
// matrix product.
const depthCost = 2

// isDepthwise reports whether each input channel is a group: there is nothing to multiply
// as matrices then.
//
//go:noinline
func isDepthwise(s *convShape) bool {
	return s.c == 1 && s.groups > 1 && (s.o == 1 || !s.transposed)
}

// packDepth packs the weights of a depthwise convolution as [taps, O].
func (p *packedConv) packDepth(s *convShape, w []float32) {
	taps, o := s.taps(), s.o*s.groups
	if cap(p.depth) < taps*o {
		p.depth = make([]float32, taps*o)
	}
	p.depth = p.depth[:taps*o]
	transposeF32(p.depth, o, w, taps, o, taps)
	if len(p.zeros) != o {
		p.zeros = make([]float32, o)
	}
	p.bytes = 4 * taps * o
}

// depthAxis is one residue of an axis of a depthwise convolution: results first, first+step, …,
// the i-th of whose windows begin at source position origin + i·move; taps are relative to it.
type depthAxis struct {
	first, step, n, origin, move int
	taps                         []axisTap
}

// depthAxis returns residue r of axis i, with positions of the source that the products read.
// It appends to taps.
func (t *convState) depthAxis(taps []axisTap, i, r int) depthAxis {
	a := depthAxis{move: 1, taps: phaseTaps(taps, t.cube[i], t.transposed, r)}
	if !t.transposed {
		a.move = t.cube[i].stride
	}
	a.first, a.step, a.n, a.origin = phaseRange(t.cube[i], t.transposed, r)
	if !t.copySrc {
		a.origin -= t.before[i]
	}
	return a
}

// rows returns which results of a residue lie in [lo, hi).
func (a *depthAxis) rows(lo, hi int) (from, to int) {
	return max(0, ceilDiv(lo-a.first, a.step)), min(a.n, ceilDiv(hi-a.first, a.step))
}

// inside returns the results of a residue all of whose taps are positions of a source of the given length.
func (a *depthAxis) inside(length int) (from, to int) {
	if len(a.taps) == 0 {
		return 0, a.n
	}
	if at := a.origin + a.taps[0].at; at < 0 {
		from = min(a.n, ceilDiv(-at, a.move))
	}
	if room := length - 1 - a.origin - a.taps[len(a.taps)-1].at; room >= 0 {
		to = min(a.n, room/a.move+1)
	}
	return from, max(from, to)
}

// sameTaps returns how many results from i on, below end, have the same taps inside the source, where results [from, to)
// have all of them.
func sameTaps(i, end, from, to int) int {
	if i >= from && i < to {
		return min(to, end) - i
	}
	return 1
}

// depthBuffers are lists of taps of one call.
type depthBuffers struct {
	d, h, w [16]axisTap
	rows    [64]kernel.DepthTap
	taps    [64]kernel.DepthTap
}

// depthRows computes rows of a depthwise convolution. A unit is one row of one image, all
// channels. Taps outside the source are left out, so that the source needs no border.
func (t *convState) depthRows(lo, hi int) {
	if t.c != t.o {
		t.depthMultiples(lo, hi)
		return
	}
	var buf depthBuffers
	for lo < hi {
		plane, h := lo/t.dst[1], lo%t.dst[1]
		n := min(t.dst[1]-h, hi-lo)
		t.depthPlane(&buf, plane, h, h+n)
		lo += n
	}
}

// depthPlane computes rows [lo, hi) of a plane of results, in rectangles whose results have the same taps.
func (t *convState) depthPlane(buf *depthBuffers, plane, lo, hi int) {
	c, grid := t.c, t.padded
	if !t.copySrc {
		grid = t.src
	}
	d, n := plane%t.dst[0], plane/t.dst[0]
	image := t.source[n*t.srcImage:][:t.srcImage]
	result := t.result[plane*t.dst[1]*t.dst[2]*c:][:t.dst[1]*t.dst[2]*c]
	r := 0
	if t.transposed {
		r = (d + t.cube[0].begin) % t.cube[0].stride
	}
	depth := t.depthAxis(buf.d[:0], 0, r)
	z := depth.origin + (d-depth.first)/depth.step*depth.move
	for r := range residues(&t.convShape, 1) {
		a := t.depthAxis(buf.h[:0], 1, r)
		from, to := a.inside(grid[1])
		i, end := a.rows(lo, hi)
		for i < end {
			run := sameTaps(i, end, from, to)
			// The rows of the source, and of the kernel, that meet.
			rows := buf.rows[:0]
			for _, kd := range depth.taps {
				for _, kh := range a.taps {
					y, z := a.origin+i*a.move+kh.at, z+kd.at
					if y >= 0 && y < grid[1] && z >= 0 && z < grid[0] {
						rows = append(rows, kernel.DepthTap{X: (z*grid[1] + y) * grid[2], W: (kd.k*t.cube[1].kernel + kh.k) * t.cube[2].kernel})
					}
				}
			}
			at := depthRun{n: run, x: a.move * grid[2] * c, y: a.step * t.dst[2] * c}
			t.depthColumns(buf, result[(a.first+i*a.step)*t.dst[2]*c:], image, at, rows, grid[2])
			i += run
		}
	}
}

// depthRun is results in a line, and the distances of neighbours in the source and in the result.
type depthRun struct{ n, x, y int }

// depthColumns computes the rows of down, of which y holds the first, from the given rows of the source and the kernel.
func (t *convState) depthColumns(buf *depthBuffers, y, image []float32, down depthRun, rows []kernel.DepthTap, width int) {
	c := t.c
	ep := t.eps[0]
	bias := ep.Bias
	if bias == nil {
		bias = t.packed.zeros
	}
	ep.Bias = nil
	for r := range residues(&t.convShape, 2) {
		a := t.depthAxis(buf.w[:0], 2, r)
		from, to := a.inside(width)
		for i := 0; i < a.n; {
			run := sameTaps(i, a.n, from, to)
			taps := buf.taps[:0]
			for _, k := range rows {
				for _, w := range a.taps {
					if p := a.origin + i*a.move + w.at; p >= 0 && p < width {
						taps = append(taps, kernel.DepthTap{X: (k.X + p) * c, W: (k.W + w.k) * c})
					}
				}
			}
			line, lines := depthRun{run, a.move * c, a.step * c}, down
			if run == 1 {
				line, lines = lines, line
			}
			at := (a.first + i*a.step) * c
			for l := range lines.n {
				kernel.DepthF32(y[at+l*lines.y:], line.y, image[l*lines.x:], line.x, line.n, c, t.packed.depth, taps, bias, &ep)
			}
			i += run
		}
	}
}

// depthMultiples is depthRows where each channel of the source has several results; result
// channel i takes from source channel i·C/O. The source has a border.
func (t *convState) depthMultiples(lo, hi int) {
	g := &t.cube
	c, o := t.c, t.o
	ep := t.eps[0]
	bias := ep.Bias
	ep.Bias = nil
	size := g[2].out * o
	for u := lo; u < hi; u++ {
		row := t.result[u*size:][:size]
		h, r := u%g[1].out, u/g[1].out
		d, n := r%g[0].out, r/g[0].out
		for w := range g[2].out {
			y := row[w*o:][:o]
			if bias != nil {
				copy(y, bias)
			} else {
				clear(y)
			}
			k := t.packed.depth
			for kd := range g[0].kernel {
				for kh := range g[1].kernel {
					at := (d*g[0].stride+kd*g[0].dilation)*t.padded[1] + h*g[1].stride + kh*g[1].dilation
					at = n*t.srcImage + (at*t.padded[2]+w*g[2].stride)*c
					for range g[2].kernel {
						multiplyAdd(y, t.source[at:][:c], k[:o])
						at += g[2].dilation * c
						k = k[o:]
					}
				}
			}
		}
		kernel.ActivateF32(row, row, &ep)
	}
}

// multiplyAdd adds to each y[i] the product of w[i] and its element of x, which has an even
// fraction of as many elements as y.
func multiplyAdd(y, x, w []float32) {
	m := len(y) / len(x)
	for i, v := range x {
		for j := i * m; j < (i+1)*m; j++ {
			y[j] += v * w[j]
		}
	}
}

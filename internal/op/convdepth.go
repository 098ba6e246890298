package op

import "github.com/aekit/aekit/internal/kernel"

// depthCost is the work of one multiply-add of a depthwise convolution, in those of a
// matrix product.
const depthCost = 2

// isDepthwise reports whether each input channel is a group: there is nothing to multiply
// as matrices then.
func (s *convShape) isDepthwise() bool {
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

// window returns the axis' residue that result p belongs to, and p's window.
func (t *convState) window(taps []axisTap, i, p int) (origin int, list []axisTap) {
	r := 0
	if t.transposed {
		r = (p + t.cube[i].begin) % t.cube[i].stride
	}
	a := t.depthAxis(taps, i, r)
	return a.origin + (p-a.first)/a.step*a.move, a.taps
}

// depthRows computes rows of a depthwise convolution. A unit is one row of one image, all
// channels. Taps outside the source are left out, so that the source needs no border.
func (t *convState) depthRows(lo, hi int) {
	if t.c != t.o {
		t.depthMultiples(lo, hi)
		return
	}
	c := t.c
	grid := t.padded
	if !t.copySrc {
		grid = t.src
	}
	ep := t.eps[0]
	bias := ep.Bias
	if bias == nil {
		bias = t.packed.zeros
	}
	ep.Bias = nil
	var bufD, bufH, bufW [16]axisTap
	var bufRows, bufTaps [64]kernel.DepthTap
	for u := lo; u < hi; u++ {
		row := t.result[u*t.dst[2]*c:][:t.dst[2]*c]
		h, r := u%t.dst[1], u/t.dst[1]
		d, n := r%t.dst[0], r/t.dst[0]
		image := t.source[n*t.srcImage:][:t.srcImage]
		dAt, dTaps := t.window(bufD[:0], 0, d)
		hAt, hTaps := t.window(bufH[:0], 1, h)
		// The rows of the source, and of the kernel, that meet.
		rows := bufRows[:0]
		for _, kd := range dTaps {
			for _, kh := range hTaps {
				y, z := hAt+kh.at, dAt+kd.at
				if y >= 0 && y < grid[1] && z >= 0 && z < grid[0] {
					rows = append(rows, kernel.DepthTap{X: (z*grid[1] + y) * grid[2], W: (kd.k*t.cube[1].kernel + kh.k) * t.cube[2].kernel})
				}
			}
		}
		for r := range t.residues(2) {
			a := t.depthAxis(bufW[:0], 2, r)
			if a.n == 0 {
				continue
			}
			// Results [from, to) have all taps inside the row.
			from, to := 0, 0
			if len(a.taps) > 0 {
				if at := a.origin + a.taps[0].at; at < 0 {
					from = min(a.n, ceilDiv(-at, a.move))
				}
				if room := grid[2] - 1 - a.origin - a.taps[len(a.taps)-1].at; room >= 0 {
					to = min(a.n, room/a.move+1)
				}
				to = max(from, to)
			}
			for i := 0; i < a.n; {
				run := 1
				if i == from && to > from {
					run = to - from
				}
				at := a.origin + i*a.move
				taps := bufTaps[:0]
				for _, k := range rows {
					for _, w := range a.taps {
						if p := at + w.at; p >= 0 && p < grid[2] {
							taps = append(taps, kernel.DepthTap{X: (k.X + p) * c, W: (k.W + w.k) * c})
						}
					}
				}
				kernel.DepthF32(row[(a.first+i*a.step)*c:], a.step*c, image, a.move*c, run, c, t.packed.depth, taps, bias, &ep)
				i += run
			}
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

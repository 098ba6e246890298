package op

import "github.com/aekit/aekit/internal/kernel"

// depthCost is the work of one multiply-add of a depthwise convolution, in those of a
// matrix product.
const depthCost = 8

// packDepth packs the weights of a depthwise convolution as [taps, O].
func (p *packedConv) packDepth(s *convShape, w []float32) {
	taps, o := s.taps(), s.o*s.groups
	if cap(p.depth) < taps*o {
		p.depth = make([]float32, taps*o)
	}
	p.depth = p.depth[:taps*o]
	transposeF32(p.depth, o, w, taps, o, taps)
	p.bytes = 4 * taps * o
}

// depthRows computes rows of a depthwise convolution. A unit is one row of one image, all
// channels; result channel i takes from source channel i·C/O.
func (t *convState) depthRows(lo, hi int) {
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

// multiplyAdd adds to each y[i] the product of w[i] and its element of x, which has as
// many elements as y, or an even fraction of them.
func multiplyAdd(y, x, w []float32) {
	if len(x) == len(y) {
		w = w[:len(y)]
		x = x[:len(y)]
		for i := range y {
			y[i] += x[i] * w[i]
		}
		return
	}
	m := len(y) / len(x)
	for i, v := range x {
		for j := i * m; j < (i+1)*m; j++ {
			y[j] += v * w[j]
		}
	}
}

package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// packedFactors is the scale of the weights in the form of the factors between sums and
// results, one for each output channel. It depends on the scales of the operand and of the
// result too, which are part of its key.
type packedFactors struct{ scale []float32 }

// Bytes implements [Packed].
func (p *packedFactors) Bytes() int { return 4 * len(p.scale) }

// factorsKey names the factors for n channels, if all scales are known. y is the index of
// the scale of the result, or -1 where the result is float32.
func factorsKey(in []Fact, x, w, y, n int, alpha float32) (string, bool) {
	bits := uint32(0)
	for _, i := range []int{x, w, y} {
		if i < 0 {
			continue
		}
		if !present(in, i) || in[i].Const == nil || i != w && in[i].Const.Elems() != 1 {
			return "", false
		}
	}
	if y >= 0 {
		bits = math.Float32bits(scalarOf(in[y].Const))
	}
	return fmt.Sprintf("factors %08x %08x %08x %d %t", math.Float32bits(scalarOf(in[x].Const)), math.Float32bits(alpha), bits, n, y >= 0), true
}

// packFactors computes the factors.
func packFactors(in []Fact, x, w, y, n int, alpha float32) *packedFactors {
	ws := floats32(nil, in[w].Const)
	var ys *tensor.Tensor
	if y >= 0 {
		ys = in[y].Const
	}
	return &packedFactors{factorsOf(nil, scalarOf(in[x].Const), ws, ys, n, alpha)}
}

// factorsOf appends the factors of n channels to dst: alpha·x·w/y, from left to right in
// float32, or alpha·x·w where ys is nil.
func factorsOf(dst []float32, x float32, ws []float32, ys *tensor.Tensor, n int, alpha float32) []float32 {
	if alpha != 1 {
		x = float32(alpha * x)
	}
	y := float32(1)
	if ys != nil {
		y = scalarOf(ys)
	}
	for i := range n {
		w := ws[0]
		if len(ws) > 1 {
			w = ws[i]
		}
		if ys == nil {
			dst = append(dst, float32(x*w))
		} else {
			dst = append(dst, multiplier(x, w, y))
		}
	}
	return dst
}

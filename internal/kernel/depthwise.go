package kernel

import (
	"fmt"
	"math"
)

// DepthTap is one position of a depthwise kernel: how many elements its value lies beyond the
// first of the window, and its weights beyond those of the first position.
type DepthTap struct{ X, W int }

// depthF32 are the arguments of depthF32: positions of one row of a depthwise convolution. Its
// first fields are those of depthI16. Assembly reads both by offset; TestDepthLayout keeps them
// in step.
type depthF32 struct {
	y      *float32 // position i, channel j at y[i*stride+j]
	x      *float32 // the window of position i, channel j begins at x[i*step+j]
	w      *float32
	bias   *float32 // c values
	offs   *DepthTap
	taps   int
	n, c   int // at least 1
	step   int
	stride int
	act    int // 0 for none; any other is min(max(v < 0 ? alpha*v : v, lo), hi)
	alpha  float32
	lo, hi float32
}

// depthI16 are the arguments of depthI16.
type depthI16 struct {
	y, x, w, bias *int32
	offs          *DepthTap
	taps, n, c    int
	step, stride  int
}

// DepthF32 computes n positions of a depthwise convolution of c channels: y[i*stride+j] is the
// activation by ep of bias[j] plus the sum over taps of x[i*step+tap.X+j] times w[tap.W+j], added
// in the order of taps. bias has c values; ep.Bias is not used.
func DepthF32(y []float32, stride int, x []float32, step, n, c int, w []float32, taps []DepthTap, bias []float32, ep *Epilogue) {
	if n < 1 || c < 1 {
		return
	}
	checkDepth(len(y), stride, len(x), step, n, c, len(w), taps, len(bias))
	t := depthF32{y: &y[0], bias: &bias[0], taps: len(taps), n: n, c: c, step: step, stride: stride}
	if len(taps) > 0 {
		t.x, t.w, t.offs = &x[0], &w[0], &taps[0]
	}
	if inRegisters(ep.Act) {
		t.act = int(ep.Act)
		t.alpha, t.lo, t.hi = ep.parameters()
		depthRowF32(&t)
		return
	}
	depthRowF32(&t)
	for i := range n {
		r := y[i*stride:][:c]
		ActivateF32(r, r, ep)
	}
}

// DepthI16 is DepthF32 for pairs of 16-bit values, the first of a pair in the lower half of an
// int32: the product of two pairs is the sum of the products of their halves. Sums wrap around.
func DepthI16(y []int32, stride int, x []int32, step, n, c int, w []int32, taps []DepthTap, bias []int32) {
	if n < 1 || c < 1 {
		return
	}
	checkDepth(len(y), stride, len(x), step, n, c, len(w), taps, len(bias))
	t := depthI16{y: &y[0], bias: &bias[0], taps: len(taps), n: n, c: c, step: step, stride: stride}
	if len(taps) > 0 {
		t.x, t.w, t.offs = &x[0], &w[0], &taps[0]
	}
	depthRowI16(&t)
}

func checkDepth(y, stride, x, step, n, c, w int, taps []DepthTap, bias int) {
	fits := func(size, by, beyond int) bool {
		room := size - c - beyond
		return by >= 0 && room >= 0 && (by == 0 || room/by >= n-1)
	}
	ok := fits(y, stride, 0) && bias >= c && (n == 1 || stride >= c)
	for _, t := range taps {
		ok = ok && t.X >= 0 && t.W >= 0 && t.W <= math.MaxInt-c && t.W+c <= w && t.X <= x && fits(x, step, t.X)
	}
	if !ok {
		panic(fmt.Sprintf("kernel: %d positions of %d channels, %d and %d apart, %d taps, in %d, %d, %d and %d values", n, c, step, stride, len(taps), x, y, w, bias))
	}
}

// PairI16 sets dst[i] to the pair of a[i]-zero and b[i]-zero. a and b hold int8 values if signed,
// else uint8; dst is no longer than they are.
func PairI16(dst []int32, a, b []uint8, signed bool, zero int32) {
	pairsI16(dst, a[:len(dst)], b[:len(dst)], signed, zero)
}

func pairI16(lo, hi int32) int32 { return lo&0xffff | hi<<16 }

// PairWeights returns the pair of two weights, as DepthI16 multiplies it.
func PairWeights(lo, hi int8) int32 { return pairI16(int32(lo), int32(hi)) }

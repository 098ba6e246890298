package kernel

import (
	"fmt"
	"unsafe"
)

// depthQ8 are the arguments of a row of a depthwise convolution with 8-bit results. Assembly reads and changes the fields by
// offset; TestDepthQ8Layout keeps the two in step.
type depthQ8 struct {
	y       *uint8 // position i, channel j at y[i*stride+j]
	x       *int32 // the quads of position i, channel j begin at x[i*step/4+j]
	w       *int32
	init    *int32
	scale   *float32
	offs    *DepthTap
	taps    int // at least 1
	n       int // positions, at least 4
	step    int // bytes
	stride  int // bytes
	vectors int // of 16 channels
	lo, hi  float32
	words   int32 // this and what follows as in tileQ8
	flip    uint32
	fits    int
	column  int // the kernel counts channels here, since the garbage collector must see no pointer behind an object
}

// DepthQ8 is a depthwise convolution of 8-bit values, four rows of the image at a time, with 8-bit results. It is
// immutable after Set and then safe for concurrent use.
type DepthQ8 struct {
	flip   uint8
	init   []int32
	scale  []float32
	common depthQ8
}

// HasDepthQ8 reports whether the processor has kernels for [DepthQ8].
func HasDepthQ8() bool { return hasDepthQ8() }

// QuadWeights returns the weights of four rows as [DepthQ8.Run] multiplies them.
func QuadWeights(a, b, c, d int8) int32 {
	return int32(uint8(a)) | int32(uint8(b))<<8 | int32(uint8(c))<<16 | int32(d)<<24
}

// Set prepares for values with zero point aZero, int8 if signed, and for results as those of [PackedQ8.Columns]. sums are
// those of the weights of each channel; bias is nil or has a value for each, scale has. What other threads have read is not
// written again if it is the same.
func (d *DepthQ8) Set(sums []int32, aZero int32, signed bool, bias []int32, scale []float32, zero int32, result bool) {
	next := DepthQ8{scale: scale, init: grow(d.init, len(scale))}
	if signed {
		next.flip, aZero = 0x80, aZero+128
	}
	next.common = depthQ8{lo: float32(-zero), hi: float32(255 - zero), words: zero, fits: 1}
	if result {
		next.common = depthQ8{lo: float32(-128 - zero), hi: float32(127 - zero), words: zero + 128, flip: 0x80808080, fits: 1}
	}
	for i, v := range sums[:len(scale)] {
		v *= -aZero
		if bias != nil {
			v += bias[i]
		}
		if next.init[i] != v {
			next.init[i] = v
		}
	}
	for _, v := range scale {
		if !(abs1(v) < 1) {
			next.common.fits = 0
		}
	}
	if d.common != next.common || d.flip != next.flip || !sameMemory(d.scale, scale) || !sameMemory(d.init, next.init) {
		*d = next
	}
}

// sameMemory reports whether two slices are one.
func sameMemory[T any](a, b []T) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}

// Border sets the quads dst to those of values that stand for 0.
func (d *DepthQ8) Border(dst []int32, zero int32) {
	v := int32(uint8(zero) ^ d.flip)
	for i := range dst {
		dst[i] = v * 0x01010101
	}
}

// Quads sets dst[i] to the four values rows[0][i] to rows[3][i] in the form that [DepthQ8.Run] multiplies. There are at
// least 64.
func (d *DepthQ8) Quads(dst []int32, rows *[4][]uint8) {
	n := len(dst)
	if n < 64 {
		panic(fmt.Sprintf("kernel: %d quads", n))
	}
	quadsU8(&dst[0], &rows[0][:n][0], &rows[1][:n][0], &rows[2][:n][0], &rows[3][:n][0], n, uint32(d.flip)*0x01010101)
}

// Run computes n positions of all channels: y[i*stride+j] is made of the sum over taps of the products of the four values
// x[i*step+tap.X+j] and the weights w[tap.W+j]. n is at least 4, and the number of channels a multiple of 16.
func (d *DepthQ8) Run(y []uint8, stride int, x []int32, step, n int, w []int32, taps []DepthTap) {
	var t depthQ8
	if d.row(&t, y, stride, x, step, n, w, taps, 16) {
		depthRowQ8(&t, len(taps) == 3 && taps[1].X == taps[0].X+step && taps[2].X == taps[1].X+step)
	}
}

// row sets the arguments of a row, of vectors of so many channels. It reports whether there are any.
func (d *DepthQ8) row(t *depthQ8, y []uint8, stride int, x []int32, step, n int, w []int32, taps []DepthTap, lanes int) bool {
	c := len(d.scale)
	checkDepth(len(y), stride, len(x), step, n, c, len(w), taps, len(d.init))
	if n < 4 || c%lanes != 0 || len(taps) == 0 {
		panic(fmt.Sprintf("kernel: %d positions of %d channels, %d taps", n, c, len(taps)))
	}
	if c == 0 {
		return false
	}
	*t = d.common
	t.y, t.x, t.w, t.init, t.scale, t.offs = &y[0], &x[0], &w[0], &d.init[0], &d.scale[0], &taps[0]
	t.taps, t.n, t.step, t.stride, t.vectors = len(taps), n, 4*step, stride, c/lanes
	return true
}

// HasDepthPairsQ8 reports whether the processor has a kernel for [DepthQ8.RunPairs].
func HasDepthPairsQ8() bool { return hasDepthPairsQ8() }

// RunPairs is [DepthQ8.Run] for pairs of 16-bit values, as [DepthI16] multiplies them, and a multiple of 8 channels.
func (d *DepthQ8) RunPairs(y []uint8, stride int, x []int32, step, n int, w []int32, taps []DepthTap) {
	var t depthQ8
	if d.row(&t, y, stride, x, step, n, w, taps, 8) {
		depthRowPairsQ8(&t)
	}
}

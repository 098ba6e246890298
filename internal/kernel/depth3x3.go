package kernel

import "fmt"

// depth3x3Q8 are the arguments of a row of a 3×3 depthwise convolution with 8-bit results. Assembly reads the fields by
// offset; TestDepth3x3Layout keeps the two in step.
type depth3x3Q8 struct {
	y      *uint8    // position i, channel j at y[i*stride+j]
	rows   [3]*uint8 // column i, channel j of the image at rows[k][i*gap+j]
	w      *int16    // [groups][9][8]
	bias   *int32
	scale  *float32
	n      int // positions, at least 1
	gap    int // bytes
	stride int // bytes
	groups int // of 8 channels, at least 1
	xZero  int32
	lo     float32 // lower bound of the results less zero
	hi     int32   // upper bound less zero
	zero   int32
}

// Depth3x3Q8 is a depthwise convolution of 8-bit values with kernels of 3×3, eight channels at a time, with 8-bit results. It
// is immutable after Set and then safe for concurrent use.
type Depth3x3Q8 struct {
	bias   []int32
	scale  []float32
	signed bool
	common depth3x3Q8
}

// HasDepth3x3Q8 reports whether the processor has kernels for [Depth3x3Q8].
func HasDepth3x3Q8() bool { return hasDepth3x3Q8() }

// PackDepth3x3 appends weights [c, 3, 3] to dst in the order that [Depth3x3Q8.Run] reads: [c/8][9][8]. c is a multiple of 8.
func PackDepth3x3(dst []int16, w []int8, c int) []int16 {
	for g := 0; g < c; g += 8 {
		for k := range 9 {
			for j := range 8 {
				dst = append(dst, int16(w[(g+j)*9+k]))
			}
		}
	}
	return dst
}

// Set prepares for values with zero point xZero, int8 if signed, and for results as those of [PackedQ8.Columns]. bias is nil or
// has a value for each channel, scale has. What other threads have read is not written again if it is the same.
func (d *Depth3x3Q8) Set(xZero int32, signed bool, bias []int32, scale []float32, zero int32, result bool) {
	next := Depth3x3Q8{bias: grow(d.bias, len(scale)), scale: scale, signed: signed}
	for i := range next.bias {
		var v int32
		if bias != nil {
			v = bias[i]
		}
		if next.bias[i] != v {
			next.bias[i] = v
		}
	}
	lo, hi := int32(0), int32(255)
	if result {
		lo, hi = -128, 127
	}
	next.common = depth3x3Q8{xZero: xZero & 0xff, lo: float32(lo - zero), hi: hi - zero, zero: zero}
	if d.common != next.common || d.signed != signed || !sameMemory(d.scale, scale) || !sameMemory(d.bias, next.bias) {
		*d = next
	}
}

// Run computes n positions of all channels, of which there are a multiple of 8: y[i*stride+j] is made of the sum of the products of
// the values less their zero point in rows[k][(i*step+x)*len(scale)+j], x < 3, and the weights. step is 1 or 2.
func (d *Depth3x3Q8) Run(y []uint8, stride int, rows *[3][]uint8, step, n int, w []int16) {
	c := len(d.scale)
	if n < 1 || c%8 != 0 || c == 0 || step < 1 || step > 2 || len(w) != 9*c {
		panic(fmt.Sprintf("kernel: %d positions of %d channels, %d apart, with %d weights", n, c, step, len(w)))
	}
	checkMatrix("y", n, c, len(y), stride)
	t := d.common
	for k, row := range rows {
		checkMatrix("row", (n-1)*step+3, c, len(row), c)
		t.rows[k] = &row[0]
	}
	t.y, t.w, t.bias, t.scale = &y[0], &w[0], &d.bias[0], &d.scale[0]
	t.n, t.gap, t.stride, t.groups = n, c, stride, c/8
	depth3x3RowQ8(&t, step, d.signed)
}

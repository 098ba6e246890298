package kernel

import (
	"fmt"
	"math"
)

// QuantizeF32 sets dst[i] to the low byte of
//
//	clamp(int(roundHalfEven(x[i]/scale)) + zero, lo, hi)
//
// in single-rounded float32 operations, the same bits on every processor; NaN counts as 0. lo and hi are the bounds of
// uint8 or of int8 values, or lie between them, and zero lies between lo and hi. dst and x have the same length.
func QuantizeF32(dst []uint8, x []float32, scale float32, zero, lo, hi int32) {
	checkBounds8(zero, lo, hi)
	quantizeF32(dst, x[:len(dst)], scale, zero, lo, hi)
}

func checkBounds8(zero, lo, hi int32) {
	if lo < -128 || hi > 255 || hi-lo > 255 || zero < lo || zero > hi {
		panic(fmt.Sprintf("kernel: zero point %d and range [%d,%d] of 8-bit values", zero, lo, hi))
	}
}

func quantizeF32Generic(dst []uint8, x []float32, scale float32, zero, lo, hi int32) {
	flo, fhi := float32(lo-zero), float32(hi-zero)
	for i := range dst {
		dst[i] = saturate8(x[i]/scale, zero, flo, fhi)
	}
}

// quotient returns a scale in the form in which vector routines divide by it: roundHalfEven(x/scale), for quotients that
// 8-bit values can hold, is that of fma(x, recip, x*rest). recip is below 1/scale and rest, which is positive, is what it
// lacks, so that infinities stay what they are. ok is false for scales so small or large that a product might overflow or
// lose bits, and for those significands with which, of all, the rounded quotient of some x is another.
func quotient(scale float32) (recip, rest float32, ok bool) {
	if !(scale >= 1.0/(1<<23) && scale <= 1<<60) {
		return 0, 0, false
	}
	for _, b := range inexactScales {
		if math.Float32bits(scale)&(1<<23-1) == b {
			return 0, 0, false
		}
	}
	s := float64(scale)
	recip = float32(1 / s)
	// The product of two float32 is exact in float64.
	less := 1 - float64(recip)*s
	if less < 0 {
		recip = math.Float32frombits(math.Float32bits(recip) - 1)
		less = 1 - float64(recip)*s
	}
	if rest = float32(less / s); rest == 0 {
		rest = recip / (1 << 30) / (1 << 30)
	}
	return recip, rest, true
}

// inexactScales are the significands, without the leading one, for which a quotient of [quotient] that should be a half
// is not: with -exhaustive, TestQuotient tries all significands.
var inexactScales = [...]uint32{
	0x11ffff, 0x38ffff, 0x47fffe, 0x53ffff, 0x59fffe,
	0x61ffff, 0x66fffd, 0x67ffff, 0x69fffe, 0x71ffff, 0x74ffff, 0x75fffd,
}

// saturate8 rounds v, at most half away from the bounds lo and hi, which are integers, and adds zero.
func saturate8(v float32, zero int32, lo, hi float32) uint8 {
	// Adding 1.5·2²³ rounds half to even to an integer, which the low bits then hold.
	const magic = 3 << 22
	switch {
	case v != v:
		v = 0
	case v < lo:
		v = lo
	case v > hi:
		v = hi
	}
	return uint8(int32(math.Float32bits(v+magic)-math.Float32bits(magic)) + zero)
}

// DequantizeU8 sets dst[i] to float32(int32(src[i])-zero)*scale. dst and src have the same length.
func DequantizeU8(dst []float32, src []uint8, scale float32, zero int32) {
	dequantize8(dst, src[:len(dst)], scale, zero, false)
}

// DequantizeS8 is DequantizeU8 for int8 values, given as the bytes that they are in memory.
func DequantizeS8(dst []float32, src []uint8, scale float32, zero int32) {
	dequantize8(dst, src[:len(dst)], scale, zero, true)
}

func dequantize8Generic(dst []float32, src []uint8, scale float32, zero int32, signed bool) {
	for i, v := range src {
		dst[i] = float32(value8(v, signed)-zero) * scale
	}
}

// ScaleI32 sets dst[i] to float32(src[i])*scale[i] + add[i], in single-rounded float32 operations. add may be nil; the
// others are as long as dst.
func ScaleI32(dst []float32, src []int32, scale, add []float32) {
	n := len(dst)
	if add == nil {
		scaleI32(dst, src[:n], scale[:n])
		return
	}
	scaleAddI32(dst, src[:n], scale[:n], add[:n])
}

// FloatsI32 sets dst[i] to float32(src[i]). dst and src have the same length.
func FloatsI32(dst []float32, src []int32) { floatsI32(dst, src[:len(dst)]) }

func floatsI32Generic(dst []float32, src []int32) {
	for i, v := range src {
		dst[i] = float32(v)
	}
}

func scaleI32Generic(dst []float32, src []int32, scale []float32) {
	for i, v := range src {
		dst[i] = float32(float32(v) * scale[i])
	}
}

func scaleAddI32Generic(dst []float32, src []int32, scale, add []float32) {
	for i, v := range src {
		dst[i] = float32(float32(v)*scale[i]) + add[i]
	}
}

func value8(v uint8, signed bool) int32 {
	if signed {
		return int32(int8(v))
	}
	return int32(v)
}

// Table8 maps each byte to another. It is immutable after Set and then safe for concurrent use.
type Table8 struct {
	values [256]uint8
	// rows[16·i:][:16] are the values of the bytes 16·i…, but for the first and the middle row the bits that differ from
	// the row before.
	rows [256]uint8
}

// Set makes t map byte i to values[i].
func (t *Table8) Set(values *[256]uint8) {
	t.values, t.rows = *values, *values
	for i := range 256 {
		if i%128 >= 16 {
			t.rows[i] ^= values[i-16]
		}
	}
}

// Map sets dst[i] to what src[i] is mapped to. dst and src have the same length and are the same memory, or do not
// overlap.
func (t *Table8) Map(dst, src []uint8) { t.mapBytes(dst, src[:len(dst)]) }

func (t *Table8) mapGeneric(dst, src []uint8) {
	for i, v := range src {
		dst[i] = t.values[v]
	}
}

// Binary8 are the scales and zero points of a sum or a product of 8-bit values, whose type is int8 if Signed.
type Binary8 struct {
	AScale, BScale, Scale float32
	AZero, BZero, Zero    int32
	Signed                bool
}

func (p *Binary8) bounds() (lo, hi int32) {
	if p.Signed {
		lo, hi = -128, 127
	} else {
		lo, hi = 0, 255
	}
	checkBounds8(p.Zero, lo, hi)
	return lo - p.Zero, hi - p.Zero
}

// AddQ8 sets dst[i] to ((a[i]-AZero)*AScale + (b[i]-BZero)*BScale) / Scale, rounded half to even, plus Zero, within the
// range of the type, in single-rounded float32 operations. A NaN counts as 0. The slices have the same length and are
// the same memory or do not overlap.
func AddQ8(dst, a, b []uint8, p *Binary8) { binaryQ8(dst, a[:len(dst)], b[:len(dst)], p, false) }

// MulQ8 sets dst[i] to (a[i]-AZero)*(b[i]-BZero) * (AScale*BScale/Scale), as AddQ8 does for sums.
func MulQ8(dst, a, b []uint8, p *Binary8) { binaryQ8(dst, a[:len(dst)], b[:len(dst)], p, true) }

// factor is what sums are divided by, or products multiplied by.
func (p *Binary8) factor(mul bool) float32 {
	if mul {
		return float32(float32(p.AScale*p.BScale) / p.Scale)
	}
	return p.Scale
}

func binaryQ8Generic(dst, a, b []uint8, p *Binary8, mul bool) {
	lo, hi := p.bounds()
	f := p.factor(mul)
	for i := range dst {
		x, y := float32(value8(a[i], p.Signed)-p.AZero), float32(value8(b[i], p.Signed)-p.BZero)
		var v float32
		if mul {
			v = float32(float32(x*y) * f)
		} else {
			v = float32(float32(x*p.AScale)+float32(y*p.BScale)) / f
		}
		dst[i] = saturate8(v, p.Zero, float32(lo), float32(hi))
	}
}

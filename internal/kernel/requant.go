package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// RequantU8 converts the m×n sums acc (leading dimension lda) to 8-bit values dst (leading dimension ldd):
//
//	dst = clamp(int(roundHalfEven(float32(acc+bias[j]) * mult[j])) + zp, lo, hi)
//
// in single-rounded float32 operations, the same bits on every processor. bias (int32, added modulo 2³²) may be nil;
// bias and mult have one value per column. 0 <= lo <= hi <= 255 and 0 <= zp <= 255. A product that is NaN gives lo.
func RequantU8(m, n int, dst []uint8, ldd int, acc []int32, lda int, bias []int32, mult []float32, zp, lo, hi int32) {
	if lo < 0 || hi > 255 || lo > hi || zp < 0 || zp > 255 {
		panic(fmt.Sprintf("kernel: RequantU8 with zero point %d and range [%d,%d]", zp, lo, hi))
	}
	requant(m, n, dst, ldd, acc, lda, bias, mult, zp, lo, hi)
}

// RequantI8 is RequantU8 for signed values: lo, hi and zp lie between -128 and 127.
func RequantI8(m, n int, dst []int8, ldd int, acc []int32, lda int, bias []int32, mult []float32, zp, lo, hi int32) {
	if lo < -128 || hi > 127 || lo > hi || zp < -128 || zp > 127 {
		panic(fmt.Sprintf("kernel: RequantI8 with zero point %d and range [%d,%d]", zp, lo, hi))
	}
	u := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst))
	requant(m, n, u, ldd, acc, lda, bias, mult, zp, lo, hi)
}

func requant(m, n int, dst []uint8, ldd int, acc []int32, lda int, bias []int32, mult []float32, zp, lo, hi int32) {
	if m == 0 || n == 0 {
		return
	}
	checkMatrix("dst", m, n, len(dst), ldd)
	checkMatrix("acc", m, n, len(acc), lda)
	if bias != nil {
		bias = bias[:n]
	}
	for i := range m {
		requantU8(dst[i*ldd:][:n], acc[i*lda:][:n], bias, mult[:n], zp, lo, hi)
	}
}

// requantU8Generic is one row of requant; it stores the low byte, so it serves signed results too.
func requantU8Generic(dst []uint8, acc, bias []int32, mult []float32, zp, lo, hi int32) {
	acc, mult = acc[:len(dst)], mult[:len(dst)]
	// Clamping before rounding is the same, since the bounds are integers, and keeps the conversion in range.
	flo, fhi := float32(lo-zp), float32(hi-zp)
	for i := range dst {
		s := acc[i]
		if bias != nil {
			s += bias[i]
		}
		v := float32(float32(s) * mult[i])
		if !(v > flo) {
			v = flo
		} else if v > fhi {
			v = fhi
		}
		dst[i] = uint8(int32(math.RoundToEven(float64(v))) + zp)
	}
}

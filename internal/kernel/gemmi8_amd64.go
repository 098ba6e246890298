//go:build !noasm && !gccgo

package kernel

import (
	"github.com/aekit/aekit/internal/cpufeat"
	"github.com/aekit/aekit/internal/impl"
)

const (
	tileVNNI tileID = iota + 1
	tileWide
)

var (
	useVNNI     = cpufeat.Has(cpufeat.VNNI)
	useVBMI     = cpufeat.Has(cpufeat.VBMI)
	useAVX512I8 = cpufeat.Has(cpufeat.AVX512)
	useAVX2I8   = cpufeat.Has(cpufeat.AVX2)
)

func init() {
	impl.Register("kernel/i8", "vnni", &useVNNI)
	impl.Register("kernel/i8", "vbmi", &useVBMI)
	impl.Register("kernel/i8", "avx512", &useAVX512I8)
	impl.Register("kernel/i8", "avxvnni", &useAVXVNNI)
	impl.Register("kernel/i8", "avx2", &useAVX2I8)
}

// archGemmI8 lists the 8-bit tiles of amd64. That of AVX2 multiplies 16-bit pairs, since the instruction for bytes
// saturates.
func archGemmI8() []gemmI8 {
	return []gemmI8{
		{name: "vnni-14x32", id: tileVNNI, use: &useVNNI, mr: 14, nr: 32, kr: 4, a: leftU8},
		{name: "avx2-6x16", id: tileWide, use: &useAVX2I8, mr: 6, nr: 16, kr: 2, a: leftI16},
	}
}

func archTileI8(id tileID, t *tileI8) {
	switch id {
	case tileVNNI:
		tileI8VNNI(t)
	case tileWide:
		tileI8AVX2(t)
	default:
		panic("kernel: no such tile")
	}
}

// tileI8VNNI is the loop of tileI8Generic for uint8 rows, kr = 4, up to 14 rows and 32 columns.
//
//go:noescape
func tileI8VNNI(t *tileI8)

// tileI8AVX2 is the loop of tileI8Generic for int16 rows, kr = 2, up to 6 rows and 16 columns.
//
//go:noescape
func tileI8AVX2(t *tileI8)

func widen(dst []int16, src []uint8, zero int16, signed bool) {
	n := len(src) &^ 15
	if !useAVX2I8 || n == 0 {
		widenGeneric(dst, src, zero, signed)
		return
	}
	if signed {
		widenS8AVX2(&dst[:n][0], &src[0], n, zero)
	} else {
		widenU8AVX2(&dst[:n][0], &src[0], n, zero)
	}
	widenGeneric(dst[n:], src[n:], zero, signed)
}

// widenU8AVX2 is for i := range n { dst[i] = int16(src[i]) - zero }, for n a positive multiple of 16.
//
//go:noescape
func widenU8AVX2(dst *int16, src *uint8, n int, zero int16)

// widenS8AVX2 is for i := range n { dst[i] = int16(int8(src[i])) - zero }, for n a positive multiple of 16.
//
//go:noescape
func widenS8AVX2(dst *int16, src *uint8, n int, zero int16)

func requantU8(dst []uint8, acc, bias []int32, mult []float32, zp, lo, hi int32) {
	n := len(dst) &^ 7
	if !useAVX2I8 || n == 0 {
		requantU8Generic(dst, acc, bias, mult, zp, lo, hi)
		return
	}
	var b *int32
	if bias != nil {
		b = &bias[:n][0]
	}
	requantAVX2(&dst[0], &acc[:n][0], b, &mult[:n][0], n, zp, float32(lo-zp), float32(hi-zp))
	if bias != nil {
		bias = bias[n:]
	}
	requantU8Generic(dst[n:], acc[n:], bias, mult[n:], zp, lo, hi)
}

// requantAVX2 is the loop of requantU8Generic, with lo and hi less zp; n is a positive multiple of 8 and bias may be nil.
//
//go:noescape
func requantAVX2(dst *uint8, acc, bias *int32, mult *float32, n int, zp int32, lo, hi float32)

//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func archGemmI8() []gemmI8 { return nil }

func archTileI8(tileID, *tileI8) { panic("kernel: no such tile") }

func widen(dst []int16, src []uint8, zero int16, signed bool) { widenGeneric(dst, src, zero, signed) }

func requantU8(dst []uint8, acc, bias []int32, mult []float32, zp, lo, hi int32) {
	requantU8Generic(dst, acc, bias, mult, zp, lo, hi)
}

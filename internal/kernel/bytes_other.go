//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func quantizeF32(dst []uint8, x []float32, scale float32, zero, lo, hi int32) {
	quantizeF32Generic(dst, x, scale, zero, lo, hi)
}

func dequantize8(dst []float32, src []uint8, scale float32, zero int32, signed bool) {
	dequantize8Generic(dst, src, scale, zero, signed)
}

func (t *Table8) mapBytes(dst, src []uint8) { t.mapGeneric(dst, src) }

func binaryQ8(dst, a, b []uint8, p *Binary8, mul bool) { binaryQ8Generic(dst, a, b, p, mul) }

func flipWide(dst, src []uint8, mask uint8) int { return 0 }

func floatsI32(dst []float32, src []int32) { floatsI32Generic(dst, src) }

func scaleI32(dst []float32, src []int32, scale []float32) { scaleI32Generic(dst, src, scale) }

func scaleAddI32(dst []float32, src []int32, scale, add []float32) {
	scaleAddI32Generic(dst, src, scale, add)
}

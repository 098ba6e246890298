//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func interleaveF32(dst, a, b []float32) int       { return 0 }
func evenF32(dst, src []float32) int              { return 0 }
func interleave3F32(dst, a, b, c []float32) int   { return 0 }
func deinterleave3F32(a, b, c, src []float32) int { return 0 }
func transposeBlocksF32(dst []float32, ldd int, src []float32, lds, rows, cols int) (int, int) {
	return 0, 0
}

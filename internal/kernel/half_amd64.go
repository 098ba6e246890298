//go:build !noasm && !gccgo

package kernel

// widenF16 converts a multiple of eight values and returns how many.
func widenF16(dst []float32, src []byte) int {
	n := len(dst) &^ 7
	if !useAVX2 || n == 0 {
		return 0
	}
	widenF16AVX2(&dst[0], &src[0], n)
	return n
}

// widenBF16 is the same for bfloat16.
func widenBF16(dst []float32, src []byte) int {
	n := len(dst) &^ 7
	if !useAVX2 || n == 0 {
		return 0
	}
	widenBF16AVX2(&dst[0], &src[0], n)
	return n
}

//go:noescape
func widenF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func widenBF16AVX2(dst *float32, src *byte, n int)

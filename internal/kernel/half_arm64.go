//go:build !noasm && !gccgo

package kernel

// widenF16 converts a multiple of eight values and returns how many.
func widenF16(dst []float32, src []byte) int {
	n := len(dst) &^ 7
	if !useNEON || n == 0 {
		return 0
	}
	widenF16NEON(&dst[0], &src[0], n)
	return n
}

// widenBF16 is the same for bfloat16.
func widenBF16(dst []float32, src []byte) int {
	n := len(dst) &^ 7
	if !useNEON || n == 0 {
		return 0
	}
	widenBF16NEON(&dst[0], &src[0], n)
	return n
}

// widenF16NEON converts n values as WidenF16 does.
//
//go:noescape
func widenF16NEON(dst *float32, src *byte, n int)

// widenBF16NEON converts n values as WidenBF16 does.
//
//go:noescape
func widenBF16NEON(dst *float32, src *byte, n int)

//go:build !noasm && !gccgo

package kernel

// The functions of this file work on the multiple of eight elements that is not above the length, and return it.

func interleaveF32(dst, a, b []float32) int {
	n := len(a) &^ 7
	if !useAVX2 || n == 0 {
		return 0
	}
	interleaveF32AVX2(&dst[0], &a[0], &b[0], n)
	return n
}

func evenF32(dst, src []float32) int {
	n := (len(dst) - 1) &^ 7 // the last vector is read whole
	if !useAVX2 || n <= 0 {
		return 0
	}
	evenF32AVX2(&dst[0], &src[0], n)
	return n
}

func interleave3F32(dst, a, b, c []float32) int {
	n := len(a) &^ 7
	if !useAVX2 || n == 0 {
		return 0
	}
	interleave3F32AVX2(&dst[0], &a[0], &b[0], &c[0], n)
	return n
}

func deinterleave3F32(a, b, c, src []float32) int {
	n := len(a) &^ 7
	if !useAVX2 || n == 0 {
		return 0
	}
	deinterleave3F32AVX2(&a[0], &b[0], &c[0], &src[0], n)
	return n
}

// transposeBlocksF32 transposes all rows of a multiple of eight columns, or nothing.
func transposeBlocksF32(dst []float32, ldd int, src []float32, lds, rows, cols int) (int, int) {
	cols &^= 7
	if !useAVX2 || rows < 8 || cols == 0 {
		return 0, 0
	}
	block := transposeColumns(ldd, lds)
	for j := 0; j < cols; j += block {
		for i := 0; i < rows; i += 8 {
			// The last rows once more, with some before them.
			at := min(i, rows-8)
			transpose8F32AVX2(&dst[j*ldd+at], ldd, min(block, cols-j), &src[at*lds+j], lds)
		}
	}
	return rows, cols
}

// interleaveF32AVX2: for i := range n { dst[2*i], dst[2*i+1] = a[i], b[i] }
//
//go:noescape
func interleaveF32AVX2(dst, a, b *float32, n int)

// evenF32AVX2: for i := range n { dst[i] = src[2*i] }; it reads src[2*n-1] too.
//
//go:noescape
func evenF32AVX2(dst, src *float32, n int)

// interleave3F32AVX2: for i := range n { dst[3*i], dst[3*i+1], dst[3*i+2] = a[i], b[i], c[i] }
//
//go:noescape
func interleave3F32AVX2(dst, a, b, c *float32, n int)

// deinterleave3F32AVX2: for i := range n { a[i], b[i], c[i] = src[3*i], src[3*i+1], src[3*i+2] }
//
//go:noescape
func deinterleave3F32AVX2(a, b, c, src *float32, n int)

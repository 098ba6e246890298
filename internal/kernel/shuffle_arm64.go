//go:build !noasm && !gccgo

package kernel

// The functions of this file work on the multiple of four elements, rows or columns that is not above the length, and
// return it.

func interleaveF32(dst, a, b []float32) int {
	n := len(a) &^ 3
	if !useNEON || n == 0 {
		return 0
	}
	interleaveF32NEON(&dst[0], &a[0], &b[0], n)
	return n
}

func evenF32(dst, src []float32) int {
	n := (len(dst) - 1) &^ 3 // the last vector is read whole
	if !useNEON || n <= 0 {
		return 0
	}
	evenF32NEON(&dst[0], &src[0], n)
	return n
}

func interleave3F32(dst, a, b, c []float32) int {
	n := len(a) &^ 3
	if !useNEON || n == 0 {
		return 0
	}
	interleave3F32NEON(&dst[0], &a[0], &b[0], &c[0], n)
	return n
}

func deinterleave3F32(a, b, c, src []float32) int {
	n := len(a) &^ 3
	if !useNEON || n == 0 {
		return 0
	}
	deinterleave3F32NEON(&a[0], &b[0], &c[0], &src[0], n)
	return n
}

func transposeBlocksF32(dst []float32, ldd int, src []float32, lds, rows, cols int) (int, int) {
	rows, cols = rows&^3, cols&^3
	if !useNEON || rows == 0 || cols == 0 {
		return 0, 0
	}
	block := transposeColumns(ldd, lds)
	for j := 0; j < cols; j += block {
		for i := 0; i < rows; i += 4 {
			transpose4F32NEON(&dst[j*ldd+i], ldd, min(block, cols-j), &src[i*lds+j], lds)
		}
	}
	return rows, cols
}

// interleaveF32NEON: for i := range n { dst[2*i], dst[2*i+1] = a[i], b[i] }
//
//go:noescape
func interleaveF32NEON(dst, a, b *float32, n int)

// evenF32NEON: for i := range n { dst[i] = src[2*i] }; it reads src[2*n-1] too.
//
//go:noescape
func evenF32NEON(dst, src *float32, n int)

// interleave3F32NEON: for i := range n { dst[3*i], dst[3*i+1], dst[3*i+2] = a[i], b[i], c[i] }
//
//go:noescape
func interleave3F32NEON(dst, a, b, c *float32, n int)

// deinterleave3F32NEON: for i := range n { a[i], b[i], c[i] = src[3*i], src[3*i+1], src[3*i+2] }
//
//go:noescape
func deinterleave3F32NEON(a, b, c, src *float32, n int)

// transpose4F32NEON: for i := range 4 { for j := range k { dst[j*ldd+i] = src[i*lds+j] } }
//
//go:noescape
func transpose4F32NEON(dst *float32, ldd, k int, src *float32, lds int)

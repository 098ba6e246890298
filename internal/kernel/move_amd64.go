//go:build !noasm && !gccgo

package kernel

// transposeU8 is transposeU8Generic for the sizes that it has vectors for. It reports whether it was one.
func transposeU8(dst, src []uint8, rows, cols int) bool {
	switch {
	case !useAVX2I8:
		return false
	case rows == 3 && cols >= 32:
		pixels3U8AVX2(&dst[0], &src[0], cols, cols)
		return true
	case cols == 3 && rows >= 32:
		planes3U8AVX2(&dst[0], &src[0], rows, rows)
		return true
	case rows < 16 || cols < 16:
		return false
	}
	for i := 0; i < rows; i += 16 {
		// The last rows once more, with some before them.
		at := min(i, rows-16)
		transposeU8AVX2(&dst[at], rows, &src[at*cols], cols, cols)
	}
	return true
}

// transposeU8AVX2 is for i := range 16 { for j := range n { dst[j*ldd+i] = src[i*lds+j] } }, for n of at least 16.
//
//go:noescape
func transposeU8AVX2(dst *uint8, ldd int, src *uint8, lds, n int)

// pixels3U8AVX2 is for i := range n { for c := range 3 { dst[3*i+c] = src[plane*c+i] } }, for n of at least 32.
//
//go:noescape
func pixels3U8AVX2(dst, src *uint8, plane, n int)

// planes3U8AVX2 is for i := range n { for c := range 3 { dst[plane*c+i] = src[3*i+c] } }, for n of at least 32.
//
//go:noescape
func planes3U8AVX2(dst, src *uint8, plane, n int)

// joinRunsU8 joins the runs of 16 bytes or less behind which dst and src have as many as a vector, and returns their number.
func joinRunsU8(dst, src []uint8, lds, rows, n int) int {
	if !useAVX2I8 || n > 16 {
		return 0
	}
	// The last run that a vector may be written from, and that it may be read to.
	last := min(rows-1-15/n, (len(src)-16)/max(lds, 1))
	if last < 0 || len(src) < 16 {
		return 0
	}
	joinRunsU8AVX2(&dst[0], &src[0], lds, last+1, n)
	return last + 1
}

// joinRunsU8AVX2 is for i := range rows { copy(dst[i*n:][:16], src[i*lds:]) }, for at least one row.
//
//go:noescape
func joinRunsU8AVX2(dst, src *uint8, lds, rows, n int)

// copyRowsU8 is CopyRowsU8 for what it has vectors for. It reports whether it was that.
func copyRowsU8(dst []uint8, ldd int, src []uint8, lds, rows, n int, flip uint8) bool {
	if !useAVX512I8 {
		return false
	}
	copyRowsU8AVX512(&dst[0], ldd, &src[0], lds, rows, n, uint32(flip)*0x01010101)
	return true
}

// copyRowsU8AVX512 is for i := range rows { for j := range n { dst[i*ldd+j] = src[i*lds+j] ^ uint8(flip) } }, for at least
// one row and one byte.
//
//go:noescape
func copyRowsU8AVX512(dst *uint8, ldd int, src *uint8, lds, rows, n int, flip uint32)

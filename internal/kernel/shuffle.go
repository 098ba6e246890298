package kernel

// The routines of this file only move elements: any value of 32 bits keeps its bits.

// InterleaveF32 sets dst[2*i] = a[i] and dst[2*i+1] = b[i] for i < len(a). a and b may be the same.
func InterleaveF32(dst, a, b []float32) {
	n := len(a)
	dst, b = dst[:2*n], b[:n]
	for i := interleaveF32(dst, a, b); i < n; i++ {
		dst[2*i], dst[2*i+1] = a[i], b[i]
	}
}

// EvenF32 sets dst[i] = src[2*i], for 2*len(dst)-1 elements of src.
func EvenF32(dst, src []float32) {
	n := len(dst)
	if n == 0 {
		return
	}
	src = src[:2*n-1]
	for i := evenF32(dst, src); i < n; i++ {
		dst[i] = src[2*i]
	}
}

// TransposeF32 sets dst[j*ldd+i] = src[i*lds+j] for i < rows and j < cols. The matrices do not overlap.
func TransposeF32(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	checkMatrix("dst", cols, rows, len(dst), ldd)
	checkMatrix("src", rows, cols, len(src), lds)
	i, j := 0, 0
	switch {
	case rows == 3 && ldd == 3:
		j = interleave3F32(dst[:3*cols], src[:cols], src[lds:][:cols], src[2*lds:][:cols])
	case cols == 3 && lds == 3:
		i = deinterleave3F32(dst[:rows], dst[ldd:][:rows], dst[2*ldd:][:rows], src[:3*rows])
	default:
		i, j = transposeBlocksF32(dst, ldd, src, lds, rows, cols)
		// What is left of the rows that were begun.
		if i > 0 && j < cols {
			transposeF32Generic(dst[j*ldd:], ldd, src[j:], lds, i, cols-j)
		}
		j = 0
	}
	if i < rows && j < cols {
		transposeF32Generic(dst[j*ldd+i:], ldd, src[i*lds+j:], lds, rows-i, cols-j)
	}
}

func transposeF32Generic(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	const block = 16
	for i := 0; i < rows; i += block {
		ib := min(block, rows-i)
		for j := range cols {
			at := i*lds + j
			for k := range dst[j*ldd+i:][:ib] {
				dst[j*ldd+i+k] = src[at]
				at += lds
			}
		}
	}
}

// transposeColumns returns how many columns of a matrix are transposed before more rows of it are: as many as leave the cache
// lines of either side in the cache until their other parts are visited, and fewer where rows of the result are multiples of
// a page apart, because their lines compete for the same places in it.
func transposeColumns(ldd, lds int) int {
	const page = 1024
	switch {
	case ldd%page != 0:
		return 64
	case lds%page == 0:
		return 16
	}
	return 8
}

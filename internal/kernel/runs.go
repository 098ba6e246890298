package kernel

// AddRunsF32 sets dst[i*ldd+j] += src[i*lds+j] for i < rows and j < n. Runs of dst must not
// overlap: ldd >= n if there are several.
func AddRunsF32(dst []float32, ldd int, src []float32, lds, rows, n int) {
	checkMatrix("dst", rows, n, len(dst), ldd)
	checkRows("src", rows, n, len(src), lds)
	if rows > 0 && n > 0 {
		addRunsF32(dst, ldd, src, lds, rows, n)
	}
}

func addRunsF32Generic(dst []float32, ldd int, src []float32, lds, rows, n int) {
	for i := range rows {
		d, s := dst[i*ldd:][:n], src[i*lds:][:n]
		for j, v := range s {
			d[j] += v
		}
	}
}

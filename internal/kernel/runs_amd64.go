//go:build !noasm && !gccgo

package kernel

func addRunsF32(dst []float32, ldd int, src []float32, lds, rows, n int) {
	if useAVX2 {
		addRunsF32AVX2(&dst[0], ldd, &src[0], lds, rows, n)
		return
	}
	addRunsF32Generic(dst, ldd, src, lds, rows, n)
}

// addRunsF32AVX2 is addRunsF32Generic for at least one row of at least one value.
//
//go:noescape
func addRunsF32AVX2(dst *float32, ldd int, src *float32, lds, rows, n int)

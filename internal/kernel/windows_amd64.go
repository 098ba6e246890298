//go:build !noasm && !gccgo

package kernel

func sumWindowsF32(dst, first []float32, step int, src []float32, at []int, lds, rows, parts int) {
	if useAVX2 {
		sumWindowsF32AVX2(&windowSum{&dst[0], &first[0], &src[0], &at[0], len(at), rows, parts, step, lds})
		return
	}
	sumWindowsF32Generic(dst, first, step, src, at, lds, rows, parts)
}

// sumWindowsF32AVX2 is sumWindowsF32Generic where there is something to add.
//
//go:noescape
func sumWindowsF32AVX2(t *windowSum)

//go:build !noasm && !gccgo

package kernel

func sumWindowF32(dst, src []float32, a *windowArgs) {
	switch {
	case useAVX512:
		sumWindowF32AVX512(&dst[0], &src[0], a)
	case useAVX2:
		sumWindowF32AVX2(&dst[0], &src[0], a)
	default:
		sumWindowF32Generic(dst, src, a)
	}
}

func maxWindowF32(dst, src []float32, a *windowArgs) {
	switch {
	case useAVX512:
		maxWindowF32AVX512(&dst[0], &src[0], a)
	case useAVX2:
		maxWindowF32AVX2(&dst[0], &src[0], a)
	default:
		maxWindowF32Generic(dst, src, a)
	}
}

// sumWindowF32AVX512 is sumWindowF32Generic.
//
//go:noescape
func sumWindowF32AVX512(dst, src *float32, a *windowArgs)

// sumWindowF32AVX2 is sumWindowF32Generic.
//
//go:noescape
func sumWindowF32AVX2(dst, src *float32, a *windowArgs)

// maxWindowF32AVX512 is maxWindowF32Generic.
//
//go:noescape
func maxWindowF32AVX512(dst, src *float32, a *windowArgs)

// maxWindowF32AVX2 is maxWindowF32Generic.
//
//go:noescape
func maxWindowF32AVX2(dst, src *float32, a *windowArgs)

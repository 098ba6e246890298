//go:build !noasm && !gccgo

package kernel

func sumWindowF32(dst, src []float32, a *windowArgs) {
	if useNEON {
		sumWindowF32NEON(&dst[0], &src[0], a)
		return
	}
	sumWindowF32Generic(dst, src, a)
}

func maxWindowF32(dst, src []float32, a *windowArgs) {
	if useNEON {
		maxWindowF32NEON(&dst[0], &src[0], a)
		return
	}
	maxWindowF32Generic(dst, src, a)
}

// sumWindowF32NEON is sumWindowF32Generic.
//
//go:noescape
func sumWindowF32NEON(dst, src *float32, a *windowArgs)

// maxWindowF32NEON is maxWindowF32Generic.
//
//go:noescape
func maxWindowF32NEON(dst, src *float32, a *windowArgs)

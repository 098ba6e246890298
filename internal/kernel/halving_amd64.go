//go:build !noasm && !gccgo

package kernel

// HalvingIsFast reports whether the transforms are vector code: without, they cost more than
// the products that they save.
func HalvingIsFast() bool { return useAVX512 || useAVX2 }

func halvingInputF32(t *halving) {
	switch {
	case useAVX512:
		halvingInputF32AVX512(t)
	case useAVX2:
		halvingInputF32AVX2(t)
	default:
		halvingInputF32Generic(t)
	}
}

func halvingFilterF32(t *halving) {
	switch {
	case useAVX512:
		halvingFilterF32AVX512(t)
	case useAVX2:
		halvingFilterF32AVX2(t)
	default:
		halvingFilterF32Generic(t)
	}
}

func halvingOutputF32(t *halving) {
	switch {
	case useAVX512:
		halvingOutputF32AVX512(t)
	case useAVX2:
		halvingOutputF32AVX2(t)
	default:
		halvingOutputF32Generic(t)
	}
}

// halvingInputF32AVX2 is halvingInputF32Generic.
//
//go:noescape
func halvingInputF32AVX2(t *halving)

// halvingInputF32AVX512 is halvingInputF32Generic.
//
//go:noescape
func halvingInputF32AVX512(t *halving)

// halvingFilterF32AVX2 is halvingFilterF32Generic.
//
//go:noescape
func halvingFilterF32AVX2(t *halving)

// halvingFilterF32AVX512 is halvingFilterF32Generic.
//
//go:noescape
func halvingFilterF32AVX512(t *halving)

// halvingOutputF32AVX2 is halvingOutputF32Generic.
//
//go:noescape
func halvingOutputF32AVX2(t *halving)

// halvingOutputF32AVX512 is halvingOutputF32Generic.
//
//go:noescape
func halvingOutputF32AVX512(t *halving)

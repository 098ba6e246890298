//go:build !noasm && !gccgo

package kernel

func eluF32(dst, x []float32, pos, neg, inv float32) {
	switch {
	case useAVX512:
		eluF32AVX512(dst, x, pos, neg, inv)
	case useAVX2:
		eluF32AVX2(dst, x, pos, neg, inv)
	default:
		eluF32Generic(dst, x, pos, neg, inv)
	}
}

func swishF32(dst, x []float32, alpha float32) {
	switch {
	case useAVX512:
		swishF32AVX512(dst, x, alpha)
	case useAVX2:
		swishF32AVX2(dst, x, alpha)
	default:
		swishF32Generic(dst, x, alpha)
	}
}

func mishF32(dst, x []float32) {
	switch {
	case useAVX512:
		mishF32AVX512(dst, x)
	case useAVX2:
		mishF32AVX2(dst, x)
	default:
		mishF32Generic(dst, x)
	}
}

func geluF32(dst, x []float32) {
	switch {
	case useAVX512:
		geluF32AVX512(dst, x)
	case useAVX2:
		geluF32AVX2(dst, x)
	default:
		geluF32Generic(dst, x)
	}
}

func geluTanhF32(dst, x []float32) {
	switch {
	case useAVX512:
		geluTanhF32AVX512(dst, x)
	case useAVX2:
		geluTanhF32AVX2(dst, x)
	default:
		geluTanhF32Generic(dst, x)
	}
}

// The slices of a call have equal lengths. Multiplications and additions are fused where the generic code rounds twice.

// eluF32AVX512 is eluF32Generic.
//
//go:noescape
func eluF32AVX512(dst, x []float32, pos, neg, inv float32)

// eluF32AVX2 is eluF32Generic.
//
//go:noescape
func eluF32AVX2(dst, x []float32, pos, neg, inv float32)

// swishF32AVX512 is swishF32Generic.
//
//go:noescape
func swishF32AVX512(dst, x []float32, alpha float32)

// swishF32AVX2 is swishF32Generic.
//
//go:noescape
func swishF32AVX2(dst, x []float32, alpha float32)

// mishF32AVX512 is mishF32Generic.
//
//go:noescape
func mishF32AVX512(dst, x []float32)

// mishF32AVX2 is mishF32Generic.
//
//go:noescape
func mishF32AVX2(dst, x []float32)

// geluF32AVX512 is geluF32Generic.
//
//go:noescape
func geluF32AVX512(dst, x []float32)

// geluF32AVX2 is geluF32Generic.
//
//go:noescape
func geluF32AVX2(dst, x []float32)

// geluTanhF32AVX512 is geluTanhF32Generic.
//
//go:noescape
func geluTanhF32AVX512(dst, x []float32)

// geluTanhF32AVX2 is geluTanhF32Generic.
//
//go:noescape
func geluTanhF32AVX2(dst, x []float32)

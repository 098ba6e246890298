//go:build !noasm && !gccgo

package kernel

func absF32(dst, x []float32) {
	switch {
	case useAVX512:
		absF32AVX512(dst, x)
	case useAVX2:
		absF32AVX2(dst, x)
	default:
		absF32Generic(dst, x)
	}
}

func negF32(dst, x []float32) {
	switch {
	case useAVX512:
		negF32AVX512(dst, x)
	case useAVX2:
		negF32AVX2(dst, x)
	default:
		negF32Generic(dst, x)
	}
}

func reciprocalF32(dst, x []float32) {
	switch {
	case useAVX512:
		reciprocalF32AVX512(dst, x)
	case useAVX2:
		reciprocalF32AVX2(dst, x)
	default:
		reciprocalF32Generic(dst, x)
	}
}

func floorF32(dst, x []float32) {
	switch {
	case useAVX512:
		floorF32AVX512(dst, x)
	case useAVX2:
		floorF32AVX2(dst, x)
	default:
		floorF32Generic(dst, x)
	}
}

func ceilF32(dst, x []float32) {
	switch {
	case useAVX512:
		ceilF32AVX512(dst, x)
	case useAVX2:
		ceilF32AVX2(dst, x)
	default:
		ceilF32Generic(dst, x)
	}
}

func roundF32(dst, x []float32) {
	switch {
	case useAVX512:
		roundF32AVX512(dst, x)
	case useAVX2:
		roundF32AVX2(dst, x)
	default:
		roundF32Generic(dst, x)
	}
}

func softsignF32(dst, x []float32) {
	switch {
	case useAVX512:
		softsignF32AVX512(dst, x)
	case useAVX2:
		softsignF32AVX2(dst, x)
	default:
		softsignF32Generic(dst, x)
	}
}

func preluF32(dst, x, slope []float32) {
	switch {
	case useAVX512:
		preluF32AVX512(dst, x, slope)
	case useAVX2:
		preluF32AVX2(dst, x, slope)
	default:
		preluF32Generic(dst, x, slope)
	}
}

func thresholdF32(dst, x []float32, t float32) {
	switch {
	case useAVX512:
		thresholdF32AVX512(dst, x, t)
	case useAVX2:
		thresholdF32AVX2(dst, x, t)
	default:
		thresholdF32Generic(dst, x, t)
	}
}

func divScalarF32(dst, x []float32, s float32) {
	switch {
	case useAVX512:
		divScalarF32AVX512(dst, x, s)
	case useAVX2:
		divScalarF32AVX2(dst, x, s)
	default:
		divScalarF32Generic(dst, x, s)
	}
}

func scalarDivF32(dst, x []float32, s float32) {
	switch {
	case useAVX512:
		scalarDivF32AVX512(dst, x, s)
	case useAVX2:
		scalarDivF32AVX2(dst, x, s)
	default:
		scalarDivF32Generic(dst, x, s)
	}
}

func mixF32(dst, a, b []float32, wa, wb float32) {
	switch {
	case useAVX512:
		mixF32AVX512(dst, a, b, wa, wb)
	case useAVX2:
		mixF32AVX2(dst, a, b, wa, wb)
	default:
		mixF32Generic(dst, a, b, wa, wb)
	}
}

func centerF32(dst, x []float32, ref, scale, shift float32) {
	switch {
	case useAVX512:
		centerF32AVX512(dst, x, ref, scale, shift)
	case useAVX2:
		centerF32AVX2(dst, x, ref, scale, shift)
	default:
		centerF32Generic(dst, x, ref, scale, shift)
	}
}

// The slices of a call have equal lengths.

// absF32AVX512 is absF32Generic.
//
//go:noescape
func absF32AVX512(dst, x []float32)

// absF32AVX2 is absF32Generic.
//
//go:noescape
func absF32AVX2(dst, x []float32)

// negF32AVX512 is negF32Generic.
//
//go:noescape
func negF32AVX512(dst, x []float32)

// negF32AVX2 is negF32Generic.
//
//go:noescape
func negF32AVX2(dst, x []float32)

// reciprocalF32AVX512 is reciprocalF32Generic.
//
//go:noescape
func reciprocalF32AVX512(dst, x []float32)

// reciprocalF32AVX2 is reciprocalF32Generic.
//
//go:noescape
func reciprocalF32AVX2(dst, x []float32)

// floorF32AVX512 is floorF32Generic.
//
//go:noescape
func floorF32AVX512(dst, x []float32)

// floorF32AVX2 is floorF32Generic.
//
//go:noescape
func floorF32AVX2(dst, x []float32)

// ceilF32AVX512 is ceilF32Generic.
//
//go:noescape
func ceilF32AVX512(dst, x []float32)

// ceilF32AVX2 is ceilF32Generic.
//
//go:noescape
func ceilF32AVX2(dst, x []float32)

// roundF32AVX512 is roundF32Generic.
//
//go:noescape
func roundF32AVX512(dst, x []float32)

// roundF32AVX2 is roundF32Generic.
//
//go:noescape
func roundF32AVX2(dst, x []float32)

// softsignF32AVX512 is softsignF32Generic.
//
//go:noescape
func softsignF32AVX512(dst, x []float32)

// softsignF32AVX2 is softsignF32Generic.
//
//go:noescape
func softsignF32AVX2(dst, x []float32)

// preluF32AVX512 is preluF32Generic.
//
//go:noescape
func preluF32AVX512(dst, x, slope []float32)

// preluF32AVX2 is preluF32Generic.
//
//go:noescape
func preluF32AVX2(dst, x, slope []float32)

// thresholdF32AVX512 is thresholdF32Generic.
//
//go:noescape
func thresholdF32AVX512(dst, x []float32, t float32)

// thresholdF32AVX2 is thresholdF32Generic.
//
//go:noescape
func thresholdF32AVX2(dst, x []float32, t float32)

// divScalarF32AVX512 is divScalarF32Generic.
//
//go:noescape
func divScalarF32AVX512(dst, x []float32, s float32)

// divScalarF32AVX2 is divScalarF32Generic.
//
//go:noescape
func divScalarF32AVX2(dst, x []float32, s float32)

// scalarDivF32AVX512 is scalarDivF32Generic.
//
//go:noescape
func scalarDivF32AVX512(dst, x []float32, s float32)

// scalarDivF32AVX2 is scalarDivF32Generic.
//
//go:noescape
func scalarDivF32AVX2(dst, x []float32, s float32)

// mixF32AVX512 is mixF32Generic.
//
//go:noescape
func mixF32AVX512(dst, a, b []float32, wa, wb float32)

// mixF32AVX2 is mixF32Generic.
//
//go:noescape
func mixF32AVX2(dst, a, b []float32, wa, wb float32)

// centerF32AVX512 is centerF32Generic.
//
//go:noescape
func centerF32AVX512(dst, x []float32, ref, scale, shift float32)

// centerF32AVX2 is centerF32Generic.
//
//go:noescape
func centerF32AVX2(dst, x []float32, ref, scale, shift float32)

//go:build !noasm && !gccgo

package kernel

func absF32(dst, x []float32) {
	if useNEON {
		absF32NEON(dst, x)
		return
	}
	absF32Generic(dst, x)
}

func negF32(dst, x []float32) {
	if useNEON {
		negF32NEON(dst, x)
		return
	}
	negF32Generic(dst, x)
}

func reciprocalF32(dst, x []float32) {
	if useNEON {
		reciprocalF32NEON(dst, x)
		return
	}
	reciprocalF32Generic(dst, x)
}

func floorF32(dst, x []float32) {
	if useNEON {
		floorF32NEON(dst, x)
		return
	}
	floorF32Generic(dst, x)
}

func ceilF32(dst, x []float32) {
	if useNEON {
		ceilF32NEON(dst, x)
		return
	}
	ceilF32Generic(dst, x)
}

func roundF32(dst, x []float32) {
	if useNEON {
		roundF32NEON(dst, x)
		return
	}
	roundF32Generic(dst, x)
}

func softsignF32(dst, x []float32) {
	if useNEON {
		softsignF32NEON(dst, x)
		return
	}
	softsignF32Generic(dst, x)
}

func preluF32(dst, x, slope []float32) {
	if useNEON {
		preluF32NEON(dst, x, slope)
		return
	}
	preluF32Generic(dst, x, slope)
}

func thresholdF32(dst, x []float32, t float32) {
	if useNEON {
		thresholdF32NEON(dst, x, t)
		return
	}
	thresholdF32Generic(dst, x, t)
}

func divScalarF32(dst, x []float32, s float32) {
	if useNEON {
		divScalarF32NEON(dst, x, s)
		return
	}
	divScalarF32Generic(dst, x, s)
}

func scalarDivF32(dst, x []float32, s float32) {
	if useNEON {
		scalarDivF32NEON(dst, x, s)
		return
	}
	scalarDivF32Generic(dst, x, s)
}

func mixF32(dst, a, b []float32, wa, wb float32) {
	if useNEON {
		mixF32NEON(dst, a, b, wa, wb)
		return
	}
	mixF32Generic(dst, a, b, wa, wb)
}

func centerF32(dst, x []float32, ref, scale, shift float32) {
	if useNEON {
		centerF32NEON(dst, x, ref, scale, shift)
		return
	}
	centerF32Generic(dst, x, ref, scale, shift)
}

// The slices of a call have equal lengths.

// absF32NEON is absF32Generic.
//
//go:noescape
func absF32NEON(dst, x []float32)

// negF32NEON is negF32Generic.
//
//go:noescape
func negF32NEON(dst, x []float32)

// reciprocalF32NEON is reciprocalF32Generic.
//
//go:noescape
func reciprocalF32NEON(dst, x []float32)

// floorF32NEON is floorF32Generic.
//
//go:noescape
func floorF32NEON(dst, x []float32)

// ceilF32NEON is ceilF32Generic.
//
//go:noescape
func ceilF32NEON(dst, x []float32)

// roundF32NEON is roundF32Generic.
//
//go:noescape
func roundF32NEON(dst, x []float32)

// softsignF32NEON is softsignF32Generic.
//
//go:noescape
func softsignF32NEON(dst, x []float32)

// preluF32NEON is preluF32Generic.
//
//go:noescape
func preluF32NEON(dst, x, slope []float32)

// thresholdF32NEON is thresholdF32Generic.
//
//go:noescape
func thresholdF32NEON(dst, x []float32, t float32)

// divScalarF32NEON is divScalarF32Generic.
//
//go:noescape
func divScalarF32NEON(dst, x []float32, s float32)

// scalarDivF32NEON is scalarDivF32Generic.
//
//go:noescape
func scalarDivF32NEON(dst, x []float32, s float32)

// mixF32NEON is mixF32Generic.
//
//go:noescape
func mixF32NEON(dst, a, b []float32, wa, wb float32)

// centerF32NEON is centerF32Generic.
//
//go:noescape
func centerF32NEON(dst, x []float32, ref, scale, shift float32)

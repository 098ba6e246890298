//go:build !noasm && !gccgo

package kernel

func eluF32(dst, x []float32, pos, neg, inv float32) {
	if useNEON {
		eluF32NEON(dst, x, pos, neg, inv, &mathTable)
		return
	}
	eluF32Generic(dst, x, pos, neg, inv)
}

func swishF32(dst, x []float32, alpha float32) {
	if useNEON {
		swishF32NEON(dst, x, alpha, &mathTable)
		return
	}
	swishF32Generic(dst, x, alpha)
}

func mishF32(dst, x []float32) {
	if useNEON {
		mishF32NEON(dst, x, &mathTable)
		return
	}
	mishF32Generic(dst, x)
}

func geluF32(dst, x []float32) {
	if useNEON {
		geluF32NEON(dst, x, &mathTable)
		return
	}
	geluF32Generic(dst, x)
}

func geluTanhF32(dst, x []float32) {
	if useNEON {
		geluTanhF32NEON(dst, x, &mathTable)
		return
	}
	geluTanhF32Generic(dst, x)
}

// The slices of a call have equal lengths. Multiplications and additions are fused where the generic code rounds twice.

// eluF32NEON is eluF32Generic.
//
//go:noescape
func eluF32NEON(dst, x []float32, pos, neg, inv float32, c *[mathConstants]float32)

// swishF32NEON is swishF32Generic.
//
//go:noescape
func swishF32NEON(dst, x []float32, alpha float32, c *[mathConstants]float32)

// mishF32NEON is mishF32Generic.
//
//go:noescape
func mishF32NEON(dst, x []float32, c *[mathConstants]float32)

// geluF32NEON is geluF32Generic.
//
//go:noescape
func geluF32NEON(dst, x []float32, c *[mathConstants]float32)

// geluTanhF32NEON is geluTanhF32Generic.
//
//go:noescape
func geluTanhF32NEON(dst, x []float32, c *[mathConstants]float32)

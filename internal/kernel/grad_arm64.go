//go:build !noasm && !gccgo

package kernel

func mulAddF32(dst, a, b []float32) {
	if useNEON {
		mulAddF32NEON(dst, a, b)
		return
	}
	mulAddF32Generic(dst, a, b)
}

func affinesF32(dst, x, scale, shift []float32) {
	if useNEON {
		affinesF32NEON(dst, x, scale, shift)
		return
	}
	affinesF32Generic(dst, x, scale, shift)
}

func leakyReluGradF32(dst, dy, x []float32, alpha float32) {
	if useNEON {
		leakyReluGradF32NEON(dst, dy, x, alpha)
		return
	}
	leakyReluGradF32Generic(dst, dy, x, alpha)
}

func reluGradF32(dst, dy, y []float32) {
	if useNEON {
		reluGradF32NEON(dst, dy, y)
		return
	}
	reluGradF32Generic(dst, dy, y)
}

// mulAddF32NEON is mulAddF32Generic.
//
//go:noescape
func mulAddF32NEON(dst, a, b []float32)

// affinesF32NEON is affinesF32Generic.
//
//go:noescape
func affinesF32NEON(dst, x, scale, shift []float32)

// leakyReluGradF32NEON is leakyReluGradF32Generic.
//
//go:noescape
func leakyReluGradF32NEON(dst, dy, x []float32, alpha float32)

// reluGradF32NEON is reluGradF32Generic.
//
//go:noescape
func reluGradF32NEON(dst, dy, y []float32)

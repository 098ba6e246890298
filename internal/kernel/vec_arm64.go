//go:build !noasm && !gccgo

package kernel

func addF32(dst, a, b []float32) {
	if useNEON {
		addF32NEON(dst, a, b)
		return
	}
	addF32Generic(dst, a, b)
}

func subF32(dst, a, b []float32) {
	if useNEON {
		subF32NEON(dst, a, b)
		return
	}
	subF32Generic(dst, a, b)
}

func mulF32(dst, a, b []float32) {
	if useNEON {
		mulF32NEON(dst, a, b)
		return
	}
	mulF32Generic(dst, a, b)
}

func divF32(dst, a, b []float32) {
	if useNEON {
		divF32NEON(dst, a, b)
		return
	}
	divF32Generic(dst, a, b)
}

func maximumF32(dst, a, b []float32) {
	if useNEON {
		maximumF32NEON(dst, a, b)
		return
	}
	maximumF32Generic(dst, a, b)
}

func minimumF32(dst, a, b []float32) {
	if useNEON {
		minimumF32NEON(dst, a, b)
		return
	}
	minimumF32Generic(dst, a, b)
}

func addScalarF32(dst, a []float32, s float32) {
	if useNEON {
		addScalarF32NEON(dst, a, s)
		return
	}
	addScalarF32Generic(dst, a, s)
}

func mulScalarF32(dst, a []float32, s float32) {
	if useNEON {
		mulScalarF32NEON(dst, a, s)
		return
	}
	mulScalarF32Generic(dst, a, s)
}

func affineF32(dst, x []float32, scale, shift float32) {
	if useNEON {
		affineF32NEON(dst, x, scale, shift)
		return
	}
	affineF32Generic(dst, x, scale, shift)
}

func axpyF32(alpha float32, x, y []float32) {
	if useNEON {
		axpyF32NEON(y, x, alpha)
		return
	}
	axpyF32Generic(alpha, x, y)
}

func dotF32(x, y []float32) float32 {
	if useNEON {
		return dotF32NEON(x, y)
	}
	return dotF32Generic(x, y)
}

func sumF32(x []float32) float32 {
	if useNEON {
		return sumF32NEON(x)
	}
	return sumF32Generic(x)
}

func sumSqF32(x []float32) float32 {
	if useNEON {
		return sumSqF32NEON(x)
	}
	return sumSqF32Generic(x)
}

func sumSqDiffF32(x, y []float32) float32 {
	if useNEON {
		return sumSqDiffF32NEON(x, y)
	}
	return sumSqDiffF32Generic(x, y)
}

func sumAbsF32(x []float32) float32 {
	if useNEON {
		return sumAbsF32NEON(x)
	}
	return sumAbsF32Generic(x)
}

func deviationsF32(x []float32, ref float32) (sum, sq float32) {
	if useNEON {
		return deviationsF32NEON(x, ref)
	}
	return deviationsF32Generic(x, ref)
}

func maxF32(x []float32) float32 {
	if useNEON {
		return maxF32NEON(x, ninf32)
	}
	return maxF32Generic(x)
}

func minF32(x []float32) float32 {
	if useNEON {
		return minF32NEON(x, inf32)
	}
	return minF32Generic(x)
}

func reluF32(dst, x []float32) {
	if useNEON {
		reluF32NEON(dst, x)
		return
	}
	reluF32Generic(dst, x)
}

func leakyReluF32(dst, x []float32, alpha float32) {
	if useNEON {
		leakyReluF32NEON(dst, x, alpha)
		return
	}
	leakyReluF32Generic(dst, x, alpha)
}

func clipF32(dst, x []float32, lo, hi float32) {
	if useNEON {
		clipF32NEON(dst, x, lo, hi)
		return
	}
	clipF32Generic(dst, x, lo, hi)
}

func expF32(dst, x []float32) {
	if useNEON {
		expF32NEON(dst, x, &mathTable)
		return
	}
	expF32Generic(dst, x)
}

func logF32(dst, x []float32) {
	if useNEON {
		logF32NEON(dst, x, &mathTable)
		return
	}
	logF32Generic(dst, x)
}

func sigmoidF32(dst, x []float32) {
	if useNEON {
		sigmoidF32NEON(dst, x, &mathTable)
		return
	}
	sigmoidF32Generic(dst, x)
}

func tanhF32(dst, x []float32) {
	if useNEON {
		tanhF32NEON(dst, x, &mathTable)
		return
	}
	tanhF32Generic(dst, x)
}

func softplusF32(dst, x []float32) {
	if useNEON {
		softplusF32NEON(dst, x, &mathTable)
		return
	}
	softplusF32Generic(dst, x)
}

func erfF32(dst, x []float32) {
	if useNEON {
		erfF32NEON(dst, x, &mathTable)
		return
	}
	erfF32Generic(dst, x)
}

func sqrtF32(dst, x []float32) {
	if useNEON {
		sqrtF32NEON(dst, x)
		return
	}
	sqrtF32Generic(dst, x)
}

func adamF32(p, g, m, v []float32, h *adamArgs) {
	if useNEON {
		adamF32NEON(p, g, m, v, h)
		return
	}
	adamF32Generic(p, g, m, v, h)
}

func sgdF32(p, g, v []float32, h *SGDParams) {
	switch {
	case !useNEON:
		sgdF32Generic(p, g, v, h)
	case v == nil:
		sgdF32NEON(p, g, h)
	case h.Nesterov:
		sgdNesterovF32NEON(p, g, v, h)
	default:
		sgdMomentumF32NEON(p, g, v, h)
	}
}

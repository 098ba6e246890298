//go:build !noasm && !gccgo

package kernel

func addF32(dst, a, b []float32) {
	switch {
	case useAVX512:
		addF32AVX512(dst, a, b)
	case useAVX2:
		addF32AVX2(dst, a, b)
	default:
		addF32Generic(dst, a, b)
	}
}

func subF32(dst, a, b []float32) {
	switch {
	case useAVX512:
		subF32AVX512(dst, a, b)
	case useAVX2:
		subF32AVX2(dst, a, b)
	default:
		subF32Generic(dst, a, b)
	}
}

func mulF32(dst, a, b []float32) {
	switch {
	case useAVX512:
		mulF32AVX512(dst, a, b)
	case useAVX2:
		mulF32AVX2(dst, a, b)
	default:
		mulF32Generic(dst, a, b)
	}
}

func divF32(dst, a, b []float32) {
	switch {
	case useAVX512:
		divF32AVX512(dst, a, b)
	case useAVX2:
		divF32AVX2(dst, a, b)
	default:
		divF32Generic(dst, a, b)
	}
}

func maximumF32(dst, a, b []float32) {
	switch {
	case useAVX512:
		maximumF32AVX512(dst, a, b)
	case useAVX2:
		maximumF32AVX2(dst, a, b)
	default:
		maximumF32Generic(dst, a, b)
	}
}

func minimumF32(dst, a, b []float32) {
	switch {
	case useAVX512:
		minimumF32AVX512(dst, a, b)
	case useAVX2:
		minimumF32AVX2(dst, a, b)
	default:
		minimumF32Generic(dst, a, b)
	}
}

func addScalarF32(dst, a []float32, s float32) {
	switch {
	case useAVX512:
		addScalarF32AVX512(dst, a, s)
	case useAVX2:
		addScalarF32AVX2(dst, a, s)
	default:
		addScalarF32Generic(dst, a, s)
	}
}

func mulScalarF32(dst, a []float32, s float32) {
	switch {
	case useAVX512:
		mulScalarF32AVX512(dst, a, s)
	case useAVX2:
		mulScalarF32AVX2(dst, a, s)
	default:
		mulScalarF32Generic(dst, a, s)
	}
}

func affineF32(dst, x []float32, scale, shift float32) {
	switch {
	case useAVX512:
		affineF32AVX512(dst, x, scale, shift)
	case useAVX2:
		affineF32AVX2(dst, x, scale, shift)
	default:
		affineF32Generic(dst, x, scale, shift)
	}
}

func axpyF32(alpha float32, x, y []float32) {
	switch {
	case useAVX512:
		axpyF32AVX512(alpha, x, y)
	case useAVX2:
		axpyF32AVX2(alpha, x, y)
	default:
		axpyF32Generic(alpha, x, y)
	}
}

func dotF32(x, y []float32) float32 {
	switch {
	case useAVX512:
		return dotF32AVX512(x, y)
	case useAVX2:
		return dotF32AVX2(x, y)
	default:
		return dotF32Generic(x, y)
	}
}

func sumF32(x []float32) float32 {
	switch {
	case useAVX512:
		return sumF32AVX512(x)
	case useAVX2:
		return sumF32AVX2(x)
	default:
		return sumF32Generic(x)
	}
}

func sumSqF32(x []float32) float32 {
	switch {
	case useAVX512:
		return sumSqF32AVX512(x)
	case useAVX2:
		return sumSqF32AVX2(x)
	default:
		return sumSqF32Generic(x)
	}
}

func sumSqDiffF32(x, y []float32) float32 {
	switch {
	case useAVX512:
		return sumSqDiffF32AVX512(x, y)
	case useAVX2:
		return sumSqDiffF32AVX2(x, y)
	default:
		return sumSqDiffF32Generic(x, y)
	}
}

func sumAbsF32(x []float32) float32 {
	switch {
	case useAVX512:
		return sumAbsF32AVX512(x)
	case useAVX2:
		return sumAbsF32AVX2(x)
	}
	return sumAbsF32Generic(x)
}

func deviationsF32(x []float32, ref float32) (sum, sq float32) {
	switch {
	case useAVX512:
		return deviationsF32AVX512(x, ref)
	case useAVX2:
		return deviationsF32AVX2(x, ref)
	}
	return deviationsF32Generic(x, ref)
}

func maxF32(x []float32) float32 {
	switch {
	case useAVX512:
		return maxF32AVX512(x)
	case useAVX2:
		return maxF32AVX2(x)
	default:
		return maxF32Generic(x)
	}
}

func minF32(x []float32) float32 {
	switch {
	case useAVX512:
		return minF32AVX512(x)
	case useAVX2:
		return minF32AVX2(x)
	default:
		return minF32Generic(x)
	}
}

func reluF32(dst, x []float32) {
	switch {
	case useAVX512:
		reluF32AVX512(dst, x)
	case useAVX2:
		reluF32AVX2(dst, x)
	default:
		reluF32Generic(dst, x)
	}
}

func leakyReluF32(dst, x []float32, alpha float32) {
	switch {
	case useAVX512:
		leakyReluF32AVX512(dst, x, alpha)
	case useAVX2:
		leakyReluF32AVX2(dst, x, alpha)
	default:
		leakyReluF32Generic(dst, x, alpha)
	}
}

func clipF32(dst, x []float32, lo, hi float32) {
	switch {
	case useAVX512:
		clipF32AVX512(dst, x, lo, hi)
	case useAVX2:
		clipF32AVX2(dst, x, lo, hi)
	default:
		clipF32Generic(dst, x, lo, hi)
	}
}

func expF32(dst, x []float32) {
	switch {
	case useAVX512:
		expF32AVX512(dst, x)
	case useAVX2:
		expF32AVX2(dst, x)
	default:
		expF32Generic(dst, x)
	}
}

func logF32(dst, x []float32) {
	switch {
	case useAVX512:
		logF32AVX512(dst, x)
	case useAVX2:
		logF32AVX2(dst, x)
	default:
		logF32Generic(dst, x)
	}
}

func sigmoidF32(dst, x []float32) {
	switch {
	case useAVX512:
		sigmoidF32AVX512(dst, x)
	case useAVX2:
		sigmoidF32AVX2(dst, x)
	default:
		sigmoidF32Generic(dst, x)
	}
}

func tanhF32(dst, x []float32) {
	switch {
	case useAVX512:
		tanhF32AVX512(dst, x)
	case useAVX2:
		tanhF32AVX2(dst, x)
	default:
		tanhF32Generic(dst, x)
	}
}

func softplusF32(dst, x []float32) {
	switch {
	case useAVX512:
		softplusF32AVX512(dst, x)
	case useAVX2:
		softplusF32AVX2(dst, x)
	default:
		softplusF32Generic(dst, x)
	}
}

func erfF32(dst, x []float32) {
	switch {
	case useAVX512:
		erfF32AVX512(dst, x)
	case useAVX2:
		erfF32AVX2(dst, x)
	default:
		erfF32Generic(dst, x)
	}
}

func sqrtF32(dst, x []float32) {
	switch {
	case useAVX512:
		sqrtF32AVX512(dst, x)
	case useAVX2:
		sqrtF32AVX2(dst, x)
	default:
		sqrtF32Generic(dst, x)
	}
}

func adamF32(p, g, m, v []float32, h *adamArgs) {
	switch {
	case useAVX512:
		adamF32AVX512(p, g, m, v, h)
	case useAVX2:
		adamF32AVX2(p, g, m, v, h)
	default:
		adamF32Generic(p, g, m, v, h)
	}
}

// sgdF32 is bound by memory and left to the compiler.
func sgdF32(p, g, v []float32, h *SGDParams) { sgdF32Generic(p, g, v, h) }

func vectorTier() string {
	switch {
	case useAVX512:
		return "avx512"
	case useAVX2:
		return "avx2"
	}
	return "generic"
}

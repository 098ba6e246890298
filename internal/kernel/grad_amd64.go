//go:build !noasm && !gccgo

package kernel

func mulAddF32(dst, a, b []float32) {
	switch {
	case useAVX512:
		mulAddF32AVX512(dst, a, b)
	case useAVX2:
		mulAddF32AVX2(dst, a, b)
	default:
		mulAddF32Generic(dst, a, b)
	}
}

func affinesF32(dst, x, scale, shift []float32) {
	switch {
	case useAVX512:
		affinesF32AVX512(dst, x, scale, shift)
	case useAVX2:
		affinesF32AVX2(dst, x, scale, shift)
	default:
		affinesF32Generic(dst, x, scale, shift)
	}
}

func leakyReluGradF32(dst, dy, x []float32, alpha float32) {
	switch {
	case useAVX512:
		leakyReluGradF32AVX512(dst, dy, x, alpha)
	case useAVX2:
		leakyReluGradF32AVX2(dst, dy, x, alpha)
	default:
		leakyReluGradF32Generic(dst, dy, x, alpha)
	}
}

func reluGradF32(dst, dy, y []float32) {
	switch {
	case useAVX512:
		reluGradF32AVX512(dst, dy, y)
	case useAVX2:
		reluGradF32AVX2(dst, dy, y)
	default:
		reluGradF32Generic(dst, dy, y)
	}
}

// mulAddF32AVX512 is for i := range dst { dst[i] += a[i]*b[i] }.
//
//go:noescape
func mulAddF32AVX512(dst, a, b []float32)

// mulAddF32AVX2 is for i := range dst { dst[i] += a[i]*b[i] }.
//
//go:noescape
func mulAddF32AVX2(dst, a, b []float32)

// affinesF32AVX512 is for i := range dst { dst[i] = x[i]*scale[i] + shift[i] }.
//
//go:noescape
func affinesF32AVX512(dst, x, scale, shift []float32)

// affinesF32AVX2 is for i := range dst { dst[i] = x[i]*scale[i] + shift[i] }.
//
//go:noescape
func affinesF32AVX2(dst, x, scale, shift []float32)

// leakyReluGradF32AVX512 is for i := range dst { dst[i] = dy[i]; if !(x[i] > 0) { dst[i] *= alpha } }.
//
//go:noescape
func leakyReluGradF32AVX512(dst, dy, x []float32, alpha float32)

// leakyReluGradF32AVX2 is for i := range dst { dst[i] = dy[i]; if !(x[i] > 0) { dst[i] *= alpha } }.
//
//go:noescape
func leakyReluGradF32AVX2(dst, dy, x []float32, alpha float32)

// reluGradF32AVX512 is for i := range dst { dst[i] = 0; if y[i] > 0 { dst[i] = dy[i] } }.
//
//go:noescape
func reluGradF32AVX512(dst, dy, y []float32)

// reluGradF32AVX2 is for i := range dst { dst[i] = 0; if y[i] > 0 { dst[i] = dy[i] } }.
//
//go:noescape
func reluGradF32AVX2(dst, dy, y []float32)

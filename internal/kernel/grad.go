package kernel

// ReluGradF32 sets dst to dy where y, the argument or the value of a Relu, is positive, else to 0.
func ReluGradF32(dst, dy, y []float32) { n := len(dst); reluGradF32(dst, dy[:n], y[:n]) }

// LeakyReluGradF32 sets dst to dy where x is positive, else to alpha*dy. x may be the value of the function, instead of
// its argument, if alpha is positive.
func LeakyReluGradF32(dst, dy, x []float32, alpha float32) {
	n := len(dst)
	leakyReluGradF32(dst, dy[:n], x[:n], alpha)
}

func mulAddF32Generic(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

func affinesF32Generic(dst, x, scale, shift []float32) {
	x, scale, shift = x[:len(dst)], scale[:len(dst)], shift[:len(dst)]
	for i := range dst {
		dst[i] = x[i]*scale[i] + shift[i]
	}
}

func leakyReluGradF32Generic(dst, dy, x []float32, alpha float32) {
	dy, x = dy[:len(dst)], x[:len(dst)]
	for i := range dst {
		d := dy[i]
		if !(x[i] > 0) {
			d *= alpha
		}
		dst[i] = d
	}
}

func reluGradF32Generic(dst, dy, y []float32) {
	dy, y = dy[:len(dst)], y[:len(dst)]
	for i := range dst {
		d := dy[i]
		if !(y[i] > 0) {
			d = 0
		}
		dst[i] = d
	}
}

package kernel

import "math"

func addF32Generic(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func subF32Generic(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func mulF32Generic(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func divF32Generic(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

func maximumF32Generic(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = max(a[i], b[i])
	}
}

func minimumF32Generic(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = min(a[i], b[i])
	}
}

func addScalarF32Generic(dst, a []float32, s float32) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + s
	}
}

func mulScalarF32Generic(dst, a []float32, s float32) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * s
	}
}

func affineF32Generic(dst, x []float32, scale, shift float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = float32(x[i]*scale) + shift
	}
}

func axpyF32Generic(alpha float32, x, y []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += float32(alpha * x[i])
	}
}

// The generic reductions keep sixteen partial sums, one per index modulo 16, as the SIMD tiers keep at least.
const sumLanes = 16

func foldLanes(s *[sumLanes]float32) float32 {
	for w := sumLanes / 2; w > 0; w /= 2 {
		for i := range w {
			s[i] += s[i+w]
		}
	}
	return s[0]
}

func dotF32Generic(x, y []float32) float32 {
	var s [sumLanes]float32
	y = y[:len(x)]
	for len(x) >= sumLanes {
		u, v := (*[sumLanes]float32)(x), (*[sumLanes]float32)(y)
		for l := range s {
			s[l] += float32(u[l] * v[l])
		}
		x, y = x[sumLanes:], y[sumLanes:]
	}
	for i, v := range x {
		s[i&(sumLanes-1)] += float32(v * y[i])
	}
	return foldLanes(&s)
}

func sumF32Generic(x []float32) float32 {
	var s [sumLanes]float32
	for len(x) >= sumLanes {
		u := (*[sumLanes]float32)(x)
		for l := range s {
			s[l] += u[l]
		}
		x = x[sumLanes:]
	}
	for i, v := range x {
		s[i&(sumLanes-1)] += v
	}
	return foldLanes(&s)
}

func sumSqF32Generic(x []float32) float32 { return dotF32Generic(x, x) }

func sumSqDiffF32Generic(x, y []float32) float32 {
	var s [sumLanes]float32
	y = y[:len(x)]
	for i, v := range x {
		d := v - y[i]
		s[i&(sumLanes-1)] += float32(d * d)
	}
	return foldLanes(&s)
}

func sumAbsF32Generic(x []float32) float32 {
	var s [sumLanes]float32
	for len(x) >= sumLanes {
		u := (*[sumLanes]float32)(x)
		for l := range s {
			s[l] += abs1(u[l])
		}
		x = x[sumLanes:]
	}
	for i, v := range x {
		s[i&(sumLanes-1)] += abs1(v)
	}
	return foldLanes(&s)
}

func deviationsF32Generic(x []float32, ref float32) (sum, sq float32) {
	var s, q [sumLanes]float32
	for len(x) >= sumLanes {
		u := (*[sumLanes]float32)(x)
		for l := range s {
			d := u[l] - ref
			s[l] += d
			q[l] += float32(d * d)
		}
		x = x[sumLanes:]
	}
	for i, v := range x {
		d := v - ref
		s[i&(sumLanes-1)] += d
		q[i&(sumLanes-1)] += float32(d * d)
	}
	return foldLanes(&s), foldLanes(&q)
}

func maxF32Generic(x []float32) float32 {
	m := ninf32
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func minF32Generic(x []float32) float32 {
	m := inf32
	for _, v := range x {
		m = min(m, v)
	}
	return m
}

func reluF32Generic(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = maxNaN(v, 0)
	}
}

func leakyReluF32Generic(dst, x []float32, alpha float32) {
	x = x[:len(dst)]
	for i, v := range x {
		if v < 0 {
			v *= alpha
		}
		dst[i] = v
	}
}

func clipF32Generic(dst, x []float32, lo, hi float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = minNaN(maxNaN(v, lo), hi)
	}
}

func expF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = exp1(v)
	}
}

func logF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = log1(v)
	}
}

func sigmoidF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = sigmoid1(v)
	}
}

func tanhF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = tanh1(v)
	}
}

func softplusF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = softplus1(v)
	}
}

func erfF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = erf1(v)
	}
}

func sqrtF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = float32(math.Sqrt(float64(v)))
	}
}

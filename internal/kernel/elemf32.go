package kernel

import "math"

// AbsF32 sets dst[i] = |x[i]|.
func AbsF32(dst, x []float32) { absF32(dst, x[:len(dst)]) }

// NegF32 sets dst[i] = -x[i].
func NegF32(dst, x []float32) { negF32(dst, x[:len(dst)]) }

// ReciprocalF32 sets dst[i] = 1/x[i], correctly rounded.
func ReciprocalF32(dst, x []float32) { reciprocalF32(dst, x[:len(dst)]) }

// FloorF32 sets dst[i] to the greatest integer that is not above x[i].
func FloorF32(dst, x []float32) { floorF32(dst, x[:len(dst)]) }

// CeilF32 sets dst[i] to the least integer that is not below x[i].
func CeilF32(dst, x []float32) { ceilF32(dst, x[:len(dst)]) }

// RoundF32 sets dst[i] to the integer nearest to x[i], the even one of two.
func RoundF32(dst, x []float32) { roundF32(dst, x[:len(dst)]) }

// SoftsignF32 sets dst[i] = x[i]/(1+|x[i]|), within 1.5 units in the last place.
func SoftsignF32(dst, x []float32) { softsignF32(dst, x[:len(dst)]) }

// PReluF32 sets dst[i] to x[i], multiplied by slope[i] where it is negative.
func PReluF32(dst, x, slope []float32) { n := len(dst); preluF32(dst, x[:n], slope[:n]) }

// ThresholdF32 sets dst[i] to x[i] where that is above t, or NaN, and to 0 elsewhere.
func ThresholdF32(dst, x []float32, t float32) { thresholdF32(dst, x[:len(dst)], t) }

// DivScalarF32 sets dst[i] = x[i]/s.
func DivScalarF32(dst, x []float32, s float32) { divScalarF32(dst, x[:len(dst)], s) }

// ScalarDivF32 sets dst[i] = s/x[i].
func ScalarDivF32(dst, x []float32, s float32) { scalarDivF32(dst, x[:len(dst)], s) }

// MixF32 sets dst[i] = a[i]*wa + b[i]*wb. Some tiers round the second product, others do not.
func MixF32(dst, a, b []float32, wa, wb float32) { n := len(dst); mixF32(dst, a[:n], b[:n], wa, wb) }

// CenterF32 sets dst[i] = (x[i]-ref)*scale + shift. Some tiers round the product, others do not.
func CenterF32(dst, x []float32, ref, scale, shift float32) {
	centerF32(dst, x[:len(dst)], ref, scale, shift)
}

// AffinesF32 sets dst[i] = x[i]*scale[i] + shift[i]. Some tiers round once, others twice.
func AffinesF32(dst, x, scale, shift []float32) {
	n := len(dst)
	affinesF32(dst, x[:n], scale[:n], shift[:n])
}

func absF32Generic(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = abs1(v)
	}
}

func negF32Generic(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = -v
	}
}

func reciprocalF32Generic(dst, x []float32) { scalarDivF32Generic(dst, x, 1) }

func floorF32Generic(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.Floor(float64(v)))
	}
}

func ceilF32Generic(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.Ceil(float64(v)))
	}
}

func roundF32Generic(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32(math.RoundToEven(float64(v)))
	}
}

func softsignF32Generic(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = v / (1 + abs1(v))
	}
}

func preluF32Generic(dst, x, slope []float32) {
	x, slope = x[:len(dst)], slope[:len(dst)]
	for i, v := range x {
		if v < 0 {
			v *= slope[i]
		}
		dst[i] = v
	}
}

func thresholdF32Generic(dst, x []float32, t float32) {
	x = x[:len(dst)]
	for i, v := range x {
		if v <= t {
			v = 0
		}
		dst[i] = v
	}
}

func divScalarF32Generic(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = v / s
	}
}

func scalarDivF32Generic(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = s / v
	}
}

func mixF32Generic(dst, a, b []float32, wa, wb float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = float32(a[i]*wa) + float32(b[i]*wb)
	}
}

func centerF32Generic(dst, x []float32, ref, scale, shift float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = float32((v-ref)*scale) + shift
	}
}

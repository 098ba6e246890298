// Package metric measures how alike images are, and how well a score separates two
// classes.
//
// Images are slices of float32, [channels][height][width]. Sums are in float64. Functions
// of two slices panic if the lengths differ; that is a programmer's error.
package metric

import "math"

func checkLen(a, b []float32) {
	if len(a) != len(b) {
		panic("metric: slices differ in length")
	}
}

// MSE is the mean squared difference; NaN for empty slices.
func MSE(a, b []float32) float64 {
	checkLen(a, b)
	var s float64
	for i, x := range a {
		d := float64(x) - float64(b[i])
		s += float64(d * d)
	}
	return s / float64(len(a))
}

// PSNR is the peak signal-to-noise ratio in decibels, 10·log10(peak²/mse), of a mean
// squared error; +Inf for an mse of 0. peak is the range of the values: 1 for [0, 1].
func PSNR(mse, peak float64) float64 {
	return 10 * math.Log10(peak*peak/mse)
}

// Cosine is the cosine of the angle between two vectors, in [-1, 1]; NaN if either is
// zero.
func Cosine(a, b []float32) float64 {
	checkLen(a, b)
	var ab, aa, bb float64
	for i, x := range a {
		u, v := float64(x), float64(b[i])
		ab += float64(u * v)
		aa += float64(u * u)
		bb += float64(v * v)
	}
	c := ab / (math.Sqrt(aa) * math.Sqrt(bb))
	if c > 1 || c < -1 {
		c = math.Copysign(1, c)
	}
	return c
}

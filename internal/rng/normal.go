package rng

import (
	"math"
	"math/bits"
	"sync"
)

// Normal sets dst[i] to the standard normal variate at position offset+i: the inverse of
// the normal distribution function at (w+½)·2^-32 of the word w, to within 2^-22
// of its value (1e-11 near 0). Its largest magnitude is 6.34.
func (s Stream) Normal(dst []float32, offset uint64) {
	t := normalTable()
	var buf [bufWords]uint32
	for len(dst) > 0 {
		n := min(len(dst), bufWords)
		w, d := buf[:n], dst[:n]
		s.Words(w, offset)
		for i, v := range w {
			d[i] = float32(normal(t, v))
		}
		dst, offset = dst[n:], offset+uint64(n)
	}
}

// Each octave of the tail probability is cut into segs equal segments, on each of which
// the quantile function is a polynomial in the position within the segment (hierarchical
// segmentation: Lee, Cheung, Villasenor, Luk 2006).
const (
	segBits = 3
	segs    = 1 << segBits
	octaves = 32
	degree  = 5
)

type quantiles [octaves * segs][8]float64

// normal maps bit 31 of w to the sign and the others to the tail probability
// x·2^-33, x odd. Products are converted explicitly: that forbids fused multiply-add.
func normal(t *quantiles, w uint32) float64 {
	x := w<<1 | 1
	lz := bits.LeadingZeros32(x)
	y := x << uint(lz&31) << 1
	c := &t[(lz&31)<<segBits|int(y>>(32-segBits))]
	u := float64(int64(y<<segBits)) * 0x1p-32
	z := c[5]
	z = float64(z*u) + c[4]
	z = float64(z*u) + c[3]
	z = float64(z*u) + c[2]
	z = float64(z*u) + c[1]
	z = float64(z*u) + c[0]
	return math.Float64frombits(math.Float64bits(z) ^ uint64(w>>31)<<63)
}

// normalTable interpolates -Φ⁻¹ at the Chebyshev nodes of every segment.
var normalTable = sync.OnceValue(func() *quantiles {
	var nodes [degree + 1]float64
	// (1 - cos((2k+1)π/12))/2; the literals keep math.Cos, which may differ between
	// architectures, out of the result.
	nodes = [...]float64{
		0.017037086855465844, 0.14644660940672624, 0.3705904774487396,
		0.6294095225512604, 0.8535533905932737, 0.9829629131445341,
	}
	t := new(quantiles)
	for o := range octaves {
		for s := range segs {
			var f [degree + 1]float64
			for i, u := range nodes {
				x := math.Ldexp(1+(float64(s)+u)/segs, -1-o)
				f[i] = upperQuantile(x / 2)
			}
			c := &t[o<<segBits|s]
			copy(c[:], newtonToMonomial(nodes[:], f[:]))
		}
	}
	return t
})

// newtonToMonomial returns the coefficients, constant first, of the polynomial that has
// the values f at the points x. It overwrites f.
func newtonToMonomial(x, f []float64) []float64 {
	n := len(x)
	for j := 1; j < n; j++ {
		for i := n - 1; i >= j; i-- {
			f[i] = (f[i] - f[i-1]) / (x[i] - x[i-j])
		}
	}
	c := make([]float64, n)
	for i := n - 1; i >= 0; i-- {
		for k := n - 1; k > 0; k-- {
			c[k] = c[k-1] - float64(c[k]*x[i])
		}
		c[0] = f[i] - float64(c[0]*x[i])
	}
	return c
}

// upperQuantile returns z ≥ 0 with P(Z > z) = p for p in (0, 0.5]: algorithm AS 241,
// PPND16 (Wichura, Applied Statistics 37, 1988), relative error about 1e-16.
func upperQuantile(p float64) float64 {
	if q := 0.5 - p; q <= 0.425 {
		r := 0.180625 - float64(q*q)
		return q * horner(r, &as241A) / horner(r, &as241B)
	}
	r := math.Sqrt(-logExact(p))
	if r <= 5 {
		r -= 1.6
		return horner(r, &as241C) / horner(r, &as241D)
	}
	r -= 5
	return horner(r, &as241E) / horner(r, &as241F)
}

func horner(x float64, c *[8]float64) float64 {
	y := c[7]
	for i := 6; i >= 0; i-- {
		y = float64(y*x) + c[i]
	}
	return y
}

// logExact is the natural logarithm of a normal x > 0, with the same bits on every
// architecture (math.Log has assembly on some).
func logExact(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	// log m = 2 artanh((m-1)/(m+1)), |argument| < 0.172.
	s := (m - 1) / (m + 1)
	s2 := s * s
	var y float64
	for k := 25; k >= 1; k -= 2 {
		y = float64(y*s2) + 1/float64(k)
	}
	return float64(2*s*y) + float64(float64(e)*math.Ln2)
}

var (
	as241A = [8]float64{
		3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
		4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3,
	}
	as241B = [8]float64{
		1, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
		2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4, 5.2264952788528545610e+3,
	}
	as241C = [8]float64{
		1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
		1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
	}
	as241D = [8]float64{
		1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
		1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
	}
	as241E = [8]float64{
		6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
		2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
	}
	as241F = [8]float64{
		1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
		7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
	}
)

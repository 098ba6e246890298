package kernel

// eluMin is where exp(x)-1 has long been -1.
const eluMin = -40

// Constants of the approximation of Gelu, x·sigmoid(x·(geluLinear + geluCubic·x²)).
const (
	geluLinear = 1.5957691216057308 // 2·√(2/π)
	geluCubic  = geluLinear * 0.044715
	sqrtHalf   = 0.70710678118654752440
	mishMax    = 20 // tanh(softplus(x)) is 1 from here on
)

// EluF32 sets dst[i] to x[i] where x[i] >= 0 and to alpha*(exp(x[i])-1) elsewhere, within 2.5 units in the last place.
func EluF32(dst, x []float32, alpha float32) { eluF32(dst, x[:len(dst)], 1, alpha, 1) }

// SeluF32 sets dst[i] to gamma times what EluF32 gives, within 3 units in the last place.
func SeluF32(dst, x []float32, alpha, gamma float32) {
	eluF32(dst, x[:len(dst)], gamma, alpha*gamma, 1)
}

// CeluF32 sets dst[i] to x[i] where x[i] >= 0 and to alpha*(exp(x[i]/alpha)-1) elsewhere, within 4 units in the last
// place. alpha is positive.
func CeluF32(dst, x []float32, alpha float32) { eluF32(dst, x[:len(dst)], 1, alpha, 1/alpha) }

// SwishF32 sets dst[i] = x[i]/(1+exp(-alpha*x[i])), within 3.5 units in the last place and |x[i]|·2⁻¹⁴⁹ if alpha is 1;
// otherwise alpha*x[i] is rounded in addition.
func SwishF32(dst, x []float32, alpha float32) { swishF32(dst, x[:len(dst)], alpha) }

// MishF32 sets dst[i] = x[i]·tanh(log(1+exp(x[i]))), within 5 units in the last place and |x[i]|·2⁻¹⁴⁹.
func MishF32(dst, x []float32) { mishF32(dst, x[:len(dst)]) }

// GeluF32 sets dst[i] = x[i]/2·(1+erf(x[i]/√2)), within 2⁻²²·|x[i]|.
func GeluF32(dst, x []float32) { geluF32(dst, x[:len(dst)]) }

// GeluTanhF32 sets dst[i] = x[i]/2·(1+tanh(√(2/π)·(x[i]+0.044715·x[i]³))), within 2⁻²²·|x[i]|.
func GeluTanhF32(dst, x []float32) { geluTanhF32(dst, x[:len(dst)]) }

// HardSwishF32 sets dst[i] = x[i]·min(max(x[i]/6 + 1/2, 0), 1).
func HardSwishF32(dst, x []float32) {
	var buf [256]float32
	x = x[:len(dst)]
	for len(dst) > 0 {
		n := min(len(dst), len(buf))
		AffineF32(buf[:n], x[:n], 1./6, 0.5)
		ClipF32(buf[:n], buf[:n], 0, 1)
		MulF32(dst[:n], x[:n], buf[:n])
		dst, x = dst[n:], x[n:]
	}
}

// elu1 is x*pos where x >= 0 and neg*(exp(x*inv)-1) elsewhere.
func elu1(x, pos, neg, inv float32) float32 {
	if !(x < 0) {
		return x * pos
	}
	t := max(float32(x*inv), eluMin)
	k := float32(float32(t*log2e) + roundBy)
	n := k - roundBy
	r := t - float32(n*ln2Hi)
	r -= float32(n * ln2Lo)
	p := expPoly[4]
	p = float32(p*r) + expPoly[3]
	p = float32(p*r) + expPoly[2]
	p = float32(p*r) + expPoly[1]
	p = float32(p*r) + expPoly[0]
	p = float32(p*float32(r*r)) + r
	// 2^n·(1+p) - 1 = 2^n·p + (2^n-1), in which the difference is exact unless 2^n is below the last place of 1.
	s := exp2i(int32(n))
	return neg * (float32(s*p) + (s - 1))
}

func eluF32Generic(dst, x []float32, pos, neg, inv float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = elu1(v, pos, neg, inv)
	}
}

func swishF32Generic(dst, x []float32, alpha float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = v * sigmoid1(float32(v*alpha))
	}
}

// mish1 uses that tanh(log(1+e)) = e·(e+2) / (e·(e+2) + 2).
func mish1(x float32) float32 {
	e := exp1(minNaN(x, mishMax))
	w := float32(e * (e + 2))
	return x * (w / (w + 2))
}

func mishF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = mish1(v)
	}
}

func geluF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		h := float32(0.5 * v)
		dst[i] = float32(h*erf1(float32(v*sqrtHalf))) + h
	}
}

func geluTanhF32Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		u := float32(geluCubic*float32(v*v)) + geluLinear
		dst[i] = v * sigmoid1(float32(v*u))
	}
}

package kernel

import "math"

// Polynomials and constants of the elementary functions, shared by the generic code and the assembly generators. The
// coefficients are minimax fits (Remez exchange, 40 digits) of the functions named; lowest power first.
//
// Every product is written float32(x*y), which forbids compilers to fuse it with a following addition: the generic
// results are the same on every architecture.
var (
	// (exp(r) - 1 - r) / r² for |r| <= ln(2)/2.
	expPoly = [5]float32{0.49999993444, 0.166665205706, 0.0416683886744, 0.00836872421336, 0.00138145878811}
	// (log(1+f) - f + f²/2) / f³ for sqrt(1/2) <= 1+f <= sqrt(2).
	logPoly = [9]float32{0.333333126053, -0.250000096016, 0.200021186275, -0.166679957799, 0.142195525382,
		-0.124055896006, 0.118881628795, -0.116756506971, 0.0674663756247}
	// (tanh(x)/x - 1) / x² in powers of x², for |x| <= 0.625.
	tanhPoly = [5]float32{-0.333332819414, 0.133314421872, -0.0537397143211, 0.0206390849501, -0.00570498453542}
	// erf(x)/x - 1 in powers of x², for |x| <= 1.
	erfPoly = [7]float32{0.12837916573, -0.376126258247, 0.112835851512, -0.0268538119903, 0.00518832772938,
		-0.000801019365851, 7.85386063158e-5}
	// log(1 - erf(x)) for 1 <= x <= 3.95.
	erfcPoly = [7]float32{-0.000341539625879, -1.12708911814, -0.638144960303, -0.103106636898, 0.0218380044273,
		-0.00294764264308, 0.000186377525342}
)

const (
	log2e   = 1.44269504088896340736
	ln2Hi   = 0.693359375 // 355/512: few enough bits that its product with an exponent is exact
	ln2Lo   = -2.12194440054690583e-4
	expMax  = 89   // exp overflows before this
	expMin  = -104 // exp is below half of the smallest subnormal here
	roundBy = 12582912
	tanhMid = 0.625
	erfMid  = 1
	erfMax  = 3.95
	sqrtH   = 0.70710678118654752440
)

// exp1 is exp(x).
func exp1(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, expMin), expMax)
	t := float32(float32(x*log2e) + roundBy)
	n := t - roundBy
	r := x - float32(n*ln2Hi)
	r -= float32(n * ln2Lo)
	p := expPoly[4]
	p = float32(p*r) + expPoly[3]
	p = float32(p*r) + expPoly[2]
	p = float32(p*r) + expPoly[1]
	p = float32(p*r) + expPoly[0]
	p = float32(p*float32(r*r)) + r + 1
	// Two factors, because 2^n itself is out of range for the largest and the subnormal results.
	k := int32(n)
	h := k >> 1
	return float32(p*exp2i(h)) * exp2i(k-h)
}

// exp2i is 2^n for -126 <= n <= 127.
func exp2i(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// logMant is log(1+f) for sqrt(1/2) <= 1+f <= sqrt(2), plus e*ln(2).
func logMant(f, e float32) float32 {
	p := logPoly[8]
	p = float32(p*f) + logPoly[7]
	p = float32(p*f) + logPoly[6]
	p = float32(p*f) + logPoly[5]
	p = float32(p*f) + logPoly[4]
	p = float32(p*f) + logPoly[3]
	p = float32(p*f) + logPoly[2]
	p = float32(p*f) + logPoly[1]
	p = float32(p*f) + logPoly[0]
	f2 := float32(f * f)
	y := float32(float32(p*f)*f2) + float32(e*ln2Lo)
	y -= float32(0.5 * f2)
	return f + y + float32(e*ln2Hi)
}

// log1 is log(x): NaN below zero, -Inf at zero.
func log1(x float32) float32 {
	switch {
	case x != x || x == inf32:
		return x
	case x < 0:
		return nan32
	case x == 0:
		return ninf32
	}
	e := int32(0)
	if x < 0x1p-126 {
		x *= 0x1p23
		e = -23
	}
	b := math.Float32bits(x)
	// Subtracting the bits of sqrt(1/2) rounds the exponent so that the mantissa lies in [sqrt(1/2), sqrt(2)).
	k := int32(b-math.Float32bits(sqrtH)) >> 23
	m := math.Float32frombits(b - uint32(k)<<23)
	return logMant(m-1, float32(e+k))
}

// sigmoid1 is 1/(1+exp(-x)).
func sigmoid1(x float32) float32 {
	e := exp1(-abs1(x))
	num := float32(1)
	if x < 0 {
		num = e
	}
	return num / (1 + e)
}

// tanh1 is tanh(x).
func tanh1(x float32) float32 {
	a := abs1(x)
	if a < tanhMid {
		u := float32(x * x)
		p := tanhPoly[4]
		p = float32(p*u) + tanhPoly[3]
		p = float32(p*u) + tanhPoly[2]
		p = float32(p*u) + tanhPoly[1]
		p = float32(p*u) + tanhPoly[0]
		return float32(float32(p*u)*x) + x
	}
	y := 1 - 2/(exp1(a+a)+1)
	return copySign1(y, x)
}

// softplus1 is log(1+exp(x)).
func softplus1(x float32) float32 {
	t := exp1(-abs1(x))
	f, e := t, float32(0)
	if t > 0.41421356 {
		f, e = float32(0.5*t)-0.5, 1
	}
	return maxNaN(x, 0) + logMant(f, e)
}

// erf1 is the error function of x.
func erf1(x float32) float32 {
	a := abs1(x)
	if a < erfMid {
		u := float32(x * x)
		p := erfPoly[6]
		p = float32(p*u) + erfPoly[5]
		p = float32(p*u) + erfPoly[4]
		p = float32(p*u) + erfPoly[3]
		p = float32(p*u) + erfPoly[2]
		p = float32(p*u) + erfPoly[1]
		p = float32(p*u) + erfPoly[0]
		return float32(p*x) + x
	}
	a = minNaN(a, erfMax)
	p := erfcPoly[6]
	p = float32(p*a) + erfcPoly[5]
	p = float32(p*a) + erfcPoly[4]
	p = float32(p*a) + erfcPoly[3]
	p = float32(p*a) + erfcPoly[2]
	p = float32(p*a) + erfcPoly[1]
	p = float32(p*a) + erfcPoly[0]
	return copySign1(1-exp1(p), x)
}

func abs1(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func copySign1(x, sign float32) float32 {
	const s = 1 << 31
	return math.Float32frombits(math.Float32bits(x)&^s | math.Float32bits(sign)&s)
}

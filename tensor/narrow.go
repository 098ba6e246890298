package tensor

import "math"

// minifloat describes a type of 8-bit or 4-bit floats: 1 sign bit, exponent and mantissa.
type minifloat struct {
	mantissa, bias int
	most           uint8 // code of the largest finite value
	nan            uint8 // code that NaN gets; its sign bit is added where signedNaN
	inf            uint8 // code of infinity, 0 where there is none
	signedNaN      bool
	negativeZero   bool
	sign           uint8
}

// Formats of the Open Compute Project's 8-bit floating point specification (E4M3, E5M2), of
// their variants without negative zero (Noune et al., "8-bit Numerical Formats for Deep
// Neural Networks", 2022), and of the microscaling formats' E2M1. A 4-bit float has no NaN;
// it becomes negative zero.
var minifloats = [...]minifloat{
	Float8E4M3FN - Float8E4M3FN:   {mantissa: 3, bias: 7, most: 0x7e, nan: 0x7f, signedNaN: true, negativeZero: true, sign: 0x80},
	Float8E4M3FNUZ - Float8E4M3FN: {mantissa: 3, bias: 8, most: 0x7f, nan: 0x80, sign: 0x80},
	Float8E5M2 - Float8E4M3FN:     {mantissa: 2, bias: 15, most: 0x7b, nan: 0x7e, inf: 0x7c, signedNaN: true, negativeZero: true, sign: 0x80},
	Float8E5M2FNUZ - Float8E4M3FN: {mantissa: 2, bias: 16, most: 0x7f, nan: 0x80, sign: 0x80},
	Float4E2M1 - Float8E4M3FN:     {mantissa: 1, bias: 1, most: 0x7, nan: 0x8, negativeZero: true, sign: 0x8},
}

// NarrowFloat32 returns the value that a byte of a tensor of narrow type d stands for, NaN for
// codes that are none.
func NarrowFloat32(d DType, code uint8) float32 {
	switch d {
	case Uint4, Uint2:
		return float32(code)
	case Int4, Int2:
		return float32(int8(code))
	case Float8E8M0:
		if code == 0xff {
			return float32(math.NaN())
		}
		return float32(math.Ldexp(1, int(code)-127))
	}
	f := &minifloats[d-Float8E4M3FN]
	m := code & (f.sign - 1)
	switch {
	case f.inf != 0 && m == f.inf:
		return float32(math.Inf(1 - int(code&f.sign)))
	case m > f.most || code == f.nan && !f.negativeZero:
		return float32(math.NaN())
	}
	e, v := int(m>>f.mantissa), float64(m&(1<<f.mantissa-1))
	if e == 0 {
		e = 1
	} else {
		v += float64(int(1) << f.mantissa)
	}
	v = math.Ldexp(v, e-f.bias-f.mantissa)
	if code&f.sign != 0 {
		v = math.Copysign(v, -1)
	}
	return float32(v)
}

// Rounding is how a number becomes a power of two ([Float8E8M0]).
type Rounding uint8

// Roundings of the attribute round_mode of ONNX's Cast.
const (
	RoundUp      Rounding = iota // away from zero
	RoundDown                    // towards zero
	RoundNearest                 // to the nearest, ties up
)

// NarrowOf converts x to an element of narrow type d, as ONNX's Cast does. Floats are rounded
// to nearest even, powers of two as asked. With saturate, what is out of a float's range, and
// infinity, becomes the largest value; else infinity or NaN. 4-bit floats always saturate.
// Integers are truncated, and lose their higher bits.
func NarrowOf(d DType, x float32, saturate bool, round Rounding) uint8 {
	switch d {
	case Uint4:
		return uint8(integerOf(x)) & 0xf
	case Uint2:
		return uint8(integerOf(x)) & 0x3
	case Int4:
		return uint8(int8(integerOf(x)<<4) >> 4)
	case Int2:
		return uint8(int8(integerOf(x)<<6) >> 6)
	case Float8E8M0:
		return powerOf(x, saturate, round)
	}
	f := &minifloats[d-Float8E4M3FN]
	sign := uint8(0)
	if math.Signbit(float64(x)) {
		sign = f.sign
	}
	v := math.Abs(float64(x))
	if v != v {
		if f.signedNaN {
			return f.nan | sign
		}
		return f.nan
	}
	code := uint(f.most) + 1
	if !math.IsInf(v, 0) && v < 1<<20 {
		e := max(math.Ilogb(v), 1-f.bias)
		// In units of the last place the rounded value is the code: the carry into the
		// exponent is right by itself.
		q := math.RoundToEven(math.Ldexp(v, f.mantissa-e))
		code = uint(q) + uint(e+f.bias-1)<<f.mantissa
	}
	if code > uint(f.most) {
		switch {
		case saturate || d == Float4E2M1:
			code = uint(f.most)
		case f.inf != 0:
			code = uint(f.inf)
		case f.signedNaN:
			code = uint(f.nan)
		default:
			return f.nan
		}
	}
	if code == 0 && !f.negativeZero {
		return 0
	}
	return uint8(code) | sign
}

// integerOf truncates x; NaN and what is far out of range become 0.
func integerOf(x float32) int64 {
	if x != x || x >= 1<<62 || x <= -1<<62 {
		return 0
	}
	return int64(x)
}

// powerOf returns the biased exponent of x, or 255, which is NaN.
func powerOf(x float32, saturate bool, round Rounding) uint8 {
	const least, most = 0, 254
	v := math.Abs(float64(x))
	switch {
	case v != v:
		return 255
	case v == 0 && saturate:
		return least
	case math.IsInf(v, 0) && saturate:
		return most
	case v == 0 || math.IsInf(v, 0):
		return 255
	}
	frac, e := math.Frexp(v) // v = frac·2^e, frac in [1/2, 1)
	e--
	if round == RoundUp && frac > 0.5 || round == RoundNearest && frac >= 0.75 {
		e++
	}
	switch e += 127; {
	case e > most && saturate:
		return most
	case e < least && saturate:
		return least
	case e > most || e < least:
		return 255
	}
	return uint8(e)
}

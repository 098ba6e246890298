package tensor

import "math"

// ToF16 rounds x to binary16, to nearest with ties to even (IEEE 754-2019 §4.3.1).
// Values beyond the range become infinities; a NaN stays a (quiet) NaN.
func ToF16(x float32) F16 {
	b := math.Float32bits(x)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return F16(sign | 0x7e00 | uint16(b>>13)&0x1ff)
	case b >= 0x477ff000:
		return F16(sign | 0x7c00)
	case b < 0x38800000:
		// Subnormal or zero: adding 0.5 places the value's unit in bit 0 of the sum,
		// and the addition rounds to nearest even.
		f := math.Float32frombits(b) + 0.5
		return F16(sign | uint16(math.Float32bits(f)-math.Float32bits(0.5)))
	}
	b += 0xfff + (b>>13)&1
	return F16(sign | uint16((b-0x38000000)>>13))
}

// Float32 converts h exactly.
func (h F16) Float32() float32 {
	sign := uint32(h&0x8000) << 16
	e, m := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch e {
	case 0:
		f := float32(m) * 0x1p-24
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | m<<13)
	}
	return math.Float32frombits(sign | (e+112)<<23 | m<<13)
}

// ToBF16 rounds x to bfloat16, to nearest with ties to even; a NaN stays a NaN.
func ToBF16(x float32) BF16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 {
		return BF16(b>>16 | 0x40)
	}
	return BF16((b + 0x7fff + (b>>16)&1) >> 16)
}

// Float32 converts h exactly.
func (h BF16) Float32() float32 { return math.Float32frombits(uint32(h) << 16) }

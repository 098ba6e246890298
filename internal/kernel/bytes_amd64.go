//go:build !noasm && !gccgo

package kernel

// byteStep is the number of values that the vector routines take at a time.
const byteStep = 32

func quantizeF32(dst []uint8, x []float32, scale float32, zero, lo, hi int32) {
	recip, rest, ok := quotient(scale)
	n := len(dst) &^ (byteStep - 1)
	switch {
	case !ok || len(dst) == 0:
	case useAVX512I8 && lo == 0 && hi == 255:
		quantizeU8AVX512(&dst[0], &x[0], len(dst), recip, rest, zero)
		return
	case useAVX512I8 && lo == -128 && hi == 127:
		quantizeS8AVX512(&dst[0], &x[0], len(dst), recip, rest, zero)
		return
	case useAVX2I8 && n > 0:
		quantizeF32AVX2(&dst[0], &x[0], n, recip, rest, zero, float32(lo-zero), float32(hi-zero))
		if r := len(dst) - byteStep; r > n-byteStep {
			// The last values once more, with some before them.
			quantizeF32AVX2(&dst[r], &x[r], byteStep, recip, rest, zero, float32(lo-zero), float32(hi-zero))
		}
		return
	}
	quantizeF32Generic(dst, x, scale, zero, lo, hi)
}

// quantizeF32AVX2 is the loop of quantizeF32Generic for a scale of which [quotient] is recip and rest, with lo and hi less
// zero; n is a positive multiple of 32.
//
//go:noescape
func quantizeF32AVX2(dst *uint8, x *float32, n int, recip, rest float32, zero int32, lo, hi float32)

// quantizeU8AVX512 is quantizeF32AVX2 for results of 0 to 255 and any positive n.
//
//go:noescape
func quantizeU8AVX512(dst *uint8, x *float32, n int, recip, rest float32, zero int32)

// quantizeS8AVX512 is quantizeU8AVX512 for results of -128 to 127.
//
//go:noescape
func quantizeS8AVX512(dst *uint8, x *float32, n int, recip, rest float32, zero int32)

func dequantize8(dst []float32, src []uint8, scale float32, zero int32, signed bool) {
	n := len(dst) &^ (byteStep - 1)
	r := len(dst) - byteStep
	switch {
	case useAVX512I8 && len(dst) > 0 && signed:
		dequantizeS8AVX512(&dst[0], &src[0], len(dst), scale, zero)
	case useAVX512I8 && len(dst) > 0:
		dequantizeU8AVX512(&dst[0], &src[0], len(dst), scale, zero)
	case !useAVX2I8 || n == 0:
		dequantize8Generic(dst, src, scale, zero, signed)
	case signed:
		dequantizeS8AVX2(&dst[0], &src[0], n, scale, zero)
		dequantizeS8AVX2(&dst[r], &src[r], byteStep, scale, zero)
	default:
		dequantizeU8AVX2(&dst[0], &src[0], n, scale, zero)
		dequantizeU8AVX2(&dst[r], &src[r], byteStep, scale, zero)
	}
}

// dequantizeU8AVX512 is dequantizeU8AVX2 for any positive n.
//
//go:noescape
func dequantizeU8AVX512(dst *float32, src *uint8, n int, scale float32, zero int32)

// dequantizeS8AVX512 is dequantizeU8AVX512 for int8 values.
//
//go:noescape
func dequantizeS8AVX512(dst *float32, src *uint8, n int, scale float32, zero int32)

// dequantizeU8AVX2 is for i := range n { dst[i] = float32(int32(src[i])-zero) * scale }, for n a positive multiple of 32.
//
//go:noescape
func dequantizeU8AVX2(dst *float32, src *uint8, n int, scale float32, zero int32)

// dequantizeS8AVX2 is dequantizeU8AVX2 for int8 values.
//
//go:noescape
func dequantizeS8AVX2(dst *float32, src *uint8, n int, scale float32, zero int32)

func (t *Table8) mapBytes(dst, src []uint8) {
	if useVBMI && len(dst) > 0 {
		tableU8VBMI(&dst[0], &src[0], len(dst), &t.values[0])
		return
	}
	n := len(dst) &^ (byteStep - 1)
	if !useAVX2I8 || n == 0 {
		t.mapGeneric(dst, src)
		return
	}
	tableU8AVX2(&dst[0], &src[0], n, &t.rows[0])
	t.mapGeneric(dst[n:], src[n:])
}

// tableU8AVX2 is for i := range n { dst[i] = value(src[i]) }, for n a positive multiple of 32, where value(x) is the
// exclusive or of rows[16*j+x%16] for j from x/128*8 to x/16.
//
//go:noescape
func tableU8AVX2(dst, src *uint8, n int, rows *uint8)

// tableU8VBMI is for i := range n { dst[i] = values[src[i]] }, for n at least 1.
//
//go:noescape
func tableU8VBMI(dst, src *uint8, n int, values *uint8)

func binaryQ8(dst, a, b []uint8, p *Binary8, mul bool) {
	if useAVX512I8 && !mul && addQ8(dst, a, b, p) {
		return
	}
	n := len(dst) &^ (byteStep - 1)
	if useAVX2I8 && n > 0 {
		lo, hi := p.bounds()
		f, flo, fhi := p.factor(mul), float32(lo), float32(hi)
		switch {
		case mul && p.Signed:
			mulS8AVX2(&dst[0], &a[0], &b[0], n, 0, 0, f, p.AZero, p.BZero, p.Zero, flo, fhi)
		case mul:
			mulU8AVX2(&dst[0], &a[0], &b[0], n, 0, 0, f, p.AZero, p.BZero, p.Zero, flo, fhi)
		case p.Signed:
			addS8AVX2(&dst[0], &a[0], &b[0], n, p.AScale, p.BScale, f, p.AZero, p.BZero, p.Zero, flo, fhi)
		default:
			addU8AVX2(&dst[0], &a[0], &b[0], n, p.AScale, p.BScale, f, p.AZero, p.BZero, p.Zero, flo, fhi)
		}
		dst, a, b = dst[n:], a[n:], b[n:]
	}
	binaryQ8Generic(dst, a, b, p, mul)
}

// addQ8 is binaryQ8 for sums, unless they might be no numbers, too large, or inexact. It reports whether it was.
func addQ8(dst, a, b []uint8, p *Binary8) bool {
	p.bounds()
	recip, rest, ok := quotient(p.Scale)
	if !ok || len(dst) == 0 || !(512*(abs1(p.AScale)+abs1(p.BScale)) < p.Scale*(1<<20)) {
		return false
	}
	if p.Signed {
		addS8AVX512(&dst[0], &a[0], &b[0], len(dst), p.AScale, p.BScale, recip, rest, p.AZero, p.BZero, p.Zero)
	} else {
		addU8AVX512(&dst[0], &a[0], &b[0], len(dst), p.AScale, p.BScale, recip, rest, p.AZero, p.BZero, p.Zero)
	}
	return true
}

// addU8AVX512 is the loop of binaryQ8Generic for sums, with a scale of which [quotient] is recip and rest, and any positive
// n. No sum is 2²⁰ times the scale.
//
//go:noescape
func addU8AVX512(dst, a, b *uint8, n int, aScale, bScale, recip, rest float32, aZero, bZero, zero int32)

// addS8AVX512 is addU8AVX512 for int8 values.
//
//go:noescape
func addS8AVX512(dst, a, b *uint8, n int, aScale, bScale, recip, rest float32, aZero, bZero, zero int32)

// addU8AVX2 is the loop of binaryQ8Generic for sums, with lo and hi less zero; n is a positive multiple of 32.
//
//go:noescape
func addU8AVX2(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero int32, lo, hi float32)

// addS8AVX2 is addU8AVX2 for int8 values.
//
//go:noescape
func addS8AVX2(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero int32, lo, hi float32)

// mulU8AVX2 is the loop of binaryQ8Generic for products, with lo and hi less zero; n is a positive multiple of 32, scale
// is the factor, and aScale and bScale are not read.
//
//go:noescape
func mulU8AVX2(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero int32, lo, hi float32)

// mulS8AVX2 is mulU8AVX2 for int8 values.
//
//go:noescape
func mulS8AVX2(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero int32, lo, hi float32)

func flipWide(dst, src []uint8, mask uint8) int { return 0 }

func floatsI32(dst []float32, src []int32) {
	switch {
	case useAVX512I8:
		floatsI32AVX512(dst, src)
	case useAVX2I8:
		floatsI32AVX2(dst, src)
	default:
		floatsI32Generic(dst, src)
	}
}

func scaleI32(dst []float32, src []int32, scale []float32) {
	switch {
	case useAVX512I8:
		scaleI32AVX512(dst, src, scale)
	case useAVX2I8:
		scaleI32AVX2(dst, src, scale)
	default:
		scaleI32Generic(dst, src, scale)
	}
}

func scaleAddI32(dst []float32, src []int32, scale, add []float32) {
	switch {
	case useAVX512I8:
		scaleAddI32AVX512(dst, src, scale, add)
	case useAVX2I8:
		scaleAddI32AVX2(dst, src, scale, add)
	default:
		scaleAddI32Generic(dst, src, scale, add)
	}
}

// floatsI32AVX512 is floatsI32Generic.
//
//go:noescape
func floatsI32AVX512(dst []float32, src []int32)

// floatsI32AVX2 is floatsI32Generic.
//
//go:noescape
func floatsI32AVX2(dst []float32, src []int32)

// scaleI32AVX512 is scaleI32Generic.
//
//go:noescape
func scaleI32AVX512(dst []float32, src []int32, scale []float32)

// scaleI32AVX2 is scaleI32Generic.
//
//go:noescape
func scaleI32AVX2(dst []float32, src []int32, scale []float32)

// scaleAddI32AVX512 is scaleAddI32Generic.
//
//go:noescape
func scaleAddI32AVX512(dst []float32, src []int32, scale, add []float32)

// scaleAddI32AVX2 is scaleAddI32Generic.
//
//go:noescape
func scaleAddI32AVX2(dst []float32, src []int32, scale, add []float32)

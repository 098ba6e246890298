//go:build !noasm && !gccgo

package kernel

// byteStep is the number of values that the vector routines take at a time.
const byteStep = 16

func quantizeF32(dst []uint8, x []float32, scale float32, zero, lo, hi int32) {
	n := len(dst) &^ (byteStep - 1)
	if !useNEON || n == 0 {
		quantizeF32Generic(dst, x, scale, zero, lo, hi)
		return
	}
	quantizeF32NEON(&dst[0], &x[0], n, scale, zero, lo-zero, hi-zero)
	if r := len(dst) - byteStep; r > n-byteStep {
		// The last values once more, with some before them.
		quantizeF32NEON(&dst[r], &x[r], byteStep, scale, zero, lo-zero, hi-zero)
	}
}

// quantizeF32NEON is the loop of quantizeF32Generic, with lo and hi less zero; n is a positive multiple of 16.
//
//go:noescape
func quantizeF32NEON(dst *uint8, x *float32, n int, scale float32, zero, lo, hi int32)

func dequantize8(dst []float32, src []uint8, scale float32, zero int32, signed bool) {
	n := len(dst) &^ (byteStep - 1)
	if !useNEON || n == 0 {
		dequantize8Generic(dst, src, scale, zero, signed)
		return
	}
	r := len(dst) - byteStep
	if signed {
		dequantizeS8NEON(&dst[0], &src[0], n, scale, zero)
		if r > n-byteStep {
			dequantizeS8NEON(&dst[r], &src[r], byteStep, scale, zero)
		}
		return
	}
	dequantizeU8NEON(&dst[0], &src[0], n, scale, zero)
	if r > n-byteStep {
		dequantizeU8NEON(&dst[r], &src[r], byteStep, scale, zero)
	}
}

// dequantizeU8NEON is for i := range n { dst[i] = float32(int32(src[i])-zero) * scale }, for n a positive multiple of 16.
//
//go:noescape
func dequantizeU8NEON(dst *float32, src *uint8, n int, scale float32, zero int32)

// dequantizeS8NEON is dequantizeU8NEON for int8 values.
//
//go:noescape
func dequantizeS8NEON(dst *float32, src *uint8, n int, scale float32, zero int32)

func (t *Table8) mapBytes(dst, src []uint8) {
	n := len(dst) &^ (byteStep - 1)
	if useNEON && n > 0 {
		tableU8NEON(&dst[0], &src[0], n, &t.values)
		dst, src = dst[n:], src[n:]
	}
	t.mapGeneric(dst, src)
}

// tableU8NEON is for i := range n { dst[i] = values[src[i]] }, for n a positive multiple of 16.
//
//go:noescape
func tableU8NEON(dst, src *uint8, n int, values *[256]uint8)

func binaryQ8(dst, a, b []uint8, p *Binary8, mul bool) {
	n := len(dst) &^ (byteStep - 1)
	if useNEON && n > 0 {
		lo, hi := p.bounds()
		f := p.factor(mul)
		switch {
		case mul && p.Signed:
			mulS8NEON(&dst[0], &a[0], &b[0], n, 0, 0, f, p.AZero, p.BZero, p.Zero, lo, hi)
		case mul:
			mulU8NEON(&dst[0], &a[0], &b[0], n, 0, 0, f, p.AZero, p.BZero, p.Zero, lo, hi)
		case p.Signed:
			addS8NEON(&dst[0], &a[0], &b[0], n, p.AScale, p.BScale, f, p.AZero, p.BZero, p.Zero, lo, hi)
		default:
			addU8NEON(&dst[0], &a[0], &b[0], n, p.AScale, p.BScale, f, p.AZero, p.BZero, p.Zero, lo, hi)
		}
		dst, a, b = dst[n:], a[n:], b[n:]
	}
	binaryQ8Generic(dst, a, b, p, mul)
}

// addU8NEON is the loop of binaryQ8Generic for sums, with lo and hi less zero; n is a positive multiple of 16.
//
//go:noescape
func addU8NEON(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero, lo, hi int32)

// addS8NEON is addU8NEON for int8 values.
//
//go:noescape
func addS8NEON(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero, lo, hi int32)

// mulU8NEON is the loop of binaryQ8Generic for products, with lo and hi less zero; n is a positive multiple of 16, scale
// is the factor, and aScale and bScale are not read.
//
//go:noescape
func mulU8NEON(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero, lo, hi int32)

// mulS8NEON is mulU8NEON for int8 values.
//
//go:noescape
func mulS8NEON(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero, lo, hi int32)

func flipWide(dst, src []uint8, mask uint8) int {
	n := len(src) &^ (byteStep - 1)
	if !useNEON || n == 0 {
		return 0
	}
	flipBytesNEON(&dst[0], &src[0], n, mask)
	return n
}

// flipBytesNEON is for i := range n { dst[i] = src[i] ^ mask }, for n a positive multiple of 16.
//
//go:noescape
func flipBytesNEON(dst, src *uint8, n int, mask uint8)

func floatsI32(dst []float32, src []int32) { floatsI32Generic(dst, src) }

func scaleI32(dst []float32, src []int32, scale []float32) { scaleI32Generic(dst, src, scale) }

func scaleAddI32(dst []float32, src []int32, scale, add []float32) {
	scaleAddI32Generic(dst, src, scale, add)
}

//go:build !noasm && !gccgo

package kernel

// byteStep is the number of values that the vector routines take at a time.
const byteStep = 32

func quantizeF32(dst []uint8, x []float32, scale float32, zero, lo, hi int32) {
	n := len(dst) &^ (byteStep - 1)
	if !useAVX2I8 || n == 0 {
		quantizeF32Generic(dst, x, scale, zero, lo, hi)
		return
	}
	quantizeF32AVX2(&dst[0], &x[0], n, scale, zero, float32(lo-zero), float32(hi-zero))
	if r := len(dst) - byteStep; r > n-byteStep {
		// The last values once more, with some before them.
		quantizeF32AVX2(&dst[r], &x[r], byteStep, scale, zero, float32(lo-zero), float32(hi-zero))
	}
}

// quantizeF32AVX2 is the loop of quantizeF32Generic, with lo and hi less zero; n is a positive multiple of 32.
//
//go:noescape
func quantizeF32AVX2(dst *uint8, x *float32, n int, scale float32, zero int32, lo, hi float32)

func dequantize8(dst []float32, src []uint8, scale float32, zero int32, signed bool) {
	n := len(dst) &^ (byteStep - 1)
	if !useAVX2I8 || n == 0 {
		dequantize8Generic(dst, src, scale, zero, signed)
		return
	}
	r := len(dst) - byteStep
	if signed {
		dequantizeS8AVX2(&dst[0], &src[0], n, scale, zero)
		dequantizeS8AVX2(&dst[r], &src[r], byteStep, scale, zero)
		return
	}
	dequantizeU8AVX2(&dst[0], &src[0], n, scale, zero)
	dequantizeU8AVX2(&dst[r], &src[r], byteStep, scale, zero)
}

// dequantizeU8AVX2 is for i := range n { dst[i] = float32(int32(src[i])-zero) * scale }, for n a positive multiple of 32.
//
//go:noescape
func dequantizeU8AVX2(dst *float32, src *uint8, n int, scale float32, zero int32)

// dequantizeS8AVX2 is dequantizeU8AVX2 for int8 values.
//
//go:noescape
func dequantizeS8AVX2(dst *float32, src *uint8, n int, scale float32, zero int32)

func (t *Table8) mapBytes(dst, src []uint8) {
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

func binaryQ8(dst, a, b []uint8, p *Binary8, mul bool) {
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

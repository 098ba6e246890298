package main

// halves emits the widening of n half-precision values, n a positive multiple of 8. The conversion instruction is not used:
// it makes signalling NaNs quiet, which the portable code does not.
func halves(f *file) {
	widen := func(name string, each func(), constants ...uint32) {
		f.text(name, "(dst *float32, src *byte, n int)", 24)
		f.op("MOVD dst+0(FP), R0")
		f.op("MOVD src+8(FP), R1")
		f.op("MOVD n+16(FP), R2")
		for i, c := range constants {
			f.op("MOVD $%#x, R3", c)
			f.op("FMOVS R3, F%d", 16+i)
			f.v("dup v%d.4s, v%d.s[0]", 16+i, 16+i)
		}
		next := f.label("next")
		f.at(next)
		f.op("FMOVQ.P 16(R1), F6")
		f.v("uxtl v0.4s, v6.4h")
		f.v("uxtl2 v1.4s, v6.8h")
		each()
		f.op("FSTPQ.P (F0, F1), 32(R0)")
		f.op("SUBS $8, R2, R2")
		f.op("BNE %s", next)
		f.op("RET")
	}
	// The product moves the exponent from bias 15 to bias 127; what was an infinity or NaN is 2^16 or more then.
	widen("widenF16NEON", func() {
		f.interleave(2, func(i int) {
			h, sign, big := i, 2+i, 4+i
			f.v("and v%d.16b, v%d.16b, v17.16b", sign, h)
			f.v("and v%d.16b, v%d.16b, v16.16b", h, h)
			f.v("shl v%d.4s, v%d.4s, #13", h, h)
			f.v("fmul v%d.4s, v%d.4s, v18.4s", h, h)
			f.v("shl v%d.4s, v%d.4s, #16", sign, sign)
			f.v("fcmge v%d.4s, v%d.4s, v19.4s", big, h)
			f.v("and v%d.16b, v%d.16b, v20.16b", big, big)
			f.v("orr v%d.16b, v%d.16b, v%d.16b", h, h, sign)
			f.v("orr v%d.16b, v%d.16b, v%d.16b", h, h, big)
		})
	}, 0x7fff, 0x8000, 0x77800000, 0x47800000, 0x7f800000)
	widen("widenBF16NEON", func() {
		f.v("shl v0.4s, v0.4s, #16")
		f.v("shl v1.4s, v1.4s, #16")
	})
}

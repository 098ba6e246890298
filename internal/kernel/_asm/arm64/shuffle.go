package main

// shuffles emits moves of n elements, a positive multiple of 4, between one stream and two or three, and transposes of four
// rows.
func shuffles(f *file) {
	loop := func(n string, body func()) {
		next := f.label("next")
		f.at(next)
		body()
		f.op("SUBS $4, %s, %s", n, n)
		f.op("BNE %s", next)
		f.op("RET")
	}
	pointers := func(names ...string) {
		for i, name := range names {
			f.op("MOVD %s+%d(FP), R%d", name, 8*i, i)
		}
	}

	f.text("interleaveF32NEON", "(dst, a, b *float32, n int)", 32)
	pointers("dst", "a", "b", "n")
	loop("R3", func() {
		f.op("FMOVQ.P 16(R1), F0")
		f.op("FMOVQ.P 16(R2), F1")
		f.v("zip1 v2.4s, v0.4s, v1.4s")
		f.v("zip2 v3.4s, v0.4s, v1.4s")
		f.op("FSTPQ.P (F2, F3), 32(R0)")
	})

	f.text("evenF32NEON", "(dst, src *float32, n int)", 24)
	pointers("dst", "src", "n")
	loop("R2", func() {
		f.op("FLDPQ.P 32(R1), (F0, F1)")
		f.v("uzp1 v2.4s, v0.4s, v1.4s")
		f.op("FMOVQ.P F2, 16(R0)")
	})

	f.text("interleave3F32NEON", "(dst, a, b, c *float32, n int)", 40)
	pointers("dst", "a", "b", "c", "n")
	loop("R4", func() {
		f.op("FMOVQ.P 16(R1), F0")
		f.op("FMOVQ.P 16(R2), F1")
		f.op("FMOVQ.P 16(R3), F2")
		f.op("VST3.P [V0.S4, V1.S4, V2.S4], 48(R0)")
	})

	f.text("deinterleave3F32NEON", "(a, b, c, src *float32, n int)", 40)
	pointers("a", "b", "c", "src", "n")
	loop("R4", func() {
		f.op("VLD3.P 48(R3), [V0.S4, V1.S4, V2.S4]")
		f.op("FMOVQ.P F0, 16(R0)")
		f.op("FMOVQ.P F1, 16(R1)")
		f.op("FMOVQ.P F2, 16(R2)")
	})

	f.text("transpose4F32NEON", "(dst *float32, ldd, k int, src *float32, lds int)", 40)
	pointers("dst", "ldd", "k", "src", "lds")
	f.op("LSL $2, R1, R1")
	f.op("LSL $2, R4, R4")
	f.quads([]string{"R3", "R5", "R6", "R7"}, "R4")
	loop("R2", func() {
		for i, p := range []string{"R3", "R5", "R6", "R7"} {
			f.op("FMOVQ.P 16(%s), F%d", p, i)
		}
		f.v("zip1 v4.4s, v0.4s, v2.4s")
		f.v("zip2 v5.4s, v0.4s, v2.4s")
		f.v("zip1 v6.4s, v1.4s, v3.4s")
		f.v("zip2 v7.4s, v1.4s, v3.4s")
		f.v("zip1 v0.4s, v4.4s, v6.4s")
		f.v("zip2 v1.4s, v4.4s, v6.4s")
		f.v("zip1 v2.4s, v5.4s, v7.4s")
		f.v("zip2 v3.4s, v5.4s, v7.4s")
		for i := range 4 {
			f.op("FMOVQ F%d, (R0)", i)
			f.op("ADD R1, R0, R0")
		}
	})
}

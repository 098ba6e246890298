package main

// byteLoops emits the elementwise routines on 8-bit values, sixteen at a time: n is a positive multiple of 16.
func byteLoops(f *file) {
	quantizeLoop(f)
	dequantizeLoop(f, "dequantizeU8NEON", "u")
	dequantizeLoop(f, "dequantizeS8NEON", "s")
	tableLoop(f)
	for _, sign := range []string{"u", "s"} {
		binaryLoop(f, "add", sign)
		binaryLoop(f, "mul", sign)
	}
	flipLoop(f)
}

// pointersAndCount loads the arguments that all routines begin with: pointers to R2, R3 …, then n to R1.
func pointersAndCount(f *file, names ...string) (next int) {
	for i, name := range names {
		f.op("MOVD %s+%d(FP), R%d", name, 8*i, 2+i)
	}
	f.op("MOVD n+%d(FP), R1", 8*len(names))
	return 8*len(names) + 8
}

// countDown ends a loop that takes step values.
func countDown(f *file, step int, top string) {
	f.op("SUBS $%d, R1, R1", step)
	f.op("BNE %s", top)
}

// broadcast loads a 32-bit argument to all lanes of a register, of 16 bits if half.
func broadcast(f *file, name string, at, reg int, half bool) {
	f.op("FMOVS %s+%d(FP), F%d", name, at, reg)
	if half {
		f.v("dup v%d.8h, v%d.h[0]", reg, reg)
	} else {
		f.v("dup v%d.4s, v%d.s[0]", reg, reg)
	}
}

// bounds loads the zero point and the bounds less it, which narrowQ8 takes from V5 to V7.
func bounds(f *file, at int) {
	for i, name := range []string{"zero", "lo", "hi"} {
		broadcast(f, name, at+4*i, 5+i, true)
	}
}

func quantizeLoop(f *file) {
	f.text("quantizeF32NEON", "(dst *uint8, x *float32, n int, scale float32, zero, lo, hi int32)", 40)
	at := pointersAndCount(f, "dst", "x")
	broadcast(f, "scale", at, 4, false)
	bounds(f, at+4)
	next := f.label("next")
	f.at(next)
	f.op("VLD1.P 64(R3), [%s]", registers(0, 4, "S4"))
	for i := range 4 {
		f.v("fdiv v%d.4s, v%d.4s, v4.4s", i, i)
	}
	for i := range 4 {
		f.v("fcvtns v%d.4s, v%d.4s", i, i)
	}
	f.narrowQ8(0, 4)
	f.op("FMOVQ.P F0, 16(R2)")
	countDown(f, 16, next)
	f.op("RET")
}

// widenBytes emits the conversion of the bytes in register from to four vectors of float32 from register first on, less
// the 16-bit lanes of zero.
func widenBytes(f *file, sign string, from, first, zero int) {
	high := first + 2
	f.v("%sxtl2 v%d.8h, v%d.16b", sign, high, from)
	f.v("%sxtl v%d.8h, v%d.8b", sign, first, from)
	for _, v := range []int{first, high} {
		f.v("sub v%d.8h, v%d.8h, v%d.8h", v, v, zero)
	}
	for _, v := range []int{first, high} {
		f.v("sxtl2 v%d.4s, v%d.8h", v+1, v)
		f.v("sxtl v%d.4s, v%d.4h", v, v)
	}
	for i := range 4 {
		f.v("scvtf v%d.4s, v%d.4s", first+i, first+i)
	}
}

func dequantizeLoop(f *file, name, sign string) {
	f.text(name, "(dst *float32, src *uint8, n int, scale float32, zero int32)", 32)
	at := pointersAndCount(f, "dst", "src")
	broadcast(f, "scale", at, 16, false)
	broadcast(f, "zero", at+4, 17, true)
	next := f.label("next")
	f.at(next)
	f.op("FMOVQ.P 16(R3), F4")
	widenBytes(f, sign, 4, 0, 17)
	for i := range 4 {
		f.v("fmul v%d.4s, v%d.4s, v16.4s", i, i)
	}
	f.op("VST1.P [%s], 64(R2)", registers(0, 4, "S4"))
	countDown(f, 16, next)
	f.op("RET")
}

// tableLoop emits the look-up of bytes in 256 values, a quarter at a time: an index beyond a quarter leaves what there
// is.
func tableLoop(f *file) {
	f.text("tableU8NEON", "(dst, src *uint8, n int, values *[256]uint8)", 32)
	at := pointersAndCount(f, "dst", "src")
	f.op("MOVD values+%d(FP), R4", at)
	for i := 16; i < 32; i += 4 {
		f.op("VLD1.P 64(R4), [%s]", registers(i, 4, "B16"))
	}
	f.op("VMOVI $64, V3.B16")
	next := f.label("next")
	f.at(next)
	f.op("FMOVQ.P 16(R3), F0")
	for i := range 4 {
		op := "VTBX"
		if i == 0 {
			op = "VTBL"
		}
		f.op("%s V0.B16, [%s], V1.B16", op, registers(16+4*i, 4, "B16"))
		if i < 3 {
			f.v("sub v0.16b, v0.16b, v3.16b")
		}
	}
	f.op("FMOVQ.P F1, 16(R2)")
	countDown(f, 16, next)
	f.op("RET")
}

// binaryLoop emits sums or products of 8-bit values.
//
//	V4 AScale    V16 BScale    V17 Scale, or the factor    V18 AZero    V19 BZero
func binaryLoop(f *file, name, sign string) {
	const params = "(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero, lo, hi int32)"
	f.text(name+map[string]string{"u": "U8NEON", "s": "S8NEON"}[sign], params, 64)
	at := pointersAndCount(f, "dst", "a", "b")
	if name == "add" {
		broadcast(f, "aScale", at, 4, false)
		broadcast(f, "bScale", at+4, 16, false)
	}
	broadcast(f, "scale", at+8, 17, false)
	broadcast(f, "aZero", at+12, 18, true)
	broadcast(f, "bZero", at+16, 19, true)
	bounds(f, at+20)
	next := f.label("next")
	f.at(next)
	f.op("FMOVQ.P 16(R3), F20")
	f.op("FMOVQ.P 16(R4), F21")
	widenBytes(f, sign, 20, 0, 18)
	widenBytes(f, sign, 21, 8, 19)
	f.interleave(4, func(i int) {
		if name == "add" {
			f.v("fmul v%d.4s, v%d.4s, v4.4s", i, i)
			f.v("fmul v%d.4s, v%d.4s, v16.4s", 8+i, 8+i)
			f.v("fadd v%d.4s, v%d.4s, v%d.4s", i, i, 8+i)
			f.v("fdiv v%d.4s, v%d.4s, v17.4s", i, i)
		} else {
			f.v("fmul v%d.4s, v%d.4s, v%d.4s", i, i, 8+i)
			f.v("fmul v%d.4s, v%d.4s, v17.4s", i, i)
		}
		f.v("fcvtns v%d.4s, v%d.4s", i, i)
	})
	f.narrowQ8(0, 4)
	f.op("FMOVQ.P F0, 16(R2)")
	countDown(f, 16, next)
	f.op("RET")
}

// flipLoop emits the exclusive or of bytes with a mask.
func flipLoop(f *file) {
	f.text("flipBytesNEON", "(dst, src *uint8, n int, mask uint8)", 25)
	at := pointersAndCount(f, "dst", "src")
	f.op("MOVBU mask+%d(FP), R4", at)
	f.op("VDUP R4, V16.B16")
	wide, rest, next, done := f.label("wide"), f.label("rest"), f.label("next"), f.label("done")
	f.op("SUBS $64, R1, R1")
	f.op("BLT %s", rest)
	f.at(wide)
	f.op("VLD1.P 64(R3), [%s]", registers(0, 4, "B16"))
	for i := range 4 {
		f.v("eor v%d.16b, v%d.16b, v16.16b", i, i)
	}
	f.op("VST1.P [%s], 64(R2)", registers(0, 4, "B16"))
	f.op("SUBS $64, R1, R1")
	f.op("BGE %s", wide)
	f.at(rest)
	f.op("ADDS $64, R1, R1")
	f.op("BEQ %s", done)
	f.at(next)
	f.op("FMOVQ.P 16(R3), F0")
	f.v("eor v0.16b, v0.16b, v16.16b")
	f.op("FMOVQ.P F0, 16(R2)")
	countDown(f, 16, next)
	f.at(done)
	f.op("RET")
}

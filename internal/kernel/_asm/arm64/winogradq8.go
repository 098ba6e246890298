package main

// Offsets of the fields of tileI16, winogradIn8 and winogradOutQ8 in package kernel, which are read in this order.
const (
	i16A, i16B, i16C, i16K, i16Rows, i16Panels, i16Taps, i16RS, i16CS, i16TapA, i16TapC = 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80

	wqDst, wqSrc, wqTemp          = 0, 8, 16
	wiRow, wiPix, wiLDF, wiLDS    = 24, 32, 40, 48
	wiN, wiC, wiZero              = 56, 64, 72
	woInit, woScale, woRow, woPix = 24, 32, 40, 48
	woLDF, woLDS, woN, woC        = 56, 64, 72, 80
	woWords, woFlip               = 88, 92
)

// winogradQ8 emits the exact F(4×4, 3×3) of 8-bit values: products of 16-bit values, and the transforms before and after.
func winogradQ8(f *file) {
	tileI16(f)
	winogradInput8(f, "winogradInputU8NEON", "uxtl")
	winogradInput8(f, "winogradInputS8NEON", "sxtl")
	winogradOutputQ8(f)
}

// fields loads fields of the arguments, at R0.
func (f *file) fields(fields ...[2]int) {
	f.op("MOVD t+0(FP), R0")
	for _, x := range fields {
		f.op("MOVD %d(R0), R%d", x[0], x[1])
	}
}

// tileI16 emits products of up to 4 rows and panels of 16 columns, for all panels and taps.
//
//	R1 b    R2 steps left    R3 results of a row    R5 panels left    R8 to R11 rows of a    R14 results of a panel
//	R19 a of a tap    R21 taps left
//	V0 to V3 a    V4 to V7 b    V16+4*row+vector the sums
func tileI16(f *file) {
	f.text("tileI16NEON", "(t *tileI16)", 8)
	f.fields([2]int{i16A, 19}, [2]int{i16B, 1}, [2]int{i16C, 14}, [2]int{i16K, 22}, [2]int{i16Rows, 6}, [2]int{i16Panels, 20}, [2]int{i16Taps, 21},
		[2]int{i16RS, 16}, [2]int{i16CS, 15}, [2]int{i16TapA, 17}, [2]int{i16TapC, 23})
	f.eachLong(func(rows int) {
		tap, panel, eight, rest, single, done := f.label("tap"), f.label("panel"), f.label("eight"), f.label("rest"), f.label("single"), f.label("done")
		step := func(b, lane int) {
			f.op("VLD1.P 32(R1), [%s]", registers(b, 2, "H8"))
			for r := range rows {
				for v := range 4 {
					f.v([]string{"smlal v%d.4s, v%d.4h, v%d.h[%d]", "smlal2 v%d.4s, v%d.8h, v%d.h[%d]"}[v%2], sum(r, v), b+v/2, r, lane)
				}
			}
		}
		f.at(tap)
		f.op("MOVD R20, R5")
		f.at(panel)
		f.op("MOVD R19, R8")
		f.rowPointers("R16", rows)
		f.clearLong(rows)
		f.op("SUBS $8, R22, R2")
		f.op("BLT %s", rest)
		f.at(eight)
		for r := range rows {
			f.op("FMOVQ.P 16(R%d), F%d", 8+r, r)
		}
		for s := range 8 {
			step(4+s%2*2, s)
		}
		f.op("SUBS $8, R2, R2")
		f.op("BGE %s", eight)
		f.at(rest)
		f.op("ADDS $8, R2, R2")
		f.op("BEQ %s", done)
		f.at(single)
		for r := range rows {
			f.op("VLD1.P 2(R%d), V%d.H[0]", 8+r, r)
		}
		step(4, 0)
		f.op("SUBS $1, R2, R2")
		f.op("BNE %s", single)
		f.at(done)
		f.op("MOVD R14, R3")
		for r := range rows {
			f.op("VST1 [%s], (R3)", registers(sum(r, 0), 4, "S4"))
			if r+1 < rows {
				f.op("ADD R15, R3, R3")
			}
		}
		f.op("ADD $64, R14, R14")
		f.op("SUBS $1, R5, R5")
		f.op("BNE %s", panel)
		f.op("ADD R17, R19, R19")
		f.op("ADD R23, R14, R14")
		f.op("SUBS $1, R21, R21")
		f.op("BNE %s", tap)
		f.op("RET")
	})
}

// input6 emits Bᵀ·d in 16 bits for d in V0 to V5, which it overwrites. It returns the registers of the result.
func (f *file) input6() [6]int {
	const t, u, v, w = 6, 7, 16, 17
	three := func(op string, d, a, b int) { f.v("%s v%d.8h, v%d.8h, v%d.8h", op, d, a, b) }
	shl := func(d, a int) { f.v("shl v%d.8h, v%d.8h, #2", d, a) }
	shl(t, 2)
	three("sub", t, 4, t) // d4 - 4·d2
	shl(u, 1)
	three("sub", u, 3, u) // d3 - 4·d1
	three("add", v, t, u)
	three("sub", t, t, u)
	three("sub", u, 4, 2) // d4 - d2
	three("sub", w, 0, 2)
	shl(w, w)
	three("add", w, w, u)
	three("sub", 1, 3, 1)
	three("add", 1, 1, 1) // 2·(d3 - d1)
	three("sub", 5, 5, 3)
	three("add", 3, u, 1)
	three("sub", 4, u, 1)
	three("add", 1, 1, 1)
	three("sub", 5, 5, 1)
	return [6]int{w, v, t, 3, 4, 5}
}

// winogradInput8 emits the transform of bytes that extend widens, eight channels at a time.
//
//	R1 channels done    R2, R3 pointers    R4 values of a tile    R5 results of a tile    R6 temp    R7 bytes between rows
//	R8 pixels    R9 taps    R10 six taps    R11 tiles left    R12 channels    R13 results of tiles
func winogradInput8(f *file, name, extend string) {
	f.text(name, "(t *winogradIn8)", 8)
	f.fields([2]int{wqDst, 5}, [2]int{wqSrc, 4}, [2]int{wqTemp, 6}, [2]int{wiRow, 7}, [2]int{wiPix, 8}, [2]int{wiLDF, 9}, [2]int{wiLDS, 13},
		[2]int{wiN, 11}, [2]int{wiC, 12})
	f.op("FMOVS %d(R0), F31", wiZero)
	f.v("dup v31.8h, v31.h[0]")
	f.op("LSL $1, R9, R9")
	f.op("LSL $1, R13, R13")
	f.op("ADD R9<<1, R9, R10")
	f.op("LSL $1, R10, R10")
	tile, vector := f.label("tile"), f.label("vector")
	f.at(tile)
	f.op("MOVD $0, R1")
	f.at(vector)
	f.op("ADD R1, R4, R2")
	for y := range 6 {
		f.op("MOVD R2, R3")
		for x := range 6 {
			f.op("FMOVD (R3), F%d", x)
			if x < 5 {
				f.op("ADD R8, R3, R3")
			}
		}
		for x := range 6 {
			f.v("%s v%d.8h, v%d.8b", extend, x, x)
		}
		for x, v := range f.input6() {
			f.op("FMOVQ F%d, %d(R6)", v, 16*(6*y+x))
		}
		if y < 5 {
			f.op("ADD R7, R2, R2")
		}
	}
	f.op("ADD R1<<1, R5, R2")
	for x := range 6 {
		for y := range 6 {
			f.op("FMOVQ %d(R6), F%d", 16*(6*y+x), y)
		}
		f.op("MOVD R2, R3")
		for y, v := range f.input6() {
			if x == 1 && y == 1 {
				// What the zero point of all values becomes: 0 everywhere else.
				f.v("sub v%d.8h, v%d.8h, v31.8h", v, v)
			}
			f.op("FMOVQ F%d, (R3)", v)
			if y < 5 {
				f.op("ADD R10, R3, R3")
			}
		}
		if x < 5 {
			f.op("ADD R9, R2, R2")
		}
	}
	f.op("ADD $8, R1, R1")
	f.op("CMP R12, R1")
	f.op("BLT %s", vector)
	f.op("ADD R8<<2, R4, R4")
	f.op("ADD R13, R5, R5")
	f.op("SUBS $1, R11, R11")
	f.op("BNE %s", tile)
	f.op("RET")
}

// output6 emits 24, 12, 6 and 6 times the elements of Aᵀ·m for m in V0 to V5, which it overwrites. It returns the registers
// of the result.
func (f *file) output6() [4]int {
	const a, c, y3 = 6, 7, 16
	three := func(op string, d, a, b int) { f.v("%s v%d.4s, v%d.4s, v%d.4s", op, d, a, b) }
	three("add", a, 1, 2)
	three("sub", 2, 1, 2)
	three("add", c, 3, 4)
	three("sub", 4, 3, 4)
	three("sub", 3, c, a)
	three("add", y3, 4, 4)
	three("sub", y3, y3, 2)
	three("add", y3, y3, 5)
	three("add", 2, 2, 2)
	three("sub", 1, 4, 2)
	f.v("shl v%d.4s, v%d.4s, #2", a, a)
	three("sub", c, c, a)
	three("add", c, c, 0)
	return [4]int{c, 1, 3, y3}
}

// winogradOutputQ8 emits the transform to results, four channels at a time.
//
//	R1 channels done    R2, R3 pointers    R4 results of a tile    R5 products of a tile    R6 temp    R7 bytes between rows
//	R8 pixels    R9 taps    R10 six taps    R11 tiles left    R12 channels    R13 products of tiles    R14 init    R15 scale
//	R16 the first scale
//	V18 to V22 scales    V23 1/9 modulo 2³²    V24 zero point    V25 what turns results less 128 into those    V26 init
func winogradOutputQ8(f *file) {
	f.text("winogradOutputQ8NEON", "(t *winogradOutQ8)", 8)
	f.fields([2]int{wqDst, 4}, [2]int{wqSrc, 5}, [2]int{wqTemp, 6}, [2]int{woInit, 14}, [2]int{woScale, 16}, [2]int{woRow, 7}, [2]int{woPix, 8},
		[2]int{woLDF, 9}, [2]int{woLDS, 13}, [2]int{woN, 11}, [2]int{woC, 12})
	f.op("FMOVS %d(R0), F24", woWords)
	f.v("dup v24.8h, v24.h[0]")
	f.op("FMOVS %d(R0), F25", woFlip)
	f.v("dup v25.4s, v25.s[0]")
	f.op("MOVW $0x38e38e39, R1")
	f.op("FMOVS R1, F23")
	f.v("dup v23.4s, v23.s[0]")
	f.op("LSL $2, R9, R9")
	f.op("LSL $2, R13, R13")
	f.op("ADD R9<<1, R9, R10")
	f.op("LSL $1, R10, R10")
	tile, vector := f.label("tile"), f.label("vector")
	f.at(tile)
	f.op("MOVD $0, R1")
	f.op("MOVD R16, R15")
	f.at(vector)
	f.op("ADD R1<<2, R14, R2")
	f.op("FMOVQ (R2), F26")
	f.op("ADD R1<<2, R5, R2")
	for x := range 6 {
		f.op("MOVD R2, R3")
		for y := range 6 {
			f.op("FMOVQ (R3), F%d", y)
			if y < 5 {
				f.op("ADD R10, R3, R3")
			}
		}
		if x == 1 {
			f.v("add v1.4s, v1.4s, v26.4s")
		}
		for y, v := range f.output6() {
			f.op("FMOVQ F%d, %d(R6)", v, 16*(6*y+x))
		}
		if x < 5 {
			f.op("ADD R9, R2, R2")
		}
	}
	f.op("VLD1.P 64(R15), [%s]", registers(18, 4, "S4"))
	f.op("FMOVQ.P 16(R15), F22")
	f.op("ADD R1, R4, R2")
	shift := [4]int{3, 2, 1, 1}
	for y := range 4 {
		for x := range 6 {
			f.op("FMOVQ %d(R6), F%d", 16*(6*y+x), x)
		}
		v := f.output6()
		each := func(emit func(x, v int)) {
			for x := range v {
				emit(x, v[x])
			}
		}
		each(func(_, v int) { f.v("mul v%d.4s, v%d.4s, v23.4s", v, v) })
		each(func(_, v int) { f.v("scvtf v%d.4s, v%d.4s", v, v) })
		each(func(x, v int) { f.v("fmul v%d.4s, v%d.4s, v%d.4s", v, v, 18+shift[y]+shift[x]-2) })
		each(func(_, v int) { f.v("fcvtns v%d.4s, v%d.4s", v, v) })
		for _, x := range []int{0, 2} {
			f.v("sqxtn v%d.4h, v%d.4s", v[x], v[x])
			f.v("sqxtn2 v%d.8h, v%d.4s", v[x], v[x+1])
			f.v("sqadd v%d.8h, v%d.8h, v24.8h", v[x], v[x])
		}
		f.v("sqxtun v%d.8b, v%d.8h", v[0], v[0])
		f.v("sqxtun2 v%d.16b, v%d.8h", v[0], v[2])
		f.v("eor v%d.16b, v%d.16b, v25.16b", v[0], v[0])
		f.op("MOVD R2, R3")
		for x := range 4 {
			f.op("VST1 V%d.S[%d], (R3)", v[0], x)
			if x < 3 {
				f.op("ADD R8, R3, R3")
			}
		}
		if y < 3 {
			f.op("ADD R7, R2, R2")
		}
	}
	f.op("ADD $4, R1, R1")
	f.op("CMP R12, R1")
	f.op("BLT %s", vector)
	f.op("ADD R8<<2, R4, R4")
	f.op("ADD R13, R5, R5")
	f.op("SUBS $1, R11, R11")
	f.op("BNE %s", tile)
	f.op("RET")
}

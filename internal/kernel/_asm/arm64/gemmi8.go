package main

const sdot = "sdot v%d.4s, v%d.16b, v%d.4b[%d]"

// gemmI8 emits the 8-bit tiles: 8×12 with matrix products, 4×16 with dot products, 4×4 without either.
func gemmI8(f *file) {
	matrixTile(f)
	dotTile(f)
	longTile(f)
}

func dotTile(f *file) {
	f.text("tileI8DotProd", "(t *tileI8)", 8)
	f.op("MOVD t+0(FP), R0")
	f.op("MOVD (R0), R8")
	f.op("MOVD 8(R0), R1")
	f.op("MOVD 32(R0), R2")
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 48(R0), R7")
	f.op("MOVD 56(R0), R16")
	f.op("MOVD $64, R4")
	t := &tile{file: f, mac: sdot, add: "add"}
	f.each(func(rows, vectors int) {
		f.rowPointers("R16", rows)
		t.clearSums(0, rows, vectors)
		t.steps(rows, vectors)
		t.fold(rows, vectors)
		f.op("MOVD 64(R0), R3")
		f.op("LSL $2, R3, R3")
		t.addends(rows, vectors, 72)
		t.store(rows, vectors)
	})
}

// The tile for processors without dot products is 4 rows by 4 columns. Four sums, one per fourth of a group of 16 steps,
// stand for one element until the end.
//
//	R1 b    R2 groups left    R7 whether b may hold -128    R8 to R11 rows of a
//	V0 to V3 b    V4 to V7 a    V8 to V15 products of 16 bits    V16+4*row+column the sums
//
// Two products fit in 16 bits unless all four factors are -128, so panels of b without -128 add pairs before widening.

// eachLong emits the code of every number of rows, in R6.
func (f *file) eachLong(emit func(rows int)) {
	labels := make([]string, tileMR+1)
	for r := tileMR - 1; r >= 1; r-- {
		labels[r] = f.label("rows")
		f.op("CMP $%d, R6", r)
		f.op("BEQ %s", labels[r])
	}
	for r := tileMR; r >= 1; r-- {
		if r < tileMR {
			f.at(labels[r])
		}
		emit(r)
	}
}

// clearLong zeroes the sums.
func (f *file) clearLong(rows int) {
	for i := range 4 * rows {
		f.v("eor v%d.16b, v%d.16b, v%d.16b", sums+i, sums+i, sums+i)
	}
}

// longSteps emits the loops over R2 groups.
func (f *file) longSteps(rows int) {
	const cols = 4
	low, done := f.label("low"), f.label("done")
	f.op("CBNZ R7, %s", low)
	for _, safe := range []bool{false, true} {
		next := f.label("next")
		if safe {
			f.at(low)
		}
		f.at(next)
		f.op("VLD1.P 64(R1), [%s]", registers(0, cols, "B16"))
		for i := range rows {
			f.op("FMOVQ.P 16(R%d), F%d", 8+i, 4+i)
		}
		for i := range rows {
			product := func(c int) int { return 8 + i%2*4 + c }
			each := func(emit func(c int)) {
				for c := range cols {
					emit(c)
				}
			}
			widen := func() { each(func(c int) { f.v("sadalp v%d.4s, v%d.8h", sum(i, c), product(c)) }) }
			each(func(c int) { f.v("smull v%d.8h, v%d.8b, v%d.8b", product(c), c, 4+i) })
			if safe {
				widen()
				each(func(c int) { f.v("smull2 v%d.8h, v%d.16b, v%d.16b", product(c), c, 4+i) })
			} else {
				each(func(c int) { f.v("smlal2 v%d.8h, v%d.16b, v%d.16b", product(c), c, 4+i) })
			}
			widen()
		}
		f.op("SUBS $1, R2, R2")
		f.op("BNE %s", next)
		if !safe {
			f.op("B %s", done)
		}
	}
	f.at(done)
}

// foldLong turns the sums into one vector for each row, V0 to V3.
func (f *file) foldLong(rows int) {
	for r := range rows {
		f.v("addp v%d.4s, v%d.4s, v%d.4s", 8+2*r, sum(r, 0), sum(r, 1))
		f.v("addp v%d.4s, v%d.4s, v%d.4s", 9+2*r, sum(r, 2), sum(r, 3))
	}
	for r := range rows {
		f.v("addp v%d.4s, v%d.4s, v%d.4s", r, 8+2*r, 9+2*r)
	}
}

// longTile emits the tile with sums as results.
func longTile(f *file) {
	f.text("tileI8NEON", "(t *tileI8)", 8)
	f.op("MOVD t+0(FP), R0")
	f.op("MOVD (R0), R8")
	f.op("MOVD 8(R0), R1")
	f.op("MOVD 32(R0), R2")
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 56(R0), R16")
	f.op("MOVD 80(R0), R7")
	f.eachLong(func(rows int) {
		f.rowPointers("R16", rows)
		f.clearLong(rows)
		f.longSteps(rows)
		f.foldLong(rows)
		plain, store := f.label("plain"), f.label("store")
		f.op("MOVD 24(R0), R1")
		f.op("CBZ R1, %s", plain)
		f.op("FMOVQ (R1), F4")
		for r := range rows {
			f.v("add v%d.4s, v%d.4s, v4.4s", r, r)
		}
		f.at(plain)
		f.op("MOVD 16(R0), R1")
		f.op("MOVD 64(R0), R3")
		f.op("LSL $2, R3, R3")
		f.op("MOVD 72(R0), R7")
		f.op("CBZ R7, %s", store)
		f.op("MOVD R1, R4")
		for r := range rows {
			f.op("FMOVQ (R4), F4")
			f.op("ADD R3, R4, R4")
			f.v("add v%d.4s, v%d.4s, v4.4s", r, r)
		}
		f.at(store)
		for r := range rows {
			f.op("FMOVQ F%d, (R1)", r)
			f.op("ADD R3, R1, R1")
		}
		f.op("RET")
	})
}

// longTileQ8 emits the tile with 8-bit results.
func longTileQ8(f *file) {
	f.text("tileQ8NEON", "(t *tileQ8)", 8)
	f.beginQ8()
	f.op("MOVD %d(R0), R7", q8Low)
	f.eachLong(func(rows int) {
		f.panelsQ8(rows, func() { f.clearLong(rows) }, func() {
			f.longSteps(rows)
		}, func() {
			f.foldLong(rows)
			f.op("FMOVQ.P 16(R12), F8")
			f.op("FMOVQ.P 16(R13), F9")
			for r := range rows {
				f.v("add v%d.4s, v%d.4s, v8.4s", r, r)
			}
			f.requantQ8(rows, func(i int) int { return i }, func(int) int { return 9 })
			f.narrowQ8(0, rows)
			f.op("MOVD R14, R6")
			for r := range rows {
				f.op("VST1 V0.S[%d], (R6)", r)
				if r+1 < rows {
					f.op("ADD R15, R6, R6")
				}
			}
			f.op("ADD $4, R14, R14")
		})
	})
}

// requant emits one row of RequantU8, eight values at a time.
//
//	V16 zero point    V17, V18 bounds less the zero point
func requant(f *file) {
	f.text("requantU8NEON", "(dst []uint8, acc, bias []int32, mult []float32, zp, lo, hi int32)", 108)
	f.op("MOVD dst_base+0(FP), R2")
	f.op("MOVD dst_len+8(FP), R1")
	f.op("MOVD acc_base+24(FP), R3")
	f.op("MOVD bias_base+48(FP), R4")
	f.op("MOVD mult_base+72(FP), R5")
	f.op("MOVW zp+96(FP), R6")
	f.op("MOVW lo+100(FP), R7")
	f.op("MOVW hi+104(FP), R8")
	f.op("SUBW R6, R7, R7")
	f.op("SUBW R6, R8, R8")
	for i := range 3 {
		f.op("FMOVS R%d, F%d", 6+i, 16+i)
		f.v("dup v%d.4s, v%d.s[0]", 16+i, 16+i)
	}
	f.v("scvtf v17.4s, v17.4s")
	f.v("scvtf v18.4s, v18.4s")
	wide, tail, one, done := f.label("wide"), f.label("tail"), f.label("one"), f.label("done")
	// convert turns the sums in V0 and, for n = 2, V1 into values of 32 bits; bias is in V2, V3, mult in V4, V5.
	convert := func(n int, load func()) {
		plain := f.label("plain")
		f.op("CBZ R4, %s", plain)
		load()
		for i := range n {
			f.v("add v%d.4s, v%d.4s, v%d.4s", i, i, 2+i)
		}
		f.at(plain)
		f.interleave(n, func(i int) {
			f.v("scvtf v%d.4s, v%d.4s", i, i)
			f.v("fmul v%d.4s, v%d.4s, v%d.4s", i, i, 4+i)
			f.v("fmaxnm v%d.4s, v%d.4s, v17.4s", i, i)
			f.v("fminnm v%d.4s, v%d.4s, v18.4s", i, i)
			f.v("fcvtns v%d.4s, v%d.4s", i, i)
			f.v("add v%d.4s, v%d.4s, v16.4s", i, i)
		})
	}
	f.op("SUBS $8, R1, R1")
	f.op("BLT %s", tail)
	f.at(wide)
	f.op("FLDPQ (R3), (F0, F1)")
	f.op("FLDPQ (R5), (F4, F5)")
	f.op("ADD $32, R3, R3")
	f.op("ADD $32, R5, R5")
	convert(2, func() {
		f.op("FLDPQ (R4), (F2, F3)")
		f.op("ADD $32, R4, R4")
	})
	f.v("xtn v0.4h, v0.4s")
	f.v("xtn2 v0.8h, v1.4s")
	f.v("xtn v0.8b, v0.8h")
	f.op("FMOVD F0, (R2)")
	f.op("ADD $8, R2, R2")
	f.op("SUBS $8, R1, R1")
	f.op("BGE %s", wide)
	f.at(tail)
	f.op("ADDS $8, R1, R1")
	f.op("BEQ %s", done)
	f.at(one)
	f.op("FMOVS (R3), F0")
	f.op("FMOVS (R5), F4")
	f.op("ADD $4, R3, R3")
	f.op("ADD $4, R5, R5")
	convert(1, func() {
		f.op("FMOVS (R4), F2")
		f.op("ADD $4, R4, R4")
	})
	f.op("FMOVS F0, R6")
	f.op("MOVB R6, (R2)")
	f.op("ADD $1, R2, R2")
	f.op("SUBS $1, R1, R1")
	f.op("BNE %s", one)
	f.at(done)
	f.op("RET")
}

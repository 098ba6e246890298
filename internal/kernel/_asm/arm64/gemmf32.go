package main

// gemmF32 emits the 4×16 tile of float32.
func gemmF32(f *file) {
	f.text("tileF32NEON", "(t *tileF32)", 8)
	f.op("MOVD t+0(FP), R0")
	f.op("MOVD (R0), R8")
	f.op("MOVD 8(R0), R1")
	f.op("MOVD 32(R0), R2")
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 48(R0), R7")
	f.op("MOVD 56(R0), R16")
	f.op("MOVD 64(R0), R3")
	f.op("MOVD 72(R0), R4")
	f.op("LSL $2, R16, R16")
	f.op("LSL $2, R3, R3")
	f.op("LSL $2, R4, R4")
	t := &tile{file: f, mac: "fmla v%d.4s, v%d.4s, v%d.s[%d]", add: "fadd", strided: true}
	f.each(func(rows, vectors int) {
		f.rowPointers("R16", rows)
		t.clearSums(0, rows, vectors)
		t.steps(rows, vectors)
		t.fold(rows, vectors)
		epilogueF32(t, rows, vectors)
	})
	packTrans(f)
}

// packTrans emits the transposition of four rows of b into four columns of a panel, four steps at a time.
func packTrans(f *file) {
	f.text("packTransF32NEON", "(dst, b *float32, nr, ldb, k int)", 40)
	f.op("MOVD dst+0(FP), R0")
	f.op("MOVD b+8(FP), R8")
	f.op("MOVD nr+16(FP), R2")
	f.op("MOVD ldb+24(FP), R3")
	f.op("MOVD k+32(FP), R1")
	f.op("LSL $2, R2, R2")
	f.op("LSL $2, R3, R3")
	for r := 1; r < 4; r++ {
		f.op("ADD R3, R%d, R%d", 7+r, 8+r)
	}
	next := f.label("next")
	f.at(next)
	for r := range 4 {
		f.op("FMOVQ.P 16(R%d), F%d", 8+r, r)
	}
	f.v("zip1 v4.4s, v0.4s, v2.4s")
	f.v("zip2 v5.4s, v0.4s, v2.4s")
	f.v("zip1 v6.4s, v1.4s, v3.4s")
	f.v("zip2 v7.4s, v1.4s, v3.4s")
	for r := range 4 {
		f.v("zip%d v%d.4s, v%d.4s, v%d.4s", 1+r%2, r, 4+r/2, 6+r/2)
		f.op("FMOVQ F%d, (R0)", r)
		f.op("ADD R2, R0, R0")
	}
	f.op("SUBS $4, R1, R1")
	f.op("BGT %s", next)
	f.op("RET")
}

// epilogueF32 emits what follows the loops: add c, add the bias, apply the activation, store.
func epilogueF32(t *tile, rows, vectors int) {
	f := t.file
	each := func(emit func(i int)) {
		for r := range rows {
			for v := range vectors {
				emit(sum(r, v))
			}
		}
	}
	f.op("MOVD 80(R0), R3")
	f.op("LSL $2, R3, R3")
	t.addends(rows, vectors, 88)
	store, relu, leaky := f.label("store"), f.label("relu"), f.label("leaky")
	f.op("MOVD 96(R0), R7")
	f.op("CBZ R7, %s", store)
	f.op("CMP $1, R7")
	f.op("BEQ %s", relu)
	f.op("CMP $2, R7")
	f.op("BEQ %s", leaky)
	f.op("FMOVS 108(R0), F0")
	f.op("FMOVS 112(R0), F1")
	f.v("dup v0.4s, v0.s[0]")
	f.v("dup v1.4s, v1.s[0]")
	each(func(i int) { f.v("fmax v%d.4s, v%d.4s, v0.4s", i, i) })
	each(func(i int) { f.v("fmin v%d.4s, v%d.4s, v1.4s", i, i) })
	f.op("B %s", store)
	f.at(relu)
	f.v("eor v0.16b, v0.16b, v0.16b")
	each(func(i int) { f.v("fmax v%d.4s, v%d.4s, v0.4s", i, i) })
	f.op("B %s", store)
	f.at(leaky)
	f.op("FMOVS 104(R0), F0")
	each(func(i int) {
		t := 2 + 2*(i%3)
		f.v("fcmlt v%d.4s, v%d.4s, #0.0", t, i)
		f.v("fmul v%d.4s, v%d.4s, v0.s[0]", t+1, i)
		f.v("bit v%d.16b, v%d.16b, v%d.16b", i, t+1, t)
	})
	f.at(store)
	t.store(rows, vectors)
}

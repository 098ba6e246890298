package main

// Register use of the float32 tile:
//
//	R0 the arguments    R1 b    R2 steps left    R3 bytes from one step of a to the next
//	R4 bytes from one row of b to the next    R5 byte offset of the step in a    R8 to R15 rows of a
//	V0 to V5 two rows of b    V6, V7 elements of a    V8+3*row+vector the sums
//
// The matrix-vector tile keeps four sets of sums, V8+3*set+vector, one per step modulo 4.
const (
	tileMR      = 8
	tileVectors = 3
	sums        = 8
)

// gemmF32 emits the 8×12 tile: for each number of rows and of column vectors its own loops, and one epilogue for all.
func gemmF32(f *file) {
	f.text("tileF32NEON", "(t *tileF32)", 8)
	f.op("MOVD t+0(FP), R0")
	f.op("MOVD 8(R0), R1")
	f.op("MOVD 72(R0), R4")
	f.op("LSL $2, R4, R4")
	f.op("MOVD 32(R0), R2")
	f.op("MOVD 64(R0), R3")
	f.op("LSL $2, R3, R3")
	f.op("MOVD $0, R5")
	f.op("MOVD 56(R0), R6")
	f.op("LSL $2, R6, R6")
	f.op("MOVD (R0), R8")
	for r := 1; r < tileMR; r++ {
		f.op("ADD R6, R%d, R%d", 7+r, 8+r)
	}
	for i := sums; i < 32; i++ {
		f.v("eor v%d.16b, v%d.16b, v%d.16b", i, i, i)
	}
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 48(R0), R7")
	rowLabels := make([]string, tileMR+1)
	for r := tileMR; r >= 2; r-- {
		rowLabels[r] = f.label("rows")
		f.op("CMP $%d, R6", r)
		f.op("BEQ %s", rowLabels[r])
	}
	done := f.label("done")
	for r := 1; r <= tileMR; r++ {
		if r > 1 {
			f.at(rowLabels[r])
		}
		labels := make([]string, tileVectors+1)
		for v := 1; v < tileVectors; v++ {
			labels[v] = f.label("vectors")
			f.op("CMP $%d, R7", 4*v)
			f.op("BLE %s", labels[v])
		}
		for v := tileVectors; v >= 1; v-- {
			if v < tileVectors {
				f.at(labels[v])
			}
			if r == 1 {
				vectorLoops(f, v, done)
			} else {
				tileLoops(f, r, v, done)
			}
		}
	}
	f.at(done)
	epilogueF32(f)
}

// loadRow loads v vectors of b into consecutive registers from first on and steps to the next row.
func loadRow(f *file, first, v int) {
	switch v {
	case 1:
		f.op("FMOVQ (R1), F%d", first)
	case 2, 3:
		f.op("FLDPQ (R1), (F%d, F%d)", first, first+1)
		if v == 3 {
			f.op("FMOVQ 32(R1), F%d", first+2)
		}
	}
	f.op("ADD R4, R1, R1")
}

// tileLoops emits the loops of a tile of the given rows and column vectors: two steps at a time where a's steps are
// adjacent, then one at a time. Every sum adds its products in the order of the steps.
func tileLoops(f *file, rows, vectors int, done string) {
	single, pair := f.label("single"), f.label("pair")
	f.op("CMP $4, R3")
	f.op("BNE %s", single)
	f.op("SUBS $2, R2, R2")
	odd := f.label("odd")
	f.op("BLT %s", odd)
	f.at(pair)
	loadRow(f, 0, vectors)
	loadRow(f, vectors, vectors)
	f.op("FMOVD (R8)(R5), F6")
	for r := range rows {
		if r+1 < rows {
			f.op("FMOVD (R%d)(R5), F%d", 9+r, 6+(r+1)%2)
		}
		for s := range 2 {
			for v := range vectors {
				f.v("fmla v%d.4s, v%d.4s, v%d.s[%d]", sums+3*r+v, s*vectors+v, 6+r%2, s)
			}
		}
	}
	f.op("ADD $8, R5, R5")
	f.op("SUBS $2, R2, R2")
	f.op("BGE %s", pair)
	f.at(odd)
	f.op("ADDS $2, R2, R2")
	f.op("BEQ %s", done)
	f.at(single)
	loadRow(f, 0, vectors)
	f.op("FMOVS (R8)(R5), F6")
	for r := range rows {
		if r+1 < rows {
			f.op("FMOVS (R%d)(R5), F%d", 9+r, 6+(r+1)%2)
		}
		for v := range vectors {
			f.v("fmla v%d.4s, v%d.4s, v%d.s[0]", sums+3*r+v, v, 6+r%2)
		}
	}
	f.op("ADD R3, R5, R5")
	f.op("SUBS $1, R2, R2")
	f.op("BNE %s", single)
	f.op("B %s", done)
}

// vectorLoops emits the loops of one row: four steps at a time, each into its own set of sums, then the sets are added
// and the remaining steps follow.
func vectorLoops(f *file, vectors int, done string) {
	apart, quad, strided, fold, single := f.label("apart"), f.label("quad"), f.label("strided"), f.label("fold"), f.label("single")
	const b = 20 // the rows of b: V20 to V31
	products := func(element func(s int) string) {
		for s := range 4 {
			for v := range vectors {
				f.v("fmla v%d.4s, v%d.4s, %s", sums+3*s+v, b+3*s+v, element(s))
			}
		}
	}
	f.op("SUBS $4, R2, R2")
	f.op("BLT %s", fold)
	f.op("CMP $4, R3")
	f.op("BNE %s", apart)
	f.at(quad)
	f.op("FMOVQ.P 16(R8), F0")
	for s := range 4 {
		loadRow(f, b+3*s, vectors)
	}
	products(func(s int) string { return "v0.s[" + string(rune('0'+s)) + "]" })
	f.op("SUBS $4, R2, R2")
	f.op("BGE %s", quad)
	f.op("B %s", fold)
	f.at(apart)
	f.at(strided)
	for s := range 4 {
		f.op("FMOVS (R8), F%d", s)
		f.op("ADD R3, R8, R8")
		loadRow(f, b+3*s, vectors)
	}
	products(func(s int) string { return "v" + string(rune('0'+s)) + ".s[0]" })
	f.op("SUBS $4, R2, R2")
	f.op("BGE %s", strided)
	f.at(fold)
	for v := range vectors {
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", sums+v, sums+v, sums+3+v)
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", sums+6+v, sums+6+v, sums+9+v)
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", sums+v, sums+v, sums+6+v)
	}
	f.op("ADDS $4, R2, R2")
	f.op("BEQ %s", done)
	f.at(single)
	f.op("FMOVS (R8), F6")
	f.op("ADD R3, R8, R8")
	loadRow(f, 0, vectors)
	for v := range vectors {
		f.v("fmla v%d.4s, v%d.4s, v6.s[0]", sums+v, v)
	}
	f.op("SUBS $1, R2, R2")
	f.op("BNE %s", single)
	f.op("B %s", done)
}

// epilogueF32 emits what follows the loops: add c, add the bias, apply the activation, store. It treats all eight rows
// and twelve columns alike, and loads and stores as many rows as the tile has.
func epilogueF32(f *file) {
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 80(R0), R3")
	f.op("LSL $2, R3, R3")
	f.op("MOVD 88(R0), R7")
	bias := f.label("bias")
	f.op("CBZ R7, %s", bias)
	f.op("MOVD 16(R0), R1")
	f.op("MOVD R6, R2")
	for r := range tileMR {
		f.op("FLDPQ (R1), (F0, F1)")
		f.op("FMOVQ 32(R1), F2")
		f.op("ADD R3, R1, R1")
		for v := range tileVectors {
			f.v("fadd v%d.4s, v%d.4s, v%d.4s", sums+3*r+v, sums+3*r+v, v)
		}
		if r+1 < tileMR {
			f.op("SUBS $1, R2, R2")
			f.op("BEQ %s", bias)
		}
	}
	f.at(bias)
	act := f.label("act")
	f.op("MOVD 24(R0), R1")
	f.op("CBZ R1, %s", act)
	f.op("FLDPQ (R1), (F0, F1)")
	f.op("FMOVQ 32(R1), F2")
	for i := range 24 {
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", sums+i, sums+i, i%3)
	}
	f.at(act)
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
	for i := sums; i < 32; i++ {
		f.v("fmax v%d.4s, v%d.4s, v0.4s", i, i)
	}
	for i := sums; i < 32; i++ {
		f.v("fmin v%d.4s, v%d.4s, v1.4s", i, i)
	}
	f.op("B %s", store)
	f.at(relu)
	f.v("eor v0.16b, v0.16b, v0.16b")
	for i := sums; i < 32; i++ {
		f.v("fmax v%d.4s, v%d.4s, v0.4s", i, i)
	}
	f.op("B %s", store)
	f.at(leaky)
	f.op("FMOVS 104(R0), F0")
	for i := sums; i < 32; i++ {
		t := 2 + 2*(i%3)
		f.v("fcmlt v%d.4s, v%d.4s, #0.0", t, i)
		f.v("fmul v%d.4s, v%d.4s, v0.s[0]", t+1, i)
		f.v("bit v%d.16b, v%d.16b, v%d.16b", i, t+1, t)
	}
	f.at(store)
	f.op("MOVD 16(R0), R1")
	out := f.label("out")
	for r := range tileMR {
		f.op("FSTPQ (F%d, F%d), (R1)", sums+3*r, sums+3*r+1)
		f.op("FMOVQ F%d, 32(R1)", sums+3*r+2)
		if r+1 < tileMR {
			f.op("ADD R3, R1, R1")
			f.op("SUBS $1, R6, R6")
			f.op("BEQ %s", out)
		}
	}
	f.at(out)
	f.op("RET")
}

package main

// tile emits the loops of a tile of up to 8 rows by 12 columns of 32-bit sums:
//
//	R1 b    R2 steps left    R3 bytes from one step of a to the next    R4 bytes from one row of b to the next
//	R5 byte offset of the step in a    R6 rows    R7 columns    R8 to R15 the rows of a
//	V0 to V5 two rows of b    V6, V7 elements of a    V8+3*row+vector the sums
//
// The loops for one row keep four sets of sums, V8+3*set+vector, one per step modulo 4.
type tile struct {
	*file
	mac     string // multiply-accumulate of a vector of b by an element of a: sums, vector, register and lane
	add     string // adds sums
	strided bool   // whether a's steps can be other than 4 bytes apart
}

const (
	tileMR      = 8
	tileVectors = 3
	sums        = 8
)

// loops emits the loops for every number of rows and column vectors, and continues after them. It expects R1 to R4
// and R6 to R8 (the first row of a), and in register rs the bytes between rows of a.
func (f *tile) loops(rs string) {
	f.op("MOVD $0, R5")
	for r := 1; r < tileMR; r++ {
		f.op("ADD %s, R%d, R%d", rs, 7+r, 8+r)
	}
	for i := sums; i < 32; i++ {
		f.v("eor v%d.16b, v%d.16b, v%d.16b", i, i, i)
	}
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
				f.vectorLoops(v, done)
			} else {
				f.tileLoops(r, v, done)
			}
		}
	}
	f.at(done)
}

// loadRow loads v vectors of b into consecutive registers from first on and steps to the next row.
func (f *tile) loadRow(first, v int) {
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
func (f *tile) tileLoops(rows, vectors int, done string) {
	single, pair := f.label("single"), f.label("pair")
	if f.strided {
		f.op("CMP $4, R3")
		f.op("BNE %s", single)
	}
	f.op("SUBS $2, R2, R2")
	odd := f.label("odd")
	f.op("BLT %s", odd)
	steps := func(top string, load func()) {
		f.at(top)
		load()
		f.op("FMOVD (R8)(R5), F6")
		for r := range rows {
			if r+1 < rows {
				f.op("FMOVD (R%d)(R5), F%d", 9+r, 6+(r+1)%2)
			}
			for s := range 2 {
				for v := range vectors {
					f.v(f.mac, sums+3*r+v, s*vectors+v, 6+r%2, s)
				}
			}
		}
		f.op("ADD $8, R5, R5")
		f.op("SUBS $2, R2, R2")
		f.op("BGE %s", top)
	}
	if vectors == tileVectors {
		// Rows of a packed panel follow one another.
		packed := f.label("packed")
		f.op("CMP $%d, R4", 16*tileVectors)
		f.op("BNE %s", pair)
		steps(packed, func() {
			f.op("VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]")
			f.op("VLD1.P 32(R1), [V4.S4, V5.S4]")
		})
		f.op("B %s", odd)
	}
	steps(pair, func() {
		f.loadRow(0, vectors)
		f.loadRow(vectors, vectors)
	})
	f.at(odd)
	f.op("ADDS $2, R2, R2")
	f.op("BEQ %s", done)
	f.at(single)
	f.loadRow(0, vectors)
	f.op("FMOVS (R8)(R5), F6")
	for r := range rows {
		if r+1 < rows {
			f.op("FMOVS (R%d)(R5), F%d", 9+r, 6+(r+1)%2)
		}
		for v := range vectors {
			f.v(f.mac, sums+3*r+v, v, 6+r%2, 0)
		}
	}
	f.op("ADD R3, R5, R5")
	f.op("SUBS $1, R2, R2")
	f.op("BNE %s", single)
	f.op("B %s", done)
}

// vectorLoops emits the loops of one row: four steps at a time, each into its own set of sums, then the sets are added
// and the remaining steps follow.
func (f *tile) vectorLoops(vectors int, done string) {
	quad, strided, fold, single := f.label("quad"), f.label("strided"), f.label("fold"), f.label("single")
	const b = 20 // the rows of b: V20 to V31
	products := func(element func(s int) (register, lane int)) {
		for s := range 4 {
			register, lane := element(s)
			for v := range vectors {
				f.v(f.mac, sums+3*s+v, b+3*s+v, register, lane)
			}
		}
	}
	f.op("SUBS $4, R2, R2")
	f.op("BLT %s", fold)
	if f.strided {
		f.op("CMP $4, R3")
		f.op("BNE %s", strided)
	}
	steps := func(top string, load func()) {
		f.at(top)
		f.op("FMOVQ.P 16(R8), F0")
		load()
		products(func(s int) (int, int) { return 0, s })
		f.op("SUBS $4, R2, R2")
		f.op("BGE %s", top)
	}
	if vectors == tileVectors {
		packed := f.label("packed")
		f.op("CMP $%d, R4", 16*tileVectors)
		f.op("BNE %s", quad)
		steps(packed, func() {
			for i := b; i < 32; i += 4 {
				f.op("VLD1.P 64(R1), [V%d.S4, V%d.S4, V%d.S4, V%d.S4]", i, i+1, i+2, i+3)
			}
		})
		f.op("B %s", fold)
	}
	steps(quad, func() {
		for s := range 4 {
			f.loadRow(b+3*s, vectors)
		}
	})
	if f.strided {
		f.op("B %s", fold)
		f.at(strided)
		for s := range 4 {
			f.op("FMOVS (R8), F%d", s)
			f.op("ADD R3, R8, R8")
			f.loadRow(b+3*s, vectors)
		}
		products(func(s int) (int, int) { return s, 0 })
		f.op("SUBS $4, R2, R2")
		f.op("BGE %s", strided)
	}
	f.at(fold)
	for v := range vectors {
		f.v("%s v%d.4s, v%d.4s, v%d.4s", f.add, sums+v, sums+v, sums+3+v)
		f.v("%s v%d.4s, v%d.4s, v%d.4s", f.add, sums+6+v, sums+6+v, sums+9+v)
		f.v("%s v%d.4s, v%d.4s, v%d.4s", f.add, sums+v, sums+v, sums+6+v)
	}
	f.op("ADDS $4, R2, R2")
	f.op("BEQ %s", done)
	f.at(single)
	f.op("FMOVS (R8), F6")
	f.op("ADD R3, R8, R8")
	f.loadRow(0, vectors)
	for v := range vectors {
		f.v(f.mac, sums+v, v, 6, 0)
	}
	f.op("SUBS $1, R2, R2")
	f.op("BNE %s", single)
	f.op("B %s", done)
}

// addends emits the addition of c, where the field at offset acc is not 0, and of the columns' constants, where there
// are any. It treats all eight rows and twelve columns alike, and loads as many rows as R6 says. R3 is the number of
// bytes between rows of c.
func (f *tile) addends(acc int) {
	constants, done := f.label("constants"), f.label("added")
	f.op("MOVD %d(R0), R7", acc)
	f.op("CBZ R7, %s", constants)
	f.op("MOVD 16(R0), R1")
	f.op("MOVD R6, R2")
	for r := range tileMR {
		f.op("FLDPQ (R1), (F0, F1)")
		f.op("FMOVQ 32(R1), F2")
		f.op("ADD R3, R1, R1")
		for v := range tileVectors {
			f.v("%s v%d.4s, v%d.4s, v%d.4s", f.add, sums+3*r+v, sums+3*r+v, v)
		}
		if r+1 < tileMR {
			f.op("SUBS $1, R2, R2")
			f.op("BEQ %s", constants)
		}
	}
	f.at(constants)
	f.op("MOVD 24(R0), R1")
	f.op("CBZ R1, %s", done)
	f.op("FLDPQ (R1), (F0, F1)")
	f.op("FMOVQ 32(R1), F2")
	for i := range tileMR * tileVectors {
		f.v("%s v%d.4s, v%d.4s, v%d.4s", f.add, sums+i, sums+i, i%tileVectors)
	}
	f.at(done)
}

// store emits the stores of as many rows as R6 says, and the return.
func (f *tile) store() {
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

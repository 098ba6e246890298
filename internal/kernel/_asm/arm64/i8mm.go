package main

// The tiles for processors with 8-bit matrix products are 4 rows by 16 columns. A sum register holds two rows by two
// columns until the end.
//
//	R1 b    R2 groups of 8 steps left    R3 64    R8 to R11 the rows of a
//	V0 to V3 rows of a    V4 to V7 two rows of a each    V8 to V15 pairs of columns of b
//	V16+8*(row pair)+(column pair) the sums, then V16+4*row+vector
//
// The second row of the last pair is the first one again where the number of rows is odd; its sums are not stored.

// matrixTile emits the tile with sums as results.
func matrixTile(f *file) {
	f.text("tileI8I8MM", "(t *tileI8)", 8)
	f.op("MOVD t+0(FP), R0")
	f.op("MOVD (R0), R8")
	f.op("MOVD 8(R0), R1")
	f.op("MOVD 32(R0), R2")
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 48(R0), R7")
	f.op("MOVD 56(R0), R16")
	f.op("MOVD $64, R3")
	t := &tile{file: f, add: "add"}
	f.each(func(rows, vectors int) {
		f.pairPointers(rows)
		f.clearPairs(rows, vectors)
		f.pairSteps(rows, vectors)
		f.unpair(rows, vectors)
		f.op("MOVD 64(R0), R3")
		f.op("LSL $2, R3, R3")
		t.addends(rows, vectors, 72)
		t.store(rows, vectors)
	})
}

// pairPointers is rowPointers for pairs of rows.
func (f *file) pairPointers(rows int) {
	f.rowPointers("R16", rows)
	if rows%2 == 1 {
		f.op("MOVD R%d, R%d", 7+rows, 8+rows)
	}
}

func (f *file) clearPairs(rows, vectors int) {
	for p := range (rows + 1) / 2 {
		for c := range 2 * vectors {
			f.v("eor v%d.16b, v%d.16b, v%d.16b", sums+8*p+c, sums+8*p+c, sums+8*p+c)
		}
	}
}

// pairSteps emits the loops over R2 groups: two at a time, then the last one.
func (f *file) pairSteps(rows, vectors int) {
	pairs := (rows + 1) / 2
	two, last, done := f.label("two"), f.label("last"), f.label("done")
	products := func(group int) {
		f.op("VLD1.P 64(R1), [%s]", registers(rowsOfB, 4, "B16"))
		f.op("VLD1.P 64(R1), [%s]", registers(rowsOfB+4, 4, "B16"))
		for p := range pairs {
			for c := range 2 * vectors {
				f.v("usmmla v%d.4s, v%d.16b, v%d.16b", sums+8*p+c, 4+2*p+group, rowsOfB+c)
			}
		}
	}
	f.op("SUBS $2, R2, R2")
	f.op("BLT %s", last)
	f.at(two)
	for r := range 2 * pairs {
		f.op("FMOVQ.P 16(R%d), F%d", 8+r, r)
	}
	for p := range pairs {
		for group := range 2 {
			f.v("zip%d v%d.2d, v%d.2d, v%d.2d", 1+group, 4+2*p+group, 2*p, 2*p+1)
		}
	}
	products(0)
	products(1)
	f.op("SUBS $2, R2, R2")
	f.op("BGE %s", two)
	f.at(last)
	f.op("ADDS $2, R2, R2")
	f.op("BEQ %s", done)
	for r := range 2 * pairs {
		f.op("FMOVD.P 8(R%d), F%d", 8+r, r)
	}
	for p := range pairs {
		f.v("zip1 v%d.2d, v%d.2d, v%d.2d", 4+2*p, 2*p, 2*p+1)
	}
	products(0)
	f.at(done)
}

// unpair turns blocks of two by two into rows.
func (f *file) unpair(rows, vectors int) {
	for p := range (rows + 1) / 2 {
		first := sums + 8*p
		for v := range vectors {
			f.v("zip2 v%d.2d, v%d.2d, v%d.2d", v, first+2*v, first+2*v+1)
			f.v("zip1 v%d.2d, v%d.2d, v%d.2d", first+v, first+2*v, first+2*v+1)
		}
		if 2*p+1 < rows {
			for v := range vectors {
				f.v("orr v%d.16b, v%d.16b, v%d.16b", first+4+v, v, v)
			}
		}
	}
}

// matrixTileQ8 emits the tile with 8-bit results.
func matrixTileQ8(f *file) {
	f.text("tileQ8I8MM", "(t *tileQ8)", 8)
	f.beginQ8()
	f.op("MOVD %d(R0), R7", q8Cols)
	f.each(func(rows, vectors int) {
		f.panelsQ8(rows, func() { f.clearPairs(rows, vectors) }, func() {
			f.pairSteps(rows, vectors)
		}, func() {
			f.unpair(rows, vectors)
			f.op("VLD1.P 64(R12), [%s]", registers(rowsOfB, 4, "S4"))
			for r := range rows {
				for v := range vectors {
					f.v("add v%d.4s, v%d.4s, v%d.4s", sum(r, v), sum(r, v), rowsOfB+v)
				}
			}
			f.storeQ8(rows, vectors)
		})
	})
}

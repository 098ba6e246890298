package main

// matrixTile emits the tile for processors with 8-bit matrix products. One sum register holds two rows by two columns.
//
//	R1 b    R2 groups of 8 steps left    R5 byte offset of the group in a    R8 to R15 the rows of a
//	V0 to V5 six pairs of columns of b    V6, V7 two rows of a    V8+6*(row pair)+(column pair) the sums
//
// The second row of the last pair is the first one again where the number of rows is odd; its sums are not stored.
func matrixTile(f *file) {
	const rowPairs = tileMR / 2
	f.text("tileI8I8MM", "(t *tileI8)", 8)
	f.op("MOVD t+0(FP), R0")
	f.op("MOVD (R0), R8")
	f.op("MOVD 8(R0), R1")
	f.op("MOVD 32(R0), R2")
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 48(R0), R7")
	f.op("MOVD 56(R0), R16")
	f.op("MOVD $0, R5")
	for r := 1; r < tileMR; r++ {
		f.op("ADD R16, R%d, R%d", 7+r, 8+r)
		if r%2 == 1 {
			f.op("CMP $%d, R6", r)
			f.op("CSEL EQ, R%d, R%d, R%d", 7+r, 8+r, 8+r)
		}
	}
	for i := sums; i < 32; i++ {
		f.v("eor v%d.16b, v%d.16b, v%d.16b", i, i, i)
	}
	rowLabels := make([]string, rowPairs+1)
	for pairs := rowPairs; pairs >= 2; pairs-- {
		rowLabels[pairs] = f.label("rows")
		f.op("CMP $%d, R6", 2*pairs-1)
		f.op("BGE %s", rowLabels[pairs])
	}
	done := f.label("done")
	for pairs := 1; pairs <= rowPairs; pairs++ {
		if pairs > 1 {
			f.at(rowLabels[pairs])
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
			matrixLoop(f, pairs, v, done)
		}
	}
	f.at(done)
	// Turn the blocks of two by two into rows: V8+3*row+vector, as the other 8×12 tiles have them.
	for p := range rowPairs {
		first := sums + 6*p
		for v := range tileVectors {
			f.v("zip2 v%d.2d, v%d.2d, v%d.2d", v, first+2*v, first+2*v+1)
			f.v("zip1 v%d.2d, v%d.2d, v%d.2d", first+v, first+2*v, first+2*v+1)
		}
		for v := range tileVectors {
			f.v("orr v%d.16b, v%d.16b, v%d.16b", first+3+v, v, v)
		}
	}
	f.op("MOVD 64(R0), R3")
	f.op("LSL $2, R3, R3")
	t := &tile{file: f, add: "add"}
	t.addends(72)
	t.store()
}

func matrixLoop(f *file, pairs, vectors int, done string) {
	next := f.label("next")
	f.at(next)
	for v := range vectors {
		f.op("FLDPQ %d(R1), (F%d, F%d)", 32*v, 2*v, 2*v+1)
	}
	f.op("ADD $96, R1, R1")
	for p := range pairs {
		f.op("FMOVD (R%d)(R5), F6", 8+2*p)
		f.op("FMOVD (R%d)(R5), F7", 9+2*p)
		f.v("zip1 v6.2d, v6.2d, v7.2d")
		for c := range 2 * vectors {
			f.v("usmmla v%d.4s, v6.16b, v%d.16b", sums+6*p+c, c)
		}
	}
	f.op("ADD $8, R5, R5")
	f.op("SUBS $1, R2, R2")
	f.op("BNE %s", next)
	f.op("B %s", done)
}

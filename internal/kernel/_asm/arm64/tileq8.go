package main

// Offsets of the fields of tileQ8 in package kernel.
const (
	q8A, q8B, q8Dst, q8Init, q8Scale, q8K, q8Segs, q8Skip = 0, 8, 16, 24, 32, 40, 48, 56
	q8Rows, q8Panels, q8RS, q8DS, q8Zero, q8Lo, q8Hi      = 64, 72, 80, 88, 96, 100, 104
	q8Cols, q8NaN, q8Low                                  = 120, 128, 136
)

// gemmQ8 emits the tiles with 8-bit results. Registers besides those of tile:
//
//	R5 segments left    R12 init    R13 scale    R14 dst    R15 bytes between rows of dst    R16 bytes between rows of a
//	R17 bytes between segments    R19 a    R20 panels left    R21 segments    R22 groups of a segment
//	R23 whether a factor may make a product no number
//	V5 zero point    V6, V7 bounds less the zero point, all in 16 bits
func gemmQ8(f *file) {
	matrixTileQ8(f)
	longTileQ8(f)
	f.text("tileQ8DotProd", "(t *tileQ8)", 8)
	t := &tile{file: f, mac: sdot, add: "add"}
	f.beginQ8()
	f.op("MOVD $64, R4")
	f.op("MOVD %d(R0), R7", q8Cols)
	f.each(func(rows, vectors int) {
		f.panelsQ8(rows, func() {
			f.op("VLD1.P 64(R12), [%s]", registers(sums, 4, "S4"))
			for r := 1; r < rows; r++ {
				for v := range vectors {
					f.v("orr v%d.16b, v%d.16b, v%d.16b", sum(r, v), sum(0, v), sum(0, v))
				}
			}
			if rows == 1 {
				t.clearSums(1, rows, vectors)
			}
		}, func() {
			t.steps(rows, vectors)
		}, func() {
			t.fold(rows, vectors)
			f.storeQ8(rows, vectors)
		})
	})
}

// storeQ8 emits the requantisation of the sums of a tile, V16+4*row+vector, and steps to the next panel's results.
func (f *file) storeQ8(rows, vectors int) {
	f.op("VLD1.P 64(R13), [%s]", registers(rowsOfB, 4, "S4"))
	f.requantQ8(rows*vectors, func(i int) int { return sum(i/vectors, i%vectors) }, func(i int) int { return rowsOfB + i%vectors })
	f.op("MOVD R14, R6")
	for r := range rows {
		first := sum(r, 0)
		f.narrowQ8(first, vectors)
		f.op("FMOVQ F%d, (R6)", first)
		if r+1 < rows {
			f.op("ADD R15, R6, R6")
		}
	}
	f.op("ADD $16, R14, R14")
}

// beginQ8 loads the fields.
func (f *file) beginQ8() {
	f.op("MOVD t+0(FP), R0")
	for _, field := range []struct{ at, reg int }{
		{q8A, 19}, {q8B, 1}, {q8Dst, 14}, {q8Init, 12}, {q8Scale, 13}, {q8K, 22}, {q8Segs, 21}, {q8Skip, 17}, {q8Rows, 6}, {q8Panels, 20},
		{q8RS, 16}, {q8DS, 15}, {q8NaN, 23},
	} {
		f.op("MOVD %d(R0), R%d", field.at, field.reg)
	}
}

// panelsQ8 emits the loops over panels and segments.
func (f *file) panelsQ8(rows int, begin, steps, end func()) {
	panel, segment := f.label("panel"), f.label("segment")
	f.at(panel)
	begin()
	f.op("MOVD R19, R8")
	f.pairPointers(rows)
	f.op("MOVD R21, R5")
	f.at(segment)
	f.op("MOVD R22, R2")
	steps()
	for r := range rows + rows%2 {
		f.op("ADD R17, R%d, R%d", 8+r, 8+r)
	}
	f.op("SUBS $1, R5, R5")
	f.op("BNE %s", segment)
	end()
	f.op("SUBS $1, R20, R20")
	f.op("BNE %s", panel)
	f.op("RET")
}

// requantQ8 emits the conversion of n vectors of sums to integers, rounded half to even, within 32 bits: a product that
// is no number becomes the lower bound. scale is the register of the factors of a vector. It sets V5 to V7.
func (f *file) requantQ8(n int, v, scale func(i int) int) {
	each := func(emit func(v, scale int)) {
		for i := range n {
			emit(v(i), scale(i))
		}
	}
	each(func(v, _ int) { f.v("scvtf v%d.4s, v%d.4s", v, v) })
	each(func(v, s int) { f.v("fmul v%d.4s, v%d.4s, v%d.4s", v, v, s) })
	numbers := f.label("numbers")
	f.op("FMOVS %d(R0), F6", q8Lo)
	f.op("FMOVS %d(R0), F7", q8Hi)
	f.op("FMOVS %d(R0), F5", q8Zero)
	f.op("CBZ R23, %s", numbers)
	f.v("dup v4.4s, v6.s[0]")
	each(func(v, _ int) { f.v("fmaxnm v%d.4s, v%d.4s, v4.4s", v, v) })
	f.at(numbers)
	f.v("fcvtns v6.4s, v6.4s")
	f.v("fcvtns v7.4s, v7.4s")
	for i := 5; i < 8; i++ {
		f.v("dup v%d.8h, v%d.h[0]", i, i)
	}
	each(func(v, _ int) { f.v("fcvtns v%d.4s, v%d.4s", v, v) })
}

// narrowQ8 emits the conversion of n vectors of integers from register first on to bytes in the first one: within the
// bounds, plus the zero point.
func (f *file) narrowQ8(first, n int) {
	var halves []int
	for i := 0; i < n; i += 2 {
		v := first + i
		f.v("sqxtn v%d.4h, v%d.4s", v, v)
		if i+1 < n {
			f.v("sqxtn2 v%d.8h, v%d.4s", v, v+1)
		}
		halves = append(halves, v)
	}
	for _, op := range []struct {
		name string
		reg  int
	}{{"smax", 6}, {"smin", 7}, {"add", 5}} {
		for _, v := range halves {
			f.v("%s v%d.8h, v%d.8h, v%d.8h", op.name, v, v, op.reg)
		}
	}
	f.v("uzp1 v%d.16b, v%d.16b, v%d.16b", first, first, halves[len(halves)-1])
}

package main

import (
	"fmt"
	"strings"
)

// tile emits the loops of a tile of up to 4 rows by 16 columns of 32-bit sums, whose left values come 4 bytes at a time:
// one float32, or four 8-bit values.
//
//	R1 b    R2 steps left    R3 bytes from one step of a to the next    R4 bytes from one row of b to the next
//	R8 to R11 the rows of a    V0 to V7 elements of a    V8 to V15 rows of b    V16+4*row+vector the sums
//
// The loops for one row keep four sets of sums, V16+4*set+vector, one per step modulo 4.
type tile struct {
	*file
	mac     string // multiply-accumulate of a vector of b by an element of a: sums, vector, register and lane
	add     string // adds sums
	strided bool   // whether a's steps can be other than 4 bytes apart
}

const (
	tileMR      = 4
	tileVectors = 4
	sums        = 16
	rowsOfB     = 8 // the first register of b
)

// each emits the code of every number of rows, in R6, and of column vectors, for R7 columns.
func (f *file) each(emit func(rows, vectors int)) {
	rowLabels := make([]string, tileMR+1)
	for r := tileMR - 1; r >= 1; r-- {
		rowLabels[r] = f.label("rows")
		f.op("CMP $%d, R6", r)
		f.op("BEQ %s", rowLabels[r])
	}
	for r := tileMR; r >= 1; r-- {
		if r < tileMR {
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
			emit(r, v)
		}
	}
}

// sets is the number of sets of sums of a tile.
func sets(rows int) int {
	if rows == 1 {
		return 4
	}
	return 1
}

// sum is the register of a sum of set 0.
func sum(row, vector int) int { return sums + 4*row + vector }

// registers names n vector registers from first on, for a load or a store.
func registers(first, n int, shape string) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("V%d.%s", first+i, shape))
	}
	return strings.Join(names, ", ")
}

// loadRow loads v vectors of a row of b and steps to the next row.
func (f *tile) loadRow(first, v int) {
	f.op("VLD1.P (R1)(R4), [%s]", registers(first, v, "S4"))
}

// steps emits the loops over R2 steps. Every sum adds its products in the order of the steps, or of those of its set.
// Pointers are left behind the last step.
func (f *tile) steps(rows, vectors int) {
	products := func(b int, a func(row int) (register, lane int), set int) {
		for r := range rows {
			register, lane := a(r)
			for v := range vectors {
				f.v(f.mac, sums+4*(r+set)+v, b+v, register, lane)
			}
		}
	}
	single, done := f.label("single"), f.label("done")
	if f.strided {
		adjacent := f.label("adjacent")
		f.op("CMP $4, R3")
		f.op("BEQ %s", adjacent)
		f.stridedSteps(rows, vectors, products)
		f.op("B %s", done)
		f.at(adjacent)
	}
	eight, four := f.label("eight"), f.label("four")
	unrolled := func(n int) {
		per := n / 4 // registers of a row
		for r := range rows {
			if n == 8 {
				f.op("FLDPQ.P 32(R%d), (F%d, F%d)", 8+r, 2*r, 2*r+1)
			} else {
				f.op("FMOVQ.P 16(R%d), F%d", 8+r, r)
			}
		}
		for s := range n {
			b := rowsOfB + 4*(s%2)
			f.loadRow(b, vectors)
			products(b, func(r int) (int, int) { return per*r + s/4, s % 4 }, s%sets(rows))
		}
	}
	f.op("SUBS $8, R2, R2")
	f.op("BLT %s", four)
	f.at(eight)
	unrolled(8)
	f.op("SUBS $8, R2, R2")
	f.op("BGE %s", eight)
	f.at(four)
	f.op("ADDS $4, R2, R2")
	rest := f.label("rest")
	f.op("BLT %s", rest)
	unrolled(4)
	f.op("SUB $4, R2, R2")
	f.at(rest)
	f.op("ADDS $4, R2, R2")
	f.op("BEQ %s", done)
	f.at(single)
	f.loadRow(rowsOfB, vectors)
	for r := range rows {
		f.op("FMOVS.P 4(R%d), F%d", 8+r, r)
	}
	products(rowsOfB, func(r int) (int, int) { return r, 0 }, 0)
	f.op("SUBS $1, R2, R2")
	f.op("BNE %s", single)
	f.at(done)
}

// stridedSteps emits the loops for steps R3 bytes apart: four at a time where the rows' elements are adjacent, as those of
// a transposed matrix are, or where there is one row; else one at a time.
func (f *tile) stridedSteps(rows, vectors int, products func(b int, a func(row int) (register, lane int), set int)) {
	single, done := f.label("single"), f.label("done")
	if rows == tileMR && vectors == tileVectors || rows == 1 {
		four, rest := f.label("four"), f.label("rest")
		load := "FMOVS"
		if rows > 1 {
			load = "FMOVQ"
			f.op("SUB R8, R9, R5")
			f.op("CMP $4, R5")
			f.op("BNE %s", single)
		}
		f.op("SUBS $4, R2, R2")
		f.op("BLT %s", rest)
		f.at(four)
		for s := range 4 {
			b := rowsOfB + 4*(s%2)
			f.op("%s (R8), F%d", load, s)
			f.op("ADD R3, R8, R8")
			f.loadRow(b, vectors)
			products(b, func(r int) (int, int) { return s, r }, s%sets(rows))
		}
		f.op("SUBS $4, R2, R2")
		f.op("BGE %s", four)
		for r := 1; r < rows; r++ {
			f.op("ADD $%d, R8, R%d", 4*r, 8+r)
		}
		f.at(rest)
		f.op("ADDS $4, R2, R2")
		f.op("BEQ %s", done)
	}
	f.at(single)
	f.loadRow(rowsOfB, vectors)
	for r := range rows {
		f.op("FMOVS (R%d), F%d", 8+r, r)
		f.op("ADD R3, R%d, R%d", 8+r, 8+r)
	}
	products(rowsOfB, func(r int) (int, int) { return r, 0 }, 0)
	f.op("SUBS $1, R2, R2")
	f.op("BNE %s", single)
	f.at(done)
}

// fold adds the sets of sums.
func (f *tile) fold(rows, vectors int) {
	for n := sets(rows) / 2; n > 0; n /= 2 {
		for s := range n {
			for v := range vectors {
				f.v("%s v%d.4s, v%d.4s, v%d.4s", f.add, sums+4*s+v, sums+4*s+v, sums+4*(s+n)+v)
			}
		}
	}
}

// clearSums zeroes the sums from row first on.
func (f *tile) clearSums(first, rows, vectors int) {
	for r := first; r < max(rows, sets(rows)); r++ {
		for v := range vectors {
			f.v("eor v%d.16b, v%d.16b, v%d.16b", sum(r, v), sum(r, v), sum(r, v))
		}
	}
}

// rowPointers sets R9 to R11 from R8 and the register with the bytes between rows.
func (f *file) rowPointers(rs string, rows int) {
	for r := 1; r < rows; r++ {
		f.op("ADD %s, R%d, R%d", rs, 7+r, 8+r)
	}
}

// addends emits the addition of c, where the field at offset acc is not 0, and of the columns' constants, where there
// are any. R3 is the number of bytes between rows of c. c and the constants have whole vectors.
func (f *tile) addends(rows, vectors, acc int) {
	constants, done := f.label("constants"), f.label("added")
	addRow := func(r int) {
		for v := range vectors {
			f.v("%s v%d.4s, v%d.4s, v%d.4s", f.add, sum(r, v), sum(r, v), v)
		}
	}
	f.op("MOVD %d(R0), R7", acc)
	f.op("CBZ R7, %s", constants)
	f.op("MOVD 16(R0), R1")
	for r := range rows {
		f.op("VLD1 (R1), [%s]", registers(0, vectors, "S4"))
		if r+1 < rows {
			f.op("ADD R3, R1, R1")
		}
		addRow(r)
	}
	f.at(constants)
	f.op("MOVD 24(R0), R1")
	f.op("CBZ R1, %s", done)
	f.op("VLD1 (R1), [%s]", registers(0, vectors, "S4"))
	for r := range rows {
		addRow(r)
	}
	f.at(done)
}

// store emits the stores of the rows, and the return.
func (f *tile) store(rows, vectors int) {
	f.op("MOVD 16(R0), R1")
	for r := range rows {
		f.op("VST1 [%s], (R1)", registers(sum(r, 0), vectors, "S4"))
		if r+1 < rows {
			f.op("ADD R3, R1, R1")
		}
	}
	f.op("RET")
}

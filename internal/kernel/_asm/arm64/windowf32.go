package main

import "fmt"

// windowReductions emits the reductions over windows. The fields of windowArgs lie eight bytes apart.
func windowReductions(f *file) {
	window(f, "sumWindowF32NEON", func(f *file, acc, v int) { f.v("fadd v%d.4s, v%d.4s, v%d.4s", acc, acc, v) }, true)
	window(f, "maxWindowF32NEON", func(f *file, acc, v int) { f.v("fmax v%d.4s, v%d.4s, v%d.4s", acc, acc, v) }, false)
}

func window(f *file, name string, add func(f *file, acc, v int), sum bool) {
	f.text(name, "(dst, src *float32, a *windowArgs)", 24)
	f.op("MOVD dst+0(FP), R0")
	f.op("MOVD src+8(FP), R1")
	f.op("MOVD a+16(FP), R2")
	// R3 pixels, R4 channels, R5 step, R6 rows, R7 bytes between rows, R8 columns, R9 bytes between columns.
	for i := range 7 {
		f.op("MOVD %d(R2), R%d", 8*i, 3+i)
	}
	for _, r := range []int{5, 7, 9} {
		f.op("LSL $2, R%d, R%d", r, r)
	}
	// V17 is what a reduction starts from, V16 the scale.
	if sum {
		f.op("FMOVS 56(R2), F16")
		f.v("dup v16.4s, v16.s[0]")
		f.v("eor v17.16b, v17.16b, v17.16b")
	} else {
		f.op("MOVD $0xff800000, R10")
		f.op("FMOVS R10, F17")
		f.v("dup v17.4s, v17.s[0]")
	}
	pixel := f.label("pixel")
	f.at(pixel)
	f.op("MOVD R1, R10")
	f.op("MOVD R4, R11")
	// block reduces n vectors of channels from R10 on, or one channel for n = 0, and stores them.
	block := func(n int) {
		row, tap := f.label("row"), f.label("tap")
		regs := max(n, 1)
		for k := range regs {
			f.v("orr v%d.16b, v17.16b, v17.16b", k)
		}
		f.op("MOVD R10, R12")
		f.op("MOVD R6, R13")
		f.at(row)
		f.op("MOVD R12, R14")
		f.op("MOVD R8, R15")
		f.at(tap)
		switch n {
		case 0:
			f.op("FMOVS (R14), F4")
		case 1:
			f.op("FMOVQ (R14), F4")
		default:
			for k := 0; k < n; k += 2 {
				f.op("FLDPQ %d(R14), (F%d, F%d)", 16*k, 4+k, 5+k)
			}
		}
		f.op("ADD R9, R14, R14")
		for k := range regs {
			add(f, k, 4+k)
		}
		f.op("SUBS $1, R15, R15")
		f.op("BNE %s", tap)
		f.op("ADD R7, R12, R12")
		f.op("SUBS $1, R13, R13")
		f.op("BNE %s", row)
		if sum {
			for k := range regs {
				f.v("fmul v%d.4s, v%d.4s, v16.4s", k, k)
			}
		}
		switch n {
		case 0:
			f.op("FMOVS F0, (R0)")
		case 1:
			f.op("FMOVQ F0, (R0)")
		default:
			for k := 0; k < n; k += 2 {
				f.op("FSTPQ (F%d, F%d), %d(R0)", k, k+1, 16*k)
			}
		}
	}
	for _, n := range []int{4, 1, 0} {
		top, done := f.label(fmt.Sprint("by", n, "x")), f.label("done")
		values := max(1, 4*n)
		f.at(top)
		f.op("CMP $%d, R11", values)
		f.op("BLT %s", done)
		block(n)
		f.op("ADD $%d, R10, R10", 4*values)
		f.op("ADD $%d, R0, R0", 4*values)
		f.op("SUB $%d, R11, R11", values)
		f.op("B %s", top)
		f.at(done)
	}
	f.op("ADD R5, R1, R1")
	f.op("SUBS $1, R3, R3")
	f.op("BNE %s", pixel)
	f.op("RET")
}

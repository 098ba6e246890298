package main

import "fmt"

// depthwise emits rows of depthwise convolutions: four positions by eight channels at a time, then fewer of both.
//
//	R0 arguments    R1 taps left    R2 next tap    R3 positions left    R4 channels left
//	R5 y    R6 x    R7 w    R8 bias    R9 step    R10 stride    R11 to R13 scratch    R15 act
//	V0 to V15 sums    V16, V17 weights    V18 to V25 values    V26 alpha    V27 lo    V28 hi
type depthwise struct {
	*file
	pairs bool // of 16-bit values; else float32
}

func depthwiseF32(f *file) { (&depthwise{f, false}).emit("depthF32") }

func depthwiseI16(f *file) { (&depthwise{f, true}).emit("depthI16") }

func (f *depthwise) emit(name string) {
	f.text(name+"NEON", "(t *"+name+")", 8)
	f.op("MOVD t+0(FP), R0")
	for i, r := range []string{"R5", "R6", "R7", "R8"} {
		f.op("MOVD %d(R0), %s", 8*i, r)
	}
	f.op("MOVD 48(R0), R3")
	f.op("MOVD 64(R0), R9")
	f.op("MOVD 72(R0), R10")
	f.op("LSL $2, R9, R9")
	f.op("LSL $2, R10, R10")
	if !f.pairs {
		f.op("MOVD 80(R0), R15")
		for i, v := range []int{26, 27, 28} {
			f.op("FMOVS %d(R0), F%d", 88+4*i, v)
			f.v("dup v%d.4s, v%d.s[0]", v, v)
		}
	}
	quad, single, done := f.label("quad"), f.label("single"), f.label("done")
	f.at(quad)
	f.op("CMP $4, R3")
	f.op("BLT %s", single)
	f.row(4)
	f.op("B %s", quad)
	f.at(single)
	f.op("CBZ R3, %s", done)
	f.row(1)
	f.op("B %s", single)
	f.at(done)
	f.op("RET")
}

// row computes positions, all channels, and moves on.
func (f *depthwise) row(positions int) {
	top, four, one, end := f.label("eight"), f.label("four"), f.label("one"), f.label("end")
	f.op("MOVD 56(R0), R4")
	f.op("SUBS $8, R4, R4")
	f.op("BLT %s", four)
	f.at(top)
	f.block(positions, 8)
	f.op("SUBS $8, R4, R4")
	f.op("BGE %s", top)
	f.at(four)
	f.op("ADDS $4, R4, R4")
	f.op("BLT %s", one)
	f.block(positions, 4)
	f.op("SUB $4, R4, R4")
	f.at(one)
	f.op("ADDS $4, R4, R4")
	f.op("BEQ %s", end)
	last := f.label("last")
	f.at(last)
	f.block(positions, 1)
	f.op("SUBS $1, R4, R4")
	f.op("BNE %s", last)
	f.at(end)
	f.op("MOVD 56(R0), R4")
	for _, r := range []string{"R5", "R6", "R7", "R8"} {
		f.op("SUB R4<<2, %s, %s", r, r)
	}
	for range positions {
		f.op("ADD R9, R6, R6")
		f.op("ADD R10, R5, R5")
	}
	f.op("SUB $%d, R3, R3", positions)
}

// block computes positions of 8, 4 or 1 channels and advances the pointers over them.
func (f *depthwise) block(positions, channels int) {
	vectors := (channels + 3) / 4
	move := func(load bool, base string, first int) {
		what, regs := "FMOVQ", fmt.Sprintf("F%d", first)
		switch {
		case channels == 8 && load:
			what, regs = "FLDPQ", fmt.Sprintf("(F%d, F%d)", first, first+1)
		case channels == 8:
			what, regs = "FSTPQ", fmt.Sprintf("(F%d, F%d)", first, first+1)
		case channels == 1:
			what = "FMOVS"
		}
		if load {
			f.op("%s (%s), %s", what, base, regs)
		} else {
			f.op("%s %s, (%s)", what, regs, base)
		}
	}
	// Sums of pairs are apart for the two halves of a pair, and take two registers.
	acc := func(i, v int) int { return 2*i + v }
	half := func(i, v int) int { return 4*i + 2*v }
	if f.pairs {
		for i := range 2 * vectors * positions {
			a := i%(2*vectors) + i/(2*vectors)*4
			f.v("eor v%d.16b, v%d.16b, v%d.16b", a, a, a)
		}
	} else {
		for i := range positions {
			move(true, "R8", acc(i, 0))
		}
	}
	taps, summed := f.label("taps"), f.label("summed")
	f.op("MOVD 40(R0), R1")
	f.op("MOVD 32(R0), R2")
	f.op("CBZ R1, %s", summed)
	f.at(taps)
	f.op("MOVD (R2), R11")
	f.op("MOVD 8(R2), R12")
	f.op("ADD $16, R2, R2")
	f.op("ADD R11<<2, R6, R11")
	f.op("ADD R12<<2, R7, R12")
	move(true, "R12", 16)
	for i := range positions {
		if i > 0 {
			f.op("ADD R9, R11, R11")
		}
		move(true, "R11", 18+2*i)
	}
	for i := range positions {
		for v := range vectors {
			x, w := 18+2*i+v, 16+v
			if f.pairs {
				f.v("smlal v%d.4s, v%d.4h, v%d.4h", half(i, v), x, w)
				f.v("smlal2 v%d.4s, v%d.8h, v%d.8h", half(i, v)+1, x, w)
			} else {
				f.v("fmla v%d.4s, v%d.4s, v%d.4s", acc(i, v), x, w)
			}
		}
	}
	f.op("SUBS $1, R1, R1")
	f.op("BNE %s", taps)
	f.at(summed)
	if f.pairs {
		move(true, "R8", 16)
		for i := range positions {
			for v := range vectors {
				// The register is free: sums of earlier ones have been read.
				f.v("addp v%d.4s, v%d.4s, v%d.4s", acc(i, v), half(i, v), half(i, v)+1)
				f.v("add v%d.4s, v%d.4s, v%d.4s", acc(i, v), acc(i, v), 16+v)
			}
		}
	} else {
		f.activate(positions, vectors, acc)
	}
	f.op("MOVD R5, R13")
	for i := range positions {
		if i > 0 {
			f.op("ADD R10, R13, R13")
		}
		move(false, "R13", acc(i, 0))
	}
	for _, r := range []string{"R5", "R6", "R7", "R8"} {
		f.op("ADD $%d, %s, %s", 4*channels, r, r)
	}
}

// activate applies the activation to sums.
func (f *depthwise) activate(positions, vectors int, acc func(i, v int) int) {
	store := f.label("store")
	f.op("CBZ R15, %s", store)
	for i := range positions {
		for v := range vectors {
			a := acc(i, v)
			f.v("fcmlt v18.4s, v%d.4s, #0.0", a)
			f.v("fmul v19.4s, v%d.4s, v26.4s", a)
			f.v("bit v%d.16b, v19.16b, v18.16b", a)
			f.v("fmax v%d.4s, v%d.4s, v27.4s", a, a)
			f.v("fmin v%d.4s, v%d.4s, v28.4s", a, a)
		}
	}
	f.at(store)
}

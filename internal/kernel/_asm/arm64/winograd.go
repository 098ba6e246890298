package main

// winograd emits the transforms of F(2×2, 3×3), four channels at a time and then one.
func winograd(f *file) {
	winogradInput(f)
	winogradOutput(f)
}

// move emits loads into, or stores from, registers first, first+1 … of what lies at base, base + step, …: four channels
// or one. It uses R25.
func (f *file) move(load, one bool, base, step string, regs ...int) {
	what := "FMOVQ"
	if one {
		what = "FMOVS"
	}
	at := base
	for i, r := range regs {
		if i > 0 {
			f.op("ADD %s, %s, R25", step, at)
			at = "R25"
		}
		if load {
			f.op("%s (%s), F%d", what, at, r)
		} else {
			f.op("%s F%d, (%s)", what, r, at)
		}
	}
}

// channels emits body for vectors of the channels that R1 counts, and for single ones; both advance the pointers.
func (f *file) channels(pointers []string, body func(one bool)) {
	top, tail, single, end := f.label("vector"), f.label("tail"), f.label("single"), f.label("end")
	step := func(bytes int) {
		for _, p := range pointers {
			f.op("ADD $%d, %s, %s", bytes, p, p)
		}
	}
	f.op("SUBS $4, R1, R1")
	f.op("BLT %s", tail)
	f.at(top)
	body(false)
	step(16)
	f.op("SUBS $4, R1, R1")
	f.op("BGE %s", top)
	f.at(tail)
	f.op("ADDS $4, R1, R1")
	f.op("BEQ %s", end)
	f.at(single)
	body(true)
	step(4)
	f.op("SUBS $1, R1, R1")
	f.op("BNE %s", single)
	f.at(end)
}

// quads makes four pointers step apart.
func (f *file) quads(p []string, step string) {
	for i := 1; i < 4; i++ {
		f.op("ADD %s, %s, %s", step, p[i-1], p[i])
	}
}

func winogradInput(f *file) {
	f.text("winogradInputF32NEON", "(dst *float32, ldf int, src *float32, row, pix, n, c int)", 56)
	dst, src := []string{"R4", "R5", "R6", "R7"}, []string{"R8", "R9", "R10", "R11"}
	const ldf, row, pix, n, c, next = "R12", "R13", "R14", "R15", "R16", "R17"
	f.op("MOVD dst+0(FP), R4")
	f.op("MOVD ldf+8(FP), %s", ldf)
	f.op("MOVD src+16(FP), R8")
	f.op("MOVD row+24(FP), %s", row)
	f.op("MOVD pix+32(FP), %s", pix)
	f.op("MOVD n+40(FP), %s", n)
	f.op("MOVD c+48(FP), %s", c)
	for _, r := range []string{ldf, row, pix} {
		f.op("LSL $2, %s, %s", r, r)
	}
	f.op("LSL $2, %s, R0", ldf)
	f.quads(dst, "R0")
	f.quads(src, row)
	f.op("LSL $1, %s, %s", pix, next)
	f.op("SUB %s<<2, %s, %s", c, next, next)
	tile := f.label("tile")
	f.at(tile)
	f.op("MOVD %s, R1", c)
	f.channels(append(append([]string{}, src...), dst...), func(one bool) {
		// (a, b, c, d) becomes (a-c, b+c, c-b, b-d), along rows and then along columns.
		across := func(i, first int) {
			f.move(true, one, src[i], pix, 28, 29, 30, 31)
			f.v("fsub v%d.4s, v28.4s, v30.4s", first)
			f.v("fadd v%d.4s, v29.4s, v30.4s", first+1)
			f.v("fsub v%d.4s, v30.4s, v29.4s", first+2)
			f.v("fsub v%d.4s, v29.4s, v31.4s", first+3)
		}
		for i := range 4 {
			across(i, 4*i)
		}
		down := func(i int, op string, x, y int) {
			for j := range 4 {
				f.v("%s v%d.4s, v%d.4s, v%d.4s", op, 16+j, 4*x+j, 4*y+j)
			}
			f.move(false, one, dst[i], ldf, 16, 17, 18, 19)
		}
		down(0, "fsub", 0, 2)
		down(1, "fadd", 1, 2)
		down(2, "fsub", 2, 1)
		down(3, "fsub", 1, 3)
	})
	for _, p := range src {
		f.op("ADD %s, %s, %s", next, p, p)
	}
	f.op("SUBS $1, %s, %s", n, n)
	f.op("BNE %s", tile)
	f.op("RET")
}

func winogradOutput(f *file) {
	f.text("winogradOutputF32NEON", "(t *winogradOut)", 8)
	src := []string{"R8", "R9", "R10", "R11"}
	const upper, lower, bias = "R4", "R5", "R6"
	const ldf, row, pix, n, c, next, nextSrc, act = "R12", "R13", "R14", "R15", "R16", "R17", "R19", "R20"
	f.op("MOVD t+0(FP), R0")
	for i, r := range []string{upper, "R8", bias, row, pix, ldf, nextSrc, n, c, act} {
		f.op("MOVD %d(R0), %s", 8*i, r)
	}
	for i, r := range []int{24, 25, 26} {
		f.op("FMOVS %d(R0), F%d", 80+4*i, r)
		f.v("dup v%d.4s, v%d.s[0]", r, r)
	}
	for _, r := range []string{ldf, row, pix, nextSrc} {
		f.op("LSL $2, %s, %s", r, r)
	}
	f.op("LSL $2, %s, R1", ldf)
	f.quads(src, "R1")
	f.op("ADD %s, %s, %s", row, upper, lower)
	f.op("LSL $1, %s, %s", pix, next)
	f.op("SUB %s<<2, %s, %s", c, next, next)
	f.op("SUB %s<<2, %s, %s", c, nextSrc, nextSrc)
	tile := f.label("tile")
	f.at(tile)
	f.op("MOVD %s, R1", c)
	f.channels(append([]string{upper, lower, bias}, src...), func(one bool) {
		// (a, b, c, d) becomes (a+b+c, b-c-d), along rows and then along columns.
		for i := range 4 {
			f.move(true, one, src[i], ldf, 28, 29, 30, 31)
			f.v("fadd v%d.4s, v28.4s, v29.4s", 2*i)
			f.v("fadd v%d.4s, v%d.4s, v30.4s", 2*i, 2*i)
			f.v("fsub v%d.4s, v29.4s, v30.4s", 2*i+1)
			f.v("fsub v%d.4s, v%d.4s, v31.4s", 2*i+1, 2*i+1)
		}
		f.move(true, one, bias, "", 27)
		for j := range 2 {
			f.v("fadd v%d.4s, v%d.4s, v%d.4s", 16+j, j, 2+j)
			f.v("fsub v%d.4s, v%d.4s, v%d.4s", 18+j, 2+j, 4+j)
			f.v("fadd v%d.4s, v%d.4s, v%d.4s", 16+j, 16+j, 4+j)
			f.v("fsub v%d.4s, v%d.4s, v%d.4s", 18+j, 18+j, 6+j)
		}
		for i := 16; i < 20; i++ {
			f.v("fadd v%d.4s, v%d.4s, v27.4s", i, i)
		}
		store := f.label("store")
		f.op("CBZ %s, %s", act, store)
		for i := 16; i < 20; i++ {
			f.v("fcmlt v%d.4s, v%d.4s, #0.0", i-16, i)
			f.v("fmul v%d.4s, v%d.4s, v24.4s", i-12, i)
			f.v("bit v%d.16b, v%d.16b, v%d.16b", i, i-12, i-16)
			f.v("fmax v%d.4s, v%d.4s, v25.4s", i, i)
			f.v("fmin v%d.4s, v%d.4s, v26.4s", i, i)
		}
		f.at(store)
		f.move(false, one, upper, pix, 16, 17)
		f.move(false, one, lower, pix, 18, 19)
	})
	for _, p := range src {
		f.op("ADD %s, %s, %s", nextSrc, p, p)
	}
	f.op("ADD %s, %s, %s", next, upper, upper)
	f.op("ADD %s, %s, %s", next, lower, lower)
	f.op("SUB %s<<2, %s, %s", c, bias, bias)
	f.op("SUBS $1, %s, %s", n, n)
	f.op("BNE %s", tile)
	f.op("RET")
}

package main

// vectors emits elementwise arithmetic and reductions.
func vectors(f *file) {
	binary := func(name, op string) {
		(&loop{
			name: name, slices: []string{"dst", "a", "b"}, size: 72, loads: []int{1, 2}, stores: []int{0}, regs: 4,
			body: func(f *file, v func(int) int) { f.v("%s v%d.4s, v%d.4s, v%d.4s", op, v(0), v(1), v(2)) },
		}).emit(f)
	}
	binary("addF32NEON", "fadd")
	binary("subF32NEON", "fsub")
	binary("mulF32NEON", "fmul")
	binary("divF32NEON", "fdiv")
	binary("maximumF32NEON", "fmax")
	binary("minimumF32NEON", "fmin")

	// broadcast loads the scalar arguments that follow n slices into all lanes of V16, V17 …
	broadcast := func(n int, names ...string) func(*file) {
		return func(f *file) {
			for i, name := range names {
				f.op("FMOVS %s+%d(FP), F%d", name, 24*n+4*i, 16+i)
				f.v("dup v%d.4s, v%d.s[0]", 16+i, 16+i)
			}
		}
	}
	const one, two = "s float32", "s, t float32"
	unary := func(name, params string, size int, setup func(*file), body func(*file, func(int) int)) {
		(&loop{name: name, slices: []string{"dst", "x"}, params: params, size: size, loads: []int{1}, stores: []int{0}, regs: 4, setup: setup, body: body}).emit(f)
	}
	unary("addScalarF32NEON", one, 52, broadcast(2, "s"), func(f *file, v func(int) int) {
		f.v("fadd v%d.4s, v%d.4s, v16.4s", v(0), v(1))
	})
	unary("mulScalarF32NEON", one, 52, broadcast(2, "s"), func(f *file, v func(int) int) {
		f.v("fmul v%d.4s, v%d.4s, v16.4s", v(0), v(1))
	})
	unary("affineF32NEON", two, 56, broadcast(2, "s", "t"), func(f *file, v func(int) int) {
		f.v("orr v%d.16b, v17.16b, v17.16b", v(0))
		f.v("fmla v%d.4s, v%d.4s, v16.4s", v(0), v(1))
	})
	(&loop{
		name: "axpyF32NEON", slices: []string{"y", "x"}, params: one, size: 52, loads: []int{0, 1}, stores: []int{0}, regs: 4, setup: broadcast(2, "s"),
		body: func(f *file, v func(int) int) { f.v("fmla v%d.4s, v%d.4s, v16.4s", v(0), v(1)) },
	}).emit(f)
	unary("reluF32NEON", "", 48, func(f *file) { f.v("eor v16.16b, v16.16b, v16.16b") }, func(f *file, v func(int) int) {
		f.v("fmax v%d.4s, v%d.4s, v16.4s", v(0), v(1))
	})
	unary("leakyReluF32NEON", one, 52, broadcast(2, "s"), func(f *file, v func(int) int) {
		f.v("fmul v%d.4s, v%d.4s, v16.4s", v(2), v(1))
		f.v("fcmlt v%d.4s, v%d.4s, #0.0", v(0), v(1))
		f.v("bsl v%d.16b, v%d.16b, v%d.16b", v(0), v(2), v(1))
	})
	unary("clipF32NEON", two, 56, broadcast(2, "s", "t"), func(f *file, v func(int) int) {
		f.v("fmax v%d.4s, v%d.4s, v16.4s", v(0), v(1))
		f.v("fmin v%d.4s, v%d.4s, v17.4s", v(0), v(0))
	})
	unary("sqrtF32NEON", "", 48, nil, func(f *file, v func(int) int) {
		f.v("fsqrt v%d.4s, v%d.4s", v(0), v(1))
	})

	// A dot product's lanes of zeros past the end add nothing; so do those of the sums below.
	reduction(f, "dotF32NEON", 2, "", func(s, x, y int) { f.v("fmla v%d.4s, v%d.4s, v%d.4s", s, x, y) })
	reduction(f, "sumF32NEON", 1, "", func(s, x, y int) { f.v("fadd v%d.4s, v%d.4s, v%d.4s", s, s, x) })
	reduction(f, "sumSqF32NEON", 1, "", func(s, x, y int) { f.v("fmla v%d.4s, v%d.4s, v%d.4s", s, x, x) })
	reduction(f, "sumSqDiffF32NEON", 2, "", func(s, x, y int) {
		f.v("fsub v%d.4s, v%d.4s, v%d.4s", x, x, y)
		f.v("fmla v%d.4s, v%d.4s, v%d.4s", s, x, x)
	})
	reduction(f, "sumAbsF32NEON", 1, "", func(s, x, y int) {
		f.v("fabs v%d.4s, v%d.4s", x, x)
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", s, s, x)
	})
	reduction(f, "deviationsF32NEON", 1, "ref", func(s, x, y int) {
		f.v("fsub v%d.4s, v%d.4s, v20.4s", x, x)
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", 21+s, 21+s, x)
		f.v("fmla v%d.4s, v%d.4s, v%d.4s", s, x, x)
	})
	extreme(f, "maxF32NEON", "fmax")
	extreme(f, "minF32NEON", "fmin")
}

// reduction emits a reduction over one or two slices with sixteen partial sums in V0 to V3. x is in V4 to V7, y in V16 to
// V19. param, unless empty, is a parameter in all lanes of V20, and in the first lane only, others being 0, while single
// elements are added; there are then two results, of which the first is summed in V21 to V24.
func reduction(f *file, name string, slices int, param string, add func(s, x, y int)) {
	names := []string{"x", "y"}[:slices]
	size := 24 * slices
	declared := ""
	if param != "" {
		declared = param + " float32"
		size += 8
	}
	results := []string{"ret"}
	if param == "" {
		f.text(name, signature(names, declared)+" float32", size+4)
	} else {
		results = []string{"sq", "sum"}
		f.text(name, signature(names, declared)+" (sum, sq float32)", size+8)
	}
	loadSlices(f, names)
	if param != "" {
		f.op("FMOVS %s+%d(FP), F20", param, 24*slices)
		f.v("dup v20.4s, v20.s[0]")
		for i := 21; i <= 24; i++ {
			f.v("eor v%d.16b, v%d.16b, v%d.16b", i, i, i)
		}
	}
	for i := range 4 {
		f.v("eor v%d.16b, v%d.16b, v%d.16b", i, i, i)
	}
	wide, rest, four, tail, one, done := f.label("wide"), f.label("rest"), f.label("four"), f.label("tail"), f.label("one"), f.label("done")
	advance := func(bytes int) {
		for k := range slices {
			f.op("ADD $%d, R%d, R%d", bytes, k+2, k+2)
		}
	}
	f.op("SUBS $16, R1, R1")
	f.op("BLT %s", rest)
	f.at(wide)
	for k, first := range []int{4, 16}[:slices] {
		f.op("FLDPQ (R%d), (F%d, F%d)", k+2, first, first+1)
		f.op("FLDPQ 32(R%d), (F%d, F%d)", k+2, first+2, first+3)
	}
	advance(64)
	f.interleave(4, func(i int) { add(i, 4+i, 16+i) })
	f.op("SUBS $16, R1, R1")
	f.op("BGE %s", wide)
	f.at(rest)
	f.op("ADDS $12, R1, R1")
	f.op("BLT %s", tail)
	f.at(four)
	for k, first := range []int{4, 16}[:slices] {
		f.op("FMOVQ (R%d), F%d", k+2, first)
	}
	advance(16)
	add(1, 4, 16)
	f.op("SUBS $4, R1, R1")
	f.op("BGE %s", four)
	f.at(tail)
	f.op("ADDS $4, R1, R1")
	f.op("BEQ %s", done)
	if param != "" {
		f.op("FMOVS %s+%d(FP), F20", param, 24*slices)
	}
	f.at(one)
	for k, first := range []int{4, 16}[:slices] {
		f.op("FMOVS (R%d), F%d", k+2, first)
	}
	advance(4)
	add(2, 4, 16)
	f.op("SUBS $1, R1, R1")
	f.op("BNE %s", one)
	f.at(done)
	for i, result := range results {
		r := 21 * i
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", r, r, r+1)
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", r+2, r+2, r+3)
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", r, r, r+2)
		f.v("faddp v%d.4s, v%d.4s, v%d.4s", r, r, r)
		f.v("faddp v%d.4s, v%d.4s, v%d.4s", r, r, r)
		f.op("FMOVS F%d, %s+%d(FP)", r, result, size+4*(len(results)-1-i))
	}
	f.op("RET")
}

// extreme emits the greatest or least element of a slice; init is the result for an empty one.
func extreme(f *file, name, op string) {
	f.text(name, "(x []float32, init float32) float32", 36)
	loadSlices(f, []string{"x"})
	f.op("FMOVS init+24(FP), F0")
	for i := 3; i >= 0; i-- {
		f.v("dup v%d.4s, v0.s[0]", i)
	}
	wide, tail, one, done := f.label("wide"), f.label("tail"), f.label("one"), f.label("done")
	f.op("SUBS $16, R1, R1")
	f.op("BLT %s", tail)
	f.at(wide)
	f.op("FLDPQ (R2), (F4, F5)")
	f.op("FLDPQ 32(R2), (F6, F7)")
	f.op("ADD $64, R2, R2")
	for i := range 4 {
		f.v("%s v%d.4s, v%d.4s, v%d.4s", op, i, i, 4+i)
	}
	f.op("SUBS $16, R1, R1")
	f.op("BGE %s", wide)
	f.at(tail)
	f.op("ADDS $16, R1, R1")
	f.op("BEQ %s", done)
	f.at(one)
	f.op("FMOVS (R2), F4")
	f.op("ADD $4, R2, R2")
	f.v("dup v4.4s, v4.s[0]")
	f.v("%s v0.4s, v0.4s, v4.4s", op)
	f.op("SUBS $1, R1, R1")
	f.op("BNE %s", one)
	f.at(done)
	f.v("%s v0.4s, v0.4s, v1.4s", op)
	f.v("%s v2.4s, v2.4s, v3.4s", op)
	f.v("%s v0.4s, v0.4s, v2.4s", op)
	f.v("%sv s0, v0.4s", op)
	f.op("FMOVS F0, ret+32(FP)")
	f.op("RET")
}

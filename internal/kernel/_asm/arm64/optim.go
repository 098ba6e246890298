package main

// optimisers emits the fused optimiser passes.
func optimisers(f *file) {
	(&loop{
		// h holds beta1, rest1, beta2, rest2, decay, step, root, eps, scale.
		name: "adamF32NEON", slices: []string{"p", "g", "m", "v"}, params: "h *adamArgs", size: 104,
		loads: []int{0, 1, 2, 3}, stores: []int{0, 2, 3}, regs: 8,
		setup: func(f *file) {
			f.op("MOVD h+96(FP), R6")
			f.op("FMOVQ (R6), F16")
			f.op("FMOVQ 16(R6), F17")
			f.op("FMOVS 32(R6), F18")
			f.v("dup v19.4s, v17.s[3]")
		},
		body: func(f *file, v func(int) int) {
			p, g, m, s, t := v(0), v(1), v(2), v(3), v(4)
			f.v("fmul v%d.4s, v%d.4s, v18.s[0]", g, g)
			f.v("fmul v%d.4s, v%d.4s, v16.s[0]", m, m)
			f.v("fmla v%d.4s, v%d.4s, v16.s[1]", m, g)
			f.v("fmul v%d.4s, v%d.4s, v%d.4s", g, g, g)
			f.v("fmul v%d.4s, v%d.4s, v16.s[2]", s, s)
			f.v("fmla v%d.4s, v%d.4s, v16.s[3]", s, g)
			f.v("fsqrt v%d.4s, v%d.4s", t, s)
			f.v("fmul v%d.4s, v%d.4s, v17.s[2]", t, t)
			f.v("fadd v%d.4s, v%d.4s, v19.4s", t, t)
			f.v("fmul v%d.4s, v%d.4s, v17.s[1]", g, m)
			f.v("fdiv v%d.4s, v%d.4s, v%d.4s", t, g, t)
			f.v("fmul v%d.4s, v%d.4s, v17.s[0]", p, p)
			f.v("fsub v%d.4s, v%d.4s, v%d.4s", p, p, t)
		},
	}).emit(f)

	// h holds LR, Momentum, WeightDecay, GradScale.
	sgd := func(name string, moment, nesterov bool) {
		l := &loop{
			name: name, slices: []string{"p", "g"}, params: "h *SGDParams", size: 56,
			loads: []int{0, 1}, stores: []int{0}, regs: 8,
		}
		if moment {
			l.slices, l.size, l.loads, l.stores = append(l.slices, "v"), 80, []int{0, 1, 2}, []int{0, 2}
		}
		l.setup = func(f *file) {
			f.op("MOVD h+%d(FP), R6", 24*len(l.slices))
			f.op("FMOVQ (R6), F16")
		}
		l.body = func(f *file, v func(int) int) {
			p, g, m := v(0), v(1), v(2)
			f.v("fmul v%d.4s, v%d.4s, v16.s[3]", g, g)
			f.v("fmla v%d.4s, v%d.4s, v16.s[2]", g, p)
			step := g
			if moment {
				f.v("fmul v%d.4s, v%d.4s, v16.s[1]", m, m)
				f.v("fadd v%d.4s, v%d.4s, v%d.4s", m, m, g)
				step = m
			}
			if nesterov {
				f.v("fmla v%d.4s, v%d.4s, v16.s[1]", g, m)
				step = g
			}
			f.v("fmls v%d.4s, v%d.4s, v16.s[0]", p, step)
		}
		l.emit(f)
	}
	sgd("sgdF32NEON", false, false)
	sgd("sgdMomentumF32NEON", true, false)
	sgd("sgdNesterovF32NEON", true, true)
}

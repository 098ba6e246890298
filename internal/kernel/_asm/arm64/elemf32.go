package main

import "fmt"

// elements emits further elementwise routines without polynomials.
func elements(f *file) {
	one := func(name string, constant string, body func(f *file, v func(int) int)) {
		(&loop{name: name, slices: []string{"dst", "x"}, size: 48, loads: []int{1}, stores: []int{0}, regs: 4, body: body,
			setup: func(f *file) {
				if constant != "" {
					f.op("FMOVS $%s, F16", constant)
					f.v("dup v16.4s, v16.s[0]")
				}
			}}).emit(f)
	}
	plain := func(name, op string) {
		one(name, "", func(f *file, v func(int) int) { f.v("%s v%d.4s, v%d.4s", op, v(0), v(1)) })
	}
	plain("absF32NEON", "fabs")
	plain("negF32NEON", "fneg")
	one("reciprocalF32NEON", "1.0", func(f *file, v func(int) int) { f.v("fdiv v%d.4s, v16.4s, v%d.4s", v(0), v(1)) })
	plain("floorF32NEON", "frintm")
	plain("ceilF32NEON", "frintp")
	plain("roundF32NEON", "frintn")
	one("softsignF32NEON", "1.0", func(f *file, v func(int) int) {
		f.v("fabs v%d.4s, v%d.4s", v(2), v(1))
		f.v("fadd v%d.4s, v%d.4s, v16.4s", v(2), v(2))
		f.v("fdiv v%d.4s, v%d.4s, v%d.4s", v(0), v(1), v(2))
	})
	(&loop{name: "preluF32NEON", slices: []string{"dst", "x", "slope"}, size: 72, loads: []int{1, 2}, stores: []int{0}, regs: 4,
		body: func(f *file, v func(int) int) {
			f.v("fmul v%d.4s, v%d.4s, v%d.4s", v(2), v(2), v(1))
			f.v("fcmlt v%d.4s, v%d.4s, #0.0", v(0), v(1))
			f.v("bsl v%d.16b, v%d.16b, v%d.16b", v(0), v(2), v(1))
		}}).emit(f)

	broadcast := func(n int, names ...string) func(*file) {
		return func(f *file) {
			for i, name := range names {
				f.op("FMOVS %s+%d(FP), F%d", name, 24*n+4*i, 16+i)
				f.v("dup v%d.4s, v%d.s[0]", 16+i, 16+i)
			}
		}
	}
	scalar := func(name, s string, body func(f *file, v func(int) int)) {
		(&loop{name: name, slices: []string{"dst", "x"}, params: fmt.Sprintf("%s float32", s), size: 52, loads: []int{1}, stores: []int{0}, regs: 4,
			setup: broadcast(2, s), body: body}).emit(f)
	}
	scalar("thresholdF32NEON", "t", func(f *file, v func(int) int) {
		// NaN is not below or equal.
		f.v("fcmge v%d.4s, v16.4s, v%d.4s", v(2), v(1))
		f.v("bic v%d.16b, v%d.16b, v%d.16b", v(0), v(1), v(2))
	})
	scalar("divScalarF32NEON", "s", func(f *file, v func(int) int) { f.v("fdiv v%d.4s, v%d.4s, v16.4s", v(0), v(1)) })
	scalar("scalarDivF32NEON", "s", func(f *file, v func(int) int) { f.v("fdiv v%d.4s, v16.4s, v%d.4s", v(0), v(1)) })
	(&loop{name: "centerF32NEON", slices: []string{"dst", "x"}, params: "ref, scale, shift float32", size: 60, loads: []int{1}, stores: []int{0}, regs: 4,
		setup: broadcast(2, "ref", "scale", "shift"), body: func(f *file, v func(int) int) {
			f.v("fsub v%d.4s, v%d.4s, v16.4s", v(1), v(1))
			f.v("orr v%d.16b, v18.16b, v18.16b", v(0))
			f.v("fmla v%d.4s, v%d.4s, v17.4s", v(0), v(1))
		}}).emit(f)
	(&loop{name: "mixF32NEON", slices: []string{"dst", "a", "b"}, params: "wa, wb float32", size: 80, loads: []int{1, 2}, stores: []int{0}, regs: 4,
		setup: broadcast(3, "wa", "wb"), body: func(f *file, v func(int) int) {
			f.v("fmul v%d.4s, v%d.4s, v17.4s", v(0), v(2))
			f.v("fmla v%d.4s, v%d.4s, v16.4s", v(0), v(1))
		}}).emit(f)
}

package main

// gradients emits the elementwise routines that training needs beside those of vectors.
func gradients(f *file) {
	(&loop{
		name: "mulAddF32NEON", slices: []string{"dst", "a", "b"}, size: 72, loads: []int{0, 1, 2}, stores: []int{0}, regs: 4,
		body: func(f *file, v func(int) int) { f.v("fmla v%d.4s, v%d.4s, v%d.4s", v(0), v(1), v(2)) },
	}).emit(f)
	(&loop{
		name: "affinesF32NEON", slices: []string{"dst", "x", "scale", "shift"}, size: 96, loads: []int{1, 2, 3}, stores: []int{0}, regs: 4,
		body: func(f *file, v func(int) int) {
			f.v("orr v%d.16b, v%d.16b, v%d.16b", v(0), v(3), v(3))
			f.v("fmla v%d.4s, v%d.4s, v%d.4s", v(0), v(1), v(2))
		},
	}).emit(f)
	(&loop{
		name: "leakyReluGradF32NEON", slices: []string{"dst", "dy", "x"}, params: "alpha float32", size: 76, loads: []int{1, 2}, stores: []int{0}, regs: 4,
		setup: func(f *file) {
			f.op("FMOVS alpha+72(FP), F16")
			f.v("dup v16.4s, v16.s[0]")
			f.v("eor v17.16b, v17.16b, v17.16b")
		},
		body: func(f *file, v func(int) int) {
			f.v("fcmgt v%d.4s, v%d.4s, v17.4s", v(0), v(2))
			f.v("fmul v%d.4s, v%d.4s, v16.4s", v(3), v(1))
			f.v("bsl v%d.16b, v%d.16b, v%d.16b", v(0), v(1), v(3))
		},
	}).emit(f)
	(&loop{
		name: "reluGradF32NEON", slices: []string{"dst", "dy", "y"}, size: 72, loads: []int{1, 2}, stores: []int{0}, regs: 4,
		setup: func(f *file) { f.v("eor v17.16b, v17.16b, v17.16b") },
		body: func(f *file, v func(int) int) {
			f.v("fcmgt v%d.4s, v%d.4s, v17.4s", v(0), v(2))
			f.v("and v%d.16b, v%d.16b, v%d.16b", v(0), v(0), v(1))
		},
	}).emit(f)
}

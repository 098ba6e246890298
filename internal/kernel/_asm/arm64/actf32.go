package main

// activations emits the activation functions of actf32.go.
func activations(f *file) {
	e := &mathEmitter{file: f}
	exps := []string{"log2e", "exp4", "exp0"}
	ofExp := []string{"expMin", "expMax", "one", "bias"}
	e.function("eluF32NEON", append(exps, "eluMin"), []string{"one", "bias"}, func(v func(int) int) {
		x, r, n, b, c, d := v(0), v(1), v(2), v(3), v(4), v(5)
		f.v("dup v%d.4s, %s", d, e.lane("eluMin"))
		f.v("fmul v%d.4s, v%d.4s, %s.4s", r, x, e.all("inv"))
		f.v("fmax v%d.4s, v%d.4s, v%d.4s", r, r, d)
		f.v("fmul v%d.4s, v%d.4s, %s", n, r, e.lane("log2e"))
		f.v("frintn v%d.4s, v%d.4s", n, n)
		f.v("fmls v%d.4s, v%d.4s, %s", r, n, e.lane("ln2Hi"))
		f.v("fmls v%d.4s, v%d.4s, %s", r, n, e.lane("ln2Lo"))
		f.v("fcvtns v%d.4s, v%d.4s", n, n)
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", d, r, r)
		p := e.horner(r, b, c, "exp4", "exp3", "exp2", "exp1", "exp0")
		f.v("fmla v%d.4s, v%d.4s, v%d.4s", r, d, p)
		f.v("add v%d.4s, v%d.4s, %s.4s", n, n, e.all("bias"))
		f.v("shl v%d.4s, v%d.4s, #23", n, n)
		f.v("fsub v%d.4s, v%d.4s, %s.4s", d, n, e.all("one"))
		f.v("fmla v%d.4s, v%d.4s, v%d.4s", d, n, r)
		f.v("fmul v%d.4s, v%d.4s, %s.4s", d, d, e.all("neg"))
		f.v("fcmlt v%d.4s, v%d.4s, #0.0", b, x)
		f.v("fmul v%d.4s, v%d.4s, %s.4s", x, x, e.all("pos"))
		f.v("bit v%d.16b, v%d.16b, v%d.16b", x, d, b)
	}, "pos", "neg", "inv")
	e.function("swishF32NEON", exps, ofExp, func(v func(int) int) {
		f.v("orr v%d.16b, v%d.16b, v%d.16b", v(6), v(0), v(0))
		f.v("fmul v%d.4s, v%d.4s, %s.4s", v(0), v(0), e.all("alpha"))
		e.sigmoid(v(0), v(1), v(2), v(3), v(4), v(5))
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", v(0), v(0), v(6))
	}, "alpha")
	e.function("mishF32NEON", exps, append(ofExp, "two", "mishMax"), func(v func(int) int) {
		x, y, w := v(0), v(1), v(2)
		f.v("fmin v%d.4s, v%d.4s, %s.4s", y, x, e.all("mishMax"))
		e.exp(y, v(2), v(3), v(4), v(5))
		f.v("fadd v%d.4s, v%d.4s, %s.4s", w, y, e.all("two"))
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", y, y, w)
		f.v("fadd v%d.4s, v%d.4s, %s.4s", w, y, e.all("two"))
		f.v("fdiv v%d.4s, v%d.4s, v%d.4s", y, y, w)
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", x, x, y)
	})
	e.function("geluF32NEON", append(exps, "erf6", "erf2", "erfc6", "erfc2", "sqrtHalf"), append(ofExp, "erfMax", "sign", "half"), func(v func(int) int) {
		h := v(6)
		f.v("fmul v%d.4s, v%d.4s, %s.4s", h, v(0), e.all("half"))
		f.v("fmul v%d.4s, v%d.4s, %s", v(0), v(0), e.lane("sqrtHalf"))
		e.erf(v(0), v(1), v(2), v(3), v(4), v(5))
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", v(0), v(0), h)
		f.v("fadd v%d.4s, v%d.4s, v%d.4s", v(0), v(0), h)
	})
	e.function("geluTanhF32NEON", append(exps, "geluLinear", "geluCubic"), ofExp, func(v func(int) int) {
		x := v(6)
		f.v("orr v%d.16b, v%d.16b, v%d.16b", x, v(0), v(0))
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", v(1), x, x)
		f.v("dup v%d.4s, %s", v(2), e.lane("geluLinear"))
		f.v("fmla v%d.4s, v%d.4s, %s", v(2), v(1), e.lane("geluCubic"))
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", v(0), x, v(2))
		e.sigmoid(v(0), v(1), v(2), v(3), v(4), v(5))
		f.v("fmul v%d.4s, v%d.4s, v%d.4s", v(0), v(0), x)
	})
}

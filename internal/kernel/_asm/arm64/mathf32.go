package main

import (
	"fmt"
	"strings"
)

// table is the order of the constants in mathTable, which the elementary functions take as their last argument.
var table = []string{
	"log2e", "ln2Hi", "ln2Lo", "one",
	"exp4", "exp3", "exp2", "exp1",
	"exp0", "expMin", "expMax", "bias",
	"log8", "log7", "log6", "log5",
	"log4", "log3", "log2", "log1",
	"log0", "half", "sqrtH", "sqrt2m1",
	"tanh4", "tanh3", "tanh2", "tanh1",
	"tanh0", "tanhMid", "two", "sign",
	"erf6", "erf5", "erf4", "erf3",
	"erf2", "erf1", "erf0", "erfMax",
	"erfc6", "erfc5", "erfc4", "erfc3",
	"erfc2", "erfc1", "erfc0", "nan",
	"inf", "minNormal", "scale23", "minus23",
	"eluMin", "mishMax", "sqrtHalf", "geluLinear",
	"geluCubic", "unused1", "unused2", "unused3",
}

// maths emits the elementary functions, the same polynomials as the generic ones with fused multiply-adds.
func maths(f *file) {
	e := &mathEmitter{file: f}
	exps := []string{"log2e", "exp4", "exp0"}
	logs := []string{"log8", "log4", "log0", "log2e"}
	e.function("expF32NEON", exps, []string{"expMin", "expMax", "one", "bias"}, func(v func(int) int) {
		e.exp(v(0), v(1), v(2), v(3), v(4))
	})
	e.function("logF32NEON", append(logs, "inf", "nan"), []string{"one", "sqrtH"}, e.log)
	e.function("sigmoidF32NEON", exps, []string{"expMin", "expMax", "one", "bias"}, func(v func(int) int) {
		e.sigmoid(v(0), v(1), v(2), v(3), v(4), v(5))
	})
	e.function("tanhF32NEON", append(exps, "tanh4", "tanh0"), []string{"expMin", "expMax", "one", "bias", "two", "tanhMid", "sign"}, e.tanh)
	e.function("softplusF32NEON", append(exps, "log8", "log4", "log0"), []string{"expMin", "expMax", "one", "bias", "sqrt2m1", "half"}, e.softplus)
	e.function("erfF32NEON", append(exps, "erf6", "erf2", "erfc6", "erfc2"), []string{"expMin", "expMax", "one", "bias", "erfMax", "sign"}, func(v func(int) int) {
		e.erf(v(0), v(1), v(2), v(3), v(4), v(5))
	})
}

// mathEmitter knows where the constants of the function being emitted are.
type mathEmitter struct {
	*file
	lanes map[string]string // "v24.s[1]"
	whole map[string]string // "v16": broadcast to all lanes
}

func (e *mathEmitter) lane(name string) string {
	l, ok := e.lanes[name]
	if !ok {
		panic("constant " + name + " is not loaded")
	}
	return l
}

func (e *mathEmitter) all(name string) string {
	r, ok := e.whole[name]
	if !ok {
		panic("constant " + name + " is not broadcast")
	}
	return r
}

// function emits an elementwise function of one argument, which body finds in and leaves in its register 0. It loads
// the rows of the table that contain the constants rows and broadcasts the constants whole.
// The routine's parameters params follow the table, and are broadcast too.
func (e *mathEmitter) function(name string, rows, whole []string, body func(v func(int) int), params ...string) {
	e.lanes, e.whole = map[string]string{}, map[string]string{}
	loads := map[int]int{}
	next := 31
	row := func(constant string) int {
		for i, t := range table {
			if t == constant {
				return i / 4
			}
		}
		panic("no constant " + constant)
	}
	declared := ""
	if len(params) > 0 {
		declared = strings.Join(params, ", ") + " float32, "
	}
	l := &loop{name: name, slices: []string{"dst", "x"}, params: declared + "c *[mathConstants]float32", size: 56 + (len(params)+1)/2*8,
		loads: []int{1}, stores: []int{0}, regs: 8}
	l.setup = func(f *file) {
		for i, p := range params {
			f.op("FMOVS %s+%d(FP), F%d", p, 48+4*i, 16+len(whole)+i)
			f.v("dup v%d.4s, v%d.s[0]", 16+len(whole)+i, 16+len(whole)+i)
			e.whole[p] = fmt.Sprintf("v%d", 16+len(whole)+i)
		}
		f.op("MOVD c+%d(FP), R4", 48+(len(params)+1)/2*8)
		for _, c := range rows {
			r := row(c)
			if _, ok := loads[r]; ok {
				continue
			}
			loads[r] = next
			f.op("FMOVQ %d(R4), F%d", 16*r, next)
			for i := range 4 {
				e.lanes[table[4*r+i]] = fmt.Sprintf("v%d.s[%d]", next, i)
			}
			next--
		}
		for i, c := range whole {
			for j, t := range table {
				if t == c {
					f.op("FMOVS %d(R4), F%d", 4*j, 16+i)
				}
			}
			f.v("dup v%d.4s, v%d.s[0]", 16+i, 16+i)
			e.whole[c] = fmt.Sprintf("v%d", 16+i)
		}
		if 16+len(whole)+len(params) > next+1 {
			panic(name + ": too many constants")
		}
	}
	l.body = func(f *file, v func(int) int) {
		// The loop loads slice 1 into register 1.
		f.v("orr v%d.16b, v%d.16b, v%d.16b", v(0), v(1), v(1))
		body(v)
	}
	l.emit(e.file)
}

// horner emits a polynomial in x whose coefficients are the named constants, highest power first, and returns the one
// of the two registers that holds it.
func (e *mathEmitter) horner(x, p, q int, names ...string) int {
	e.v("dup v%d.4s, %s", p, e.lane(names[1]))
	e.v("fmla v%d.4s, v%d.4s, %s", p, x, e.lane(names[0]))
	for _, n := range names[2:] {
		e.v("dup v%d.4s, %s", q, e.lane(n))
		e.v("fmla v%d.4s, v%d.4s, v%d.4s", q, p, x)
		p, q = q, p
	}
	return p
}

// exp replaces register x by its exponential; a, b, c and d are overwritten.
func (e *mathEmitter) exp(x, a, b, c, d int) {
	e.v("fmax v%d.4s, v%d.4s, %s.4s", x, x, e.all("expMin"))
	e.v("fmin v%d.4s, v%d.4s, %s.4s", x, x, e.all("expMax"))
	e.v("fmul v%d.4s, v%d.4s, %s", a, x, e.lane("log2e"))
	e.v("frintn v%d.4s, v%d.4s", a, a)
	e.v("fmls v%d.4s, v%d.4s, %s", x, a, e.lane("ln2Hi"))
	e.v("fmls v%d.4s, v%d.4s, %s", x, a, e.lane("ln2Lo"))
	e.v("fcvtns v%d.4s, v%d.4s", a, a)
	e.v("fmul v%d.4s, v%d.4s, v%d.4s", d, x, x)
	p := e.horner(x, b, c, "exp4", "exp3", "exp2", "exp1", "exp0")
	e.v("fmla v%d.4s, v%d.4s, v%d.4s", x, d, p)
	e.v("fadd v%d.4s, v%d.4s, %s.4s", x, x, e.all("one"))
	e.v("sshr v%d.4s, v%d.4s, #1", b, a)
	e.v("sub v%d.4s, v%d.4s, v%d.4s", a, a, b)
	for _, r := range []int{b, a} {
		e.v("add v%d.4s, v%d.4s, %s.4s", r, r, e.all("bias"))
		e.v("shl v%d.4s, v%d.4s, #23", r, r)
		e.v("fmul v%d.4s, v%d.4s, v%d.4s", x, x, r)
	}
}

// logMant replaces register x by log(1+x) + n*ln(2); b, c and d are overwritten.
func (e *mathEmitter) logMant(x, n, b, c, d int) {
	p := e.horner(x, b, c, "log8", "log7", "log6", "log5", "log4", "log3", "log2", "log1", "log0")
	e.v("fmul v%d.4s, v%d.4s, v%d.4s", d, x, x)
	e.v("fmul v%d.4s, v%d.4s, v%d.4s", p, p, x)
	e.v("fmul v%d.4s, v%d.4s, v%d.4s", p, p, d)
	e.v("fmla v%d.4s, v%d.4s, %s", p, n, e.lane("ln2Lo"))
	e.v("fmls v%d.4s, v%d.4s, %s", p, d, e.lane("half"))
	e.v("fadd v%d.4s, v%d.4s, v%d.4s", x, x, p)
	e.v("fmla v%d.4s, v%d.4s, %s", x, n, e.lane("ln2Hi"))
}

func (e *mathEmitter) log(v func(int) int) {
	x, m, n, t, u, w := v(0), v(1), v(2), v(3), v(4), v(5)
	// Subnormals are scaled by 2^23.
	e.v("dup v%d.4s, %s", t, e.lane("minNormal"))
	e.v("fcmgt v%d.4s, v%d.4s, v%d.4s", t, t, x)
	e.v("fmul v%d.4s, v%d.4s, %s", m, x, e.lane("scale23"))
	e.v("bif v%d.16b, v%d.16b, v%d.16b", m, x, t)
	e.v("dup v%d.4s, %s", w, e.lane("minus23"))
	e.v("and v%d.16b, v%d.16b, v%d.16b", w, w, t)
	e.v("sub v%d.4s, v%d.4s, %s.4s", n, m, e.all("sqrtH"))
	e.v("sshr v%d.4s, v%d.4s, #23", n, n)
	e.v("shl v%d.4s, v%d.4s, #23", t, n)
	e.v("sub v%d.4s, v%d.4s, v%d.4s", m, m, t)
	e.v("fsub v%d.4s, v%d.4s, %s.4s", m, m, e.all("one"))
	e.v("scvtf v%d.4s, v%d.4s", n, n)
	e.v("fadd v%d.4s, v%d.4s, v%d.4s", n, n, w)
	e.logMant(m, n, t, u, w)
	// Negative numbers give NaN, zeros -Inf, and NaN and +Inf themselves.
	e.v("fcmlt v%d.4s, v%d.4s, #0.0", t, x)
	e.v("dup v%d.4s, %s", u, e.lane("nan"))
	e.v("bit v%d.16b, v%d.16b, v%d.16b", m, u, t)
	e.v("dup v%d.4s, %s", u, e.lane("inf"))
	e.v("fcmgt v%d.4s, v%d.4s, v%d.4s", t, u, x)
	e.v("fneg v%d.4s, v%d.4s", u, u)
	e.v("fcmeq v%d.4s, v%d.4s, #0.0", w, x)
	e.v("bit v%d.16b, v%d.16b, v%d.16b", m, u, w)
	e.v("bit v%d.16b, v%d.16b, v%d.16b", x, m, t)
}

func (e *mathEmitter) tanh(v func(int) int) {
	x, y, a, b, c, d, small := v(0), v(1), v(2), v(3), v(4), v(5), v(6)
	e.v("fabs v%d.4s, v%d.4s", y, x)
	e.v("fcmgt v%d.4s, %s.4s, v%d.4s", v(7), e.all("tanhMid"), y)
	e.v("fadd v%d.4s, v%d.4s, v%d.4s", y, y, y)
	e.exp(y, a, b, c, d)
	e.v("fadd v%d.4s, v%d.4s, %s.4s", y, y, e.all("one"))
	e.v("fdiv v%d.4s, %s.4s, v%d.4s", y, e.all("two"), y)
	e.v("fsub v%d.4s, %s.4s, v%d.4s", y, e.all("one"), y)
	e.v("bit v%d.16b, v%d.16b, %s.16b", y, x, e.all("sign"))
	e.v("fmul v%d.4s, v%d.4s, v%d.4s", a, x, x)
	p := e.horner(a, b, c, "tanh4", "tanh3", "tanh2", "tanh1", "tanh0")
	e.v("fmul v%d.4s, v%d.4s, v%d.4s", p, p, a)
	e.v("orr v%d.16b, v%d.16b, v%d.16b", small, x, x)
	e.v("fmla v%d.4s, v%d.4s, v%d.4s", small, p, x)
	e.v("orr v%d.16b, v%d.16b, v%d.16b", x, y, y)
	e.v("bit v%d.16b, v%d.16b, v%d.16b", x, small, v(7))
}

func (e *mathEmitter) softplus(v func(int) int) {
	x, y, a, b, c, d := v(0), v(1), v(2), v(3), v(4), v(5)
	e.v("fabs v%d.4s, v%d.4s", y, x)
	e.v("fneg v%d.4s, v%d.4s", y, y)
	e.exp(y, a, b, c, d)
	// 1+y above sqrt(2) is halved, which adds one to the exponent.
	e.v("fcmgt v%d.4s, v%d.4s, %s.4s", a, y, e.all("sqrt2m1"))
	e.v("fmul v%d.4s, v%d.4s, %s.4s", b, y, e.all("half"))
	e.v("fsub v%d.4s, v%d.4s, %s.4s", b, b, e.all("half"))
	e.v("bit v%d.16b, v%d.16b, v%d.16b", y, b, a)
	e.v("and v%d.16b, v%d.16b, %s.16b", a, a, e.all("one"))
	e.logMant(y, a, b, c, d)
	e.v("eor v%d.16b, v%d.16b, v%d.16b", a, a, a)
	e.v("fmax v%d.4s, v%d.4s, v%d.4s", x, x, a)
	e.v("fadd v%d.4s, v%d.4s, v%d.4s", x, x, y)
}

// sigmoid replaces register x by its sigmoid; the others are overwritten.
func (e *mathEmitter) sigmoid(x, a, b, c, d, neg int) {
	e.v("fcmlt v%d.4s, v%d.4s, #0.0", neg, x)
	e.v("fabs v%d.4s, v%d.4s", x, x)
	e.v("fneg v%d.4s, v%d.4s", x, x)
	e.exp(x, a, b, c, d)
	e.v("bsl v%d.16b, v%d.16b, %s.16b", neg, x, e.all("one"))
	e.v("fadd v%d.4s, v%d.4s, %s.4s", x, x, e.all("one"))
	e.v("fdiv v%d.4s, v%d.4s, v%d.4s", x, neg, x)
}

// erf replaces register x by its error function; the others are overwritten.
func (e *mathEmitter) erf(x, y, a, b, c, d int) {
	e.v("fabs v%d.4s, v%d.4s", y, x)
	e.v("fmin v%d.4s, v%d.4s, %s.4s", a, y, e.all("erfMax"))
	p := e.horner(a, b, c, "erfc6", "erfc5", "erfc4", "erfc3", "erfc2", "erfc1", "erfc0")
	e.v("orr v%d.16b, v%d.16b, v%d.16b", y, p, p)
	e.exp(y, a, b, c, d)
	e.v("fsub v%d.4s, %s.4s, v%d.4s", y, e.all("one"), y)
	e.v("bit v%d.16b, v%d.16b, %s.16b", y, x, e.all("sign"))
	e.v("fmul v%d.4s, v%d.4s, v%d.4s", a, x, x)
	p = e.horner(a, b, c, "erf6", "erf5", "erf4", "erf3", "erf2", "erf1", "erf0")
	e.v("orr v%d.16b, v%d.16b, v%d.16b", d, x, x)
	e.v("fmla v%d.4s, v%d.4s, v%d.4s", d, p, x)
	e.v("fabs v%d.4s, v%d.4s", a, x)
	e.v("fcmgt v%d.4s, %s.4s, v%d.4s", a, e.all("one"), a)
	e.v("orr v%d.16b, v%d.16b, v%d.16b", x, y, y)
	e.v("bit v%d.16b, v%d.16b, v%d.16b", x, d, a)
}

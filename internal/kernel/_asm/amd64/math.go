package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The constants are those of mathf32.go; a test of package kernel holds the results against the generic code's.
var (
	expPoly = []float64{0.49999993444, 0.166665205706, 0.0416683886744, 0.00836872421336, 0.00138145878811}
	logPoly = []float64{0.333333126053, -0.250000096016, 0.200021186275, -0.166679957799, 0.142195525382,
		-0.124055896006, 0.118881628795, -0.116756506971, 0.0674663756247}
	tanhPoly = []float64{-0.333332819414, 0.133314421872, -0.0537397143211, 0.0206390849501, -0.00570498453542}
	erfPoly  = []float64{0.12837916573, -0.376126258247, 0.112835851512, -0.0268538119903, 0.00518832772938,
		-0.000801019365851, 7.85386063158e-5}
	erfcPoly = []float64{-0.000341539625879, -1.12708911814, -0.638144960303, -0.103106636898, 0.0218380044273,
		-0.00294764264308, 0.000186377525342}
)

const (
	log2e   = 1.44269504088896340736
	ln2Hi   = 0.693359375
	ln2Lo   = -2.12194440054690583e-4
	expMin  = -104
	expMax  = 89
	roundBy = 12582912
	signBit = 1 << 31
)

// mathFunctions emits the elementary functions.
func mathFunctions(g *gen) {
	// Constants, the most used first, of which the first few stay in registers: as many as leave room for two vectors. Where
	// AVX-512 takes more at a time, only two stay.
	ofExp := []float64{roundBy, expMin, expMax, log2e, ln2Hi, ln2Lo, 1}
	for _, f := range []struct {
		name   string
		f      func(x VecVirtual) VecVirtual
		consts []float64
		held   int
		wide   int // vectors that AVX-512 takes at a time
	}{
		{"exp", g.exp, slices.Concat(ofExp, expPoly), 8, 2},
		{"log", g.log, slices.Concat([]float64{1, 1 << 23, -23, 0, ln2Hi, ln2Lo, 0.5}, logPoly), 4, 2},
		{"sigmoid", g.sigmoid, slices.Concat(ofExp, expPoly), 6, 4},
		{"tanh", g.tanh, slices.Concat(ofExp, []float64{2}, expPoly, tanhPoly), 4, 4},
		{"softplus", g.softplus, slices.Concat(ofExp, []float64{0.5, 0}, expPoly, logPoly), 6, 2},
		{"erf", g.erf, slices.Concat(ofExp, expPoly, erfPoly), 2, 2},
	} {
		g.text(f.name+"F32"+g.t.suffix, "func(dst, x []float32)")
		g.holdF32(f.consts[:g.stay(f.held, f.wide)]...)
		g.loop([]stream{{"dst", false, true}, {"x", true, false}}, g.atOnce(f.wide), true, func(in []VecVirtual) []VecVirtual {
			return []VecVirtual{f.f(in[0])}
		})
	}
}

// atOnce is how many vectors a loop takes at a time that takes two, or wide ones of AVX-512.
func (g *gen) atOnce(wide int) int {
	if g.t.wide {
		return wide
	}
	return 2
}

// stay is how many of the n constants for which two vectors leave room stay in registers.
func (g *gen) stay(n, wide int) int {
	if g.atOnce(wide) > 2 {
		return min(n, 2)
	}
	return n
}

func (g *gen) exp(x VecVirtual) VecVirtual {
	return g.expWithin(g.clamp(x, g.reg(g.f32(expMin)), g.reg(g.f32(expMax))))
}

// expNeg is exp for values without sign, negated.
func (g *gen) expNeg(x VecVirtual) VecVirtual {
	r := g.vec()
	g.VMAXPS(x, g.reg(g.f32(expMin)), r)
	return g.expWithin(r)
}

// expPos is exp for values without sign.
func (g *gen) expPos(x VecVirtual) VecVirtual {
	r := g.vec()
	g.VMINPS(x, g.reg(g.f32(expMax)), r)
	return g.expWithin(r)
}

// expWithin is exp for values within expMin and expMax, and NaN. It changes r.
func (g *gen) expWithin(r VecVirtual) VecVirtual {
	t := g.load(g.f32(roundBy))
	g.VFMADD231PS(g.f32(log2e), r, t)
	n := g.vec()
	g.VSUBPS(g.f32(roundBy), t, n)
	g.VFNMADD231PS(g.f32(ln2Hi), n, r)
	g.VFNMADD231PS(g.f32(ln2Lo), n, r)
	p := g.poly(r, expPoly)
	r2 := g.vec()
	g.VMULPS(r, r, r2)
	g.VFMADD213PS(r, r2, p)
	g.VADDPS(g.f32(1), p, p)
	if g.t.wide {
		g.VSCALEFPS(n, p, p)
		return p
	}
	// Two factors, because 2^n itself is out of range for the largest and the subnormal results.
	g.VPSUBD(g.f32(roundBy), t, t)
	h := g.vec()
	g.VPSRAD(U8(1), t, h)
	g.VPSUBD(h, t, t)
	for _, e := range []Op{h, t} {
		g.VPADDD(g.bits(127), e, e)
		g.VPSLLD(U8(23), e, e)
		g.VMULPS(e, p, p)
	}
	return p
}

// logMant is log(1+f) + e*ln(2).
func (g *gen) logMant(f, e VecVirtual) VecVirtual {
	p := g.poly(f, logPoly)
	f2 := g.vec()
	g.VMULPS(f, f, f2)
	g.VMULPS(f, p, p)
	g.VMULPS(f2, p, p)
	g.VFMADD231PS(g.f32(ln2Lo), e, p)
	g.VFNMADD231PS(g.f32(0.5), f2, p)
	g.VADDPS(f, p, p)
	g.VFMADD231PS(g.f32(ln2Hi), e, p)
	return p
}

func (g *gen) log(x VecVirtual) VecVirtual {
	const sqrtH, minNormal, inf, nan = 0x3f3504f3, 0x00800000, 0x7f800000, 0x7fc00000
	tiny := g.cmp(cmpLT, x, g.bits(minNormal))
	scaled := g.vec()
	g.VMULPS(g.f32(1<<23), x, scaled)
	b := g.blend(tiny, scaled, x)
	shift := g.blend(tiny, g.reg(g.f32(-23)), g.reg(g.f32(0)))
	k := g.vec()
	g.VPSUBD(g.bits(sqrtH), b, k)
	g.VPSRAD(U8(23), k, k)
	e := g.vec()
	g.VCVTDQ2PS(k, e)
	g.VADDPS(shift, e, e)
	g.VPSLLD(U8(23), k, k)
	g.VPSUBD(k, b, b)
	g.VSUBPS(g.f32(1), b, b)
	y := g.logMant(b, e)
	y = g.blend(g.cmp(cmpNLT, x, g.bits(inf)), x, y)
	y = g.blend(g.cmp(cmpLT, x, g.bits(0)), g.reg(g.bits(nan)), y)
	return g.blend(g.cmp(cmpEQ, x, g.bits(0)), g.reg(g.bits(inf|signBit)), y)
}

func (g *gen) sigmoid(x VecVirtual) VecVirtual {
	a := g.vec()
	g.VORPS(g.bits(signBit), x, a)
	e := g.expNeg(a)
	one := g.reg(g.f32(1))
	num := g.blendSign(x, e, one)
	g.VADDPS(one, e, e)
	g.VDIVPS(e, num, num)
	return num
}

func (g *gen) tanh(x VecVirtual) VecVirtual {
	a, d := g.vec(), g.vec()
	g.VANDPS(g.bits(signBit-1), x, a)
	g.VADDPS(a, a, d)
	e := g.expPos(d)
	g.VADDPS(g.f32(1), e, e)
	y := g.load(g.f32(2))
	g.VDIVPS(e, y, y)
	g.VSUBPS(y, g.reg(g.f32(1)), y)
	sign := g.vec()
	g.VANDPS(g.bits(signBit), x, sign)
	g.VORPS(sign, y, y)
	u := g.vec()
	g.VMULPS(x, x, u)
	p := g.poly(u, tanhPoly)
	g.VMULPS(u, p, p)
	g.VFMADD213PS(x, x, p)
	return g.blend(g.cmp(cmpLT, a, g.f32(0.625)), p, y)
}

func (g *gen) softplus(x VecVirtual) VecVirtual {
	a := g.vec()
	g.VORPS(g.bits(signBit), x, a)
	t := g.expNeg(a)
	half := g.reg(g.f32(0.5))
	m := g.vec()
	g.VMOVUPS(t, m)
	g.VFMSUB213PS(half, half, m)
	big := g.cmp(cmpGT, t, g.f32(0.41421356))
	f := g.blend(big, m, t)
	e := g.blend(big, g.reg(g.f32(1)), g.reg(g.f32(0)))
	y := g.logMant(f, e)
	pos := g.vec()
	g.VMAXPS(x, g.reg(g.bits(0)), pos)
	g.VADDPS(pos, y, y)
	return y
}

func (g *gen) erf(x VecVirtual) VecVirtual {
	a := g.vec()
	g.VANDPS(g.bits(signBit-1), x, a)
	u := g.vec()
	g.VMULPS(x, x, u)
	small := g.poly(u, erfPoly)
	g.VFMADD213PS(x, x, small)
	top := g.vec()
	g.VMINPS(a, g.reg(g.f32(3.95)), top)
	e := g.exp(g.poly(top, erfcPoly))
	y := g.vec()
	g.VSUBPS(e, g.reg(g.f32(1)), y)
	sign := g.vec()
	g.VANDPS(g.bits(signBit), x, sign)
	g.VORPS(sign, y, y)
	return g.blend(g.cmp(cmpLT, a, g.f32(1)), small, y)
}

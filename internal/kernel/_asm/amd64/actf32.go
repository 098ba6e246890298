package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	eluMin     = -40
	geluLinear = 1.5957691216057308
	geluCubic  = geluLinear * 0.044715
	mishMax    = 20
)

// activations emits the activation functions of actf32.go.
func activations(g *gen) {
	ofExp := []float64{roundBy, expMin, expMax, log2e, ln2Hi, ln2Lo, 1}
	for _, f := range []struct {
		name   string
		params []string
		f      func(x VecVirtual, params []VecVirtual) VecVirtual
		consts []float64
		held   int
		wide   int
	}{
		{"elu", []string{"pos", "neg", "inv"}, g.elu, slices.Concat(ofExp, expPoly), 2, 2},
		{"swish", []string{"alpha"}, g.swish, slices.Concat(ofExp, expPoly), 3, 3},
		{"mish", nil, g.mish, slices.Concat(ofExp, expPoly), 6, 4},
		{"gelu", nil, g.gelu, nil, 0, 2},
		{"geluTanh", nil, g.geluTanh, slices.Concat(ofExp, expPoly), 3, 4},
	} {
		sig := "func(dst, x []float32"
		for _, p := range f.params {
			sig += ", " + p + " float32"
		}
		g.text(f.name+"F32"+g.t.suffix, sig+")")
		var params []VecVirtual
		for _, p := range f.params {
			params = append(params, g.broadcast(p))
		}
		g.holdF32(f.consts[:g.stay(f.held, f.wide)]...)
		g.loop([]stream{{"dst", false, true}, {"x", true, false}}, g.atOnce(f.wide), true, func(in []VecVirtual) []VecVirtual {
			return []VecVirtual{f.f(in[0], params)}
		})
	}
}

func (g *gen) elu(x VecVirtual, params []VecVirtual) VecVirtual {
	pos, neg, inv := params[0], params[1], params[2]
	r := g.vec()
	g.VMULPS(inv, x, r)
	g.VMAXPS(r, g.reg(g.f32(eluMin)), r)
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
	g.VPSUBD(g.f32(roundBy), t, t)
	g.VPADDD(g.bits(127), t, t)
	g.VPSLLD(U8(23), t, t)
	g.VSUBPS(g.f32(1), t, r2)
	g.VFMADD213PS(r2, t, p)
	g.VMULPS(neg, p, p)
	g.VMULPS(pos, x, r)
	return g.blend(g.cmp(cmpLT, x, g.bits(0)), p, r)
}

func (g *gen) swish(x VecVirtual, params []VecVirtual) VecVirtual {
	t := g.vec()
	g.VMULPS(params[0], x, t)
	s := g.sigmoid(t)
	g.VMULPS(x, s, s)
	return s
}

func (g *gen) mish(x VecVirtual, _ []VecVirtual) VecVirtual {
	c := g.vec()
	g.VMINPS(x, g.reg(g.f32(mishMax)), c)
	e := g.exp(c)
	w := g.vec()
	g.VADDPS(g.f32(2), e, w)
	g.VMULPS(w, e, e)
	g.VADDPS(g.f32(2), e, w)
	g.VDIVPS(w, e, e)
	g.VMULPS(x, e, e)
	return e
}

func (g *gen) gelu(x VecVirtual, _ []VecVirtual) VecVirtual {
	t := g.vec()
	g.VMULPS(g.f32(0.70710678118654752440), x, t)
	e := g.erf(t)
	h := g.vec()
	g.VMULPS(g.f32(0.5), x, h)
	g.VFMADD213PS(h, h, e)
	return e
}

func (g *gen) geluTanh(x VecVirtual, _ []VecVirtual) VecVirtual {
	t := g.vec()
	g.VMULPS(x, x, t)
	u := g.load(g.f32(geluCubic))
	g.VFMADD213PS(g.f32(geluLinear), t, u)
	g.VMULPS(x, u, u)
	s := g.sigmoid(u)
	g.VMULPS(x, s, s)
	return s
}

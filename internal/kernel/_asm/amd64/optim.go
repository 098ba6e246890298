package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// optimisers emits the optimiser steps. Products and sums are rounded as in the generic code but fused.
func optimisers(g *gen) {
	g.text("adamF32"+g.t.suffix, "func(p, g, m, v []float32, h *byte)")
	g.typeName("adamArgs")
	h := g.Load(g.Param("h"), g.GP64())
	field := func(i int) VecVirtual {
		v := g.vec()
		g.VBROADCASTSS(Mem{Base: h, Disp: 4 * i}, v)
		return v
	}
	var c []VecVirtual
	for i := range 9 {
		c = append(c, field(i))
	}
	beta1, rest1, beta2, rest2, decay, step, root, eps, scale := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]
	g.loop([]stream{{"p", true, true}, {"g", true, false}, {"m", true, true}, {"v", true, true}}, 1, false, func(in []VecVirtual) []VecVirtual {
		p, d, m, v := in[0], in[1], in[2], in[3]
		g.VMULPS(scale, d, d)
		g.VMULPS(beta1, m, m)
		g.VFMADD231PS(d, rest1, m)
		g.VMULPS(d, d, d)
		g.VMULPS(beta2, v, v)
		g.VFMADD231PS(d, rest2, v)
		den := g.vec()
		g.VSQRTPS(v, den)
		g.VFMADD213PS(eps, root, den)
		num := g.vec()
		g.VMULPS(step, m, num)
		g.VDIVPS(den, num, num)
		g.VFMSUB213PS(num, decay, p)
		return []VecVirtual{p, m, v}
	})
}

// typeName makes *byte in the signatures of this file a pointer to typ.
func (g *gen) typeName(typ string) {
	if g.types == nil {
		g.types = map[string]string{}
	}
	g.types["*byte"] = "*" + typ
}

package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vectors emits the elementwise routines without polynomials.
func vectors(g *gen) {
	binary := func(name string, f func(a, b, d Op)) {
		g.text(name+"F32"+g.t.suffix, "func(dst, a, b []float32)")
		g.loop([]stream{{"dst", false, true}, {"a", true, false}, {"b", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
			f(in[0], in[1], in[0])
			return in[:1]
		})
	}
	binary("add", func(a, b, d Op) { g.VADDPS(b, a, d) })
	binary("sub", func(a, b, d Op) { g.VSUBPS(b, a, d) })
	binary("mul", func(a, b, d Op) { g.VMULPS(b, a, d) })
	binary("div", func(a, b, d Op) { g.VDIVPS(b, a, d) })
	// The instruction returns its second source, b, if either is NaN; where a is NaN, a is taken.
	pick := func(f func(...Op)) func(a, b, d Op) {
		return func(a, b, d Op) {
			m := g.vec()
			f(b, a, m)
			g.VMOVUPS(g.blend(g.cmp(cmpUNORD, a, a), a, m), d)
		}
	}
	binary("maximum", pick(g.VMAXPS))
	binary("minimum", pick(g.VMINPS))

	scalar := func(name string, f func(a, s Op)) {
		g.text(name+"F32"+g.t.suffix, "func(dst, a []float32, s float32)")
		s := g.broadcast("s")
		g.loop([]stream{{"dst", false, true}, {"a", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
			f(in[0], s)
			return in
		})
	}
	scalar("addScalar", func(a, s Op) { g.VADDPS(s, a, a) })
	scalar("mulScalar", func(a, s Op) { g.VMULPS(s, a, a) })

	g.text("affineF32"+g.t.suffix, "func(dst, x []float32, scale, shift float32)")
	scale, shift := g.broadcast("scale"), g.broadcast("shift")
	g.loop([]stream{{"dst", false, true}, {"x", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VFMADD213PS(shift, scale, in[0])
		return in
	})

	g.text("axpyF32"+g.t.suffix, "func(alpha float32, x, y []float32)")
	alpha := g.broadcast("alpha")
	g.loop([]stream{{"x", true, false}, {"y", true, true}}, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VFMADD231PS(in[0], alpha, in[1])
		return in[1:]
	})

	g.text("reluF32"+g.t.suffix, "func(dst, x []float32)")
	zero := g.load(g.bits(0))
	unary := []stream{{"dst", false, true}, {"x", true, false}}
	g.loop(unary, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VMAXPS(in[0], zero, in[0])
		return in
	})

	g.text("leakyReluF32"+g.t.suffix, "func(dst, x []float32, alpha float32)")
	slope := g.broadcast("alpha")
	g.loop(unary, 4, false, func(in []VecVirtual) []VecVirtual {
		m := g.vec()
		g.VMULPS(slope, in[0], m)
		return []VecVirtual{g.blendSign(in[0], m, in[0])}
	})

	g.text("clipF32"+g.t.suffix, "func(dst, x []float32, lo, hi float32)")
	lo, hi := g.broadcast("lo"), g.broadcast("hi")
	g.loop(unary, 4, false, func(in []VecVirtual) []VecVirtual { return []VecVirtual{g.clamp(in[0], lo, hi)} })

	g.text("sqrtF32"+g.t.suffix, "func(dst, x []float32)")
	g.loop(unary, 2, false, func(in []VecVirtual) []VecVirtual {
		g.VSQRTPS(in[0], in[0])
		return in
	})
}

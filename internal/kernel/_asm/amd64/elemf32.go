package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// elements emits further elementwise routines without polynomials.
func elements(g *gen) {
	unary := []stream{{"dst", false, true}, {"x", true, false}}
	one := func(name string, unroll int, setup func(), f func(x VecVirtual) VecVirtual) {
		g.text(name+"F32"+g.t.suffix, "func(dst, x []float32)")
		if setup != nil {
			setup()
		}
		g.loop(unary, unroll, false, func(in []VecVirtual) []VecVirtual { return []VecVirtual{f(in[0])} })
	}
	var c VecVirtual
	hold := func(bits uint32) func() { return func() { c = g.load(g.bits(bits)) } }
	const oneBits = 0x3f800000
	one("abs", 4, hold(signBit-1), func(x VecVirtual) VecVirtual { g.VANDPS(c, x, x); return x })
	one("neg", 4, hold(signBit), func(x VecVirtual) VecVirtual { g.VXORPS(c, x, x); return x })
	one("reciprocal", 4, hold(oneBits), func(x VecVirtual) VecVirtual { g.VDIVPS(x, c, x); return x })
	// Immediates of the rounding instructions: to even, down, up; bit 3 says that no inexact exception is raised.
	for i, name := range []string{"round", "floor", "ceil"} {
		one(name, 4, nil, func(x VecVirtual) VecVirtual {
			if g.t.wide {
				g.VRNDSCALEPS(U8(8+i), x, x)
			} else {
				g.VROUNDPS(U8(8+i), x, x)
			}
			return x
		})
	}
	one("softsign", 4, func() { g.hold(signBit-1, oneBits) }, func(x VecVirtual) VecVirtual {
		d := g.vec()
		g.VANDPS(g.bits(signBit-1), x, d)
		g.VADDPS(g.bits(oneBits), d, d)
		g.VDIVPS(d, x, x)
		return x
	})

	g.text("preluF32"+g.t.suffix, "func(dst, x, slope []float32)")
	zero := g.load(g.bits(0))
	g.loop([]stream{{"dst", false, true}, {"x", true, false}, {"slope", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VMULPS(in[0], in[1], in[1])
		return []VecVirtual{g.blend(g.cmp(cmpLT, in[0], zero), in[1], in[0])}
	})

	scalar := func(name, s string, f func(x VecVirtual, s VecVirtual) VecVirtual) {
		g.text(name+"F32"+g.t.suffix, "func(dst, x []float32, "+s+" float32)")
		v := g.broadcast(s)
		g.loop(unary, 4, false, func(in []VecVirtual) []VecVirtual { return []VecVirtual{f(in[0], v)} })
	}
	scalar("threshold", "t", func(x, t VecVirtual) VecVirtual {
		// NaN is not below or equal.
		const notLE = 0x16
		m := g.cmp(notLE, x, t)
		if g.t.wide {
			v := g.vec()
			g.VMOVAPS_Z(x, m, v)
			return v
		}
		g.VANDPS(m, x, x)
		return x
	})
	scalar("divScalar", "s", func(x, s VecVirtual) VecVirtual { g.VDIVPS(s, x, x); return x })
	scalar("scalarDiv", "s", func(x, s VecVirtual) VecVirtual { g.VDIVPS(x, s, x); return x })

	g.text("centerF32"+g.t.suffix, "func(dst, x []float32, ref, scale, shift float32)")
	ref, scale, shift := g.broadcast("ref"), g.broadcast("scale"), g.broadcast("shift")
	g.loop(unary, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VSUBPS(ref, in[0], in[0])
		g.VFMADD213PS(shift, scale, in[0])
		return in
	})

	g.text("mixF32"+g.t.suffix, "func(dst, a, b []float32, wa, wb float32)")
	wa, wb := g.broadcast("wa"), g.broadcast("wb")
	g.loop([]stream{{"dst", false, true}, {"a", true, false}, {"b", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VMULPS(wb, in[1], in[1])
		g.VFMADD213PS(in[1], wa, in[0])
		return in[:1]
	})
}

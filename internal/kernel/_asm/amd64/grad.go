package main

import (
	. "github.com/mmcloughlin/avo/reg"
)

// gradients emits the elementwise routines that training needs beside those of vectors.
func gradients(g *gen) {
	g.text("mulAddF32"+g.t.suffix, "func(dst, a, b []float32)")
	g.loop([]stream{{"dst", true, true}, {"a", true, false}, {"b", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VFMADD231PS(in[1], in[2], in[0])
		return in[:1]
	})

	g.text("affinesF32"+g.t.suffix, "func(dst, x, scale, shift []float32)")
	g.loop([]stream{{"dst", false, true}, {"x", true, false}, {"scale", true, false}, {"shift", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
		g.VFMADD213PS(in[2], in[1], in[0])
		return in[:1]
	})

	g.text("leakyReluGradF32"+g.t.suffix, "func(dst, dy, x []float32, alpha float32)")
	slope, zero := g.broadcast("alpha"), g.load(g.bits(0))
	g.loop([]stream{{"dst", false, true}, {"dy", true, false}, {"x", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
		m := g.vec()
		g.VMULPS(slope, in[0], m)
		return []VecVirtual{g.blend(g.cmp(cmpGT, in[1], zero), in[0], m)}
	})

	g.text("reluGradF32"+g.t.suffix, "func(dst, dy, y []float32)")
	zero = g.load(g.bits(0))
	g.loop([]stream{{"dst", false, true}, {"dy", true, false}, {"y", true, false}}, 4, false, func(in []VecVirtual) []VecVirtual {
		return []VecVirtual{g.blend(g.cmp(cmpGT, in[1], zero), in[0], zero)}
	})
}

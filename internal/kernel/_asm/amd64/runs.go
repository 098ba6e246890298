package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// runs emits dst[i*ldd+j] += src[i*lds+j] for i < rows and j < n. Runs are short, and masked
// stores are slow on some processors: what is left of one after vectors of eight goes by
// four and by one.
func runs(g *gen) {
	g.tier(avx2)
	g.text("addRunsF32AVX2", "func(dst *float32, ldd int, src *float32, lds, rows, n int)")
	dst, ldd := g.Load(g.Param("dst"), g.GP64()), g.Load(g.Param("ldd"), g.GP64())
	src, lds := g.Load(g.Param("src"), g.GP64()), g.Load(g.Param("lds"), g.GP64())
	rows, n := g.Load(g.Param("rows"), g.GP64()), g.Load(g.Param("n"), g.GP64())
	g.SHLQ(U8(2), ldd)
	g.SHLQ(U8(2), lds)
	j, n8, n4 := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(n, n8)
	g.ANDQ(I8(-8), n8)
	g.MOVQ(n, n4)
	g.ANDQ(I8(-4), n4)
	at := func(base Op) Mem { return Mem{Base: base.(Register), Index: j, Scale: 4} }
	x, y := g.XMM(), g.YMM()
	g.Label("row")
	g.XORL(j.As32(), j.As32())
	for _, part := range []struct {
		name  string
		limit Op
		step  int
		body  func()
	}{
		{"eights", n8, 8, func() { g.VMOVUPS(at(dst), y); g.VADDPS(at(src), y, y); g.VMOVUPS(y, at(dst)) }},
		{"fours", n4, 4, func() { g.VMOVUPS(at(dst), x); g.VADDPS(at(src), x, x); g.VMOVUPS(x, at(dst)) }},
		{"ones", n, 1, func() { g.VMOVSS(at(dst), x); g.VADDSS(at(src), x, x); g.VMOVSS(x, at(dst)) }},
	} {
		g.Label(part.name)
		g.CMPQ(j, part.limit)
		g.JGE(LabelRef(part.name + "Done"))
		part.body()
		g.ADDQ(U8(part.step), j)
		g.JMP(LabelRef(part.name))
		g.Label(part.name + "Done")
	}
	g.ADDQ(ldd, dst)
	g.ADDQ(lds, src)
	g.DECQ(rows)
	g.JNE(LabelRef("row"))
	g.VZEROUPPER()
	g.RET()
}

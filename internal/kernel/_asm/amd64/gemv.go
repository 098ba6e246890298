package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// gemvF32 emits the product of one contiguous row by panels that follow each other: a tile of one row and any number of
// columns, whose b is read in one stream from beginning to end. Nothing is fetched in advance: the processor sees such a
// stream coming, and instructions that ask for it cost more loads than they save. It sums in the order of tileF32 and
// advances c, bias and cols of its arguments.
func gemvF32(g *gen) {
	const sets = 4
	g.typeName("tileF32")
	g.text("gemvF32"+g.t.suffix, "func(t *byte)")
	g.Load(g.Param("t"), rT)
	g.MOVQ(Mem{Base: rT, Disp: tileB}, rB)
	acc := func(set, _, half int) VecPhysical { return g.phys(2*set + half) }
	sum := func(_, half int) VecPhysical { return acc(0, 0, half) }
	temps := []VecPhysical{g.phys(2 * sets), g.phys(2*sets + 1), g.phys(2*sets + 2), g.phys(2*sets + 3)}
	step := func(u int) {
		t := temps[u]
		g.VBROADCASTSS(Mem{Base: rA, Disp: 4 * u}, t)
		for h := range 2 {
			g.VFMADD231PS(Mem{Base: rB, Disp: (2*u + h) * g.bytes()}, t, acc(u%sets, 0, h))
		}
	}
	g.Label("panel")
	g.MOVQ(Mem{Base: rT, Disp: tileA}, rA)
	g.MOVQ(Mem{Base: rT, Disp: tileC}, rC)
	g.MOVQ(Mem{Base: rT, Disp: tileK}, rK)
	for i := range 2 * sets {
		g.zero(g.phys(i))
	}
	g.SUBQ(U8(4), rK)
	g.JLT(LabelRef("rest"))
	g.Label("quad")
	for u := range 4 {
		step(u)
	}
	g.ADDQ(U8(16), rA)
	g.ADDQ(U32(4*2*g.bytes()), rB)
	g.SUBQ(U8(4), rK)
	g.JGE(LabelRef("quad"))
	g.Label("rest")
	g.ADDQ(U8(4), rK)
	g.JEQ(LabelRef("summed"))
	g.Label("single")
	step(0)
	g.ADDQ(U8(4), rA)
	g.ADDQ(U32(2*g.bytes()), rB)
	g.DECQ(rK)
	g.JNE(LabelRef("single"))
	g.Label("summed")
	g.joinSets(1, sets, acc)

	g.MOVQ(Mem{Base: rT, Disp: tileCols}, rK)
	g.CMPQ(rK, U8(2*g.t.lanes))
	g.JLT(LabelRef("part"))
	g.finish(1, func(s string) string { return s + "Full" }, sum, nil, temps)
	width := U32(2 * g.bytes())
	g.ADDQ(width, Mem{Base: rT, Disp: tileC})
	g.CMPQ(Mem{Base: rT, Disp: tileBias}, U8(0))
	g.JEQ(LabelRef("next"))
	g.ADDQ(width, Mem{Base: rT, Disp: tileBias})
	g.Label("next")
	g.SUBQ(U8(2*g.t.lanes), Mem{Base: rT, Disp: tileCols})
	g.JGT(LabelRef("panel"))
	g.leave()
	g.Label("part")
	masks := g.columnMasks(temps[2], temps[3])
	g.finish(1, func(s string) string { return s + "Part" }, sum, masks, temps[:2])
	g.leave()
}

package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of windowSum in package kernel.
const (
	windowDst, windowFirst, windowSrc, windowAt, windowN     = 0, 8, 16, 24, 32
	windowRows, windowParts, windowStep, windowLds, laneSize = 40, 48, 56, 64, 32
)

// windows emits the sums of overlapping windows. A step of results is added up in one vector or several and stored whole:
// what the last one writes beyond the step is written again with the next step. Nothing that was stored is read.
func windows(g *gen) {
	g.tier(avx2)
	g.typeName("windowSum")
	g.text("sumWindowsF32AVX2", "func(t *byte)")
	t := g.Load(g.Param("t"), RDI)
	field := func(at int) Mem { return Mem{Base: t, Disp: at} }
	dst, first, i := RDX, RBX, R8
	src, back, step := RSI, R15, R14 // back: from one part to the next, which is in the row before
	g.MOVQ(field(windowDst), dst)
	g.MOVQ(field(windowFirst), first)
	g.MOVQ(field(windowStep), step)
	g.SHLQ(U8(2), step)
	g.MOVQ(field(windowLds), back)
	g.SHLQ(U8(2), back)
	g.NEGQ(back)
	g.ADDQ(step, back)
	g.MOVQ(field(windowSrc), src)
	g.XORL(i.As32(), i.As32())
	count, p, temp := RCX, RAX, R9
	lane, at, n, q, left := R9, R10, R11, R12, R13
	// sums adds up one step; row adds what one row of kernels gives, from q on.
	sums := func(name string, from Register, row func()) {
		g.XORL(lane.As32(), lane.As32())
		g.Label(name + "Lanes")
		g.VMOVUPS(Mem{Base: first, Index: lane, Scale: 1}, Y0)
		g.MOVQ(field(windowAt), at)
		g.MOVQ(field(windowN), n)
		g.Label(name + "Row")
		g.MOVQ(Mem{Base: at}, q)
		g.LEAQ(Mem{Base: from, Index: q, Scale: 4}, q)
		g.ADDQ(lane, q)
		row()
		g.ADDQ(U8(8), at)
		g.DECQ(n)
		g.JNE(LabelRef(name + "Row"))
		g.VMOVUPS(Y0, Mem{Base: dst, Index: lane, Scale: 1})
		g.ADDQ(U8(laneSize), lane)
		g.CMPQ(lane, step)
		g.JLT(LabelRef(name + "Lanes"))
	}
	g.Label("block")
	g.MOVQ(field(windowParts), count)
	g.LEAQ(Mem{Base: i, Disp: 1}, temp)
	g.CMPQ(temp, count)
	g.JLT(LabelRef("border"))
	g.CMPQ(i, field(windowRows))
	g.JGE(LabelRef("border"))
	for parts := 2; parts <= 3; parts++ {
		name := []string{"two", "three"}[parts-2]
		g.CMPQ(count, U8(parts))
		g.JNE(LabelRef(name + "Else"))
		sums(name, src, func() {
			g.VADDPS(Mem{Base: q}, Y0, Y0)
			for k := 1; k < parts; k++ {
				g.VADDPS(Mem{Base: q, Index: back, Scale: uint8(k)}, Y0, Y0)
			}
		})
		g.JMP(LabelRef("next"))
		g.Label(name + "Else")
	}
	g.Label("border")
	// The first part p = max(0, i-rows+1) and the number of parts min(parts-1, i) - p + 1.
	g.CMPQ(temp, count)
	g.CMOVQLT(temp, count)
	g.MOVQ(i, p)
	g.SUBQ(field(windowRows), p)
	g.XORL(temp.As32(), temp.As32())
	g.INCQ(p)
	g.CMOVQLT(temp, p)
	g.SUBQ(p, count)
	g.IMULQ(back, p)
	g.ADDQ(src, p)
	sums("any", p, func() {
		g.MOVQ(count, left)
		g.Label("part")
		g.VADDPS(Mem{Base: q}, Y0, Y0)
		g.ADDQ(back, q)
		g.DECQ(left)
		g.JNE(LabelRef("part"))
	})
	g.Label("next")
	g.ADDQ(step, dst)
	g.ADDQ(step, first)
	g.ADDQ(step, src)
	g.SUBQ(back, src)
	g.INCQ(i)
	g.MOVQ(field(windowRows), temp)
	g.ADDQ(field(windowParts), temp)
	g.DECQ(temp)
	g.CMPQ(i, temp)
	g.JLT(LabelRef("block"))
	g.VZEROUPPER()
	g.RET()
}

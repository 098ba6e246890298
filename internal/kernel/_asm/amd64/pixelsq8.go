package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of pixelsQ8 in package kernel.
const (
	pxX, pxDst, pxPlane, pxOffs, pxW, pxSteps, pxInit, pxScale = 0, 32, 64, 72, 80, 88, 96, 104
	pxLo, pxHi, pxWords, pxFlip, pxFits                        = 112, 116, 120, 124, 128
	pixelVectors                                               = 4
)

// pixels emits products of few columns with VNNI: a lane is a position of an image, and weights are the same in all lanes.
func pixels(g *gen) {
	g.tier(avx512)
	order := g.data("pixelOrder", func(i int) uint32 { return uint32(i%4*4 + i/4) })
	for cols := 1; cols <= 4; cols++ {
		g.pixelTile(cols, order)
	}
	g.interleavePlanes()
}

func (g *gen) pixelTile(cols int, order Mem) {
	g.typeName("pixelsQ8")
	g.text(fmt.Sprintf("pixelsQ8VNNI%d", cols), "func(t *byte)")
	t := g.Load(g.Param("t"), RDI)
	x := [pixelVectors]Register{RSI, R8, R9, R10}
	offs, steps, w, at := RBX, RCX, R11, RAX
	for v, r := range x {
		g.MOVQ(Mem{Base: t, Disp: pxX + 8*v}, r)
	}
	g.MOVQ(Mem{Base: t, Disp: pxOffs}, offs)
	g.MOVQ(Mem{Base: t, Disp: pxSteps}, steps)
	g.MOVQ(Mem{Base: t, Disp: pxW}, w)
	g.MOVQ(Mem{Base: t, Disp: pxInit}, at)
	// Additions to a sum follow each other after the latency of one, which eight sums hide.
	sets := max(1, 2/cols)
	acc := func(set, v, c int) VecPhysical { return g.phys((set*cols+c)*pixelVectors + v) }
	weight := func(c int) VecPhysical { return g.phys(20 + c) }
	value := func(v int) VecPhysical { return g.phys(24 + v) }
	for c := range cols {
		g.VPBROADCASTD(Mem{Base: at, Disp: 4 * c}, acc(0, 0, c))
		for v := 1; v < pixelVectors; v++ {
			g.VMOVDQA32(acc(0, 0, c), acc(0, v, c))
		}
		for v := range pixelVectors * (sets - 1) {
			g.zero(acc(1, v, c))
		}
	}
	step := func(set, i int) {
		g.MOVLQSX(Mem{Base: offs, Disp: 4 * i}, at)
		for c := range cols {
			g.VPBROADCASTD(Mem{Base: w, Disp: 4 * (i*cols + c)}, weight(c))
		}
		for v := range pixelVectors {
			g.VMOVDQU32(Mem{Base: x[v], Index: at, Scale: 1}, value(v))
			for c := range cols {
				g.VPDPBUSD(weight(c), value(v), acc(set, v, c))
			}
		}
	}
	g.SUBQ(U8(2), steps)
	g.JLT(LabelRef("last"))
	g.Label("pair")
	for i := range 2 {
		step(i%sets, i)
	}
	g.ADDQ(U8(8), offs)
	g.ADDQ(U8(8*cols), w)
	g.SUBQ(U8(2), steps)
	g.JGE(LabelRef("pair"))
	g.Label("last")
	g.ADDQ(U8(2), steps)
	g.JEQ(LabelRef("summed"))
	step(0, 0)
	g.Label("summed")
	each := func(f func(r VecPhysical, c int)) {
		for c := range cols {
			for v := range pixelVectors {
				f(acc(0, v, c), c)
			}
		}
	}
	if sets > 1 {
		for v := range pixelVectors {
			g.VPADDD(acc(1, v, 0), acc(0, v, 0), acc(0, v, 0))
		}
	}
	g.MOVQ(Mem{Base: t, Disp: pxScale}, at)
	for c := range cols {
		g.VBROADCASTSS(Mem{Base: at, Disp: 4 * c}, weight(c))
	}
	each(func(r VecPhysical, c int) {
		g.VCVTDQ2PS(r, r)
		g.VMULPS(weight(c), r, r)
	})
	g.CMPQ(Mem{Base: t, Disp: pxFits}, U8(0))
	g.JNE(LabelRef("fits"))
	g.VBROADCASTSS(Mem{Base: t, Disp: pxLo}, value(0))
	g.VBROADCASTSS(Mem{Base: t, Disp: pxHi}, value(1))
	// The bound is the operand that a comparison with NaN returns.
	each(func(r VecPhysical, _ int) { g.VMAXPS(value(0), r, r) })
	each(func(r VecPhysical, _ int) { g.VMINPS(value(1), r, r) })
	g.Label("fits")
	zero, flip, index := value(0), value(1), value(2)
	g.VPBROADCASTW(Mem{Base: t, Disp: pxWords}, zero)
	g.VPBROADCASTD(Mem{Base: t, Disp: pxFlip}, flip)
	g.VMOVDQU32(order, index)
	each(func(r VecPhysical, _ int) { g.VCVTPS2DQ(r, r) })
	for v, r := range x {
		g.MOVQ(Mem{Base: t, Disp: pxDst + 8*v}, r)
	}
	g.MOVQ(Mem{Base: t, Disp: pxPlane}, at)
	for c := range cols {
		low, high := acc(0, 0, c), acc(0, 2, c)
		g.VPACKSSDW(acc(0, 1, c), low, low)
		g.VPADDSW(zero, low, low)
		g.VPACKSSDW(acc(0, 3, c), high, high)
		g.VPADDSW(zero, high, high)
		g.VPACKUSWB(high, low, low)
		g.VPXORD(flip, low, low)
		g.VPERMD(low, index, low)
		for v, r := range x {
			if v == 0 {
				g.VMOVDQU32(low.(Vec).AsX(), Mem{Base: r})
			} else {
				g.VEXTRACTI32X4(U8(v), low, Mem{Base: r})
			}
			if c+1 < cols {
				g.ADDQ(at, r)
			}
		}
	}
	g.VZEROUPPER()
	g.RET()
}

// interleavePlanes emits the routine that picks the bytes of each vector of results from the planes: one set of indices for
// all of them, and a mask for each.
func (g *gen) interleavePlanes() {
	g.text("interleaveU8VBMI", "func(dst, src *uint8, plane, n, bytes int, table *uint8)")
	p := g.pointers("dst", "src", "plane", "n", "bytes", "table")
	dst, src, plane, n, left := p[0], p[1], p[2], p[3], p[4]
	table, from, vectors, planes := g.GP64(), g.GP64(), g.GP64(), g.GP64()
	index, out, mask := g.ZMM(), g.ZMM(), g.K()
	g.Label("block")
	g.MOVQ(p[5], table)
	g.MOVQ(n, vectors)
	g.Label("vector")
	g.VMOVDQU32(Mem{Base: table}, index)
	g.ADDQ(U8(64), table)
	g.MOVQ(src, from)
	g.MOVQ(n, planes)
	g.VPXORD(out, out, out) // else a vector waits for the one before
	g.Label("plane")
	g.KMOVQ(Mem{Base: table}, mask)
	g.VPERMB(Mem{Base: from}, index, mask, out)
	g.ADDQ(U8(8), table)
	g.ADDQ(plane, from)
	g.DECQ(planes)
	g.JNE(LabelRef("plane"))
	g.CMPQ(left, U8(64))
	g.JLT(LabelRef("part"))
	g.VMOVDQU32(out, Mem{Base: dst})
	g.ADDQ(U8(64), dst)
	g.SUBQ(U8(64), left)
	g.JEQ(LabelRef("done"))
	g.DECQ(vectors)
	g.JNE(LabelRef("vector"))
	g.ADDQ(U8(64), src)
	g.JMP(LabelRef("block"))
	g.Label("part")
	ones := g.GP64()
	g.MOVQ(I32(-1), ones)
	g.BZHIQ(left, ones, ones)
	g.KMOVQ(ones, mask)
	g.VMOVDQU8(out, mask, Mem{Base: dst})
	g.Label("done")
	g.VZEROUPPER()
	g.RET()
}

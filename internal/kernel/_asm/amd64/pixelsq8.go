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
)

// pixelLines are the runs of sixteen positions of a call.
const pixelLines = 4

// pixels emits products of few columns: a lane is a position of an image, and weights are the same in all lanes.
func pixels(g *gen) {
	for _, t := range []tier{avx512, avx2} {
		g.tier(t)
		suffix := dotTier(t)
		order := g.resultOrder("pixels" + suffix)
		for cols := 1; cols <= 4; cols++ {
			g.pixelTile(fmt.Sprintf("pixelsQ8%s%d", suffix, cols), cols, false, order)
		}
		for cols := 1; cols <= 4 && !t.wide; cols++ {
			g.pixelTile(fmt.Sprintf("pixelsQ8AVX2_%d", cols), cols, true, order)
		}
	}
	g.tier(avx512)
	g.interleavePlanes()
}

// pixelTile emits products of up to four vectors of positions at a time, as far as there are registers for their sums. pairs says
// that words are multiplied, not bytes.
func (g *gen) pixelTile(name string, cols int, pairs bool, order Mem) {
	per := 16 / g.t.lanes // vectors of a line
	vectors := 4
	for cols*(vectors+1)+1 > g.t.regs {
		vectors--
	}
	if pairs {
		vectors = 2
	}
	lines := vectors / per
	vectors = lines * per
	g.typeName("pixelsQ8")
	g.text(name, "func(t *byte)")
	t := g.Load(g.Param("t"), RDI)
	x := []Register{RSI, R8, R9, R10}[:lines]
	offs, steps, w, at, line := RBX, RCX, R11, RAX, RDX
	// Additions to a sum follow each other after the latency of one, which eight sums hide.
	sets := max(1, 8/(cols*vectors))
	if pairs {
		sets = 1
	}
	acc := func(set, v, c int) VecPhysical { return g.phys((set*cols+c)*vectors + v) }
	rest := sets * cols * vectors
	weight := func(c int) VecPhysical { return g.phys(rest + c) }
	value := func(v int) VecPhysical { return g.phys(rest + cols + v%min(vectors, g.t.regs-rest-cols)) }
	low := g.phys(g.t.regs - 1)
	if lines < pixelLines {
		g.MOVQ(t, line)
	} else {
		line = t.(GPPhysical)
	}
	g.Label("lines")
	if pairs {
		g.setLow(low)
	}
	for k, r := range x {
		g.MOVQ(Mem{Base: line, Disp: pxX + 8*k}, r)
	}
	g.MOVQ(Mem{Base: t, Disp: pxOffs}, offs)
	g.MOVQ(Mem{Base: t, Disp: pxSteps}, steps)
	g.MOVQ(Mem{Base: t, Disp: pxW}, w)
	g.MOVQ(Mem{Base: t, Disp: pxInit}, at)
	for c := range cols {
		g.VPBROADCASTD(Mem{Base: at, Disp: 4 * c}, acc(0, 0, c))
		for v := 1; v < vectors; v++ {
			g.VMOVUPS(acc(0, 0, c), acc(0, v, c))
		}
	}
	for i := cols * vectors; i < rest; i++ {
		g.zero(g.phys(i))
	}
	step := func(set, i int) {
		g.MOVLQSX(Mem{Base: offs, Disp: 4 * i}, at)
		if pairs {
			words, w2 := [2][2]VecPhysical{{g.phys(rest), g.phys(rest + 1)}, {g.phys(rest + 2), g.phys(rest + 3)}}, [2]VecPhysical{g.phys(rest + 4), g.phys(rest + 5)}
			for v, r := range words {
				g.VMOVDQU(Mem{Base: x[0], Index: at, Scale: 1, Disp: v * g.bytes()}, r[1])
				g.splitUnsigned(r, low)
			}
			for c := range cols {
				g.VPBROADCASTD(Mem{Base: w, Disp: 4 * (i*cols + c)}, w2[1])
				g.splitSigned(w2)
				for v, r := range words {
					g.dotPairs(w2, r, acc(set, v, c), g.phys(rest+6))
				}
			}
			return
		}
		for c := range cols {
			g.VPBROADCASTD(Mem{Base: w, Disp: 4 * (i*cols + c)}, weight(c))
		}
		for v := range vectors {
			g.VMOVUPS(Mem{Base: x[v/per], Index: at, Scale: 1, Disp: v % per * g.bytes()}, value(v))
			for c := range cols {
				g.dotBytes(weight(c), value(v), acc(set, v, c))
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
			for v := range vectors {
				f(acc(0, v, c), c)
			}
		}
	}
	if sets > 1 {
		each(func(r VecPhysical, c int) {
			i := r.PhysicalIndex()
			g.VPADDD(g.phys(int(i)+cols*vectors), r, r)
		})
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
	lo, hi := g.phys(g.t.regs-1), g.phys(g.t.regs-2)
	g.VBROADCASTSS(Mem{Base: t, Disp: pxLo}, lo)
	g.VBROADCASTSS(Mem{Base: t, Disp: pxHi}, hi)
	// The bound is the operand that a comparison with NaN returns.
	each(func(r VecPhysical, _ int) { g.VMAXPS(lo, r, r) })
	each(func(r VecPhysical, _ int) { g.VMINPS(hi, r, r) })
	g.Label("fits")
	zero, flip, index := lo, hi, g.phys(g.t.regs-3)
	g.VPBROADCASTW(Mem{Base: t, Disp: pxWords}, zero)
	g.VPBROADCASTD(Mem{Base: t, Disp: pxFlip}, flip)
	g.VMOVUPS(order, index)
	each(func(r VecPhysical, _ int) { g.VCVTPS2DQ(r, r) })
	for k, r := range x {
		g.MOVQ(Mem{Base: line, Disp: pxDst + 8*k}, r)
	}
	g.MOVQ(Mem{Base: t, Disp: pxPlane}, at)
	for c := range cols {
		first, high := acc(0, 0, c), acc(0, 0, c)
		for v := 0; v < vectors; v += 2 {
			high = acc(0, v, c)
			g.VPACKSSDW(acc(0, v+1, c), high, high)
			g.VPADDSW(zero, high, high)
		}
		g.VPACKUSWB(high, first, first)
		g.xor(flip, first)
		g.VPERMD(first, index, first)
		for k, r := range x {
			switch {
			case k == 0:
				g.VMOVDQU(first.(Vec).AsX(), Mem{Base: r})
			case g.t.wide:
				g.VEXTRACTI32X4(U8(k), first, Mem{Base: r})
			default:
				g.VEXTRACTI128(U8(k), first, Mem{Base: r})
			}
			if c+1 < cols {
				g.ADDQ(at, r)
			}
		}
	}
	if lines < pixelLines {
		g.ADDQ(U8(8*lines), line)
		g.LEAQ(Mem{Base: t, Disp: 8 * pixelLines}, at)
		g.CMPQ(line, at)
		g.JLT(LabelRef("lines"))
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

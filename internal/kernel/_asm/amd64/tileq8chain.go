package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// chainRows is the least number of rows of a tile that can be part of a chain.
const chainRows = 5

// chainQ8 emits what follows the sums of a panel that is not the last of a chain: for two rows at a time, the sums are
// requantised and stored, and the first four steps of the next panel are added to new ones. Most instructions of the former
// take units that those of the latter leave idle; at the end of a panel little would run beside them. In a chain all
// columns are wanted, segments have four groups of steps at least, and results need no bounds. The last panel goes on to the
// code for a single one.
func (g *gen) chainQ8(rows int, name func(string) string, sum func(row, half int) VecPhysical, order Mem) {
	g.CMPQ(Mem{Base: rT, Disp: q8Chain}, U8(0))
	g.JEQ(LabelRef(name("unchained")))
	g.DECQ(Mem{Base: rT, Disp: q8Chain})
	factors, init := rKS, rK
	g.MOVQ(Mem{Base: rT, Disp: q8Column}, rTemp)
	g.MOVQ(Mem{Base: rT, Disp: q8Scale}, factors)
	g.ADDQ(rTemp, factors)
	g.SHRQ(U8(2), rTemp)
	g.MOVQ(Mem{Base: rT, Disp: q8Dst}, rC)
	g.ADDQ(rTemp, rC)
	g.ADDQ(Mem{Base: rT, Disp: q8Dst2}, rTemp)
	g.MOVQ(rTemp, Mem{Base: rT, Disp: q8Prev2})
	g.ADDQ(U32(4*32), Mem{Base: rT, Disp: q8Column})
	g.MOVQ(Mem{Base: rT, Disp: tileA}, rA)
	g.MOVQ(Mem{Base: rT, Disp: q8A2}, rA7)
	g.MOVQ(Mem{Base: rT, Disp: q8Init}, init)
	g.ADDQ(Mem{Base: rT, Disp: q8Column}, init)
	// Nothing is added to unsigned results without zero point. Up to the last pair no instruction changes the flags.
	g.MOVL(Mem{Base: rT, Disp: q8Words}, rTemp.As32())
	g.ORL(Mem{Base: rT, Disp: q8Flip}, rTemp.As32())

	// Where registers are left, factors and zero point stay in them.
	first := 2 * rows
	take := func() VecPhysical {
		first++
		return g.phys(first - 1)
	}
	b, a, index := [2]VecPhysical{take(), take()}, take(), take()
	scale, zero, stay := b, a, first+3 <= g.t.regs
	if stay {
		scale, zero = [2]VecPhysical{take(), take()}, take()
	}
	constants := func() {
		for h, v := range scale {
			g.VMOVUPS(Mem{Base: factors, Disp: 64 * h}, v)
		}
	}
	if stay {
		constants()
		g.VPBROADCASTD(Mem{Base: rT, Disp: q8Pair}, zero)
	}
	g.VMOVDQU32(order, index)
	for i := 0; i < rows; i += 2 {
		of := []int{i, i + 1}[:min(2, rows-i)]
		if !stay {
			constants()
		}
		for _, r := range of {
			for h := range 2 {
				v := sum(r, h)
				g.VCVTDQ2PS(v, v)
				g.VMULPS(scale[h], v, v)
				g.VCVTPS2DQ(v, v)
			}
			g.VPACKSSDW(sum(r, 1), sum(r, 0), sum(r, 0))
		}
		if !stay {
			g.VPBROADCASTD(Mem{Base: rT, Disp: q8Pair}, zero)
		}
		words, bytes := fmt.Sprintf("%s_%d", name("words"), i), fmt.Sprintf("%s_%d", name("bytes"), i)
		g.JEQ(LabelRef(words))
		for _, r := range of {
			g.VPADDSW(zero, sum(r, 0), sum(r, 0))
		}
		g.Label(words)
		v := sum(i, 0)
		g.VPACKUSWB(sum(of[len(of)-1], 0), v, v)
		g.JEQ(LabelRef(bytes))
		g.VPXORD_BCST(Mem{Base: rT, Disp: q8Flip}, v, v)
		g.Label(bytes)
		// The register of left values is free as long as none is read.
		packed := a
		g.VPERMD(v, index, packed)
		for k, r := range of {
			switch r {
			case 0:
			case firstRun(rows):
				g.MOVQ(Mem{Base: rT, Disp: q8Prev2}, rC)
			default:
				g.LEAQ(Mem{Base: rC, Index: rCS, Scale: 1}, rC)
			}
			if k == 0 {
				g.VMOVDQU64(packed.(Vec).AsY(), Mem{Base: rC})
			} else {
				g.VEXTRACTI64X4(U8(1), packed, Mem{Base: rC})
			}
		}
		for h := range 2 {
			g.VMOVUPS(Mem{Base: init, Disp: 64 * h}, sum(i, h))
			if len(of) > 1 {
				g.VMOVUPS(sum(i, h), sum(i+1, h))
			}
		}
		for u := range 4 {
			for h := range 2 {
				g.VMOVDQU32(Mem{Base: rB, Disp: 128*u + 64*h}, b[h])
			}
			for _, r := range of {
				m := rowOfTwo(r, rows)
				m.Disp = 4 * u
				g.VPBROADCASTD(m, a)
				for h := range 2 {
					g.VPDPBUSD(b[h], a, sum(r, h))
				}
			}
		}
	}
	g.ADDQ(U8(16), rA)
	g.ADDQ(U8(16), rA7)
	g.ADDQ(U32(4*128), rB)
	g.MOVQ(Mem{Base: rT, Disp: q8Segs}, rKS)
	g.MOVQ(Mem{Base: rT, Disp: q8K}, rK)
	g.SUBQ(U8(8), rK)
	g.JGE(LabelRef(name("quad")))
	g.JMP(LabelRef(name("rest")))
	g.Label(name("unchained"))
}

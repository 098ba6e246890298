package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of overlapQ8 in package kernel.
const (
	ovX, ovW, ovInit, ovEdge, ovLeft, ovLast, ovDst = 0, 8, 16, 24, 32, 40, 48
	ovXAt, ovLeftAt, ovLastAt, ovAt, ovLeftStep     = 56, 64, 72, 80, 88
	ovPitch, ovRow, ovPx, ovQuads, ovRows, ovPixels = 96, 104, 112, 120, 128, 136
	ovBottom, ovFirst, ovMasks                      = 144, 152, 160
	ovScale, ovLo, ovHi, ovWords, ovFlip, ovFits    = 168, 172, 176, 180, 184, 192
	ovCarry                                         = 200

	overlapPixels = 16
)

// overlaps emits transposed convolutions of 4×4 and stride 2 to one channel: a register holds the products of a pixel with
// all sixteen taps, lane 4·row+column. Results are sums of four lanes, of two pixels side by side in two rows.
func overlaps(g *gen) {
	g.tier(avx512)
	// Bytes come as rows a and b of even pairs of pixels, then of odd ones.
	order := g.data("overlapOrder", func(i int) uint32 { return uint32(i&1*8 + i%8/2 + i/8*4) })
	g.typeName("overlapQ8")
	g.text("overlapQ8VNNI", "func(t *byte)")
	g.Load(g.Param("t"), rT)
	field := func(at int) Mem { return Mem{Base: rT, Disp: at} }
	init, edge, weights, value, left := Z16, Z17, Z18, Z19, Z20
	scale, words, flip, index, lo, hi := Z21, Z22, Z23, Z24, Z25, Z26
	carry := [4]VecPhysical{Z28, Z29, Z30, Z31}
	rows, dst, pitch := rKS, rCS, R14
	g.MOVQ(field(ovInit), rTemp)
	g.VMOVDQU32(Mem{Base: rTemp}, init)
	g.MOVQ(field(ovEdge), rTemp)
	g.VMOVDQU32(Mem{Base: rTemp}, edge)
	for i, v := range carry {
		g.VMOVDQU32(field(ovCarry+64*i), v)
	}
	g.VBROADCASTSS(field(ovScale), scale)
	g.VBROADCASTSS(field(ovLo), lo)
	g.VBROADCASTSS(field(ovHi), hi)
	g.VPBROADCASTW(field(ovWords), words)
	g.VPBROADCASTD(field(ovFlip), flip)
	g.VMOVDQU32(order, index)
	g.KMOVD(field(ovFirst), K1)
	g.KMOVD(field(ovFirst+4), K2)
	g.MOVQ(field(ovPx), rRS)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 2}, rRS3)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 4}, rRS5)
	g.MOVQ(field(ovPitch), pitch)
	g.MOVQ(field(ovDst), dst)
	g.ADDQ(field(ovAt), dst)
	g.MOVQ(field(ovRows), rows)
	g.MOVQ(field(ovPixels), rTemp)
	name := func(n int) string { return fmt.Sprintf("pixels%d", n) }
	g.branches(0, overlapPixels, name)
	for n := range overlapPixels + 1 {
		label := func(s string) string { return fmt.Sprintf("%s%d", s, n) }
		g.Label(name(n))
		g.MOVQ(field(ovLeft), rTemp)
		g.ADDQ(field(ovLeftAt), rTemp)
		g.VMOVDQU32(Mem{Base: rTemp}, left)
		g.MOVQ(field(ovLeftStep), rTemp)
		g.ADDQ(rTemp, field(ovLeftAt))
		for i := range overlapPixels {
			from := init
			if i >= n {
				from = edge
			}
			g.VMOVDQA32(from, g.phys(i))
		}
		if n > 0 {
			bases := []Register{rA, rA7, rC}[:(n+6)/7]
			g.MOVQ(field(ovX), rA)
			g.ADDQ(field(ovXAt), rA)
			g.MOVQ(field(ovRow), rTemp)
			g.ADDQ(rTemp, field(ovXAt))
			for i := range bases[1:] {
				g.LEAQ(Mem{Base: bases[i], Index: rRS, Scale: 4}, bases[i+1])
				g.ADDQ(rRS3, bases[i+1])
			}
			g.MOVQ(field(ovW), rB)
			g.MOVQ(field(ovQuads), rK)
			g.Label(label("quad"))
			g.VMOVDQU32(Mem{Base: rB}, weights)
			for i := range n {
				g.VPBROADCASTD(rowAt(i), value)
				g.VPDPBUSD(weights, value, g.phys(i))
			}
			for _, r := range bases {
				g.ADDQ(U8(4), r)
			}
			g.ADDQ(U8(64), rB)
			g.DECQ(rK)
			g.JNE(LabelRef(label("quad")))
		}
		if n == overlapPixels {
			g.MOVQ(field(ovLast), rTemp)
			g.ADDQ(field(ovLastAt), rTemp)
			g.VMOVDQU32(g.phys(n-1), Mem{Base: rTemp})
			g.ADDQ(U8(64), field(ovLastAt))
		}
		// The last two columns of a pixel's taps and the first two of the next one's are the same columns of the result.
		for j := overlapPixels/2 - 1; j >= 0; j-- {
			before := VecPhysical(left)
			if j > 0 {
				before = g.phys(2*j - 1)
			}
			even, odd := g.phys(2*j), g.phys(2*j+1)
			g.VPUNPCKLQDQ(odd, even, odd)
			g.VPUNPCKHQDQ(even, before, even)
			g.VPADDD(even, odd, odd)
		}
		// Likewise rows, of which the last two wait for the next row of pixels.
		sum := func(i int) VecPhysical { return g.phys(4 * i) }
		for i, wait := range carry {
			first, second := g.phys(4*i+1), g.phys(4*i+3)
			g.VSHUFI64X2(U8(0x44), second, first, sum(i))
			g.VPADDD(wait, sum(i), sum(i))
			g.VSHUFI64X2(U8(0xee), second, first, wait)
		}
		for i := range carry {
			g.VCVTDQ2PS(sum(i), sum(i))
			g.VMULPS(scale, sum(i), sum(i))
		}
		g.CMPQ(field(ovFits), U8(0))
		g.JNE(LabelRef(label("fits")))
		// The bound is the operand that a comparison with NaN returns.
		for i := range carry {
			g.VMAXPS(lo, sum(i), sum(i))
			g.VMINPS(hi, sum(i), sum(i))
		}
		g.Label(label("fits"))
		for i := range carry {
			g.VCVTPS2DQ(sum(i), sum(i))
		}
		for i := 0; i < 4; i += 2 {
			g.VPACKSSDW(sum(i+1), sum(i), sum(i))
			g.VPADDSW(words, sum(i), sum(i))
		}
		g.VPACKUSWB(sum(2), sum(0), sum(0))
		g.VPXORD(flip, sum(0), sum(0))
		g.VPERMD(sum(0), index, sum(0))
		g.VMOVDQU8(Y0, K1, Mem{Base: dst})
		g.VEXTRACTI64X4(U8(1), sum(0), Y1)
		g.VMOVDQU8(Y1, K2, Mem{Base: dst, Index: pitch, Scale: 1})
		g.LEAQ(Mem{Base: dst, Index: pitch, Scale: 2}, dst)
		g.KMOVD(field(ovMasks), K1)
		g.KMOVD(field(ovMasks+4), K2)
		g.DECQ(rows)
		g.JNE(LabelRef(name(n)))
		// Below the last row of an image there is a row of edges, of which only the first row of results is wanted.
		g.CMPQ(field(ovBottom), U8(0))
		if n > 0 {
			g.JNE(LabelRef("bottom"))
			g.JMP(LabelRef("done"))
			continue
		}
		g.JEQ(LabelRef("done"))
		g.Label("bottom")
		g.MOVQ(U32(0), field(ovBottom))
		g.MOVQ(U32(1), rows)
		g.KXORD(K2, K2, K2)
		g.JMP(LabelRef(name(0)))
	}
	g.Label("done")
	for i, v := range carry {
		g.VMOVDQU32(v, field(ovCarry+64*i))
	}
	g.VZEROUPPER()
	g.RET()
}

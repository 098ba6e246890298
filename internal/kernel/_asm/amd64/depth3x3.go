package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of depth3x3Q8 in package kernel.
const (
	d3Y, d3Rows, d3W, d3Bias, d3Scale, d3N, d3Gap, d3Stride = 0, 8, 32, 40, 48, 56, 64, 72
	d3Groups, d3XZero, d3Lo, d3Hi, d3Zero                   = 80, 88, 92, 96, 100
)

// depth3x3 emits rows of 3×3 depthwise convolutions with 8-bit results, eight channels and four positions at a time. A lane
// holds the values of two rows as 16-bit values, or that of the third.
func depth3x3(g *gen) {
	g.tier(avx2)
	order := g.resultOrder("results3x3")
	for _, signed := range []bool{false, true} {
		for step := 1; step <= 2; step++ {
			g.depth3x3Rows(signed, step, order)
		}
	}
}

func (g *gen) depth3x3Rows(signed bool, step int, order Mem) {
	typ, words, dwords := "U8", g.VPMOVZXBW, g.VPMOVZXBD
	if signed {
		typ, words, dwords = "S8", g.VPMOVSXBW, g.VPMOVSXBD
	}
	const positions = 4
	g.typeName("depth3x3Q8")
	g.text(fmt.Sprintf("depth3x3%sStride%dAVX2", typ, step), "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	gap, stride := g.field(t, d3Gap, 0), g.field(t, d3Stride, 0)
	gap3, gap5, gap7 := g.times3(gap), g.GP64(), g.GP64()
	g.LEAQ(Mem{Base: gap, Index: gap, Scale: 4}, gap5)
	g.LEAQ(Mem{Base: gap3, Index: gap, Scale: 4}, gap7)
	rows := [3]Register{g.GP64(), g.GP64(), g.GP64()}
	y, left, q, channel := g.GP64(), g.GP64(), g.GP64(), g.GP64()
	column := func(row, i int) Mem {
		m := Mem{Base: rows[row]}
		switch i {
		case 0:
		case 1, 2, 4, 8:
			m.Index, m.Scale = gap, uint8(i)
		case 3, 6:
			m.Index, m.Scale = gap3, uint8(i/3)
		case 5:
			m.Index, m.Scale = gap5, 1
		case 7:
			m.Index, m.Scale = gap7, 1
		}
		return m
	}
	// The weights of rows 0 and 1 of each column of the kernel, and of row 2.
	both, third := [3]VecPhysical{Y0, Y1, Y2}, [3]VecPhysical{Y3, Y4, Y5}
	acc := [positions]VecPhysical{Y6, Y7, Y8, Y9}
	init, scale, pair, last, temp, other := Y10, Y11, Y12, Y13, Y14, Y15
	g.XORL(channel.(GP).As32(), channel.(GP).As32())
	g.Label("channels")
	g.MOVQ(channel, q)
	g.SHLQ(U8(1), q)
	g.LEAQ(Mem{Base: q, Index: q, Scale: 8}, q)
	g.ADDQ(Mem{Base: t, Disp: d3W}, q)
	for i := range both {
		g.VPMOVZXWD(Mem{Base: q, Disp: 16 * i}, both[i])
		g.VPMOVSXWD(Mem{Base: q, Disp: 16 * (3 + i)}, temp)
		g.VPSLLD(U8(16), temp, temp)
		g.VPOR(temp, both[i], both[i])
		g.VPMOVZXWD(Mem{Base: q, Disp: 16 * (6 + i)}, third[i])
	}
	// What the zero point adds to a sum is taken off beforehand.
	g.MOVQ(Mem{Base: t, Disp: d3Bias}, q)
	g.VMOVDQU(Mem{Base: q, Index: channel, Scale: 4}, init)
	g.VPBROADCASTB(Mem{Base: t, Disp: d3XZero}, other.AsX())
	words(other.AsX(), other)
	for i := range both {
		for _, w := range []VecPhysical{both[i], third[i]} {
			g.VPMADDWD(w, other, temp)
			g.VPSUBD(temp, init, init)
		}
	}
	g.MOVQ(Mem{Base: t, Disp: d3Scale}, q)
	g.VMOVUPS(Mem{Base: q, Index: channel, Scale: 4}, scale)
	for k, r := range rows {
		g.MOVQ(Mem{Base: t, Disp: d3Rows + 8*k}, r)
		g.ADDQ(channel, r)
	}
	g.MOVQ(Mem{Base: t, Disp: d3Y}, y)
	g.ADDQ(channel, y)
	g.MOVQ(Mem{Base: t, Disp: d3N}, left)
	g.CMPQ(left, U8(positions))
	g.JLT(LabelRef("single"))

	// results computes those of n positions and moves on.
	results := func(n int) {
		for i := range (n-1)*step + 3 {
			g.VMOVQ(column(0, i), pair.AsX())
			g.VMOVQ(column(1, i), other.AsX())
			g.VPUNPCKLBW(other.AsX(), pair.AsX(), pair.AsX())
			words(pair.AsX(), pair)
			dwords(column(2, i), last)
			for k := range 3 {
				if i < k || (i-k)%step != 0 || (i-k)/step >= n {
					continue
				}
				sum := acc[(i-k)/step]
				if k == 0 {
					g.VPMADDWD(both[k], pair, sum)
					g.VPADDD(init, sum, sum)
				} else {
					g.VPMADDWD(both[k], pair, temp)
					g.VPADDD(temp, sum, sum)
				}
				g.VPMADDWD(third[k], last, temp)
				g.VPADDD(temp, sum, sum)
			}
		}
		lo, hi, zero, low := pair, last, temp, other
		g.VBROADCASTSS(Mem{Base: t, Disp: d3Lo}, lo)
		g.VPBROADCASTD(Mem{Base: t, Disp: d3Hi}, hi)
		g.VCVTDQ2PS(hi, hi)
		for _, v := range acc[:n] {
			g.VCVTDQ2PS(v, v)
			g.VMULPS(scale, v, v)
		}
		// The bound is the operand that a comparison with NaN returns.
		for _, v := range acc[:n] {
			g.VMAXPS(lo, v, v)
			g.VMINPS(hi, v, v)
			g.VCVTPS2DQ(v, v)
		}
		g.VPBROADCASTW(Mem{Base: t, Disp: d3Zero}, zero)
		g.setLow(low)
		for i := 0; i < n; i += 2 {
			g.VPACKSSDW(acc[min(i+1, n-1)], acc[i], acc[i])
			g.VPADDW(zero, acc[i], acc[i])
			g.VPAND(low, acc[i], acc[i])
		}
		v := acc[0]
		g.VPACKUSWB(acc[n/2], v, v)
		g.VMOVDQU(order, low)
		g.VPERMD(v, low, v)
		for i := range n {
			if i == 2 {
				g.VEXTRACTI128(U8(1), v, low.AsX())
				v = low
			}
			if i%2 == 0 {
				g.VMOVQ(v.(Vec).AsX(), Mem{Base: y})
			} else {
				g.VMOVHPS(v.(Vec).AsX(), Mem{Base: y})
			}
			g.ADDQ(stride, y)
		}
		for _, r := range rows {
			g.LEAQ(Mem{Base: r, Index: gap, Scale: uint8(n * step)}, r)
		}
	}
	g.Label("positions")
	results(positions)
	g.SUBQ(U8(positions), left)
	g.JEQ(LabelRef("done"))
	g.CMPQ(left, U8(positions))
	g.JGE(LabelRef("positions"))
	// The last positions, some of them once more.
	g.SUBQ(U8(positions), left)
	g.MOVQ(left, q)
	g.IMULQ(stride, q)
	g.ADDQ(q, y)
	g.MOVQ(left, q)
	g.IMULQ(gap, q)
	for _, r := range rows {
		g.LEAQ(Mem{Base: r, Index: q, Scale: uint8(step)}, r)
	}
	g.MOVQ(U32(positions), left)
	g.JMP(LabelRef("positions"))
	g.Label("single")
	results(1)
	g.DECQ(left)
	g.JNE(LabelRef("single"))
	g.Label("done")
	g.ADDQ(U8(8), channel)
	g.MOVQ(channel, q)
	g.SHRQ(U8(3), q)
	g.CMPQ(q, Mem{Base: t, Disp: d3Groups})
	g.JLT(LabelRef("channels"))
	g.VZEROUPPER()
	g.RET()
}

package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of depthF32 and depthI16 in package kernel. The former goes on.
const (
	depthY, depthX, depthW, depthBias, depthOffs      = 0, 8, 16, 24, 32
	depthTaps, depthN, depthC, depthStep, depthStride = 40, 48, 56, 64, 72
	depthAct, depthAlpha, depthLo, depthHi            = 80, 88, 92, 96
)

// depthwise emits the rows of depthwise convolutions: four positions by two vectors of channels at a time.
func depthwise(g *gen) {
	depthRows(g, "depthF32", "depthF32"+g.t.suffix, func(w, acc, temp Op, x Mem, mask Op) {
		switch {
		case mask != nil && !g.t.wide:
			g.VMASKMOVPS(x, mask, temp)
			g.VFMADD231PS(temp, w, acc)
		case mask != nil:
			g.VFMADD231PS(x, w, mask, acc)
		default:
			g.VFMADD231PS(x, w, acc)
		}
	})
}

// depthwise16 emits the same for pairs of 16-bit values and sums of 32 bits.
func depthwise16(g *gen) {
	depthRows(g, "depthI16", "depthI16"+g.t.suffix, func(w, acc, temp Op, x Mem, mask Op) {
		switch {
		case mask != nil && g.t.wide:
			g.VMOVUPS_Z(x, mask, temp)
			g.VPMADDWD(temp, w, temp)
		case mask != nil:
			g.VMASKMOVPS(x, mask, temp)
			g.VPMADDWD(temp, w, temp)
		default:
			g.VPMADDWD(x, w, temp)
		}
		g.VPADDD(temp, acc, acc)
	})
}

func depthRows(g *gen, typ, name string, mac func(w, acc, temp Op, x Mem, mask Op)) {
	g.typeName(typ)
	g.text(name, "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	field := func(disp int) Mem { return Mem{Base: t, Disp: disp} }
	get := func(disp int, shift uint8) Register {
		r := g.GP64()
		g.MOVQ(field(disp), r)
		if shift > 0 {
			g.SHLQ(U8(shift), r)
		}
		return r
	}
	local := g.AllocLocal(8)
	left := local
	g.MOVQ(get(depthN, 0), left)
	rest := get(depthC, 0)
	g.ANDQ(U32(g.t.lanes-1), rest)
	mask := g.tailMask(rest)
	x, y, w, bias := get(depthX, 0), get(depthY, 0), get(depthW, 0), get(depthBias, 0)
	step, stride := get(depthStep, 2), get(depthStride, 2)
	step3, stride3 := g.times3(step), g.times3(stride)
	offs, taps, channels, at, p := g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64()

	// block computes a number of positions by a number of vectors of channels.
	block := func(positions, vectors int, mask Op) {
		acc := make([][]VecVirtual, positions)
		for i := range acc {
			acc[i] = make([]VecVirtual, vectors)
		}
		for v := range vectors {
			b := g.loadMaybe(Mem{Base: bias, Disp: v * g.bytes()}, mask)
			acc[0][v] = b
			for i := 1; i < positions; i++ {
				acc[i][v] = g.vec()
				g.VMOVUPS(b, acc[i][v])
			}
		}
		g.MOVQ(field(depthOffs), offs)
		g.MOVQ(field(depthTaps), taps)
		top, done := g.label("tap"), g.label("summed")
		g.TESTQ(taps, taps)
		g.JEQ(LabelRef(done))
		g.Label(top)
		g.MOVQ(Mem{Base: offs}, p)
		g.MOVQ(Mem{Base: offs, Disp: 8}, at)
		g.LEAQ(Mem{Base: x, Index: p, Scale: 4}, p)
		weights := make([]VecVirtual, vectors)
		for v := range weights {
			weights[v] = g.loadMaybe(Mem{Base: w, Index: at, Scale: 4, Disp: v * g.bytes()}, mask)
		}
		temp := []VecVirtual{g.vec(), g.vec()}
		for i := range positions {
			for v := range vectors {
				m := strided(p, step, step3, i)
				m.Disp = v * g.bytes()
				mac(weights[v], acc[i][v], temp[(i*vectors+v)%2], m, mask)
			}
		}
		g.ADDQ(U8(16), offs)
		g.DECQ(taps)
		g.JNE(LabelRef(top))
		g.Label(done)
		if typ == "depthF32" {
			g.depthActivation(field, acc)
		}
		for i := range positions {
			for v := range vectors {
				m := strided(y, stride, stride3, i)
				m.Disp = v * g.bytes()
				g.storeMaybe(acc[i][v], mask, m)
			}
		}
	}
	// row computes a number of positions, all channels, and moves on.
	row := func(positions int) {
		pair, one, tail, end := g.label("pair"), g.label("one"), g.label("tail"), g.label("end")
		advance := func(vectors int) {
			for _, r := range []Register{x, y, w, bias} {
				g.ADDQ(U32(vectors*g.bytes()), r)
			}
		}
		g.MOVQ(field(depthC), channels)
		g.SUBQ(U32(2*g.t.lanes), channels)
		g.JLT(LabelRef(one))
		g.Label(pair)
		block(positions, 2, nil)
		advance(2)
		g.SUBQ(U32(2*g.t.lanes), channels)
		g.JGE(LabelRef(pair))
		g.Label(one)
		g.ADDQ(U32(g.t.lanes), channels)
		g.JLT(LabelRef(tail))
		block(positions, 1, nil)
		advance(1)
		g.SUBQ(U32(g.t.lanes), channels)
		g.Label(tail)
		g.CMPQ(channels, I8(-g.t.lanes))
		g.JEQ(LabelRef(end))
		block(positions, 1, mask)
		g.Label(end)
		// Back to the first channel, and on to the next position.
		g.MOVQ(field(depthC), channels)
		g.ANDQ(I8(-g.t.lanes), channels)
		g.SHLQ(U8(2), channels)
		for _, r := range []Register{x, y, w, bias} {
			g.SUBQ(channels, r)
		}
		for range positions {
			g.ADDQ(step, x)
			g.ADDQ(stride, y)
		}
		g.SUBQ(U8(positions), left)
	}
	quad, single, ones, end := g.label("quad"), g.label("single"), g.label("ones"), g.label("done")
	g.Label(quad)
	g.CMPQ(left, U8(4))
	g.JLT(LabelRef(single))
	row(4)
	g.JMP(LabelRef(quad))
	g.Label(single)
	g.CMPQ(left, U8(0))
	g.JEQ(LabelRef(end))
	// The last four, if there are as many, of which the first have been computed already.
	g.CMPQ(field(depthN), U8(4))
	g.JLT(LabelRef(ones))
	g.MOVQ(left, p)
	g.SUBQ(U8(4), p)
	for _, r := range [][2]Register{{step, x}, {stride, y}} {
		g.MOVQ(r[0], at)
		g.IMULQ(p, at)
		g.ADDQ(at, r[1])
	}
	g.MOVQ(U32(4), p)
	g.MOVQ(p, left)
	g.JMP(LabelRef(quad))
	g.Label(ones)
	row(1)
	g.CMPQ(left, U8(0))
	g.JNE(LabelRef(ones))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

// depthActivation applies the activation of a depthF32 to sums.
func (g *gen) depthActivation(field func(int) Mem, acc [][]VecVirtual) {
	bounds, upper, done := g.label("bounds"), g.label("upper"), g.label("store")
	each := func(f func(v VecVirtual)) {
		for _, row := range acc {
			for _, v := range row {
				f(v)
			}
		}
	}
	g.CMPQ(field(depthAct), U8(0))
	g.JEQ(LabelRef(done))
	factor, product := g.vec(), g.vec()
	g.CMPQ(field(depthAct), U8(actLeakyRelu))
	g.JNE(LabelRef(bounds))
	g.VBROADCASTSS(field(depthAlpha), factor)
	each(func(v VecVirtual) {
		g.VMULPS(factor, v, product)
		g.VMOVUPS(g.blendSign(v, product, v), v)
	})
	g.JMP(LabelRef(done))
	g.Label(bounds)
	g.VBROADCASTSS(field(depthLo), factor)
	each(func(v VecVirtual) { g.VMAXPS(v, factor, v) })
	g.CMPQ(field(depthAct), U8(actClip))
	g.JEQ(LabelRef(upper))
	g.JMP(LabelRef(done))
	g.Label(upper)
	g.VBROADCASTSS(field(depthHi), factor)
	each(func(v VecVirtual) { g.VMINPS(v, factor, v) })
	g.Label(done)
}

// pairs emits dst[i] = the pair of a[i]-zero and b[i]-zero, eight at a time.
func pairs(g *gen) {
	g.tier(avx2)
	g.text("pairI16AVX2", "func(dst *int32, a, b *uint8, n, signed int, zero int32)")
	dst, a, b := g.Load(g.Param("dst"), g.GP64()), g.Load(g.Param("a"), g.GP64()), g.Load(g.Param("b"), g.GP64())
	n, signed := g.Load(g.Param("n"), g.GP64()), g.Load(g.Param("signed"), g.GP64())
	zero, lo, hi := g.YMM(), g.YMM(), g.YMM()
	g.VMOVD(g.Load(g.Param("zero"), g.GP32()), zero.AsX())
	g.VPBROADCASTD(zero.AsX(), zero)
	i := g.GP64()
	g.XORL(i.As32(), i.As32())
	loop := func(name string, widen func(ops ...Op)) {
		g.Label(name)
		widen(Mem{Base: a, Index: i, Scale: 1}, lo)
		widen(Mem{Base: b, Index: i, Scale: 1}, hi)
		g.VPSUBD(zero, lo, lo)
		g.VPSUBD(zero, hi, hi)
		g.VPSLLD(U8(16), hi, hi)
		g.VPBLENDW(U8(0xaa), hi, lo, lo)
		g.VMOVDQU(lo, Mem{Base: dst, Index: i, Scale: 4})
		g.ADDQ(U8(8), i)
		g.CMPQ(i, n)
		g.JLT(LabelRef(name))
		g.VZEROUPPER()
		g.RET()
	}
	g.TESTQ(signed, signed)
	g.JNE(LabelRef("signed"))
	loop("unsigned", g.VPMOVZXBD)
	loop("signed", g.VPMOVSXBD)
}

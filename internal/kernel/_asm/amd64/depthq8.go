package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of depthQ8 in package kernel.
const (
	dqY, dqX, dqW, dqInit, dqScale, dqOffs        = 0, 8, 16, 24, 32, 40
	dqTaps, dqN, dqStep, dqStride, dqVectors      = 48, 56, 64, 72, 80
	dqLo, dqHi, dqWords, dqFlip, dqFits, dqColumn = 88, 92, 96, 100, 104, 112
	depthPositions                                = 4
)

// depthQ8 emits depthwise convolutions with VNNI: the four bytes of a lane are four rows of an image.
func depthQ8(g *gen) {
	g.tier(avx512)
	order := g.data("quarters", func(i int) uint32 { return uint32(i%4*4 + i/4) })

	g.text("quadsU8AVX512", "func(dst *int32, a, b, c, d *uint8, n int, flip uint32)")
	p := g.pointers("dst", "a", "b", "c", "d", "n")
	index, mask := g.ZMM(), g.ZMM()
	g.VMOVDQU32(order, index)
	g.VPBROADCASTD(g.Load(g.Param("flip"), g.GP32()), mask)
	g.Label("next")
	var v [4]VecVirtual
	for i := range v {
		// Quarters of the vector get every fourth of four values, from which interleaving makes vectors in order.
		v[i] = g.ZMM()
		g.VPERMD(Mem{Base: p[1+i]}, index, v[i])
		g.VPXORD(mask, v[i], v[i])
		g.ADDQ(U8(64), p[1+i])
	}
	for h, unpack := range []func(ops ...Op){g.VPUNPCKLBW, g.VPUNPCKHBW} {
		ab, cd := g.ZMM(), g.ZMM()
		unpack(v[1], v[0], ab)
		unpack(v[3], v[2], cd)
		low, high := g.ZMM(), g.ZMM()
		g.VPUNPCKLWD(cd, ab, low)
		g.VPUNPCKHWD(cd, ab, high)
		g.VMOVDQU32(low, Mem{Base: p[0], Disp: 128 * h})
		g.VMOVDQU32(high, Mem{Base: p[0], Disp: 128*h + 64})
	}
	g.ADDQ(U32(256), p[0])
	g.SUBQ(U8(64), p[5])
	g.JEQ(LabelRef("done"))
	g.CMPQ(p[5], U8(64))
	g.JGE(LabelRef("next"))
	// The last 64 values, some of them once more.
	g.SUBQ(U8(64), p[5])
	for _, r := range p[1:5] {
		g.ADDQ(p[5], r)
	}
	g.LEAQ(Mem{Base: p[0], Index: p[5], Scale: 4}, p[0])
	g.MOVQ(U32(64), p[5])
	g.JMP(LabelRef("next"))
	g.Label("done")
	g.VZEROUPPER()
	g.RET()

	g.typeName("depthQ8")
	g.text("depthQ8VNNI", "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	get := func(disp int) Register {
		r := g.GP64()
		g.MOVQ(Mem{Base: t, Disp: disp}, r)
		return r
	}
	step, stride := get(dqStep), get(dqStride)
	step3, stride3 := g.times3(step), g.times3(stride)
	x, y, left, offs, taps, q, w := g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64()
	lo, hi, zero, flip := g.ZMM(), g.ZMM(), g.ZMM(), g.ZMM()
	g.VBROADCASTSS(Mem{Base: t, Disp: dqLo}, lo)
	g.VBROADCASTSS(Mem{Base: t, Disp: dqHi}, hi)
	g.VPBROADCASTW(Mem{Base: t, Disp: dqWords}, zero)
	g.VPBROADCASTD(Mem{Base: t, Disp: dqFlip}, flip)
	index, init, scale := g.ZMM(), g.ZMM(), g.ZMM()
	g.VMOVDQU32(order, index)
	g.Label("channels")
	g.MOVQ(Mem{Base: t, Disp: dqColumn}, w)
	g.MOVQ(Mem{Base: t, Disp: dqInit}, q)
	g.VMOVDQU32(Mem{Base: q, Index: w, Scale: 4}, init)
	g.MOVQ(Mem{Base: t, Disp: dqScale}, q)
	g.VMOVUPS(Mem{Base: q, Index: w, Scale: 4}, scale)
	g.MOVQ(Mem{Base: t, Disp: dqX}, x)
	g.LEAQ(Mem{Base: x, Index: w, Scale: 4}, x)
	g.MOVQ(Mem{Base: t, Disp: dqY}, y)
	g.ADDQ(w, y)
	g.MOVQ(Mem{Base: t, Disp: dqN}, left)
	g.Label("positions")
	var acc [depthPositions]VecVirtual
	for i := range acc {
		acc[i] = g.ZMM()
		g.VMOVDQA64(init, acc[i])
	}
	g.MOVQ(Mem{Base: t, Disp: dqOffs}, offs)
	g.MOVQ(Mem{Base: t, Disp: dqTaps}, taps)
	g.Label("taps")
	g.MOVQ(Mem{Base: offs}, q)
	g.LEAQ(Mem{Base: x, Index: q, Scale: 4}, q)
	g.MOVQ(Mem{Base: offs, Disp: 8}, w)
	g.ADDQ(Mem{Base: t, Disp: dqColumn}, w)
	g.SHLQ(U8(2), w)
	g.ADDQ(Mem{Base: t, Disp: dqW}, w)
	weights, values := g.ZMM(), g.ZMM()
	g.VMOVDQU32(Mem{Base: w}, weights)
	for i := range acc {
		g.VMOVDQU32(strided(q, step, step3, i), values)
		g.VPDPBUSD(weights, values, acc[i])
	}
	g.ADDQ(U8(16), offs)
	g.DECQ(taps)
	g.JNE(LabelRef("taps"))
	for i := range acc {
		g.VCVTDQ2PS(acc[i], acc[i])
		g.VMULPS(scale, acc[i], acc[i])
	}
	g.CMPQ(Mem{Base: t, Disp: dqFits}, U8(0))
	g.JNE(LabelRef("fits"))
	// The bound is the operand that a comparison with NaN returns.
	for i := range acc {
		g.VMAXPS(lo, acc[i], acc[i])
		g.VMINPS(hi, acc[i], acc[i])
	}
	g.Label("fits")
	for i := range acc {
		g.VCVTPS2DQ(acc[i], acc[i])
	}
	for i := range 2 {
		g.VPACKSSDW(acc[2*i+1], acc[2*i], acc[2*i])
		g.VPADDSW(zero, acc[2*i], acc[2*i])
	}
	g.VPACKUSWB(acc[2], acc[0], acc[0])
	g.VPXORD(flip, acc[0], acc[0])
	g.VPERMD(acc[0], index, acc[0])
	for i := range acc {
		to := strided(y, stride, stride3, i)
		if i == 0 {
			g.VMOVDQU(acc[0].AsX(), to)
		} else {
			g.VEXTRACTI32X4(U8(i), acc[0], to)
		}
	}
	g.LEAQ(Mem{Base: x, Index: step, Scale: depthPositions}, x)
	g.LEAQ(Mem{Base: y, Index: stride, Scale: depthPositions}, y)
	g.SUBQ(U8(depthPositions), left)
	g.JEQ(LabelRef("done"))
	g.CMPQ(left, U8(depthPositions))
	g.JGE(LabelRef("positions"))
	// The last positions, some of them once more.
	g.SUBQ(U8(depthPositions), left)
	for _, s := range [][2]Register{{x, step}, {y, stride}} {
		g.MOVQ(left, q)
		g.IMULQ(s[1], q)
		g.ADDQ(q, s[0])
	}
	g.MOVQ(U32(depthPositions), left)
	g.JMP(LabelRef("positions"))
	g.Label("done")
	g.ADDQ(U8(16), Mem{Base: t, Disp: dqColumn})
	g.DECQ(Mem{Base: t, Disp: dqVectors})
	g.JNE(LabelRef("channels"))
	g.VZEROUPPER()
	g.RET()
}

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

	g.depthRow("depthQ8VNNI", 4, false, order)
	g.depthRow("depthQ8VNNI3", 8, true, order)
}

// depthRow emits a row of results, so many positions at a time. sliding says that there are three taps, each of which reads
// what the one before it reads at the next position.
func (g *gen) depthRow(name string, positions int, sliding bool, order Mem) {
	g.typeName("depthQ8")
	g.text(name, "func(t *byte)")
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
	// tapAt points w at the weights of tap i behind offs.
	tapAt := func(i int) {
		g.MOVQ(Mem{Base: offs, Disp: 16*i + 8}, w)
		g.ADDQ(Mem{Base: t, Disp: dqColumn}, w)
		g.SHLQ(U8(2), w)
		g.ADDQ(Mem{Base: t, Disp: dqW}, w)
	}
	weights := []VecVirtual{g.ZMM()}
	if sliding {
		weights = append(weights, g.ZMM(), g.ZMM())
		g.MOVQ(Mem{Base: t, Disp: dqOffs}, offs)
		g.MOVQ(Mem{Base: offs}, q)
		g.LEAQ(Mem{Base: x, Index: q, Scale: 4}, x)
		for i, v := range weights {
			tapAt(i)
			g.VMOVDQU32(Mem{Base: w}, v)
		}
	}
	g.Label("positions")
	acc := make([]VecVirtual, positions)
	for i := range acc {
		acc[i] = g.ZMM()
		g.VMOVDQA64(init, acc[i])
	}
	values := g.ZMM()
	if sliding {
		at := x
		for i := range positions + len(weights) - 1 {
			if i > 0 && i%4 == 0 {
				g.LEAQ(Mem{Base: at, Index: step, Scale: 4}, q)
				at = q
			}
			g.VMOVDQU32(strided(at, step, step3, i%4), values)
			for k, v := range weights {
				if i-k >= 0 && i-k < positions {
					g.VPDPBUSD(v, values, acc[i-k])
				}
			}
		}
	} else {
		g.MOVQ(Mem{Base: t, Disp: dqOffs}, offs)
		g.MOVQ(Mem{Base: t, Disp: dqTaps}, taps)
		g.Label("taps")
		g.MOVQ(Mem{Base: offs}, q)
		g.LEAQ(Mem{Base: x, Index: q, Scale: 4}, q)
		tapAt(0)
		g.VMOVDQU32(Mem{Base: w}, weights[0])
		for i := range acc {
			g.VMOVDQU32(strided(q, step, step3, i), values)
			g.VPDPBUSD(weights[0], values, acc[i])
		}
		g.ADDQ(U8(16), offs)
		g.DECQ(taps)
		g.JNE(LabelRef("taps"))
	}
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
	for i := 0; i < positions; i += 2 {
		g.VPACKSSDW(acc[i+1], acc[i], acc[i])
		g.VPADDSW(zero, acc[i], acc[i])
	}
	for i := 0; i < positions; i += 4 {
		v := acc[i]
		g.VPACKUSWB(acc[i+2], v, v)
		g.VPXORD(flip, v, v)
		g.VPERMD(v, index, v)
		for k := range 4 {
			to := strided(y, stride, stride3, k)
			if k == 0 {
				g.VMOVDQU(v.AsX(), to)
			} else {
				g.VEXTRACTI32X4(U8(k), v, to)
			}
		}
		g.LEAQ(Mem{Base: y, Index: stride, Scale: 4}, y)
		g.LEAQ(Mem{Base: x, Index: step, Scale: 4}, x)
	}
	g.SUBQ(U8(positions), left)
	g.JEQ(LabelRef("done"))
	g.CMPQ(left, U8(positions))
	g.JGE(LabelRef("positions"))
	// The last positions, some of them once more.
	g.SUBQ(U8(positions), left)
	for _, s := range [][2]Register{{x, step}, {y, stride}} {
		g.MOVQ(left, q)
		g.IMULQ(s[1], q)
		g.ADDQ(q, s[0])
	}
	g.MOVQ(U32(uint32(positions)), left)
	g.JMP(LabelRef("positions"))
	g.Label("done")
	g.ADDQ(U8(16), Mem{Base: t, Disp: dqColumn})
	g.DECQ(Mem{Base: t, Disp: dqVectors})
	g.JNE(LabelRef("channels"))
	g.VZEROUPPER()
	g.RET()
}

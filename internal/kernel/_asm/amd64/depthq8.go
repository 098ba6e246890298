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
	for _, t := range []tier{avx512, avx2} {
		g.tier(t)
		suffix := dotTier(t)
		g.quadsU8()
		order := g.resultOrder("results" + suffix)
		g.depthRow("depthQ8"+suffix, 4, false, false, order)
		g.depthRow("depthQ8"+suffix+"3", 8, true, false, order)
		if !t.wide {
			g.depthRow("depthPairsQ8AVX2", 4, false, true, order)
		}
	}
}

// dotTier is the tier whose instruction multiplies vectors of bytes as wide as those of t.
func dotTier(t tier) string {
	if t.wide {
		return "VNNI"
	}
	return "AVXVNNI"
}

// resultOrder is the index of VPERMD that puts the results of four vectors of 32-bit values in order, which were packed to
// bytes by 128 bits.
func (g *gen) resultOrder(name string) Mem {
	n := g.t.lanes / 4
	return g.data(name, func(i int) uint32 { return uint32(i%g.t.lanes%n*4 + i%g.t.lanes/n) })
}

// quadsU8 emits the interleaving of four rows of bytes.
func (g *gen) quadsU8() {
	n := g.t.lanes / 4
	parts := g.data("parts"+g.t.suffix, func(i int) uint32 { return uint32(i%4*n + i/4%n) })
	g.text("quadsU8"+g.t.suffix, "func(dst *int32, a, b, c, d *uint8, n int, flip uint32)")
	p := g.pointers("dst", "a", "b", "c", "d", "n")
	index, mask := g.load(parts), g.broadcast("flip")
	g.Label("next")
	var v [4]VecVirtual
	for i := range v {
		// Each 128 bits of the vector get words of four values a vector of results apart, from which interleaving makes vectors in
		// order.
		v[i] = g.vec()
		g.VPERMD(Mem{Base: p[1+i]}, index, v[i])
		g.xor(mask, v[i])
		g.ADDQ(U8(g.bytes()), p[1+i])
	}
	for h, unpack := range []func(ops ...Op){g.VPUNPCKLBW, g.VPUNPCKHBW} {
		ab, cd := g.vec(), g.vec()
		unpack(v[1], v[0], ab)
		unpack(v[3], v[2], cd)
		low, high := g.vec(), g.vec()
		g.VPUNPCKLWD(cd, ab, low)
		g.VPUNPCKHWD(cd, ab, high)
		g.VMOVUPS(low, Mem{Base: p[0], Disp: 2 * h * g.bytes()})
		g.VMOVUPS(high, Mem{Base: p[0], Disp: (2*h + 1) * g.bytes()})
	}
	g.ADDQ(U32(4*g.bytes()), p[0])
	g.SUBQ(U8(g.bytes()), p[5])
	g.JEQ(LabelRef("done"))
	g.CMPQ(p[5], U8(g.bytes()))
	g.JGE(LabelRef("next"))
	// The last values, some of them once more.
	g.SUBQ(U8(g.bytes()), p[5])
	for _, r := range p[1:5] {
		g.ADDQ(p[5], r)
	}
	g.LEAQ(Mem{Base: p[0], Index: p[5], Scale: 4}, p[0])
	g.MOVQ(U32(g.bytes()), p[5])
	g.JMP(LabelRef("next"))
	g.Label("done")
	g.VZEROUPPER()
	g.RET()
}

// xor inverts the bits of v that mask holds.
func (g *gen) xor(mask Op, v Op) {
	if g.t.wide {
		g.VPXORD(mask, v, v)
	} else {
		g.VPXOR(mask, v, v)
	}
}

// dotPairs adds the products of signed bytes and unsigned bytes to acc, whose even and odd ones splitSigned and splitUnsigned
// have put into words: VPMADDUBSW would saturate.
func (g *gen) dotPairs(w, x [2]VecPhysical, acc, temp VecPhysical) {
	for i := range w {
		g.VPMADDWD(w[i], x[i], temp)
		g.VPADDD(temp, acc, acc)
	}
}

// splitSigned leaves the odd bytes of v[1] there, as words, and puts the even ones into v[0].
func (g *gen) splitSigned(v [2]VecPhysical) {
	g.VPSLLW(U8(8), v[1], v[0])
	g.VPSRAW(U8(8), v[0], v[0])
	g.VPSRAW(U8(8), v[1], v[1])
}

// splitUnsigned is splitSigned for unsigned bytes. low has ones in the low byte of each word.
func (g *gen) splitUnsigned(v [2]VecPhysical, low VecPhysical) {
	g.VPAND(low, v[1], v[0])
	g.VPSRLW(U8(8), v[1], v[1])
}

// setLow sets the low byte of each word.
func (g *gen) setLow(v VecPhysical) {
	g.VPCMPEQW(v, v, v)
	g.VPSRLW(U8(8), v, v)
}

// dotBytes adds the products of signed bytes w and unsigned bytes x to acc.
func (g *gen) dotBytes(w, x, acc VecPhysical) {
	if g.t.wide {
		g.VPDPBUSD(w, x, acc)
	} else {
		g.vexDot(vexDotBytes, w, x, acc)
	}
}

// depthRow emits a row of results, so many positions at a time. sliding says that there are three taps, each of which reads
// what the one before it reads at the next position; pairs, that a lane holds two words, not four bytes.
func (g *gen) depthRow(name string, positions int, sliding, pairs bool, order Mem) {
	g.typeName("depthQ8")
	g.text(name, "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	step, stride := g.field(t, dqStep, 0), g.field(t, dqStride, 0)
	step3, stride3 := g.times3(step), g.times3(stride)
	x, y, left, offs, taps, q, w := g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64()
	used := 0
	vec := func() VecPhysical {
		used++
		return g.phys(used - 1)
	}
	acc := make([]VecPhysical, positions)
	for i := range acc {
		acc[i] = vec()
	}
	init, scale, values, weights := vec(), vec(), vec(), []VecPhysical{vec()}
	temps := [2]VecPhysical{vec(), vec()}
	g.Label("channels")
	g.MOVQ(Mem{Base: t, Disp: dqColumn}, w)
	g.MOVQ(Mem{Base: t, Disp: dqInit}, q)
	g.VMOVUPS(Mem{Base: q, Index: w, Scale: 4}, init)
	g.MOVQ(Mem{Base: t, Disp: dqScale}, q)
	g.VMOVUPS(Mem{Base: q, Index: w, Scale: 4}, scale)
	g.MOVQ(Mem{Base: t, Disp: dqX}, x)
	g.LEAQ(Mem{Base: x, Index: w, Scale: 4}, x)
	g.MOVQ(Mem{Base: t, Disp: dqY}, y)
	g.ADDQ(w, y)
	g.SHLQ(U8(2), w)
	g.ADDQ(Mem{Base: t, Disp: dqW}, w)
	g.MOVQ(Mem{Base: t, Disp: dqN}, left)
	// weightsOf reads those of tap i behind offs.
	weightsOf := func(i int, v VecPhysical) {
		g.MOVQ(Mem{Base: offs, Disp: 16*i + 8}, q)
		g.VMOVUPS(Mem{Base: w, Index: q, Scale: 4}, v)
	}
	if sliding {
		weights = append(weights, vec(), vec())
		g.MOVQ(Mem{Base: t, Disp: dqOffs}, offs)
		for i, v := range weights {
			weightsOf(i, v)
		}
		g.MOVQ(Mem{Base: offs}, q)
		g.LEAQ(Mem{Base: x, Index: q, Scale: 4}, x)
	}
	g.Label("positions")
	for _, v := range acc {
		g.VMOVUPS(init, v)
	}
	if sliding {
		at := Register(x)
		for i := range positions + len(weights) - 1 {
			if i > 0 && i%4 == 0 {
				g.LEAQ(Mem{Base: at, Index: step, Scale: 4}, q)
				at = q
			}
			g.VMOVUPS(strided(at, step, step3, i%4), values)
			for k, v := range weights {
				if i-k >= 0 && i-k < positions {
					g.dotBytes(v, values, acc[i-k])
				}
			}
		}
	} else {
		g.MOVQ(Mem{Base: t, Disp: dqOffs}, offs)
		g.MOVQ(Mem{Base: t, Disp: dqTaps}, taps)
		g.Label("taps")
		weightsOf(0, weights[0])
		g.MOVQ(Mem{Base: offs}, q)
		g.LEAQ(Mem{Base: x, Index: q, Scale: 4}, q)
		for i, v := range acc {
			if pairs {
				g.VPMADDWD(strided(q, step, step3, i), weights[0], values)
				g.VPADDD(values, v, v)
				continue
			}
			g.VMOVUPS(strided(q, step, step3, i), values)
			g.dotBytes(weights[0], values, v)
		}
		g.ADDQ(U8(16), offs)
		g.DECQ(taps)
		g.JNE(LabelRef("taps"))
	}
	for _, v := range acc {
		g.VCVTDQ2PS(v, v)
		g.VMULPS(scale, v, v)
	}
	g.CMPQ(Mem{Base: t, Disp: dqFits}, U8(0))
	g.JNE(LabelRef("fits"))
	g.VBROADCASTSS(Mem{Base: t, Disp: dqLo}, temps[0])
	g.VBROADCASTSS(Mem{Base: t, Disp: dqHi}, temps[1])
	// The bound is the operand that a comparison with NaN returns.
	for _, v := range acc {
		g.VMAXPS(temps[0], v, v)
		g.VMINPS(temps[1], v, v)
	}
	g.Label("fits")
	zero, flip, index := temps[0], temps[1], values
	g.VPBROADCASTW(Mem{Base: t, Disp: dqWords}, zero)
	g.VPBROADCASTD(Mem{Base: t, Disp: dqFlip}, flip)
	g.VMOVUPS(order, index)
	for _, v := range acc {
		g.VCVTPS2DQ(v, v)
	}
	for i := 0; i < positions; i += 2 {
		g.VPACKSSDW(acc[i+1], acc[i], acc[i])
		g.VPADDSW(zero, acc[i], acc[i])
	}
	for i := 0; i < positions; i += 4 {
		v := acc[i]
		g.VPACKUSWB(acc[i+2], v, v)
		g.xor(flip, v)
		g.VPERMD(v, index, v)
		var to [4]Mem
		for k := range to {
			to[k] = strided(y, stride, stride3, k)
		}
		g.storeFourths(v, acc[i+2], to)
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
	g.ADDQ(U8(g.t.lanes), Mem{Base: t, Disp: dqColumn})
	g.DECQ(Mem{Base: t, Disp: dqVectors})
	g.JNE(LabelRef("channels"))
	g.VZEROUPPER()
	g.RET()
}

// storeFourths stores the fourths of v. It may overwrite temp.
func (g *gen) storeFourths(v, temp VecPhysical, to [4]Mem) {
	if g.t.wide {
		g.VMOVDQU(v.(Vec).AsX(), to[0])
		for k := 1; k < 4; k++ {
			g.VEXTRACTI32X4(U8(k), v, to[k])
		}
		return
	}
	high := temp.(Vec).AsX()
	g.VEXTRACTI128(U8(1), v, high)
	g.VMOVQ(v.(Vec).AsX(), to[0])
	g.VMOVHPS(v.(Vec).AsX(), to[1])
	g.VMOVQ(high, to[2])
	g.VMOVHPS(high, to[3])
}

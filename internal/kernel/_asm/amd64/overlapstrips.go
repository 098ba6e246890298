package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of overlapStrips in package kernel.
const (
	osX, osW, osInit, osEdge, osCarry, osDst                = 0, 8, 16, 24, 32, 40
	osRow, osPx, osQuads, osRows, osFull, osRest, osPitch   = 48, 56, 64, 72, 80, 88, 96
	osScale, osLo, osHi, osWords, osFlip, osFits, osAt, osY = 104, 108, 112, 116, 120, 128, 136, 144
	osLeft                                                  = 152

	stripPixels = 4
)

// overlapStrips emits transposed convolutions of 4×4 and stride 2 to one channel in strips of four pixels: a register holds
// the products of a pixel with eight taps, those of rows 0 and 1 or of rows 2 and 3, in whose 128 bits a row of results lies.
func overlapStrips(g *gen) {
	g.tier(avx2)
	g.strips("overlapStripsAVXVNNI", false)
	g.strips("overlapStripsAVX2", true)
}

// strips emits them. pairs says that words are multiplied, not bytes.
func (g *gen) strips(name string, pairs bool) {
	g.typeName("overlapStrips")
	g.text(name, "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	field := func(at int) Mem { return Mem{Base: t, Disp: at} }
	px := g.field(t, osPx, 0)
	px3 := g.times3(px)
	rows := g.field(t, osRows, 0)
	x, dst, carry, strips, w, k, pitch, q := g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64()
	upper, lower := [stripPixels]VecPhysical{Y0, Y1, Y2, Y3}, [stripPixels]VecPhysical{Y4, Y5, Y6, Y7}
	weights, value, left := [2]VecPhysical{Y8, Y9}, Y10, [2]VecPhysical{Y11, Y12}
	scale, words, flip := Y13, Y14, Y10
	// Registers for words.
	split, values, temp, low := [2][2]VecPhysical{{Y8, Y9}, {Y10, Y11}}, [2]VecPhysical{Y12, Y13}, Y14, Y15
	g.MOVQ(field(osPitch), pitch)
	constants := func() {
		g.VBROADCASTSS(field(osScale), scale)
		g.VPBROADCASTW(field(osWords), words)
	}
	if pairs {
		g.setLow(low)
	} else {
		constants()
	}

	// products computes those of the first n pixels; the others are edges.
	products := func(n int) {
		label := fmt.Sprintf("quad%d", n)
		for h, half := range [][stripPixels]VecPhysical{upper, lower} {
			for i, from := range []int{osInit, osEdge} {
				first, end := i*n, n+i*(stripPixels-n)
				if first == end {
					continue
				}
				g.MOVQ(field(from), q)
				g.VMOVDQU(Mem{Base: q, Disp: 32 * h}, half[first])
				for _, v := range half[first+1 : end] {
					g.VMOVDQA(half[first], v)
				}
			}
		}
		if n == 0 {
			return
		}
		g.MOVQ(field(osW), w)
		g.MOVQ(field(osQuads), k)
		g.MOVQ(x, q)
		g.Label(label)
		for h, v := range weights {
			if pairs {
				v = split[h][1]
			}
			g.VMOVDQU(Mem{Base: w, Disp: 32 * h}, v)
			if pairs {
				g.splitSigned(split[h])
			}
		}
		for i := range n {
			if pairs {
				g.VPBROADCASTD(strided(q, px, px3, i), values[1])
				g.splitUnsigned(values, low)
				g.dotPairs(split[0], values, upper[i], temp)
				g.dotPairs(split[1], values, lower[i], temp)
				continue
			}
			g.VPBROADCASTD(strided(q, px, px3, i), value)
			g.vexDot(vexDotBytes, weights[0], value, upper[i])
			g.vexDot(vexDotBytes, weights[1], value, lower[i])
		}
		g.ADDQ(U8(4), q)
		g.ADDQ(U8(64), w)
		g.DECQ(k)
		g.JNE(LabelRef(label))
	}
	g.Label("row")
	g.MOVQ(field(osX), x)
	g.ADDQ(field(osAt), x)
	g.MOVQ(field(osDst), dst)
	g.ADDQ(field(osY), dst)
	g.MOVQ(field(osCarry), carry)
	g.MOVQ(field(osEdge), q)
	for h, v := range left {
		g.VMOVDQU(Mem{Base: q, Disp: 32 * h}, v)
		if pairs {
			g.VMOVDQU(v, field(osLeft+32*h))
		}
	}
	g.MOVQ(field(osFull), strips)
	g.TESTQ(strips, strips)
	g.JEQ(LabelRef("last"))
	g.Label("strip")
	products(stripPixels)
	g.Label("products")
	if pairs {
		constants()
		for h, v := range left {
			g.VMOVDQU(field(osLeft+32*h), v)
			g.VMOVDQU([][stripPixels]VecPhysical{upper, lower}[h][stripPixels-1], field(osLeft+32*h))
		}
	}
	// The last two columns of a pixel's taps and the first two of the next one's are the same columns of the result.
	for h, half := range [][stripPixels]VecPhysical{upper, lower} {
		if !pairs {
			g.VMOVDQA(half[stripPixels-1], weights[h])
		}
		for i := stripPixels - 2; i >= 0; i -= 2 {
			before := VecPhysical(left[h])
			if i > 0 {
				before = half[i-1]
			}
			even, odd := half[i], half[i+1]
			g.VPUNPCKLQDQ(odd, even, odd)
			g.VPUNPCKHQDQ(even, before, even)
			g.VPADDD(even, odd, odd)
		}
		if !pairs {
			g.VMOVDQA(weights[h], left[h])
		}
	}
	// Likewise rows, of which the last two wait for the next row of pixels.
	sums := [2]VecPhysical{upper[1], upper[3]}
	for i, wait := range []VecPhysical{lower[1], lower[3]} {
		g.VPADDD(Mem{Base: carry, Disp: 32 * i}, sums[i], sums[i])
		g.VMOVDQU(wait, Mem{Base: carry, Disp: 32 * i})
	}
	for _, v := range sums {
		g.VCVTDQ2PS(v, v)
		g.VMULPS(scale, v, v)
	}
	g.CMPQ(field(osFits), U8(0))
	g.JNE(LabelRef("fits"))
	g.VBROADCASTSS(field(osLo), upper[0])
	g.VBROADCASTSS(field(osHi), upper[2])
	// The bound is the operand that a comparison with NaN returns.
	for _, v := range sums {
		g.VMAXPS(upper[0], v, v)
		g.VMINPS(upper[2], v, v)
	}
	g.Label("fits")
	for _, v := range sums {
		g.VCVTPS2DQ(v, v)
	}
	g.VPBROADCASTD(field(osFlip), flip)
	g.VPACKSSDW(sums[1], sums[0], sums[0])
	g.VPADDSW(words, sums[0], sums[0])
	g.VPACKUSWB(sums[0], sums[0], sums[0])
	g.VPXOR(flip, sums[0], sums[0])
	g.VEXTRACTI128(U8(1), sums[0], upper[0].(Vec).AsX())
	g.VMOVQ(sums[0].(Vec).AsX(), Mem{Base: dst})
	g.VMOVQ(upper[0].(Vec).AsX(), Mem{Base: dst, Index: pitch, Scale: 1})
	g.ADDQ(U8(2*stripPixels), dst)
	g.ADDQ(U8(64), carry)
	g.LEAQ(Mem{Base: x, Index: px, Scale: stripPixels}, x)
	g.DECQ(strips)
	g.JGT(LabelRef("strip"))
	g.JLT(LabelRef("end"))
	g.Label("last")
	g.CMPQ(field(osRest), U8(2))
	g.JGT(LabelRef("rest3"))
	g.JEQ(LabelRef("rest2"))
	g.CMPQ(field(osRest), U8(0))
	g.JNE(LabelRef("rest1"))
	for n := range stripPixels {
		if n > 0 {
			g.Label(fmt.Sprintf("rest%d", n))
		}
		products(n)
		g.JMP(LabelRef("products"))
	}
	g.Label("end")
	g.MOVQ(field(osRow), q)
	g.ADDQ(q, field(osAt))
	g.LEAQ(Mem{Base: pitch, Index: pitch, Scale: 1}, q)
	g.ADDQ(q, field(osY))
	g.DECQ(rows)
	g.JNE(LabelRef("row"))
	g.VZEROUPPER()
	g.RET()
}

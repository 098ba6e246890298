package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of tileI8 in package kernel, where they differ from tileF32's.
const (
	tileI8Init, tileI8RS, tileI8CS, tileI8Acc = 24, 56, 64, 72
)

// tileI8AVX2 emits the tile that widens b to 16 bits and multiplies pairs: exact, unlike the instruction for bytes,
// whose 16-bit sums of two products saturate.
func tileI8AVX2(g *gen) {
	g.tier(avx2)
	g.tileI8("AVX2", 6, 32, func(b [2]VecPhysical) {
		g.VPMOVSXBW(Mem{Base: rB}, b[0])
		g.VPMOVSXBW(Mem{Base: rB, Disp: 16}, b[1])
	}, func(b, a, tmp, acc VecPhysical) {
		g.VPMADDWD(b, a, tmp)
		g.VPADDD(tmp, acc, acc)
	})
}

// tileI8VNNI emits the tile of VPDPBUSD, which adds four products of unsigned a and signed b to each sum.
func tileI8VNNI(g *gen) {
	g.tier(avx512)
	g.tileI8("VNNI", 14, 128, func(b [2]VecPhysical) {
		g.VMOVDQU32(Mem{Base: rB}, b[0])
		g.VMOVDQU32(Mem{Base: rB, Disp: 64}, b[1])
	}, func(b, a, _, acc VecPhysical) { g.VPDPBUSD(b, a, acc) })
}

// tileI8 emits a tile of up to maxRows rows and two vectors of columns. Both kernels read four bytes of each row of a
// per group of steps, and stepBytes of b.
func (g *gen) tileI8(suffix string, maxRows, stepBytes int, loadB func(b [2]VecPhysical), dot func(b, a, tmp, acc VecPhysical)) {
	g.typeName("tileI8")
	g.text("tileI8"+suffix, "func(t *byte)")
	g.Load(g.Param("t"), rT)
	g.MOVQ(Mem{Base: rT, Disp: tileA}, rA)
	g.MOVQ(Mem{Base: rT, Disp: tileB}, rB)
	g.MOVQ(Mem{Base: rT, Disp: tileC}, rC)
	g.MOVQ(Mem{Base: rT, Disp: tileK}, rK)
	g.MOVQ(Mem{Base: rT, Disp: tileI8RS}, rRS)
	g.MOVQ(Mem{Base: rT, Disp: tileI8CS}, rCS)
	g.SHLQ(U8(2), rCS)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 2}, rRS3)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 4}, rRS5)
	if maxRows > 7 {
		g.LEAQ(Mem{Base: rA, Index: rRS, Scale: 4}, rA7)
		g.ADDQ(rRS3, rA7)
	}
	g.MOVQ(Mem{Base: rT, Disp: tileRows}, rTemp)
	for rows := maxRows; rows >= 1; rows-- {
		if rows > 1 {
			g.CMPQ(rTemp, U8(rows))
			g.JNE(LabelRef(fmt.Sprintf("below%d", rows)))
		}
		g.rowsI8(rows, stepBytes, loadB, dot)
		if rows > 1 {
			g.Label(fmt.Sprintf("below%d", rows))
		}
	}
}

func (g *gen) rowsI8(rows, stepBytes int, loadB func(b [2]VecPhysical), dot func(b, a, tmp, acc VecPhysical)) {
	name := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	sets := 1
	for g.t.wide && sets < 4 && 2*rows*sets < 10 {
		sets *= 2
	}
	acc := func(set, row, half int) VecPhysical { return g.phys((set*rows+row)*2 + half) }
	b := [2]VecPhysical{g.phys(g.t.regs - 4), g.phys(g.t.regs - 3)}
	a, tmp := g.phys(g.t.regs-2), g.phys(g.t.regs-1)
	for i := range 2 * rows * sets {
		g.zero(g.phys(i))
	}
	step := func(set int) {
		loadB(b)
		g.ADDQ(U32(stepBytes), rB)
		for i := range rows {
			g.VPBROADCASTD(rowAt(i), a)
			dot(b[0], a, tmp, acc(set, i, 0))
			dot(b[1], a, tmp, acc(set, i, 1))
		}
		g.ADDQ(U8(4), rA)
		if rows > 7 {
			g.ADDQ(U8(4), rA7)
		}
	}
	g.SUBQ(U8(4), rK)
	g.JLT(LabelRef(name("rest")))
	g.Label(name("quad"))
	for u := range 4 {
		step(u % sets)
	}
	g.SUBQ(U8(4), rK)
	g.JGE(LabelRef(name("quad")))
	g.Label(name("rest"))
	g.ADDQ(U8(4), rK)
	g.JEQ(LabelRef(name("summed")))
	g.Label(name("single"))
	step(0)
	g.DECQ(rK)
	g.JNE(LabelRef(name("single")))
	g.Label(name("summed"))
	for w := sets / 2; w > 0; w /= 2 {
		for s := range w {
			for i := range rows {
				for h := range 2 {
					g.VPADDD(acc(s+w, i, h), acc(s, i, h), acc(s, i, h))
				}
			}
		}
	}
	sum := func(row, half int) VecPhysical { return acc(0, row, half) }
	g.columns(name, b[0], b[1], func(name func(string) string, masks []Op) {
		g.finishI8(rows, name, sum, masks, []VecPhysical{a, tmp})
	})
}

func (g *gen) zero(r VecPhysical) {
	if g.t.wide {
		g.VPXORD(r, r, r)
	} else {
		g.VXORPS(r, r, r)
	}
}

// finishI8 adds c and the constants of the columns, and stores.
func (g *gen) finishI8(rows int, name func(string) string, sum func(row, half int) VecPhysical, masks []Op, temps []VecPhysical) {
	g.MOVQ(Mem{Base: rT, Disp: tileI8Init}, rTemp)
	g.TESTQ(rTemp, rTemp)
	g.JEQ(LabelRef(name("plain")))
	for h := range 2 {
		g.loadColumns(Mem{Base: rTemp}, h, masks, temps[h])
		for i := range rows {
			g.VPADDD(temps[h], sum(i, h), sum(i, h))
		}
	}
	g.Label(name("plain"))
	g.CMPQ(Mem{Base: rT, Disp: tileI8Acc}, U8(0))
	g.JEQ(LabelRef(name("fresh")))
	g.MOVQ(rC, rTemp)
	for i := range rows {
		for h := range 2 {
			g.loadColumns(Mem{Base: rTemp}, h, masks, temps[h])
			g.VPADDD(temps[h], sum(i, h), sum(i, h))
		}
		g.ADDQ(rCS, rTemp)
	}
	g.Label(name("fresh"))
	g.storeRows(rows, sum, masks)
	g.leave()
}

// widenAndRequant emits the conversions between 8 and 16 or 32 bits. n is a positive multiple of the vector's length.
func widenAndRequant(g *gen) {
	g.tier(avx2)
	for _, f := range []struct {
		name   string
		extend func(...Op)
	}{{"widenU8AVX2", g.VPMOVZXBW}, {"widenS8AVX2", g.VPMOVSXBW}} {
		g.text(f.name, "func(dst *int16, src *uint8, n int, zero int16)")
		dst, src := g.Load(g.Param("dst"), g.GP64()), g.Load(g.Param("src"), g.GP64())
		n := g.Load(g.Param("n"), g.GP64())
		zero := g.YMM()
		p, err := g.Param("zero").Resolve()
		if err != nil {
			panic(err)
		}
		g.VPBROADCASTW(p.Addr, zero)
		g.Label("next")
		v := g.YMM()
		f.extend(Mem{Base: src}, v)
		g.VPSUBW(zero, v, v)
		g.VMOVDQU(v, Mem{Base: dst})
		g.ADDQ(U8(16), src)
		g.ADDQ(U8(32), dst)
		g.SUBQ(U8(16), n)
		g.JNE(LabelRef("next"))
		g.VZEROUPPER()
		g.RET()
	}

	g.text("requantAVX2", "func(dst *uint8, acc, bias *int32, mult *float32, n int, zp int32, lo, hi float32)")
	dst, acc := g.Load(g.Param("dst"), g.GP64()), g.Load(g.Param("acc"), g.GP64())
	bias, mult := g.Load(g.Param("bias"), g.GP64()), g.Load(g.Param("mult"), g.GP64())
	n := g.Load(g.Param("n"), g.GP64())
	lo, hi, zp := g.broadcast("lo"), g.broadcast("hi"), g.broadcast("zp")
	low := g.StaticGlobal("lowBytes")
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		v := uint32(0xffffffff)
		if i%4 == 0 {
			v = 0x0c080400
		}
		g.AddDatum(4*i, U32(v))
	}
	order := g.load(low)
	g.Label("next")
	v := g.load(Mem{Base: acc})
	g.TESTQ(bias, bias)
	g.JEQ(LabelRef("unbiased"))
	g.VPADDD(Mem{Base: bias}, v, v)
	g.ADDQ(U8(32), bias)
	g.Label("unbiased")
	g.VCVTDQ2PS(v, v)
	g.VMULPS(Mem{Base: mult}, v, v)
	// The bound is the operand that a comparison with NaN returns.
	g.VMAXPS(lo, v, v)
	g.VMINPS(hi, v, v)
	g.VCVTPS2DQ(v, v)
	g.VPADDD(zp, v, v)
	g.VPSHUFB(order, v, v)
	h := g.XMM()
	g.VEXTRACTI128(U8(1), v, h)
	g.VPUNPCKLDQ(h, v.AsX(), h)
	g.VMOVQ(h, Mem{Base: dst})
	g.ADDQ(U8(32), acc)
	g.ADDQ(U8(32), mult)
	g.ADDQ(U8(8), dst)
	g.SUBQ(U8(8), n)
	g.JNE(LabelRef("next"))
	g.VZEROUPPER()
	g.RET()
}

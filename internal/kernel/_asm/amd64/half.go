package main

import . "github.com/mmcloughlin/avo/operand"

// halves emits the widening of n half-precision values, n a positive multiple of 8. F16C is
// not used: it makes signalling NaNs quiet, which the portable code does not.
func halves(g *gen) {
	g.tier(avx2)
	g.text("widenF16AVX2", "func(dst *float32, src *byte, n int)")
	p := g.pointers("dst", "src", "n")
	g.hold(0x7fff, 0x8000, 0x77800000, 0x47800000, 0x7f800000)
	rest, sign, magic, top, inf := g.bits(0x7fff), g.bits(0x8000), g.bits(0x77800000), g.bits(0x47800000), g.bits(0x7f800000)
	h, s, big := g.YMM(), g.YMM(), g.YMM()
	g.Label("next")
	g.VPMOVZXWD(Mem{Base: p[1]}, h)
	g.VPAND(sign, h, s)
	g.VPSLLD(U8(16), s, s)
	g.VPAND(rest, h, h)
	g.VPSLLD(U8(13), h, h)
	g.VMULPS(magic, h, h)
	g.VCMPPS(U8(cmpGE), top, h, big)
	g.VANDPS(inf, big, big)
	g.VORPS(s, h, h)
	g.VORPS(big, h, h)
	g.VMOVUPS(h, Mem{Base: p[0]})
	g.ADDQ(U8(32), p[0])
	g.ADDQ(U8(16), p[1])
	g.SUBQ(U8(8), p[2])
	g.JNE(LabelRef("next"))
	g.VZEROUPPER()
	g.RET()

	g.text("widenBF16AVX2", "func(dst *float32, src *byte, n int)")
	p = g.pointers("dst", "src", "n")
	h = g.YMM()
	g.Label("next")
	g.VPMOVZXWD(Mem{Base: p[1]}, h)
	g.VPSLLD(U8(16), h, h)
	g.VMOVUPS(h, Mem{Base: p[0]})
	g.ADDQ(U8(32), p[0])
	g.ADDQ(U8(16), p[1])
	g.SUBQ(U8(8), p[2])
	g.JNE(LabelRef("next"))
	g.VZEROUPPER()
	g.RET()
}

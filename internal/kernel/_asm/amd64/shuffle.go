package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// shuffles emits moves of n elements, a positive multiple of 8, between one stream and two or three.
func shuffles(g *gen) {
	g.tier(avx2)
	loop := func(body func()) func(n Register) {
		return func(n Register) {
			g.Label("next")
			body()
			g.SUBQ(U8(8), n)
			g.JNE(LabelRef("next"))
			g.VZEROUPPER()
			g.RET()
		}
	}
	vector := func(p Register, i int) Mem { return Mem{Base: p, Disp: 32 * i} }

	g.text("interleaveF32AVX2", "func(dst, a, b *float32, n int)")
	p := g.pointers("dst", "a", "b", "n")
	x, y, lo, hi := g.YMM(), g.YMM(), g.YMM(), g.YMM()
	loop(func() {
		g.VMOVUPS(vector(p[1], 0), x)
		g.VMOVUPS(vector(p[2], 0), y)
		g.VUNPCKLPS(y, x, lo)
		g.VUNPCKHPS(y, x, hi)
		g.VPERM2F128(U8(0x20), hi, lo, x)
		g.VPERM2F128(U8(0x31), hi, lo, y)
		g.VMOVUPS(x, vector(p[0], 0))
		g.VMOVUPS(y, vector(p[0], 1))
		g.ADDQ(U8(64), p[0])
		g.ADDQ(U8(32), p[1])
		g.ADDQ(U8(32), p[2])
	})(p[3])

	g.text("evenF32AVX2", "func(dst, src *float32, n int)")
	p = g.pointers("dst", "src", "n")
	x = g.YMM()
	loop(func() {
		g.VMOVUPS(vector(p[1], 0), x)
		g.VSHUFPS(U8(0x88), vector(p[1], 1), x, x)
		g.VPERMQ(U8(0xd8), x, x)
		g.VMOVUPS(x, vector(p[0], 0))
		g.ADDQ(U8(32), p[0])
		g.ADDQ(U8(64), p[1])
	})(p[2])

	// Element i of three interleaved streams belongs to stream i%3. mask are the lanes of vector v that do to stream s.
	mask := func(v, s int) (m uint8) {
		for l := range 8 {
			if (8*v+l)%3 == s {
				m |= 1 << l
			}
		}
		return m
	}
	index := func(name string, f func(lane int) int) VecVirtual {
		m := g.StaticGlobal(name)
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		for l := range 8 {
			g.AddDatum(4*l, U32(f(l)))
		}
		return g.load(m)
	}

	g.text("interleave3F32AVX2", "func(dst, a, b, c *float32, n int)")
	p = g.pointers("dst", "a", "b", "c", "n")
	var at [3]VecVirtual
	for v := range at {
		at[v] = index([]string{"third0", "third1", "third2"}[v], func(l int) int { return (8*v + l) / 3 })
	}
	in := [3]VecVirtual{g.YMM(), g.YMM(), g.YMM()}
	loop(func() {
		for s := range in {
			g.VMOVUPS(vector(p[1+s], 0), in[s])
		}
		for v := range 3 {
			var part [3]VecVirtual
			for s := range part {
				part[s] = g.YMM()
				g.VPERMPS(in[s], at[v], part[s])
			}
			g.VBLENDPS(U8(mask(v, 1)), part[1], part[0], part[0])
			g.VBLENDPS(U8(mask(v, 2)), part[2], part[0], part[0])
			g.VMOVUPS(part[0], vector(p[0], v))
		}
		g.ADDQ(U8(96), p[0])
		for s := range in {
			g.ADDQ(U8(32), p[1+s])
		}
	})(p[4])

	g.text("deinterleave3F32AVX2", "func(a, b, c, src *float32, n int)")
	p = g.pointers("a", "b", "c", "src", "n")
	// The lanes of a stream in the three vectors are all different: blended, they only lie in another order.
	for s := range at {
		at[s] = index([]string{"order0", "order1", "order2"}[s], func(l int) int { return (3*l + s) % 8 })
	}
	in = [3]VecVirtual{g.YMM(), g.YMM(), g.YMM()}
	loop(func() {
		for v := range in {
			g.VMOVUPS(vector(p[3], v), in[v])
		}
		for s := range 3 {
			x := g.YMM()
			g.VBLENDPS(U8(mask(1, s)), in[1], in[0], x)
			g.VBLENDPS(U8(mask(2, s)), in[2], x, x)
			g.VPERMPS(x, at[s], x)
			g.VMOVUPS(x, vector(p[s], 0))
		}
		g.ADDQ(U8(96), p[3])
		for s := range in {
			g.ADDQ(U8(32), p[s])
		}
	})(p[4])
}

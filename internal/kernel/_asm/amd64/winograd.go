package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// winograd emits the transforms of F(2×2, 3×3), a vector of channels at a time.
func winograd(g *gen) {
	winogradInput(g)
	winogradOutput(g)
}

// strided returns base + i·step for i < 4, where step3 is 3·step.
func strided(base, step, step3 Register, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: step3, Scale: 1}
	}
	return Mem{Base: base, Index: step, Scale: uint8(i)}
}

// times3 returns a register with three times r.
func (g *gen) times3(r Register) Register {
	t := g.GP64()
	g.LEAQ(Mem{Base: r, Index: r, Scale: 2}, t)
	return t
}

// rowsOf returns pointers base, base + step, base + 2·step and base + 3·step.
func (g *gen) rowsOf(base, step Register) [4]Register {
	rows := [4]Register{base}
	for i := 1; i < 4; i++ {
		rows[i] = g.GP64()
		g.LEAQ(Mem{Base: rows[i-1], Index: step, Scale: 1}, rows[i])
	}
	return rows
}

// channels emits body for vectors of c channels: whole ones, after each of which pointers move on, and a masked rest, after
// which they do not. c is lost.
func (g *gen) channels(c Register, mask Op, pointers []Register, body func(mask Op)) {
	top, tail, end := g.label("vector"), g.label("tail"), g.label("end")
	g.SUBQ(U32(g.t.lanes), c)
	g.JLT(LabelRef(tail))
	g.Label(top)
	body(nil)
	for _, p := range pointers {
		g.ADDQ(U32(g.bytes()), p)
	}
	g.SUBQ(U32(g.t.lanes), c)
	g.JGE(LabelRef(top))
	g.Label(tail)
	g.CMPQ(c, I8(-g.t.lanes))
	g.JEQ(LabelRef(end))
	body(mask)
	g.Label(end)
}

// split returns a mask of the channels beyond whole vectors, and the bytes of the whole ones and of the rest.
func (g *gen) split(c Register) (mask Op, whole, rest Register) {
	whole, rest = g.GP64(), g.GP64()
	g.MOVQ(c, rest)
	g.ANDQ(U32(g.t.lanes-1), rest)
	mask = g.tailMask(rest)
	g.MOVQ(c, whole)
	g.SUBQ(rest, whole)
	g.SHLQ(U8(2), whole)
	g.SHLQ(U8(2), rest)
	return mask, whole, rest
}

func (g *gen) loadMaybe(m Mem, mask Op) VecVirtual {
	if mask == nil {
		return g.load(m)
	}
	return g.loadMasked(m, mask)
}

func (g *gen) storeMaybe(v, mask Op, m Mem) {
	if mask == nil {
		g.VMOVUPS(v, m)
	} else {
		g.storeMasked(v, mask, m)
	}
}

func winogradInput(g *gen) {
	g.text("winogradInputF32"+g.t.suffix, "func(dst *float32, ldf int, src *float32, row, pix, n, c int)")
	local := g.AllocLocal(32)
	slot := func(i int) Mem { return local.Offset(8 * i) }
	move, rest, tiles, channels := slot(0), slot(1), slot(2), slot(3)

	c := g.Load(g.Param("c"), g.GP64())
	g.MOVQ(c, channels)
	mask, whole, r := g.split(c)
	g.MOVQ(r, rest)
	pix := g.Load(g.Param("pix"), g.GP64())
	g.SHLQ(U8(2), pix)
	next := g.GP64()
	g.LEAQ(Mem{Base: pix, Index: pix, Scale: 1}, next)
	g.SUBQ(whole, next)
	g.MOVQ(next, move)
	n := g.Load(g.Param("n"), g.GP64())
	g.MOVQ(n, tiles)

	row := g.Load(g.Param("row"), g.GP64())
	g.SHLQ(U8(2), row)
	src := g.rowsOf(g.Load(g.Param("src"), g.GP64()), row)
	ldf := g.Load(g.Param("ldf"), g.GP64())
	g.SHLQ(U8(2), ldf)
	ldf4 := g.GP64()
	g.MOVQ(ldf, ldf4)
	g.SHLQ(U8(2), ldf4)
	dst := g.rowsOf(g.Load(g.Param("dst"), g.GP64()), ldf4)
	pix3, ldf3 := g.times3(pix), g.times3(ldf)

	tile := g.label("tile")
	g.Label(tile)
	count := g.GP64()
	g.MOVQ(channels, count)
	g.channels(count, mask, append(src[:], dst[:]...), func(mask Op) {
		// (a, b, c, d) becomes (a-c, b+c, c-b, b-d), along rows and then along columns.
		across := func(i int) [4]VecVirtual {
			var d [4]VecVirtual
			for j := range d {
				d[j] = g.loadMaybe(strided(src[i], pix, pix3, j), mask)
			}
			t := g.vec()
			g.VSUBPS(d[2], d[0], d[0])
			g.VSUBPS(d[3], d[1], d[3])
			g.VADDPS(d[2], d[1], t)
			g.VSUBPS(d[1], d[2], d[2])
			return [4]VecVirtual{d[0], t, d[2], d[3]}
		}
		store := func(v Op, i, j int) { g.storeMaybe(v, mask, strided(dst[i], ldf, ldf3, j)) }
		h1, h2 := across(1), across(2)
		for j := range 4 {
			t := g.vec()
			g.VADDPS(h2[j], h1[j], t)
			store(t, 1, j)
			g.VSUBPS(h1[j], h2[j], t)
			store(t, 2, j)
		}
		h0 := across(0)
		for j := range 4 {
			g.VSUBPS(h2[j], h0[j], h0[j])
			store(h0[j], 0, j)
		}
		h3 := across(3)
		for j := range 4 {
			g.VSUBPS(h3[j], h1[j], h3[j])
			store(h3[j], 3, j)
		}
	})
	for _, p := range src {
		g.ADDQ(move, p)
	}
	for _, p := range dst {
		g.ADDQ(rest, p)
	}
	g.DECQ(tiles)
	g.JNE(LabelRef(tile))
	g.VZEROUPPER()
	g.RET()
}

// Offsets of the fields of winogradOut in package kernel.
const (
	outDst, outSrc, outBias              = 0, 8, 16
	outRow, outPix, outLDF, outLDS, outN = 24, 32, 40, 48, 56
	outC, outAct, outAlpha, outLo, outHi = 64, 72, 80, 84, 88
)

func winogradOutput(g *gen) {
	g.typeName("winogradOut")
	g.text("winogradOutputF32"+g.t.suffix, "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	field := func(disp int) Mem { return Mem{Base: t, Disp: disp} }
	get := func(disp int) Register {
		r := g.GP64()
		g.MOVQ(field(disp), r)
		return r
	}
	local := g.AllocLocal(32)
	slot := func(i int) Mem { return local.Offset(8 * i) }
	moveSrc, moveDst, whole, tiles := slot(0), slot(1), slot(2), slot(3)

	c := get(outC)
	mask, w, _ := g.split(c)
	g.MOVQ(w, whole)
	move := get(outLDS)
	g.SHLQ(U8(2), move)
	g.SUBQ(w, move)
	g.MOVQ(move, moveSrc)
	pix := get(outPix)
	g.SHLQ(U8(2), pix)
	g.LEAQ(Mem{Base: pix, Index: pix, Scale: 1}, move)
	g.SUBQ(w, move)
	g.MOVQ(move, moveDst)
	g.MOVQ(get(outN), tiles)

	ldf := get(outLDF)
	g.SHLQ(U8(2), ldf)
	ldf4 := g.GP64()
	g.MOVQ(ldf, ldf4)
	g.SHLQ(U8(2), ldf4)
	src := g.rowsOf(get(outSrc), ldf4)
	ldf3 := g.times3(ldf)
	row := get(outRow)
	g.SHLQ(U8(2), row)
	upper := get(outDst)
	lower := g.GP64()
	g.LEAQ(Mem{Base: upper, Index: row, Scale: 1}, lower)
	bias := get(outBias)
	alpha, lo, hi := g.vec(), g.vec(), g.vec()
	g.VBROADCASTSS(field(outAlpha), alpha)
	g.VBROADCASTSS(field(outLo), lo)
	g.VBROADCASTSS(field(outHi), hi)

	tile := g.label("tile")
	g.Label(tile)
	count := get(outC)
	pointers := append(src[:], upper, lower, bias)
	g.channels(count, mask, pointers, func(mask Op) {
		// (a, b, c, d) becomes (a+b+c, b-c-d), along rows and then along columns.
		across := func(i int) [2]VecVirtual {
			var m [4]VecVirtual
			for j := range m {
				m[j] = g.loadMaybe(strided(src[i], ldf, ldf3, j), mask)
			}
			g.VADDPS(m[1], m[0], m[0])
			g.VADDPS(m[2], m[0], m[0])
			g.VSUBPS(m[2], m[1], m[1])
			g.VSUBPS(m[3], m[1], m[1])
			return [2]VecVirtual{m[0], m[1]}
		}
		y0 := across(0)
		s := across(1)
		b := g.loadMaybe(Mem{Base: bias}, mask)
		for j := range 2 {
			g.VADDPS(s[j], y0[j], y0[j])
		}
		y1 := s
		s = across(2)
		for j := range 2 {
			g.VADDPS(s[j], y0[j], y0[j])
			g.VSUBPS(s[j], y1[j], y1[j])
		}
		s = across(3)
		for j := range 2 {
			g.VSUBPS(s[j], y1[j], y1[j])
		}
		y := []VecVirtual{y0[0], y0[1], y1[0], y1[1]}
		for _, v := range y {
			g.VADDPS(b, v, v)
		}
		store := g.label("store")
		g.CMPQ(field(outAct), U8(0))
		g.JEQ(LabelRef(store))
		for _, v := range y {
			p := g.vec()
			g.VMULPS(alpha, v, p)
			g.VMOVUPS(g.blendSign(v, p, v), v)
			g.VMAXPS(v, lo, v)
			g.VMINPS(v, hi, v)
		}
		g.Label(store)
		for i, m := range []Mem{{Base: upper}, {Base: upper, Index: pix, Scale: 1}, {Base: lower}, {Base: lower, Index: pix, Scale: 1}} {
			g.storeMaybe(y[i], mask, m)
		}
	})
	for _, p := range src {
		g.ADDQ(moveSrc, p)
	}
	g.ADDQ(moveDst, upper)
	g.ADDQ(moveDst, lower)
	g.SUBQ(whole, bias)
	g.DECQ(tiles)
	g.JNE(LabelRef(tile))
	g.VZEROUPPER()
	g.RET()
}

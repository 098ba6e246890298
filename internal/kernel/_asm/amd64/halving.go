package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of halving in package kernel.
const (
	halfWide, halfTall, halfBias               = 0, 8, 16
	halfRow, halfPix, halfLDF, halfLDS, halfN  = 24, 32, 40, 48, 56
	halfC, halfAct, halfAlpha, halfLo, halfHi  = 64, 72, 80, 84, 88
	halvingInput, halvingFilter, halvingOutput = 0, 1, 2
)

// halvings emits the transforms of F(2×2, 2×2), a vector of channels at a time.
func halvings(g *gen) {
	g.halving("halvingInputF32", halvingInput)
	g.halving("halvingFilterF32", halvingFilter)
	g.halving("halvingOutputF32", halvingOutput)
}

func (g *gen) halving(name string, kind int) {
	side := 2
	if kind == halvingInput {
		side = 3
	}
	g.typeName("halving")
	g.text(name+g.t.suffix, "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	field := func(disp int) Mem { return Mem{Base: t, Disp: disp} }
	get := func(disp int) Register {
		r := g.GP64()
		g.MOVQ(field(disp), r)
		return r
	}
	local := g.AllocLocal(32)
	slot := func(i int) Mem { return local.Offset(8 * i) }
	moveWide, moveTall, whole, tiles := slot(0), slot(1), slot(2), slot(3)

	c := get(halfC)
	mask, w, _ := g.split(c)
	g.MOVQ(w, whole)
	move := get(halfLDS)
	g.SHLQ(U8(2), move)
	g.SUBQ(w, move)
	g.MOVQ(move, moveTall)
	pix := get(halfPix)
	g.SHLQ(U8(2), pix)
	g.LEAQ(Mem{Base: pix, Index: pix, Scale: 1}, move)
	g.SUBQ(w, move)
	g.MOVQ(move, moveWide)
	g.MOVQ(get(halfN), tiles)

	rows := func(base, step Register, n int) []Register {
		r := []Register{base}
		for len(r) < n {
			next := g.GP64()
			g.LEAQ(Mem{Base: r[len(r)-1], Index: step, Scale: 1}, next)
			r = append(r, next)
		}
		return r
	}
	ldf := get(halfLDF)
	g.SHLQ(U8(2), ldf)
	ldf3 := g.times3(ldf)
	tall := rows(get(halfTall), ldf3, 3)
	row := get(halfRow)
	g.SHLQ(U8(2), row)
	wide := rows(get(halfWide), row, side)
	pointers := append(append([]Register{}, wide...), tall...)
	at := func(base, step Register, i int) Mem { return strided(base, step, nil, i) }

	var bias Register
	var alpha, lo, hi VecVirtual
	if kind == halvingOutput {
		bias = get(halfBias)
		pointers = append(pointers, bias)
		alpha, lo, hi = g.vec(), g.vec(), g.vec()
		g.VBROADCASTSS(field(halfAlpha), alpha)
		g.VBROADCASTSS(field(halfLo), lo)
		g.VBROADCASTSS(field(halfHi), hi)
	}

	tile := g.label("tile")
	g.Label(tile)
	count := get(halfC)
	g.channels(count, mask, pointers, func(mask Op) {
		store := func(v Op, i, j int) { g.storeMaybe(v, mask, at(tall[i], ldf, j)) }
		add := func(a, b Op) VecVirtual {
			v := g.vec()
			g.VADDPS(b, a, v)
			return v
		}
		sub := func(a, b Op) VecVirtual {
			v := g.vec()
			g.VSUBPS(b, a, v)
			return v
		}
		switch kind {
		case halvingInput:
			// (a, b, c) becomes (a-b, b, c-b), along rows and then along columns.
			across := func(i int) [3]VecVirtual {
				var d [3]VecVirtual
				for j := range d {
					d[j] = g.loadMaybe(at(wide[i], pix, j), mask)
				}
				g.VSUBPS(d[1], d[0], d[0])
				g.VSUBPS(d[1], d[2], d[2])
				return d
			}
			h1 := across(1)
			for j := range h1 {
				store(h1[j], 1, j)
			}
			for _, i := range []int{0, 2} {
				h := across(i)
				for j := range h {
					store(sub(h[j], h1[j]), i, j)
				}
			}
		case halvingFilter:
			// (a, b) becomes (a, a+b, b), along rows and then along columns.
			across := func(i int) [3]VecVirtual {
				a, b := g.loadMaybe(at(wide[i], pix, 0), mask), g.loadMaybe(at(wide[i], pix, 1), mask)
				return [3]VecVirtual{a, add(a, b), b}
			}
			h0, h1 := across(0), across(1)
			for j := range h0 {
				store(h0[j], 0, j)
				store(add(h0[j], h1[j]), 1, j)
				store(h1[j], 2, j)
			}
		case halvingOutput:
			// (a, b, c) becomes (a+b, b+c), along rows and then along columns.
			across := func(i int) [2]VecVirtual {
				var m [3]VecVirtual
				for j := range m {
					m[j] = g.loadMaybe(at(tall[i], ldf, j), mask)
				}
				return [2]VecVirtual{add(m[0], m[1]), add(m[1], m[2])}
			}
			h0, h1, h2 := across(0), across(1), across(2)
			b := g.loadMaybe(Mem{Base: bias}, mask)
			var y []VecVirtual
			for _, h := range [][2][2]VecVirtual{{h0, h1}, {h1, h2}} {
				for j := range 2 {
					v := add(h[0][j], h[1][j])
					g.VADDPS(b, v, v)
					y = append(y, v)
				}
			}
			done := g.label("store")
			g.CMPQ(field(halfAct), U8(0))
			g.JEQ(LabelRef(done))
			for _, v := range y {
				p := g.vec()
				g.VMULPS(alpha, v, p)
				g.VMOVUPS(g.blendSign(v, p, v), v)
				g.VMAXPS(v, lo, v)
				g.VMINPS(v, hi, v)
			}
			g.Label(done)
			for i, v := range y {
				g.storeMaybe(v, mask, at(wide[i/2], pix, i%2))
			}
		}
	})
	for _, p := range wide {
		g.ADDQ(moveWide, p)
	}
	for _, p := range tall {
		g.ADDQ(moveTall, p)
	}
	if kind == halvingOutput {
		g.SUBQ(whole, bias)
	}
	g.DECQ(tiles)
	g.JNE(LabelRef(tile))
	g.VZEROUPPER()
	g.RET()
}

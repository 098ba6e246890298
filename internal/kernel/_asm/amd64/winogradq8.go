package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// winogradQ8 emits the exact F(4×4, 3×3) of 8-bit values: the transforms, and the products of 16-bit values between them.
func winogradQ8(g *gen) {
	g.eachTier(func(g *gen) {
		g.winogradInput8("U8", g.VPMOVZXBW)
		g.winogradInput8("S8", g.VPMOVSXBW)
		winogradOutputQ8(g)
	})
	add := func(b, a, tmp, acc VecPhysical) {
		g.VPMADDWD(b, a, tmp)
		g.VPADDD(tmp, acc, acc)
	}
	g.tier(avx2)
	g.tileI16("AVX2", 6, add)
	g.tileI16("AVXVNNI", 6, func(b, a, _, acc VecPhysical) { g.vexDot(vexDotWords, b, a, acc) })
	g.tier(avx512)
	g.tileI16("VNNI", 14, func(b, a, _, acc VecPhysical) { g.VPDPWSSD(b, a, acc) })
}

// Offsets of the fields of tileI16 in package kernel.
const (
	i16K, i16Rows, i16Panels, i16Taps = 24, 32, 40, 48
	i16RS, i16CS, i16TapA, i16TapC    = 56, 64, 72, 80
)

// tileI16 emits products of up to maxRows rows of pairs of 16-bit values and two vectors of columns, for all panels and taps.
func (g *gen) tileI16(suffix string, maxRows int, dot func(b, a, tmp, acc VecPhysical)) {
	g.typeName("tileI16")
	g.text("tileI16"+suffix, "func(t *byte)")
	g.Load(g.Param("t"), rT)
	g.MOVQ(Mem{Base: rT, Disp: tileA}, rBS)
	g.MOVQ(Mem{Base: rT, Disp: tileB}, rB)
	g.MOVQ(Mem{Base: rT, Disp: tileC}, rFetch)
	g.MOVQ(Mem{Base: rT, Disp: i16RS}, rRS)
	g.MOVQ(Mem{Base: rT, Disp: i16CS}, rCS)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 2}, rRS3)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 4}, rRS5)
	g.MOVQ(Mem{Base: rT, Disp: i16Rows}, rTemp)
	name := func(rows int) string { return fmt.Sprintf("rows%d", rows) }
	g.branches(1, maxRows, name)
	for rows := 1; rows <= maxRows; rows++ {
		g.Label(name(rows))
		g.rowsI16(rows, dot)
	}
}

func (g *gen) rowsI16(rows int, dot func(b, a, tmp, acc VecPhysical)) {
	name := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	sets := 1
	for sets < 4 && 2*rows*sets < 10 && 4*rows*sets <= g.t.regs-4 {
		sets *= 2
	}
	acc := func(set, row, half int) VecPhysical { return g.phys((set*rows+row)*2 + half) }
	b := [2]VecPhysical{g.phys(g.t.regs - 4), g.phys(g.t.regs - 3)}
	a, tmp := g.phys(g.t.regs-2), g.phys(g.t.regs-1)
	// rBS is where the rows of a tap begin, and rFetch the results of a panel.
	g.Label(name("tap"))
	g.MOVQ(Mem{Base: rT, Disp: i16Panels}, rKS)
	g.Label(name("panel"))
	g.MOVQ(rBS, rA)
	if rows > 7 {
		g.LEAQ(Mem{Base: rA, Index: rRS, Scale: 4}, rA7)
		g.ADDQ(rRS3, rA7)
	}
	for i := range 2 * rows * sets {
		g.zero(g.phys(i))
	}
	step := func(set int) {
		for h := range b {
			if g.t.wide {
				g.VMOVDQU32(Mem{Base: rB, Disp: h * g.bytes()}, b[h])
			} else {
				g.VMOVDQU(Mem{Base: rB, Disp: h * g.bytes()}, b[h])
			}
		}
		g.ADDQ(U32(2*g.bytes()), rB)
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
	g.MOVQ(Mem{Base: rT, Disp: i16K}, rK)
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
	g.MOVQ(rFetch, rC)
	g.storeRows(rows, func(row, half int) VecPhysical { return acc(0, row, half) }, nil)
	g.ADDQ(U32(2*g.bytes()), rFetch)
	g.DECQ(rKS)
	g.JNE(LabelRef(name("panel")))
	g.ADDQ(Mem{Base: rT, Disp: i16TapA}, rBS)
	g.ADDQ(Mem{Base: rT, Disp: i16TapC}, rFetch)
	g.DECQ(Mem{Base: rT, Disp: i16Taps})
	g.JNE(LabelRef(name("tap")))
	g.leave()
}

// sixth returns base + i·step for i < 6, where step3 and step5 are 3·step and 5·step.
func sixth(base, step, step3, step5 Register, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: step3, Scale: 1}
	case 5:
		return Mem{Base: base, Index: step5, Scale: 1}
	}
	return Mem{Base: base, Index: step, Scale: uint8(i)}
}

// field returns a register with the value at disp, shifted left.
func (g *gen) field(t Register, disp, shift int) Register {
	r := g.GP64()
	g.MOVQ(Mem{Base: t, Disp: disp}, r)
	if shift > 0 {
		g.SHLQ(U8(shift), r)
	}
	return r
}

// odd returns registers with three and five times r.
func (g *gen) odd(r Register) (r3, r5 Register) {
	r3, r5 = g.times3(r), g.GP64()
	g.LEAQ(Mem{Base: r, Index: r, Scale: 4}, r5)
	return r3, r5
}

// held6 keeps vectors of rows × 6 between the two passes of a transform: in registers where there are enough, else in memory.
type held6 struct {
	g    *gen
	temp Register
	regs int // columns in registers
	v    map[int]VecVirtual
}

func (h *held6) mem(y, x int) Mem { return Mem{Base: h.temp, Disp: (6*y + x) * h.g.bytes()} }

func (h *held6) set(y, x int, v VecVirtual) {
	if x < h.regs {
		h.v[6*y+x] = v
	} else {
		h.g.VMOVUPS(v, h.mem(y, x))
	}
}

// get returns a vector that may be overwritten.
func (h *held6) get(y, x int) VecVirtual {
	if x < h.regs {
		return h.v[6*y+x]
	}
	return h.g.load(h.mem(y, x))
}

// Offsets of the fields of winogradIn8 in package kernel.
const (
	wiDst, wiSrc, wiTemp, wiRow, wiPix, wiLDF, wiLDS, wiN, wiC, wiZero = 0, 8, 16, 24, 32, 40, 48, 56, 64, 72
)

// winogradInput8 emits the transform of bytes that extend widens.
func (g *gen) winogradInput8(name string, extend func(...Op)) {
	g.typeName("winogradIn8")
	g.text("winogradInput"+name+g.t.suffix, "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	src, dst := g.field(t, wiSrc, 0), g.field(t, wiDst, 0)
	pix, ldf6 := g.field(t, wiPix, 0), g.GP64()
	pix3, pix5 := g.odd(pix)
	g.MOVQ(Mem{Base: t, Disp: wiLDF}, ldf6)
	g.ADDQ(ldf6, ldf6)
	g.MOVQ(ldf6, Mem{Base: t, Disp: wiLDF})
	g.LEAQ(Mem{Base: ldf6, Index: ldf6, Scale: 2}, ldf6)
	g.ADDQ(ldf6, ldf6)
	ldf18, ldf30 := g.odd(ldf6)
	g.SHLQ(U8(1), Mem{Base: t, Disp: wiLDS})
	h := &held6{g: g, temp: g.field(t, wiTemp, 0), v: map[int]VecVirtual{}}
	if g.t.wide {
		h.regs = 3
	}
	at := g.GP64()
	tile, vector := g.label("tile"), g.label("vector")
	g.Label(tile)
	g.XORL(at.As32(), at.As32())
	g.Label(vector)
	p := g.GP64()
	g.LEAQ(Mem{Base: src, Index: at, Scale: 1}, p)
	for y := range 6 {
		var d [6]VecVirtual
		for x := range d {
			d[x] = g.vec()
			extend(sixth(p, pix, pix3, pix5, x), d[x])
		}
		for x, v := range g.input6(d) {
			h.set(y, x, v)
		}
		if y < 5 {
			g.ADDQ(Mem{Base: t, Disp: wiRow}, p)
		}
	}
	g.LEAQ(Mem{Base: dst, Index: at, Scale: 2}, p)
	for x := range 6 {
		var d [6]VecVirtual
		for y := range d {
			d[y] = h.get(y, x)
		}
		for y, v := range g.input6(d) {
			if x == 1 && y == 1 {
				// What the zero point of all values becomes: 0 everywhere else.
				zero := g.vec()
				g.VPBROADCASTD(Mem{Base: t, Disp: wiZero}, zero)
				g.VPSUBW(zero, v, v)
			}
			g.VMOVUPS(v, sixth(p, ldf6, ldf18, ldf30, y))
		}
		if x < 5 {
			g.ADDQ(Mem{Base: t, Disp: wiLDF}, p)
		}
	}
	g.ADDQ(U32(g.bytes()/2), at)
	g.CMPQ(at, Mem{Base: t, Disp: wiC})
	g.JLT(LabelRef(vector))
	g.LEAQ(Mem{Base: src, Index: pix, Scale: 4}, src)
	g.ADDQ(Mem{Base: t, Disp: wiLDS}, dst)
	g.DECQ(Mem{Base: t, Disp: wiN})
	g.JNE(LabelRef(tile))
	g.VZEROUPPER()
	g.RET()
}

// input6 returns Bᵀ·d in 16 bits. It overwrites d.
func (g *gen) input6(d [6]VecVirtual) [6]VecVirtual {
	t, u, v, w := g.vec(), g.vec(), g.vec(), g.vec()
	g.VPSLLW(U8(2), d[2], t)
	g.VPSUBW(t, d[4], t) // d4 - 4·d2
	g.VPSLLW(U8(2), d[1], u)
	g.VPSUBW(u, d[3], u) // d3 - 4·d1
	g.VPADDW(u, t, v)
	g.VPSUBW(u, t, t)
	g.VPSUBW(d[2], d[4], u) // d4 - d2
	g.VPSUBW(d[2], d[0], w)
	g.VPSLLW(U8(2), w, w)
	g.VPADDW(u, w, w)
	g.VPSUBW(d[1], d[3], d[1])
	g.VPADDW(d[1], d[1], d[1]) // 2·(d3 - d1)
	g.VPSUBW(d[3], d[5], d[5])
	g.VPADDW(d[1], u, d[3])
	g.VPSUBW(d[1], u, d[4])
	g.VPADDW(d[1], d[1], d[1])
	g.VPSUBW(d[1], d[5], d[5])
	return [6]VecVirtual{w, v, t, d[3], d[4], d[5]}
}

// Offsets of the fields of winogradOutQ8 in package kernel.
const (
	woDst, woSrc, woTemp, woInit, woScale = 0, 8, 16, 24, 32
	woRow, woPix, woLDF, woLDS, woN, woC  = 40, 48, 56, 64, 72, 80
	woWords, woFlip                       = 88, 92
)

// ninth is 1/9 modulo 2³².
const ninth = 0x38e38e39

func winogradOutputQ8(g *gen) {
	order := g.StaticGlobal("pixelOrder" + g.t.suffix)
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range g.t.lanes {
		per := g.t.lanes / 4
		g.AddDatum(4*i, U32(i%per*4+i/per))
	}
	g.typeName("winogradOutQ8")
	g.text("winogradOutputQ8"+g.t.suffix, "func(t *byte)")
	t := g.Load(g.Param("t"), g.GP64())
	src, dst := g.field(t, woSrc, 0), g.field(t, woDst, 0)
	pix, row := g.field(t, woPix, 0), g.field(t, woRow, 0)
	pix3 := g.times3(pix)
	ldf6 := g.field(t, woLDF, 2)
	g.MOVQ(ldf6, Mem{Base: t, Disp: woLDF})
	g.LEAQ(Mem{Base: ldf6, Index: ldf6, Scale: 2}, ldf6)
	g.ADDQ(ldf6, ldf6)
	ldf18, ldf30 := g.odd(ldf6)
	g.SHLQ(U8(2), Mem{Base: t, Disp: woLDS})
	h := &held6{g: g, temp: g.field(t, woTemp, 0), v: map[int]VecVirtual{}}
	if g.t.wide {
		h.regs = 4
	}
	words, flip := g.vec(), g.vec()
	g.VPBROADCASTD(Mem{Base: t, Disp: woWords}, words)
	g.VPBROADCASTD(Mem{Base: t, Disp: woFlip}, flip)
	init, scale := g.field(t, woInit, 0), g.GP64()
	at := g.GP64()
	tile, vector := g.label("tile"), g.label("vector")
	g.Label(tile)
	g.XORL(at.As32(), at.As32())
	g.MOVQ(Mem{Base: t, Disp: woScale}, scale)
	g.Label(vector)
	p := g.GP64()
	g.LEAQ(Mem{Base: src, Index: at, Scale: 4}, p)
	for x := range 6 {
		m := func(y int) Op { return sixth(p, ldf6, ldf18, ldf30, y) }
		column := [6]Op{m(0), g.load(m(1)), g.load(m(2)), g.load(m(3)), g.load(m(4)), m(5)}
		if x == 1 {
			g.VPADDD(Mem{Base: init, Index: at, Scale: 4}, column[1], column[1])
		}
		for y, v := range g.output6(column) {
			h.set(y, x, v)
		}
		if x < 5 {
			g.ADDQ(Mem{Base: t, Disp: woLDF}, p)
		}
	}
	g.LEAQ(Mem{Base: dst, Index: at, Scale: 1}, p)
	shift := [4]int{3, 2, 1, 1}
	for y := range 4 {
		var m [6]Op
		for x := range m {
			m[x] = h.get(y, x)
		}
		v := g.output6(m)
		for x := range v {
			g.VPMULLD(g.constant(ninth), v[x], v[x])
			g.VCVTDQ2PS(v[x], v[x])
		}
		for x := range v {
			g.VMULPS(Mem{Base: scale, Disp: (shift[y] + shift[x] - 2) * g.bytes()}, v[x], v[x])
			g.VCVTPS2DQ(v[x], v[x])
		}
		for _, x := range []int{0, 2} {
			g.VPACKSSDW(v[x+1], v[x], v[x])
			g.VPADDSW(words, v[x], v[x])
		}
		g.VPACKUSWB(v[2], v[0], v[0])
		index := g.load(order)
		g.VPERMD(v[0], index, v[0])
		if g.t.wide {
			g.VPXORD(flip, v[0], v[0])
		} else {
			g.VPXOR(flip, v[0], v[0])
		}
		for x := range 4 {
			to := strided(p, pix, pix3, x)
			switch {
			case !g.t.wide && x%2 == 0:
				if x > 0 {
					g.VEXTRACTI128(U8(1), v[0], index.AsX())
				} else {
					g.VMOVDQU(v[0].AsX(), index.AsX())
				}
				g.VMOVQ(index.AsX(), to)
			case !g.t.wide:
				g.VMOVHPS(index.AsX(), to)
			case x == 0:
				g.VMOVDQU32(v[0].AsX(), to)
			default:
				g.VEXTRACTI32X4(U8(x), v[0], to)
			}
		}
		if y < 3 {
			g.ADDQ(row, p)
		}
	}
	g.ADDQ(U32(5*g.bytes()), scale)
	g.ADDQ(U32(g.t.lanes), at)
	g.CMPQ(at, Mem{Base: t, Disp: woC})
	g.JLT(LabelRef(vector))
	g.LEAQ(Mem{Base: dst, Index: pix, Scale: 4}, dst)
	g.ADDQ(Mem{Base: t, Disp: woLDS}, src)
	g.DECQ(Mem{Base: t, Disp: woN})
	g.JNE(LabelRef(tile))
	g.VZEROUPPER()
	g.RET()
}

// output6 returns 24, 12, 6 and 6 times the elements of Aᵀ·m, whose factors are those of the weights. The first and the last
// of m may be in memory; the others are overwritten.
func (g *gen) output6(m [6]Op) [4]VecVirtual {
	a, c := g.vec(), g.vec()
	b, d := m[2].(VecVirtual), m[4].(VecVirtual)
	g.VPADDD(m[2], m[1], a)
	g.VPSUBD(m[2], m[1], b)
	g.VPADDD(m[4], m[3], c)
	g.VPSUBD(m[4], m[3], d)
	y1, y2, y3 := m[1].(VecVirtual), m[3].(VecVirtual), g.vec()
	g.VPSUBD(a, c, y2)
	g.VPADDD(d, d, y3)
	g.VPSUBD(b, y3, y3)
	g.VPADDD(m[5], y3, y3)
	g.VPADDD(b, b, b)
	g.VPSUBD(b, d, y1)
	g.VPSLLD(U8(2), a, a)
	g.VPSUBD(a, c, c)
	g.VPADDD(m[0], c, c)
	return [4]VecVirtual{c, y1, y2, y3}
}

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// narrowQ8 emits the VNNI tile for a few columns, four to a vector: lane 4·j+q of vector v sums steps 4·q to 4·q+3 of every
// sixteen for column 4·v+j.
func (g *gen) narrowQ8(maxRows, vectors int, order Mem) {
	spread := g.data(fmt.Sprintf("spread%d", vectors), func(i int) uint32 { return uint32(i / 4) })
	square := g.data(fmt.Sprintf("square%d", vectors), func(i int) uint32 { return uint32(0x0c080400 + i%4*0x01010101) })
	g.typeName("tileQ8")
	g.text(fmt.Sprintf("tileQ8VNNI%d", 4*vectors), "func(t *byte)")
	g.Load(g.Param("t"), rT)
	g.MOVQ(Mem{Base: rT, Disp: q8Cols}, rTemp)
	g.MOVL(I32(-1), rK.As32())
	g.BZHIL(rTemp.As32(), rK.As32(), rK.As32())
	g.KMOVD(rK.As32(), K1)
	g.beginQ8()
	name := func(rows int) string { return fmt.Sprintf("rows%d", rows) }
	g.branches(1, maxRows, name)
	for rows := 1; rows <= maxRows; rows++ {
		g.Label(name(rows))
		g.narrowRows(rows, vectors, order, spread, square)
	}
}

// data is a vector of sixteen words in memory.
func (g *gen) data(name string, at func(i int) uint32) Mem {
	m := g.StaticGlobal(name)
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		g.AddDatum(4*i, U32(at(i)))
	}
	return m
}

func (g *gen) narrowRows(rows, vectors int, order, spread, square Mem) {
	name := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	sets := 1
	for sets < 4 && vectors*rows*sets < 8 {
		sets *= 2
	}
	acc := func(set, row, v int) VecPhysical { return g.phys((set*rows+row)*vectors + v) }
	temps := [4]VecPhysical{Z28, Z29, Z30, Z31}
	for i := range vectors * rows * sets {
		g.zero(g.phys(i))
	}
	g.segments(rows, sets, 4, false, false, name, func(set int) {
		for v := range vectors {
			g.VMOVDQU32(Mem{Base: rB, Disp: 64 * v}, temps[v])
		}
		g.ADDQ(U32(64*vectors), rB)
		for i := range rows {
			g.VBROADCASTI32X4(rowAt(i), temps[3])
			for v := range vectors {
				g.VPDPBUSD(temps[v], temps[3], acc(set, i, v))
			}
		}
	})
	for w := sets / 2; w > 0; w /= 2 {
		for s := range w {
			for i := range rows * vectors {
				g.VPADDD(g.phys((s+w)*rows*vectors+i), g.phys(s*rows*vectors+i), g.phys(s*rows*vectors+i))
			}
		}
	}
	// Quarters of four rows are added so that lane 4·j+i is column j of row i.
	sum := func(i, v int) VecPhysical { return acc(0, min(i, rows-1), v) }
	pair := func(a, b VecPhysical, temp VecPhysical, low, high func(ops ...Op)) {
		low(b, a, temp)
		high(b, a, a)
		g.VPADDD(temp, a, a)
	}
	for i := 0; i < rows; i += 4 {
		for v := range vectors {
			a, b := sum(i, v), sum(i+2, v)
			pair(a, sum(i+1, v), temps[2*v%4], g.VPUNPCKLDQ, g.VPUNPCKHDQ)
			if i+2 < rows {
				pair(b, sum(i+3, v), temps[2*v%4+1], g.VPUNPCKLDQ, g.VPUNPCKHDQ)
			} else {
				b = a
			}
			pair(a, b, temps[2*v%4], g.VPUNPCKLQDQ, g.VPUNPCKHQDQ)
		}
	}
	// Registers of other rows are free now.
	var free []VecPhysical
	for i := range 32 {
		if i >= rows*vectors || i/vectors%4 != 0 {
			free = append(free, g.phys(i))
		}
	}
	take := func() VecPhysical {
		r := free[0]
		free = free[1:]
		return r
	}
	each := func(f func(r VecPhysical, v int)) {
		for i := 0; i < rows; i += 4 {
			for v := range vectors {
				f(sum(i, v), v)
			}
		}
	}
	index, init, scale := take(), take(), take()
	g.VMOVDQU32(spread, index)
	for v := range vectors {
		for _, c := range []struct {
			field int
			to    VecPhysical
		}{{q8Init, init}, {q8Scale, scale}} {
			g.MOVQ(Mem{Base: rT, Disp: c.field}, rTemp)
			g.VMOVDQU(Mem{Base: rTemp, Disp: 16 * v}, c.to.(Vec).AsX())
			g.VPERMD(c.to, index, c.to)
		}
		each(func(r VecPhysical, of int) {
			if of == v {
				g.VPADDD(init, r, r)
				g.VCVTDQ2PS(r, r)
				g.VMULPS(scale, r, r)
			}
		})
	}
	g.CMPQ(Mem{Base: rT, Disp: q8Fits}, U8(0))
	g.JNE(LabelRef(name("fits")))
	g.VBROADCASTSS(Mem{Base: rT, Disp: q8Lo}, init)
	g.VBROADCASTSS(Mem{Base: rT, Disp: q8Hi}, scale)
	// The bound is the operand that a comparison with NaN returns.
	each(func(r VecPhysical, _ int) { g.VMAXPS(init, r, r) })
	each(func(r VecPhysical, _ int) { g.VMINPS(scale, r, r) })
	g.Label(name("fits"))
	zero, flip, bytes := init, scale, take()
	g.VPBROADCASTW(Mem{Base: rT, Disp: q8Words}, zero)
	g.VPBROADCASTD(Mem{Base: rT, Disp: q8Flip}, flip)
	g.VMOVDQU32(square, bytes)
	g.VMOVDQU32(order, index)
	each(func(r VecPhysical, _ int) { g.VCVTPS2DQ(r, r) })
	for i := 0; i < rows; i += 4 {
		r := sum(i, 0)
		g.VPACKSSDW(sum(i, min(1, vectors-1)), r, r)
		g.VPADDSW(zero, r, r)
		rest := r
		if vectors == 3 {
			rest = sum(i, 2)
			g.VPACKSSDW(rest, rest, rest)
			g.VPADDSW(zero, rest, rest)
		}
		g.VPACKUSWB(rest, r, r)
		g.VPXORD(flip, r, r)
		// Byte 4·v+i of quarter j is column 4·v+j of row i.
		g.VPSHUFB(bytes, r, r)
		g.VPERMD(r, index, r)
		g.VPSHUFB(bytes, r, r)
	}
	g.MOVQ(Mem{Base: rT, Disp: q8Dst}, rC)
	part := take()
	for i := range rows {
		r := sum(i/4*4, 0)
		if i > 0 {
			g.ADDQ(rCS, rC)
		}
		if i%4 > 0 {
			g.VEXTRACTI32X4(U8(i%4), r, part.(Vec).AsX())
			r = part
		}
		g.VMOVDQU8(r.(Vec).AsX(), K1, Mem{Base: rC})
	}
	g.VZEROUPPER()
	g.RET()
}

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields that indirectTileF32 of package kernel has beyond those of tileF32.
const tileSrc, tileDst, tileZeros, tileTaps, tileStride = 136, 144, 152, 160, 168

// indirectRows are the registers that hold the addresses of a tile's rows.
var indirectRows = []Register{RSI, R8, R9, R10, R11, R12, R13, R15, R14, RDX}

// indirectF32 emits the tile whose rows lie where a table says: for each tap and row the distance from a of a run of k
// values, negative for a run of zeros, and for each row the distance from c of its results.
func indirectF32(g *gen) {
	g.typeName("indirectTileF32")
	maxRows := 6
	if g.t.wide {
		maxRows = 10
	}
	g.text("indirectF32"+g.t.suffix, "func(t *byte)")
	g.Load(g.Param("t"), rT)
	// The table's current tap, taps left, a and the zeros as seen from the end of a run, -4k.
	var at, taps, source, zeros, minus Mem
	for _, m := range []*Mem{&at, &taps, &source, &zeros, &minus} {
		*m = g.AllocLocal(8)
	}
	g.MOVQ(Mem{Base: rT, Disp: tileK}, rK)
	g.SHLQ(U8(2), rK)
	for _, f := range []struct {
		from int
		to   Mem
	}{{tileA, source}, {tileZeros, zeros}} {
		g.MOVQ(Mem{Base: rT, Disp: f.from}, rTemp)
		g.ADDQ(rK, rTemp)
		g.MOVQ(rTemp, f.to)
	}
	g.NEGQ(rK)
	g.MOVQ(rK, minus)
	g.MOVQ(Mem{Base: rT, Disp: tileSrc}, rTemp)
	g.MOVQ(rTemp, at)
	g.MOVQ(Mem{Base: rT, Disp: tileTaps}, rTemp)
	g.MOVQ(rTemp, taps)
	g.MOVQ(Mem{Base: rT, Disp: tileB}, rB)
	g.MOVQ(Mem{Base: rT, Disp: tileRows}, rTemp)
	for rows := maxRows; rows >= 1; rows-- {
		if rows > 1 {
			g.CMPQ(rTemp, U8(rows))
			g.JNE(LabelRef(fmt.Sprintf("below%d", rows)))
		}
		g.indirect(rows, at, taps, source, zeros, minus)
		if rows > 1 {
			g.Label(fmt.Sprintf("below%d", rows))
		}
	}
}

// indirect emits the tile for a fixed number of rows.
func (g *gen) indirect(rows int, at, taps, source, zeros, minus Mem) {
	name := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	sets := g.sumSets(rows)
	acc := func(set, row, half int) VecPhysical { return g.phys((set*rows+row)*2 + half) }
	b0, b1 := g.phys(g.t.regs-4), g.phys(g.t.regs-3)
	temps := []VecPhysical{g.phys(g.t.regs - 2), g.phys(g.t.regs - 1)}
	ptr := indirectRows[:rows]
	for i := range 2 * rows * sets {
		g.zero(g.phys(i))
	}
	g.Label(name("tap"))
	g.MOVQ(at, rK)
	g.MOVQ(source, rTemp)
	for i, p := range ptr {
		g.MOVLQSX(Mem{Base: rK, Disp: 4 * i}, p)
		g.TESTQ(p, p)
		g.LEAQ(Mem{Base: rTemp, Index: p, Scale: 4}, p)
		g.CMOVQLT(zeros, p)
	}
	g.ADDQ(Mem{Base: rT, Disp: tileStride}, rK)
	g.MOVQ(rK, at)
	g.MOVQ(Mem{Base: rT, Disp: tileAhead}, rTemp)
	g.MOVQ(minus, rK)

	step := func(u, set, back int) {
		g.VMOVUPS(Mem{Base: rB, Disp: 2 * u * g.bytes()}, b0)
		g.VMOVUPS(Mem{Base: rB, Disp: (2*u + 1) * g.bytes()}, b1)
		for i, p := range ptr {
			t := temps[i%2]
			g.VBROADCASTSS(Mem{Base: p, Index: rK, Scale: 1, Disp: 4*u - back}, t)
			g.VFMADD231PS(b0, t, acc(set, i, 0))
			g.VFMADD231PS(b1, t, acc(set, i, 1))
		}
	}
	g.ADDQ(U8(16), rK)
	g.JGT(LabelRef(name("rest")))
	g.Label(name("quad"))
	for line := 0; line < 4*2*g.bytes(); line += 64 {
		g.PREFETCHT1(Mem{Base: rB, Index: rTemp, Scale: 1, Disp: line})
	}
	for u := range 4 {
		step(u, u%sets, 16)
	}
	g.ADDQ(U32(4*2*g.bytes()), rB)
	g.ADDQ(U8(16), rK)
	g.JLE(LabelRef(name("quad")))
	g.Label(name("rest"))
	g.SUBQ(U8(16), rK)
	g.JEQ(LabelRef(name("next")))
	g.Label(name("single"))
	step(0, 0, 0)
	g.ADDQ(U32(2*g.bytes()), rB)
	g.ADDQ(U8(4), rK)
	g.JNE(LabelRef(name("single")))
	g.Label(name("next"))
	g.DECQ(taps)
	g.JNE(LabelRef(name("tap")))

	g.joinSets(rows, sets, acc)
	g.MOVQ(Mem{Base: rT, Disp: tileDst}, rK)
	g.MOVQ(Mem{Base: rT, Disp: tileC}, rTemp)
	for i, p := range ptr {
		g.MOVLQSX(Mem{Base: rK, Disp: 4 * i}, p)
		g.LEAQ(Mem{Base: rTemp, Index: p, Scale: 4}, p)
	}
	g.rowsOfC = ptr
	g.columns(name, b0, b1, func(name func(string) string, masks []Op) {
		g.finish(rows, name, func(row, half int) VecPhysical { return acc(0, row, half) }, masks, temps)
		g.leave()
	})
	g.rowsOfC = nil
}

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/ir"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of tileQ8 in package kernel, whose first two are those of tileI8.
const (
	q8Dst, q8Init, q8Scale, q8K, q8Segs, q8Skip      = 16, 24, 32, 40, 48, 56
	q8Rows, q8Panels, q8RS, q8DS, q8Zero, q8Lo, q8Hi = 64, 72, 80, 88, 96, 100, 104
	q8Half, q8Cols, q8Fits                           = 112, 120, 144
	q8Words, q8Flip, q8Column, q8A2, q8Dst2          = 152, 156, 160, 168, 176
	q8Fetch, q8FetchEnd, q8Then, q8ThenEnd           = 184, 192, 200, 208
	q8Chain, q8Prev2, q8Pair                         = 216, 224, 232
)

// rFetch is where a tile fetches memory that others will need, and fetchLines how many lines in four steps.
var rFetch = R14

const fetchLines = 8

// dotQ8 is one way to multiply 8-bit values: what a step reads of a panel, and how it multiplies and adds.
type dotQ8 struct {
	suffix string
	rows   int // most rows of a tile
	step   int // bytes of a panel in a step
	chains int // sums that must be independent to hide the latency of an addition
	begin  func()
	loadB  func(b [2]VecPhysical, halves int)
	dot    func(b, a VecPhysical, half int, acc VecPhysical)
}

// tilesQ8 emits the tiles with 8-bit results.
func tilesQ8(g *gen) {
	g.tier(avx2)
	order := g.StaticGlobal("byteOrder")
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		g.AddDatum(4*i, U32(v))
	}
	g.tileQ8(dotQ8{suffix: "AVX2", rows: 6, step: 32, chains: 1, begin: func() {}, loadB: func(b [2]VecPhysical, halves int) {
		for h := range halves {
			g.VPMOVSXBW(Mem{Base: rB, Disp: 16 * h}, b[h])
		}
	}, dot: func(b, a VecPhysical, half int, acc VecPhysical) {
		g.VPMADDWD(b, a, Y15)
		g.VPADDD(Y15, acc, acc)
	}}, order)
	load := func(b [2]VecPhysical, halves int) {
		for h := range halves {
			g.VMOVDQU(Mem{Base: rB, Disp: 32 * h}, b[h])
		}
	}
	g.tileQ8(dotQ8{suffix: "Pairs", rows: 5, step: 64, chains: 1, begin: func() {
		g.VPCMPEQW(Y10, Y10, Y10)
		g.VPSRLW(U8(15), Y10, Y10)
	}, loadB: load, dot: func(b, a VecPhysical, half int, acc VecPhysical) {
		t := []VecPhysical{Y11, Y15}[half]
		g.VPMADDUBSW(b, a, t)
		g.VPMADDWD(Y10, t, t)
		g.VPADDD(t, acc, acc)
	}}, order)
	g.tileQ8(dotQ8{suffix: "AVXVNNI", rows: 6, step: 64, chains: 10, begin: func() {}, loadB: load, dot: func(b, a VecPhysical, half int, acc VecPhysical) {
		g.vexDot(vexDotBytes, b, a, acc)
	}}, order)
	order = g.StaticGlobal("wordOrder")
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		g.AddDatum(4*i, U32(i%4*4+i/4))
	}
	g.tier(avx512)
	g.tileQ8(dotQ8{suffix: "VNNI", rows: 14, step: 128, chains: 10, begin: func() {}, loadB: func(b [2]VecPhysical, halves int) {
		for h := range halves {
			g.VMOVDQU32(Mem{Base: rB, Disp: 64 * h}, b[h])
		}
	}, dot: func(b, a VecPhysical, half int, acc VecPhysical) { g.VPDPBUSD(b, a, acc) }}, order)
	g.narrowQ8(14, 1, order)
	g.narrowQ8(14, 2, order)
	g.narrowQ8(9, 3, order)
}

func (g *gen) tileQ8(d dotQ8, order Mem) {
	g.typeName("tileQ8")
	g.text("tileQ8"+d.suffix, "func(t *byte)")
	g.Load(g.Param("t"), rT)
	g.beginQ8()
	d.begin()
	g.CMPQ(Mem{Base: rT, Disp: q8Half}, U8(0))
	g.JNE(LabelRef("half"))
	g.eachRows(d, 2, order)
	g.Label("half")
	g.eachRows(d, 1, order)
}

// beginQ8 loads what all panels of a tile share.
func (g *gen) beginQ8() {
	g.MOVQ(Mem{Base: rT, Disp: q8DS}, rCS)
	g.MOVQ(Mem{Base: rT, Disp: q8RS}, rRS)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 2}, rRS3)
	g.LEAQ(Mem{Base: rRS, Index: rRS, Scale: 4}, rRS5)
	g.MOVQ(Mem{Base: rT, Disp: q8Skip}, rBS)
	g.MOVQ(Mem{Base: rT, Disp: tileB}, rB)
	if g.t.wide {
		g.MOVQ(Mem{Base: rT, Disp: q8Fetch}, rFetch)
	}
	g.MOVQ(Mem{Base: rT, Disp: q8Rows}, rTemp)
}

// eachRows emits the tile for every number of rows, with one or both vectors of columns.
func (g *gen) eachRows(d dotQ8, halves int, order Mem) {
	name := func(rows int) string { return fmt.Sprintf("rows%d_%d", rows, halves) }
	g.branches(1, d.rows, name)
	for rows := 1; rows <= d.rows; rows++ {
		g.Label(name(rows))
		g.rowsQ8(d, rows, halves, order)
	}
}

// branches emits jumps to the label of the number, between lo and hi, that rTemp holds.
func (g *gen) branches(lo, hi int, label func(n int) string) {
	if lo == hi {
		g.JMP(LabelRef(label(lo)))
		return
	}
	mid := (lo + hi) / 2
	above := "above" + label(mid)
	g.CMPQ(rTemp, U8(mid))
	g.JGT(LabelRef(above))
	g.branches(lo, mid, label)
	g.Label(above)
	g.branches(mid+1, hi, label)
}

func (g *gen) rowsQ8(d dotQ8, rows, halves int, order Mem) {
	name := func(s string) string { return fmt.Sprintf("%s%d_%d", s, rows, halves) }
	sets := 1
	for sets < 4 && halves*rows*sets < d.chains && 2*halves*rows*sets <= 2*d.rows {
		sets *= 2
	}
	acc := func(set, row, half int) VecPhysical { return g.phys((set*rows+row)*halves + half) }
	temps := [4]VecPhysical{g.phys(g.t.regs - 4), g.phys(g.t.regs - 3), g.phys(g.t.regs - 2), g.phys(g.t.regs - 1)}
	b, a := [2]VecPhysical{temps[0], temps[1]}, temps[2]
	step := func(set int) {
		d.loadB(b, halves)
		g.ADDQ(U32(d.step), rB)
		for i := range rows {
			g.VPBROADCASTD(rowOfTwo(i, rows), a)
			for h := range halves {
				d.dot(b[h], a, h, acc(set, i, h))
			}
		}
	}
	g.Label(name("panel"))
	g.loadHalves(q8Init, halves, b)
	for i := range rows {
		for h := range halves {
			g.VMOVUPS(b[h], acc(0, i, h))
		}
	}
	for i := halves * rows; i < halves*rows*sets; i++ {
		g.zero(g.phys(i))
	}
	g.segments(rows, sets, 1, true, g.t.wide, name, step)
	if g.t.wide && halves == 2 && rows >= chainRows {
		g.chainQ8(rows, name, func(row, half int) VecPhysical { return acc(0, row, half) }, order)
	}
	for w := sets / 2; w > 0; w /= 2 {
		for s := range w {
			for i := range rows {
				for h := range halves {
					g.VPADDD(acc(s+w, i, h), acc(s, i, h), acc(s, i, h))
				}
			}
		}
	}
	sum := func(row, half int) VecPhysical { return acc(0, row, half) }
	g.requantRows(rows, halves, name, sum, temps, order)
	n := uint32(2 * g.t.lanes)
	g.ADDQ(U32(4*n), Mem{Base: rT, Disp: q8Column})
	g.DECQ(Mem{Base: rT, Disp: q8Panels})
	g.JNE(LabelRef(name("panel")))
	if g.t.wide {
		g.MOVQ(rFetch, Mem{Base: rT, Disp: q8Fetch})
	}
	g.VZEROUPPER()
	g.RET()
}

// firstRun is how many of the rows of a tile lie a stride apart from its first row. The others, from one that the
// arguments name, may be those of another line.
func firstRun(rows int) int { return (rows + 1) / 2 }

// rowOfTwo is row i of a, in one of the two runs.
func rowOfTwo(i, rows int) Mem {
	if n := firstRun(rows); i >= n {
		m := rowAt(i - n)
		m.Base = rA7
		return m
	}
	return rowAt(i)
}

// segments emits the loops over the segments of the rows and the steps of each. step multiplies and adds to a set of sums;
// a step takes 4*lanes bytes of each row. two says that rows come in two runs, and fetch that memory is fetched meanwhile.
func (g *gen) segments(rows, sets, lanes int, two, fetch bool, name func(string) string, step func(set int)) {
	second := rows > 7 || two && rows > 1
	next := func(set int) {
		step(set)
		g.ADDQ(U8(4*lanes), rA)
		if second {
			g.ADDQ(U8(4*lanes), rA7)
		}
	}
	g.MOVQ(Mem{Base: rT, Disp: tileA}, rA)
	switch {
	case two && second:
		g.MOVQ(Mem{Base: rT, Disp: q8A2}, rA7)
	case second:
		g.LEAQ(Mem{Base: rA, Index: rRS, Scale: 4}, rA7)
		g.ADDQ(rRS3, rA7)
	}
	g.MOVQ(Mem{Base: rT, Disp: q8Segs}, rKS)
	g.Label(name("segment"))
	g.MOVQ(Mem{Base: rT, Disp: q8K}, rK)
	g.SUBQ(U8(4), rK)
	g.JLT(LabelRef(name("rest")))
	g.Label(name("quad"))
	if fetch {
		g.CMPQ(rFetch, Mem{Base: rT, Disp: q8FetchEnd})
		g.JCC(LabelRef(name("fetched")))
		for i := range fetchLines {
			g.PREFETCHT1(Mem{Base: rFetch, Disp: 64 * i})
		}
		g.ADDQ(U32(64*fetchLines), rFetch)
		g.Label(name("steps"))
	}
	for u := range 4 {
		next(u % sets)
	}
	g.SUBQ(U8(4), rK)
	g.JGE(LabelRef(name("quad")))
	g.Label(name("rest"))
	g.ADDQ(U8(4), rK)
	g.JEQ(LabelRef(name("summed")))
	g.Label(name("single"))
	next(0)
	g.DECQ(rK)
	g.JNE(LabelRef(name("single")))
	g.Label(name("summed"))
	g.ADDQ(rBS, rA)
	if second {
		g.ADDQ(rBS, rA7)
	}
	g.DECQ(rKS)
	g.JNE(LabelRef(name("segment")))
	if !fetch {
		return
	}
	g.JMP(LabelRef(name("sums")))
	// What is fetched next.
	g.Label(name("fetched"))
	g.CMPQ(Mem{Base: rT, Disp: q8Then}, U8(0))
	g.JEQ(LabelRef(name("steps")))
	g.MOVQ(Mem{Base: rT, Disp: q8Then}, rFetch)
	g.MOVQ(Mem{Base: rT, Disp: q8ThenEnd}, rTemp)
	g.MOVQ(rTemp, Mem{Base: rT, Disp: q8FetchEnd})
	g.MOVQ(U32(0), Mem{Base: rT, Disp: q8Then})
	g.JMP(LabelRef(name("steps")))
	g.Label(name("sums"))
}

// loadHalves reads the vectors of one panel of the array at a field.
func (g *gen) loadHalves(field, halves int, to [2]VecPhysical) {
	g.MOVQ(Mem{Base: rT, Disp: field}, rTemp)
	g.ADDQ(Mem{Base: rT, Disp: q8Column}, rTemp)
	for h := range halves {
		g.VMOVUPS(Mem{Base: rTemp, Disp: h * g.bytes()}, to[h])
	}
}

// resultsQ8 moves rC to the panel's results of row i, from those of the row before.
func (g *gen) resultsQ8(i, rows int) {
	field := q8Dst
	switch i {
	case 0:
	case firstRun(rows):
		field = q8Dst2
	default:
		g.ADDQ(rCS, rC)
		return
	}
	g.MOVQ(Mem{Base: rT, Disp: q8Column}, rC)
	g.SHRQ(U8(2), rC)
	g.ADDQ(Mem{Base: rT, Disp: field}, rC)
}

// requantRows converts sums to 8-bit values, as requantU8Generic does, and stores them.
func (g *gen) requantRows(rows, halves int, name func(string) string, sum func(row, half int) VecPhysical, temps [4]VecPhysical, order Mem) {
	each := func(f func(v VecPhysical, half int)) {
		for i := range rows {
			for h := range halves {
				f(sum(i, h), h)
			}
		}
	}
	g.loadHalves(q8Scale, halves, [2]VecPhysical{temps[0], temps[1]})
	each(func(v VecPhysical, h int) {
		g.VCVTDQ2PS(v, v)
		g.VMULPS(temps[h], v, v)
	})
	if g.t.wide {
		g.CMPQ(Mem{Base: rT, Disp: q8Fits}, U8(0))
		g.JNE(LabelRef(name("fits")))
	}
	g.VBROADCASTSS(Mem{Base: rT, Disp: q8Lo}, temps[0])
	g.VBROADCASTSS(Mem{Base: rT, Disp: q8Hi}, temps[1])
	// The bound is the operand that a comparison with NaN returns.
	each(func(v VecPhysical, h int) { g.VMAXPS(temps[0], v, v) })
	each(func(v VecPhysical, h int) { g.VMINPS(temps[1], v, v) })
	if g.t.wide {
		g.Label(name("fits"))
		g.storeBytes(rows, halves, name, sum, temps, order)
		return
	}
	each(func(v VecPhysical, h int) { g.VCVTPS2DQ(v, v) })
	g.VPBROADCASTW(Mem{Base: rT, Disp: q8Zero}, temps[0])
	g.VPCMPEQW(temps[1], temps[1], temps[1])
	g.VPSRLW(U8(8), temps[1], temps[1])
	g.VMOVDQU(order, temps[2])
	for i := range rows {
		v := sum(i, 0)
		g.VPACKSSDW(sum(i, halves-1), v, v)
		g.VPADDW(temps[0], v, v)
		g.VPAND(temps[1], v, v)
	}
	for i := 0; i < rows; i += 2 {
		v := sum(i, 0)
		g.VPACKUSWB(sum(min(i+1, rows-1), 0), v, v)
		g.VPERMD(v, temps[2], v)
		g.resultsQ8(i, rows)
		g.VMOVDQU(v.(Vec).AsX(), Mem{Base: rC})
		if i+1 < rows {
			g.resultsQ8(i+1, rows)
			g.VEXTRACTI128(U8(1), v, Mem{Base: rC})
		}
	}
}

// storeBytes rounds four vectors of 512 bits at a time and packs them into one, whose halves or quarters are rows. The
// packing saturates, so that values beyond the range of the results need no bounds of their own as long as they fit in
// 32 bits.
func (g *gen) storeBytes(rows, halves int, name func(string) string, sum func(row, half int) VecPhysical, temps [4]VecPhysical, order Mem) {
	per := 4 / halves
	zero, flip, index := temps[0], temps[1], temps[2]
	g.VPBROADCASTW(Mem{Base: rT, Disp: q8Words}, zero)
	g.VPBROADCASTD(Mem{Base: rT, Disp: q8Flip}, flip)
	g.VMOVDQU32(order, index)
	// Nothing is added to unsigned results without zero point. The instructions for vectors leave the flags alone.
	g.MOVL(Mem{Base: rT, Disp: q8Words}, rTemp.As32())
	g.ORL(Mem{Base: rT, Disp: q8Flip}, rTemp.As32())
	for i := 0; i < rows; i += per {
		plain := fmt.Sprintf("%s_%d", name("plain"), i)
		var v [4]VecPhysical
		for k := range v {
			row := i + k/halves
			v[k] = sum(min(row, rows-1), k%halves)
			if row < rows {
				g.VCVTPS2DQ(v[k], v[k])
			}
		}
		second := i+per/2 < rows
		g.VPACKSSDW(v[1], v[0], v[0])
		if second {
			g.VPACKSSDW(v[3], v[2], v[2])
		} else {
			v[2] = v[0]
		}
		g.JEQ(LabelRef(plain))
		g.VPADDSW(zero, v[0], v[0])
		if second {
			g.VPADDSW(zero, v[2], v[2])
		}
		g.Label(plain)
		g.VPACKUSWB(v[2], v[0], v[0])
		g.VPERMD(v[0], index, v[0])
	}
	g.CMPL(Mem{Base: rT, Disp: q8Flip}, U8(0))
	g.JEQ(LabelRef(name("unsigned")))
	for i := 0; i < rows; i += per {
		g.VPXORD(flip, sum(i, 0), sum(i, 0))
	}
	g.Label(name("unsigned"))
	all := 16 * halves
	g.CMPQ(Mem{Base: rT, Disp: q8Cols}, U8(all))
	g.JLT(LabelRef(name("part")))
	g.storePacked(rows, halves, sum, nil)
	g.JMP(LabelRef(name("stored")))
	g.Label(name("part"))
	g.MOVQ(Mem{Base: rT, Disp: q8Cols}, rTemp)
	g.MOVL(I32(-1), rKS.As32())
	g.BZHIL(rTemp.As32(), rKS.As32(), rKS.As32())
	g.KMOVD(rKS.As32(), K1)
	g.storePacked(rows, halves, sum, K1)
	g.Label(name("stored"))
}

// storePacked stores the rows that storeBytes packed, or of each the columns that mask selects.
func (g *gen) storePacked(rows, halves int, sum func(row, half int) VecPhysical, mask Op) {
	per, to := 4/halves, Mem{Base: rC}
	for i := range rows {
		g.resultsQ8(i, rows)
		v, part := sum(i/per*per, 0), U8(i%per)
		row := func(r VecPhysical) VecPhysical {
			if halves == 1 {
				return r.(Vec).AsX().(VecPhysical)
			}
			return r.(Vec).AsY().(VecPhysical)
		}
		extract := g.VEXTRACTI64X4
		if halves == 1 {
			extract = g.VEXTRACTI32X4
		}
		switch {
		case part > 0 && mask == nil:
			extract(part, v, to)
			continue
		case part > 0:
			extract(part, v, row(g.phys(31)))
			v = g.phys(31)
		}
		if mask == nil {
			g.VMOVDQU64(row(v), to)
		} else {
			g.VMOVDQU8(row(v), mask, to)
		}
	}
}

// Opcodes of AVX-VNNI.
const vexDotBytes, vexDotWords = 0x50, 0x52

// vexDot emits {vex} VPDPBUSD or VPDPWSSD acc, a, b: the assembler knows the EVEX forms only, which processors without AVX-512
// do not have.
func (g *gen) vexDot(opcode uint64, b, a, acc VecPhysical) {
	rm, v, r := b.PhysicalIndex(), a.PhysicalIndex(), acc.PhysicalIndex()
	g.Commentf("{vex} %s ymm%d, ymm%d, ymm%d", map[uint64]string{vexDotBytes: "vpdpbusd", vexDotWords: "vpdpwssd"}[opcode], r, v, rm)
	code := []uint64{0xc4, uint64(^r>>3&1)<<7 | 1<<6 | uint64(^rm>>3&1)<<5 | 2, uint64(^v&15)<<3 | 1<<2 | 1, opcode, 0xc0 | uint64(r&7)<<3 | uint64(rm&7)}
	for _, c := range code {
		g.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(c)}})
	}
}

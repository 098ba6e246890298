package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of tileF32 in package kernel.
const (
	tileA, tileB, tileC, tileBias, tileK, tileRows, tileCols = 0, 8, 16, 24, 32, 40, 48
	tileRS, tileKS, tileBS, tileCS, tileAcc, tileAct         = 56, 64, 72, 80, 88, 96
	tileAlpha, tileLo, tileHi                                = 104, 108, 112
	tileAhead, tilePace                                      = 120, 128
)

// Values of the field act.
const actLeakyRelu, actClip = 2, 3

// General registers of a tile.
var (
	rT    = RDI // arguments
	rA    = RSI // row 0 of a
	rA7   = R9  // row 7 of a
	rRS   = R8  // row stride of a, in bytes
	rRS3  = R10
	rRS5  = R11
	rKS   = R12 // step stride of a
	rB    = RBX
	rBS   = R13
	rC    = RDX
	rCS   = R15
	rK    = RCX
	rTemp = RAX
)

// tileF32 emits the tile of rows × two vectors of columns.
func tileF32(g *gen) {
	maxRows := 6
	if g.t.wide {
		maxRows = 14
	}
	g.tile("tileF32", maxRows)
}

// fetchSteps is from how many steps on a tile fetches its part of c first.
const fetchSteps = 64

// rowBases are the registers that hold the addresses of each seventh row of a. Tiles of more than fourteen rows use those of
// c, which they load when the sums are done.
var rowBases = []Register{rA, rA7, rC, rCS}

// narrowF32 emits the tile of rows × one vector of columns.
func narrowF32(g *gen) {
	maxRows := 12
	if g.t.wide {
		maxRows = 28
	}
	g.across = 1
	g.tile("narrowF32", maxRows)
	g.across = 2
}

func (g *gen) tile(name string, maxRows int) {
	g.typeName("tileF32")
	g.text(name+g.t.suffix, "func(t *byte)")
	g.Load(g.Param("t"), rT)
	g.MOVQ(Mem{Base: rT, Disp: tileA}, rA)
	g.MOVQ(Mem{Base: rT, Disp: tileB}, rB)
	g.MOVQ(Mem{Base: rT, Disp: tileC}, rC)
	g.MOVQ(Mem{Base: rT, Disp: tileK}, rK)
	g.MOVQ(Mem{Base: rT, Disp: tileRS}, rRS)
	g.MOVQ(Mem{Base: rT, Disp: tileKS}, rKS)
	g.MOVQ(Mem{Base: rT, Disp: tileBS}, rBS)
	g.MOVQ(Mem{Base: rT, Disp: tileCS}, rCS)
	for _, r := range []Register{rRS, rKS, rBS, rCS} {
		g.SHLQ(U8(2), r)
	}
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
		g.rows(rows)
		if rows > 1 {
			g.Label(fmt.Sprintf("below%d", rows))
		}
	}
}

// rowAt is row i of a.
func rowAt(i int) Mem {
	base := rowBases[i/7]
	i %= 7
	switch i {
	case 0:
		return Mem{Base: base}
	case 1, 2, 4:
		return Mem{Base: base, Index: rRS, Scale: uint8(i)}
	case 3, 6:
		return Mem{Base: base, Index: rRS3, Scale: uint8(i / 3)}
	}
	return Mem{Base: base, Index: rRS5, Scale: 1}
}

// rows emits the tile for a fixed number of rows.
func (g *gen) rows(rows int) {
	name := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
	sets := g.sumSets(rows)
	acc := func(set, row, half int) VecPhysical { return g.phys((set*rows+row)*g.across + half) }
	b := []VecPhysical{g.phys(g.t.regs - 4), g.phys(g.t.regs - 3)}
	temps := []VecPhysical{g.phys(g.t.regs - 2), g.phys(g.t.regs - 1)}

	bases := rowBases[:(rows+6)/7]

	for i := range g.across * rows * sets {
		g.zero(g.phys(i))
	}
	step := func(set int) {
		for h := range g.across {
			g.VMOVUPS(Mem{Base: rB, Disp: h * g.bytes()}, b[h])
		}
		g.ADDQ(rBS, rB)
		for i := range rows {
			if g.across == 1 && g.t.wide {
				g.VFMADD231PS_BCST(rowAt(i), b[0], acc(set, i, 0))
				continue
			}
			t := temps[i%2]
			g.VBROADCASTSS(rowAt(i), t)
			for h := range g.across {
				g.VFMADD231PS(b[h], t, acc(set, i, h))
			}
		}
		for _, r := range bases {
			g.ADDQ(rKS, r)
		}
	}
	for i := 2; i < len(bases); i++ {
		g.LEAQ(Mem{Base: bases[i-1], Index: rRS, Scale: 4}, bases[i])
		g.ADDQ(rRS3, bases[i])
	}
	if rows > 2 {
		// Lines of c that are in no cache near take as long to come as many steps.
		g.CMPQ(rK, U8(fetchSteps))
		g.JLT(LabelRef(name("start")))
		g.MOVQ(Mem{Base: rT, Disp: tileC}, rTemp)
		g.MOVQ(Mem{Base: rT, Disp: tileCS}, rB)
		for range rows {
			for line := 0; line < g.across*g.bytes(); line += 64 {
				g.PREFETCHT0(Mem{Base: rTemp, Disp: line})
			}
			g.LEAQ(Mem{Base: rTemp, Index: rB, Scale: 4}, rTemp)
		}
		g.MOVQ(Mem{Base: rT, Disp: tileB}, rB)
		g.Label(name("start"))
	}
	g.MOVQ(Mem{Base: rT, Disp: tileAhead}, rTemp)
	g.ADDQ(rB, rTemp)
	g.SUBQ(U8(4), rK)
	g.JLT(LabelRef(name("rest")))
	g.Label(name("quad"))
	// Half of what as many steps read. One or two rows are never followed by others.
	if rows > 2 {
		for line := 0; line < 2*g.across*g.bytes(); line += 64 {
			g.PREFETCHT0(Mem{Base: rTemp, Disp: line})
		}
		// A page ahead, where the processor's own streams end.
		g.PREFETCHT1(Mem{Base: rTemp, Disp: 4096})
		g.ADDQ(Mem{Base: rT, Disp: tilePace}, rTemp)
	}
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
	if rows > 14 {
		g.MOVQ(Mem{Base: rT, Disp: tileC}, rC)
		g.MOVQ(Mem{Base: rT, Disp: tileCS}, rCS)
		g.SHLQ(U8(2), rCS)
	}
	g.joinSets(rows, sets, acc)
	sum := func(row, half int) VecPhysical { return acc(0, row, half) }
	g.columns(name, b[0], b[1], func(name func(string) string, masks []Op) {
		g.finish(rows, name, sum, masks, temps)
		g.leave()
	})
}

// sumSets is how many sets of sums the steps of a tile are dealt out to, so that with few rows, too, there are eight
// chains of dependent additions, which cover two units of latency four. Four registers are for other things.
func (g *gen) sumSets(rows int) int {
	sets, chains := 1, rows*g.across
	for sets < 4 && sets*chains < 8 && 2*sets*chains <= g.t.regs-4 {
		sets *= 2
	}
	return sets
}

// joinSets adds all sets of sums to the first.
func (g *gen) joinSets(rows, sets int, acc func(set, row, half int) VecPhysical) {
	for w := sets / 2; w > 0; w /= 2 {
		for s := range w {
			for i := range rows {
				for h := range g.across {
					g.VADDPS(acc(s+w, i, h), acc(s, i, h), acc(s, i, h))
				}
			}
		}
	}
}

// columns emits f with masks for the columns of the tile, and where masks cost time also without, for whole tiles. It
// overwrites b0 and b1.
func (g *gen) columns(name func(string) string, b0, b1 VecPhysical, f func(name func(string) string, masks []Op)) {
	g.MOVQ(Mem{Base: rT, Disp: tileCols}, rK)
	if g.t.wide {
		f(name, g.columnMasks(b0, b1))
		return
	}
	g.CMPQ(rK, U8(g.across*g.t.lanes))
	g.JLT(LabelRef(name("masked")))
	f(func(s string) string { return name(s + "Full") }, nil)
	g.Label(name("masked"))
	f(func(s string) string { return name(s + "Part") }, g.columnMasks(b0, b1))
}

// columnMasks returns masks for the first rK columns of a tile's vectors. It overwrites rK, rTemp and, on AVX2, b0, b1 and rB.
func (g *gen) columnMasks(b0, b1 VecPhysical) []Op {
	if g.t.wide {
		g.MOVL(I32(-1), rTemp.As32())
		g.BZHIL(rK.As32(), rTemp.As32(), rTemp.As32())
		g.KMOVW(rTemp.As32(), K1)
		g.SHRL(U8(16), rTemp.As32())
		g.KMOVW(rTemp.As32(), K2)
		return []Op{K1, K2}
	}
	// Lanes of the masks, read from a table of ones and zeros: all columns, or min(cols, 8) and max(cols-8, 0).
	g.LEAQ(g.maskTable().Offset(32), rB)
	if g.across == 1 {
		g.NEGQ(rK)
		g.VMOVDQU(Mem{Base: rB, Index: rK, Scale: 4}, b0)
		return []Op{b0}
	}
	g.MOVQ(U32(8), rTemp)
	g.CMPQ(rK, rTemp)
	g.CMOVQLT(rK, rTemp)
	g.SUBQ(rTemp, rK)
	g.NEGQ(rTemp)
	g.NEGQ(rK)
	g.VMOVDQU(Mem{Base: rB, Index: rTemp, Scale: 4}, b0)
	g.VMOVDQU(Mem{Base: rB, Index: rK, Scale: 4}, b1)
	return []Op{b0, b1}
}

// loadColumns reads half of a row of columns at m.
func (g *gen) loadColumns(m Mem, half int, masks []Op, to VecPhysical) {
	m.Disp += half * g.bytes()
	switch {
	case masks == nil:
		g.VMOVUPS(m, to)
	case g.t.wide:
		g.VMOVUPS_Z(m, masks[half], to)
	default:
		g.VMASKMOVPS(m, masks[half], to)
	}
}

// storeRows writes the sums to c.
func (g *gen) storeRows(rows int, sum func(row, half int) VecPhysical, masks []Op) {
	for i := range rows {
		for h := range g.across {
			m := Mem{Base: rC, Disp: h * g.bytes()}
			if g.rowsOfC != nil {
				m.Base = g.rowsOfC[i]
			}
			if masks == nil {
				g.VMOVUPS(sum(i, h), m)
			} else {
				g.storeMasked(sum(i, h), masks[h], m)
			}
		}
		if i < rows-1 && g.rowsOfC == nil {
			g.ADDQ(rCS, rC)
		}
	}
}

// leave returns from a tile.
func (g *gen) leave() {
	g.VZEROUPPER()
	g.RET()
}

// finish adds c and bias, activates and stores. masks select the columns, or are nil for all.
func (g *gen) finish(rows int, name func(string) string, sum func(row, half int) VecPhysical, masks []Op, temps []VecPhysical) {
	g.CMPQ(Mem{Base: rT, Disp: tileAcc}, U8(0))
	g.JEQ(LabelRef(name("fresh")))
	if g.rowsOfC == nil {
		g.MOVQ(rC, rTemp)
	}
	for i := range rows {
		m := Mem{Base: rTemp}
		if g.rowsOfC != nil {
			m.Base = g.rowsOfC[i]
		}
		for h := range g.across {
			g.loadColumns(m, h, masks, temps[h])
			g.VADDPS(temps[h], sum(i, h), sum(i, h))
		}
		if g.rowsOfC == nil {
			g.ADDQ(rCS, rTemp)
		}
	}
	g.Label(name("fresh"))
	g.MOVQ(Mem{Base: rT, Disp: tileBias}, rTemp)
	g.TESTQ(rTemp, rTemp)
	g.JEQ(LabelRef(name("unbiased")))
	for h := range g.across {
		g.loadColumns(Mem{Base: rTemp}, h, masks, temps[h])
		for i := range rows {
			g.VADDPS(temps[h], sum(i, h), sum(i, h))
		}
	}
	g.Label(name("unbiased"))
	g.CMPQ(Mem{Base: rT, Disp: tileAct}, U8(0))
	g.JEQ(LabelRef(name("store")))
	// The data is the operand that a comparison with NaN returns.
	g.CMPQ(Mem{Base: rT, Disp: tileAct}, U8(actLeakyRelu))
	g.JNE(LabelRef(name("bounds")))
	g.VBROADCASTSS(Mem{Base: rT, Disp: tileAlpha}, temps[0])
	for i := range rows {
		for h := range g.across {
			v := sum(i, h)
			if g.t.wide {
				g.VPMOVD2M(v, K3)
				g.VMULPS(temps[0], v, K3, v)
			} else {
				g.VMULPS(temps[0], v, temps[1])
				g.VBLENDVPS(v, temps[1], v, v)
			}
		}
	}
	g.JMP(LabelRef(name("store")))
	g.Label(name("bounds"))
	for _, bound := range []struct {
		at int
		f  func(...Op)
	}{{tileLo, g.VMAXPS}, {tileHi, g.VMINPS}} {
		g.VBROADCASTSS(Mem{Base: rT, Disp: bound.at}, temps[0])
		for i := range rows {
			for h := range g.across {
				bound.f(sum(i, h), temps[0], sum(i, h))
			}
		}
		if bound.at == tileLo {
			g.CMPQ(Mem{Base: rT, Disp: tileAct}, U8(actClip))
			g.JNE(LabelRef(name("store")))
		}
	}
	g.Label(name("store"))
	g.storeRows(rows, sum, masks)
}

// transposeF32 emits the packing of eight columns of a transposed matrix: dst[p*nr+j] = b[j*ldb+p] for j < 8 and
// p < k, where k is a multiple of 8.
func transposeF32(g *gen) {
	g.text("transpose8F32AVX2", "func(dst *float32, nr, k int, b *float32, ldb int)")
	dst, nr := g.Load(g.Param("dst"), g.GP64()), g.Load(g.Param("nr"), g.GP64())
	k, b, ldb := g.Load(g.Param("k"), g.GP64()), g.Load(g.Param("b"), g.GP64()), g.Load(g.Param("ldb"), g.GP64())
	g.SHLQ(U8(2), nr)
	g.SHLQ(U8(2), ldb)
	ldb3, b4 := g.GP64(), g.GP64()
	g.LEAQ(Mem{Base: ldb, Index: ldb, Scale: 2}, ldb3)
	g.LEAQ(Mem{Base: b, Index: ldb, Scale: 4}, b4)
	g.Label("block")
	row := func(i int) Mem {
		base := b
		if i >= 4 {
			base = b4
		}
		switch i % 4 {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: ldb3, Scale: 1}
		}
		return Mem{Base: base, Index: ldb, Scale: uint8(i % 4)}
	}
	// Halves of rows i and i+4 side by side, then 4×4 transposes within the lanes.
	for half := range 2 {
		var in, mid [4]VecVirtual
		for i := range 4 {
			in[i] = g.YMM()
			lo, hi := row(i), row(i+4)
			lo.Disp, hi.Disp = 16*half, 16*half
			g.VMOVUPS(lo, in[i].AsX())
			g.VINSERTF128(U8(1), hi, in[i], in[i])
		}
		for i := range 4 {
			mid[i] = g.YMM()
		}
		g.VUNPCKLPS(in[1], in[0], mid[0])
		g.VUNPCKHPS(in[1], in[0], mid[1])
		g.VUNPCKLPS(in[3], in[2], mid[2])
		g.VUNPCKHPS(in[3], in[2], mid[3])
		for i := range 4 {
			out := g.YMM()
			x, y := mid[i/2], mid[i/2+2]
			if i%2 == 0 {
				g.VUNPCKLPD(y, x, out)
			} else {
				g.VUNPCKHPD(y, x, out)
			}
			g.VMOVUPS(out, Mem{Base: dst})
			g.ADDQ(nr, dst)
		}
	}
	g.ADDQ(U8(32), b)
	g.ADDQ(U8(32), b4)
	g.SUBQ(U8(8), k)
	g.JNE(LabelRef("block"))
	g.VZEROUPPER()
	g.RET()
}

// peak emits loops of independent multiply-adds and of reads, whose rates are the machine's limits.
func peak(g *gen) {
	g.text("peakFMA"+g.t.suffix, "func(n int)")
	n := g.Load(g.Param("n"), RCX)
	for i := range 12 {
		g.zero(g.phys(i))
	}
	g.Label("fma")
	for range 4 {
		for i := range 10 {
			g.VFMADD231PS(g.phys(10), g.phys(11), g.phys(i))
		}
	}
	g.DECQ(n)
	g.JNE(LabelRef("fma"))
	g.VZEROUPPER()
	g.RET()

	g.text("peakRead"+g.t.suffix, "func(x []float32)")
	p := g.Load(g.Param("x").Base(), RSI)
	n = g.Load(g.Param("x").Len(), RCX)
	g.Label("read")
	for i := range 8 {
		g.VMOVUPS(Mem{Base: p, Disp: i * g.bytes()}, g.phys(i))
	}
	g.ADDQ(U32(8*g.bytes()), p)
	g.SUBQ(U32(8*g.t.lanes), n)
	g.JGT(LabelRef("read"))
	g.VZEROUPPER()
	g.RET()
}

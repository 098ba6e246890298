package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// moves emits routines that only move bytes.
func moves(g *gen) {
	g.tier(avx2)
	g.transposeBytes()
	g.threePlanes()
	g.joinRuns()
	g.tier(avx512)
	g.copyRows()
}

func (g *gen) loadLanes(v Vec, low, high Mem) {
	g.VMOVDQU(low, v.AsX())
	g.VINSERTI128(U8(1), high, v.AsY(), v.AsY())
}

func (g *gen) storeLanes(v Vec, low, high Mem) {
	g.VMOVDQU(v.AsX(), low)
	g.VEXTRACTI128(U8(1), v.AsY(), high)
}

// transposeBytes emits the transpose of 16 rows. A vector holds eight rows in its lower half and eight in the upper one.
// Interleaving the first and the second half of eight vectors rotates the bits of an element's address; after three times,
// a vector holds two columns.
func (g *gen) transposeBytes() {
	g.text("transposeU8AVX2", "func(dst *uint8, ldd int, src *uint8, lds, n int)")
	dst, ldd := g.Load(g.Param("dst"), g.GP64()), g.Load(g.Param("ldd"), g.GP64())
	src, lds := g.Load(g.Param("src"), g.GP64()), g.Load(g.Param("lds"), g.GP64())
	n, lds3, low, high := g.Load(g.Param("n"), g.GP64()), g.times3(lds), g.GP64(), g.GP64()
	g.Label("next")
	g.MOVQ(src, low)
	g.LEAQ(Mem{Base: src, Index: lds, Scale: 8}, high)
	for i := range 8 {
		if i == 4 {
			g.LEAQ(Mem{Base: low, Index: lds, Scale: 4}, low)
			g.LEAQ(Mem{Base: high, Index: lds, Scale: 4}, high)
		}
		g.loadLanes(g.phys(i).(Vec), strided(low, lds, lds3, i%4), strided(high, lds, lds3, i%4))
	}
	from, to := 0, 8
	for range 3 {
		for i := range 4 {
			g.VPUNPCKLBW(g.phys(from+i+4), g.phys(from+i), g.phys(to+2*i))
			g.VPUNPCKHBW(g.phys(from+i+4), g.phys(from+i), g.phys(to+2*i+1))
		}
		from, to = to, from
	}
	for i := range 8 {
		v := g.phys(from + i)
		g.VPERMQ(U8(0xd8), v, v)
		g.storeLanes(v.(Vec), Mem{Base: dst}, Mem{Base: dst, Index: ldd, Scale: 1})
		g.LEAQ(Mem{Base: dst, Index: ldd, Scale: 2}, dst)
	}
	g.ADDQ(U8(16), src)
	g.SUBQ(U8(16), n)
	g.JEQ(LabelRef("done"))
	g.CMPQ(n, U8(16))
	g.JGE(LabelRef("next"))
	// The last sixteen columns, some of them once more.
	g.SUBQ(U8(16), n)
	g.ADDQ(n, src)
	g.IMULQ(n, ldd)
	g.ADDQ(ldd, dst)
	g.MOVQ(g.Load(g.Param("ldd"), g.GP64()), ldd)
	g.MOVQ(U32(16), n)
	g.JMP(LabelRef("next"))
	g.Label("done")
	g.VZEROUPPER()
	g.RET()
}

// threePlanes emits the transposes between three planes and pixels of three bytes, 32 at a time: a vector of pixels gathers
// its bytes from three planes, and a vector of a plane from three vectors of pixels. Byte i of the three vectors of 16
// pixels is channel i%3 of pixel i/3.
func (g *gen) threePlanes() {
	// shuffle is the mask with which byte i of a vector is that of another at(i), for those where at is not negative.
	shuffle := func(name string, at func(i int) int) Op {
		m := g.StaticGlobal(name)
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 32 {
			v := at(i % 16)
			if v < 0 {
				v = 0x80
			}
			g.AddDatum(i, U8(v))
		}
		return m
	}
	var toPixels, toPlanes [3][3]Op
	for v := range 3 {
		for c := range 3 {
			toPixels[v][c] = shuffle(fmt.Sprintf("pixels%d%d", v, c), func(i int) int {
				if (16*v+i)%3 != c {
					return -1
				}
				return (16*v + i) / 3
			})
			toPlanes[c][v] = shuffle(fmt.Sprintf("planes%d%d", c, v), func(i int) int {
				if at := 3*i + c - 16*v; at >= 0 && at < 16 {
					return at
				}
				return -1
			})
		}
	}
	for _, toPlane := range []bool{false, true} {
		name, masks := "pixels3U8AVX2", toPixels
		if toPlane {
			name, masks = "planes3U8AVX2", toPlanes
		}
		g.text(name, "func(dst, src *uint8, plane, n int)")
		p := g.pointers("dst", "src", "plane", "n")
		planes, pixels := p[1], p[0]
		if toPlane {
			planes, pixels = p[0], p[1]
		}
		plane, n := p[2], p[3]
		at := func(v int) Mem {
			m := Mem{Base: planes}
			if v > 0 {
				m.Index, m.Scale = plane, uint8(v)
			}
			return m
		}
		// Pixels 16 to 31 are in the upper halves of vectors.
		low := func(v int) Mem { return Mem{Base: pixels, Disp: 16 * v} }
		high := func(v int) Mem { return Mem{Base: pixels, Disp: 16*v + 48} }
		g.Label("next")
		var in [3]VecVirtual
		for v := range in {
			if toPlane {
				in[v] = g.YMM()
				g.loadLanes(in[v], low(v), high(v))
			} else {
				in[v] = g.load(at(v))
			}
		}
		for out := range 3 {
			var sum VecVirtual
			for v := range in {
				part := g.YMM()
				g.VPSHUFB(masks[out][v], in[v], part)
				if v > 0 {
					g.VPOR(part, sum, sum)
				} else {
					sum = part
				}
			}
			if toPlane {
				g.VMOVDQU(sum, at(out))
			} else {
				g.storeLanes(sum, low(out), high(out))
			}
		}
		g.ADDQ(U8(32), planes)
		g.ADDQ(U8(96), pixels)
		g.SUBQ(U8(32), n)
		g.JEQ(LabelRef("done"))
		g.CMPQ(n, U8(32))
		g.JGE(LabelRef("next"))
		// The last 32 pixels, some of them once more.
		g.SUBQ(U8(32), n)
		g.ADDQ(n, planes)
		g.LEAQ(Mem{Base: n, Index: n, Scale: 2}, n)
		g.ADDQ(n, pixels)
		g.MOVQ(U32(32), n)
		g.JMP(LabelRef("next"))
		g.Label("done")
		g.VZEROUPPER()
		g.RET()
	}
}

// joinRuns emits copies of 16 bytes each, every one of which overwrites the end of the one before.
func (g *gen) joinRuns() {
	g.text("joinRunsU8AVX2", "func(dst, src *uint8, lds, rows, n int)")
	p := g.pointers("dst", "src", "lds", "rows", "n")
	x := g.XMM()
	g.Label("next")
	g.VMOVDQU(Mem{Base: p[1]}, x)
	g.VMOVDQU(x, Mem{Base: p[0]})
	g.ADDQ(p[2], p[1])
	g.ADDQ(p[4], p[0])
	g.DECQ(p[3])
	g.JNE(LabelRef("next"))
	g.RET()
}

// copyRows emits a copy of rows of any length, the last vector of each with a mask for what it holds.
func (g *gen) copyRows() {
	g.text("copyRowsU8AVX512", "func(dst *uint8, ldd int, src *uint8, lds, rows, n int, flip uint32)")
	p := g.pointers("dst", "ldd", "src", "lds", "rows", "n")
	dst, ldd, src, lds, rows, n := p[0], p[1], p[2], p[3], p[4], p[5]
	flip := g.broadcast("flip")
	whole, at, rest := g.GP64(), g.GP64(), g.GP64()
	mask := g.K()
	g.MOVQ(n, whole)
	g.ANDQ(I8(-64), whole)
	g.SUBQ(whole, n)
	g.MOVQ(I32(-1), rest)
	g.BZHIQ(n, rest, rest)
	g.KMOVQ(rest, mask)
	g.Label("row")
	g.XORQ(at, at)
	g.CMPQ(at, whole)
	g.JEQ(LabelRef("rest"))
	g.Label("vector")
	v := g.ZMM()
	g.VPXORD(Mem{Base: src, Index: at, Scale: 1}, flip, v)
	g.VMOVDQU32(v, Mem{Base: dst, Index: at, Scale: 1})
	g.ADDQ(U8(64), at)
	g.CMPQ(at, whole)
	g.JNE(LabelRef("vector"))
	g.Label("rest")
	g.TESTQ(rest, rest)
	g.JEQ(LabelRef("next"))
	last := g.ZMM()
	g.VMOVDQU8_Z(Mem{Base: src, Index: at, Scale: 1}, mask, last)
	g.VPXORD(flip, last, last)
	g.VMOVDQU8(last, mask, Mem{Base: dst, Index: at, Scale: 1})
	g.Label("next")
	g.ADDQ(ldd, dst)
	g.ADDQ(lds, src)
	g.DECQ(rows)
	g.JNE(LabelRef("row"))
	g.VZEROUPPER()
	g.RET()
}

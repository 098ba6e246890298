package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// reductions emits the routines that fold a slice. Four vectors of partial results are folded in a fixed order.
func reductions(g *gen) {
	sum := func(name, sig string, slices []string, f func(acc Op, in []VecVirtual)) {
		g.text(name+"F32"+g.t.suffix, sig)
		acc := g.partial(slices, 0, func(acc Op, in []VecVirtual, _ Op) { f(acc, in) })
		g.fold(acc, func(b, a, d Op) { g.VADDPS(b, a, d) })
	}
	sum("dot", "func(x, y []float32) float32", []string{"x", "y"}, func(acc Op, in []VecVirtual) { g.VFMADD231PS(in[0], in[1], acc) })
	sum("sum", "func(x []float32) float32", []string{"x"}, func(acc Op, in []VecVirtual) { g.VADDPS(in[0], acc, acc) })
	sum("sumSq", "func(x []float32) float32", []string{"x"}, func(acc Op, in []VecVirtual) { g.VFMADD231PS(in[0], in[0], acc) })
	sum("sumSqDiff", "func(x, y []float32) float32", []string{"x", "y"}, func(acc Op, in []VecVirtual) {
		g.VSUBPS(in[1], in[0], in[0])
		g.VFMADD231PS(in[0], in[0], acc)
	})

	g.text("sumAbsF32"+g.t.suffix, "func(x []float32) float32")
	magnitude := g.load(g.bits(signBit - 1))
	acc := g.partial([]string{"x"}, 0, func(acc Op, in []VecVirtual, _ Op) {
		g.VANDPS(magnitude, in[0], in[0])
		g.VADDPS(in[0], acc, acc)
	})
	g.fold(acc, func(b, a, d Op) { g.VADDPS(b, a, d) })

	g.text("deviationsF32"+g.t.suffix, "func(x []float32, ref float32) (sum, sq float32)")
	ref := g.broadcast("ref")
	var sums []VecVirtual
	for range 4 {
		sums = append(sums, g.load(g.bits(0)))
	}
	// partial calls back for its vectors in this order.
	order := []int{0, 1, 2, 3, 0, 1}
	acc = g.partial([]string{"x"}, 0, func(acc Op, in []VecVirtual, mask Op) {
		v := in[0]
		if mask != nil {
			v = g.blend(mask, v, ref)
		}
		g.VSUBPS(ref, v, v)
		g.VADDPS(v, sums[order[0]], sums[order[0]])
		order = order[1:]
		g.VFMADD231PS(v, v, acc)
	})
	add := func(b, a, d Op) { g.VADDPS(b, a, d) }
	g.foldTo(sums, add, 0)
	g.foldTo(acc, add, 1)
	g.VZEROUPPER()
	g.RET()

	const inf = 0x7f800000
	extreme := func(name string, start uint32, f func(...Op)) {
		g.text(name+"F32"+g.t.suffix, "func(x []float32) float32")
		// Lanes that ever saw NaN; the instruction itself forgets one at the next number.
		nan := g.load(g.bits(0))
		keep := func(v Op) {
			if g.t.wide {
				// All ones is a NaN.
				k := g.cmp(cmpUNORD, v, v)
				g.VMOVUPS(g.bits(0xffffffff), k, nan)
				return
			}
			g.VORPS(g.cmp(cmpUNORD, v, v), nan, nan)
		}
		acc := g.partial([]string{"x"}, start, func(acc Op, in []VecVirtual, mask Op) {
			v := in[0]
			if mask != nil {
				v = g.blend(mask, v, g.load(g.bits(start)))
			}
			keep(v)
			f(v, acc, acc)
		})
		for i := 1; i < len(acc); i++ {
			f(acc[i], acc[0], acc[0])
		}
		// A NaN in place of the lanes that saw one, which every further step hands on.
		g.VORPS(nan, acc[0], acc[0])
		g.fold(acc[:1], func(b, a, d Op) {
			m := b
			if g.isX(b) {
				x := g.XMM()
				f(b, a, x)
				un := g.XMM()
				g.VCMPPS(U8(cmpUNORD), a, a, un)
				g.VBLENDVPS(un, a, x, d)
				return
			}
			_ = m
			y := g.YMM()
			f(b, a, y)
			un := g.YMM()
			g.VCMPPS(U8(cmpUNORD), a, a, un)
			g.VBLENDVPS(un, a, y, d)
		})
	}
	extreme("max", inf|1<<31, g.VMAXPS)
	extreme("min", inf, g.VMINPS)
}

func (g *gen) isX(o Op) bool { return IsXMM(o) }

// partial folds the slices into four vectors that start as start in every lane.
func (g *gen) partial(slices []string, start uint32, f func(acc Op, in []VecVirtual, mask Op)) []VecVirtual {
	var acc []VecVirtual
	for range 4 {
		acc = append(acc, g.load(g.bits(start)))
	}
	var ptr []Register
	for _, s := range slices {
		ptr = append(ptr, g.Load(g.Param(s).Base(), g.GP64()))
	}
	n := g.Load(g.Param(slices[0]).Len(), g.GP64())
	load := func(disp int, mask Op) []VecVirtual {
		var in []VecVirtual
		for _, p := range ptr {
			if mask != nil {
				in = append(in, g.loadMasked(Mem{Base: p}, mask))
			} else {
				in = append(in, g.load(Mem{Base: p, Disp: disp}))
			}
		}
		return in
	}
	advance := func(vectors int) {
		for _, p := range ptr {
			g.ADDQ(U32(vectors*g.bytes()), p)
		}
		g.SUBQ(U32(vectors*g.t.lanes), n)
	}
	many, one, tail, end := g.label("many"), g.label("one"), g.label("tail"), g.label("end")
	g.Label(many)
	g.CMPQ(n, U32(4*g.t.lanes))
	g.JLT(LabelRef(one))
	for i := range 4 {
		f(acc[i], load(i*g.bytes(), nil), nil)
	}
	advance(4)
	g.JMP(LabelRef(many))
	g.Label(one)
	g.CMPQ(n, U32(g.t.lanes))
	g.JLT(LabelRef(tail))
	f(acc[0], load(0, nil), nil)
	advance(1)
	g.JMP(LabelRef(one))
	g.Label(tail)
	g.TESTQ(n, n)
	g.JEQ(LabelRef(end))
	mask := g.tailMask(n)
	f(acc[1], load(0, mask), mask)
	g.Label(end)
	return acc
}

// fold returns what foldTo makes of the vectors.
func (g *gen) fold(acc []VecVirtual, f func(b, a, d Op)) {
	g.foldTo(acc, f, 0)
	g.VZEROUPPER()
	g.RET()
}

// foldTo reduces the vectors to one float32 with f, which may be called on vectors of 256 and 128 bits, and stores it as
// result i.
func (g *gen) foldTo(acc []VecVirtual, f func(b, a, d Op), i int) {
	if len(acc) == 4 {
		f(acc[1], acc[0], acc[0])
		f(acc[3], acc[2], acc[2])
		f(acc[2], acc[0], acc[0])
	}
	y := acc[0].AsY()
	if g.t.wide {
		h := g.YMM()
		g.VEXTRACTF64X4(U8(1), acc[0], h)
		lo := g.YMM()
		g.VMOVUPS(acc[0].AsY(), lo)
		f(h, lo, lo)
		y = lo
	}
	h, x := g.XMM(), g.XMM()
	g.VEXTRACTF128(U8(1), y, h)
	g.VMOVUPS(y.(VecVirtual).AsX(), x)
	f(h, x, x)
	g.VPERMILPS(U8(0x0e), x, h)
	f(h, x, x)
	g.VPERMILPS(U8(0x01), x, h)
	f(h, x, x)
	g.Store(x, g.ReturnIndex(i))
}

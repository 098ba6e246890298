package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// windowReductions emits the reductions over windows. The fields of windowArgs lie eight bytes apart.
func windowReductions(g *gen) {
	const pixels, channels, step, rows, rowPitch, cols, colPitch, scale = 0, 8, 16, 24, 32, 40, 48, 56
	emit := func(name string, start uint32, add func(m Op, acc VecVirtual), finish func(acc VecVirtual, args Register)) {
		g.text(name+"WindowF32"+g.t.suffix, "func(dst, src *float32, a *byte)")
		g.typeName("windowArgs")
		p := g.pointers("dst", "src", "a")
		dst, src, args := p[0], p[1], p[2]
		field := func(at int) Mem { return Mem{Base: args, Disp: at} }
		n, rowStep, colStep := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(field(pixels), n)
		g.MOVQ(field(rowPitch), rowStep)
		g.SHLQ(U8(2), rowStep)
		g.MOVQ(field(colPitch), colStep)
		g.SHLQ(U8(2), colStep)
		at, left, row, tap, i, j := g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64(), g.GP64()
		g.Label("pixel")
		g.MOVQ(src, at)
		g.MOVQ(field(channels), left)
		// block reduces vectors of channels from at on, and stores them.
		block := func(vectors int, mask Op) {
			var acc []VecVirtual
			for range vectors {
				acc = append(acc, g.load(g.constant(start)))
			}
			suffix := g.label("of")
			g.MOVQ(at, row)
			g.MOVQ(field(rows), i)
			g.Label("row" + suffix)
			g.MOVQ(row, tap)
			g.MOVQ(field(cols), j)
			g.Label("tap" + suffix)
			for k, a := range acc {
				if mask != nil {
					add(g.loadMasked(Mem{Base: tap}, mask), a)
				} else {
					add(Mem{Base: tap, Disp: k * g.bytes()}, a)
				}
			}
			g.ADDQ(colStep, tap)
			g.DECQ(j)
			g.JNE(LabelRef("tap" + suffix))
			g.ADDQ(rowStep, row)
			g.DECQ(i)
			g.JNE(LabelRef("row" + suffix))
			for k, a := range acc {
				finish(a, args)
				if mask != nil {
					g.storeMasked(a, mask, Mem{Base: dst})
				} else {
					g.VMOVUPS(a, Mem{Base: dst, Disp: k * g.bytes()})
				}
			}
		}
		for _, vectors := range []int{4, 1} {
			top, done := fmt.Sprint("vectors", vectors), fmt.Sprint("done", vectors)
			g.Label(top)
			g.CMPQ(left, U32(vectors*g.t.lanes))
			g.JLT(LabelRef(done))
			block(vectors, nil)
			g.ADDQ(U32(vectors*g.bytes()), at)
			g.ADDQ(U32(vectors*g.bytes()), dst)
			g.SUBQ(U32(vectors*g.t.lanes), left)
			g.JMP(LabelRef(top))
			g.Label(done)
		}
		g.TESTQ(left, left)
		g.JEQ(LabelRef("next"))
		block(1, g.tailMask(left))
		g.LEAQ(Mem{Base: dst, Index: left, Scale: 4}, dst)
		g.Label("next")
		g.MOVQ(field(step), left)
		g.LEAQ(Mem{Base: src, Index: left, Scale: 4}, src)
		g.DECQ(n)
		g.JNE(LabelRef("pixel"))
		g.VZEROUPPER()
		g.RET()
	}
	emit("sum", 0, func(m Op, acc VecVirtual) { g.VADDPS(m, acc, acc) }, func(acc VecVirtual, args Register) {
		s := g.vec()
		g.VBROADCASTSS(Mem{Base: args, Disp: scale}, s)
		g.VMULPS(s, acc, acc)
	})
	// The instruction returns its second source if either is NaN: lanes that are NaN already stay as they are.
	const inf = 0x7f800000
	emit("max", inf|signBit, func(m Op, acc VecVirtual) {
		const ordered = 0x07
		if g.t.wide {
			k := g.cmp(ordered, acc, acc)
			g.VMAXPS(m, acc, k, acc)
			return
		}
		v := g.vec()
		g.VMAXPS(m, acc, v)
		g.VBLENDVPS(g.cmp(cmpUNORD, acc, acc), acc, v, acc)
	}, func(VecVirtual, Register) {})
}

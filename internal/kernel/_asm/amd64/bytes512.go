package main

import (
	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteVectors512 emits the elementwise routines on 8-bit values for AVX-512. They take any number of values; what is
// beyond a multiple of a vector is masked.
func byteVectors512(g *gen) {
	g.tier(avx512)
	order := g.StaticGlobal("wordOrder")
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		g.AddDatum(4*i, U32(i%4*4+i/4))
	}
	for _, signed := range []bool{false, true} {
		g.quantize512(signed, order)
		g.dequantize512(signed)
		g.add512(signed, order)
	}
	g.table512()
}

// byRows emits a loop over whole vectors of 64 bytes, and one over vectors of step bytes with a mask for what they hold.
// Bodies advance the pointers.
func (g *gen) byRows(n Register, step int, whole func(), part func(mask Op)) {
	g.SUBQ(U8(64), n)
	g.JLT(LabelRef("rest"))
	g.Label("next")
	whole()
	g.SUBQ(U8(64), n)
	g.JGE(LabelRef("next"))
	g.Label("rest")
	g.ADDQ(U8(64), n)
	g.JEQ(LabelRef("done"))
	ones, bits := g.GP64(), g.GP64()
	g.MOVQ(I32(-1), ones)
	mask := g.K()
	g.Label("part")
	g.BZHIQ(n, ones, bits)
	g.KMOVQ(bits, mask)
	part(mask)
	g.SUBQ(U8(step), n)
	g.JGT(LabelRef("part"))
	g.Label("done")
	g.VZEROUPPER()
	g.RET()
}

// quantize512 emits quantisation to the whole range of uint8 or int8: saturating conversions are the bounds. Only the
// conversion of NaN and of a large float32 gives another value, the least integer. Where words say that there may be one, the
// vectors are quantised again with a bound.
func (g *gen) quantize512(signed bool, order Mem) {
	name, pack, most := "quantizeU8AVX512", g.VPACKUSWB, g.VPMOVUSDB
	if signed {
		name, pack, most = "quantizeS8AVX512", g.VPACKSSWB, g.VPMOVSDB
	}
	g.text(name, "func(dst *uint8, x *float32, n int, recip, rest float32, zero int32)")
	p := g.pointers("dst", "x", "n")
	recip, rest, zero := g.broadcast("recip"), g.broadcast("rest"), g.broadcast("zero")
	words := g.vec()
	g.VPACKSSDW(zero, zero, words)
	g.holdF32(1 << 20)
	g.hold(0x80008000)
	perm := g.load(order)
	ordered, odd := g.K(), [2]Register{g.K(), g.K()}
	quotient := func(x VecVirtual) VecVirtual {
		q := g.vec()
		g.VMULPS(rest, x, q)
		g.VFMADD231PS(x, recip, q)
		return q
	}
	bounded := func(x VecVirtual) {
		q := quotient(x)
		g.VCMPPS(U8(7), x, x, ordered)
		g.VMINPS(g.f32(1<<20), q, q)
		g.VCVTPS2DQ_Z(q, ordered, x)
	}
	v := [4]VecVirtual{g.vec(), g.vec(), g.vec(), g.vec()}
	load := func() {
		for i := range v {
			g.VMOVUPS(Mem{Base: p[1], Disp: 64 * i}, v[i])
		}
	}
	toWords := func() {
		g.VPACKSSDW(v[1], v[0], v[0])
		g.VPACKSSDW(v[3], v[2], v[2])
	}
	g.byRows(p[2], 16, func() {
		load()
		for i := range v {
			g.VCVTPS2DQ(quotient(v[i]), v[i])
		}
		toWords()
		for i, k := range odd {
			g.VPCMPEQW(g.bits(0x80008000), v[2*i], k)
		}
		g.KORTESTD(odd[0], odd[1])
		g.JNE(LabelRef("odd"))
		g.Label("words")
		g.VPADDSW(words, v[0], v[0])
		g.VPADDSW(words, v[2], v[2])
		pack(v[2], v[0], v[0])
		g.VPERMD(v[0], perm, v[0])
		g.VMOVDQU32(v[0], Mem{Base: p[0]})
		g.ADDQ(U32(256), p[1])
		g.ADDQ(U8(64), p[0])
	}, func(mask Op) {
		x := g.loadMasked(Mem{Base: p[1]}, mask)
		bounded(x)
		g.VPMAXSD(g.bits(0xffff8000), x, x)
		g.VPADDD(zero, x, x)
		if !signed {
			g.VPMAXSD(g.bits(0), x, x)
		}
		most(x, mask, Mem{Base: p[0]})
		g.ADDQ(U8(64), p[1])
		g.ADDQ(U8(16), p[0])
	})
	g.Label("odd")
	load()
	for i := range v {
		bounded(v[i])
	}
	toWords()
	g.JMP(LabelRef("words"))
}

func (g *gen) dequantize512(signed bool) {
	name, extend, masked := "dequantizeU8AVX512", g.VPMOVZXBD, g.VPMOVZXBD_Z
	if signed {
		name, extend, masked = "dequantizeS8AVX512", g.VPMOVSXBD, g.VPMOVSXBD_Z
	}
	g.text(name, "func(dst *float32, src *uint8, n int, scale float32, zero int32)")
	p := g.pointers("dst", "src", "n")
	scale, zero := g.broadcast("scale"), g.broadcast("zero")
	value := func(v VecVirtual) {
		g.VPSUBD(zero, v, v)
		g.VCVTDQ2PS(v, v)
		g.VMULPS(scale, v, v)
	}
	g.byRows(p[2], 16, func() {
		for i := range 4 {
			v := g.vec()
			extend(Mem{Base: p[1], Disp: 16 * i}, v)
			value(v)
			g.VMOVUPS(v, Mem{Base: p[0], Disp: 64 * i})
		}
		g.ADDQ(U32(256), p[0])
		g.ADDQ(U8(64), p[1])
	}, func(mask Op) {
		v := g.vec()
		masked(Mem{Base: p[1]}, mask, v)
		value(v)
		g.storeMasked(v, mask, Mem{Base: p[0]})
		g.ADDQ(U8(64), p[0])
		g.ADDQ(U8(16), p[1])
	})
}

// add512 emits sums of 8-bit values that are divided as quantize512 divides. None of them is so large that its conversion
// gives another value.
func (g *gen) add512(signed bool, order Mem) {
	name, pack, most := "addU8AVX512", g.VPACKUSWB, g.VPMOVUSDB
	extend, masked := g.VPMOVZXBD, g.VPMOVZXBD_Z
	if signed {
		name, pack, most = "addS8AVX512", g.VPACKSSWB, g.VPMOVSDB
		extend, masked = g.VPMOVSXBD, g.VPMOVSXBD_Z
	}
	g.text(name, "func(dst, a, b *uint8, n int, aScale, bScale, recip, rest float32, aZero, bZero, zero int32)")
	p := g.pointers("dst", "a", "b", "n")
	recip, rest, zero := g.broadcast("recip"), g.broadcast("rest"), g.broadcast("zero")
	var scales, zeros [2]Op
	for i, x := range []string{"a", "b"} {
		scales[i], zeros[i] = g.broadcast(x+"Scale"), g.broadcast(x+"Zero")
	}
	words := g.vec()
	g.VPACKSSDW(zero, zero, words)
	perm := g.load(order)
	integer := func(x [2]VecVirtual) VecVirtual {
		for k, v := range x {
			g.VPSUBD(zeros[k], v, v)
			g.VCVTDQ2PS(v, v)
			g.VMULPS(scales[k], v, v)
		}
		g.VADDPS(x[1], x[0], x[0])
		g.VMULPS(rest, x[0], x[1])
		g.VFMADD231PS(x[0], recip, x[1])
		g.VCVTPS2DQ(x[1], x[1])
		return x[1]
	}
	advance := func(step int) {
		for _, r := range p[:3] {
			g.ADDQ(U8(step), r)
		}
	}
	g.byRows(p[3], 16, func() {
		var v [4]VecVirtual
		for i := range v {
			x := [2]VecVirtual{g.vec(), g.vec()}
			for k := range x {
				extend(Mem{Base: p[1+k], Disp: 16 * i}, x[k])
			}
			v[i] = integer(x)
		}
		for _, i := range []int{0, 2} {
			g.VPACKSSDW(v[i+1], v[i], v[i])
			g.VPADDSW(words, v[i], v[i])
		}
		pack(v[2], v[0], v[0])
		g.VPERMD(v[0], perm, v[0])
		g.VMOVDQU32(v[0], Mem{Base: p[0]})
		advance(64)
	}, func(mask Op) {
		x := [2]VecVirtual{g.vec(), g.vec()}
		for k := range x {
			masked(Mem{Base: p[1+k]}, mask, x[k])
		}
		v := integer(x)
		g.VPADDD(zero, v, v)
		if !signed {
			g.VPMAXSD(g.bits(0), v, v)
		}
		most(v, mask, Mem{Base: p[0]})
		advance(16)
	})
}

// table512 emits the look-up of 256 bytes with VBMI: the low seven bits choose among the 128 bytes of two registers,
// the top bit between the results of both halves.
func (g *gen) table512() {
	g.text("tableU8VBMI", "func(dst, src *uint8, n int, values *uint8)")
	p := g.pointers("dst", "src", "n", "values")
	var rows []VecVirtual
	for i := range 4 {
		v := g.vec()
		g.VMOVDQU32(Mem{Base: p[3], Disp: 64 * i}, v)
		rows = append(rows, v)
	}
	top := g.K()
	look := func(x VecVirtual) VecVirtual {
		y := g.vec()
		g.VMOVDQA32(x, y)
		g.VPMOVB2M(x, top)
		g.VPERMI2B(rows[1], rows[0], x)
		g.VPERMI2B(rows[3], rows[2], y)
		g.VMOVDQU8(y, top, x)
		return x
	}
	g.byRows(p[2], 64, func() {
		x := g.vec()
		g.VMOVDQU32(Mem{Base: p[1]}, x)
		g.VMOVDQU32(look(x), Mem{Base: p[0]})
		g.ADDQ(U8(64), p[0])
		g.ADDQ(U8(64), p[1])
	}, func(mask Op) {
		x := g.vec()
		g.VMOVDQU8_Z(Mem{Base: p[1]}, mask, x)
		g.VMOVDQU8(look(x), mask, Mem{Base: p[0]})
	})
}

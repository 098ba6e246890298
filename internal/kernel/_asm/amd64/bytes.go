package main

import (
	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteVectors emits the elementwise routines on 8-bit values. Each takes n, a positive multiple of 32.
func byteVectors(g *gen) {
	g.tier(avx2)
	order := g.StaticGlobal("byteOrder")
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		g.AddDatum(4*i, U32(v))
	}
	g.quantize(order)
	g.dequantize()
	g.table()
	for _, signed := range []bool{false, true} {
		g.binaryQ8("add", signed, order)
		g.binaryQ8("mul", signed, order)
	}
}

func (g *gen) pointers(names ...string) []Register {
	var r []Register
	for _, n := range names {
		r = append(r, g.Load(g.Param(n), g.GP64()))
	}
	return r
}

// lowBytes returns a mask of the low byte of each word.
func (g *gen) lowBytes() VecVirtual {
	m := g.YMM()
	g.VPCMPEQW(m, m, m)
	g.VPSRLW(U8(8), m, m)
	return m
}

// broadcastWord returns an int32 parameter of at most 16 bits in every word.
func (g *gen) broadcastWord(name string) VecVirtual {
	v := g.broadcast(name)
	g.VPACKSSDW(v, v, v)
	return v
}

// packBytes returns four vectors of float32, rounded to even and plus zero, as bytes.
func (g *gen) packBytes(v []VecVirtual, zero, mask, order VecVirtual) VecVirtual {
	for i := range v {
		g.VCVTPS2DQ(v[i], v[i])
	}
	g.VPACKSSDW(v[1], v[0], v[0])
	g.VPACKSSDW(v[3], v[2], v[2])
	for _, i := range []int{0, 2} {
		g.VPADDW(zero, v[i], v[i])
		g.VPAND(mask, v[i], v[i])
	}
	g.VPACKUSWB(v[2], v[0], v[0])
	g.VPERMD(v[0], order, v[0])
	return v[0]
}

// bounded limits v to [lo, hi] after replacing NaN by zero.
func (g *gen) bounded(v, lo, hi VecVirtual) {
	ordered := g.YMM()
	g.VCMPPS(U8(7), v, v, ordered)
	g.VANDPS(ordered, v, v)
	g.VMAXPS(lo, v, v)
	g.VMINPS(hi, v, v)
}

func (g *gen) quantize(order Mem) {
	g.text("quantizeF32AVX2", "func(dst *uint8, x *float32, n int, recip, rest float32, zero int32, lo, hi float32)")
	p := g.pointers("dst", "x", "n")
	recip, rest, lo, hi, zero := g.broadcast("recip"), g.broadcast("rest"), g.broadcast("lo"), g.broadcast("hi"), g.broadcastWord("zero")
	mask, perm := g.lowBytes(), g.load(order)
	g.Label("next")
	var v []VecVirtual
	for i := range 4 {
		x, r := g.load(Mem{Base: p[1], Disp: 32 * i}), g.YMM()
		g.VMULPS(rest, x, r)
		g.VFMADD231PS(x, recip, r)
		g.bounded(r, lo, hi)
		v = append(v, r)
	}
	g.VMOVDQU(g.packBytes(v, zero, mask, perm), Mem{Base: p[0]})
	g.ADDQ(U32(128), p[1])
	g.endBytes(p[2], p[0])
}

// endBytes advances by 32 bytes and ends the loop and the function.
func (g *gen) endBytes(n Register, ptr ...Register) {
	for _, p := range ptr {
		g.ADDQ(U8(32), p)
	}
	g.SUBQ(U8(32), n)
	g.JNE(LabelRef("next"))
	g.VZEROUPPER()
	g.RET()
}

func (g *gen) dequantize() {
	for _, f := range []struct {
		name   string
		extend func(...Op)
	}{{"dequantizeU8AVX2", g.VPMOVZXBD}, {"dequantizeS8AVX2", g.VPMOVSXBD}} {
		g.text(f.name, "func(dst *float32, src *uint8, n int, scale float32, zero int32)")
		p := g.pointers("dst", "src", "n")
		scale, zero := g.broadcast("scale"), g.broadcast("zero")
		g.Label("next")
		for i := range 4 {
			v := g.YMM()
			f.extend(Mem{Base: p[1], Disp: 8 * i}, v)
			g.VPSUBD(zero, v, v)
			g.VCVTDQ2PS(v, v)
			g.VMULPS(scale, v, v)
			g.VMOVUPS(v, Mem{Base: p[0], Disp: 32 * i})
		}
		g.ADDQ(U32(128), p[0])
		g.endBytes(p[2], p[1])
	}
}

// table emits the look-up of 256 bytes in sixteen rows. A shuffle gives 0 for an index with the top bit set; indices
// fall by 16 from row to row, and stay negative once they are. The rows are differences, so that their sum ends with
// the row of the index. Two passes serve indices below 128 and from 128 on.
func (g *gen) table() {
	g.text("tableU8AVX2", "func(dst, src *uint8, n int, rows *uint8)")
	p := g.pointers("dst", "src", "n", "rows")
	flip, sixteen := g.YMM(), g.YMM()
	g.VPCMPEQB(flip, flip, flip)
	g.VPSLLW(U8(15), flip, flip)
	g.VPACKSSWB(flip, flip, flip)
	g.VPCMPEQB(sixteen, sixteen, sixteen)
	g.VPSRLW(U8(15), sixteen, sixteen)
	g.VPSLLW(U8(4), sixteen, sixteen)
	g.VPACKUSWB(sixteen, sixteen, sixteen)
	g.Label("next")
	low := g.load(Mem{Base: p[1]})
	high := g.YMM()
	g.VPXOR(flip, low, high)
	sum := []VecVirtual{g.YMM(), g.YMM()}
	for i := range 8 {
		for h, x := range []VecVirtual{low, high} {
			row := g.YMM()
			g.VBROADCASTI128(Mem{Base: p[3], Disp: 16 * (8*h + i)}, row)
			if i == 0 {
				g.VPSHUFB(x, row, sum[h])
				continue
			}
			g.VPSUBSB(sixteen, x, x)
			g.VPSHUFB(x, row, row)
			g.VPXOR(row, sum[h], sum[h])
		}
	}
	g.VPXOR(sum[0], sum[1], sum[0])
	g.VMOVDQU(sum[0], Mem{Base: p[0]})
	g.endBytes(p[2], p[0], p[1])
}

func (g *gen) binaryQ8(name string, signed bool, order Mem) {
	suffix, extend := "U8AVX2", g.VPMOVZXBD
	if signed {
		suffix, extend = "S8AVX2", g.VPMOVSXBD
	}
	g.text(name+suffix, "func(dst, a, b *uint8, n int, aScale, bScale, scale float32, aZero, bZero, zero int32, lo, hi float32)")
	p := g.pointers("dst", "a", "b", "n")
	scale, lo, hi, zero := g.broadcast("scale"), g.broadcast("lo"), g.broadcast("hi"), g.broadcastWord("zero")
	mask := g.lowBytes()
	var scales, zeros []Op
	for _, x := range []string{"a", "b"} {
		scales = append(scales, g.broadcast(x+"Scale"))
		zeros = append(zeros, g.broadcast(x+"Zero"))
	}
	g.Label("next")
	var v []VecVirtual
	for i := range 4 {
		var t [2]VecVirtual
		for k := range t {
			t[k] = g.YMM()
			extend(Mem{Base: p[1+k], Disp: 8 * i}, t[k])
			g.VPSUBD(zeros[k], t[k], t[k])
			g.VCVTDQ2PS(t[k], t[k])
			if name == "add" {
				g.VMULPS(scales[k], t[k], t[k])
			}
		}
		if name == "add" {
			g.VADDPS(t[1], t[0], t[0])
			g.VDIVPS(scale, t[0], t[0])
		} else {
			g.VMULPS(t[1], t[0], t[0])
			g.VMULPS(scale, t[0], t[0])
		}
		g.bounded(t[0], lo, hi)
		v = append(v, t[0])
	}
	perm := g.load(order)
	g.VMOVDQU(g.packBytes(v, zero, mask, perm), Mem{Base: p[0]})
	g.endBytes(p[3], p[0], p[1], p[2])
}

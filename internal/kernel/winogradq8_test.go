package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestWinogradQ8Layout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var p tileI16
	var i winogradIn8
	var o winogradOutQ8
	for name, f := range map[string][2][]uintptr{
		"tileI16": {{
			unsafe.Offsetof(p.a), unsafe.Offsetof(p.b), unsafe.Offsetof(p.c), unsafe.Offsetof(p.k), unsafe.Offsetof(p.rows), unsafe.Offsetof(p.panels),
			unsafe.Offsetof(p.taps), unsafe.Offsetof(p.rs), unsafe.Offsetof(p.cs), unsafe.Offsetof(p.tapA), unsafe.Offsetof(p.tapC),
		}, {0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80}},
		"winogradIn8": {{
			unsafe.Offsetof(i.dst), unsafe.Offsetof(i.src), unsafe.Offsetof(i.temp), unsafe.Offsetof(i.row), unsafe.Offsetof(i.pix),
			unsafe.Offsetof(i.ldf), unsafe.Offsetof(i.lds), unsafe.Offsetof(i.n), unsafe.Offsetof(i.c), unsafe.Offsetof(i.zero),
		}, {0, 8, 16, 24, 32, 40, 48, 56, 64, 72}},
		"winogradOutQ8": {{
			unsafe.Offsetof(o.dst), unsafe.Offsetof(o.src), unsafe.Offsetof(o.temp), unsafe.Offsetof(o.init), unsafe.Offsetof(o.scale), unsafe.Offsetof(o.row),
			unsafe.Offsetof(o.pix), unsafe.Offsetof(o.ldf), unsafe.Offsetof(o.lds), unsafe.Offsetof(o.n), unsafe.Offsetof(o.c), unsafe.Offsetof(o.words),
			unsafe.Offsetof(o.flip),
		}, {0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 92}},
	} {
		for k, want := range f[1] {
			if f[0][k] != want {
				t.Errorf("field %d of %s is at offset %d, the assembly reads %d", k, name, f[0][k], want)
			}
		}
	}
}

// allGemmI16 returns all kernels of the architecture.
func allGemmI16() []*gemmI16 {
	all := []*gemmI16{&genericGemmI16}
	for i := range gemmI16Kernels {
		all = append(all, &gemmI16Kernels[i])
	}
	return all
}

// eachGemmI16 runs f for each kernel of the processor.
func eachGemmI16(t *testing.T, f func(t *testing.T, g *gemmI16)) {
	for i, g := range allGemmI16() {
		t.Run(fmt.Sprintf("%s/%d", g.name, i), func(t *testing.T) {
			if !*g.use {
				t.Skip("not available")
			}
			f(t, g)
		})
	}
}

func randI16(r *rand.Rand, n int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(r.Uint32())
	}
	return s
}

func randI32(r *rand.Rand, n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = int32(r.Uint32())
	}
	return s
}

// TestTileI16 compares products of all 16-bit values but the least, whose sums wrap, with the loop that defines them, at inaccessible pages.
func TestTileI16(t *testing.T) {
	ga, gb, gc := newGuard(t, 128<<10), newGuard(t, 256<<10), newGuard(t, 256<<10)
	eachGemmI16(t, func(t *testing.T, g *gemmI16) {
		r := rand.New(rand.NewPCG(1, 2))
		for rows := 1; rows <= g.mr; rows++ {
			for k := 1; k < 30; k++ {
				panels, taps, gap := 1+k%3, 1+(k+rows)%4, g.kr*(rows%3)
				stride, width := g.kr*k+gap, panels*g.nr
				ldd := rows*width + rows%5
				lds := rows*stride + g.kr*(k%2)
				a := place(ga, randI16(r, (taps-1)*lds+(rows-1)*stride+g.kr*k), k%2 == 0)
				b := place(gb, randI16(r, taps*panels*g.kr*k*g.nr), k%2 == 1)
				for i := range a { // of two products of the least value the sum is no int32
					a[i] = max(a[i], -math.MaxInt16)
				}
				if g.id == tileGeneric {
					for i := range a {
						a[i] = max(-25500, min(a[i], 25500))
					}
					for i := range b {
						b[i] = max(-6272, min(b[i], 6272))
					}
				}
				c := place(gc, randI32(r, (taps-1)*ldd+rows*width), k%2 == 0)
				want := append([]int32(nil), c...)
				x := tileI16{b: &b[0], c: &want[0], a: &a[0], k: k, rows: rows, panels: panels, taps: taps, rs: 2 * stride, cs: 4 * width, tapA: 2 * lds, tapC: 4 * (ldd - width)}
				tileI16Generic(&x, g.nr, g.kr)
				x.c = &c[0]
				g.tile(&x)
				for i, v := range want {
					if c[i] != v {
						t.Fatalf("%d rows, %d steps, %d panels, %d taps: element %d is %d, want %d", rows, k, panels, taps, i, c[i], v)
					}
				}
			}
		}
	})
}

// randProducts returns the products of a tile whose sums are below 2²⁴: those of one channel, times any number.
func randProducts(r *rand.Rand) (m [WinogradQ8Taps]int32) {
	var d [36]uint8
	var g [9]int8
	for i := range d {
		d[i] = uint8(r.Uint32())
	}
	for i := range g {
		g[i] = int8(r.Uint32())
	}
	var v [WinogradQ8Taps]int16
	temp := winogradIn8{dst: &v[0], src: &d[0], row: 6, pix: 1, ldf: 1, lds: 1, n: 1, c: 1}
	winogradInput8Generic(&temp, false)
	times := int32(r.IntN(1<<24/(9*255*128)) + 1)
	for f, u := range winogradQ8Weights(&g) {
		m[f] = int32(u) * int32(v[f]) * times
	}
	return m
}

// TestWinogradQ8Transforms compares both transforms with the loops that define them, with operands at inaccessible pages.
func TestWinogradQ8Transforms(t *testing.T) {
	gs, gd, gt := newGuard(t, 512<<10), newGuard(t, 256<<10), newGuard(t, 8<<10)
	temp := place(gt, make([]int32, WinogradQ8Temp), true)
	eachGemmI16(t, func(t *testing.T, g *gemmI16) {
		r := rand.New(rand.NewPCG(3, 4))
		for c := 1; c <= 70; c++ {
			p := &WinogradQ8{C: c, O: c, kern: g}
			for _, n := range []int{1, 2, 5} {
				gap := c % 3
				pix, lds := c+gap, c+c%2+2*gap
				row, ldf := (4*n+2)*pix+gap, (n-1)*lds+c+WinogradQ8Slack+gap
				what := fmt.Sprintf("c=%d n=%d", c, n)
				raw := make([]uint8, p.InputBytes(row, pix, n))
				for i := range raw {
					raw[i] = uint8(r.Uint32())
				}
				src, signed, zero := place(gs, raw, c%2 == 0), r.IntN(2) == 0, int32(r.IntN(256))
				if signed {
					zero -= 128
				}
				dst := place(gd, randI16(r, (WinogradQ8Taps-1)*ldf+(n-1)*lds+c+WinogradQ8Slack), c%2 == 0)
				want := append([]int16(nil), dst...)
				winogradInput8Generic(&winogradIn8{dst: &want[0], src: &src[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c, zero: uint32(36 * zero)}, signed)
				p.Input(dst, ldf, lds, src, row, pix, n, signed, zero, temp)
				for f := range WinogradQ8Taps {
					for tile := range n {
						for i := range c {
							if at := f*ldf + tile*lds + i; dst[at] != want[at] {
								t.Fatalf("%s: position %d of tile %d, channel %d is %d, want %d", what, f, tile, i, dst[at], want[at])
							}
						}
					}
				}
				if c > winogradQ8Columns {
					continue
				}
				cols := roundUp(c, g.lanes)
				pix, lds = cols+gap, cols+gap
				row, ldf = 4*n*pix+gap, n*lds+gap
				sums := place(gs, randI32(r, (WinogradQ8Taps-1)*ldf+(n-1)*lds+cols), c%2 == 0)
				for tile := range n {
					for j := range cols {
						for f, v := range randProducts(r) {
							sums[f*ldf+tile*lds+j] = v
						}
					}
				}
				bias := randI32(r, c)
				for j := range bias {
					bias[j] >>= 8
				}
				scale := randF32(uint64(c), c)
				for j := range scale {
					scale[j] *= float32(math.Ldexp(1, -r.IntN(26)))
					if c%4 == 0 && r.IntN(3) == 0 {
						scale[j] = []float32{nan32, inf32, 0, 1e30, 1e-38}[r.IntN(5)]
					}
				}
				var q ResultsQ8
				q.Set(p, bias, scale, zero, signed)
				got := place(gd, make([]uint8, 3*row+(4*n-1)*pix+cols), c%2 == 0)
				for i := range got {
					got[i] = 0xa5
				}
				plain := append([]uint8(nil), got...)
				x := winogradOutQ8{dst: &plain[0], src: &sums[0], init: &q.init[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: cols, words: uint32(zero)}
				if signed {
					x.words, x.flip = uint32(zero+128), 0x80808080
				}
				winogradOutputQ8Generic(&x, q.scale)
				p.Output(0, got, row, pix, sums, ldf, lds, n, &q, temp)
				for i, v := range plain {
					if got[i] != v {
						t.Fatalf("%s: result %d is %d, want %d", what, i, got[i], v)
					}
				}
			}
		}
	})
}

// TestWinogradQ8 computes rows of tiles of 3×3 convolutions, some of them as extreme as WinogradQ8Fits allows, and compares with
// sums in int64.
func TestWinogradQ8(t *testing.T) {
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, s := range [][3]int{{1, 1, 1}, {3, 4, 2}, {16, 16, 7}, {31, 40, 29}, {64, 64, 15}, {20, 130, 3}, {114, 33, 5}, {113, 97, 1}} {
			for variant := range 6 {
				c, o, n := s[0], s[1], s[2]
				w := make([]int8, 9*c*o)
				for i := range w {
					w[i] = int8(r.Uint32())
					switch variant {
					case 1, 2:
						w[i] = []int8{-128, 127}[variant-1]
					case 3:
						w[i] = []int8{-128, 127}[i/(9*c)%2]
					case 4:
						w[i] = []int8{-128, 127}[i%2]
					}
				}
				bias, scale := randI32(r, o), make([]float32, o)
				for j := range scale {
					scale[j] = float32(math.Ldexp(1+r.Float64(), -14-r.IntN(12)))
					bias[j] >>= 17 // below what 2²⁵ has left
				}
				if variant == 5 {
					scale[o-1] = 1e20
				}
				if !WinogradQ8Fits(w, c, o, 255, 255, bias) {
					t.Fatalf("%v variant %d does not fit", s, variant)
				}
				p := PackWinogradQ8(c, o, w)
				if variant%2 == 1 { // many calls
					few := *p.kern
					few.call = 2*c + variant
					p.kern = &few
				}
				if p.Bytes() < WinogradQ8Bytes(c, o) || p.C != c || p.O != o {
					t.Fatalf("%v: %d bytes of %d to %d", s, p.Bytes(), p.C, p.O)
				}
				zero := []int32{0, 255, 128, 3}[r.IntN(4)]
				raw := make([]uint8, 6*(4*n+2)*c)
				for i := range raw {
					raw[i] = uint8(r.Uint32())
					if variant > 0 && variant < 5 {
						raw[i] = uint8(255 * (variant % 2))
					}
				}
				row, lds := (4*n+2)*c, c+c%2
				ldf := n*lds + WinogradQ8Slack
				v, temp := make([]int16, WinogradQ8Taps*ldf), make([]int32, WinogradQ8Temp)
				p.Input(v, ldf, lds, append(raw, make([]uint8, 32)...), row, c, n, false, zero, temp)
				var q ResultsQ8
				q.Set(p, bias, scale, 7, false)
				seen := 0
				for part := range p.Parts() {
					first, cols, width := p.Part(part)
					if first != seen || width > WinogradQ8Width(o) {
						t.Fatalf("%v: part %d has columns %d to %d, %d wide", s, part, first, first+cols, width)
					}
					seen += cols
					m := make([]int32, WinogradQ8Taps*n*width)
					p.Multiply(part, n, m, n*width, v, ldf, lds)
					y := make([]uint8, 16*n*width)
					p.Output(part, y, 4*n*width, width, m, n*width, width, n, &q, temp)
					for at := range 16 * n {
						for j := range cols {
							sum := int64(0)
							for i := range c {
								for k := range 9 {
									sum += (int64(raw[(at/(4*n)+k/3)*row+(at%(4*n)+k%3)*c+i]) - int64(zero)) * int64(w[((first+j)*c+i)*9+k])
								}
							}
							want := []uint8{0}
							requantU8Generic(want, []int32{int32(sum)}, bias[first+j:], scale[first+j:], 7, 0, 255)
							if got := y[at*width+j]; got != want[0] {
								t.Fatalf("%v variant %d: result %d of channel %d is %d, want %d (sum %d)", s, variant, at, first+j, got, want[0], sum)
							}
						}
					}
				}
				if seen != o {
					t.Fatalf("%v: parts cover %d columns", s, seen)
				}
			}
		}
	})
}

func TestWinogradQ8Fits(t *testing.T) {
	const c = 200
	w := make([]int8, 2*9*c)
	fill := func(n int, v int8) {
		clear(w)
		for i := range n {
			w[9*c+i] = v
		}
	}
	// 2²⁵/(255·127) is 1036.1, and 2²⁵/(255·128) 1028.02.
	for _, x := range []struct {
		n         int
		v         int8
		low, high int32
		fits      bool
	}{
		{1036, 127, 255, 255, true}, {1037, 127, 255, 255, false}, {1028, -128, 255, 255, true}, {1029, -128, 255, 255, false},
		{1037, 127, 0, 255, false}, {1036, 127, 0, 255, true}, {1037, 127, 255, 0, false}, {1800, 127, 128, 127, true},
	} {
		if fill(x.n, x.v); WinogradQ8Fits(w, c, 2, x.low, x.high, nil) != x.fits {
			t.Errorf("%+v: %t", x, !x.fits)
		}
	}
	for i := range w { // signs cancel: 900 of each
		w[i] = []int8{127, -127}[i%2]
	}
	if !WinogradQ8Fits(w, c, 2, 0, 255, nil) || WinogradQ8Fits(w, c, 2, 255, 255, nil) {
		t.Error("a bound with the signs of weights is wrong")
	}
	if !WinogradQ8Fits(nil, 114, 1, 255, 255, []int32{1 << 15}) {
		t.Error("few channels always fit")
	}
	clear(w)
	for bias, fits := range map[int32]bool{33554431: true, 33554432: false, -33554431: true, -33554432: false, math.MinInt32: false} {
		if WinogradQ8Fits(w, c, 2, 255, 255, []int32{0, bias}) != fits {
			t.Errorf("bias of %d: %t", bias, !fits)
		}
	}
}

func TestWinogradQ8Pays(t *testing.T) {
	eachGemmI16(t, func(t *testing.T, g *gemmI16) {
		if g.channels == math.MaxInt {
			if WinogradQ8Pays(1<<20, 1<<20, 8, 8) {
				t.Error("tiles pay where they never do")
			}
			return
		}
		for _, h := range allGemmI16() {
			if h != g && *h.use && h.use != &always {
				*h.use = false
				defer func() { *h.use = true }()
			}
		}
		for _, x := range []struct {
			c, o, h, w int
			pays       bool
		}{
			{g.channels, g.channels, 8, 8, true}, {g.channels - 1, 512, 8, 8, false}, {512, g.channels - 1, 8, 8, false},
			{64, 64, 1, 400, false}, {64, 64, 28, 28, true}, {64, 64, 14, 14, true}, {64, 64, 5, 5, false},
			{512, 512, 4, 8, false}, {512, 512, 16, 16, true}, {64, 64, 1 << 10, 1 << 10, true},
		} {
			if WinogradQ8Pays(x.c, x.o, x.h, x.w) != x.pays {
				t.Errorf("%+v: %t", x, !x.pays)
			}
		}
	})
}

func TestWinogradQ8Rejects(t *testing.T) {
	p := PackWinogradQ8(4, 16, make([]int8, 9*4*16))
	_, _, width := p.Part(0)
	temp := make([]int32, WinogradQ8Temp)
	v, m := make([]int16, WinogradQ8Taps*40), make([]int32, WinogradQ8Taps*width)
	var q, other ResultsQ8
	q.Set(p, nil, make([]float32, 16), 0, false)
	for name, call := range map[string]func(){
		"weights":      func() { PackWinogradQ8(4, 16, make([]int8, 9*4*16-1)) },
		"input src":    func() { p.Input(v, 40, 4, make([]uint8, p.InputBytes(24, 4, 1)-1), 24, 4, 1, false, 0, temp) },
		"input dst":    func() { p.Input(v[:len(v)-5], 40, 4, make([]uint8, 6*24+32), 24, 4, 1, false, 0, temp) },
		"input temp":   func() { p.Input(v, 40, 4, make([]uint8, 6*24+32), 24, 4, 1, false, 0, temp[1:]) },
		"multiply src": func() { p.Multiply(0, 1, m, width, v[:35*40+3], 40, 4) },
		"multiply dst": func() { p.Multiply(0, 1, m[1:], width, v, 40, 4) },
		"odd stride":   func() { p.Multiply(0, 1, m, width, v, 40, 5) },
		"output src":   func() { p.Output(0, make([]uint8, 256), 64, 16, m[:35*width+15], width, width, 1, &q, temp) },
		"output dst":   func() { p.Output(0, make([]uint8, 255), 64, 16, m, width, width, 1, &q, temp) },
		"results":      func() { p.Output(0, make([]uint8, 256), 64, 16, m, width, width, 1, &other, temp) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

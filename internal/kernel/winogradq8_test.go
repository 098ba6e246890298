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
	var i winogradInI16
	var o winogradOutQ8
	for name, f := range map[string][2][]uintptr{
		"tileI16": {{
			unsafe.Offsetof(p.a), unsafe.Offsetof(p.b), unsafe.Offsetof(p.c), unsafe.Offsetof(p.k), unsafe.Offsetof(p.rows), unsafe.Offsetof(p.panels),
			unsafe.Offsetof(p.taps), unsafe.Offsetof(p.rs), unsafe.Offsetof(p.cs), unsafe.Offsetof(p.tapA), unsafe.Offsetof(p.tapC),
		}, {0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80}},
		"winogradInI16": {{
			unsafe.Offsetof(i.dst), unsafe.Offsetof(i.src), unsafe.Offsetof(i.temp), unsafe.Offsetof(i.row), unsafe.Offsetof(i.pix),
			unsafe.Offsetof(i.ldf), unsafe.Offsetof(i.lds), unsafe.Offsetof(i.n), unsafe.Offsetof(i.c),
		}, {0, 8, 16, 24, 32, 40, 48, 56, 64}},
		"winogradOutQ8": {{
			unsafe.Offsetof(o.dst), unsafe.Offsetof(o.src), unsafe.Offsetof(o.temp), unsafe.Offsetof(o.bias), unsafe.Offsetof(o.scale), unsafe.Offsetof(o.row),
			unsafe.Offsetof(o.pix), unsafe.Offsetof(o.ldf), unsafe.Offsetof(o.lds), unsafe.Offsetof(o.n), unsafe.Offsetof(o.c), unsafe.Offsetof(o.words),
			unsafe.Offsetof(o.lo), unsafe.Offsetof(o.hi),
		}, {0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 92, 96}},
	} {
		for k, want := range f[1] {
			if f[0][k] != want {
				t.Errorf("field %d of %s is at offset %d, the assembly reads %d", k, name, f[0][k], want)
			}
		}
	}
}

// eachGemmI16 runs f for each kernel of the processor.
func eachGemmI16(t *testing.T, f func(t *testing.T, g *gemmI16)) {
	if len(gemmI16Kernels) == 0 {
		t.Skip("no kernel for this processor")
	}
	for i := range gemmI16Kernels {
		g := &gemmI16Kernels[i]
		t.Run(g.name, func(t *testing.T) {
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
			for k := 1; k < 12; k++ {
				panels, taps, gap := 1+k%3, 1+(k+rows)%4, 2*(rows%3)
				stride, width := 2*k+gap, panels*g.nr
				ldd := rows*width + rows%5
				lds := rows*stride + 2*(k%2)
				a := place(ga, randI16(r, (taps-1)*lds+(rows-1)*stride+2*k), k%2 == 0)
				b := place(gb, randI16(r, taps*panels*2*k*g.nr), k%2 == 1)
				for i := range a { // of two products of the least value the sum is no int32
					a[i] = max(a[i], -math.MaxInt16)
				}
				c := place(gc, randI32(r, (taps-1)*ldd+rows*width), k%2 == 0)
				want := append([]int32(nil), c...)
				x := tileI16{b: &b[0], c: &want[0], a: &a[0], k: k, rows: rows, panels: panels, taps: taps, rs: 2 * stride, cs: 4 * width, tapA: 2 * lds, tapC: 4 * (ldd - width)}
				tileI16Generic(&x, g.nr)
				x.c = &c[0]
				archTileI16(g.id, &x)
				for i, v := range want {
					if c[i] != v {
						t.Fatalf("%d rows, %d pairs, %d panels, %d taps: element %d is %d, want %d", rows, k, panels, taps, i, c[i], v)
					}
				}
			}
		}
	})
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
				src := place(gs, randI16(r, 5*row+(4*n+1)*pix+c+WinogradQ8Slack), c%2 == 0)
				dst := place(gd, randI16(r, (WinogradQ8Taps-1)*ldf+(n-1)*lds+c+WinogradQ8Slack), c%2 == 0)
				want := append([]int16(nil), dst...)
				winogradInputI16Generic(&winogradInI16{dst: &want[0], src: &src[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c})
				p.Input(dst, ldf, lds, src, row, pix, n, temp)
				for f := range WinogradQ8Taps {
					for tile := range n {
						for i := range c {
							if at := f*ldf + tile*lds + i; dst[at] != want[at] {
								t.Fatalf("%s: position %d of tile %d, channel %d is %d, want %d", what, f, tile, i, dst[at], want[at])
							}
						}
					}
				}
				cols := roundUp(c, g.lanes)
				pix, lds = cols+gap, cols+gap
				row, ldf = 4*n*pix+gap, n*lds+gap
				sums := place(gs, randI32(r, (WinogradQ8Taps-1)*ldf+(n-1)*lds+cols), c%2 == 0)
				q := &RequantQ8{Bias: randI32(r, cols), Scale: randF32(uint64(c), cols), Zero: int32(r.IntN(256)), Hi: 255}
				if c%4 == 0 {
					q.Lo, q.Hi = int32(r.IntN(100)), int32(100+r.IntN(155))
				}
				if c%2 == 1 {
					q.Zero, q.Lo, q.Hi = q.Zero-128, q.Lo-128, q.Hi-128
				}
				for j := range q.Scale {
					q.Scale[j] *= float32(math.Ldexp(1, -r.IntN(26)))
					if r.IntN(8) == 0 {
						q.Scale[j] = []float32{nan32, inf32, 0, 1e30}[r.IntN(4)]
					}
				}
				got := place(gd, make([]uint8, 3*row+(4*n-1)*pix+cols), c%2 == 0)
				for i := range got {
					got[i] = 0xa5
				}
				plain := append([]uint8(nil), got...)
				winogradOutputQ8Generic(&winogradOutQ8{
					dst: &plain[0], src: &sums[0], bias: &q.Bias[0], scale: &q.Scale[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: cols,
					words: uint32(q.Zero)&0xffff | uint32(q.Zero)<<16, lo: float32(q.Lo - q.Zero), hi: float32(q.Hi - q.Zero),
				})
				p.Output(got, row, pix, sums, ldf, lds, n, c, q, temp)
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
		if !HasWinogradQ8() {
			t.Skip("no kernel of this tier")
		}
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
				if !WinogradQ8Fits(w, c, o, 255, 255) {
					t.Fatalf("%v variant %d does not fit", s, variant)
				}
				p := PackWinogradQ8(c, o, w)
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
				src := make([]int16, len(raw)+WinogradQ8Slack)
				CentreI16(src[:len(raw)], raw, zero, false)
				row, lds := (4*n+2)*c, c+c%2
				ldf := n*lds + WinogradQ8Slack
				v, temp := make([]int16, WinogradQ8Taps*ldf), make([]int32, WinogradQ8Temp)
				p.Input(v, ldf, lds, src, row, c, n, temp)
				seen := 0
				for part := range p.Parts() {
					first, cols, width := p.Part(part)
					if first != seen || width > WinogradQ8Width(o) {
						t.Fatalf("%v: part %d has columns %d to %d, %d wide", s, part, first, first+cols, width)
					}
					seen += cols
					m := make([]int32, WinogradQ8Taps*n*width)
					p.Multiply(part, n, m, n*width, v, ldf, lds)
					q := &RequantQ8{Bias: randI32(r, width), Scale: make([]float32, width), Zero: 7, Hi: 255}
					for j := range q.Scale {
						q.Scale[j] = float32(math.Ldexp(1+r.Float64(), -14-r.IntN(12)))
						q.Bias[j] >>= 8
					}
					y := make([]uint8, 16*n*width)
					p.Output(y, 4*n*width, width, m, n*width, width, n, cols, q, temp)
					for at := range 16 * n {
						for j := range cols {
							sum := int64(0)
							for i := range c {
								for k := range 9 {
									sum += int64(src[(at/(4*n)+k/3)*row+(at%(4*n)+k%3)*c+i]) * int64(w[((first+j)*c+i)*9+k])
								}
							}
							want := []uint8{0}
							requantU8Generic(want, []int32{int32(sum)}, q.Bias[j:], q.Scale[j:], 7, 0, 255)
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
		if fill(x.n, x.v); WinogradQ8Fits(w, c, 2, x.low, x.high) != x.fits {
			t.Errorf("%+v: %t", x, !x.fits)
		}
	}
	for i := range w { // signs cancel: 900 of each
		w[i] = []int8{127, -127}[i%2]
	}
	if !WinogradQ8Fits(w, c, 2, 0, 255) || WinogradQ8Fits(w, c, 2, 255, 255) {
		t.Error("a bound with the signs of weights is wrong")
	}
	if !WinogradQ8Fits(nil, 114, 1, 255, 255) {
		t.Error("few channels always fit")
	}
}

func TestWinogradQ8Pays(t *testing.T) {
	eachGemmI16(t, func(t *testing.T, g *gemmI16) {
		for i := range gemmI16Kernels {
			if h := &gemmI16Kernels[i]; h != g && *h.use {
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
		} {
			if WinogradQ8Pays(x.c, x.o, x.h, x.w) != x.pays {
				t.Errorf("%+v: %t", x, !x.pays)
			}
		}
	})
}

func TestWinogradQ8Rejects(t *testing.T) {
	if !HasWinogradQ8() {
		t.Skip("no kernel for this processor")
	}
	p := PackWinogradQ8(4, 16, make([]int8, 9*4*16))
	_, _, width := p.Part(0)
	temp := make([]int32, WinogradQ8Temp)
	v, m := make([]int16, WinogradQ8Taps*40), make([]int32, WinogradQ8Taps*width)
	q := &RequantQ8{Bias: make([]int32, 16), Scale: make([]float32, 16), Hi: 255}
	for name, call := range map[string]func(){
		"weights":      func() { PackWinogradQ8(4, 16, make([]int8, 9*4*16-1)) },
		"input src":    func() { p.Input(v, 40, 4, make([]int16, 6*24+28), 24, 4, 1, temp) },
		"input dst":    func() { p.Input(v[:len(v)-5], 40, 4, make([]int16, 6*24+32), 24, 4, 1, temp) },
		"input temp":   func() { p.Input(v, 40, 4, make([]int16, 6*24+32), 24, 4, 1, temp[1:]) },
		"multiply src": func() { p.Multiply(0, 1, m, width, v[:35*40+3], 40, 4) },
		"multiply dst": func() { p.Multiply(0, 1, m[1:], width, v, 40, 4) },
		"odd stride":   func() { p.Multiply(0, 1, m, width, v, 40, 5) },
		"output src":   func() { p.Output(make([]uint8, 256), 64, 16, m[:35*width+15], width, width, 1, 16, q, temp) },
		"output dst":   func() { p.Output(make([]uint8, 255), 64, 16, m, width, width, 1, 16, q, temp) },
		"bias":         func() { p.Output(make([]uint8, 256), 64, 16, m, width, width, 1, 16, &RequantQ8{Scale: q.Scale}, temp) },
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

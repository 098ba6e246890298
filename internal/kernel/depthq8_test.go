package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestDepthQ8Layout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x depthQ8
	got := []uintptr{
		unsafe.Offsetof(x.y), unsafe.Offsetof(x.x), unsafe.Offsetof(x.w), unsafe.Offsetof(x.init), unsafe.Offsetof(x.scale),
		unsafe.Offsetof(x.offs), unsafe.Offsetof(x.taps), unsafe.Offsetof(x.n), unsafe.Offsetof(x.step), unsafe.Offsetof(x.stride),
		unsafe.Offsetof(x.vectors), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi), unsafe.Offsetof(x.words), unsafe.Offsetof(x.flip), unsafe.Offsetof(x.fits), unsafe.Offsetof(x.column),
	}
	for i, want := range []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 92, 96, 100, 104, 112} {
		if got[i] != want {
			t.Errorf("field %d of depthQ8 is at offset %d, the assembly reads %d", i, got[i], want)
		}
	}
}

// TestDepthQ8 compares with sums of products less zero points and a requantisation in float64.
func TestDepthQ8(t *testing.T) {
	ran := false
	gx, gr, gy := newGuard(t, 1<<16), newGuard(t, 1<<14), newGuard(t, 1<<13)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasDepthQ8() {
			t.Skip("no kernel of this tier")
		}
		ran = true
		r := rand.New(rand.NewPCG(3, 4))
		for _, s := range []struct{ n, c, step, taps, groups int }{{4, 16, 1, 1, 1}, {5, 16, 1, 3, 1}, {6, 32, 2, 3, 1}, {7, 48, 1, 2, 2}, {8, 64, 2, 5, 2}, {17, 16, 1, 3, 1}, {30, 16, 3, 1, 1}, {8, 16, 1, 3, 1}, {16, 48, 1, 3, 1}, {15, 32, 1, 3, 1}} {
			for variant := range 8 {
				signed, result, tame := variant&1 == 1, variant&2 == 2, variant&4 == 4
				width := (s.n-1)*s.step + s.taps
				values := width * s.c
				zero, yZero := int32(r.IntN(256)), int32(r.IntN(256))
				if signed {
					zero -= 128
				}
				if result {
					yZero -= 128
				}
				var d DepthQ8
				var taps []DepthTap
				for g := range s.groups {
					for k := range s.taps {
						taps = append(taps, DepthTap{X: (g*width + k) * s.c, W: len(taps) * s.c})
					}
				}
				w, wv, sums := make([]int32, len(taps)*s.c), make([][4]int8, len(taps)*s.c), make([]int32, s.c)
				for i := range w {
					wv[i] = [4]int8{int8(r.Uint32()), int8(r.Uint32()), int8(r.Uint32()), int8(r.Uint32())}
					w[i] = QuadWeights(wv[i][0], wv[i][1], wv[i][2], wv[i][3])
					for _, v := range wv[i] {
						sums[i%s.c] += int32(v)
					}
				}
				bias, scale := make([]int32, s.c), make([]float32, s.c)
				for j := range s.c {
					bias[j] = int32(r.Uint32()) >> r.IntN(28)
					scale[j] = r.Float32() * float32(math.Ldexp(1, -r.IntN(18)))
					if !tame && r.IntN(6) == 0 {
						scale[j] = []float32{0.5, nan32, inf32, 0, 1e30}[r.IntN(5)]
					}
				}
				if variant == 3 {
					bias = nil
				}
				d.Set(sums, zero, signed, bias, scale, yZero, result)
				x := place(gx, make([]int32, s.groups*values), variant%2 == 0)
				raw := make([][4][]uint8, s.groups)
				for g := range raw {
					for k := range 4 {
						raw[g][k] = make([]uint8, values)
						for i := range values {
							raw[g][k][i] = uint8(r.Uint32())
						}
					}
					for i := range values { // all values, some by other means
						v := QuadWeights(int8(raw[g][0][i]), int8(raw[g][1][i]), int8(raw[g][2][i]), int8(raw[g][3][i]))
						if signed {
							v ^= -0x7f7f7f80
						}
						x[g*values+i] = v
					}
					if values >= 64 {
						quads := x[g*values:][:values]
						want := append([]int32(nil), quads...)
						clear(quads)
						last := place(gr, raw[g][3], true)
						d.Quads(quads, &[4][]uint8{raw[g][0], raw[g][1], raw[g][2], last})
						for i, v := range want {
							if quads[i] != v {
								t.Fatalf("%+v, variant %d: quad %d is %#x, want %#x", s, variant, i, quads[i], v)
							}
						}
					}
				}
				border := []int32{1, 2}
				d.Border(border, zero)
				if v := uint32(uint8(zero)); signed && border[1] != int32((v^0x80)*0x01010101) || !signed && border[0] != int32(v*0x01010101) {
					t.Fatalf("border of %d is %#x", zero, border[0])
				}
				stride := s.c + 16*(variant%2)
				y := place(gy, make([]uint8, (s.n-1)*stride+s.c), variant%2 == 0)
				for i := range y {
					y[i] = 0xa5
				}
				d.Run(y, stride, x, s.step*s.c, s.n, w, taps)
				for i, got := range y {
					p, j := i/stride, i%stride
					want := uint8(0xa5)
					if j < s.c {
						sum := int32(0)
						if bias != nil {
							sum = bias[j]
						}
						for k, tap := range taps {
							g := k / s.taps
							at := p*s.step*s.c + tap.X - g*values + j
							for b := range 4 {
								v := int32(raw[g][b][at])
								if signed {
									v = int32(int8(raw[g][b][at]))
								}
								sum += (v - zero) * int32(wv[tap.W+j][b])
							}
						}
						lo, hi := int32(0), int32(255)
						if result {
							lo, hi = -128, 127
						}
						want = uint8(requantScalar(sum, scale[j], yZero, lo, hi))
					}
					if got != want {
						t.Fatalf("%+v, variant %d: position %d, channel %d is %d, want %d", s, variant, p, j, got, want)
					}
				}
			}
		}
	})
	if useDepthQ8 := HasDepthQ8(); useDepthQ8 && !ran {
		t.Error("the kernel was not tested")
	}
}

// BenchmarkDepthQ8 computes rows of 3×3 convolutions, whose words and results stay in the first-level cache.
func BenchmarkDepthQ8(b *testing.B) {
	const n, c = 64, 64
	impl.All(b, "kernel/i8", func(b *testing.B) {
		if !HasDepthQ8() {
			b.Skip("no kernel of this tier")
		}
		var d DepthQ8
		scale := make([]float32, c)
		for j := range scale {
			scale[j] = 0.001
		}
		d.Set(make([]int32, c), 128, false, nil, scale, 128, false)
		w, y := make([]int32, 3*c), make([]uint8, n*c)
		for _, step := range []int{1, 2} {
			x := make([]int32, ((n-1)*step+3)*c)
			taps := []DepthTap{{0, 0}, {c, c}, {2 * c, 2 * c}}
			b.Run(fmt.Sprintf("stride%d", step), func(b *testing.B) {
				for b.Loop() {
					d.Run(y, c, x, step*c, n, w, taps)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*c/64), "ns/64")
			})
		}
		raw, x := make([]uint8, n*c), make([]int32, n*c)
		b.Run("quads", func(b *testing.B) {
			for b.Loop() {
				d.Quads(x, &[4][]uint8{raw, raw, raw, raw})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*c/64), "ns/64")
		})
	})
}

// TestDepthPairsQ8 compares with DepthI16 and a requantisation in float64.
func TestDepthPairsQ8(t *testing.T) {
	gx, gy, gw := newGuard(t, 1<<15), newGuard(t, 1<<13), newGuard(t, 1<<13)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasDepthPairsQ8() {
			t.Skip("no kernel of this tier")
		}
		r := rand.New(rand.NewPCG(7, 8))
		for n := 4; n < 14; n++ {
			for variant := range 16 {
				result, tame, step, last := variant&1 == 1, variant&2 == 2, 1+variant>>2&1, variant&8 == 8
				c, taps := 8*(1+r.IntN(4)), make([]DepthTap, 1+r.IntN(6))
				at := r.Perm(8)
				for k := range taps {
					taps[k] = DepthTap{X: at[k] * c, W: k * c}
				}
				x := place(gx, make([]int32, ((n-1)*step+8)*c), last)
				w := place(gw, make([]int32, len(taps)*c), last)
				for i := range x {
					x[i] = pairI16(int32(r.IntN(511)-255), int32(r.IntN(511)-255))
				}
				for i := range w {
					w[i] = PairWeights(int8(r.Uint32()), int8(r.Uint32()))
				}
				bias, scale := make([]int32, c), make([]float32, c)
				for j := range c {
					bias[j] = int32(r.Uint32()) >> (8 + r.IntN(20))
					scale[j] = r.Float32() * float32(math.Ldexp(1, -r.IntN(18)))
					if !tame && r.IntN(6) == 0 {
						scale[j] = []float32{0.5, nan32, inf32, 0, 1e30}[r.IntN(5)]
					}
				}
				zero, lo, hi := int32(r.IntN(256)), int32(0), int32(255)
				if result {
					zero, lo, hi = zero-128, -128, 127
				}
				var d DepthQ8
				d.Set(make([]int32, c), 0, false, bias, scale, zero, result)
				stride := c + 8*(variant%3)
				y := place(gy, make([]uint8, (n-1)*stride+c), last)
				want := make([]uint8, len(y))
				for i := range y {
					y[i], want[i] = 0xa5, 0xa5
				}
				sums := make([]int32, n*c)
				DepthI16(sums, c, x, step*c, n, c, w, taps, bias)
				for i, s := range sums {
					want[i/c*stride+i%c] = uint8(requantScalar(s, scale[i%c], zero, lo, hi))
				}
				d.RunPairs(y, stride, x, step*c, n, w, taps)
				for i, got := range y {
					if got != want[i] {
						t.Fatalf("%d positions, %d channels, %d taps, variant %d: byte %d is %d, want %d", n, c, len(taps), variant, i, got, want[i])
					}
				}
			}
		}
	})
}

package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestTileQ8Layout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x tileQ8
	got := []uintptr{
		unsafe.Offsetof(x.a), unsafe.Offsetof(x.b), unsafe.Offsetof(x.dst), unsafe.Offsetof(x.init), unsafe.Offsetof(x.scale),
		unsafe.Offsetof(x.k), unsafe.Offsetof(x.segs), unsafe.Offsetof(x.skip), unsafe.Offsetof(x.rows), unsafe.Offsetof(x.panels),
		unsafe.Offsetof(x.rs), unsafe.Offsetof(x.ds), unsafe.Offsetof(x.zero), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi), unsafe.Offsetof(x.half),
		unsafe.Offsetof(x.cols), unsafe.Offsetof(x.nan), unsafe.Offsetof(x.low),
		unsafe.Offsetof(x.fits), unsafe.Offsetof(x.words), unsafe.Offsetof(x.flip), unsafe.Offsetof(x.column), unsafe.Offsetof(x.a2), unsafe.Offsetof(x.dst2),
		unsafe.Offsetof(x.fetch), unsafe.Offsetof(x.fetchEnd), unsafe.Offsetof(x.then), unsafe.Offsetof(x.thenEnd),
		unsafe.Offsetof(x.chain), unsafe.Offsetof(x.prev2), unsafe.Offsetof(x.pair),
	}
	for i, want := range []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 100, 104, 112, 120, 128, 136, 144, 152, 156, 160, 168, 176, 184, 192, 200, 208, 216, 224, 232} {
		if got[i] != want {
			t.Errorf("field %d of tileQ8 is at offset %d, the assembly reads %d", i, got[i], want)
		}
	}
}

// TestPackedQ8 compares products of overlapping windows with sums in int64 and a requantisation in float64.
func TestPackedQ8(t *testing.T) {
	type shape struct{ m, segs, segK, n, stride, segStride int }
	shapes := []shape{{1, 1, 784, 64, 784, 0}, {3, 1, 1, 1, 1, 0}, {13, 3, 3, 33, 2, 30}, {20, 2, 8, 128, 4, 40}, {9, 4, 12, 17, 6, 50}, {30, 1, 256, 48, 260, 0}, {70, 2, 5, 20, 3, 300}}
	for m := range 30 {
		shapes = append(shapes, shape{m, 1, 11, 35, 12, 0}, shape{m, 3, 6, 64, 7, 300})
	}
	for m := 4; m < 17; m++ { // chains of panels
		shapes = append(shapes, shape{m, 1, 64, 160, 64, 0}, shape{m, 3, 17 + m, 130, 20, 300}, shape{m, 2, 32, 128, 32, 900})
	}
	for m := range 20 {
		shapes = append(shapes, shape{m, 2, 40, 12, 33, 700}, shape{m, 3, 16, 7, 18, 400}, shape{m, 1, 70, 4, 70, 0})
	}
	for n := 1; n < 70; n++ {
		if n < 14 {
			shapes = append(shapes, shape{11, 2, 64, n, 32, 500})
		}
		shapes = append(shapes, shape{3, 1, 6, n, 6, 0}, shape{17, 2, 9, n, 9, 200})
	}
	for k := 1; k < 24; k++ {
		shapes = append(shapes, shape{2, 1, k, 16, k, 0}, shape{7, 2, k, 32, k, 7 * k})
	}
	if testing.Short() {
		// Emulated processors take minutes for all.
		some := shapes[:7:7]
		for i := 7; i < len(shapes); i += 11 {
			some = append(some, shapes[i])
		}
		shapes = some
	}
	gd, ga := newGuard(t, 1<<16), newGuard(t, 1<<16)
	names := map[string]bool{}
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasQ8() {
			t.Skip("no kernel of this tier")
		}
		r := rand.New(rand.NewPCG(7, 8))
		for _, s := range shapes {
			for variant := range 8 {
				signed, result, small, biased := variant&1 == 1, variant&2 == 2, variant&4 == 4, variant%3 != 0
				k := s.segs * s.segK
				b := randI8(uint64(variant), k*s.n)
				if small {
					for i := range b {
						b[i] /= 2 // pairs of products fit in 16 bits
					}
				}
				p := PackQ8(s.segs, s.segK, s.n, b, s.n, false)
				names[p.Kernel()] = true
				if variant >= 6 {
					bt := make([]int8, len(b))
					for i := range b {
						bt[i%s.n*k+i/s.n] = b[i]
					}
					p = PackQ8(s.segs, s.segK, s.n, bt, k, true)
				}
				values := max(0, s.m-1)*s.stride + (s.segs-1)*s.segStride + s.segK
				raw := make([]uint8, values)
				for i := range raw {
					raw[i] = uint8(r.Uint32())
				}
				if variant == 0 || variant == 1 { // extremes
					for i := range raw {
						raw[i] = []uint8{255, 128}[variant]
					}
				}
				aZero := []int32{0, 128, 3, 255}[r.IntN(4)]
				if signed {
					aZero -= 128
				}
				size := p.ValueBytes()
				// Slack is readable, nothing after it is.
				a := place(ga, make([]byte, values*size+SlackQ8), true)
				for i := range a {
					a[i] = 0x5a
				}
				p.Convert(a[:values*size], raw, signed, aZero)
				if p.InPlace(signed) {
					a = place(ga, raw, variant%2 == 0)
				}
				bias, scale := make([]int32, s.n), make([]float32, s.n)
				tame := r.IntN(2) == 0 // bounds are those of the type and all factors below 1
				for j := range s.n {
					bias[j] = int32(r.Uint32()) >> (12 + r.IntN(16))
					scale[j] = r.Float32() * float32(math.Ldexp(1, -r.IntN(18)))
					if tame && r.IntN(6) == 0 {
						bias[j], scale[j] = int32(r.Uint32())|1<<30, math.Nextafter32(1, 0)
					}
					if !tame && r.IntN(6) == 0 {
						scale[j] = []float32{0.5, nan32, inf32, 0, 1e30}[r.IntN(5)]
					}
				}
				if !biased {
					bias = nil
				}
				zero, lo, hi := int32(r.IntN(256)), int32(r.IntN(100)), int32(150+r.IntN(106))
				if tame {
					lo, hi = 0, 255
				}
				if r.IntN(3) == 0 {
					zero = 0
				}
				if result {
					zero, lo, hi = zero-128, lo-128, hi-128
				}
				c := p.Columns(aZero, signed, bias, scale, zero, lo, hi, result)
				ldd := s.n + variant%2
				dst := place(gd, make([]uint8, max(0, (s.m-1)*ldd+s.n)), variant%2 == 0)
				for i := range dst {
					dst[i] = 0xa5
				}
				half := p.Panels() / 2
				var f Fetch
				f.AddF32(make([]float32, 40*variant))
				p.RunFetching(s.m, a, s.stride, s.segStride, c, 0, half, dst, ldd, &f)
				if s.m > 0 {
					p.Run(s.m, a, s.stride, s.segStride, c, half, p.Panels(), dst[half*p.NR:], ldd)
				}
				for i, got := range dst {
					row, j := i/ldd, i%ldd
					want := uint8(0xa5)
					if j < s.n {
						sum := int32(0)
						for q := range k {
							x := int32(raw[row*s.stride+q/s.segK*s.segStride+q%s.segK])
							if signed {
								x = int32(int8(x))
							}
							sum += (x - aZero) * int32(b[q*s.n+j])
						}
						if bias != nil {
							sum += bias[j]
						}
						want = uint8(requantScalar(sum, scale[j], zero, lo, hi))
					}
					if got != want {
						t.Fatalf("%s, variant %d, %+v: row %d, column %d is %d, want %d", p.Kernel(), variant, s, row, j, got, want)
					}
				}
			}
		}
	})
	for i := range gemmQ8Kernels {
		if g := &gemmQ8Kernels[i]; *g.use && !names[g.name] {
			t.Errorf("%s was not tested", g.name)
		}
	}
}

// TestPackedQ8Lines compares lines that overlap, in any order, with the same lines one by one.
func TestPackedQ8Lines(t *testing.T) {
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasQ8() {
			t.Skip("no kernel of this tier")
		}
		r := rand.New(rand.NewPCG(3, 4))
		for i := range 150 {
			m, count, segs, segK, n := 1+r.IntN(20), r.IntN(8), 1+r.IntN(3), 1+r.IntN(60), 1+r.IntN(100)
			if i%10 == 0 {
				segK, n = 700, 40 // panels larger than what is multiplied at a time
			}
			p := PackQ8(segs, segK, n, randI8(uint64(i), segs*segK*n), n, false)
			stride, segStride, ldd := 1+r.IntN(80), r.IntN(300), n+r.IntN(9)
			room := 500
			raw := make([]uint8, room+(m-1)*stride+(segs-1)*segStride+segK)
			for k := range raw {
				raw[k] = uint8(r.Uint32())
			}
			a := make([]byte, len(raw)*p.ValueBytes()+SlackQ8)
			p.Convert(a[:len(raw)*p.ValueBytes()], raw, false, 9)
			c := p.Columns(9, false, nil, []float32{0.002}, 100, 0, 255, false)
			half := p.Panels() / 2
			lines := make([]LineQ8, count)
			got, want := make([]uint8, count*m*ldd), make([]uint8, count*m*ldd)
			for k, place := range r.Perm(count) {
				lines[k] = LineQ8{A: r.IntN(room + 1), Dst: place * m * ldd}
				p.Run(m, a[lines[k].A*p.ValueBytes():], stride, segStride, c, 0, p.Panels(), want[lines[k].Dst:], ldd)
			}
			p.RunLines(lines, m, a, stride, segStride, c, 0, half, got, ldd)
			// Of the last line, no byte may lie behind its columns.
			p.RunLines(lines, m, a, stride, segStride, c, half, p.Panels(), got[min(len(got), half*p.NR):], ldd)
			for k := range got {
				if got[k] != want[k] {
					t.Fatalf("%s, %d lines of %d×%d·%d×%d: byte %d is %d, want %d", p.Kernel(), count, m, segs, segK, n, k, got[k], want[k])
				}
			}
		}
	})
}

// requantScalar is the formula of RequantU8 with exact intermediate values.
func requantScalar(sum int32, scale float32, zero, lo, hi int32) int32 {
	v := math.RoundToEven(float64(float32(float64(float32(sum)) * float64(scale))))
	if !(v+float64(zero) > float64(lo)) {
		return lo
	}
	return int32(math.Min(v+float64(zero), float64(hi)))
}

func TestPairsFit(t *testing.T) {
	for _, c := range []struct {
		b    []int8
		segK int
		want bool
	}{
		{[]int8{64, 64, 127, 1}, 4, true},
		{[]int8{64, 65, 0, 0}, 4, false},
		{[]int8{0, 127, 127, 0}, 4, true}, // neighbours of different pairs
		{[]int8{-64, -64, 127, -128}, 4, true},
		{[]int8{-64, -65, 0, 0}, 4, false},
		{[]int8{0, 0, 127, 127}, 4, false},
		{[]int8{0, 0, 127, 127, 0, 0}, 3, true}, // of different segments
	} {
		if got := pairsFit(len(c.b)/c.segK, c.segK, 1, c.b, 1, 1); got != c.want {
			t.Errorf("pairsFit(%v in segments of %d) = %v, want %v", c.b, c.segK, got, c.want)
		}
	}
}

// TestFetch wants memory to be fetched in the order in which it was added, and no more than a few lines behind its end.
func TestFetch(t *testing.T) {
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasQ8() {
			t.Skip("no kernel of this tier")
		}
		const m, k, n = 14, 256, 32
		p := PackQ8(1, k, n, randI8(3, k*n), n, false)
		if p.Kernel() != "vnni-14x32" {
			t.Skip("the kernel does not fetch")
		}
		c := p.Columns(0, false, nil, []float32{0.001}, 0, 0, 255, false)
		a, dst := make([]byte, m*k), make([]uint8, m*n)
		var f Fetch
		f.AddF32(make([]float32, 200*16))
		f.AddF32(nil)
		f.AddF32(make([]float32, 16))
		f.AddF32(make([]float32, 1000)) // has no room
		begin := f.parts
		// Sixteen times four steps of a panel fetch eight lines each; of the second part there is one.
		for i, want := range [][2]uintptr{{128, 0}, {200, 8}, {200, 8}} {
			p.RunFetching(m, a, k, 0, c, 0, 1, dst, n, &f)
			for j := range want {
				if got := (f.parts[j][0] - begin[j][0]) / 64; got != want[j] {
					t.Errorf("%d lines of part %d fetched after product %d, want %d", got, j, i, want[j])
				}
			}
		}
		if f.Clear(); f.n != 0 || f.at != 0 {
			t.Error("not cleared")
		}
	})
}

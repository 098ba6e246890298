package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestPixelsQ8Layout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x pixelsQ8
	got := []uintptr{
		unsafe.Offsetof(x.x), unsafe.Offsetof(x.dst), unsafe.Offsetof(x.plane), unsafe.Offsetof(x.offs), unsafe.Offsetof(x.w), unsafe.Offsetof(x.steps),
		unsafe.Offsetof(x.init), unsafe.Offsetof(x.scale), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi), unsafe.Offsetof(x.words), unsafe.Offsetof(x.flip), unsafe.Offsetof(x.fits),
	}
	for i, want := range []uintptr{0, 32, 64, 72, 80, 88, 96, 104, 112, 116, 120, 124, 128} {
		if got[i] != want {
			t.Errorf("field %d of pixelsQ8 is at offset %d, the assembly reads %d", i, got[i], want)
		}
	}
}

// TestPixelsQ8 compares products of sixteen positions with sums in int64 and a requantisation in float64.
func TestPixelsQ8(t *testing.T) {
	gx, gd := newGuard(t, 1<<16), newGuard(t, 1<<16)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasPixelsQ8(1) {
			t.Skip("no kernel of this tier")
		}
		r := rand.New(rand.NewPCG(11, 12))
		for i := range 400 {
			n, steps, count := 1+i%4, 1+r.IntN(40), r.IntN(10)
			signed, result, tame := r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
			k := 4 * steps
			b := randI8(uint64(i), k*n)
			p := PackPixelsQ8(k, n, b, n)
			offs := make([]int, steps)
			for j := range offs {
				offs[j] = r.IntN(500)
			}
			x := place(gx, make([]int32, slices.Max(offs)+16+100), true)
			for j := range x {
				x[j] = int32(r.Uint32())
				if i < 8 { // extremes
					x[j] = -1
				}
			}
			aZero, zero, lo, hi := int32(r.IntN(256)), int32(r.IntN(256)), int32(r.IntN(100)), int32(150+r.IntN(106))
			if tame {
				lo, hi = 0, 255
			}
			if signed {
				aZero -= 128
			}
			if result {
				zero, lo, hi = zero-128, lo-128, hi-128
			}
			bias, scale := make([]int32, n), make([]float32, n)
			for j := range n {
				bias[j] = int32(r.Uint32()) >> (12 + r.IntN(16))
				scale[j] = r.Float32() * float32(math.Ldexp(1, -r.IntN(18)))
				if !tame && r.IntN(4) == 0 {
					scale[j] = []float32{nan32, inf32, 0, 1e30}[r.IntN(4)]
				}
			}
			c := p.Columns(aZero, signed, bias, scale, zero, lo, hi, result)
			plane := 16*count + r.IntN(20)
			dst := place(gd, make([]uint8, (n-1)*plane+16*count), true)
			for j := range dst {
				dst[j] = 0xa5
			}
			lines := make([]LineQ8, count)
			for j, at := range r.Perm(count) {
				lines[j] = LineQ8{A: r.IntN(101), Dst: 16 * at}
			}
			p.RunPixels(lines, x, NewPixelSteps(offs), c, dst, plane)
			want := slices.Repeat([]uint8{0xa5}, len(dst))
			for _, l := range lines {
				for v := range 16 {
					for j := range n {
						sum := bias[j]
						for q := range k {
							// Words hold unsigned values, or signed ones whose top bits are inverted.
							a := int32(uint8(x[l.A+offs[q/4]+v] >> (q % 4 * 8)))
							if signed {
								a -= 128
							}
							sum += (a - aZero) * int32(b[q*n+j])
						}
						want[l.Dst+j*plane+v] = uint8(requantScalar(sum, scale[j], zero, lo, hi))
					}
				}
			}
			if !slices.Equal(dst, want) {
				t.Fatalf("case %d, %d columns, %d steps, %d lines: %v, want %v", i, n, steps, count, dst, want)
			}
		}
	})
}

func TestInterleaver8(t *testing.T) {
	gd, gs := newGuard(t, 1<<14), newGuard(t, 1<<14)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for n := 1; n <= 16; n++ {
			v := NewInterleaver8(n)
			for _, count := range []int{0, 1, 5, 14, 16, 31, 32, 33, 63, 64, 65, 128, 200} {
				for _, slack := range []int{0, 63} {
					plane := count + r.IntN(70)
					src := place(gs, make([]uint8, (n-1)*plane+count+slack), true)
					for i := range src {
						src[i] = uint8(r.Uint32())
					}
					dst := place(gd, make([]uint8, n*count), true)
					v.Run(dst, src, plane, count)
					for i, b := range dst {
						if want := src[i%n*plane+i/n]; b != want {
							t.Fatalf("%d planes of %d bytes: byte %d is %d, want %d", n, count, i, b, want)
						}
					}
				}
			}
		}
	})
}

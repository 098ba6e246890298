package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func randI8(seed uint64, n int) []int8 {
	r := rand.New(rand.NewPCG(seed, 2))
	s := make([]int8, n)
	for i := range s {
		switch s[i] = int8(r.Uint32()); r.IntN(8) {
		case 0:
			s[i] = -128
		case 1:
			s[i] = 127
		}
	}
	return s
}

func TestGemmI8(t *testing.T) {
	gc, ga := newGuard(t, 1<<18), newGuard(t, 1<<18)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		shapes := [][3]int{{1, 1, 1}, {1, 20, 400}, {3, 17, 9}, {5, 33, 64}, {16, 40, 301}, {70, 48, 784}, {2, 9, 0}, {200, 5, 1000}, {1, 3, 40000}, {3, 3, 70000}}
		for rows := range 32 {
			shapes = append(shapes, [3]int{rows, 35, 11})
		}
		for cols := range 70 {
			shapes = append(shapes, [3]int{3, cols, 6}, [3]int{1, cols, 19}, [3]int{17, cols, 8})
		}
		for k := range 20 {
			shapes = append(shapes, [3]int{2, 3, k})
		}
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			for variant := range 8 {
				transB, acc, signed := variant&1 == 1, variant&2 == 2, variant&4 == 4
				lda, ldb, ldc := k+variant%3, n+variant, n+variant%2
				if transB {
					ldb = k + variant
				}
				a := place(ga, randI8(1, max(0, (m-1)*lda+k)), variant%2 == 0)
				ua := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(a))), len(a))
				lenB := (k-1)*ldb + n
				if transB {
					lenB = (n-1)*ldb + k
				}
				b := randI8(2, max(0, lenB))
				if variant == 3 || variant == 7 { // the largest sums that pairs and quads can have
					for i := range a {
						a[i] = -128
						if !signed {
							a[i] = -1
						}
					}
					for i := range b {
						b[i] = -128
					}
				}
				c := place(gc, make([]int32, max(0, (m-1)*ldc+n)), variant%2 == 0)
				for i := range c {
					c[i] = int32(i * 7)
				}
				aZero := []int32{0, 128, 3, 255}[variant%4]
				if signed {
					aZero = []int32{0, -128, 3, 127}[variant%4]
				}
				p := PackI8(k, n, b, ldb, transB)
				half := p.Panels() / 2
				for _, r := range [][2]int{{0, half}, {half, p.Panels()}} {
					if signed {
						GemmS8(m, a, lda, int8(aZero), p, r[0], r[1], c, ldc, acc)
					} else {
						GemmU8(m, ua, lda, uint8(aZero), p, r[0], r[1], c, ldc, acc)
					}
				}
				for i, got := range c {
					r, j := i/max(ldc, 1), i%max(ldc, 1)
					want := int32(i * 7)
					if j < n {
						if !acc {
							want = 0
						}
						for q := range k {
							x, at := int32(ua[r*lda+q]), q*ldb+j
							if signed {
								x = int32(a[r*lda+q])
							}
							if transB {
								at = j*ldb + q
							}
							want += (x - aZero) * int32(b[at])
						}
					}
					if got != want {
						t.Fatalf("m=%d n=%d k=%d transB=%v acc=%v signed=%v zero=%d: c[%d][%d] = %d, want %d", m, n, k, transB, acc, signed, aZero, r, j, got, want)
					}
				}
			}
		}
	})
}

func TestRequant(t *testing.T) {
	gd, ga, gb, gm := newGuard(t, 4096), newGuard(t, 4096), newGuard(t, 4096), newGuard(t, 4096)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 100 {
			for variant := range 8 {
				acc, mult, bias := make([]int32, n), make([]float32, n), make([]int32, n)
				for i := range n {
					acc[i] = int32(r.Uint32()) >> r.IntN(32)
					mult[i] = r.Float32() * float32(math.Ldexp(1, -r.IntN(24)))
					bias[i] = int32(r.Uint32()) >> (8 + r.IntN(20))
					switch r.IntN(8) {
					case 0: // exact ties
						acc[i], mult[i], bias[i] = int32(r.IntN(600)-300), 0.5, 0
					case 1:
						acc[i] = []int32{math.MinInt32, math.MaxInt32, 16777217, -16777219}[r.IntN(4)]
						mult[i] = []float32{1e30, inf32, 0, nan32}[r.IntN(4)]
					}
				}
				atEnd, signed := variant&1 == 1, variant&2 == 2
				acc, mult = place(ga, acc, atEnd), place(gm, mult, atEnd)
				if bias = place(gb, bias, atEnd); variant&4 == 4 {
					bias = nil
				}
				zp, lo, hi := int32(r.IntN(256)), int32(r.IntN(100)), int32(150+r.IntN(106))
				dst := place(gd, make([]uint8, n), atEnd)
				if signed {
					zp, lo, hi = zp-128, lo-128, hi-128
					RequantI8(1, n, unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(dst))), n), n, acc, n, bias, mult, zp, lo, hi)
				} else {
					RequantU8(1, n, dst, n, acc, n, bias, mult, zp, lo, hi)
				}
				for i, got := range dst {
					s := acc[i]
					if bias != nil {
						s += bias[i]
					}
					// Float64 holds the float32 values exactly; one rounding to float32 is the product's.
					v := math.RoundToEven(float64(float32(float64(float32(s)) * float64(mult[i]))))
					want := lo
					if v+float64(zp) > float64(lo) {
						want = int32(min(v+float64(zp), float64(hi)))
					}
					if got != uint8(want) {
						t.Fatalf("n=%d signed=%v: requant(%d * %v) + %d in [%d,%d] = %d, want %d", n, signed, s, mult[i], zp, lo, hi, got, uint8(want))
					}
				}
			}
		}
	})
}

func TestI8Allocations(t *testing.T) {
	a, b, c := make([]uint8, 64*64), make([]int8, 64*64), make([]int32, 64*64)
	p := PackI8(64, 64, b, 64, false)
	if n := testing.AllocsPerRun(50, func() { GemmU8(64, a, 64, 3, p, 0, p.Panels(), c, 64, false) }); n >= 1 {
		t.Errorf("GemmU8 allocates %v times per call", n)
	}
}

func BenchmarkGemmI8(b *testing.B) {
	impl.All(b, "kernel/i8", func(b *testing.B) {
		for _, s := range [][3]int{{1, 400, 784}, {16, 400, 784}, {256, 400, 784}} {
			m, n, k := s[0], s[1], s[2]
			x, c := make([]uint8, m*k), make([]int32, m*n)
			p := PackI8(k, n, randI8(1, k*n), n, false)
			b.Run(fmt.Sprintf("%s/%dx%dx%d", bestGemmI8().name, m, n, k), func(b *testing.B) {
				for b.Loop() {
					GemmU8(m, x, k, 3, p, 0, p.Panels(), c, n, false)
				}
				b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GOP/s")
			})
		}
	})
}

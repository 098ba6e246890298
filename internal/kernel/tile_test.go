package kernel

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestTileI8Layout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x tileI8
	for i, got := range []uintptr{
		unsafe.Offsetof(x.a), unsafe.Offsetof(x.b), unsafe.Offsetof(x.c), unsafe.Offsetof(x.init), unsafe.Offsetof(x.k), unsafe.Offsetof(x.rows),
		unsafe.Offsetof(x.cols), unsafe.Offsetof(x.rs), unsafe.Offsetof(x.cs), unsafe.Offsetof(x.acc), unsafe.Offsetof(x.low),
	} {
		if want := uintptr(8 * i); got != want {
			t.Errorf("field %d of tileI8 is at offset %d, the assembly reads %d", i, got, want)
		}
	}
}

// TestGemmF32GuardPages multiplies matrices that end, or begin, where memory does.
func TestGemmF32GuardPages(t *testing.T) {
	ga, gb, gc, gbias := newGuard(t, 1<<16), newGuard(t, 1<<16), newGuard(t, 1<<16), newGuard(t, 4096)
	impl.All(t, "kernel", func(t *testing.T) {
		for _, m := range []int{1, 2, 3, 5, 8, 15} {
			for n := 1; n <= 50; n += 1 + n/20 {
				for _, k := range []int{1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31} {
					for variant := range 8 {
						transA, transB, atEnd := variant&1 == 1, variant&2 == 2, variant&4 == 4
						lda, ldb := k, n
						if transA {
							lda = m
						}
						if transB {
							ldb = k
						}
						a, b := place(ga, randF32(1, m*k), atEnd), place(gb, randF32(2, k*n), atEnd)
						c, bias := place(gc, make([]float32, m*n), atEnd), place(gbias, randF32(3, n), atEnd)
						what := fmt.Sprintf("m=%d n=%d k=%d transA=%v transB=%v", m, n, k, transA, transB)
						GemmF32(transA, transB, m, n, k, 1, a, lda, b, ldb, 0, c, n)
						want, mag := refGemm(transA, transB, m, n, k, 1, a, lda, b, ldb, 0, nil, n)
						compareGemm(t, what, m, n, k, c, n, nil, want, mag)
						if transA {
							continue
						}
						p := PackF32(k, n, b, ldb, transB)
						GemmPackedF32(m, a, lda, p, 0, p.Panels(), c, n, true, &Epilogue{Bias: bias, Act: ActNone})
						for i := range want {
							want[i] = 2*want[i] + float64(bias[i%n])
							mag[i] = 2*mag[i] + 2
						}
						compareGemm(t, "packed "+what, m, n, k+2, c, n, nil, want, mag)
					}
				}
			}
		}
	})
}

// TestGemmI8WithoutLowest covers the weights for which pairs of products fit in 16 bits.
func TestGemmI8WithoutLowest(t *testing.T) {
	impl.All(t, "kernel/i8", func(t *testing.T) {
		for _, s := range [][3]int{{1, 5, 16}, {1, 37, 784}, {2, 12, 100}, {3, 30, 64}, {4, 16, 129}, {9, 25, 400}} {
			m, n, k := s[0], s[1], s[2]
			for _, extreme := range []bool{false, true} {
				a, b := randI8(1, m*k), randI8(2, k*n)
				for i, v := range b {
					b[i] = max(v, -127)
					if extreme {
						a[i%len(a)], b[i] = -128, -127
					}
				}
				c := make([]int32, m*n)
				p := PackI8(k, n, b, n, false)
				GemmS8(m, a, k, 0, p, 0, p.Panels(), c, n, false)
				for i, got := range c {
					want := int32(0)
					for q := range k {
						want += int32(a[i/n*k+q]) * int32(b[q*n+i%n])
					}
					if got != want {
						t.Fatalf("m=%d n=%d k=%d extreme=%v: c[%d][%d] = %d, want %d", m, n, k, extreme, i/n, i%n, got, want)
					}
				}
			}
		}
	})
}

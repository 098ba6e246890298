package kernel

import (
	"fmt"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

func TestShuffles(t *testing.T) {
	ga, gb, gd := newGuard(t, 1<<12), newGuard(t, 1<<12), newGuard(t, 1<<13)
	impl.All(t, "kernel", func(t *testing.T) {
		for n := range 3*maxLanes + 2 {
			for _, atEnd := range []bool{false, true} {
				a, b := place(ga, mixed(1, n), atEnd), place(gb, mixed(2, n), atEnd)
				d := place(gd, make([]float32, 2*n), atEnd)
				InterleaveF32(d, a, b)
				for i := range n {
					if !sameF32(d[2*i], a[i]) || !sameF32(d[2*i+1], b[i]) {
						t.Fatalf("interleave: pair %d of %d is %v, want %v %v", i, n, d[2*i:2*i+2], a[i], b[i])
					}
				}
				if n == 0 {
					continue
				}
				src := place(gd, mixed(3, 2*n-1), atEnd)
				EvenF32(a, src)
				for i, v := range a {
					if !sameF32(v, src[2*i]) {
						t.Fatalf("even: element %d of %d is %v, want %v", i, n, v, src[2*i])
					}
				}
			}
		}
	})
}

func TestTranspose(t *testing.T) {
	gs, gd := newGuard(t, 1<<16), newGuard(t, 1<<16)
	impl.All(t, "kernel", func(t *testing.T) {
		for _, rows := range []int{1, 2, 3, 4, 7, 8, 9, 16, 31, 33, 70} {
			for _, cols := range []int{1, 2, 3, 4, 7, 8, 9, 16, 31, 33, 70} {
				for _, more := range []int{0, 5} {
					lds, ldd := cols+more, rows+more
					src := mixed(uint64(rows), (rows-1)*lds+cols)
					for _, atEnd := range []bool{false, true} {
						s, d := place(gs, src, atEnd), place(gd, make([]float32, (cols-1)*ldd+rows), atEnd)
						TransposeF32(d, ldd, s, lds, rows, cols)
						for k, v := range d {
							want := float32(0)
							if i, j := k%ldd, k/ldd; i < rows {
								want = src[i*lds+j]
							}
							if !sameF32(v, want) {
								t.Fatalf("%d×%d, lds %d, ldd %d: element %d is %v, want %v", rows, cols, lds, ldd, k, v, want)
							}
						}
					}
				}
			}
		}
	})
}

func BenchmarkTranspose(b *testing.B) {
	for _, s := range [][2]int{{64, 4096}, {4096, 64}, {3, 65536}, {65536, 3}, {1024, 1024}, {784, 400}, {32, 784}, {20, 400}} {
		src, dst := randF32(1, s[0]*s[1]), make([]float32, s[0]*s[1])
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			b.SetBytes(int64(8 * len(src)))
			for b.Loop() {
				TransposeF32(dst, s[0], src, s[1], s[0], s[1])
			}
		})
	}
}

package kernel

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

func randU8(n int) []uint8 {
	r, x := rand.New(rand.NewPCG(uint64(n), 9)), make([]uint8, n)
	for i := range x {
		x[i] = uint8(r.Uint32())
	}
	return x
}

func TestFillU8(t *testing.T) {
	for n := range 300 {
		for _, v := range []uint8{0, 0x5a} {
			b := make([]uint8, n+2)
			for i := range b {
				b[i] = 0xa5
			}
			FillU8(b[1:n+1], v)
			for i, got := range b {
				want := v
				if i == 0 || i == n+1 {
					want = 0xa5
				}
				if got != want {
					t.Fatalf("%d bytes: byte %d is %d, want %d", n, i-1, got, want)
				}
			}
		}
	}
}

// TestTransposeU8 keeps both matrices at either end of accessible memory.
func TestTransposeU8(t *testing.T) {
	gd, gs := newGuard(t, 1<<16), newGuard(t, 1<<16)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		test := func(rows, cols int) {
			n := rows * cols
			for _, end := range []bool{false, true} {
				src := place(gs, randU8(n), end)
				dst := place(gd, make([]uint8, n), end)
				TransposeU8(dst, src, rows, cols)
				for i := range rows {
					for j := range cols {
						if dst[j*rows+i] != src[i*cols+j] {
							t.Fatalf("%d×%d: element %d, %d is %d, want %d", rows, cols, j, i, dst[j*rows+i], src[i*cols+j])
						}
					}
				}
			}
		}
		for rows := range 36 {
			for cols := range 36 {
				test(rows, cols)
			}
		}
		for n := 36; n < 140; n++ {
			test(3, n)
			test(n, 3)
		}
		test(64, 49)
		test(49, 64)
		test(1031, 50)
		test(50, 1031)
	})
}

// TestJoinRunsU8 compares with a loop, and checks that nothing behind the last run changes.
func TestJoinRunsU8(t *testing.T) {
	gd, gs := newGuard(t, 1<<12), newGuard(t, 1<<12)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		for n := range 20 {
			for rows := range 24 {
				for _, lds := range []int{n, n + 1, 2*n + 5} {
					src := place(gs, randU8(max(0, (rows-1)*lds+n)), true)
					dst := place(gd, make([]uint8, rows*n+1), true)
					dst[rows*n] = 0xa5
					var want []uint8
					for i := range rows {
						want = append(want, src[i*lds:][:n]...)
					}
					JoinRunsU8(dst[:rows*n], src, lds, rows, n)
					if !slices.Equal(dst[:rows*n], want) || dst[rows*n] != 0xa5 {
						t.Fatalf("%d runs of %d bytes, %d apart: %v, want %v and %v", rows, n, lds, dst, want, 0xa5)
					}
				}
			}
		}
	})
}

// TestCopyRowsU8 compares with a loop, and checks that nothing between the rows and behind the last one changes.
func TestCopyRowsU8(t *testing.T) {
	gd, gs := newGuard(t, 1<<13), newGuard(t, 1<<13)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 3, 7, 16, 28, 31, 63, 64, 65, 127, 128, 150, 192, 448} {
			for rows := range 6 {
				for _, more := range []int{0, 1, 64} {
					for _, flip := range []uint8{0, 0x80} {
						lds, ldd := n+more, n+2*more
						src := place(gs, randU8(max(0, (rows-1)*lds+n)), more != 1)
						dst := place(gd, bytes.Repeat([]byte{0xa5}, max(0, (rows-1)*ldd+n)), more != 1)
						want := slices.Clone(dst)
						for i := range rows {
							for j := range n {
								want[i*ldd+j] = src[i*lds+j] ^ flip
							}
						}
						CopyRowsU8(dst, ldd, src, lds, rows, n, flip)
						if !slices.Equal(dst, want) {
							t.Fatalf("%d rows of %d bytes, %d apart, to %d apart: %v, want %v", rows, n, lds, ldd, dst, want)
						}
					}
				}
			}
		}
	})
}

func BenchmarkTransposeU8(b *testing.B) {
	for _, s := range [][2]int{{49, 64}, {64, 49}, {256, 16}, {3, 4096}, {4096, 3}, {4096, 64}, {64, 4096}, {16384, 64}, {1000, 64}} {
		n := s[0] * s[1]
		src, dst := make([]uint8, n), make([]uint8, n)
		b.Run("", func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				TransposeU8(dst, src, s[0], s[1])
			}
		})
	}
}

package kernel

import (
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

// TestAddRuns compares every length and several distances with the loop, bit for bit, and
// keeps both operands at the end of accessible memory.
func TestAddRuns(t *testing.T) {
	gd, gs := newGuard(t, 4096), newGuard(t, 4096)
	impl.All(t, "kernel", func(t *testing.T) {
		for n := 1; n <= 37; n++ {
			for _, rows := range []int{1, 2, 5} {
				for _, gap := range []int{0, 1, 6} {
					ldd, lds := n+gap, n/2+gap+1
					dst := place(gd, randF32(uint64(n), (rows-1)*ldd+n), true)
					src := place(gs, randF32(uint64(n+1), (rows-1)*lds+n), true)
					want := slices.Clone(dst)
					addRunsF32Generic(want, ldd, src, lds, rows, n)
					AddRunsF32(dst, ldd, src, lds, rows, n)
					if !slices.Equal(dst, want) {
						t.Fatalf("%d runs of %d, %d apart: %v, want %v", rows, n, ldd, dst, want)
					}
				}
			}
		}
		AddRunsF32(nil, 0, nil, 0, 0, 4)
	})
}

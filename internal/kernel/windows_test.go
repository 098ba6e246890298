package kernel

import (
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

// TestSumWindows compares with the loop, bit for bit, and keeps all operands at the end of accessible memory.
func TestSumWindows(t *testing.T) {
	gd, gf, gs := newGuard(t, 4<<10), newGuard(t, 4<<10), newGuard(t, 16<<10)
	impl.All(t, "kernel", func(t *testing.T) {
		for step := 1; step <= 19; step++ {
			for _, rows := range []int{1, 2, 5, 14} {
				for parts := 1; parts <= 4; parts++ {
					for _, at := range [][]int{nil, {0}, {3, 0, 40}} {
						n, lds := (rows+parts-1)*step, parts*step+parts%3
						dst := place(gd, make([]float32, n+WindowSlack), true)
						first := place(gf, randF32(uint64(n), n+WindowSlack), true)
						src := place(gs, randF32(uint64(n+1), 40+(rows-1)*lds+parts*step+WindowSlack), true)
						want := slices.Clone(first[:n])
						sumWindowsF32Generic(want, first, step, src, at, lds, rows, parts)
						SumWindowsF32(dst, first, step, src, at, lds, rows, parts)
						if !slices.Equal(dst[:n], want) {
							t.Fatalf("%d windows of %d parts of %d at %v: %v, want %v", rows, parts, step, at, dst[:n], want)
						}
					}
				}
			}
		}
	})
	for name, f := range map[string]func(){
		"dst": func() {
			SumWindowsF32(make([]float32, 6), make([]float32, 60), 2, make([]float32, 60), []int{0}, 4, 2, 2)
		},
		"first": func() {
			SumWindowsF32(make([]float32, 60), make([]float32, 6), 2, make([]float32, 60), []int{0}, 4, 2, 2)
		},
		"src": func() {
			SumWindowsF32(make([]float32, 60), make([]float32, 60), 2, make([]float32, 60), []int{46}, 4, 2, 2)
		},
		"lds": func() {
			SumWindowsF32(make([]float32, 60), make([]float32, 60), 2, make([]float32, 60), []int{0}, 3, 2, 2)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s too short: no panic", name)
				}
			}()
			f()
		}()
	}
}

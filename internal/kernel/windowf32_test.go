package kernel

import (
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

// windowCases are windows of every number of channels up to some vectors, with and without a stride.
func windowCases(f func(w Window)) {
	for c := 1; c <= 5*maxLanes+1; c += 1 + c/9 {
		for _, w := range []Window{
			{Pixels: 1, Channels: c, Rows: 1, Cols: 1},
			{Pixels: 3, Channels: c, Step: 2 * c, Rows: 2, RowPitch: 8 * c, Cols: 2, ColPitch: c},
			{Pixels: 2, Channels: c, Step: c, Rows: 3, RowPitch: 6 * c, Cols: 2, ColPitch: 2 * c},
			{Pixels: 1, Channels: c, Rows: 5, RowPitch: c + 3, Cols: 1},
		} {
			f(w)
		}
	}
}

func (w *Window) values() int {
	return (w.Pixels-1)*w.Step + (w.Rows-1)*w.RowPitch + (w.Cols-1)*w.ColPitch + w.Channels
}

func (w *Window) args(scale float32) *windowArgs {
	return &windowArgs{w.Pixels, w.Channels, w.Step, w.Rows, w.RowPitch, w.Cols, w.ColPitch, scale}
}

func TestWindows(t *testing.T) {
	gd, gs := newGuard(t, 1<<14), newGuard(t, 1<<16)
	impl.All(t, "kernel", func(t *testing.T) {
		windowCases(func(w Window) {
			n := w.Pixels * w.Channels
			want := make([]float32, n)
			for _, atEnd := range []bool{false, true} {
				for seed := range uint64(3) {
					src := mixed(seed, w.values())
					if seed > 0 {
						src = randF32(seed, w.values())
					}
					s, dst := place(gs, src, atEnd), place(gd, want, atEnd)
					maxWindowF32Generic(want, src, w.args(1))
					MaxWindowF32(dst, s, &w)
					for i := range dst {
						if !sameF32(dst[i], want[i]) && dst[i] != want[i] {
							t.Fatalf("max %+v: element %d is %v, want %v", w, i, dst[i], want[i])
						}
					}
					sumWindowF32Generic(want, src, w.args(0.25))
					SumWindowF32(dst, s, &w, 0.25)
					for i := range dst {
						if !sameF32(dst[i], want[i]) && dst[i] != want[i] {
							t.Fatalf("sum %+v: element %d is %v, want %v", w, i, dst[i], want[i])
						}
					}
				}
			}
		})
	})
}

// TestWindowGroups reduces windows of more values than one call reads.
func TestWindowGroups(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for _, w := range []Window{
			{Pixels: 2, Channels: 300, Step: 300, Rows: 40, RowPitch: 40 * 300, Cols: 35, ColPitch: 300},
			{Pixels: 1, Channels: 1, Rows: 300, RowPitch: 500, Cols: 500, ColPitch: 1},
			{Pixels: 700, Channels: 64, Step: 64, Rows: 2, RowPitch: 800 * 64, Cols: 2, ColPitch: 64},
		} {
			src := randF32(1, w.values())
			n := w.Pixels * w.Channels
			got, sums := make([]float32, n), make([]float64, n)
			SumWindowF32(got, src, &w, 0.5)
			most, greatest := make([]float32, n), make([]float32, n)
			MaxWindowF32(greatest, src, &w)
			for i := range most {
				most[i] = ninf32
			}
			for i := range n {
				at := i/w.Channels*w.Step + i%w.Channels
				for y := range w.Rows {
					for x := range w.Cols {
						v := src[at+y*w.RowPitch+x*w.ColPitch]
						sums[i] += 0.5 * float64(v)
						most[i] = max(most[i], v)
					}
				}
			}
			for i := range n {
				if d := float64(got[i]) - sums[i]; d > 2e-2 || d < -2e-2 || greatest[i] != most[i] {
					t.Fatalf("%+v: element %d is %v and %v, want %v and %v", w, i, got[i], greatest[i], sums[i], most[i])
				}
			}
			if a := testing.AllocsPerRun(3, func() { SumWindowF32(got, src, &w, 1); MaxWindowF32(got, src, &w) }); a > 0 {
				t.Errorf("%v allocations", a)
			}
		}
	})
}

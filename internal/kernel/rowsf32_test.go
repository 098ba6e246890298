package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

// TestGemmRowsF32 compares products whose rows are scattered with the product of the rows copied together.
func TestGemmRowsF32(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for _, s := range []struct{ rows, taps, run, n int }{
			{1, 1, 1, 1}, {2, 3, 5, 17}, {3, 2, 4, 16}, {4, 4, 8, 33}, {5, 1, 7, 40}, {6, 9, 16, 32}, {7, 4, 32, 35},
			{9, 2, 3, 70}, {10, 16, 2, 31}, {11, 5, 6, 64}, {13, 16, 64, 50}, {23, 9, 37, 20}, {37, 3, 300, 48}, {64, 4, 1, 5},
		} {
			for variant := range 6 {
				testGemmRows(t, s.rows, s.taps, s.run, s.n, variant)
			}
		}
	})
}

func testGemmRows(t *testing.T, rows, taps, run, n, variant int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(rows), uint64(taps*run+variant)))
	k := taps * run
	a, w := randF32(1, 50+rows*run), randF32(2, k*n)
	ep := Epilogue{Bias: randF32(3, n), Act: Act(variant), Alpha: 0.25, Lo: -1, Hi: 2}
	src, dst := make([]int32, taps*rows), make([]int32, rows)
	copied := make([]float32, rows*k)
	for i, at := range r.Perm(rows) {
		dst[i] = int32(at * (n + 3))
		for p := range taps {
			from := -1 - r.IntN(5)
			if r.IntN(4) > 0 {
				from = r.IntN(len(a) - run + 1)
				copy(copied[i*k+p*run:][:run], a[from:])
			}
			src[p*rows+i] = int32(from)
		}
	}
	m, p := NewRowMap(taps, run, src, dst), PackF32(k, n, w, n, false)
	got := make([]float32, rows*(n+3)-3)
	for i := range got {
		got[i] = 77
	}
	half, r0 := p.Panels()/2, rows/3
	GemmRowsF32(m, 0, r0, a, p, 0, p.Panels(), got, &ep)
	GemmRowsF32(m, r0, rows, a, p, half, p.Panels(), got, &ep)
	GemmRowsF32(m, r0, rows, a, p, 0, half, got, &ep)
	want := make([]float32, rows*n)
	GemmPackedF32(rows, copied, k, p, 0, p.Panels(), want, n, false, &ep)
	what := fmt.Sprintf("%d rows, %d taps of %d, %d columns, activation %d", rows, taps, run, n, variant)
	for i := range rows {
		for j := range n + 3 {
			at := int(dst[i]) + j
			if at >= len(got) {
				continue
			}
			if j >= n {
				if got[at] != 77 {
					t.Fatalf("%s: value %d beyond row %d is %v, and was 77", what, j-n, i, got[at])
				}
				continue
			}
			if d := float64(got[at] - want[i*n+j]); d > 1e-6*float64(k+8) || d < -1e-6*float64(k+8) || d != d {
				t.Fatalf("%s: row %d, column %d is %v, want %v", what, i, j, got[at], want[i*n+j])
			}
		}
	}
}

// TestGemmRowsF32Guard places operands where memory begins or ends.
func TestGemmRowsF32Guard(t *testing.T) {
	ga, gc := newGuard(t, 1<<14), newGuard(t, 1<<14)
	impl.All(t, "kernel", func(t *testing.T) {
		for _, rows := range []int{1, 2, 3, 5, 6, 7, 10, 12} {
			for _, run := range []int{1, 3, 4, 6, 16} {
				for _, n := range []int{1, 7, 8, 9, 16, 17, 31, 33} {
					for _, atEnd := range []bool{false, true} {
						a, c := place(ga, randF32(1, rows*run), atEnd), place(gc, make([]float32, rows*n), atEnd)
						src, dst := make([]int32, 2*rows), make([]int32, rows)
						for i := range rows {
							src[i], src[rows+i], dst[i] = int32(i*run), int32((rows-1-i)*run), int32(i*n)
						}
						p := PackF32(2*run, n, randF32(2, 2*run*n), n, false)
						GemmRowsF32(NewRowMap(2, run, src, dst), 0, rows, a, p, 0, p.Panels(), c, nil)
					}
				}
			}
		}
	})
}

// TestRowMapChecks: what does not fit panics rather than being read.
func TestRowMapChecks(t *testing.T) {
	p := PackF32(6, 5, randF32(1, 30), 5, false)
	m := NewRowMap(2, 3, []int32{0, 4, 9, -1}, []int32{0, 5})
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"sources", func() { NewRowMap(2, 3, []int32{0, 1, 2}, []int32{0, 5}) }},
		{"result", func() { NewRowMap(1, 3, []int32{0, 1}, []int32{0, -5}) }},
		{"short a", func() { GemmRowsF32(m, 0, 2, make([]float32, 11), p, 0, p.Panels(), make([]float32, 10), nil) }},
		{"short c", func() { GemmRowsF32(m, 0, 2, make([]float32, 12), p, 0, p.Panels(), make([]float32, 9), nil) }},
		{"rows", func() { GemmRowsF32(m, 0, 3, make([]float32, 12), p, 0, p.Panels(), make([]float32, 30), nil) }},
		{"bias", func() {
			GemmRowsF32(m, 0, 2, make([]float32, 12), p, 0, p.Panels(), make([]float32, 10), &Epilogue{Bias: make([]float32, 4)})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			c.f()
		})
	}
	GemmRowsF32(m, 0, 2, make([]float32, 12), p, 0, p.Panels(), make([]float32, 10), nil)
}

package kernel

import (
	"slices"
	"testing"
)

func TestGemmPackedF32OverlappingRows(t *testing.T) {
	for _, c := range []struct{ m, k, n, lda int }{{5, 6, 7, 2}, {9, 12, 20, 4}, {1, 6, 3, 2}, {3, 4, 5, 0}} {
		a := make([]float32, (c.m-1)*c.lda+c.k)
		for i := range a {
			a[i] = float32(i%7) - 3
		}
		b := make([]float32, c.k*c.n)
		for i := range b {
			b[i] = float32(i%5) - 2
		}
		got := make([]float32, c.m*c.n)
		p := PackF32(c.k, c.n, b, c.n, false)
		GemmPackedF32(c.m, a, c.lda, p, 0, p.Panels(), got, c.n, false, nil)
		want := make([]float32, c.m*c.n)
		for i := range c.m {
			for j := range c.n {
				for k := range c.k {
					want[i*c.n+j] += a[i*c.lda+k] * b[k*c.n+j]
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("m=%d k=%d n=%d lda=%d: %v, want %v", c.m, c.k, c.n, c.lda, got, want)
		}
	}
}

func TestRepackF32(t *testing.T) {
	b := make([]float32, 60)
	for i := range b {
		b[i] = float32(i)
	}
	p := RepackF32(nil, 6, 10, b, 10, false)
	for _, c := range []struct {
		k, n   int
		transB bool
	}{{6, 10, true}, {5, 12, false}, {2, 7, true}, {12, 5, false}} {
		ldb := c.n
		if c.transB {
			ldb = c.k
		}
		p = RepackF32(p, c.k, c.n, b, ldb, c.transB)
		want := PackF32(c.k, c.n, b, ldb, c.transB)
		if p.K != c.k || p.N != c.n || p.NR != want.NR || !slices.Equal(p.data, want.data) {
			t.Errorf("k=%d n=%d transB=%v: packed %v, want %v", c.k, c.n, c.transB, p.data, want.data)
		}
	}
	p = PackF32(6, 10, b, 10, false)
	if n := testing.AllocsPerRun(10, func() { RepackF32(p, 5, 10, b, 10, false) }); n != 0 {
		t.Errorf("%v allocations into memory that suffices", n)
	}
}

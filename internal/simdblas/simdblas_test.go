package simdblas

import (
	"fmt"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/aekit/aekit/internal/impl"
)

var transposes = []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans}

func randF32(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = r.Float32()*2 - 1
	}
	return s
}

// closeTo compares results of sums of k terms of magnitude at most 1, scaled by at most scale.
func closeTo(t *testing.T, what string, got, want []float32, k int, scale float64) {
	t.Helper()
	tol := float64(k+4) * 0x1p-23 * scale
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tol) {
			t.Fatalf("%s: element %d is %v, gonum gives %v (tolerance %v)", what, i, got[i], want[i], tol)
		}
	}
}

// run calls f and returns what it panicked with, if it did.
func run(f func()) (panicked any) {
	defer func() { panicked = recover() }()
	f()
	return nil
}

func TestSgemm(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		for i := range 400 {
			m, n, k := r.IntN(40), r.IntN(70), r.IntN(50)
			if i%100 == 0 {
				m, n, k = 100, 300, 170
			}
			tA, tB := transposes[r.IntN(3)], transposes[r.IntN(3)]
			ra, ca, rb, cb := m, k, k, n
			if tA != blas.NoTrans {
				ra, ca = k, m
			}
			if tB != blas.NoTrans {
				rb, cb = n, k
			}
			lda, ldb, ldc := max(1, ca)+r.IntN(4), max(1, cb)+r.IntN(4), max(1, n)+r.IntN(4)
			alpha, beta := []float32{1, 0, -1.5}[r.IntN(3)], []float32{0, 1, 0.5}[r.IntN(3)]
			a, b, c := randF32(r, ra*lda), randF32(r, rb*ldb), randF32(r, m*ldc)
			want := slices.Clone(c)
			gonum.Implementation{}.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, want, ldc)
			Implementation{}.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
			closeTo(t, fmt.Sprintf("Sgemm(%c, %c, %d, %d, %d, %v, lda %d, ldb %d, %v, ldc %d)", tA, tB, m, n, k, alpha, lda, ldb, beta, ldc), c, want, k, 3)
		}
	})
}

func TestSgemmThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	const m, n, k = 90, 500, 210
	a, b := randF32(r, m*k), randF32(r, k*n)
	defer goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(0))
	var first []float32
	for _, threads := range []int{1, 2, 3, 7} {
		goruntime.GOMAXPROCS(threads)
		for _, tB := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			c := make([]float32, m*n)
			ldb := n
			if tB == blas.Trans {
				ldb = k
			}
			Implementation{}.Sgemm(blas.NoTrans, tB, m, n, k, 1, a, k, b, ldb, 0, c, n)
			if tB == blas.Trans {
				continue
			}
			if first == nil {
				first = c
			} else if !slices.Equal(c, first) {
				t.Errorf("the product of %d×%d×%d on %d threads differs from that on one", m, n, k, threads)
			}
		}
	}
}

func lenX(tA blas.Transpose, m, n int) int {
	if tA == blas.NoTrans {
		return n
	}
	return m
}

func TestSgemv(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 1))
		for range 500 {
			m, n := r.IntN(60), r.IntN(60)
			tA := transposes[r.IntN(3)]
			lda := max(1, n) + r.IntN(3)
			incX, incY := []int{1, 1, 2, -1}[r.IntN(4)], []int{1, 1, 3, -2}[r.IntN(4)]
			alpha, beta := []float32{1, 0, -1.5}[r.IntN(3)], []float32{0, 1, 0.5}[r.IntN(3)]
			a, x, y := randF32(r, m*lda), randF32(r, 3*(m+n)+1), randF32(r, 3*(m+n)+1)
			was, want := slices.Clone(y), slices.Clone(y)
			gonum.Implementation{}.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, want, incY)
			Implementation{}.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
			if lenY := m + n - lenX(tA, m, n); incX == 1 && incY == 1 && alpha != 0 {
				// With beta = 0 gonum clears y beyond the elements that belong to the product.
				if !slices.Equal(y[lenY:], was[lenY:]) {
					t.Fatalf("Sgemv(%c, %d, %d) wrote beyond its %d results", tA, m, n, lenY)
				}
				y, want = y[:lenY], want[:lenY]
			}
			closeTo(t, fmt.Sprintf("Sgemv(%c, %d, %d, %v, lda %d, incX %d, %v, incY %d)", tA, m, n, alpha, lda, incX, beta, incY), y, want, m+n, 3)
		}
	})
}

// dense returns n elements of x that are inc apart, with room for at least one.
func dense(x []float32, n, inc int) []float32 {
	out := make([]float32, max(n, 1))
	for i := range n {
		out[i] = x[start(n, inc)+i*inc]
	}
	return out
}

func TestLevel1(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 1))
		for range 500 {
			m, n := r.IntN(70), r.IntN(70)
			incX, incY := []int{1, 1, 2, -1}[r.IntN(4)], []int{1, 1, 3, -2}[r.IntN(4)]
			alpha := []float32{1, 0, -1.5}[r.IntN(3)]
			lda := max(1, n) + r.IntN(3)
			what := fmt.Sprintf("(%d, %d, %v, incX %d, incY %d, lda %d)", m, n, alpha, incX, incY, lda)
			x, y, a := randF32(r, 3*(m+n)+1), randF32(r, 3*(m+n)+1), randF32(r, m*lda)

			wantA := slices.Clone(a)
			gonum.Implementation{}.Sger(m, n, alpha, dense(x, m, incX), 1, dense(y, n, incY), 1, wantA, lda)
			Implementation{}.Sger(m, n, alpha, x, incX, y, incY, a, lda)
			closeTo(t, "Sger"+what, a, wantA, 1, 3)

			wantY := slices.Clone(y)
			gonum.Implementation{}.Saxpy(n, alpha, x, incX, wantY, incY)
			gotY := slices.Clone(y)
			Implementation{}.Saxpy(n, alpha, x, incX, gotY, incY)
			closeTo(t, "Saxpy"+what, gotY, wantY, 1, 3)

			got, want := Implementation{}.Sdot(n, x, incX, y, incY), gonum.Implementation{}.Sdot(n, x, incX, y, incY)
			closeTo(t, "Sdot"+what, []float32{got}, []float32{want}, n, 1)

			wantX := slices.Clone(x)
			gonum.Implementation{}.Sscal(n, alpha, wantX, max(incX, 1))
			Implementation{}.Sscal(n, alpha, x, max(incX, 1))
			closeTo(t, "Sscal"+what, x, wantX, 0, 0)
		}
		nan := []float32{float32(math.NaN()), 1}
		Implementation{}.Sscal(2, 0, nan, 1)
		if nan[0] != 0 || nan[1] != 0 {
			t.Errorf("Sscal by zero leaves %v", nan)
		}
	})
}

// TestPanics calls both implementations with wrong arguments of every kind and compares the panic values.
func TestPanics(t *testing.T) {
	x := make([]float32, 12)
	type float32BLAS interface {
		blas.Float32
	}
	tests := map[string]func(b float32BLAS){
		"tA":        func(b float32BLAS) { b.Sgemm('X', blas.NoTrans, 2, 2, 2, 1, x, 2, x, 2, 1, x, 2) },
		"tB":        func(b float32BLAS) { b.Sgemm(blas.NoTrans, 0, 2, 2, 2, 1, x, 2, x, 2, 1, x, 2) },
		"m":         func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, -1, 2, 2, 1, x, 2, x, 2, 1, x, 2) },
		"n":         func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, -1, 2, 1, x, 2, x, 2, 1, x, 2) },
		"k":         func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, -1, 1, x, 2, x, 2, 1, x, 2) },
		"lda":       func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 3, 1, x, 2, x, 2, 1, x, 2) },
		"lda trans": func(b float32BLAS) { b.Sgemm(blas.Trans, blas.NoTrans, 3, 2, 2, 1, x, 2, x, 2, 1, x, 2) },
		"ldb":       func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, 3, 2, 1, x, 2, x, 2, 1, x, 3) },
		"ldc":       func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, 3, 2, 1, x, 2, x, 3, 1, x, 2) },
		"short a":   func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 2, 1, x[:3], 2, x, 2, 1, x, 2) },
		"short b":   func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.Trans, 2, 2, 2, 1, x, 2, x[:3], 2, 1, x, 2) },
		"short c":   func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 2, 1, x, 2, x, 2, 1, x[:3], 2) },
		"two wrong": func(b float32BLAS) { b.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 2, 1, x[:3], 2, x[:3], 1, 1, x[:3], 2) },
		"gemv tA":   func(b float32BLAS) { b.Sgemv('X', 2, 2, 1, x, 2, x, 1, 1, x, 1) },
		"gemv m":    func(b float32BLAS) { b.Sgemv(blas.Trans, -2, 2, 1, x, 2, x, 1, 1, x, 1) },
		"gemv lda":  func(b float32BLAS) { b.Sgemv(blas.Trans, 2, 3, 1, x, 2, x, 1, 1, x, 1) },
		"gemv incX": func(b float32BLAS) { b.Sgemv(blas.Trans, 2, 2, 1, x, 2, x, 0, 1, x, 1) },
		"gemv incY": func(b float32BLAS) { b.Sgemv(blas.Trans, 2, 2, 1, x, 2, x, 1, 1, x, 0) },
		"gemv x":    func(b float32BLAS) { b.Sgemv(blas.NoTrans, 2, 3, 1, x, 3, x[:2], 1, 1, x, 1) },
		"gemv y":    func(b float32BLAS) { b.Sgemv(blas.NoTrans, 3, 2, 1, x, 2, x, 1, 1, x[:2], 1) },
		"gemv a":    func(b float32BLAS) { b.Sgemv(blas.NoTrans, 3, 2, 1, x[:5], 2, x, 1, 1, x, 1) },
		"ger n":     func(b float32BLAS) { b.Sger(2, -2, 1, x, 1, x, 1, x, 2) },
		"ger x":     func(b float32BLAS) { b.Sger(3, 2, 1, x[:2], 1, x, 1, x, 2) },
		"ger a":     func(b float32BLAS) { b.Sger(3, 2, 1, x, 1, x, 1, x[:5], 2) },
		"axpy x":    func(b float32BLAS) { b.Saxpy(3, 1, x[:2], 1, x, 1) },
		"axpy y":    func(b float32BLAS) { b.Saxpy(3, 1, x, 1, x[:2], 1) },
		"axpy n":    func(b float32BLAS) { b.Saxpy(-1, 1, x, 1, x, 1) },
		"axpy inc":  func(b float32BLAS) { b.Saxpy(2, 1, x, 0, x, 1) },
		"dot x":     func(b float32BLAS) { b.Sdot(3, x[:2], 1, x, 1) },
		"dot inc":   func(b float32BLAS) { b.Sdot(3, x, 1, x, 0) },
		"dot n":     func(b float32BLAS) { b.Sdot(-1, x, 1, x, 1) },
		"scal x":    func(b float32BLAS) { b.Sscal(3, 2, x[:2], 1) },
		"scal n":    func(b float32BLAS) { b.Sscal(-3, 2, x, 1) },
		"scal inc":  func(b float32BLAS) { b.Sscal(3, 2, x, 0) },
	}
	for name, call := range tests {
		got, want := run(func() { call(Implementation{}) }), run(func() { call(gonum.Implementation{}) })
		if got != want {
			t.Errorf("%s: panic %v, gonum panics with %v", name, got, want)
		}
		if want == nil && name != "axpy n" && name != "dot n" && name != "scal n" {
			t.Errorf("%s: gonum accepts the arguments, so the case tests nothing", name)
		}
	}
}

func BenchmarkSgemm(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 512
	x, y, z := randF32(r, n*n), randF32(r, n*n), make([]float32, n*n)
	for name, s := range map[string]blas.Float32{"gonum": gonum.Implementation{}, "simdblas": Implementation{}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.Sgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x, n, y, n, 0, z, n)
			}
			b.ReportMetric(2*n*n*n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		})
	}
}

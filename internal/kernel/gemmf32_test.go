package kernel

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

// refGemm is alpha*op(a)*op(b) + beta*c in float64, and beside it the sum of magnitudes that bounds rounding errors.
func refGemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) (val, mag []float64) {
	val, mag = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			var s, abs float64
			for p := range k {
				ia, ib := i*lda+p, p*ldb+j
				if transA {
					ia = p*lda + i
				}
				if transB {
					ib = j*ldb + p
				}
				x, y := a[ia], b[ib]
				s += float64(x) * float64(y)
				abs += math.Abs(float64(x) * float64(y))
			}
			s *= float64(alpha)
			abs *= math.Abs(float64(alpha))
			if beta != 0 {
				s += float64(beta) * float64(c[i*ldc+j])
				abs += math.Abs(float64(beta) * float64(c[i*ldc+j]))
			}
			val[i*n+j], mag[i*n+j] = s, abs
		}
	}
	return val, mag
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func gemmTol(k int, mag float64) float64 { return float64(k+4) * 0x1p-24 * mag }

func TestTileLayout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x tileF32
	got := []uintptr{
		unsafe.Offsetof(x.a), unsafe.Offsetof(x.b), unsafe.Offsetof(x.c), unsafe.Offsetof(x.bias),
		unsafe.Offsetof(x.k), unsafe.Offsetof(x.rows), unsafe.Offsetof(x.cols), unsafe.Offsetof(x.rs), unsafe.Offsetof(x.ks),
		unsafe.Offsetof(x.bs), unsafe.Offsetof(x.cs), unsafe.Offsetof(x.acc), unsafe.Offsetof(x.act),
		unsafe.Offsetof(x.alpha), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi), unsafe.Offsetof(x.ahead), unsafe.Offsetof(x.pace),
	}
	want := []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 108, 112, 120, 128}
	var y indirectTileF32
	got = append(got, unsafe.Offsetof(y.src), unsafe.Offsetof(y.dst), unsafe.Offsetof(y.zeros), unsafe.Offsetof(y.taps), unsafe.Offsetof(y.stride))
	want = append(want, 136, 144, 152, 160, 168)
	var w windowSum
	got = append(got, unsafe.Offsetof(w.dst), unsafe.Offsetof(w.first), unsafe.Offsetof(w.src), unsafe.Offsetof(w.at), unsafe.Offsetof(w.n),
		unsafe.Offsetof(w.rows), unsafe.Offsetof(w.parts), unsafe.Offsetof(w.step), unsafe.Offsetof(w.lds))
	want = append(want, 0, 8, 16, 24, 32, 40, 48, 56, 64)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d of arguments is at offset %d, the assembly reads %d", i, got[i], want[i])
		}
	}
}

func TestGemmPackedF32(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		shapes := [][3]int{{1, 1, 1}, {1, 20, 400}, {2, 3, 5}, {3, 17, 9}, {5, 33, 64}, {7, 16, 31}, {13, 31, 130}, {29, 65, 77},
			{16, 40, 300}, {85, 48, 784}, {1, 400, 784}, {4, 100, 1}, {3, 5, 0}}
		for rows := range 32 {
			shapes = append(shapes, [3]int{rows, 35, 11})
		}
		for cols := range 70 {
			shapes = append(shapes, [3]int{3, cols, 6}, [3]int{1, cols, 19}, [3]int{17, cols, 8})
		}
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			for variant := range 4 {
				transB, acc := variant&1 == 1, variant&2 == 2
				lda, ldb, ldc := k+variant, n+variant, n+2*variant
				if transB {
					ldb = k + variant
				}
				a, b := randF32(1, m*lda+1), randF32(2, (n+k)*ldb+1)
				c, check := withCanaries(t, max(0, (m-1)*ldc+n), variant)
				copy(c, randF32(3, len(c)))
				was := append([]float32(nil), c...)
				p := PackF32(k, n, b, ldb, transB)
				// Panels in two calls, as two threads would.
				half := p.Panels() / 2
				GemmPackedF32(m, a, lda, p, 0, half, c, ldc, acc, nil)
				GemmPackedF32(m, a, lda, p, half, p.Panels(), c, ldc, acc, nil)
				check(fmt.Sprintf("%dx%dx%d", m, n, k))
				want, mag := refGemm(false, transB, m, n, k, 1, a, lda, b, ldb, float32(b2i(acc)), was, ldc)
				compareGemm(t, fmt.Sprintf("m=%d n=%d k=%d transB=%v acc=%v", m, n, k, transB, acc), m, n, k, c, ldc, was, want, mag)
			}
		}
	})
}

// compareGemm compares the m×n matrix c with want and the gaps between its rows with was.
func compareGemm(t *testing.T, what string, m, n, k int, c []float32, ldc int, was []float32, want, mag []float64) {
	t.Helper()
	for i, v := range c {
		r, j := i/max(ldc, 1), i%max(ldc, 1)
		if j >= n {
			if v != was[i] {
				t.Fatalf("%s: wrote c[%d][%d], outside the matrix", what, r, j)
			}
			continue
		}
		if d := math.Abs(float64(v) - want[r*n+j]); !(d <= gemmTol(k, mag[r*n+j])) {
			t.Fatalf("%s: c[%d][%d] = %v, want %v ± %v", what, r, j, v, want[r*n+j], gemmTol(k, mag[r*n+j]))
		}
	}
}

func TestGemmPackedF32Epilogue(t *testing.T) {
	acts := []Epilogue{{}, {Act: ActRelu}, {Act: ActLeakyRelu, Alpha: 0.1}, {Act: ActLeakyRelu, Alpha: -2}, {Act: ActClip, Lo: -0.5, Hi: 0.25},
		{Act: ActClip, Lo: 1, Hi: -1}, {Act: ActSigmoid}, {Act: ActTanh}, {Act: ActSoftplus}, {Act: ActElu, Alpha: 0.5}, {Act: ActSwish, Alpha: 1.5}, {Act: ActMish}, {Act: ActGelu}, {Act: ActGeluTanh}, {Act: ActHardSwish}}
	impl.All(t, "kernel", func(t *testing.T) {
		for _, m := range []int{1, 2, 5, 19} {
			for _, n := range []int{1, 7, 16, 37, 64} {
				for _, ep := range acts {
					for _, bias := range []bool{false, true} {
						const k = 600
						a, b := randF32(1, m*k), randF32(2, k*n)
						plain, c := make([]float32, m*n), make([]float32, m*n)
						p := PackF32(k, n, b, n, false)
						GemmPackedF32(m, a, k, p, 0, p.Panels(), plain, n, false, nil)
						ep.Bias = nil
						if bias {
							ep.Bias = randF32(4, n)
						}
						GemmPackedF32(m, a, k, p, 0, p.Panels(), c, n, false, &ep)
						EpilogueF32(m, n, plain, n, 0, &ep)
						for i := range c {
							// Bias may be added before or after the last block of k is.
							if d := math.Abs(float64(c[i]) - float64(plain[i])); d > 2e-5*(1+math.Abs(float64(plain[i]))) {
								t.Fatalf("m=%d n=%d act=%d bias=%v: c[%d] = %v, separately %v", m, n, ep.Act, bias, i, c[i], plain[i])
							}
						}
					}
				}
			}
		}
	})
}

func TestGemmPackedF32NonFinite(t *testing.T) {
	nan, inf := nan32, inf32
	impl.All(t, "kernel", func(t *testing.T) {
		for _, act := range []Epilogue{{}, {Act: ActRelu}, {Act: ActLeakyRelu, Alpha: 0.5}, {Act: ActClip, Lo: -3, Hi: 3}, {Act: ActSigmoid}, {Act: ActTanh}} {
			for _, m := range []int{1, 3, 6} {
				const n, k = 35, 9
				a, b := make([]float32, m*k), make([]float32, k*n)
				for i := range m {
					a[i*k] = 1
				}
				vals := []float32{nan, inf, -inf, 0, -2, 5}
				for j := range n {
					b[j] = vals[j%len(vals)]
				}
				c := make([]float32, m*n)
				p := PackF32(k, n, b, n, false)
				GemmPackedF32(m, a, k, p, 0, p.Panels(), c, n, false, &act)
				for i, v := range c {
					var want [1]float32
					ActivateF32(want[:], vals[i%n%len(vals):][:1], &act)
					if v != want[0] && !(v != v && want[0] != want[0]) {
						t.Fatalf("m=%d act=%d: activation of %v is %v, want %v", m, act.Act, vals[i%n%len(vals)], v, want[0])
					}
				}
			}
		}
	})
}

func TestGemmF32(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		shapes := [][3]int{{1, 1, 1}, {2, 3, 4}, {5, 6, 7}, {16, 16, 16}, {17, 33, 65}, {40, 20, 128}, {1, 50, 300}, {50, 1, 300}, {3, 7, 0}, {61, 130, 9},
			{12, 1100, 5}, {7, 90, 1500}}
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			for flags := range 4 {
				transA, transB := flags&1 == 1, flags&2 == 2
				for _, ab := range [][2]float32{{1, 0}, {1, 1}, {-0.5, 2}, {0, 0.5}, {2, 0}} {
					lda, ldb, ldc := k+1, n+2, n+3
					if transA {
						lda = m + 1
					}
					if transB {
						ldb = k + 2
					}
					a, b := randF32(5, (m+k)*lda+1), randF32(6, (n+k)*ldb+1)
					c, check := withCanaries(t, max(0, (m-1)*ldc+n), flags)
					copy(c, randF32(7, len(c)))
					if ab[1] == 0 {
						c[0] = nan32
					}
					was := append([]float32(nil), c...)
					GemmF32(transA, transB, m, n, k, ab[0], a, lda, b, ldb, ab[1], c, ldc)
					what := fmt.Sprintf("transA=%v transB=%v m=%d n=%d k=%d alpha=%v beta=%v", transA, transB, m, n, k, ab[0], ab[1])
					check(what)
					want, mag := refGemm(transA, transB, m, n, k, ab[0], a, lda, b, ldb, ab[1], was, ldc)
					compareGemm(t, what, m, n, k+2, c, ldc, was, want, mag)
				}
			}
		}
	})
}

func TestGemmAllocations(t *testing.T) {
	a, b, c := randF32(1, 64*64), randF32(2, 64*64), make([]float32, 64*64)
	p := PackF32(64, 64, b, 64, false)
	ep := Epilogue{Act: ActRelu}
	packed := testing.AllocsPerRun(20, func() { GemmPackedF32(64, a, 64, p, 0, p.Panels(), c, 64, false, &ep) })
	if packed != 0 {
		t.Errorf("GemmPackedF32 allocates %v times per call", packed)
	}
	// The pool may be emptied by a garbage collection between calls, hence the average.
	if free := testing.AllocsPerRun(50, func() { GemmF32(true, false, 64, 64, 64, 1, a, 64, b, 64, 0, c, 64) }); free >= 1 {
		t.Errorf("GemmF32 allocates %v times per call", free)
	}
}

func TestGemmRejects(t *testing.T) {
	p := PackF32(4, 5, make([]float32, 20), 5, false)
	tests := []struct {
		name string
		call func()
	}{
		{"short a", func() { GemmPackedF32(2, make([]float32, 7), 4, p, 0, p.Panels(), make([]float32, 10), 5, false, nil) }},
		{"short c", func() { GemmPackedF32(2, make([]float32, 8), 4, p, 0, p.Panels(), make([]float32, 9), 5, false, nil) }},
		{"narrow ldc", func() { GemmPackedF32(2, make([]float32, 8), 4, p, 0, p.Panels(), make([]float32, 10), 4, false, nil) }},
		{"panels", func() {
			GemmPackedF32(2, make([]float32, 8), 4, p, 0, p.Panels()+1, make([]float32, 10), 5, false, nil)
		}},
		{"short bias", func() {
			GemmPackedF32(2, make([]float32, 8), 4, p, 0, p.Panels(), make([]float32, 10), 5, false, &Epilogue{Bias: make([]float32, 4)})
		}},
		{"short b", func() { PackF32(4, 5, make([]float32, 19), 5, false) }},
		{"gemm a", func() {
			GemmF32(false, false, 2, 2, 3, 1, make([]float32, 5), 3, make([]float32, 6), 2, 0, make([]float32, 4), 2)
		}},
		{"gemm m", func() { GemmF32(false, false, -1, 2, 3, 1, nil, 3, nil, 2, 0, nil, 2) }},
	}
	for _, tt := range tests {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", tt.name)
				}
			}()
			tt.call()
		}()
	}
}

// TestGemmPackedF32Activation holds activations that are applied column group by column group against the same
// function of the whole product.
func TestGemmPackedF32Activation(t *testing.T) {
	const m, k = 7, 9
	impl.All(t, "kernel", func(t *testing.T) {
		for _, n := range []int{1, activationCols - 1, activationCols, activationCols + 1, 2*activationCols + 5, 1000} {
			x, p := randF32(1, m*k), PackF32(k, n, randF32(2, k*n), n, false)
			for act := ActNone; act < numActs; act++ {
				ep := Epilogue{Bias: randF32(3, n), Act: act, Alpha: 0.3, Lo: -0.5, Hi: 0.5}
				got, want := make([]float32, m*n), make([]float32, m*n)
				GemmPackedF32(m, x, k, p, 0, p.Panels(), got, n, false, &ep)
				GemmPackedF32(m, x, k, p, 0, p.Panels(), want, n, false, &Epilogue{Bias: ep.Bias})
				EpilogueF32(m, n, want, n, 0, &Epilogue{Act: act, Alpha: ep.Alpha, Lo: ep.Lo, Hi: ep.Hi})
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("n=%d act=%d: row %d, column %d is %v, the function of the product is %v", n, act, i/n, i%n, got[i], want[i])
					}
				}
			}
		}
	})
}

// TestGemmPackedF32Turns multiplies a row by a matrix that is read in alternating directions.
func TestGemmPackedF32Turns(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for _, n := range []int{399, 416, 433} {
			const k = 700
			x, p := randF32(1, k), PackF32(k, n, randF32(2, k*n), n, false)
			if 4*len(p.data) < turnsFrom || 4*len(p.data) >= turnsBelow {
				t.Fatalf("a matrix of %d bytes does not turn", 4*len(p.data))
			}
			ep := Epilogue{Bias: randF32(3, n), Act: ActSigmoid}
			var want []float32
			for range 4 {
				c, check := withCanaries(t, n, 1)
				GemmPackedF32(1, x, k, p, 0, p.Panels(), c, n, false, &ep)
				check(fmt.Sprint(n))
				if want == nil {
					want = c
				}
				for i := range c {
					if math.Float32bits(c[i]) != math.Float32bits(want[i]) {
						t.Fatalf("n=%d: element %d is %v, in the other direction %v", n, i, c[i], want[i])
					}
				}
			}
			val, mag := refGemm(false, false, 1, n, k, 1, x, k, randF32(2, k*n), n, 0, nil, n)
			for i := range want {
				if s := 1 / (1 + math.Exp(-val[i]-float64(ep.Bias[i]))); math.Abs(float64(want[i])-s) > gemmTol(k, mag[i])+1e-6 {
					t.Fatalf("n=%d: element %d is %v, want %v", n, i, want[i], s)
				}
			}
		}
	})
}

package kernel

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/impl"
)

var gemmShapes = [][3]int{{1, 400, 784}, {1, 20, 400}, {4, 400, 784}, {16, 400, 784}, {64, 400, 784}, {128, 400, 784}, {256, 256, 256}, {16, 64, 256}}

// shareOfPeak returns the median over many pairs of the rate of f, which does the given number of floating-point
// operations, to that of independent multiply-adds timed just before it; 0 if the tier has no such loop. Neighbouring
// samples see the same clock and the same other load.
func shareOfPeak(flops float64, f func()) float64 {
	_, n, fma, _ := peak()
	if fma == nil {
		return 0
	}
	f()
	reps := 1
	for start := time.Now(); time.Since(start) < 20*time.Microsecond; reps++ {
		f()
	}
	ratios := make([]float64, 201)
	for i := range ratios {
		t0 := time.Now()
		for range 4 {
			fma()
		}
		t1 := time.Now()
		for range reps {
			f()
		}
		ratios[i] = flops * float64(reps) / float64(time.Since(t1)) * float64(t1.Sub(t0)) / (4 * float64(n))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// BenchmarkGemmF32 reports GFLOP/s and the share of the multiply-add peak (see shareOfPeak).
func BenchmarkGemmF32(b *testing.B) {
	impl.All(b, "kernel", func(b *testing.B) {
		for _, s := range gemmShapes {
			m, n, k := s[0], s[1], s[2]
			x, w, c := randF32(1, m*k), randF32(2, k*n), make([]float32, m*n)
			ep := Epilogue{Bias: randF32(3, n), Act: ActRelu}
			p := PackF32(k, n, w, n, false)
			b.Run(fmt.Sprintf("packed/%s/%dx%dx%d", bestGemmF32().name, m, n, k), func(b *testing.B) {
				reportGemm(b, m, n, k, func() { GemmPackedF32(m, x, k, p, 0, p.Panels(), c, n, false, &ep) })
			})
		}
	})
}

// BenchmarkSgemm times the products of a training step of a 784-400 layer with batch 128, and square ones.
func BenchmarkSgemm(b *testing.B) {
	impl.All(b, "kernel", func(b *testing.B) {
		for _, s := range []struct {
			tag            string
			transA, transB bool
			m, n, k        int
		}{{"NN", false, false, 128, 400, 784}, {"NT", false, true, 128, 784, 400}, {"TN", true, false, 784, 400, 128}, {"TN", true, false, 400, 784, 128},
			{"NN", false, false, 512, 512, 512}, {"TT", true, true, 512, 512, 512}, {"NN", false, false, 4, 400, 784}} {
			x, w, c := randF32(1, s.m*s.k), randF32(2, s.k*s.n), make([]float32, s.m*s.n)
			lda, ldb := s.k, s.n
			if s.transA {
				lda = s.m
			}
			if s.transB {
				ldb = s.k
			}
			b.Run(fmt.Sprintf("%s/%s/%dx%dx%d", s.tag, bestGemmF32().name, s.m, s.n, s.k), func(b *testing.B) {
				reportGemm(b, s.m, s.n, s.k, func() { GemmF32(s.transA, s.transB, s.m, s.n, s.k, 1, x, lda, w, ldb, 0, c, s.n) })
			})
		}
	})
}

func reportGemm(b *testing.B, m, n, k int, f func()) {
	flops := 2 * float64(m) * float64(n) * float64(k)
	for b.Loop() {
		f()
	}
	b.ReportMetric(flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
	if share := shareOfPeak(flops, f); share > 0 {
		b.ReportMetric(100*share, "%peak")
	}
	if m == 1 {
		b.ReportMetric(2*flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
	}
}

// BenchmarkPeakFMA is the rate of independent multiply-adds, which no matrix kernel can exceed.
func BenchmarkPeakFMA(b *testing.B) {
	impl.All(b, "kernel", func(b *testing.B) {
		_, flops, fma, _ := peak()
		if fma == nil {
			b.Skip("no such loop")
		}
		for b.Loop() {
			fma()
		}
		b.ReportMetric(float64(flops)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
	})
}

// BenchmarkPeakRead is the rate of plain vector loads from memory of several sizes, which no matrix-vector product can
// exceed.
func BenchmarkPeakRead(b *testing.B) {
	impl.All(b, "kernel", func(b *testing.B) {
		_, _, _, reads := peak()
		if reads == nil {
			b.Skip("no such loop")
		}
		for _, kib := range []int{16, 32, 256, 400, 1256, 4096} {
			x := make([]float32, kib*256)
			for i, read := range reads {
				b.Run(fmt.Sprintf("%dKiB/%d", kib, i), func(b *testing.B) {
					for b.Loop() {
						read(x)
					}
					b.ReportMetric(float64(4*len(x))*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
				})
			}
		}
	})
}

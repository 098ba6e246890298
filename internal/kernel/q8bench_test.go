package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkPackedQ8 reports GOP/s of products with 8-bit results, whose rows lie close together as the windows of a
// convolution do.
func BenchmarkPackedQ8(b *testing.B) {
	if !HasQ8() {
		b.Skip("no kernel")
	}
	for _, s := range []struct{ m, segs, segK, n, stride, segStride int }{
		{14, 1, 1024, 32, 64, 0}, {14, 4, 256, 128, 64, 640}, {4, 2, 512, 128, 256, 1536}, {8, 2, 512, 128, 256, 1536}, {16, 2, 256, 64, 128, 2400}, {32, 2, 128, 32, 64, 2400}, {8, 4, 256, 128, 128, 1200}, {16, 4, 128, 64, 64, 1200}, {4, 2, 512, 512, 256, 1536}, {8, 2, 512, 512, 256, 1536}, {16, 2, 512, 512, 256, 1536}, {16, 2, 128, 32, 64, 2400}, {7, 2, 128, 32, 64, 2400}, {33, 2, 64, 12, 32, 1200}, {15, 2, 64, 4, 32, 600}, {64, 3, 96, 3, 32, 2200}, {1, 1, 784, 8, 784, 0}, {32, 4, 12, 32, 6, 200},
		{42, 1, 784, 64, 784, 0}, {42, 1, 64, 32, 64, 0}, {42, 1, 32, 32, 32, 0}, {42, 1, 32, 64, 32, 0}, {42, 1, 64, 784, 64, 0}, {48, 1, 128, 128, 128, 0}, {196, 3, 3, 32, 2, 30},
	} {
		w := randI8(1, s.segs*s.segK*s.n)
		p := PackQ8(s.segs, s.segK, s.n, w, s.n, false)
		scale := make([]float32, s.n)
		for i := range scale {
			scale[i] = 0.001
		}
		c := p.Columns(3, false, nil, scale, 7, 0, 255, false)
		a := make([]byte, (s.m-1)*s.stride+(s.segs-1)*s.segStride+s.segK+SlackQ8)
		dst := make([]uint8, s.m*s.n)
		b.Run(fmt.Sprintf("%dx%dx%d·%d", s.m, s.n, s.segs, s.segK), func(b *testing.B) {
			for b.Loop() {
				p.Run(s.m, a, s.stride, s.segStride, c, 0, p.Panels(), dst, s.n)
			}
			b.ReportMetric(2*float64(s.m*s.n*s.segs*s.segK)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GOP/s")
		})
	}
}

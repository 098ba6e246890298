//go:build !noasm && !gccgo

package kernel

// peakFMAAVX512 performs 40*n multiply-adds of 16 values in ten independent chains.
func peakFMAAVX512(n int)

// peakFMAAVX2 performs 40*n multiply-adds of 8 values in ten independent chains.
func peakFMAAVX2(n int)

// peakReadAVX512 loads every value of x, whose length is a multiple of 128.
//
//go:noescape
func peakReadAVX512(x []float32)

// peakReadAVX2 loads every value of x, whose length is a multiple of 64.
//
//go:noescape
func peakReadAVX2(x []float32)

// peak returns the tier in force, the FLOP count of a loop of independent multiply-adds and the loop, and those
// that read x: the limits against which benchmarks hold the kernels.
func peak() (tier string, flops int, fma func(), reads []func(x []float32)) {
	const n = 1000
	switch {
	case useAVX512:
		return "avx512", 40 * n * 16 * 2, func() { peakFMAAVX512(n) }, []func(x []float32){peakReadAVX512, peakReadAVX2}
	case useAVX2:
		return "avx2", 40 * n * 8 * 2, func() { peakFMAAVX2(n) }, []func(x []float32){peakReadAVX2}
	}
	return "generic", 0, nil, nil
}

//go:build !noasm && !gccgo

package kernel

// peakFMANEON performs 24*n multiply-adds of 4 values in 24 independent chains, for a positive n.
func peakFMANEON(n int)

// peakReadNEON loads every value of x, whose length is a positive multiple of 64.
//
//go:noescape
func peakReadNEON(x []float32)

// peak returns the tier in force, the FLOP count of a loop of independent multiply-adds and the loop, and those
// that read x: the limits against which benchmarks hold the kernels.
func peak() (tier string, flops int, fma func(), reads []func(x []float32)) {
	const n = 1000
	if useNEON {
		return "neon", 24 * n * 4 * 2, func() { peakFMANEON(n) }, []func(x []float32){peakReadNEON}
	}
	return "generic", 0, nil, nil
}

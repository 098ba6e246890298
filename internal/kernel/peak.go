package kernel

// Peak returns the loops that benchmarks hold the kernels against: fma performs flops
// floating-point operations as independent multiply-adds of the widest vectors in force,
// each of reads loads every value of x, whose length is a multiple of 128; which of them is
// fastest depends on the processor and the length. On architectures without such loops flops
// is 0 and the others are nil.
func Peak() (tier string, flops int, fma func(), reads []func(x []float32)) { return peak() }

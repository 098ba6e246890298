package kernel

// Peak returns the loops that benchmarks hold the kernels against: fma performs flops
// floating-point operations as independent multiply-adds of the widest vectors in force,
// read loads every value of x, whose length is a multiple of 128. On architectures without
// such loops flops is 0 and both are nil.
func Peak() (tier string, flops int, fma func(), read func(x []float32)) { return peak() }

// Package kernel holds the numeric inner loops: slices in, slices out, one thread.
//
// Every routine is safe for concurrent use on separate destinations, allocates nothing in the steady state unless it
// says so, and returns the same bits for the same arguments on one processor tier. Callers split large work over
// several goroutines themselves: how the elements of a vector or the panels of a matrix are split between calls does
// not change a result; how the rows of a float32 matrix are split may, by rounding, because a tile's height decides how
// its sums are arranged. Splits therefore depend on shapes, never on the number of threads.
//
// Lengths: an elementwise routine works on len(dst) elements, and its inputs must be at least as long. A destination
// may be the very same slice as an input, but must not overlap one otherwise. Matrices are row-major with a leading
// dimension counted in elements. Arguments that do not fit are programming errors and panic.
//
// NaN passes through every routine, including activations, clipping, minima and maxima.
//
// Which implementation serves a routine depends on the features that package cpufeat has in force; see Kernels and
// naming.md.
package kernel

package kernel

import "github.com/aekit/aekit/internal/cpufeat"

// Choice says which implementation serves a family of kernels.
type Choice struct {
	Family string // for instance "gemm f32"
	Kernel string // tier, and tile where a family has one
}

// Kernels returns the implementation in force of every family.
func Kernels() []Choice {
	return []Choice{
		{"gemm f32", bestGemmF32().name},
		{"gemm i8", bestGemmI8().name},
		{"vector f32", vectorTier()},
	}
}

// Features returns the names of the processor features in force.
func Features() []string {
	var l []string
	for _, f := range cpufeat.List() {
		l = append(l, string(f))
	}
	return l
}

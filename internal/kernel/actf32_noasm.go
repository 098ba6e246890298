//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func eluF32(dst, x []float32, pos, neg, inv float32) { eluF32Generic(dst, x, pos, neg, inv) }
func swishF32(dst, x []float32, alpha float32)       { swishF32Generic(dst, x, alpha) }
func mishF32(dst, x []float32)                       { mishF32Generic(dst, x) }
func geluF32(dst, x []float32)                       { geluF32Generic(dst, x) }
func geluTanhF32(dst, x []float32)                   { geluTanhF32Generic(dst, x) }

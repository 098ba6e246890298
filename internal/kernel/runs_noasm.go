//go:build noasm || gccgo || !amd64

package kernel

func addRunsF32(dst []float32, ldd int, src []float32, lds, rows, n int) {
	addRunsF32Generic(dst, ldd, src, lds, rows, n)
}

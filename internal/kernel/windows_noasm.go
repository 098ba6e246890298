//go:build noasm || gccgo || !amd64

package kernel

func sumWindowsF32(dst, first []float32, step int, src []float32, at []int, lds, rows, parts int) {
	sumWindowsF32Generic(dst, first, step, src, at, lds, rows, parts)
}

//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func mulAddF32(dst, a, b []float32)             { mulAddF32Generic(dst, a, b) }
func affinesF32(dst, x, scale, shift []float32) { affinesF32Generic(dst, x, scale, shift) }
func leakyReluGradF32(dst, dy, x []float32, alpha float32) {
	leakyReluGradF32Generic(dst, dy, x, alpha)
}
func reluGradF32(dst, dy, y []float32) { reluGradF32Generic(dst, dy, y) }

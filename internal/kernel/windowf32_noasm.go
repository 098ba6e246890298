//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func sumWindowF32(dst, src []float32, a *windowArgs) { sumWindowF32Generic(dst, src, a) }
func maxWindowF32(dst, src []float32, a *windowArgs) { maxWindowF32Generic(dst, src, a) }

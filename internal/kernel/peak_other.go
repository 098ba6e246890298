//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

// peak returns no loops: the limits of this architecture are not measured.
func peak() (tier string, flops int, fma func(), reads []func(x []float32)) {
	return "", 0, nil, nil
}

//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func hasDepth3x3Q8() bool { return false }

func depth3x3RowQ8(*depth3x3Q8, int, bool) { panic("kernel: no such kernel") }

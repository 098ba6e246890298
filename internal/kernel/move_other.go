//go:build noasm || gccgo || !amd64

package kernel

func transposeU8(dst, src []uint8, rows, cols int) bool { return false }

func joinRunsU8(dst, src []uint8, lds, rows, n int) int { return 0 }

//go:build noasm || gccgo || !amd64

package kernel

func transposeU8(dst, src []uint8, rows, cols int) bool { return false }

func joinRunsU8(dst, src []uint8, lds, rows, n int) int { return 0 }

func copyRowsU8(dst []uint8, ldd int, src []uint8, lds, rows, n int, flip uint8) bool { return false }

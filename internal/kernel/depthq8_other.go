//go:build noasm || gccgo || !amd64

package kernel

func hasDepthQ8() bool { return false }

func depthRowQ8(*depthQ8, bool) { panic("kernel: no such kernel") }

func hasDepthPairsQ8() bool { return false }

func depthRowPairsQ8(*depthQ8) { panic("kernel: no such kernel") }

func quadsU8(dst *int32, a, b, c, d *uint8, n int, flip uint32) { panic("kernel: no such kernel") }

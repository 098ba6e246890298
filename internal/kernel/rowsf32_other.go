//go:build noasm || gccgo || !amd64

package kernel

func archIndirectF32(tileID, *indirectTileF32) { panic("kernel: no such tile") }

//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func archGemmQ8() []gemmQ8 { return nil }

func archTileQ8(tileID, *tileQ8) { panic("kernel: no such tile") }

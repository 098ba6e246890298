//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

var gemmI16Kernels []gemmI16

func archTileI16(tileID, *tileI16) { panic("kernel: no such tile") }

func archWinogradInput8(tileID, *winogradIn8, bool) { panic("kernel: no such kernel") }

func archWinogradOutputQ8(tileID, *winogradOutQ8) { panic("kernel: no such kernel") }

//go:build noasm || gccgo || !amd64

package kernel

// archGemmI16 is empty: without an instruction that adds pairs of 16-bit products, tiles save nothing.
func archGemmI16() []gemmI16 { return nil }

func archTileI16(tileID, *tileI16) { panic("kernel: no such tile") }

func archWinogradInput8(tileID, *winogradIn8, bool) { panic("kernel: no such kernel") }

func archWinogradOutputQ8(tileID, *winogradOutQ8) { panic("kernel: no such kernel") }

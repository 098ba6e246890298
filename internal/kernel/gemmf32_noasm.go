//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func archGemmF32() []gemmF32 { return nil }

func archTileF32(tileID, *tileF32) { panic("kernel: no such tile") }

func archGemvF32(tileID, *tileF32) { panic("kernel: no such tile") }

func packRowsF32(dst []float32, nr, k, cols int, b []float32, ldb int) {
	packRowsF32Generic(dst, nr, k, cols, b, ldb)
}

func packTransF32(dst []float32, nr, k, cols int, b []float32, ldb int) {
	packTransF32Generic(dst, nr, k, cols, b, ldb)
}

//go:build !noasm && !gccgo

package kernel

func archIndirectF32(id tileID, t *indirectTileF32) {
	switch id {
	case tileAVX512:
		indirectF32AVX512(t)
	case tileAVX2:
		indirectF32AVX2(t)
	default:
		panic("kernel: no such tile")
	}
}

// indirectF32AVX512 is indirectF32Generic for up to 10 rows and 32 columns, with fused multiply-adds.
//
//go:noescape
func indirectF32AVX512(t *indirectTileF32)

// indirectF32AVX2 is indirectF32Generic for up to 6 rows and 16 columns, with fused multiply-adds.
//
//go:noescape
func indirectF32AVX2(t *indirectTileF32)

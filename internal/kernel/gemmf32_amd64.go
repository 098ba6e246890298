//go:build !noasm && !gccgo

package kernel

const (
	tileAVX512 tileID = iota + 1
	tileAVX2
	tileAVX2x8
	tileAVX512x16
)

// archGemmF32 lists the tiles of amd64. A tile is two vectors wide: each element of a that is broadcast then serves two
// multiply-adds, and the height is what the registers leave. 28 sums, two vectors of b and two broadcasts make 32; 12,
// two and two make 16.
func archGemmF32() []gemmF32 {
	half, quarter := tileShape{id: tileAVX512x16, mr: 28, nr: 16}, tileShape{id: tileAVX2x8, mr: 12, nr: 8}
	return []gemmF32{
		{name: "avx512-14x32", id: tileAVX512, use: &useAVX512, mr: 14, nr: 32, aliasMR: min(14, l1Ways()), rowsMR: 10, gemv: true, slice: inL2, rows: mostL2,
			narrow: []tileShape{half, quarter}},
		{name: "avx2-6x16", id: tileAVX2, use: &useAVX2, mr: 6, nr: 16, rowsMR: 6, gemv: true, slice: inL2, rows: rowBlockBytes,
			narrow: []tileShape{quarter}},
	}
}

func archTileF32(id tileID, t *tileF32) {
	switch id {
	case tileAVX512:
		tileF32AVX512(t)
	case tileAVX2:
		tileF32AVX2(t)
	case tileAVX2x8:
		narrowF32AVX2(t)
	case tileAVX512x16:
		narrowF32AVX512(t)
	default:
		panic("kernel: no such tile")
	}
}

func archGemvF32(id tileID, t *tileF32) {
	if id == tileAVX512 {
		gemvF32AVX512(t)
	} else {
		gemvF32AVX2(t)
	}
}

// gemvF32AVX512 is tileF32AVX512 of one row, with ks = 1 and bs = 32, for each of the consecutive panels of t.cols
// columns. It changes c, bias and cols of t.
//
//go:noescape
func gemvF32AVX512(t *tileF32)

// gemvF32AVX2 is tileF32AVX2 of one row, with ks = 1 and bs = 16, for each of the consecutive panels of t.cols columns.
// It changes c, bias and cols of t.
//
//go:noescape
func gemvF32AVX2(t *tileF32)

// tileF32AVX512 is tileF32Generic for up to 14 rows and 32 columns, with fused multiply-adds.
//
//go:noescape
func tileF32AVX512(t *tileF32)

// tileF32AVX2 is tileF32Generic for up to 6 rows and 16 columns, with fused multiply-adds.
//
//go:noescape
func tileF32AVX2(t *tileF32)

// narrowF32AVX2 is tileF32Generic for up to 12 rows and 8 columns, with fused multiply-adds.
//
//go:noescape
func narrowF32AVX2(t *tileF32)

// narrowF32AVX512 is tileF32Generic for up to 28 rows and 16 columns, with fused multiply-adds.
//
//go:noescape
func narrowF32AVX512(t *tileF32)

// packRowsF32 copies whole rows of a panel as arrays, whose size the compiler knows.
func packRowsF32(dst []float32, nr, k, cols int, b []float32, ldb int) {
	switch {
	case cols == 16 && nr == 16:
		for p := range k {
			*(*[16]float32)(dst[p*16:]) = [16]float32(b[p*ldb:])
		}
	case cols == 32 && nr == 32:
		for p := range k {
			*(*[32]float32)(dst[p*32:]) = [32]float32(b[p*ldb:])
		}
	default:
		packRowsF32Generic(dst, nr, k, cols, b, ldb)
	}
}

func packTransF32(dst []float32, nr, k, cols int, b []float32, ldb int) {
	k8 := k &^ 7
	if !useAVX2 || k8 == 0 || cols < 8 {
		packTransF32Generic(dst, nr, k, cols, b, ldb)
		return
	}
	if cols < nr {
		clear(dst[:k*nr])
	}
	j := 0
	for ; j+8 <= cols; j += 8 {
		transpose8F32AVX2(&dst[j], nr, k8, &b[j*ldb], ldb)
		for i := j; i < j+8; i++ {
			for p, v := range b[i*ldb:][k8:k] {
				dst[(k8+p)*nr+i] = v
			}
		}
	}
	for ; j < cols; j++ {
		for p, v := range b[j*ldb:][:k] {
			dst[p*nr+j] = v
		}
	}
}

// transpose8F32AVX2 is
//
//	for p := range k {
//		for j := range 8 {
//			dst[p*nr+j] = b[j*ldb+p]
//		}
//	}
//
// for k a positive multiple of 8.
//
//go:noescape
func transpose8F32AVX2(dst *float32, nr, k int, b *float32, ldb int)

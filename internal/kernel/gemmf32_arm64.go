//go:build !noasm && !gccgo

package kernel

const (
	tileNEON tileID = iota + 1
	tileDotProd
	tileI8MM
)

const neonMR, neonNR = 4, 16

func archGemmF32() []gemmF32 {
	return []gemmF32{{name: "neon-4x16", id: tileNEON, use: &useNEON, mr: neonMR, nr: neonNR, slice: inL1, rows: rowBlockBytes}}
}

// tileF32NEON is tileF32Generic for 1 to 4 rows and 1 to 16 columns, with fused multiply-adds. It reads and
// writes all columns of c and bias up to the next multiple of 4.
//
//go:noescape
func tileF32NEON(t *tileF32)

func archGemvF32(tileID, *tileF32) { panic("kernel: no such tile") }

func archTileF32(_ tileID, t *tileF32) {
	if t.cols%4 == 0 {
		tileF32NEON(t)
		return
	}
	// A narrow tile works on a copy of its part of c.
	var c [neonMR * neonNR]float32
	var bias [neonNR]float32
	u := *t
	u.c, u.cs = &c[0], neonNR
	if t.acc == 1 {
		copyRows(&c[0], neonNR, t.c, t.cs, t.rows, t.cols)
	}
	if t.bias != nil {
		copyRows(&bias[0], neonNR, t.bias, 0, 1, t.cols)
		u.bias = &bias[0]
	}
	tileF32NEON(&u)
	copyRows(t.c, t.cs, &c[0], neonNR, t.rows, t.cols)
}

func packRowsF32(dst []float32, nr, k, cols int, b []float32, ldb int) {
	if nr != neonNR || cols != neonNR {
		packRowsF32Generic(dst, nr, k, cols, b, ldb)
		return
	}
	for p := range k {
		*(*[neonNR]float32)(dst[p*neonNR:]) = *(*[neonNR]float32)(b[p*ldb:])
	}
}

// packTransF32NEON is
//
//	for p := range k {
//		for j := range 4 {
//			dst[p*nr+j] = b[j*ldb+p]
//		}
//	}
//
// for a positive k that is a multiple of 4.
//
//go:noescape
func packTransF32NEON(dst, b *float32, nr, ldb, k int)

func packTransF32(dst []float32, nr, k, cols int, b []float32, ldb int) {
	if !useNEON || nr != neonNR || cols != neonNR {
		packTransF32Generic(dst, nr, k, cols, b, ldb)
		return
	}
	k4 := k &^ 3
	for j := 0; j < neonNR; j += 4 {
		if k4 > 0 {
			packTransF32NEON(&dst[j], &b[j*ldb], neonNR, ldb, k4)
		}
		for p := k4; p < k; p++ {
			for i := range 4 {
				dst[p*neonNR+j+i] = b[(j+i)*ldb+p]
			}
		}
	}
}

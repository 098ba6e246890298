//go:build !noasm && !gccgo

package kernel

const longMR, longNR = 4, 4

func archGemmI8() []gemmI8 {
	return []gemmI8{
		{name: "i8mm-4x16", id: tileI8MM, use: &useI8MM, mr: neonMR, nr: neonNR, kr: 8, a: leftU8, b: panelI8},
		{name: "dotprod-4x16", id: tileDotProd, use: &useDotProd, mr: neonMR, nr: neonNR, kr: 4, a: leftS8, b: panelI8},
		{name: "neon-4x4", id: tileNEON, use: &useNEON, mr: longMR, nr: longNR, kr: 16, a: leftS8, b: panelI8},
	}
}

// tileI8I8MM is the loop of tileI8Generic for unsigned a, kr = 8, 1 to 4 rows and 1 to 16 columns. It reads and
// writes all columns of c and init up to the next multiple of 4.
//
//go:noescape
func tileI8I8MM(t *tileI8)

// tileI8DotProd is the loop of tileI8Generic for kr = 4, 1 to 4 rows and 1 to 16 columns. It reads and writes all
// columns of c and init up to the next multiple of 4.
//
//go:noescape
func tileI8DotProd(t *tileI8)

// tileI8NEON is the loop of tileI8Generic for kr = 16, 1 to 4 rows and 1 to 4 columns. It reads and writes all four
// columns of c and init, whatever t.cols is.
//
//go:noescape
func tileI8NEON(t *tileI8)

func archTileI8(id tileID, t *tileI8) {
	nr := neonNR
	if id == tileNEON {
		nr = longNR
	}
	if t.cols%4 == 0 {
		fullTileI8(id, t)
		return
	}
	// A narrow tile works on a copy of its part of c.
	var c [neonMR * neonNR]int32
	var init [neonNR]int32
	u := *t
	u.c, u.cs = &c[0], nr
	if t.acc == 1 {
		copyRows(&c[0], nr, t.c, t.cs, t.rows, t.cols)
	}
	if t.init != nil {
		copyRows(&init[0], nr, t.init, 0, 1, t.cols)
		u.init = &init[0]
	}
	fullTileI8(id, &u)
	copyRows(t.c, t.cs, &c[0], nr, t.rows, t.cols)
}

func fullTileI8(id tileID, t *tileI8) {
	switch id {
	case tileI8MM:
		tileI8I8MM(t)
	case tileDotProd:
		tileI8DotProd(t)
	default:
		tileI8NEON(t)
	}
}

func widen(dst []int16, src []uint8, zero int16, signed bool) { widenGeneric(dst, src, zero, signed) }

// requantU8NEON is requantU8Generic.
//
//go:noescape
func requantU8NEON(dst []uint8, acc, bias []int32, mult []float32, zp, lo, hi int32)

func requantU8(dst []uint8, acc, bias []int32, mult []float32, zp, lo, hi int32) {
	if useNEON {
		requantU8NEON(dst, acc, bias, mult, zp, lo, hi)
		return
	}
	requantU8Generic(dst, acc, bias, mult, zp, lo, hi)
}

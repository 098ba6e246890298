//go:build !noasm && !gccgo

package kernel

func archGemmQ8() []gemmQ8 {
	return []gemmQ8{
		{name: "i8mm-4x16", id: tileI8MM, use: &useI8MM, mr: neonMR, nr: neonNR, kr: 8, a: leftU8},
		{name: "dotprod-4x16", id: tileDotProd, use: &useDotProd, mr: neonMR, nr: neonNR, kr: 4, a: leftS8},
		{name: "neon-4x4", id: tileNEON, use: &useNEON, mr: longMR, nr: longNR, kr: 16, a: leftS8},
	}
}

func archTileQ8(id tileID, t *tileQ8) {
	switch id {
	case tileI8MM:
		tileQ8I8MM(t)
	case tileDotProd:
		tileQ8DotProd(t)
	case tileNEON:
		tileQ8NEON(t)
	default:
		panic("kernel: no such tile")
	}
}

// tileQ8DotProd is, for int8 rows, kr = 4, nr = 16 and up to 4 rows,
//
//	for p := range panels {
//		for i := range rows {
//			for j := range cols {
//				s := init[p*nr+j]
//				for g := range segs*k*kr {
//					s += int32(a[i*rs+g/(k*kr)*(k*kr+skip)+g%(k*kr)]) * int32(b[p][g/kr*nr*kr+j*kr+g%kr])
//				}
//				v := float32(s)*scale[p*nr+j]
//				v = min(max(v, lo), hi) // lo where it is NaN, if nan is set
//				dst[i*ds+p*nr+j] = uint8(int32(roundHalfEven(v)) + zero)
//			}
//		}
//	}
//
// It writes nr columns, whatever cols is.
//
//go:noescape
func tileQ8DotProd(t *tileQ8)

// tileQ8I8MM is the loop of tileQ8DotProd for uint8 rows and kr = 8.
//
//go:noescape
func tileQ8I8MM(t *tileQ8)

// tileQ8NEON is the loop of tileQ8DotProd for kr = 16 and nr = 4, where low says whether b may hold -128.
//
//go:noescape
func tileQ8NEON(t *tileQ8)

//go:build !noasm && !gccgo

package kernel

import "github.com/aekit/aekit/internal/cpufeat"

const (
	tilePairs tileID = iota + 20
	tileAVXVNNI
	tileVNNI4
	tileVNNI8
	tileVNNI12
)

var useAVXVNNI = cpufeat.Has(cpufeat.AVXVNNI)

func archGemmQ8() []gemmQ8 {
	return []gemmQ8{
		{name: "vnni-14x4", id: tileVNNI4, use: &useVNNI, mr: 14, nr: 4, kr: 16, a: leftU8, exact: true, narrow: true},
		{name: "vnni-14x8", id: tileVNNI8, use: &useVNNI, mr: 14, nr: 8, kr: 16, a: leftU8, exact: true, narrow: true},
		{name: "vnni-9x12", id: tileVNNI12, use: &useVNNI, mr: 9, nr: 12, kr: 16, a: leftU8, exact: true, narrow: true},
		{name: "vnni-14x32", id: tileVNNI, use: &useVNNI, mr: 14, nr: 32, kr: 4, a: leftU8, exact: true, two: true, chain: true},
		{name: "avxvnni-6x16", id: tileAVXVNNI, use: &useAVXVNNI, mr: 6, nr: 16, kr: 4, a: leftU8, two: true},
		{name: "avx2-pairs-5x16", id: tilePairs, use: &useAVX2I8, mr: 5, nr: 16, kr: 4, a: leftU8, pairs: true, two: true},
		{name: "avx2-6x16", id: tileWide, use: &useAVX2I8, mr: 6, nr: 16, kr: 2, a: leftI16, two: true},
	}
}

func archTileQ8(id tileID, t *tileQ8) {
	switch id {
	case tileVNNI:
		tileQ8VNNI(t)
	case tileVNNI4:
		tileQ8VNNI4(t)
	case tileVNNI8:
		tileQ8VNNI8(t)
	case tileVNNI12:
		tileQ8VNNI12(t)
	case tileAVXVNNI:
		tileQ8AVXVNNI(t)
	case tilePairs:
		tileQ8Pairs(t)
	case tileWide:
		tileQ8AVX2(t)
	default:
		panic("kernel: no such tile")
	}
}

// tileQ8AVX2 is, for int16 rows, kr = 2, nr = 16 and up to 6 rows,
//
//	for p := range panels {
//		for i := range rows {
//			for j := range nr {
//				s := init[p*nr+j]
//				for g := range segs*k*kr {
//					s += int32(a[i*rs+g/(k*kr)*(k*kr+skip)+g%(k*kr)]) * int32(b[p][g/kr*nr*kr+j*kr+g%kr])
//				}
//				v := min(max(float32(s)*scale[p*nr+j], lo), hi) // lo where it is NaN
//				dst[i*ds+p*nr+j] = uint8(int32(roundHalfEven(v)) + zero)
//			}
//		}
//	}
//
// It changes t.panels and t.column.
//
//go:noescape
func tileQ8AVX2(t *tileQ8)

// tileQ8Pairs is the loop of tileQ8AVX2 for uint8 rows, kr = 4 and up to 5 rows, where 255 times the sum of the positive
// or of the negative ones of steps 0 and 1, or 2 and 3, of a group fits in 16 bits.
//
//go:noescape
func tileQ8Pairs(t *tileQ8)

// tileQ8AVXVNNI is the loop of tileQ8AVX2 for uint8 rows and kr = 4.
//
//go:noescape
func tileQ8AVXVNNI(t *tileQ8)

// tileQ8VNNI is the loop of tileQ8AVX2 for uint8 rows, kr = 4, nr = 32 and up to 14 rows. It writes cols columns, and does
// not bound products where fits is set but saturates.
//
//go:noescape
func tileQ8VNNI(t *tileQ8)

// tileQ8VNNI4 is tileQ8VNNI for kr = 16, nr = 4 and one panel.
//
//go:noescape
func tileQ8VNNI4(t *tileQ8)

// tileQ8VNNI8 is tileQ8VNNI for kr = 16, nr = 8 and one panel.
//
//go:noescape
func tileQ8VNNI8(t *tileQ8)

// tileQ8VNNI12 is tileQ8VNNI for kr = 16, nr = 12, one panel and up to 9 rows.
//
//go:noescape
func tileQ8VNNI12(t *tileQ8)

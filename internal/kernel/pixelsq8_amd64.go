//go:build !noasm && !gccgo

package kernel

import "fmt"

func archPixelsQ8() []gemmQ8 {
	var list []gemmQ8
	for n, mr := range []int{32, 32, 32, 16} {
		n++
		list = append(list, gemmQ8{name: fmt.Sprintf("vnni-64x%d", n), id: tileVNNI, use: &useVNNI, mr: 64, nr: n, kr: 4, a: leftU8},
			gemmQ8{name: fmt.Sprintf("avxvnni-%dx%d", mr, n), id: tileAVXVNNI, use: &useAVXVNNI, mr: mr, nr: n, kr: 4, a: leftU8},
			gemmQ8{name: fmt.Sprintf("avx2-16x%d", n), id: tileWide, use: &useAVX2I8, mr: 16, nr: n, kr: 4, a: leftU8})
	}
	return list
}

func runPixelsQ8(g *gemmQ8, t *pixelsQ8) {
	switch g.id {
	case tileVNNI:
		switch g.nr {
		case 1:
			pixelsQ8VNNI1(t)
		case 2:
			pixelsQ8VNNI2(t)
		case 3:
			pixelsQ8VNNI3(t)
		default:
			pixelsQ8VNNI4(t)
		}
	case tileAVXVNNI:
		switch g.nr {
		case 1:
			pixelsQ8AVXVNNI1(t)
		case 2:
			pixelsQ8AVXVNNI2(t)
		case 3:
			pixelsQ8AVXVNNI3(t)
		default:
			pixelsQ8AVXVNNI4(t)
		}
	default:
		switch g.nr {
		case 1:
			pixelsQ8AVX2_1(t)
		case 2:
			pixelsQ8AVX2_2(t)
		case 3:
			pixelsQ8AVX2_3(t)
		default:
			pixelsQ8AVX2_4(t)
		}
	}
}

// pixelsQ8VNNI1 is, for one column,
//
//	for v := range 4 {
//		for i := range 16 {
//			for j := range cols {
//				s := init[j]
//				for k := range steps {
//					for b := range 4 {
//						s += int32(byte 4*i+b of x[v]+offs[k]) * int32(w[k][j][b])
//					}
//				}
//				r := min(max(float32(s)*scale[j], lo), hi) // lo where it is NaN; where fits is set, the result saturates instead
//				dst[v][j*plane+i] = uint8(int32(roundHalfEven(r)) + words) ^ uint8(flip)
//			}
//		}
//	}
//
//go:noescape
func pixelsQ8VNNI1(t *pixelsQ8)

// pixelsQ8VNNI2 is pixelsQ8VNNI1 for two columns.
//
//go:noescape
func pixelsQ8VNNI2(t *pixelsQ8)

// pixelsQ8VNNI3 is pixelsQ8VNNI1 for three columns.
//
//go:noescape
func pixelsQ8VNNI3(t *pixelsQ8)

// pixelsQ8VNNI4 is pixelsQ8VNNI1 for four columns.
//
//go:noescape
func pixelsQ8VNNI4(t *pixelsQ8)

// pixelsQ8AVXVNNI1 is pixelsQ8VNNI1.
//
//go:noescape
func pixelsQ8AVXVNNI1(t *pixelsQ8)

// pixelsQ8AVXVNNI2 is pixelsQ8VNNI2.
//
//go:noescape
func pixelsQ8AVXVNNI2(t *pixelsQ8)

// pixelsQ8AVXVNNI3 is pixelsQ8VNNI3.
//
//go:noescape
func pixelsQ8AVXVNNI3(t *pixelsQ8)

// pixelsQ8AVXVNNI4 is pixelsQ8VNNI4.
//
//go:noescape
func pixelsQ8AVXVNNI4(t *pixelsQ8)

// pixelsQ8AVX2_1 is pixelsQ8VNNI1.
//
//go:noescape
func pixelsQ8AVX2_1(t *pixelsQ8)

// pixelsQ8AVX2_2 is pixelsQ8VNNI2.
//
//go:noescape
func pixelsQ8AVX2_2(t *pixelsQ8)

// pixelsQ8AVX2_3 is pixelsQ8VNNI3.
//
//go:noescape
func pixelsQ8AVX2_3(t *pixelsQ8)

// pixelsQ8AVX2_4 is pixelsQ8VNNI4.
//
//go:noescape
func pixelsQ8AVX2_4(t *pixelsQ8)

// run is Run for the sizes that there are vectors for. It reports whether it was one.
func (v *Interleaver8) run(dst, src []uint8, plane, count int) bool {
	switch {
	case v.n == 3 && useAVX2I8 && count >= 32:
		pixels3U8AVX2(&dst[0], &src[0], plane, count)
	case useVBMI && (v.n-1)*plane+roundUp(count, 64) <= len(src):
		interleaveU8VBMI(&dst[0], &src[0], plane, v.n, v.n*count, &v.table[0])
	default:
		return false
	}
	return true
}

// HasInterleave8 reports whether there are vectors for runs of n planes of 32 bytes and more.
func HasInterleave8(n int) bool { return n == 1 || n == 3 && useAVX2I8 || useVBMI }

// interleaveU8VBMI is Interleaver8.Run for a number of bytes of dst, at least 1; it reads planes to a multiple of 64 bytes.
//
//go:noescape
func interleaveU8VBMI(dst, src *uint8, plane, n, bytes int, table *uint8)

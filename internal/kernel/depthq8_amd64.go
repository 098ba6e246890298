//go:build !noasm && !gccgo

package kernel

func hasDepthQ8() bool { return useVNNI || useAVXVNNI }

func depthRowQ8(t *depthQ8, sliding bool) {
	sliding = sliding && t.n >= 8
	switch {
	case useVNNI && sliding:
		depthQ8VNNI3(t)
	case useVNNI:
		depthQ8VNNI(t)
	case sliding:
		t.vectors *= 2
		depthQ8AVXVNNI3(t)
	default:
		t.vectors *= 2
		depthQ8AVXVNNI(t)
	}
}

// depthQ8VNNI3 is depthQ8VNNI for three taps with offs[k].X = offs[0].X+k*step/4, and n of at least 8.
//
//go:noescape
func depthQ8VNNI3(t *depthQ8)

// depthQ8VNNI is, for c = 16*vectors,
//
//	for i := range n {
//		for j := range c {
//			s := init[j]
//			for k := range taps {
//				for b := range 4 {
//					s += int32(byte b of x[i*step/4+offs[k].X+j]) * int32(signed byte b of w[offs[k].W+j])
//				}
//			}
//			v := min(max(float32(s)*scale[j], lo), hi) // lo where it is NaN; where fits is set, the result saturates instead
//			y[i*stride+j] = uint8(int32(roundHalfEven(v)) + words) ^ uint8(flip)
//		}
//	}
//
// It changes t.vectors and t.column.
//
//go:noescape
func depthQ8VNNI(t *depthQ8)

// depthQ8AVXVNNI3 is depthQ8VNNI3 for c = 8*vectors.
//
//go:noescape
func depthQ8AVXVNNI3(t *depthQ8)

// depthQ8AVXVNNI is depthQ8VNNI for c = 8*vectors.
//
//go:noescape
func depthQ8AVXVNNI(t *depthQ8)

func hasDepthPairsQ8() bool { return useAVX2I8 }

func depthRowPairsQ8(t *depthQ8) { depthPairsQ8AVX2(t) }

// depthPairsQ8AVX2 is depthQ8VNNI for the two signed words of x[…] and w[…] in place of four bytes, and c = 8*vectors.
//
//go:noescape
func depthPairsQ8AVX2(t *depthQ8)

func quadsU8(dst *int32, a, b, c, d *uint8, n int, flip uint32) {
	if useAVX512I8 {
		quadsU8AVX512(dst, a, b, c, d, n, flip)
		return
	}
	quadsU8AVX2(dst, a, b, c, d, n, flip)
}

// quadsU8AVX512 is for i := range n { dst[i] = (a[i] | b[i]<<8 | c[i]<<16 | d[i]<<24) ^ flip }, for n of at least 64.
//
//go:noescape
func quadsU8AVX512(dst *int32, a, b, c, d *uint8, n int, flip uint32)

// quadsU8AVX2 is quadsU8AVX512 for n of at least 32.
//
//go:noescape
func quadsU8AVX2(dst *int32, a, b, c, d *uint8, n int, flip uint32)

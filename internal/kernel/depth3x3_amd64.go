//go:build !noasm && !gccgo

package kernel

func hasDepth3x3Q8() bool { return useAVX2I8 }

func depth3x3RowQ8(t *depth3x3Q8, step int, signed bool) {
	switch {
	case signed && step == 1:
		depth3x3S8Stride1AVX2(t)
	case signed:
		depth3x3S8Stride2AVX2(t)
	case step == 1:
		depth3x3U8Stride1AVX2(t)
	default:
		depth3x3U8Stride2AVX2(t)
	}
}

// depth3x3U8Stride1AVX2 is, for c = 8*groups and step = 1,
//
//	for i := range n {
//		for j := range c {
//			s := bias[j]
//			for k := range 9 {
//				s += (int32(rows[k/3][(i*step+k%3)*gap+j]) - xZero) * int32(w[j/8][k][j%8])
//			}
//			v := min(max(float32(s)*scale[j], lo), hi) // lo where it is NaN
//			y[i*stride+j] = uint8(int32(roundHalfEven(v)) + zero)
//		}
//	}
//
//go:noescape
func depth3x3U8Stride1AVX2(t *depth3x3Q8)

// depth3x3U8Stride2AVX2 is depth3x3U8Stride1AVX2 for step = 2.
//
//go:noescape
func depth3x3U8Stride2AVX2(t *depth3x3Q8)

// depth3x3S8Stride1AVX2 is depth3x3U8Stride1AVX2 for int8 values.
//
//go:noescape
func depth3x3S8Stride1AVX2(t *depth3x3Q8)

// depth3x3S8Stride2AVX2 is depth3x3S8Stride1AVX2 for step = 2.
//
//go:noescape
func depth3x3S8Stride2AVX2(t *depth3x3Q8)

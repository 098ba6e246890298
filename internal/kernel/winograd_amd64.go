//go:build !noasm && !gccgo

package kernel

func winogradInputF32(dst *float32, ldf int, src *float32, row, pix, n, c int) {
	switch {
	case useAVX512:
		winogradInputF32AVX512(dst, ldf, src, row, pix, n, c)
	case useAVX2:
		winogradInputF32AVX2(dst, ldf, src, row, pix, n, c)
	default:
		winogradInputF32Generic(dst, ldf, src, row, pix, n, c)
	}
}

func winogradOutputF32(t *winogradOut) {
	switch {
	case useAVX512:
		winogradOutputF32AVX512(t)
	case useAVX2:
		winogradOutputF32AVX2(t)
	default:
		winogradOutputF32Generic(t)
	}
}

// winogradInputF32AVX2 is winogradInputF32Generic.
//
//go:noescape
func winogradInputF32AVX2(dst *float32, ldf int, src *float32, row, pix, n, c int)

// winogradInputF32AVX512 is winogradInputF32Generic.
//
//go:noescape
func winogradInputF32AVX512(dst *float32, ldf int, src *float32, row, pix, n, c int)

// winogradOutputF32AVX2 is winogradOutputF32Generic.
//
//go:noescape
func winogradOutputF32AVX2(t *winogradOut)

// winogradOutputF32AVX512 is winogradOutputF32Generic.
//
//go:noescape
func winogradOutputF32AVX512(t *winogradOut)

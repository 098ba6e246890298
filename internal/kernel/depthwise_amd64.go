//go:build !noasm && !gccgo

package kernel

func depthRowF32(t *depthF32) {
	switch {
	case useAVX512:
		depthF32AVX512(t)
	case useAVX2:
		depthF32AVX2(t)
	default:
		depthRowF32Generic(t)
	}
}

func depthRowI16(t *depthI16) {
	switch {
	case useAVX512:
		depthI16AVX512(t)
	case useAVX2:
		depthI16AVX2(t)
	default:
		depthRowI16Generic(t)
	}
}

func pairsI16(dst []int32, a, b []uint8, signed bool, zero int32) {
	n := len(dst) &^ 7
	if useAVX2 && n > 0 {
		form := 0
		if signed {
			form = 1
		}
		pairI16AVX2(&dst[0], &a[0], &b[0], n, form, zero)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
	pairsI16Generic(dst, a, b, signed, zero)
}

// pairI16AVX2 is pairsI16Generic for n values, a positive multiple of eight; signed is 0 or 1.
//
//go:noescape
func pairI16AVX2(dst *int32, a, b *uint8, n, signed int, zero int32)

// depthF32AVX2 is depthRowF32Generic with fused multiply-adds.
//
//go:noescape
func depthF32AVX2(t *depthF32)

// depthF32AVX512 is depthRowF32Generic with fused multiply-adds.
//
//go:noescape
func depthF32AVX512(t *depthF32)

// depthI16AVX2 is depthRowI16Generic.
//
//go:noescape
func depthI16AVX2(t *depthI16)

// depthI16AVX512 is depthRowI16Generic.
//
//go:noescape
func depthI16AVX512(t *depthI16)

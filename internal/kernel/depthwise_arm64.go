//go:build !noasm && !gccgo

package kernel

func depthRowF32(t *depthF32) {
	if useNEON {
		depthF32NEON(t)
		return
	}
	depthRowF32Generic(t)
}

func depthRowI16(t *depthI16) {
	if useNEON {
		depthI16NEON(t)
		return
	}
	depthRowI16Generic(t)
}

func pairsI16(dst []int32, a, b []uint8, signed bool, zero int32) {
	pairsI16Generic(dst, a, b, signed, zero)
}

// depthF32NEON is depthRowF32Generic with fused multiply-adds.
//
//go:noescape
func depthF32NEON(t *depthF32)

// depthI16NEON is depthRowI16Generic.
//
//go:noescape
func depthI16NEON(t *depthI16)

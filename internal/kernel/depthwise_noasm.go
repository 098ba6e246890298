//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func depthRowF32(t *depthF32) { depthRowF32Generic(t) }

func depthRowI16(t *depthI16) { depthRowI16Generic(t) }

func pairsI16(dst []int32, a, b []uint8, signed bool, zero int32) {
	pairsI16Generic(dst, a, b, signed, zero)
}

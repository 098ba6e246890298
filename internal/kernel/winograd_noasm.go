//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func winogradInputF32(dst *float32, ldf int, src *float32, row, pix, n, c int) {
	winogradInputF32Generic(dst, ldf, src, row, pix, n, c)
}

func winogradOutputF32(t *winogradOut) { winogradOutputF32Generic(t) }

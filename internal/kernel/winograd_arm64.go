//go:build !noasm && !gccgo

package kernel

func winogradInputF32(dst *float32, ldf int, src *float32, row, pix, n, c int) {
	if useNEON {
		winogradInputF32NEON(dst, ldf, src, row, pix, n, c)
		return
	}
	winogradInputF32Generic(dst, ldf, src, row, pix, n, c)
}

func winogradOutputF32(t *winogradOut) {
	if useNEON {
		winogradOutputF32NEON(t)
		return
	}
	winogradOutputF32Generic(t)
}

// winogradInputF32NEON is winogradInputF32Generic.
//
//go:noescape
func winogradInputF32NEON(dst *float32, ldf int, src *float32, row, pix, n, c int)

// winogradOutputF32NEON is winogradOutputF32Generic.
//
//go:noescape
func winogradOutputF32NEON(t *winogradOut)

package kernel

import "unsafe"

func winogradInputF32Generic(dst *float32, ldf int, src *float32, row, pix, n, c int) {
	d := unsafe.Slice(dst, (WinogradTaps-1)*ldf+n*c)
	s := unsafe.Slice(src, 3*row+(2*n+1)*pix+c)
	for t := range n {
		for i := range c {
			var h [4][4]float32
			for y := range 4 {
				at := y*row + 2*t*pix + i
				a, b, c, d := s[at], s[at+pix], s[at+2*pix], s[at+3*pix]
				h[y] = [4]float32{a - c, b + c, c - b, b - d}
			}
			at := t*c + i
			for x := range 4 {
				d[at+x*ldf] = h[0][x] - h[2][x]
				d[at+(4+x)*ldf] = h[1][x] + h[2][x]
				d[at+(8+x)*ldf] = h[2][x] - h[1][x]
				d[at+(12+x)*ldf] = h[1][x] - h[3][x]
			}
		}
	}
}

func winogradOutputF32Generic(t *winogradOut) {
	d := unsafe.Slice(t.dst, t.row+(2*t.n-1)*t.pix+t.c)
	s := unsafe.Slice(t.src, (WinogradTaps-1)*t.ldf+(t.n-1)*t.lds+t.c)
	bias := unsafe.Slice(t.bias, t.c)
	for tile := range t.n {
		for i, b := range bias {
			var h [4][2]float32
			for y := range 4 {
				at := 4*y*t.ldf + tile*t.lds + i
				m0, m1, m2, m3 := s[at], s[at+t.ldf], s[at+2*t.ldf], s[at+3*t.ldf]
				h[y] = [2]float32{m0 + m1 + m2, m1 - m2 - m3}
			}
			for x := range 2 {
				at := (2*tile+x)*t.pix + i
				d[at] = activate1(h[0][x]+h[1][x]+h[2][x]+b, Act(t.act), t.alpha, t.lo, t.hi)
				d[at+t.row] = activate1(h[1][x]-h[2][x]-h[3][x]+b, Act(t.act), t.alpha, t.lo, t.hi)
			}
		}
	}
}

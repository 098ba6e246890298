package kernel

import "unsafe"

// slices returns what the pointers of t refer to, for tiles of side×side positions.
func (t *halving) slices(side int) (wide, tall []float32) {
	wide = unsafe.Slice(t.wide, (side-1)*t.row+(2*t.n+side-3)*t.pix+t.c)
	tall = unsafe.Slice(t.tall, (HalvingTaps-1)*t.ldf+(t.n-1)*t.lds+t.c)
	return wide, tall
}

func halvingInputF32Generic(t *halving) {
	s, d := t.slices(3)
	for tile := range t.n {
		for i := range t.c {
			var h [3][3]float32
			for y := range h {
				at := y*t.row + 2*tile*t.pix + i
				a, b, c := s[at], s[at+t.pix], s[at+2*t.pix]
				h[y] = [3]float32{a - b, b, c - b}
			}
			at := tile*t.lds + i
			for x := range 3 {
				d[at+x*t.ldf] = h[0][x] - h[1][x]
				d[at+(3+x)*t.ldf] = h[1][x]
				d[at+(6+x)*t.ldf] = h[2][x] - h[1][x]
			}
		}
	}
}

func halvingFilterF32Generic(t *halving) {
	s, d := t.slices(2)
	for tile := range t.n {
		for i := range t.c {
			var h [2][3]float32
			for y := range h {
				at := y*t.row + 2*tile*t.pix + i
				a, b := s[at], s[at+t.pix]
				h[y] = [3]float32{a, a + b, b}
			}
			at := tile*t.lds + i
			for x := range 3 {
				d[at+x*t.ldf] = h[0][x]
				d[at+(3+x)*t.ldf] = h[0][x] + h[1][x]
				d[at+(6+x)*t.ldf] = h[1][x]
			}
		}
	}
}

func halvingOutputF32Generic(t *halving) {
	d, s := t.slices(2)
	bias := unsafe.Slice(t.bias, t.c)
	for tile := range t.n {
		for i, b := range bias {
			var h [3][2]float32
			for y := range h {
				at := 3*y*t.ldf + tile*t.lds + i
				m0, m1, m2 := s[at], s[at+t.ldf], s[at+2*t.ldf]
				h[y] = [2]float32{m0 + m1, m1 + m2}
			}
			for x := range 2 {
				at := (2*tile+x)*t.pix + i
				d[at] = activate1(h[0][x]+h[1][x]+b, Act(t.act), t.alpha, t.lo, t.hi)
				d[at+t.row] = activate1(h[1][x]+h[2][x]+b, Act(t.act), t.alpha, t.lo, t.hi)
			}
		}
	}
}

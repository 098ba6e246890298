package kernel

import (
	"math/bits"
	"unsafe"
)

// tileI16Generic is the reference of the products, for panels of nr columns and steps of kr channels.
func tileI16Generic(t *tileI16, nr, kr int) {
	size := kr * t.k * nr
	b := unsafe.Slice(t.b, t.taps*t.panels*size)
	a := unsafe.Slice(t.a, ((t.taps-1)*t.tapA+(t.rows-1)*t.rs)/2+kr*t.k)
	width := t.panels * nr
	tapC := t.tapC/4 + width
	c := unsafe.Slice(t.c, (t.taps-1)*tapC+(t.rows-1)*t.cs/4+width)
	for f := range t.taps {
		for i := range t.rows {
			row := a[(f*t.tapA+i*t.rs)/2:][:kr*t.k]
			for j := range width {
				w := b[(f*t.panels+j/nr)*size+kr*(j%nr):]
				sum := int32(0)
				for q, v := range row {
					sum += int32(v) * int32(w[q/kr*kr*nr+q%kr])
				}
				c[f*tapC+i*t.cs/4+j] = sum
			}
		}
	}
}

// wrapSteps is how many products of transformed values, of magnitudes up to 25,500, and weights, up to 6,272, fit in 31 bits
// together.
const wrapSteps = 13

// tileI16Generic4x4 is tileI16Generic for up to 4 rows of transformed values, panels of 4 columns of transformed weights, and
// single channels.
func tileI16Generic4x4(t *tileI16) {
	panel := 0
	c := unsafe.Slice(t.c, (t.taps-1)*(t.tapC/4+4*t.panels)+(t.rows-1)*t.cs/4+4*t.panels)
	for f := range t.taps {
		var rows [4][]int16
		for i := range rows {
			a := unsafe.Add(unsafe.Pointer(t.a), f*t.tapA+min(i, t.rows-1)*t.rs)
			rows[i] = unsafe.Slice((*int16)(a), t.k)
		}
		for p := range t.panels {
			b := unsafe.Slice((*[4]int16)(unsafe.Add(unsafe.Pointer(t.b), 8*t.k*panel)), t.k)
			panel++
			var s [4][4]int32
			if bits.UintSize == 64 {
				intDot4x2(&rows, b, 0, wrapSteps, &s)
				intDot4x2(&rows, b, 2, wrapSteps, &s)
			} else {
				intDot2x4(rows[0], rows[1], b, s[:2])
				if t.rows > 2 {
					intDot2x4(rows[2], rows[3], b, s[2:])
				}
			}
			at := f*(t.tapC/4+4*t.panels) + 4*p
			for i := range t.rows {
				*(*[4]int32)(c[at+i*t.cs/4:]) = s[i]
			}
		}
	}
}

// winogradInput8Generic is the reference of the transform of values, int8 if signed; vectors of channels are not rounded up.
func winogradInput8Generic(t *winogradIn8, signed bool) {
	d := unsafe.Slice(t.dst, (WinogradQ8Taps-1)*t.ldf+(t.n-1)*t.lds+t.c)
	s := unsafe.Slice(t.src, 5*t.row+(4*t.n+1)*t.pix+t.c)
	line := func(d [6]int16) [6]int16 {
		return [6]int16{
			4*d[0] - 5*d[2] + d[4], -4*d[1] - 4*d[2] + d[3] + d[4], 4*d[1] - 4*d[2] - d[3] + d[4],
			-2*d[1] - d[2] + 2*d[3] + d[4], 2*d[1] - d[2] - 2*d[3] + d[4], 4*d[1] - 5*d[3] + d[5],
		}
	}
	for tile := range t.n {
		for i := range t.c {
			var h [6][6]int16
			for y := range h {
				var v [6]int16
				for x := range v {
					b := s[y*t.row+(4*tile+x)*t.pix+i]
					if v[x] = int16(b); signed {
						v[x] = int16(int8(b))
					}
				}
				h[y] = line(v)
			}
			for x := range 6 {
				for y, v := range line([6]int16{h[0][x], h[1][x], h[2][x], h[3][x], h[4][x], h[5][x]}) {
					if x == 1 && y == 1 {
						v -= int16(t.zero)
					}
					d[(6*y+x)*t.ldf+tile*t.lds+i] = v
				}
			}
		}
	}
}

// winogradQ8Inverse is 1/9 modulo 2³².
const winogradQ8Inverse = 0x38e38e39

// winogradOutputQ8Generic is the reference of the transform to results with factors scale, which may be any numbers. Sums
// must be those of some convolution, and below 2²⁵.
func winogradOutputQ8Generic(t *winogradOutQ8, scale []float32) {
	d := unsafe.Slice(t.dst, 3*t.row+(4*t.n-1)*t.pix+t.c)
	s := unsafe.Slice(t.src, (WinogradQ8Taps-1)*t.ldf+(t.n-1)*t.lds+t.c)
	init := unsafe.Slice(t.init, t.c)
	lo, hi := int32(0), int32(255)
	if t.flip != 0 {
		lo, hi = -128, 127
	}
	zero := int32(int16(t.words)) + lo
	line := func(m [6]int32) [4]int32 {
		return [4]int32{
			m[0] - 4*m[1] - 4*m[2] + m[3] + m[4], -2*m[1] + 2*m[2] + m[3] - m[4],
			-m[1] - m[2] + m[3] + m[4], -m[1] + m[2] + 2*m[3] - 2*m[4] + m[5],
		}
	}
	shift := [4]int{3, 2, 1, 1}
	for tile := range t.n {
		for j := range t.c {
			var h [4][6]int32
			for x := range 6 {
				var m [6]int32
				for y := range m {
					m[y] = s[(6*y+x)*t.ldf+tile*t.lds+j]
				}
				if x == 1 {
					m[1] += init[j]
				}
				for y, v := range line(m) {
					h[y][x] = v
				}
			}
			for y := range h {
				for x, v := range line(h[y]) {
					inverse := uint32(winogradQ8Inverse)
					sum := int32(uint32(v)*inverse) >> (shift[y] + shift[x])
					requantU8Generic(d[y*t.row+(4*tile+x)*t.pix+j:][:1], []int32{sum}, nil, scale[j:], zero, lo, hi)
				}
			}
		}
	}
}

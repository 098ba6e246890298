package op

import "github.com/aekit/aekit/internal/kernel"

// gather writes the taps of group g for m positions of image n as rows; taps outside the
// operand are its zero point.
func (t *quantConvState) gather(rows []byte, n, g, first, m int) {
	a := &t.cube
	c := t.c * t.groups
	zero := uint8(t.zero)
	x := t.source[n*t.src[0]*t.src[1]*t.src[2]*c:]
	segment := a[2].kernel * t.c
	for i := range m {
		ow, r := (first+i)%a[2].out, (first+i)/a[2].out
		oh, od := r%a[1].out, r/a[1].out
		w0, w1, wAt := a[2].within(ow)
		for kd := range a[0].kernel {
			d := od*a[0].stride - a[0].begin + kd*a[0].dilation
			for kh := range a[1].kernel {
				h := oh*a[1].stride - a[1].begin + kh*a[1].dilation
				row := rows[:segment]
				rows = rows[segment:]
				if d < 0 || d >= t.src[0] || h < 0 || h >= t.src[1] || w0 >= w1 {
					kernel.FillU8(row, zero)
					continue
				}
				line := (d*t.src[1] + h) * t.src[2]
				if w0 == 0 && len(row) <= 16 && w1 == a[2].kernel && t.groups == 1 && a[2].dilation == 1 {
					for i, v := range x[(line+wAt)*c:][:len(row)] {
						row[i] = v
					}
					continue
				}
				kernel.FillU8(row[:w0*t.c], zero)
				kernel.FillU8(row[w1*t.c:], zero)
				if t.groups == 1 && a[2].dilation == 1 {
					copy(row[w0*t.c:w1*t.c], x[(line+wAt+w0)*c:])
					continue
				}
				for k := w0; k < w1; k++ {
					copy(row[k*t.c:(k+1)*t.c], x[(line+wAt+k*a[2].dilation)*c+g*t.c:])
				}
			}
		}
	}
}

package op

import "github.com/aekit/aekit/internal/kernel"

// A convolution to few channels would leave most columns of a panel of weights empty. The
// taps of a kernel row become columns instead: one product per source row and position
// gives the parts of kw·O sums, which are then added up where their windows lie. That is
// about a kw-th of the work.

// narrowColumns is how many columns the parts may take: those of the narrowest panel that
// vector kernels have.
const narrowColumns = 16

// isNarrow reports whether the taps of a kernel row become columns.
func (s *convShape) isNarrow() bool {
	w := s.cube[2]
	return !s.transposed && s.groups == 1 && s.c >= 8 && w.kernel > w.stride && s.o <= narrowColumns/w.kernel
}

// narrowed returns the convolution that computes the parts: each source column is a result.
func (s convShape) narrowed() convShape {
	s.o *= s.cube[2].kernel
	s.dst[2] = s.padded[2]
	s.cube[2] = axisWindow{in: s.padded[2], out: s.padded[2], kernel: 1, stride: 1, dilation: 1}
	return s
}

// packNarrow packs the weights for the parts: column k·O + o is tap k of channel o.
func (b *tapPacker) packNarrow() {
	s, a := b.s, &b.s.cube
	kw := a[2].kernel
	n := kw * s.o
	if cap(b.buf) < s.c*n {
		b.buf = make([]float32, s.c*n)
	}
	buf := b.buf[:s.c*n]
	if len(b.phases) == 0 {
		b.phases = append(b.phases, nil)
	}
	taps := b.phases[0][:0]
	for kd := range a[0].kernel {
		for kh := range a[1].kernel {
			row := (kd*a[1].kernel + kh) * kw
			for c := range s.c {
				for k := range kw {
					for o := range s.o {
						buf[c*n+k*s.o+o] = b.w[(o*s.c+c)*b.taps+row+k]
					}
				}
			}
			var w *kernel.PackedF32
			if old := b.phases[0]; len(taps) < len(old) {
				w = old[len(taps)].w
			}
			w = kernel.RepackF32(w, s.c, n, buf, n, false)
			b.bytes += w.Bytes()
			taps = append(taps, convTap{[3]int{kd * a[0].dilation, kh * a[1].dilation, 0}, w})
		}
	}
	b.phases[0] = taps
	b.n = 1
}

// addParts computes rows of results from the parts. A unit is one row of one image.
func (t *convState) addParts(lo, hi int) {
	a, o := t.narrow, t.o/t.narrow.kernel
	plane := t.dst[0] * t.dst[1] * a.out
	for u := lo; u < hi; u++ {
		parts := t.result[u*t.dst[2]*t.o:][:t.dst[2]*t.o]
		n, r := u/(t.dst[0]*t.dst[1]), u%(t.dst[0]*t.dst[1])
		if t.dstNHWC || o == 1 {
			row := t.y[u*a.out*o:][:a.out*o]
			if t.bias == nil {
				clear(row)
			} else {
				for w := 0; w < len(row); w += o {
					copy(row[w:w+o], t.bias)
				}
			}
			for k := range a.kernel {
				kernel.AddRunsF32(row, o, parts[k*(a.dilation*t.o+o):], a.stride*t.o, a.out, o)
			}
			kernel.ActivateF32(row, row, &t.act)
			continue
		}
		for i := range o {
			row := t.y[(n*o+i)*plane+r*a.out:][:a.out]
			for w := range row {
				row[w] = t.part(parts, w, i, o)
			}
			kernel.ActivateF32(row, row, &t.act)
		}
	}
}

// part adds up the parts of channel i at position w.
func (t *convState) part(parts []float32, w, i, o int) float32 {
	a := &t.narrow
	at := w*a.stride*t.o + i
	var s float32
	for range a.kernel {
		s += parts[at]
		at += a.dilation*t.o + o
	}
	if t.bias != nil {
		s += t.bias[i]
	}
	return s
}

package kernel

// ImageF32 is a channels-last image, or the channels of a group of one: channel i of row y and
// column x is X[(y*W+x)*Pix+i]. What lies outside is zero.
type ImageF32 struct {
	X            []float32
	H, W, Pix, C int
}

// inside returns the range [a, b) of run tiles of side positions along each axis, pitch apart,
// that lie inside, if the first begins at (y0, x0) and each is 2·pitch to the right of the last.
func (m *ImageF32) inside(side, y0, x0, pitch, run int) (a, b int) {
	reach := (side - 1) * pitch
	if y0 < 0 || y0+reach >= m.H || x0+reach >= m.W {
		return 0, 0
	}
	if x0 < 0 {
		a = min(run, (2*pitch-1-x0)/(2*pitch))
	}
	room := m.W - 1 - reach - x0
	return a, max(a, min(run, room/(2*pitch)+1))
}

// border copies the positions of a tile that is partly outside.
func (m *ImageF32) border(tile []float32, side, y0, x0, pitch int) {
	for r := range side {
		for k := range side {
			to := tile[(side*r+k)*m.C:][:m.C]
			if y, x := y0+r*pitch, x0+k*pitch; y < 0 || y >= m.H || x < 0 || x >= m.W {
				clear(to)
			} else {
				copy(to, m.X[(y*m.W+x)*m.Pix:])
			}
		}
	}
}

// HalvingInput is [HalvingInputF32] for run tiles of a row whose positions are pitch apart: the
// first begins at (y0, x0), which may be outside. border is memory for 9·C values.
func (m *ImageF32) HalvingInput(dst []float32, ldf, lds, y0, x0, pitch, run int, border []float32) {
	a, b := m.inside(3, y0, x0, pitch, run)
	if a < b {
		HalvingInputF32(dst[a*lds:], ldf, lds, m.X[(y0*m.W+x0+2*a*pitch)*m.Pix:], pitch*m.W*m.Pix, pitch*m.Pix, b-a, m.C)
	}
	for i := range run {
		if i < a || i >= b {
			m.border(border, 3, y0, x0+2*i*pitch, pitch)
			HalvingInputF32(dst[i*lds:], ldf, lds, border, 3*m.C, m.C, 1, m.C)
		}
	}
}

// HalvingFilter is [HalvingFilterF32] for run tiles of a row of neighbouring positions: the first
// begins at (y0, x0). border is memory for 4·C values.
func (m *ImageF32) HalvingFilter(dst []float32, ldf, lds, y0, x0, run int, border []float32) {
	a, b := m.inside(2, y0, x0, 1, run)
	if a < b {
		HalvingFilterF32(dst[a*lds:], ldf, lds, m.X[(y0*m.W+x0+2*a)*m.Pix:], m.W*m.Pix, m.Pix, b-a, m.C)
	}
	for i := range run {
		if i < a || i >= b {
			m.border(border, 2, y0, x0+2*i, 1)
			HalvingFilterF32(dst[i*lds:], ldf, lds, border, 2*m.C, m.C, 1, m.C)
		}
	}
}

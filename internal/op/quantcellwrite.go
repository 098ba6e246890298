package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// cellWriter writes the results of a block of cells.
type cellWriter struct {
	*cellState
	part    *cellGroup
	columns *cellColumns
	sums    []int32
	bytes   []uint8 // the sums of a flat part, requantised
	group   int     // of channels
}

// store writes the results of m cells. Cells side by side whose results all exist are taken
// together.
func (t *cellWriter) store(n, first, m int) {
	g := t.part
	d, h, w := &g.ax[0], &g.ax[1], &g.ax[2]
	a := &t.cube
	nd, nh, nw := d.hi-d.lo, h.hi-h.lo, w.hi-w.lo
	for i := 0; i < m; {
		cell := first + i
		jw, r := cell%w.count+w.first, cell/w.count
		jh, jd := r%h.count+h.first, r/h.count+d.first
		run := min(m-i, w.count-cell%w.count)
		for rd := range nd {
			od := jd*a[0].stride + d.lo + rd - a[0].begin
			if od < 0 || od >= t.dst[0] {
				continue
			}
			for rh := range nh {
				oh := jh*a[1].stride + h.lo + rh - a[1].begin
				if oh < 0 || oh >= t.dst[1] {
					continue
				}
				line := ((n*t.dst[0]+od)*t.dst[1] + oh) * t.dst[2]
				t.storeRow(i, (rd*nh+rh)*nw*t.o, line, jw*a[2].stride+w.lo-a[2].begin, run, nw)
			}
		}
		i += run
	}
}

// storeRow writes the results of run cells from cell on that lie in one line; nw results of
// the first cell, whose columns begin at col, begin at position ow, which may lie before
// the line.
func (t *cellWriter) storeRow(cell, col, line, ow, run, nw int) {
	stride, co := t.cube[2].stride, t.o*t.groups
	whole := func(p int) bool { return p >= 0 && p+nw <= t.dst[2] }
	for i := 0; i < run; {
		p := ow + i*stride
		if !whole(p) || t.groups > 1 {
			for r := range nw {
				if p+r >= 0 && p+r < t.dst[2] {
					t.write(1, t.o, (line+p+r)*co+t.group*t.o, co, cell+i, col+r*t.o)
				}
			}
			i++
			continue
		}
		k := 1
		for i+k < run && whole(ow+(i+k)*stride) {
			k++
		}
		t.write(k, nw*t.o, (line+p)*co, stride*co, cell+i, col)
		i += k
	}
}

// write writes n columns from col on of m cells to element at of the result.
func (t *cellWriter) write(m, n, at, ldy, cell, col int) {
	from := cell*t.part.n + col
	if t.bytes == nil {
		t.requantise(m, n, t.y[at:], ldy, t.sums[from:], t.part.n, col)
		return
	}
	for range m {
		dst := t.y[at:][:n]
		for i, v := range t.bytes[from:][:n] {
			dst[i] = v
		}
		at += ldy
		from += t.part.n
	}
}

func (t *cellWriter) requantise(m, n int, dst []uint8, ldd int, sums []int32, lda, col int) {
	scale := t.columns.scale[col:][:n]
	var bias []int32
	if t.columns.bias != nil {
		bias = t.columns.bias[col:][:n]
	}
	if t.yType == tensor.Int8 {
		kernel.RequantI8(m, n, asInt8(dst), ldd, sums, lda, bias, scale, t.yZero, -128, 127)
		return
	}
	kernel.RequantU8(m, n, dst, ldd, sums, lda, bias, scale, t.yZero, 0, 255)
}

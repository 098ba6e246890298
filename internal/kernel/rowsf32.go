package kernel

import (
	"fmt"
	goruntime "runtime"
	"unsafe"
)

// RowMap says where the rows of a product lie: row r of the left matrix is one run of values for each of several taps,
// anywhere in memory, and row r of the result lies anywhere too. A convolution is such a product; nothing of its windows
// needs to be copied. A RowMap is immutable and safe for concurrent use.
type RowMap struct {
	taps, run, rows int
	src             []int32 // [taps][rows]: distance of the run from a, or negative for zeros
	dst             []int32 // [rows]: distance of the results from c
	srcEnd, dstEnd  []int   // what rows up to and including this one need of a, and of c without the columns
	zeros           []float32
}

// NewRowMap makes a RowMap of len(dst) rows from src, of shape [taps, rows], and dst. Both are kept. A negative element of
// src stands for a run of zeros; elements of dst are at least 0 and differ.
func NewRowMap(taps, run int, src, dst []int32) *RowMap {
	rows := len(dst)
	if taps < 1 || run < 1 || rows == 0 || len(src)/taps != rows || len(src)%taps != 0 {
		panic(fmt.Sprintf("kernel: a map of %d sources for %d taps of %d values and %d rows", len(src), taps, run, rows))
	}
	m := &RowMap{taps: taps, run: run, rows: rows, src: src, dst: dst, srcEnd: make([]int, rows), dstEnd: make([]int, rows), zeros: make([]float32, run)}
	for r := range rows {
		end, last := 0, int(dst[r])
		if last < 0 {
			panic(fmt.Sprintf("kernel: row %d of a result at %d", r, last))
		}
		for t := range taps {
			if s := src[t*rows+r]; s >= 0 {
				end = max(end, int(s)+run)
			}
		}
		if r > 0 {
			end, last = max(end, m.srcEnd[r-1]), max(last, m.dstEnd[r-1])
		}
		m.srcEnd[r], m.dstEnd[r] = end, last
	}
	return m
}

// Rows returns the number of rows.
func (m *RowMap) Rows() int { return m.rows }

// HasRowsF32 reports whether GemmRowsF32 is a kernel of its own on this processor. Elsewhere it is slow: copying rows
// together and multiplying the copy is better.
func HasRowsF32() bool { return bestGemmF32().rowsMR > 0 }

// indirectTileF32 are the arguments of one tile whose rows a RowMap finds. Of tileF32, rs, ks, bs and cs are not used: panels
// of b are contiguous. k is the run. Assembly reads the fields by offset; TestTileLayout keeps the two in step.
type indirectTileF32 struct {
	tileF32
	src    *int32   // run of tap t, row i at a[src[t*stride/4+i]], or zeros if that is negative
	dst    *int32   // row i, column j at c[dst[i]+j]
	zeros  *float32 // k zeros
	taps   int      // at least 1
	stride int      // bytes between taps in src
}

// GemmRowsF32 computes rows [r0, r1) and the columns of panels [p0, p1) of c = a·b, where m says where the rows of a and c
// lie and b has as many rows as m has taps times the run, and applies ep, if not nil, to the finished values. Calls for
// disjoint rows or panels may run concurrently.
func GemmRowsF32(m *RowMap, r0, r1 int, a []float32, b *PackedF32, p0, p1 int, c []float32, ep *Epilogue) {
	if p0 < 0 || p1 > b.Panels() || p0 > p1 || r0 < 0 || r1 > m.rows || r0 > r1 || b.K != m.taps*m.run || b.small != nil {
		panic(fmt.Sprintf("kernel: rows [%d,%d) of %d, panels [%d,%d) of %d, %d rows for %d taps of %d values", r0, r1, m.rows, p0, p1, b.Panels(), b.K, m.taps, m.run))
	}
	if r0 == r1 || p0 == p1 {
		return
	}
	j0, j1 := p0*b.NR, min(p1*b.NR, b.N)
	if len(a) < m.srcEnd[r1-1] || len(c)-j1 < m.dstEnd[r1-1] || ep != nil && ep.Bias != nil && len(ep.Bias) < j1 {
		panic(fmt.Sprintf("kernel: rows need %d values, results %d beyond %d columns; there are %d and %d", m.srcEnd[r1-1], m.dstEnd[r1-1], j1, len(a), len(c)))
	}
	if len(a) == 0 {
		a = m.zeros // every run is zeros
	}
	g := b.kern
	t := indirectTileF32{stride: 4 * m.rows, zeros: &m.zeros[0]}
	t.a, t.k = &a[0], m.run
	act, last := t.activation(ep)
	slice := m.taps
	if r1-r0 > g.rowsMR {
		slice = evenBlock(m.taps, max(1, panelBytes/(4*g.nr*m.run)))
	}
	active := j0 // columns from here on lack their activation
	for j := j0; j < j1; j += g.nr {
		t.cols = min(g.nr, j1-j)
		t.c = &c[j]
		panel := b.data[j*b.K:]
		for p := 0; p < m.taps; p += slice {
			t.taps = min(slice, m.taps-p)
			t.b = &panel[p*m.run*g.nr]
			t.acc = min(p, 1)
			t.bias, t.act = nil, int(ActNone)
			if p+t.taps == m.taps && ep != nil {
				if ep.Bias != nil {
					t.bias = &ep.Bias[j]
				}
				t.act = int(last)
			}
			g.mappedRows(&t, m, p, r0, r1)
		}
		end := j + t.cols
		if act == last || end < j1 && end-active < activationCols {
			continue
		}
		for r := r0; r < r1; r++ {
			row := c[m.dst[r]:][active:end]
			ActivateF32(row, row, ep)
		}
		active = end
	}
	goruntime.KeepAlive(b)
}

// prefetchAhead is how many bytes in front of the current step an indirect tile fetches that reads b once.
const prefetchAhead = 2048

// mappedRows runs t over rows r0 to r1 of m from tap p, in tiles of nearly equal height.
func (g *gemmF32) mappedRows(t *indirectTileF32, m *RowMap, p, r0, r1 int) {
	mr := max(g.rowsMR, 1)
	tiles := (r1 - r0 + mr - 1) / mr
	once := tiles == 1
	for t.ahead = 0; r0 < r1; tiles-- {
		switch {
		case once:
			t.ahead = prefetchAhead
		case tiles == 1:
			t.ahead = 4 * t.taps * t.k * g.nr
		}
		t.rows = (r1 - r0 + tiles - 1) / tiles
		t.src, t.dst = &m.src[p*m.rows+r0], &m.dst[r0]
		if g.rowsMR > 0 {
			archIndirectF32(g.id, t)
		} else {
			indirectF32Generic(g, t)
		}
		r0 += t.rows
	}
}

// indirectF32Generic computes one row by tiles that add one tap each; see [tileF32Generic] for what they compute.
func indirectF32Generic(g *gemmF32, t *indirectTileF32) {
	one := t.tileF32
	one.rows, one.rs, one.ks, one.bs, one.cs = 1, t.k, 1, g.nr, t.cols
	one.c = advance(t.c, int(*t.dst))
	for p := range t.taps {
		one.a = t.zeros
		if s := *advance(t.src, p*t.stride/4); s >= 0 {
			one.a = advance(t.a, int(s))
		}
		one.b = advance(t.b, p*t.k*g.nr)
		one.bias, one.act = nil, int(ActNone)
		if p == t.taps-1 {
			one.bias, one.act = t.bias, t.act
		}
		g.shape().tile(&one)
		one.acc = 1
	}
}

// advance returns the element n after p.
func advance[T any](p *T, n int) *T {
	var v T
	return (*T)(unsafe.Add(unsafe.Pointer(p), n*int(unsafe.Sizeof(v))))
}

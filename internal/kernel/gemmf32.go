package kernel

import (
	"fmt"
	goruntime "runtime"
	"sync/atomic"

	"github.com/aekit/aekit/internal/hugepage"
)

// gemmF32 is one implementation of float32 matrix multiplication. A tile is mr rows by nr columns; matrices are packed
// in panels of nr columns.
type gemmF32 struct {
	name    string // as in naming.md: tier and tile
	id      tileID
	use     *bool
	mr, nr  int
	aliasMR int         // rows of a tile whose rows of a share one set of the first-level cache, or 0 for mr
	rowsMR  int         // rows of the tile of GemmRowsF32, or 0 if there is none
	gemv    bool        // there is a routine for one row by many panels, archGemvF32
	slice   int         // bytes of a panel that are multiplied by all rows before the next are
	rows    int         // bytes of a that stay in cache while the panels of b pass by
	narrow  []tileShape // tiles for the last columns, in multiples of narrowUnit, widest first
}

// tileShape is a tile of mr rows by nr columns.
type tileShape struct {
	id      tileID
	mr, nr  int
	aliasMR int // as in gemmF32
}

// narrowUnit is what the widths of narrow tiles are multiples of, so that padding is at most 7 columns.
const narrowUnit = 8

// tileID selects the direct call of a tile; a call through a func value would move the arguments to the heap.
type tileID uint8

const tileGeneric tileID = 0

var always = true

// gemmF32Kernels is the list for dispatch, tests and benchmarks, best first.
var gemmF32Kernels = append(archGemmF32(), gemmF32{name: "generic-4x4", id: tileGeneric, use: &always, mr: 4, nr: 4, slice: inL1, rows: rowBlockBytes})

func bestGemmF32() *gemmF32 {
	for i := range gemmF32Kernels {
		if *gemmF32Kernels[i].use {
			return &gemmF32Kernels[i]
		}
	}
	panic("kernel: no matrix kernel")
}

// tileF32 are the arguments of one tile: c = a*b, or c += a*b, then bias and activation. Strides count elements.
// Assembly reads the fields by offset; TestTileLayout keeps the two in step.
type tileF32 struct {
	a      *float32 // row i, step p at a[i*rs + p*ks]
	b      *float32 // step p, column j at b[p*bs + j]; nr columns are readable
	c      *float32 // row i, column j at c[i*cs + j]; cols columns are readable and writable
	bias   *float32 // cols values, or nil
	k      int      // at least 1
	rows   int      // 1 to mr
	cols   int      // 1 to nr
	rs, ks int
	bs, cs int
	acc    int     // 1 adds to c, 0 overwrites it
	act    int     // an Act that inRegisters reports
	alpha  float32 // for any act but ActNone, min(max(v < 0 ? alpha*v : v, lo), hi) is the activation of v
	lo, hi float32
	_      float32
	ahead  int // bytes from b to what is fetched into a cache meanwhile; set by rows
	pace   int // how much further four steps fetch: half of what they read of packed b, or 0
}

func (s tileShape) tile(t *tileF32) {
	if s.id == tileGeneric {
		tileF32Generic(t)
		return
	}
	archTileF32(s.id, t)
}

func (g *gemmF32) shape() tileShape { return tileShape{g.id, g.mr, g.nr, g.aliasMR} }

// fitting returns the tile for the first of the last cols columns of a panel.
func (g *gemmF32) fitting(cols int) tileShape {
	s := g.shape()
	for i := 0; i < len(g.narrow) && cols <= s.nr-narrowUnit; i++ {
		s = g.narrow[i]
	}
	return s
}

// PackedF32 is a matrix packed for GemmPackedF32: panels of NR columns, each K×NR and contiguous, the last padded with
// zeros. Its values do not change after packing, and it is safe for concurrent use. It belongs to the kernel that was best when it was
// packed and is not meant to outlive the process. Its memory, if large, is not in Go's heap and lives as long as it does.
type PackedF32 struct {
	K, N, NR int
	kern     *gemmF32
	data     []float32
	small    *smallPanels  // in place of data, see PackSmallF32
	rows     atomic.Uint32 // rows that all panels were multiplied by, see turns
}

// PackF32 packs the k×n matrix b, or the transpose of the n×k matrix b if transB. It copies b.
func PackF32(k, n int, b []float32, ldb int, transB bool) *PackedF32 {
	p := NewPackedF32(k, n)
	p.packAll(b, ldb, transB)
	return p
}

func (p *PackedF32) packAll(b []float32, ldb int, transB bool) {
	rows := p.K
	if transB {
		rows = p.N
	}
	p.Pack(b, ldb, transB, 0, rows)
}

// NewPackedF32 returns a packed k×n matrix of zeros, which [PackedF32.Pack] is to fill.
func NewPackedF32(k, n int) *PackedF32 {
	g := bestGemmF32()
	if k < 0 || n < 0 {
		panic(fmt.Sprintf("kernel: matrix b is %d×%d", k, n))
	}
	p := &PackedF32{K: k, N: n, NR: g.nr, kern: g}
	data, release := hugepage.Make[float32](p.Panels() * k * g.nr)
	p.data = data
	if release != nil {
		goruntime.AddCleanup(p, func(release func()) { release() }, release)
	}
	return p
}

// Pack fills the columns or rows of p that rows [from, to) of b hold: rows of the K×N matrix b, or columns of the product
// if b is the transpose, an N×K matrix; from is then a multiple of NR, and to is one or is N. It copies b. Calls for
// disjoint rows may run concurrently.
func (p *PackedF32) Pack(b []float32, ldb int, transB bool, from, to int) {
	rows, cols := p.K, p.N
	if transB {
		rows, cols = cols, rows
	}
	checkMatrix("b", rows, cols, len(b), ldb)
	p.PackPart(b[min(max(from, 0)*ldb, len(b)):], ldb, transB, from, to)
}

// PackPart is [PackedF32.Pack] where b begins with row from of the matrix and has rows up to to.
func (p *PackedF32) PackPart(b []float32, ldb int, transB bool, from, to int) {
	rows, cols := p.K, p.N
	if transB {
		rows, cols = cols, rows
	}
	if from < 0 || from > to || to > rows || p.small != nil || transB && (from%p.NR != 0 || to%p.NR != 0 && to != p.N) {
		panic(fmt.Sprintf("kernel: rows [%d,%d) of %d cannot be packed in panels of %d", from, to, rows, p.NR))
	}
	checkMatrix("b", to-from, cols, len(b), ldb)
	if transB {
		packTransPanelsF32(p.data[from*p.K:], p.NR, p.K, to-from, b, ldb)
	} else {
		packPanelsF32(p.data, p.NR, p.K, p.N, b, ldb, from, to)
	}
	goruntime.KeepAlive(p)
}

// packF32 packs the k×n matrix b (or its transpose) into dst as panels of nr columns, and pads the last with zeros.
func packF32(dst []float32, nr, k, n int, b []float32, ldb int, transB bool) {
	if transB {
		packTransPanelsF32(dst, nr, k, n, b, ldb)
	} else {
		packPanelsF32(dst, nr, k, n, b, ldb, 0, k)
	}
}

func packTransPanelsF32(dst []float32, nr, k, n int, b []float32, ldb int) {
	for j := 0; j < n && k > 0; j += nr {
		packTransF32(dst[j*k:][:k*nr], nr, k, min(nr, n-j), b[j*ldb:], ldb)
	}
}

// packPanelsF32 packs rows [from, to) of a k×n matrix, of which b holds those.
func packPanelsF32(dst []float32, nr, k, n int, b []float32, ldb, from, to int) {
	for p := from; p < to; p += packRows {
		rows := min(packRows, to-p)
		for j := 0; j < n; j += nr {
			packRowsF32(dst[j*k+p*nr:][:rows*nr], nr, rows, min(nr, n-j), b[(p-from)*ldb+j:], ldb)
		}
	}
}

// packRows is how many rows of a matrix are packed before the next panel: enough for runs of a few cache lines, and few
// enough to read the matrix nearly in order.
const packRows = 16

// Panels returns the number of panels.
func (p *PackedF32) Panels() int { return (p.N + p.NR - 1) / p.NR }

// Bytes returns the memory that the packed values take.
func (p *PackedF32) Bytes() int {
	if p.small != nil {
		return p.small.bytes()
	}
	return 4 * len(p.data)
}

// rowBlockBytes is how much of a stays in cache while the panels of b pass by. Kernels for processors with a second-level cache
// of a megabyte keep mostL2 of packed products: b comes from a cache that other processors use, too, and is read the less often.
const rowBlockBytes, mostL2 = 192 << 10, 700 << 10

// Sizes of the slice of a panel of b that row tiles pass by: small enough to stay in a first-level cache, or in a second-level
// cache, from which processors that fetch ahead read it as fast as tiles need it. Longer slices mean fewer partial sums.
const (
	inL1 = 25 << 10
	inL2 = 128 << 10
	// besideRows is the size of slices beside more than rowBlockBytes of a.
	besideRows = 64 << 10
)

// panelBytes is the slice of products whose b is read in place or packed on the fly.
const panelBytes = inL1

// GemmPackedF32 computes columns p0*NR to min(p1*NR, N) of c = a*b, or of c += a*b if acc, for panels [p0, p1) of b,
// and applies ep (if not nil) to the finished values. a is m×K with leading dimension lda (less than K where rows
// overlap), c is m×N with leading dimension ldc. Only the columns of those panels are touched, so that calls for disjoint panels or rows may run
// concurrently.
func GemmPackedF32(m int, a []float32, lda int, b *PackedF32, p0, p1 int, c []float32, ldc int, acc bool, ep *Epilogue) {
	if p0 < 0 || p1 > b.Panels() || p0 > p1 {
		panic(fmt.Sprintf("kernel: panels [%d,%d) of %d", p0, p1, b.Panels()))
	}
	if m == 0 || p0 == p1 {
		return
	}
	checkRows("a", m, b.K, len(a), lda)
	j0, j1 := p0*b.NR, min(p1*b.NR, b.N)
	checkMatrix("c", m, j1, len(c), ldc)
	if ep != nil && ep.Bias != nil && len(ep.Bias) < j1 {
		panic(fmt.Sprintf("kernel: bias of %d values for %d columns", len(ep.Bias), j1))
	}
	if b.K == 0 {
		emptyProduct(m, j1-j0, c[j0:], ldc, acc)
		if ep != nil {
			EpilogueF32(m, j1-j0, c[j0:], ldc, j0, ep)
		}
		return
	}
	if b.small != nil {
		gemmSmallF32(b, m, a, lda, p0, j0, j1, c, ldc, acc, ep)
		return
	}
	panels := b.data[p0*b.K*b.NR:]
	if m == 1 && b.kern.gemv {
		backwards := p0 == 0 && p1 == b.Panels() && b.turns()
		rowGemmF32(b.kern, b.K, a, panels, j0, j1, c, acc, ep, backwards)
	} else {
		blockGemmF32(b.kern, m, b.K, a, lda, panels, j0, j1, c, ldc, acc, ep, p1 < b.Panels())
	}
	goruntime.KeepAlive(b)
}

// rowBytes is how much of b one call of assembly multiplies by a row: about 25 µs if it comes from memory. Backwards it is
// backBytes: few enough that a cache that does not hold all of b still holds what was read last.
const rowBytes, backBytes = 1 << 20, 128 << 10

// Sizes of matrices that a row is multiplied by in alternating directions: smaller ones stay in a second-level cache, and of
// larger ones it keeps too little.
const turnsFrom, turnsBelow = 512 << 10, 3 << 20

// turns reports whether the panels are to be read from the last to the first, which alternates: a cache that is a little too
// small for all of them keeps most for the next row, where it would keep none if that began with the first again.
func (p *PackedF32) turns() bool {
	bytes := 4 * len(p.data)
	return bytes >= turnsFrom && bytes < turnsBelow && p.rows.Add(1)&1 == 0
}

// rowGemmF32 multiplies the row a by packed panels that hold columns j0 to j1, or blocks of them from the last to the first.
func rowGemmF32(g *gemmF32, k int, a, b []float32, j0, j1 int, c []float32, acc bool, ep *Epilogue, backwards bool) {
	t := tileF32{a: &a[0], k: k, rows: 1, ks: 1, bs: g.nr}
	act, last := t.activation(ep)
	t.act = int(last)
	if acc {
		t.acc = 1
	}
	size := rowBytes
	if backwards {
		size = backBytes
	}
	per := max(1, size/(4*k*g.nr)) * g.nr
	for at := 0; at < j1-j0; at += per {
		j := j0 + at
		if backwards {
			j = j0 + (j1-j0-1)/per*per - at
		}
		t.cols = min(per, j1-j)
		t.b, t.c = &b[(j-j0)*k], &c[j]
		if ep != nil && ep.Bias != nil {
			t.bias = &ep.Bias[j]
		}
		archGemvF32(g.id, &t)
	}
	if act != last {
		ActivateF32(c[j0:j1], c[j0:j1], ep)
	}
}

// activationCols is how many columns, or activationValues how many values of a block, are finished between applications of an
// activation that tiles cannot apply: the values are then still in a cache near, and the runs are long enough that
// starting one costs little.
const activationCols, activationValues = 1024, 32 << 10

// blockGemmF32 multiplies rows of a by packed panels that hold columns j0 to j1, in blocks that fit the caches. more says that
// there are panels behind them, which the same thread is likely to multiply by next.
func blockGemmF32(g *gemmF32, m, k int, a []float32, lda int, b []float32, j0, j1 int, c []float32, ldc int, acc bool, ep *Epilogue, more bool) {
	t := tileF32{rs: lda, ks: 1, bs: g.nr, cs: ldc}
	act, last := t.activation(ep)
	mc := evenBlock(m, max(1, g.rows/(4*k)/g.mr)*g.mr)
	kc, slice := k, g.slice
	if 4*mc*k > rowBlockBytes {
		slice = min(slice, besideRows)
	}
	if m > 1 {
		kc = evenBlock(k, max(64, slice/(4*g.nr)))
	}
	for i0 := 0; i0 < m; i0 += mc {
		i1 := min(i0+mc, m)
		active := j0 // columns from here on lack their activation
		for j := j0; j < j1; j += g.nr {
			cols := min(g.nr, j1-j)
			panel := b[(j-j0)*k:]
			for p := 0; p < k; p += kc {
				t.k = min(kc, k-p)
				t.b, t.cols = &panel[p*g.nr], cols
				t.acc = 1
				if p == 0 && !acc {
					t.acc = 0
				}
				t.bias, t.act = nil, int(ActNone)
				if p+t.k == k && ep != nil {
					if ep.Bias != nil {
						t.bias = &ep.Bias[j]
					}
					t.act = int(last)
				}
				g.panel(&t, i0, i1, a[p:], c[j:], more || p+t.k < k || j+cols < j1)
			}
			end := j + cols
			if act == last || end < j1 && end-active < activationCols && (end-active)*(i1-i0) < activationValues {
				continue
			}
			activateBlock(i1-i0, end-active, c[i0*ldc+active:], ldc, ep)
			active = end
		}
	}
}

// activateBlock applies the activation of ep to an m×n block of c.
func activateBlock(m, n int, c []float32, ldc int, ep *Epilogue) {
	if n == ldc {
		m, n = 1, m*n
	}
	for i := range m {
		row := c[i*ldc:][:n]
		ActivateF32(row, row, ep)
	}
}

// activation sets the parameters of ep's activation, and returns it and the one that the last tile of a sum is to apply:
// the same, or ActNone.
func (t *tileF32) activation(ep *Epilogue) (act, last Act) {
	if ep == nil {
		return ActNone, ActNone
	}
	t.alpha, t.lo, t.hi = ep.parameters()
	if inRegisters(ep.Act) {
		return ep.Act, ep.Act
	}
	return ep.Act, ActNone
}

// panel runs t over rows i0 to i1 of the t.cols columns of a panel, of which the last may be left to narrower tiles. more
// says that what lies behind these k steps of b is wanted next. It changes b, bias and cols of t.
func (g *gemmF32) panel(t *tileF32, i0, i1 int, a, c []float32, more bool) {
	for cols := t.cols; ; {
		s := g.fitting(cols)
		t.cols = min(cols, s.nr)
		s.rows(t, i0, i1, a, c, more && t.bs == s.nr)
		if cols -= t.cols; cols == 0 {
			return
		}
		c = c[t.cols:]
		t.b = advance(t.b, t.cols)
		if t.bias != nil {
			t.bias = advance(t.bias, t.cols)
		}
	}
}

// aliasStride is how many values lie between rows of a that share one set of a first-level cache.
const aliasStride = 1024

// rows runs t over rows i0 to i1 in tiles of nearly equal height. more is as in panel.
func (s tileShape) rows(t *tileF32, i0, i1 int, a, c []float32, more bool) {
	if t.rs%aliasStride == 0 && s.aliasMR > 0 {
		s.mr = s.aliasMR
	}
	tiles := (i1 - i0 + s.mr - 1) / s.mr
	// Of several passes over a slice of b, the last two have half of the next slice fetched each. What is read once the
	// processor sees coming.
	more = more && tiles > 1
	for t.ahead, t.pace = 0, 0; i0 < i1; tiles-- {
		if more && tiles <= 2 {
			t.pace = 2 * 4 * s.nr
			t.ahead = 4*t.k*s.nr + t.k*t.pace/4*(2-tiles)
		}
		t.rows = (i1 - i0 + tiles - 1) / tiles
		t.a = &a[i0*t.rs]
		t.c = &c[i0*t.cs]
		s.tile(t)
		i0 += t.rows
	}
}

// evenBlock returns the size of the blocks that split n into the fewest nearly equal parts of at most limit.
func evenBlock(n, limit int) int {
	blocks := (n + limit - 1) / limit
	return (n + blocks - 1) / blocks
}

func emptyProduct(m, n int, c []float32, ldc int, acc bool) {
	for i := 0; i < m && !acc; i++ {
		clear(c[i*ldc:][:n])
	}
}

// checkMatrix panics unless a rows×cols matrix with leading dimension ld fits in n elements.
func checkMatrix(name string, rows, cols, n, ld int) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("kernel: matrix %s is %d×%d", name, rows, cols))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols && rows > 1 || n < cols || (n-cols)/max(ld, 1) < rows-1 {
		panic(fmt.Sprintf("kernel: matrix %s, %d×%d with leading dimension %d, does not fit in %d values", name, rows, cols, ld, n))
	}
}

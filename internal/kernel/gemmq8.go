package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// gemmQ8 is one implementation of products of 8-bit matrices with 8-bit results: the sums stay in registers until they
// are requantised.
type gemmQ8 struct {
	name   string
	id     tileID
	use    *bool
	mr, nr int
	kr     int // steps that are packed side by side
	a      i8Left
	exact  bool // only the columns that are wanted are written
	narrow bool // for up to nr columns where that takes fewer steps of 64 products than wide tiles of half their columns
	pairs  bool // sums of two products must fit in 16 bits, whatever the left values are
	two    bool // tiles take rows of two lines
	chain  bool // panels can be chained
}

// gemmQ8Kernels is the list for dispatch, tests and benchmarks, best first. It is empty on processors where products are
// computed by gemmI8Kernels and requantised afterwards.
var gemmQ8Kernels = archGemmQ8()

// HasQ8 reports whether the processor has kernels for [PackQ8].
func HasQ8() bool {
	for i := range gemmQ8Kernels {
		if *gemmQ8Kernels[i].use {
			return true
		}
	}
	return false
}

// tileQ8 are the arguments of one tile: rows of dst, for a number of panels, from row windows of a. Assembly reads and
// changes the fields by offset; TestTileLayout keeps the two in step.
type tileQ8 struct {
	a      unsafe.Pointer // the first row in the kernel's form, rs bytes before the next
	b      unsafe.Pointer // consecutive panels of segs*k groups of kr steps: [segs*k][nr][kr] int8
	dst    *uint8         // nr bytes are written to each row, for each panel
	init   *int32         // nr values for each panel, added to the sums
	scale  *float32       // likewise, their factors
	k      int            // groups of kr steps of a segment, at least 1
	segs   int            // at least 1
	skip   int            // bytes of a row between segments
	rows   int            // 1 to mr
	panels int            // at least 1
	rs     int            // bytes
	ds     int            // bytes
	zero   int32
	lo, hi float32 // bounds of the results less zero
	half   int     // 1: only the first nr/2 columns are wanted; what is written for the others is not specified
	cols   int     // columns of each panel that are wanted; likewise
	nan    int     // 1 if a product of a sum and its factor may be no number
	low    int     // 1 if b may hold -128
	fits   int     // 1 if the products of sums and factors fit in 32 bits and lo and hi are the bounds of the type
	words  int32   // zero, plus 128 where results are signed
	flip   uint32  // the bytes that turn results less 128 into those: 0x80808080 where they are signed, else 0
	column int     // bytes of init before the panel; the kernel counts, since the garbage collector must see no pointer behind an object

	// Kernels whose tiles take rows of two lines read the first half of them, and one more of an odd number, from a on,
	// the others from here.
	a2   unsafe.Pointer
	dst2 *uint8

	// Memory that kernels with a hint for it bring into the second-level cache while they multiply, as far as they get;
	// fetch moves on.
	fetch, fetchEnd uintptr
	then, thenEnd   uintptr // what is fetched afterwards, unless then is 0; it is when that begins

	chain int     // panels after the first one where the kernel has chains; panels is 1 then
	prev2 uintptr // for the kernel
	pair  uint32  // the low half of words, twice
}

// chainRows and chainSteps are the least numbers of rows and of groups of steps in a segment for which there are chains.
const chainRows, chainSteps = 5, 4

// second returns where the second half of a tile's rows begins, within the same line.
func (t *tileQ8) second() (a unsafe.Pointer, dst *uint8) {
	n := (t.rows + 1) / 2
	if n == t.rows {
		n = 0
	}
	return unsafe.Add(t.a, n*t.rs), (*uint8)(unsafe.Add(unsafe.Pointer(t.dst), n*t.ds))
}

// PackedQ8 is a K×N matrix of signed 8-bit values packed for products with 8-bit results. Its rows come in segments:
// a row of the left matrix is Segs runs of K/Segs values, as the window of a convolution is in an image. It is immutable
// and safe for concurrent use.
type PackedQ8 struct {
	Segs, N, NR int
	segK        int // values of a segment
	groups      int // of kr steps of a segment
	colSum      []int32
	tapSum      []int32 // by tap, of PackOverlapQ8
	low         int     // 1 if a value is -128
	size        int     // values of a panel
	count       int     // panels
	step        [2]int  // panels that are multiplied by one tile of rows before the next one, and where there is but one
	kern        *gemmQ8
	panels      []int8
}

// PackQ8 packs the matrix b of segs*segK rows and n columns, row-major with leading dimension ldb, or its transpose if
// transB. It copies b. K, the number of rows, must be at least 1, and K*255*128 below 2³¹. [HasQ8] must hold.
func PackQ8(segs, segK, n int, b []int8, ldb int, transB bool) *PackedQ8 {
	return packQ8(segs, segK, n, b, ldb, transB, true)
}

// PackAlikeQ8 is PackQ8 for a kernel that wants left values in a form that does not depend on b: matrices that are packed by it
// can be multiplied by the same converted values.
func PackAlikeQ8(segs, segK, n int, b []int8, ldb int, transB bool) *PackedQ8 {
	return packQ8(segs, segK, n, b, ldb, transB, false)
}

func packQ8(segs, segK, n int, b []int8, ldb int, transB, pairs bool) *PackedQ8 {
	k := segs * segK
	rs, cs := ldb, 1
	if transB {
		checkMatrix("b", n, k, len(b), ldb)
		rs, cs = 1, ldb
	} else {
		checkMatrix("b", k, n, len(b), ldb)
	}
	p := &PackedQ8{Segs: segs, N: n, segK: segK}
	for i := range gemmQ8Kernels {
		g := &gemmQ8Kernels[i]
		if *g.use && (!g.pairs || pairs && pairsFit(segs, segK, n, b, rs, cs)) && (!g.narrow || g.narrows(segK, n)) {
			p.kern = g
			break
		}
	}
	g := p.kern
	if g == nil || k == 0 {
		panic(fmt.Sprintf("kernel: PackQ8 of %d rows with kernel %v", k, g))
	}
	p.pack(b, rs, cs)
	return p
}

// pack packs a matrix whose value of row i and column j is b[i*rs+j*cs] for the kernel.
func (p *PackedQ8) pack(b []int8, rs, cs int) {
	g, segs, segK, n := p.kern, p.Segs, p.segK, p.N
	p.NR, p.groups = g.nr, (segK+g.kr-1)/g.kr
	p.colSum = make([]int32, n)
	size := segs * p.groups * g.kr * g.nr
	p.size, p.count, p.step = size, (n+g.nr-1)/g.nr, [2]int{max(1, q8Block/size), max(1, 16*q8Block/size)}
	p.panels = make([]int8, p.count*size)
	for j := range n {
		sum := int32(0)
		dst := p.panels[j/g.nr*size+j%g.nr*g.kr:]
		for s := range segs {
			for q := range segK {
				v := b[(s*segK+q)*rs+j*cs]
				sum += int32(v)
				if v == math.MinInt8 {
					p.low = 1
				}
				dst[(s*p.groups+q/g.kr)*g.nr*g.kr+q%g.kr] = v
			}
		}
		p.colSum[j] = sum
	}
}

// narrows reports whether the narrow kernel g takes products of n columns. It multiplies sixteen steps by four columns at a
// time, a wide one four steps by sixteen.
func (g *gemmQ8) narrows(segK, n int) bool {
	return n <= g.nr && roundUp(segK, g.kr)/g.kr*(g.nr/4) < (segK+3)/4
}

// pairsFit reports whether the sum of any two products of neighbours in a group of four steps of a segment fits in 16
// bits, for all unsigned left values.
func pairsFit(segs, segK, n int, b []int8, rs, cs int) bool {
	for s := range segs {
		for q := 0; q+1 < segK; q += 2 {
			row := (s*segK + q) * rs
			for j := range n {
				u, v := int(b[row+j*cs]), int(b[row+rs+j*cs])
				if most := max(u, 0) + max(v, 0); most*255 > math.MaxInt16 {
					return false
				}
				if least := min(u, 0) + min(v, 0); least*255 < math.MinInt16 {
					return false
				}
			}
		}
	}
	return true
}

// Panels returns the number of panels of NR columns.
func (p *PackedQ8) Panels() int { return p.count }

// Bytes returns the memory that the packed values take.
func (p *PackedQ8) Bytes() int { return len(p.panels) + 4*len(p.colSum) }

// Kernel returns the name of the kernel.
func (p *PackedQ8) Kernel() string { return p.kern.name }

// ValueBytes returns the number of bytes of a converted left value.
func (p *PackedQ8) ValueBytes() int {
	if p.kern.a == leftI16 {
		return 2
	}
	return 1
}

// SlackQ8 is the number of bytes behind the last converted value that Run may read.
const SlackQ8 = 16

// InPlace reports whether left values need no conversion and no memory behind them: Run reads them as they are.
func (p *PackedQ8) InPlace(signed bool) bool {
	return !p.flips(signed) && p.kern.a != leftI16 && p.segK%p.kern.kr == 0
}

// flips reports whether the top bits of left values are inverted for the kernel.
func (p *PackedQ8) flips(signed bool) bool {
	return p.kern.a == leftU8 && signed || p.kern.a == leftS8 && !signed
}

// Convert writes the left values src, less zero where that is the kernel's form, to dst, of len(src)*ValueBytes bytes
// and aligned to ValueBytes. signed says that src holds int8 values.
func (p *PackedQ8) Convert(dst []byte, src []uint8, signed bool, zero int32) {
	switch {
	case len(src) == 0:
	case p.ValueBytes() == 2:
		widen(unsafe.Slice((*int16)(unsafe.Pointer(&dst[0])), len(src)), src, int16(zero), signed)
	case p.flips(signed):
		flipBytes(dst[:len(src)], src, 0x80)
	default:
		copy(dst, src)
	}
}

// ConvertRows is Convert for rows of n values: row i from src[i*lds] on goes to value i*ldd of dst.
func (p *PackedQ8) ConvertRows(dst []byte, ldd int, src []uint8, lds, rows, n int, signed bool, zero int32) {
	if size := p.ValueBytes(); size > 1 {
		for i := range rows {
			p.Convert(dst[i*ldd*size:][:n*size], src[i*lds:][:n], signed, zero)
		}
		return
	}
	flip := uint8(0)
	if p.flips(signed) {
		flip = 0x80
	}
	CopyRowsU8(dst, ldd, src, lds, rows, n, flip)
}

// Border fills dst with left values that stand for 0.
func (p *PackedQ8) Border(dst []byte, signed bool, zero int32) {
	v := uint8(zero)
	if p.flips(signed) {
		v ^= 0x80
	}
	if p.ValueBytes() == 2 {
		v = 0
	}
	FillU8(dst, v)
}

// ColumnsQ8 says what is made of the sums of the columns of a product. It is immutable.
type ColumnsQ8 struct {
	init   []int32   // by column, padded to whole panels: bias and what the zero point takes off
	scale  []float32 // likewise
	zero   int32
	lo, hi int32
	nan    int  // 1 if a factor is no finite number
	fits   int  // as in tileQ8
	signed bool // results are
}

// Columns returns the constants for left values with zero point aZero, int8 if signed, and for results
//
//	clamp(int(roundHalfEven(float32(sum+bias[j]) * scale[j])) + zero, lo, hi)
//
// as those of [RequantU8], or of [RequantI8] with result. bias may be nil; bias and scale have N values, which
// are copied; fewer are repeated.
func (p *PackedQ8) Columns(aZero int32, signed bool, bias []int32, scale []float32, zero, lo, hi int32, result bool) *ColumnsQ8 {
	least, most := int32(0), int32(255)
	if result {
		least, most = -128, 127
	}
	if lo < least || hi > most || lo > hi || zero < least || zero > most {
		panic(fmt.Sprintf("kernel: Columns with zero point %d and range [%d,%d]", zero, lo, hi))
	}
	n := p.Panels() * p.NR
	c := &ColumnsQ8{init: make([]int32, n), scale: make([]float32, n), zero: zero, lo: lo, hi: hi, signed: result}
	if lo == least && hi == most {
		c.fits = 1
	}
	shift := int32(0)
	if p.kern.a != leftI16 {
		if shift = aZero; p.flips(signed) {
			if shift += 128; !signed {
				shift -= 256
			}
		}
	}
	for j := range p.N {
		if bias != nil {
			c.init[j] = bias[j%len(bias)]
		}
		if shift != 0 {
			c.init[j] -= shift * p.colSum[j]
		}
		c.scale[j] = scale[j%len(scale)]
		if !(abs1(c.scale[j]) < inf32) {
			c.nan = 1
		}
		if !(abs1(c.scale[j]) < 1) {
			c.fits = 0
		}
	}
	return c
}

// q8Block bounds the bytes of panels that are multiplied by all rows of a call before the next ones.
const q8Block = 16 << 10

// LineQ8 is a run of rows of a product whose left values lie a stride apart: A is the number of the first of them, Dst the
// byte of the first result.
type LineQ8 struct{ A, Dst int }

// Run computes columns p0*NR to min(p1*NR, N) of m rows, the first of them to dst, whose rows lie ldd bytes apart. Row i of the left matrix has
// its first segment at value i*stride of a, converted, and its segments segStride values apart; strides may be such that
// segments and rows overlap. Only those columns are written, so that calls for others or for other rows may run
// concurrently.
func (p *PackedQ8) Run(m int, a []byte, stride, segStride int, c *ColumnsQ8, p0, p1 int, dst []uint8, ldd int) {
	p.runLines([]LineQ8{{}}, m, a, stride, segStride, c, p0, p1, dst, ldd, nil)
}

// RunFetching is Run that also fetches memory.
func (p *PackedQ8) RunFetching(m int, a []byte, stride, segStride int, c *ColumnsQ8, p0, p1 int, dst []uint8, ldd int, f *Fetch) {
	p.runLines([]LineQ8{{}}, m, a, stride, segStride, c, p0, p1, dst, ldd, f)
}

// RunLines is Run for each of the lines, with the values of a from A on and the results of dst from Dst on. A group of panels
// goes through all lines while it is in the cache.
func (p *PackedQ8) RunLines(lines []LineQ8, m int, a []byte, stride, segStride int, c *ColumnsQ8, p0, p1 int, dst []uint8, ldd int) {
	p.runLines(lines, m, a, stride, segStride, c, p0, p1, dst, ldd, nil)
}

func (p *PackedQ8) runLines(lines []LineQ8, m int, a []byte, stride, segStride int, c *ColumnsQ8, p0, p1 int, dst []uint8, ldd int, f *Fetch) {
	if p0 < 0 || p1 > p.Panels() || p0 > p1 {
		panic(fmt.Sprintf("kernel: panels [%d,%d) of %d", p0, p1, p.Panels()))
	}
	if m == 0 || p0 == p1 || len(lines) == 0 {
		return
	}
	size := p.ValueBytes()
	j0, j1 := p0*p.NR, min(p1*p.NR, p.N)
	p.checkLines(lines, m, len(a)/size, stride, segStride, j1-j0, len(dst), ldd)
	g := p.kern
	// A literal would be made elsewhere and copied.
	var t tileQ8
	t.k, t.segs, t.low = p.groups, p.Segs, p.low
	t.skip, t.rs, t.ds, t.cols = (segStride-p.groups*g.kr)*size, stride*size, ldd, g.nr
	t.zero, t.lo, t.hi, t.nan, t.fits = c.zero, float32(c.lo-c.zero), float32(c.hi-c.zero), c.nan, c.fits
	if t.words = c.zero; c.signed {
		t.words, t.flip = c.zero+128, 0x80808080
	}
	full := p1
	if j1 < p1*p.NR {
		full--
	}
	step, tiles := p.step[1], 1
	if m > g.mr {
		tiles = (m + g.mr - 1) / g.mr
	}
	if m*len(lines) > g.mr {
		step = p.step[0]
	}
	two := g.two && 2*m <= g.mr
	if f != nil {
		f.give(&t)
	}
	chains := g.chain && t.fits == 1 && t.k >= chainSteps
	t.pair = uint32(t.words)&0xffff | uint32(t.words)<<16
	for p0 < full {
		n := min(step, full-p0)
		t.b, t.init, t.scale = unsafe.Pointer(&p.panels[p0*p.size]), &c.init[p0*p.NR], &c.scale[p0*p.NR]
		panels, chain := n, 0
		if chains && n > 1 {
			panels, chain = 1, n-1
		}
		at := p0*p.NR - j0
		if tiles > 1 {
			for _, l := range lines {
				for i, left := 0, tiles; i < m; left-- {
					t.rows = (m - i + left - 1) / left
					t.a, t.dst = unsafe.Pointer(&a[l.A*size+i*t.rs]), &dst[l.Dst+i*ldd+at]
					t.a2, t.dst2 = t.second()
					t.panels, t.chain, t.column = n, 0, 0
					if t.rows >= chainRows {
						t.panels, t.chain = panels, chain
					}
					i += t.rows
					archTileQ8(g.id, &t)
				}
			}
			p0 += n
			continue
		}
		for k := 0; k < len(lines); k++ {
			l := &lines[k]
			t.rows = m
			t.a, t.dst = unsafe.Pointer(&a[l.A*size]), &dst[l.Dst+at]
			if two && k+1 < len(lines) {
				k++
				t.rows, t.a2, t.dst2 = 2*m, unsafe.Pointer(&a[lines[k].A*size]), &dst[lines[k].Dst+at]
			} else {
				t.a2, t.dst2 = t.second()
			}
			t.panels, t.chain, t.column = n, 0, 0
			if t.rows >= chainRows {
				t.panels, t.chain = panels, chain
			}
			archTileQ8(g.id, &t)
		}
		p0 += n
	}
	if f != nil {
		f.take(&t)
	}
	if full == p1 {
		return
	}
	if t.cols = j1 - full*p.NR; 2*t.cols <= p.NR {
		t.half = 1
	}
	for _, l := range lines {
		p.partPanel(&t, m, a[l.A*size:], full, c, dst[l.Dst+full*p.NR-j0:])
	}
}

// checkLines panics unless the rows of all lines lie in so many values, and so many columns of their results in so many bytes.
func (p *PackedQ8) checkLines(lines []LineQ8, m, values, stride, segStride, cols, bytes, ldd int) {
	checkMatrix("dst", m, cols, bytes, ldd)
	need, room := (m-1)*stride+(p.Segs-1)*segStride+p.segK, (m-1)*ldd+cols
	for _, l := range lines {
		if l.A < 0 || l.A > values-need || l.Dst < 0 || l.Dst > bytes-room {
			panic(fmt.Sprintf("kernel: line %+v of %d rows in %d left values and %d results", l, m, values, bytes))
		}
	}
}

// partPanel computes the first t.cols columns of a panel.
func (p *PackedQ8) partPanel(t *tileQ8, m int, a []byte, panel int, c *ColumnsQ8, dst []uint8) {
	g := p.kern
	t.b = unsafe.Pointer(&p.panels[panel*p.size])
	t.init, t.scale = &c.init[panel*p.NR], &c.scale[panel*p.NR]
	for i, left := 0, (m+g.mr-1)/g.mr; i < m; left-- {
		t.rows, t.panels, t.column = (m-i+left-1)/left, 1, 0
		t.a, t.dst = unsafe.Pointer(&a[i*t.rs]), &dst[i*t.ds]
		if g.exact {
			t.a2, t.dst2 = t.second()
			archTileQ8(g.id, t)
		} else {
			tileApart(g, *t)
		}
		i += t.rows
	}
}

// tileApart computes a tile of a kernel that writes more columns than are wanted.
func tileApart(g *gemmQ8, t tileQ8) {
	var part [6 * 16]uint8
	to, apart := unsafe.Slice(t.dst, (t.rows-1)*t.ds+t.cols), t.ds
	t.dst, t.ds = &part[0], g.nr
	t.a2, t.dst2 = t.second()
	archTileQ8(g.id, &t)
	for r := range t.rows {
		copy(to[r*apart:][:t.cols], part[r*g.nr:])
	}
}

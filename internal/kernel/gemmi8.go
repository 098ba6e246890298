package kernel

import (
	"encoding/binary"
	"fmt"
	"sync"
	"unsafe"
)

// gemmI8 is one implementation of 8-bit matrix multiplication, as gemmF32 is of float32.
type gemmI8 struct {
	name   string
	id     tileID
	use    *bool
	mr, nr int
	kr     int // steps that are packed side by side; panels and rows of a are padded to a multiple of it
	a      i8Left
	b      i8Panel
}

// i8Left is the form in which a tile reads a.
type i8Left uint8

const (
	leftI16 i8Left = iota // int16, the zero point already subtracted
	leftU8                // uint8; the zero point enters through the column sums
	leftS8                // int8; likewise
)

// i8Panel is the form of a packed panel: [ceil(K/kr)][NR][kr] values, padded with zeros.
type i8Panel uint8

const (
	panelI8  i8Panel = iota // int8
	panelI16                // int16
)

// gemmI8Kernels is the list for dispatch, tests and benchmarks, best first.
var gemmI8Kernels = append(archGemmI8(), gemmI8{name: "generic-4x4", id: tileGeneric, use: &always, mr: 4, nr: 4, kr: 1})

func bestGemmI8() *gemmI8 {
	for i := range gemmI8Kernels {
		if *gemmI8Kernels[i].use {
			return &gemmI8Kernels[i]
		}
	}
	panic("kernel: no matrix kernel")
}

// tileI8 are the arguments of one 8-bit tile: c = a*b or c += a*b, exactly modulo 2³², with the columns of init added
// to each row. Assembly reads the fields by offset; TestTileLayout keeps the two in step.
type tileI8 struct {
	a    unsafe.Pointer // rows of k*kr values in the kernel's form, rs bytes apart
	b    unsafe.Pointer // a panel in the kernel's form
	c    *int32         // row i, column j at c[i*cs + j]; cols columns are readable and writable
	init *int32         // cols values, or nil
	k    int            // groups of kr steps, at least 1
	rows int            // 1 to mr
	cols int            // 1 to nr
	rs   int            // bytes
	cs   int            // values
	acc  int            // 1 adds to c, 0 overwrites it
	low  int            // 1 if b may hold -128, 0 if not
}

func (g *gemmI8) tile(t *tileI8) {
	if g.id == tileGeneric {
		tileI8Generic(t)
		return
	}
	archTileI8(g.id, t)
}

// PackedI8 is a matrix of signed 8-bit values packed for GemmU8 and GemmS8. It is immutable after packing and safe for
// concurrent use.
type PackedI8 struct {
	K, N, NR int
	ColSum   []int32 // sum of each column
	kern     *gemmI8
	low      []bool  // which panels hold -128
	i8       []int8  // the panels of a kernel that reads panelI8
	i16      []int16 // the panels of a kernel that reads panelI16
}

// PackI8 packs the k×n matrix b, or the transpose of the n×k matrix b if transB. It copies b.
func PackI8(k, n int, b []int8, ldb int, transB bool) *PackedI8 {
	rs, cs := ldb, 1
	if transB {
		checkMatrix("b", n, k, len(b), ldb)
		rs, cs = 1, ldb
	} else {
		checkMatrix("b", k, n, len(b), ldb)
	}
	g := bestGemmI8()
	p := &PackedI8{K: k, N: n, NR: g.nr, kern: g, ColSum: make([]int32, n)}
	p.low = make([]bool, p.Panels())
	if g.b == panelI16 {
		p.i16 = make([]int16, p.Panels()*p.panelLen())
	} else {
		p.i8 = make([]int8, p.Panels()*p.panelLen())
	}
	for j := range n {
		sum := int32(0)
		at := j/g.nr*p.panelLen() + j%g.nr*g.kr
		for q := range k {
			v := b[q*rs+j*cs]
			sum += int32(v)
			if v == -128 {
				p.low[j/g.nr] = true
			}
			if i := at + q/g.kr*g.nr*g.kr + q%g.kr; g.b == panelI16 {
				p.i16[i] = int16(v)
			} else {
				p.i8[i] = v
			}
		}
		p.ColSum[j] = sum
	}
	return p
}

// Panels returns the number of panels.
func (p *PackedI8) Panels() int { return (p.N + p.NR - 1) / p.NR }

// Bytes returns the memory that the packed values take.
func (p *PackedI8) Bytes() int { return len(p.i8) + 2*len(p.i16) + 4*len(p.ColSum) }

// panelLen is the number of values in a panel.
func (p *PackedI8) panelLen() int { return roundUp(p.K, p.kern.kr) * p.NR }

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// GemmU8 computes columns p0*NR to min(p1*NR, N) of c = (a - aZero)*b, or of c += (a - aZero)*b if acc, for panels
// [p0, p1) of b, exactly modulo 2³². a is m×K with leading dimension lda, c is m×N with leading dimension ldc; aZero
// is a possible value of a. Only the columns of those panels are touched, so that calls for disjoint panels or rows
// may run concurrently. For K up to 65793 the sums fit, since 255·128·K < 2³¹.
func GemmU8(m int, a []uint8, lda int, aZero uint8, b *PackedI8, p0, p1 int, c []int32, ldc int, acc bool) {
	gemmI8Blocks(m, a, lda, int32(aZero), false, b, p0, p1, c, ldc, acc)
}

// GemmS8 is GemmU8 for signed a.
func GemmS8(m int, a []int8, lda int, aZero int8, b *PackedI8, p0, p1 int, c []int32, ldc int, acc bool) {
	u := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(a))), len(a))
	gemmI8Blocks(m, u, lda, int32(aZero), true, b, p0, p1, c, ldc, acc)
}

// leftBytes bounds the block of a that is converted at a time, so that it stays in the second-level cache.
const leftBytes = 96 << 10

// i8Scratch holds a converted block of a and the constants of the columns. The first field keeps it aligned for int16.
type i8Scratch struct {
	wide  []int16
	bytes []uint8
	init  []int32
}

var i8Pool = sync.Pool{New: func() any { return new(i8Scratch) }}

func gemmI8Blocks(m int, a []uint8, lda int, aZero int32, signed bool, b *PackedI8, p0, p1 int, c []int32, ldc int, acc bool) {
	if p0 < 0 || p1 > b.Panels() || p0 > p1 {
		panic(fmt.Sprintf("kernel: panels [%d,%d) of %d", p0, p1, b.Panels()))
	}
	if m == 0 || p0 == p1 {
		return
	}
	g := b.kern
	checkRows("a", m, b.K, len(a), lda)
	j0, j1 := p0*b.NR, min(p1*b.NR, b.N)
	checkMatrix("c", m, j1, len(c), ldc)
	if b.K == 0 {
		for i := 0; i < m && !acc; i++ {
			clear(c[i*ldc:][j0:j1])
		}
		return
	}
	s := i8Pool.Get().(*i8Scratch)
	defer i8Pool.Put(s)
	t := tileI8{cs: ldc, k: (b.K + g.kr - 1) / g.kr}
	if acc {
		t.acc = 1
	}
	flip := uint8(0)
	if g.a == leftU8 && signed {
		flip, aZero = 0x80, aZero+128
	} else if g.a == leftS8 && !signed {
		flip, aZero = 0x80, aZero-128
	}
	init := g.a != leftI16 && aZero != 0
	if init {
		s.init = grow(s.init, j1-j0)
		for j, sum := range b.ColSum[j0:j1] {
			s.init[j] = -aZero * sum
		}
	}
	kp := t.k * g.kr
	inPlace := g.a != leftI16 && flip == 0 && kp == b.K
	mc := m
	if !inPlace {
		mc = evenBlock(m, max(1, leftBytes/kp/g.mr)*g.mr)
	}
	for i0 := 0; i0 < m; i0 += mc {
		rows := min(mc, m-i0)
		var left unsafe.Pointer
		switch {
		case inPlace:
			left, t.rs = unsafe.Pointer(&a[i0*lda]), lda
		case g.a == leftI16:
			s.wide = grow(s.wide, rows*kp)
			for i := range rows {
				widen(s.wide[i*kp:][:kp], a[(i0+i)*lda:][:b.K], int16(aZero), signed)
			}
			left, t.rs = unsafe.Pointer(&s.wide[0]), 2*kp
		default:
			s.bytes = grow(s.bytes, rows*kp)
			for i := range rows {
				flipBytes(s.bytes[i*kp:][:kp], a[(i0+i)*lda:][:b.K], flip)
			}
			left, t.rs = unsafe.Pointer(&s.bytes[0]), kp
		}
		for p := p0; p < p1; p++ {
			j := p * b.NR
			t.cols = min(b.NR, j1-j)
			t.low = 0
			if b.low[p] {
				t.low = 1
			}
			if init {
				t.init = &s.init[j-j0]
			}
			if g.b == panelI16 {
				t.b = unsafe.Pointer(&b.i16[p*b.panelLen()])
			} else {
				t.b = unsafe.Pointer(&b.i8[p*b.panelLen()])
			}
			for tiles, i := (rows+g.mr-1)/g.mr, 0; i < rows; tiles-- {
				t.rows = (rows - i + tiles - 1) / tiles
				t.a = unsafe.Add(left, i*t.rs)
				t.c = &c[(i0+i)*ldc+j]
				g.tile(&t)
				i += t.rows
			}
		}
	}
}

// grow returns a slice of length n with unspecified contents, s itself where it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// widenGeneric sets dst to the values of src less zero, and the rest of dst to zero.
func widenGeneric(dst []int16, src []uint8, zero int16, signed bool) {
	if signed {
		for i, v := range src {
			dst[i] = int16(int8(v)) - zero
		}
	} else {
		for i, v := range src {
			dst[i] = int16(v) - zero
		}
	}
	clear(dst[len(src):])
}

// flipBytes sets dst to the bytes of src with the bits of mask inverted, and the rest of dst to zero.
func flipBytes(dst, src []uint8, mask uint8) {
	n := flipWide(dst, src, mask)
	dst, src = dst[n:], src[n:]
	words := uint64(mask) * 0x0101010101010101
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^words)
		dst, src = dst[8:], src[8:]
	}
	for i, v := range src {
		dst[i] = v ^ mask
	}
	clear(dst[len(src):])
}

package kernel

import (
	"fmt"
	"sync"
)

// SmallKind is the form in which a packed float32 matrix is held.
type SmallKind uint8

// Forms of small matrices.
const (
	SmallU8   SmallKind = iota // uint8
	SmallS8                    // int8
	SmallF16                   // IEEE 754 binary16, in the byte order of the machine
	SmallBF16                  // the upper half of a float32
)

// size is the number of bytes of one element.
func (k SmallKind) size() int {
	if k >= SmallF16 {
		return 2
	}
	return 1
}

// SmallB is a matrix of small elements that stand for float32 values: row p, column j is
//
//	(value − Zero) · Scale[p/Block][j] · Rows[p]
//
// where Scale is one value for all, or rows of as many values as the matrix has columns, one
// for each Block rows (or for all, if Block is 0); a Rows of nil stands for ones. Zero is
// that of the 8-bit kinds.
type SmallB struct {
	Kind  SmallKind
	Data  []byte
	Zero  int32
	Scale []float32
	Block int
	Rows  []float32
}

// smallPanels is the content of a PackedF32 that is held in a small form, in the order of
// the float32 panels.
type smallPanels struct {
	SmallB
	scales []float32 // panels of rows of Scale; nil where there is one for all
	groups int       // rows of Scale
}

// PackSmallF32 is PackF32 of a matrix that stays in its small form: GemmPackedF32 converts
// one slice of a panel at a time. ldb counts elements. It copies what b refers to, but for
// Rows, which must not change.
func PackSmallF32(k, n int, b SmallB, ldb int, transB bool) *PackedF32 {
	g := bestGemmF32()
	size := b.Kind.size()
	if transB {
		checkMatrix("b", n, k, len(b.Data)/size, ldb)
	} else {
		checkMatrix("b", k, n, len(b.Data)/size, ldb)
	}
	s := &smallPanels{SmallB: b, groups: 1}
	if b.Block > 0 {
		s.groups = (k + b.Block - 1) / b.Block
	}
	if len(b.Scale) != 1 && len(b.Scale) != s.groups*n || b.Rows != nil && len(b.Rows) != k {
		panic(fmt.Sprintf("kernel: %d scales and %d for rows of a %d×%d matrix in blocks of %d", len(b.Scale), len(b.Rows), k, n, b.Block))
	}
	p := &PackedF32{K: k, N: n, NR: g.nr, kern: g, small: s}
	s.Data = make([]byte, p.Panels()*k*g.nr*size)
	step, row := size, ldb*size // between columns and between rows of b
	if transB {
		step, row = row, step
	}
	for j := range n {
		dst := s.Data[((j/g.nr)*k*g.nr+j%g.nr)*size:]
		for q := range k {
			copy(dst[q*g.nr*size:][:size], b.Data[j*step+q*row:])
		}
	}
	if len(b.Scale) != 1 {
		s.scales = make([]float32, p.Panels()*s.groups*g.nr)
		for j := range n {
			for q := range s.groups {
				s.scales[((j/g.nr)*s.groups+q)*g.nr+j%g.nr] = b.Scale[q*n+j]
			}
		}
	}
	s.Scale = b.Scale[:min(1, len(b.Scale))]
	return p
}

func (s *smallPanels) bytes() int { return len(s.Data) + 4*(len(s.scales)+len(s.Rows)) }

// smallSlice is how many values of a panel are converted at a time: they stay in the
// first-level cache with what they are multiplied by.
const smallSlice = 4096

var smallBuffers = sync.Pool{New: func() any { return new([smallSlice]float32) }}

// gemmSmallF32 is blockGemmF32 for panels from p0 on of a matrix in a small form.
func gemmSmallF32(b *PackedF32, m int, a []float32, lda, p0, j0, j1 int, c []float32, ldc int, acc bool, ep *Epilogue) {
	buf := smallBuffers.Get().(*[smallSlice]float32)
	g := b.kern
	t := tileF32{rs: lda, ks: 1, bs: g.nr, cs: ldc}
	kc := evenBlock(b.K, smallSlice/g.nr)
	// One scale for a column can wait until the column's sums are there.
	s := b.small
	late := !acc && s.scales != nil && s.groups == 1
	for j, panel := j0, p0; j < j1; j, panel = j+g.nr, panel+1 {
		cols := min(g.nr, j1-j)
		for p := 0; p < b.K; p += kc {
			t.k, t.cols = min(kc, b.K-p), cols
			s.expand(buf[:t.k*g.nr], panel, p, b.K, g.nr, !late)
			t.b = &buf[0]
			t.acc = 1
			if p == 0 && !acc {
				t.acc = 0
			}
			g.panel(&t, 0, m, a[p:], c[j:], false)
		}
		for i := 0; late && i < m; i++ {
			row := c[i*ldc+j:][:cols]
			MulF32(row, row, s.scales[panel*g.nr:])
		}
	}
	smallBuffers.Put(buf)
	if ep != nil {
		EpilogueF32(m, j1-j0, c[j0:], ldc, j0, ep)
	}
}

// expand converts rows of nr values, from row p of a panel of k rows on. It leaves the scales
// of columns out unless scaled.
func (s *smallPanels) expand(dst []float32, panel, p, k, nr int, scaled bool) {
	at := (panel*k + p) * nr
	one := float32(1)
	if s.scales == nil {
		one = s.Scale[0]
	}
	switch s.Kind {
	case SmallU8:
		DequantizeU8(dst, s.Data[at:at+len(dst)], one, s.Zero)
	case SmallS8:
		DequantizeS8(dst, s.Data[at:at+len(dst)], one, s.Zero)
	default:
		if half := s.Data[2*at : 2*(at+len(dst))]; s.Kind == SmallBF16 {
			WidenBF16(dst, half)
		} else {
			WidenF16(dst, half)
		}
		if one != 1 {
			MulScalarF32(dst, dst, one)
		}
	}
	scaled = scaled && s.scales != nil
	if !scaled && s.Rows == nil {
		return
	}
	for i := 0; i < len(dst); i += nr {
		row, q := dst[i:i+nr], p+i/nr
		if scaled {
			group := 0
			if s.Block > 0 {
				group = q / s.Block
			}
			MulF32(row, row, s.scales[(panel*s.groups+group)*nr:][:nr])
		}
		if s.Rows != nil {
			MulScalarF32(row, row, s.Rows[q])
		}
	}
}

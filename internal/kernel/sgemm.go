package kernel

import (
	"fmt"
	"sync"
)

// scratchPool holds buffers for operands packed on the fly.
var scratchPool sync.Pool // of *[]float32

// scratch returns a buffer of n values with unspecified contents.
func scratch(n int) *[]float32 {
	if p, ok := scratchPool.Get().(*[]float32); ok && cap(*p) >= n {
		*p = (*p)[:n]
		return p
	}
	s := make([]float32, n)
	return &s
}

// packBlock is how many values of b GemmF32 packs at a time, which bounds its scratch memory.
const packBlock = 128 << 10

// directRows is the number of rows of a from which packing b pays where its leading dimension is unfavourable.
const directRows = 48

// aliases reports whether rows with leading dimension ld fall on so few sets of a first-level cache that a block of
// them does not stay there: multiples of a quarter of a 4 KiB way.
func aliases(ld int) bool { return ld%256 == 0 }

// GemmF32 computes c = alpha*op(a)*op(b) + beta*c, where op(x) is x or, if its flag says so, its transpose. op(a) is
// m×k, op(b) k×n and c m×n. As in BLAS, c is not read if beta is 0, and neither a nor b if alpha or k is 0. Blocks
// of a and b that the kernels cannot read in place are copied to pooled scratch memory. Concurrent callers should split
// c by columns: that leaves every bit of the result the same, and packs each block of b once.
func GemmF32(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("kernel: GemmF32 with m=%d n=%d k=%d", m, n, k))
	}
	if m == 0 || n == 0 {
		return
	}
	checkMatrix("c", m, n, len(c), ldc)
	if beta != 0 && beta != 1 {
		for i := range m {
			row := c[i*ldc:][:n]
			MulScalarF32(row, row, beta)
		}
	}
	acc := beta != 0
	if k == 0 || alpha == 0 {
		emptyProduct(m, n, c, ldc, acc)
		return
	}
	if transA {
		checkMatrix("a", k, m, len(a), lda)
	} else {
		checkMatrix("a", m, k, len(a), lda)
	}
	if transB {
		checkMatrix("b", n, k, len(b), ldb)
	} else {
		checkMatrix("b", k, n, len(b), ldb)
	}
	s := sgemm{g: bestGemmF32(), m: m, n: n, alpha: alpha, lda: lda, ldb: ldb, transA: transA, transB: transB}
	s.kc = evenBlock(k, max(64, panelBytes/(4*s.g.nr)))
	s.mc = evenBlock(m, max(1, rowBlockBytes/(4*s.kc)/s.g.mr)*s.g.mr)
	s.nc = n
	s.packB = transB || alpha != 1 || aliases(ldb) && m >= directRows
	if s.packB {
		s.nc = min(roundUp(n, s.g.nr), max(1, packBlock/(s.kc*s.g.nr))*s.g.nr)
	}
	// Padding that takes neighbouring rows to different cache sets.
	s.ldCopy = s.kc + 16
	if transA {
		s.ldCopy = s.mc + 16
	}
	s.copyA = aliases(lda) && n > 4*s.g.nr
	s.run(k, a, b, c, ldc, acc)
}

// sgemm is one product in blocks of mc×nc of c and kc steps.
type sgemm struct {
	g              *gemmF32
	m, n           int
	mc, nc, kc     int
	alpha          float32
	lda, ldb       int
	ldCopy         int // leading dimension of the copied blocks of a
	transA, transB bool
	packB, copyA   bool
}

func (s *sgemm) run(k int, a, b, c []float32, cs int, acc bool) {
	g := s.g
	// Scratch: the packed block of b, or its last, partial panel; then the copied block of a.
	sizeB := s.kc * g.nr
	if s.packB {
		sizeB = s.kc * roundUp(s.nc, g.nr)
	}
	sizeA := 0
	if s.copyA {
		sizeA = s.ldCopy * s.mc
		if s.transA {
			sizeA = s.ldCopy * s.kc
		}
	}
	buf := scratch(sizeB + sizeA)
	bufB, bufA := (*buf)[:sizeB], (*buf)[sizeB:]
	for j0 := 0; j0 < s.n; j0 += s.nc {
		j1 := min(j0+s.nc, s.n)
		for p := 0; p < k; p += s.kc {
			kb := min(s.kc, k-p)
			t := tileF32{k: kb, cs: cs}
			if acc || p > 0 {
				t.acc = 1
			}
			s.pack(bufB, b, p, kb, j0, j1)
			for i0 := 0; i0 < s.m; i0 += s.mc {
				i1 := min(i0+s.mc, s.m)
				left := s.left(&t, bufA, a, i0, i1, p)
				for j := j0; j < j1; j += g.nr {
					t.cols = min(g.nr, j1-j)
					switch {
					case s.packB:
						t.b, t.bs = &bufB[(j-j0)*kb], g.nr
					case t.cols < g.nr:
						t.b, t.bs = &bufB[0], g.nr
					default:
						t.b, t.bs = &b[p*s.ldb+j], s.ldb
					}
					g.panel(&t, 0, i1-i0, left, c[i0*cs+j:], j+g.nr < j1)
				}
			}
		}
	}
	scratchPool.Put(buf)
}

// pack fills dst with steps p to p+kb of columns j0 to j1 of b, or of their last, partial panel where the others are
// read in place.
func (s *sgemm) pack(dst, b []float32, p, kb, j0, j1 int) {
	nr := s.g.nr
	if !s.packB {
		if j0 = j1 - (j1-j0)%nr; j0 == j1 {
			return
		}
	}
	n := j1 - j0
	dst = dst[:kb*roundUp(n, nr)]
	from := p*s.ldb + j0
	if s.transB {
		from = j0*s.ldb + p
	}
	packF32(dst, nr, kb, n, b[from:], s.ldb, s.transB)
	if s.alpha != 1 {
		MulScalarF32(dst, dst, s.alpha)
	}
}

// left returns rows i0 to i1 of a from step p, in place or copied to buf, and sets their strides in t.
func (s *sgemm) left(t *tileF32, buf, a []float32, i0, i1, p int) []float32 {
	from, rows, cols := i0*s.lda+p, i1-i0, t.k
	t.rs, t.ks = s.lda, 1
	if s.transA {
		from, rows, cols = p*s.lda+i0, t.k, i1-i0
		t.rs, t.ks = 1, s.lda
	}
	if !s.copyA {
		return a[from:]
	}
	for r := range rows {
		copy(buf[r*s.ldCopy:], a[from+r*s.lda:][:cols])
	}
	if s.transA {
		t.ks = s.ldCopy
	} else {
		t.rs = s.ldCopy
	}
	return buf
}

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

// packBlock is how many values of b GemmF32 packs at a time, which bounds its scratch memory and keeps the block in the
// second-level cache.
const packBlock = 96 << 10

// GemmF32 computes c = alpha*op(a)*op(b) + beta*c, where op(x) is x or, if its flag says so, its transpose. op(a) is
// m×k, op(b) k×n and c m×n. As in BLAS, c is not read if beta is 0, and neither a nor b if alpha or k is 0. b is packed
// block by block into pooled scratch memory. Concurrent callers that split c should split its columns, since a split
// by rows packs b once per part.
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
	rs, ks := lda, 1
	if transA {
		checkMatrix("a", k, m, len(a), lda)
		rs, ks = 1, lda
	} else {
		checkMatrix("a", m, k, len(a), lda)
	}
	if transB {
		checkMatrix("b", n, k, len(b), ldb)
	} else {
		checkMatrix("b", k, n, len(b), ldb)
	}
	g := bestGemmF32()
	kc := evenBlock(k, max(256, packBlock/g.nr/4))
	nc := evenBlock((n+g.nr-1)/g.nr, max(1, packBlock/(kc*g.nr))) * g.nr
	buf := scratch(kc * nc)
	for p := 0; p < k; p += kc {
		kb := min(kc, k-p)
		for j := 0; j < n; j += nc {
			nb := min(nc, n-j)
			packed := (*buf)[:kb*((nb+g.nr-1)/g.nr)*g.nr]
			if transB {
				packF32(packed, g.nr, kb, nb, b[j*ldb+p:], ldb, true)
			} else {
				packF32(packed, g.nr, kb, nb, b[p*ldb+j:], ldb, false)
			}
			if alpha != 1 {
				MulScalarF32(packed, packed, alpha)
			}
			blockGemmF32(g, m, kb, a[p*ks:], rs, ks, packed, j, j+nb, c, ldc, acc || p > 0, nil)
		}
	}
	scratchPool.Put(buf)
}

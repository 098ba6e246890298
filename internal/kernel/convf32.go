package kernel

import "fmt"

// RepackF32 is PackF32 into the memory of p, which must no longer be in use, where that is large enough. p may be nil.
func RepackF32(p *PackedF32, k, n int, b []float32, ldb int, transB bool) *PackedF32 {
	g := bestGemmF32()
	if p == nil || p.kern != g || cap(p.data) < (n+g.nr-1)/g.nr*k*g.nr {
		return PackF32(k, n, b, ldb, transB)
	}
	p.K, p.N, p.NR = k, n, g.nr
	p.data = p.data[:p.Panels()*k*g.nr]
	p.packAll(b, ldb, transB)
	return p
}

// checkRows panics unless rows of cols elements, each lda after the one before, fit in n elements. Rows may overlap:
// neighbouring windows of a convolution do.
func checkRows(name string, rows, cols, n, lda int) {
	if rows < 0 || cols < 0 || lda < 0 {
		panic(fmt.Sprintf("kernel: matrix %s is %d×%d with leading dimension %d", name, rows, cols, lda))
	}
	if rows > 0 && cols > 0 && (n < cols || lda > 0 && (n-cols)/lda < rows-1) {
		panic(fmt.Sprintf("kernel: matrix %s, %d×%d with leading dimension %d, does not fit in %d values", name, rows, cols, lda, n))
	}
}

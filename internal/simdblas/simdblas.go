// Package simdblas implements gonum's blas.Float32 on the kernels of package kernel.
//
// Implementation embeds gonum's own implementation and replaces the single-precision routines where time is spent.
// Arguments are checked as gonum does: a call that the kernels do not serve (a stride other than one, an empty matrix,
// a wrong argument) goes to gonum, which also panics with its own text. To use it for a program's float32 matrices:
//
//	blas32.Use(simdblas.Implementation{})
//
// Results agree with gonum's up to the order of summation and fused multiplications, with one exception: gonum skips
// terms whose factor is zero, so that 0·Inf and 0·NaN vanish there and give NaN here. Methods are safe for concurrent
// use on separate destinations.
package simdblas

import (
	goruntime "runtime"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/aekit/aekit/internal/kernel"
)

// Implementation is a blas.Float32, and everything else that gonum.Implementation is.
type Implementation struct{ gonum.Implementation }

var _ blas.Float32 = Implementation{}

// parallelWork is the number of multiplications from which Sgemm starts goroutines: some hundred microseconds of work.
const parallelWork = 1 << 22

// columnChunk is the width in columns of the parts that goroutines compute. It is a multiple of every kernel's panel.
const columnChunk = 96

// Sgemm computes c = alpha*op(a)*op(b) + beta*c. Large products are split by columns over at most GOMAXPROCS
// goroutines; the result does not depend on their number.
func (impl Implementation) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if tA != blas.NoTrans {
		rowsA, colsA = k, m
	}
	if tB != blas.NoTrans {
		rowsB, colsB = n, k
	}
	if !isTranspose(tA) || !isTranspose(tB) || !fits(a, rowsA, colsA, lda) || !fits(b, rowsB, colsB, ldb) || !fits(c, m, n, ldc) {
		impl.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	part := func(j, cols int) {
		from := j
		if tB != blas.NoTrans {
			from = j * ldb
		}
		kernel.GemmF32(tA != blas.NoTrans, tB != blas.NoTrans, m, cols, k, alpha, a, lda, b[from:], ldb, beta, c[j:], ldc)
	}
	chunks := (n + columnChunk - 1) / columnChunk
	workers := min(goruntime.GOMAXPROCS(0), chunks)
	if workers == 1 || float64(m)*float64(n)*float64(k) < parallelWork {
		part(0, n)
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		// Whole chunks, dealt out evenly and in one piece, so that a is read once per worker.
		j0, j1 := w*chunks/workers*columnChunk, min((w+1)*chunks/workers*columnChunk, n)
		wg.Go(func() { part(j0, j1-j0) })
	}
	wg.Wait()
}

// Sgemv computes y = alpha*a*x + beta*y or, transposed, y = alpha*aᵀ*x + beta*y.
func (impl Implementation) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	lenX, lenY := n, m
	if tA != blas.NoTrans {
		lenX, lenY = m, n
	}
	if !isTranspose(tA) || incX != 1 || incY != 1 || alpha == 0 || !fits(a, m, n, lda) || len(x) < lenX || len(y) < lenY {
		impl.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	x, y = x[:lenX], y[:lenY]
	if tA == blas.NoTrans {
		for i := range y {
			s := alpha * kernel.DotF32(a[i*lda:][:n], x)
			if beta != 0 {
				s += beta * y[i]
			}
			y[i] = s
		}
		return
	}
	if beta == 0 {
		clear(y)
	} else if beta != 1 {
		kernel.MulScalarF32(y, y, beta)
	}
	for i, v := range x {
		kernel.AxpyF32(alpha*v, a[i*lda:][:n], y)
	}
}

// Sger computes a = a + alpha*x*yᵀ. Gonum's assembly for it reads beyond y where incY is
// negative (v0.17), so that it only gets what it refuses.
func (impl Implementation) Sger(m, n int, alpha float32, x []float32, incX int, y []float32, incY int, a []float32, lda int) {
	if alpha == 0 || !fits(a, m, n, lda) || !reaches(x, m, incX) || !reaches(y, n, incY) {
		impl.Implementation.Sger(m, n, alpha, x, incX, y, incY, a, lda)
		return
	}
	kx, ky := start(m, incX), start(n, incY)
	for i := range m {
		row := a[i*lda:][:n]
		v := alpha * x[kx+i*incX]
		if incY == 1 {
			kernel.AxpyF32(v, y[:n], row)
			continue
		}
		for j := range row {
			row[j] += v * y[ky+j*incY]
		}
	}
}

// reaches reports whether x holds n elements, at least one, that are inc apart.
func reaches(x []float32, n, inc int) bool {
	if inc < 0 {
		inc = -inc
	}
	return n > 0 && inc > 0 && len(x) > 0 && (len(x)-1)/inc >= n-1
}

// start is the index of the first of n elements: with a negative increment they begin at the
// far end.
func start(n, inc int) int {
	if inc < 0 {
		return (1 - n) * inc
	}
	return 0
}

// Saxpy computes y = alpha*x + y.
func (impl Implementation) Saxpy(n int, alpha float32, x []float32, incX int, y []float32, incY int) {
	if incX != 1 || incY != 1 || n < 1 || len(x) < n || len(y) < n || alpha == 0 {
		impl.Implementation.Saxpy(n, alpha, x, incX, y, incY)
		return
	}
	kernel.AxpyF32(alpha, x, y[:n])
}

// Sdot returns the sum of x[i]*y[i].
func (impl Implementation) Sdot(n int, x []float32, incX int, y []float32, incY int) float32 {
	if incX != 1 || incY != 1 || n < 1 || len(x) < n || len(y) < n {
		return impl.Implementation.Sdot(n, x, incX, y, incY)
	}
	return kernel.DotF32(x[:n], y)
}

// Sscal computes x = alpha*x; alpha = 0 clears x, whatever it holds.
func (impl Implementation) Sscal(n int, alpha float32, x []float32, incX int) {
	if incX != 1 || n < 1 || len(x) < n || alpha == 0 {
		impl.Implementation.Sscal(n, alpha, x, incX)
		return
	}
	kernel.MulScalarF32(x[:n], x[:n], alpha)
}

func isTranspose(t blas.Transpose) bool {
	return t == blas.NoTrans || t == blas.Trans || t == blas.ConjTrans
}

// fits reports whether x holds a rows×cols matrix with leading dimension ld, and is not empty.
func fits(x []float32, rows, cols, ld int) bool {
	return rows > 0 && cols > 0 && ld >= cols && len(x) >= cols && (len(x)-cols)/ld >= rows-1
}

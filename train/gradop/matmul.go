package gradop

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

var matmulTable = map[string]constructor{
	"MatMulGrad": newMatMulGrad,
}

// matmulGrad is the gradient of MatMul with regard to input "side" (0 or 1): inputs dy, a,
// b. It covers vectors, and batches that are broadcast.
type matmulGrad struct{ side int }

func newMatMulGrad(a *op.Attrs) (op.Op, error) {
	o := &matmulGrad{a.Int("side", 0)}
	if o.side != 0 && o.side != 1 {
		a.Fail("attribute \"side\" is %d, want 0 or 1", o.side)
	}
	return o, nil
}

// matmulDims describes a MatMul whose operands have been brought to rank 2 and above.
type matmulDims struct {
	batch, aBatch, bBatch tensor.Shape
	m, n, k               int
}

func (d *matmulDims) init(a, b tensor.Shape) error {
	if len(a) == 0 || len(b) == 0 {
		return errShapes
	}
	d.m, d.n = 1, 1
	if len(a) == 1 {
		a = tensor.Shape{1, a[0]}
	}
	if len(b) == 1 {
		b = tensor.Shape{b[0], 1}
	}
	d.m, d.k, d.n = a[len(a)-2], a[len(a)-1], b[len(b)-1]
	if b[len(b)-2] != d.k {
		return errShapes
	}
	d.aBatch, d.bBatch = a[:len(a)-2], b[:len(b)-2]
	var err error
	if d.batch, err = tensor.Broadcast(d.aBatch, d.bBatch); err != nil {
		return err
	}
	// One matrix b for all of a is one product of tall matrices.
	if product(d.bBatch) == 1 {
		d.m *= product(d.aBatch)
		d.batch, d.aBatch, d.bBatch = nil, nil, nil
	}
	return nil
}

func (o *matmulGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1, 2); err != nil {
		return nil, err
	}
	var d matmulDims
	if err := d.init(in[1].Shape, in[2].Shape); err != nil {
		return nil, err
	}
	if product(in[0].Shape) != product(d.batch)*d.m*d.n {
		return nil, errShapes
	}
	return []op.Fact{like(in[1+o.side])}, nil
}

// MACs implements [op.Coster].
func (o *matmulGrad) MACs(in, _ []op.Fact) int64 {
	var d matmulDims
	if d.init(in[1].Shape, in[2].Shape) != nil {
		return 0
	}
	return int64(product(d.batch)) * int64(d.m) * int64(d.n) * int64(d.k)
}

func (o *matmulGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	var d matmulDims
	if err := d.init(in[1].Shape(), in[2].Shape()); err != nil {
		return err
	}
	if out[0].DType() == tensor.Float64 {
		matmulGradRun(ctx, o.side, &d, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), tensor.Data[float64](in[1]), tensor.Data[float64](in[2]))
	} else {
		matmulGradRun(ctx, o.side, &d, out[0].Float32s(), in[0].Float32s(), in[1].Float32s(), in[2].Float32s())
	}
	return nil
}

func matmulGradRun[T floating](ctx *op.Context, side int, d *matmulDims, dst, dy, a, b []T) {
	if len(d.batch) == 0 {
		matmulGradOne(ctx, side, d, false, dst, dy, a, b)
		return
	}
	clear(dst)
	sa, sb := batchStrides(d.aBatch, d.batch), batchStrides(d.bBatch, d.batch)
	idx := make([]int, len(d.batch))
	ia, ib := 0, 0
	for range product(d.batch) {
		am, bm := a[ia*d.m*d.k:][:d.m*d.k], b[ib*d.k*d.n:][:d.k*d.n]
		to := dst[ia*d.m*d.k:]
		if side == 1 {
			to = dst[ib*d.k*d.n:]
		}
		matmulGradOne(ctx, side, d, true, to, dy[:d.m*d.n], am, bm)
		dy = dy[d.m*d.n:]
		for x := len(idx) - 1; x >= 0; x-- {
			idx[x]++
			ia += sa[x]
			ib += sb[x]
			if idx[x] < d.batch[x] {
				break
			}
			ia -= sa[x] * idx[x]
			ib -= sb[x] * idx[x]
			idx[x] = 0
		}
	}
}

// batchStrides returns, in matrices, the step of each axis of to in an operand of shape s.
func batchStrides(s, to tensor.Shape) []int {
	out := make([]int, len(to))
	st := s.Strides()
	for i := range s {
		if s[i] != 1 {
			out[len(to)-len(s)+i] = st[i]
		}
	}
	return out
}

func matmulGradOne[T floating](ctx *op.Context, side int, d *matmulDims, acc bool, dst, dy, a, b []T) {
	if side == 0 {
		gemm(ctx, false, true, d.m, d.k, d.n, dy, d.n, b, d.n, acc, dst, d.k) // dy·bᵀ
	} else {
		gemm(ctx, true, false, d.k, d.n, d.m, a, d.k, dy, d.n, acc, dst, d.n) // aᵀ·dy
	}
}

// gemmTask is a product cut by columns of c: the cut depends on the shape alone.
type gemmTask struct {
	transA, transB bool
	m, n, k, cols  int
	a, b, c        []float32
	lda, ldb, ldc  int
	beta           float32
}

// Do implements [parallel.Task].
func (t *gemmTask) Do(chunk, _ int) {
	j := chunk * t.cols
	n := min(t.cols, t.n-j)
	b := t.b[j:]
	if t.transB {
		b = t.b[j*t.ldb:]
	}
	kernel.GemmF32(t.transA, t.transB, t.m, n, t.k, 1, t.a, t.lda, b, t.ldb, t.beta, t.c[j:], t.ldc)
}

// gemm computes c = op(a)·op(b), or adds it to c.
func gemm[T floating](ctx *op.Context, transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, acc bool, c []T, ldc int) {
	if m == 0 || n == 0 {
		return
	}
	if f, ok := any(c).([]float32); ok {
		t := op.StateOf[gemmTask](ctx)
		*t = gemmTask{transA, transB, m, n, k, n, any(a).([]float32), any(b).([]float32), f, lda, ldb, ldc, 0}
		if acc {
			t.beta = 1
		}
		const unit, work = 96, 1 << 17 // columns, a multiple of every tile; multiplications worth a chunk
		if float64(m)*float64(n)*float64(k) > 2*work && k > 0 {
			t.cols = (int(work/(float64(m)*float64(k))) + unit) / unit * unit
		}
		var pool *parallel.Pool
		if ctx != nil {
			pool = ctx.Pool
		}
		pool.Run((n+t.cols-1)/t.cols, t)
		return
	}
	for i := range m {
		for j := range n {
			var s T
			for p := range k {
				ai, bi := i*lda+p, p*ldb+j
				if transA {
					ai = p*lda + i
				}
				if transB {
					bi = j*ldb + p
				}
				s += a[ai] * b[bi]
			}
			if acc {
				s += c[i*ldc+j]
			}
			c[i*ldc+j] = s
		}
	}
}

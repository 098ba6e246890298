package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/late"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// packedB is the second operand of a matrix product in the form of the kernels.
type packedB struct {
	p     *kernel.PackedF32
	shape tensor.Shape // of the tensor that was packed
}

// Bytes implements [Packed].
func (b *packedB) Bytes() int { return b.p.Bytes() }

// packKey names the form that packB gives.
func packKey(trans bool, alpha float32) string {
	return fmt.Sprintf("gemm-f32 trans=%t alpha=%g", trans, alpha)
}

// packB packs the k×n matrix alpha·t, or n×k if trans. Half-precision values stay so.
func packB(t *tensor.Tensor, k, n int, trans bool, alpha float32, s Slices) *packedB {
	ldb := n
	if trans {
		ldb = k
	}
	if v := t.Late(); Complete && v != nil && v.Transpose != nil {
		// The rows of the matrix that t is made of are the columns of t.
		if src, ok := v.Src.(*tensor.Tensor); ok && src.Rank() == 2 && src.Shape()[1]*ldb == t.Elems() {
			return &packedB{packB(src, k, n, !trans, alpha, s).p, t.Shape().Clone()}
		}
	}
	if t.DType() == tensor.Float32 && alpha == 1 {
		p := packTask{p: kernel.NewPackedF32(k, n), t: t, ldb: ldb, trans: trans, s: s}
		p.run()
		return &packedB{p.p, t.Shape().Clone()}
	}
	if isHalf(t.DType()) {
		return &packedB{kernel.PackSmallF32(k, n, halfSource(t, alpha).SmallB, ldb, trans), t.Shape().Clone()}
	}
	b := t.Float32s()
	if alpha != 1 {
		s := make([]float32, len(b))
		kernel.MulScalarF32(s, b, alpha)
		b = s
	}
	return &packedB{kernel.PackF32(k, n, b, ldb, trans), t.Shape().Clone()}
}

// packSlice is how many bytes of a matrix a goroutine packs at a time.
const packSlice = 512 << 10

// packTask packs a float32 matrix slice by slice. A chunk is a slice.
type packTask struct {
	p     *kernel.PackedF32
	t     *tensor.Tensor
	ldb   int
	trans bool
	s     Slices
	rows  int // of a slice
	bufs  [][]float32
}

func (p *packTask) run() {
	rows := p.p.K
	p.rows = max(1, packSlice/(4*p.ldb))
	if p.trans {
		rows = p.p.N
		p.rows = (p.rows + p.p.NR - 1) / p.p.NR * p.p.NR
	}
	if Complete && late.Pieces(p.t) {
		p.bufs = make([][]float32, max(1, p.s.Pool.Threads()))
	}
	p.s.Pool.Run((rows+p.rows-1)/p.rows, p)
}

// Do implements [parallel.Task].
func (p *packTask) Do(chunk, worker int) {
	if p.s.Enter != nil {
		defer p.s.Enter()()
	}
	rows := p.t.Elems() / p.ldb
	from := chunk * p.rows
	to := min(from+p.rows, rows)
	if Complete && p.bufs != nil {
		b := &p.bufs[worker]
		if *b == nil {
			*b = make([]float32, p.rows*p.ldb)
		}
		p.p.PackPart(late.Read(p.t, *b, from*p.ldb, to*p.ldb), p.ldb, p.trans, from, to)
	} else {
		p.p.Pack(p.t.Float32s(), p.ldb, p.trans, from, to)
	}
	p.s.packed(p.t, from*p.ldb, to*p.ldb)
}

// gemmTask is one product c = alpha·op(a)·op(b), or c += … if acc, with an epilogue, cut
// into rectangles of c. If packed is set, it stands for alpha·op(b).
type gemmTask struct {
	m, n, k        int
	a, b, c        []float32
	packed         *kernel.PackedF32
	alpha          float32
	transA, transB bool
	acc            bool
	ep             *kernel.Epilogue

	// A chunk has rows rows and, of the units that the columns are counted in (panels if
	// packed), an equal share with the other colChunks of its rows.
	rows, units, colChunks int
}

const (
	// gemmGrain is how many multiplications are worth a chunk of their own: about 2 µs,
	// several times what handing a chunk to another thread costs.
	gemmGrain = 1 << 17
	// gemmRows bounds the rows of a chunk, so that they stay in the cache from one panel of
	// b to the next.
	gemmRows = 168
	// gemmRowUnit is a multiple of the rows of most kernels' tiles.
	gemmRowUnit = 24
	// gemmCols is a multiple of the columns of every kernel's tile.
	gemmCols = 96
)

// sharedGemm is a product as threads find it.
type sharedGemm struct {
	gemmTask
	act kernel.Epilogue
}

// keep sets what is not what it was.
func (s *sharedGemm) keep(t *gemmTask) {
	if !Complete {
		s.gemmTask = *t
		return
	}
	for _, p := range [][2]*int{{&s.m, &t.m}, {&s.n, &t.n}, {&s.k, &t.k}, {&s.rows, &t.rows}, {&s.units, &t.units}, {&s.colChunks, &t.colChunks}} {
		keep(p[0], *p[1])
	}
	keepSlice(&s.a, t.a)
	keepSlice(&s.b, t.b)
	keepSlice(&s.c, t.c)
	keep(&s.packed, t.packed)
	keepFloat(&s.alpha, t.alpha)
	keep(&s.transA, t.transA)
	keep(&s.transB, t.transB)
	keep(&s.acc, t.acc)
	if t.ep == nil {
		keep(&s.ep, nil)
		return
	}
	keepEpilogue(&s.act, *t.ep)
	keep(&s.ep, &s.act)
}

// run computes the product on a pool, by way of s.
func (t *gemmTask) run(pool *parallel.Pool, s *sharedGemm) {
	if t.m == 0 || t.n == 0 {
		return
	}
	if t.k == 0 {
		t.packed, t.b, t.alpha = nil, nil, 1
	}
	t.whole()
	work, grain := float64(t.m)*float64(t.n)*float64(t.k), float64(gemmGrain)
	if t.m == 1 {
		grain *= 2. / 3 // it waits for b
	}
	if work > 2*grain {
		// Multiples of four share out evenly among the usual numbers of threads.
		want := ceilDiv(int(min(work/grain, 64)), 4) * 4
		least := gemmRowUnit
		if t.packed == nil {
			// Every part of the rows packs all of b once more.
			least *= 4
		}
		rowChunks := max(1, min(ceilDiv(want, t.units), t.m/least))
		if t.packed != nil {
			rowChunks = max(rowChunks, ceilDiv(t.m, gemmRows))
		}
		t.rows = ceilDiv(ceilDiv(t.m, rowChunks), gemmRowUnit) * gemmRowUnit
		t.colChunks = min(ceilDiv(want, ceilDiv(t.m, t.rows)), t.units)
		if pool.Threads() == 1 {
			t.colChunks = 1 // columns do not depend on how they are shared out
		}
		t.rows = evenShare(t.m, t.rows) // rows do
	}
	chunks := t.colChunks * ceilDiv(t.m, t.rows)
	if chunks == 1 || pool.Threads() == 1 {
		for i := range chunks {
			t.Do(i, 0)
		}
		return
	}
	s.keep(t)
	pool.Run(chunks, &s.gemmTask)
}

// evenShare returns at most size such that an even number of shares of n, of that many each but the last, are about equal: two
// threads then begin with the same halves of n in every operator, and mostly read what they have written themselves.
func evenShare(n, size int) int {
	if n <= size {
		return size
	}
	return ceilDiv(n, ceilDiv(ceilDiv(n, size), 2)*2)
}

// Do implements [parallel.Task].
func (t *gemmTask) Do(chunk, _ int) {
	r0, q := chunk/t.colChunks*t.rows, chunk%t.colChunks
	u0, u1 := q*t.units/t.colChunks, (q+1)*t.units/t.colChunks
	m := min(t.rows, t.m-r0)
	lda := t.k
	if t.transA {
		lda = t.m
	}
	a := t.a
	if t.transA {
		a = a[min(r0, len(a)):]
	} else {
		a = a[r0*t.k:]
	}
	if t.packed != nil {
		kernel.GemmPackedF32(m, a, lda, t.packed, u0, u1, t.c[r0*t.n:], t.n, t.acc, t.ep)
		return
	}
	c0 := u0 * gemmCols
	n := min(u1*gemmCols, t.n) - c0
	ldb, b := t.n, t.b
	if t.transB {
		ldb = t.k
		b = b[min(c0*t.k, len(b)):]
	} else {
		b = b[min(c0, len(b)):]
	}
	beta := float32(0)
	if t.acc {
		beta = 1
	}
	c := t.c[r0*t.n+c0:]
	kernel.GemmF32(t.transA, t.transB, m, n, t.k, t.alpha, a, lda, b, ldb, beta, c, t.n)
	if t.ep != nil {
		kernel.EpilogueF32(m, n, c, t.n, c0, t.ep)
	}
}

var _ parallel.Task = (*gemmTask)(nil)

// batchTask is a stack of products that are too small to be cut, of the form of one
// gemmTask. A chunk is several whole products.
type batchTask struct {
	one     gemmTask
	at      [][2]int // the matrices of a and b that product i multiplies
	a, b, c []float32
	group   int
}

// Do implements [parallel.Task].
func (t *batchTask) Do(chunk, _ int) {
	one := t.one
	mk, kn, mn := one.m*one.k, one.k*one.n, one.m*one.n
	for i := chunk * t.group; i < min((chunk+1)*t.group, len(t.at)); i++ {
		pa, pb := t.at[i][0], t.at[i][1]
		one.a, one.c = t.a[pa*mk:(pa+1)*mk], t.c[i*mn:(i+1)*mn]
		if one.packed == nil {
			one.b = t.b[pb*kn : (pb+1)*kn]
		}
		one.whole()
		one.Do(0, 0)
	}
}

// whole makes the product one chunk.
func (t *gemmTask) whole() {
	t.rows, t.units, t.colChunks = t.m, ceilDiv(t.n, gemmCols), 1
	if t.packed != nil {
		t.units = t.packed.Panels()
	}
}

// runBatch computes the products of st.task's form over stacks of matrices: each by itself
// on all threads, or, if they are small, several to a thread.
func (st *gemmState) runBatch(pool *parallel.Pool, d *matmulDims, a, b, c []float32) {
	l := &st.loop
	l.init(d.batch, d.aBatch, d.bBatch, nil)
	n, sa, sb, _ := l.inner()
	st.batch.at = st.batch.at[:0]
	for l.next() {
		for i := range n {
			st.batch.at = append(st.batch.at, [2]int{l.pos[0] + i*sa, l.pos[1] + i*sb})
		}
	}
	t := &st.batch
	t.one, t.a, t.b, t.c = st.task, a, b, c
	work := float64(d.m) * float64(d.k) * float64(d.n)
	if len(t.at) > 1 && work <= 2*gemmGrain && d.k > 0 {
		t.group = int(gemmGrain/max(work, 1)) + 1
		pool.Run((len(t.at)+t.group-1)/t.group, t)
	} else {
		mk, kn, mn := d.m*d.k, d.k*d.n, d.m*d.n
		for i, p := range t.at {
			st.task.a, st.task.c = a[p[0]*mk:(p[0]+1)*mk], c[i*mn:(i+1)*mn]
			if st.task.packed == nil {
				st.task.b = b[p[1]*kn : (p[1]+1)*kn]
			}
			st.task.run(pool, &st.shared)
		}
	}
	t.one, t.a, t.b, t.c = gemmTask{}, nil, nil, nil
}

// gemmState is the state of MatMul and Gemm.
type gemmState struct {
	loop
	task   gemmTask
	_      [cacheLine]int32 // what threads read lies in other lines than what is written in every run
	shared sharedGemm
	batch  batchTask
	ep     kernel.Epilogue
	bias   []float32
	aShape tensor.Shape // the shapes for which dims was found
	bShape tensor.Shape
	dims   matmulDims
}

// matmulDims is dims without allocation where the shapes are those of the last run.
func (st *gemmState) matmulDims(o *matmul, a, b tensor.Shape) (*matmulDims, error) {
	if st.aShape == nil || !st.aShape.Equal(a) || !st.bShape.Equal(b) {
		a, b = a.Clone(), b.Clone()
		d, _, err := o.dims(a, b)
		if err != nil {
			return nil, err
		}
		st.aShape, st.bShape, st.dims = a, b, d
	}
	return &st.dims, nil
}

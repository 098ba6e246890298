package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// matmul is MatMul and, with scaling and transposition of the last two axes, FusedMatMul.
// A bias along the last axis and an activation may have been fused to it.
type matmul struct {
	types          Types
	alpha          float32
	transA, transB bool
	ep             epilogue
}

func newMatMul(a *Attrs) (Op, error) {
	return &matmul{types: a.Types(), alpha: 1}, nil
}

func newFusedMatMul(a *Attrs) (Op, error) {
	o := &matmul{types: a.Types(), alpha: a.Float("alpha", 1), transA: a.Bool("transA", false), transB: a.Bool("transB", false)}
	if o.alpha == 0 {
		a.Fail("attribute \"alpha\" is 0")
	}
	if batch := [2]bool{a.Bool("transBatchA", false), a.Bool("transBatchB", false)}; batch[0] || batch[1] {
		return &batchedMatMul{*o, batch}, nil
	}
	return o, nil
}

// matmulDims are the extents of a product of stacks of matrices.
type matmulDims struct {
	m, k, n        int
	batch          tensor.Shape // of the result
	aBatch, bBatch tensor.Shape
}

// dims matches two operands. Vectors become matrices of one row or one column, whose axis
// is missing in the result, of shape out.
func (o *matmul) dims(a, b tensor.Shape) (d matmulDims, out tensor.Shape, err error) {
	fail := func() (matmulDims, tensor.Shape, error) {
		return d, nil, fmt.Errorf("shapes %v and %v do not multiply", a, b)
	}
	if len(a) == 0 || len(b) == 0 {
		return fail()
	}
	rowVec, colVec := len(a) == 1, len(b) == 1
	d.m, d.k = 1, a[len(a)-1]
	if !rowVec {
		d.aBatch = a[:len(a)-2]
		d.m = a[len(a)-2]
		if o.transA {
			d.m, d.k = d.k, d.m
		}
	}
	kb := b[0]
	d.n = 1
	if !colVec {
		d.bBatch = b[:len(b)-2]
		kb, d.n = b[len(b)-2], b[len(b)-1]
		if o.transB {
			kb, d.n = d.n, kb
		}
	}
	if kb != d.k {
		return fail()
	}
	if d.batch, err = tensor.Broadcast(d.aBatch, d.bBatch); err != nil {
		return fail()
	}
	// Where the second operand is one matrix, the rows of all of the first are one matrix.
	out = d.batch.Clone()
	if !rowVec {
		out = append(out, d.m)
	}
	if !colVec {
		out = append(out, d.n)
	}
	if n, ok := d.bBatch.Elems(); ok && n == 1 && (!o.transA || rowVec) && d.aBatch.Equal(d.batch) {
		if n, ok := d.aBatch.Elems(); ok {
			if m, ok := (tensor.Shape{n, d.m}).Elems(); ok {
				d.m, d.aBatch, d.bBatch, d.batch = m, nil, nil, nil
			}
		}
	}
	return d, out, nil
}

func (o *matmul) Infer(in []Fact) ([]Fact, error) {
	inputs := max(2, o.ep.bias+1)
	if err := arity(in, inputs, inputs); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	_, out, err := o.dims(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	if o.ep.bias != 0 && len(out) == 0 {
		return nil, fmt.Errorf("a product of vectors has no bias")
	}
	if len(out) > 0 {
		if err := o.ep.checkBias(in, out[len(out)-1]); err != nil {
			return nil, err
		}
	}
	return outFact(in[0].DType, out)
}

// MACs implements [Coster].
func (o *matmul) MACs(in, out []Fact) int64 {
	d, _, err := o.dims(in[0].Shape, in[1].Shape)
	if err != nil {
		return 0
	}
	n, _ := out[0].Shape.Elems()
	return int64(n) * int64(d.k)
}

// PackKey implements [Prepacker].
func (o *matmul) PackKey(i int, in []Fact) (string, bool) {
	if i != 1 || in[0].DType != tensor.Float32 && !isHalf(in[0].DType) || len(in[1].Shape) < 2 || o.transA || o.alpha == 0 {
		return "", false
	}
	d, _, err := o.dims(in[0].Shape, in[1].Shape)
	if err != nil || len(d.bBatch) != 0 || d.k == 0 || d.n == 0 {
		return "", false
	}
	return packKey(o.transB, o.alpha), true
}

// Prepack implements [Prepacker].
func (o *matmul) Prepack(_ int, in []Fact, s Slices) (Packed, error) {
	d, _, err := o.dims(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	return packB(in[1].Const, d.k, d.n, o.transB, o.alpha, s), nil
}

// Fuse implements [Fuser].
func (o *matmul) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) {
	f := *o
	var ok bool
	if f.ep, ok = o.ep.activation(next, pos, nextIn); ok {
		return &f, 0, true
	}
	if f.ep, ok = o.ep.addBias(next, pos, nextIn, 2); ok {
		return &f, 1, true
	}
	return nil, 0, false
}

func (o *matmul) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch out[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		return o.runF32(ctx, out, in)
	case tensor.Float64:
		return matmulPlain[float64](o, out, in)
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		return matmulPlain[int64](o, out, in)
	case tensor.Uint64:
		return matmulPlain[uint64](o, out, in)
	}
	return fmt.Errorf("type %v is not supported", out[0].DType())
}

func (o *matmul) runF32(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[gemmState](ctx)
	var bShape tensor.Shape
	var b []float32
	packed, _ := ctx.PackedInput(1).(*packedB)
	if packed != nil {
		bShape = packed.shape
	} else {
		bShape, b = in[1].Shape(), in[1].Float32s()
	}
	d, err := st.matmulDims(o, in[0].Shape(), bShape)
	if err != nil {
		return err
	}
	a, c := in[0].Float32s(), out[0].Float32s()
	if len(c) == 0 {
		return nil
	}
	t := &st.task
	*t = gemmTask{m: d.m, n: d.n, k: d.k, alpha: o.alpha, transA: o.transA && len(in[0].Shape()) > 1, transB: o.transB && len(bShape) > 1}
	if packed != nil {
		t.packed = packed.p
		t.alpha = 1
	}
	o.ep.kernel(&st.ep, in)
	// The last axis of the result is that of the columns, unless there is only one, which
	// the result does not have.
	after := len(bShape) == 1 && !o.ep.none()
	if !o.ep.none() && !after {
		t.ep = &st.ep
	}
	st.runBatch(ctx.Pool, d, a, b, c)
	if after {
		s := out[0].Shape()
		n := 1
		if len(s) > 0 {
			n = s[len(s)-1]
		}
		kernel.EpilogueF32(len(c)/n, n, c, n, 0, &st.ep)
	}
	*t = gemmTask{}
	st.ep.Bias = nil
	return nil
}

// matmulPlain computes in the types for which there are no kernels. Integers wrap around.
func matmulPlain[T number](o *matmul, out, in []*tensor.Tensor) error {
	d, _, err := o.dims(in[0].Shape(), in[1].Shape())
	if err != nil {
		return err
	}
	a, b, c := tensor.Data[T](in[0]), tensor.Data[T](in[1]), tensor.Data[T](out[0])
	var l loop
	l.init(d.batch, d.aBatch, d.bBatch, nil)
	n, sa, sb, _ := l.inner()
	mk, kn, mn := d.m*d.k, d.k*d.n, d.m*d.n
	for l.next() {
		for i := range n {
			pa, pb := l.pos[0]+i*sa, l.pos[1]+i*sb
			gemmPlain(o.transA && in[0].Rank() > 1, o.transB && in[1].Rank() > 1, d.m, d.n, d.k, a[pa*mk:(pa+1)*mk], b[pb*kn:(pb+1)*kn], c[(l.at+i)*mn:(l.at+i+1)*mn])
		}
	}
	if o.alpha != 1 {
		for i, v := range c {
			c[i] = T(float64(v) * float64(o.alpha))
		}
	}
	return nil
}

// gemmPlain sets c to the product of op(a), m×k, and op(b), k×n.
func gemmPlain[T number](transA, transB bool, m, n, k int, a, b, c []T) {
	clear(c)
	for i := range m {
		row := c[i*n : (i+1)*n]
		for p := range k {
			var v T
			if transA {
				v = a[p*m+i]
			} else {
				v = a[i*k+p]
			}
			if transB {
				for j := range row {
					row[j] += v * b[j*k+p]
				}
				continue
			}
			for j, w := range b[p*n : (p+1)*n] {
				row[j] += v * w
			}
		}
	}
}

var (
	_ Prepacker = (*matmul)(nil)
	_ Fuser     = (*matmul)(nil)
	_ Coster    = (*matmul)(nil)
)

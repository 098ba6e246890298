package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// gemm is Gemm: alpha·A'·B' + beta·C, where the optional C is broadcast. A bias (where
// there is no C) and an activation may have been fused to it.
type gemm struct {
	types          Types
	alpha, beta    float32
	transA, transB bool
	hasC           bool
	ep             epilogue
	planes         planes
}

func newGemm(a *Attrs) (Op, error) {
	o := &gemm{
		types: a.Types(), alpha: a.Float("alpha", 1), beta: a.Float("beta", 1),
		transA: a.Bool("transA", false), transB: a.Bool("transB", false),
		hasC: a.NumInputs() > 2,
	}
	legacyBroadcast(a)
	return o, nil
}

func newFusedGemm(a *Attrs) (Op, error) {
	ep, after := namedActivation(a)
	o, err := newGemm(a)
	if g, ok := o.(*gemm); ok {
		g.ep = ep
		if after != nil {
			return &activatedGemm{*g, after}, err
		}
	}
	return o, err
}

// activatedGemm is a Gemm whose results go through a function that the kernels do not have.
type activatedGemm struct {
	gemm
	act *unary
}

// Fuse hides that of the product.
func (o *activatedGemm) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) { return nil, 0, false }

// Run implements [Op].
func (o *activatedGemm) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if err := o.gemm.Run(ctx, out, in); err != nil {
		return err
	}
	y := out[0].Float32s()
	o.act.fn.f32(o.act, y, y)
	return nil
}

// extents returns the dimensions of the product of shapes a and b.
func (o *gemm) extents(a, b tensor.Shape) (m, n, k int, err error) {
	if len(a) != 2 || len(b) != 2 {
		return 0, 0, 0, fmt.Errorf("shapes %v and %v are not those of matrices", a, b)
	}
	m, k, kb, n := a[0], a[1], b[0], b[1]
	if o.transA {
		m, k = k, m
	}
	if o.transB {
		kb, n = n, kb
	}
	if k != kb {
		return 0, 0, 0, fmt.Errorf("shapes %v and %v do not multiply (transA %t, transB %t)", a, b, o.transA, o.transB)
	}
	return m, n, k, nil
}

func (o *gemm) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	m, n, _, err := o.extents(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	out := tensor.Shape{m, n}
	if present(in, 2) {
		if err := wantSame(in, 0, 2); err != nil {
			return nil, err
		}
		s, err := tensor.Broadcast(out, in[2].Shape)
		if err != nil || !s.Equal(out) {
			return nil, fmt.Errorf("input 2: shape %v does not broadcast to %v", in[2].Shape, out)
		}
	}
	return outFact(in[0].DType, out)
}

// MACs implements [Coster].
func (o *gemm) MACs(in, out []Fact) int64 {
	m, n, k, err := o.extents(in[0].Shape, in[1].Shape)
	if err != nil {
		return 0
	}
	return int64(m) * int64(n) * int64(k)
}

// PackKey implements [Prepacker].
func (o *gemm) PackKey(i int, in []Fact) (string, bool) {
	if i != 1 || in[0].DType != tensor.Float32 && !isHalf(in[0].DType) || o.transA || o.alpha == 0 {
		return "", false
	}
	if _, n, k, err := o.extents(in[0].Shape, in[1].Shape); err != nil || n == 0 || k == 0 {
		return "", false
	}
	key := packKey(o.transB, o.alpha)
	if Complete {
		key += o.planes.key()
	}
	return key, true
}

// Prepack implements [Prepacker].
func (o *gemm) Prepack(_ int, in []Fact, s Slices) (Packed, error) {
	_, n, k, err := o.extents(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	if b := in[1].Const; Complete && o.planes != (planes{}) {
		ldb := n
		if o.transB {
			ldb = k
		}
		return &packedB{kernel.PackF32(k, n, planesOf(o.planes, b.Float32s(), k, n, o.transB), ldb, o.transB), b.Shape().Clone()}, nil
	}
	return packB(in[1].Const, k, n, o.transB, o.alpha, s), nil
}

// Fuse implements [Fuser].
func (o *gemm) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) {
	f := *o
	var ok bool
	if f.ep, ok = o.ep.activation(next, pos, nextIn); ok {
		return &f, 0, true
	}
	// The bias becomes input C itself.
	if o.hasC {
		return nil, 0, false
	}
	if _, ok = o.ep.addBias(next, pos, nextIn, 2); !ok {
		return nil, 0, false
	}
	f.hasC, f.beta = true, 1
	return &f, 1, true
}

func (o *gemm) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch out[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		return o.runF32(ctx, out, in)
	case tensor.Float64:
		return gemmGeneric[float64](o, out, in)
	case tensor.Int32, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		return gemmGeneric[int64](o, out, in)
	case tensor.Uint64:
		return gemmGeneric[uint64](o, out, in)
	}
	return fmt.Errorf("type %v is not supported", out[0].DType())
}

func (o *gemm) runF32(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[gemmState](ctx)
	t := &st.task
	*t = gemmTask{a: in[0].Float32s(), c: out[0].Float32s(), alpha: o.alpha, transA: o.transA, transB: o.transB}
	var bShape tensor.Shape
	if p, ok := ctx.PackedInput(1).(*packedB); ok {
		t.packed, bShape = p.p, p.shape
	} else if t.b, bShape = in[1].Float32s(), in[1].Shape(); Complete && o.planes != (planes{}) {
		return fmt.Errorf("weights have not been packed")
	}
	var err error
	if t.m, t.n, t.k, err = o.extents(in[0].Shape(), bShape); err != nil {
		return err
	}
	o.ep.kernel(&st.ep, in)
	if c := given(in, 2); c != nil && o.beta != 0 {
		o.addC(st, out[0], c)
	}
	if st.ep.Bias != nil || st.ep.Act != kernel.ActNone {
		t.ep = &st.ep
	}
	t.run(ctx.Pool, &st.shared)
	*t = gemmTask{}
	st.ep.Bias = nil
	return nil
}

// addC makes beta·C the bias of the epilogue where it is one row, and else puts it into
// the output, to which the product is then added.
func (o *gemm) addC(st *gemmState, out, c *tensor.Tensor) {
	src := c.Float32s()
	if isRow(c.Shape(), st.task.n) {
		if o.beta != 1 {
			st.bias = resize(st.bias, len(src))
			kernel.MulScalarF32(st.bias, src, o.beta)
			src = st.bias
		}
		st.ep.Bias = src
		return
	}
	st.task.acc = true
	l := &st.loop
	l.init(out.Shape(), c.Shape(), nil, nil)
	n, step, _, _ := l.inner()
	for l.next() {
		d := out.Float32s()[l.at : l.at+n]
		gather1(words[uint32](out)[l.at:l.at+n], words[uint32](c), l.pos[0], n, step)
		if o.beta != 1 {
			kernel.MulScalarF32(d, d, o.beta)
		}
	}
}

func gemmGeneric[T number](o *gemm, out, in []*tensor.Tensor) error {
	m, n, k, err := o.extents(in[0].Shape(), in[1].Shape())
	if err != nil {
		return err
	}
	y := tensor.Data[T](out[0])
	gemmPlain(o.transA, o.transB, m, n, k, tensor.Data[T](in[0]), tensor.Data[T](in[1]), y)
	scale := func(v T, s float32) T {
		if s == 1 {
			return v
		}
		return T(float64(v) * float64(s))
	}
	for i, v := range y {
		y[i] = scale(v, o.alpha)
	}
	c := given(in, 2)
	if c == nil || o.beta == 0 {
		return nil
	}
	var l loop
	l.init(out[0].Shape(), out[0].Shape(), c.Shape(), nil)
	broadcastRun(&l, y, y, tensor.Data[T](c), func(a, b T) T { return a + scale(b, o.beta) })
	return nil
}

var (
	_ Prepacker = (*gemm)(nil)
	_ Fuser     = (*gemm)(nil)
	_ Coster    = (*gemm)(nil)
)

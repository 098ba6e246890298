package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// quantMatMul is a product of 8-bit matrices: MatMulInteger, QLinearMatMul, and QGemm,
// MatMulIntegerToFloat and DynamicQuantizeMatMul of com.microsoft. The fields in the middle
// are indices of inputs, -1 where the operator has no such input.
type quantMatMul struct {
	inputs, least          int
	a, aScale, aZero       int
	b, bScale, bZero       int
	bias, yScale, yZero    int
	alpha                  float32
	transA, transB         bool
	integer, gemm, dynamic bool
	planes                 planes
}

var (
	_ Prepacker  = (*quantMatMul)(nil)
	_ Workspacer = (*quantMatMul)(nil)
	_ Coster     = (*quantMatMul)(nil)
)

func newMatMulInteger(a *Attrs) (Op, error) {
	return &quantMatMul{inputs: 4, least: 2, a: 0, aScale: -1, aZero: 2, b: 1, bScale: -1, bZero: 3, bias: -1, yScale: -1, yZero: -1, alpha: 1, integer: true}, nil
}

func newQLinearMatMul(a *Attrs) (Op, error) {
	return &quantMatMul{inputs: 8, least: 8, a: 0, aScale: 1, aZero: 2, b: 3, bScale: 4, bZero: 5, bias: -1, yScale: 6, yZero: 7, alpha: 1}, nil
}

func newQGemm(a *Attrs) (Op, error) {
	return &quantMatMul{inputs: 9, least: 6, a: 0, aScale: 1, aZero: 2, b: 3, bScale: 4, bZero: 5, bias: 6, yScale: 7, yZero: 8, gemm: true,
		alpha: a.Float("alpha", 1), transA: a.Bool("transA", false), transB: a.Bool("transB", false)}, nil
}

func newMatMulIntegerToFloat(a *Attrs) (Op, error) {
	return &quantMatMul{inputs: 7, least: 4, a: 0, aScale: 2, aZero: 4, b: 1, bScale: 3, bZero: 5, bias: 6, yScale: -1, yZero: -1, alpha: 1}, nil
}

func newDynamicQuantizeMatMul(a *Attrs) (Op, error) {
	return &quantMatMul{inputs: 5, least: 3, a: 0, aScale: -1, aZero: -1, b: 1, bScale: 2, bZero: 3, bias: 4, yScale: -1, yZero: -1, alpha: 1, dynamic: true}, nil
}

// shape returns the extents of the product and the shape of the result.
func (o *quantMatMul) shape(a, b tensor.Shape) (matmulDims, tensor.Shape, error) {
	if o.gemm && (len(a) != 2 || len(b) != 2) {
		return matmulDims{}, nil, fmt.Errorf("shapes %v and %v, want matrices", a, b)
	}
	return (&matmul{transA: o.transA, transB: o.transB}).dims(a, b)
}

// Infer implements [Op].
func (o *quantMatMul) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, o.least, o.inputs); err != nil {
		return nil, err
	}
	aTypes := types8
	if o.dynamic {
		aTypes = typesOf(tensor.Float32)
	}
	if err := wantType(in, o.a, aTypes); err != nil {
		return nil, err
	}
	if err := wantType(in, o.b, types8); err != nil {
		return nil, err
	}
	d, out, err := o.shape(in[o.a].Shape, in[o.b].Shape)
	if err != nil {
		return nil, err
	}
	rows := 0
	if len(d.batch) == 0 && !o.gemm && !o.dynamic {
		rows = d.m
	}
	if o.aScale >= 0 {
		if err := checkScale(in, o.aScale, rows); err != nil {
			return nil, err
		}
	}
	if o.aZero >= 0 {
		if err := checkZero(in, o.aZero, rows, in[o.a].DType); err != nil {
			return nil, err
		}
	}
	columns := 0
	if len(d.bBatch) == 0 {
		columns = d.n
	}
	if o.bScale >= 0 {
		if err := checkScale(in, o.bScale, columns); err != nil {
			return nil, err
		}
	}
	if err := checkZero(in, o.bZero, columns, in[o.b].DType); err != nil {
		return nil, err
	}
	if o.bias >= 0 && present(in, o.bias) {
		if err := o.checkBias(in[o.bias], out, d.n); err != nil {
			return nil, err
		}
	}
	result := tensor.Float32
	switch {
	case o.integer:
		result = tensor.Int32
	case o.yScale >= 0 && present(in, o.yScale):
		if err := checkScale(in, o.yScale, 0); err != nil {
			return nil, err
		}
		if !present(in, o.yZero) || !types8.Has(in[o.yZero].DType) {
			return nil, fmt.Errorf("input %d: want a zero point of type %v", o.yZero, types8)
		}
		if err := checkCount(in, o.yZero, 0); err != nil {
			return nil, err
		}
		result = in[o.yZero].DType
	}
	if d.k > math.MaxInt32/(255*128) {
		return nil, fmt.Errorf("%d terms may overflow a sum of 32 bits", d.k)
	}
	if o.scratch(in, d) == math.MaxInt {
		return nil, fmt.Errorf("shapes %v and %v are too large", in[o.a].Shape, in[o.b].Shape)
	}
	return outFact(result, out)
}

func (o *quantMatMul) checkBias(b Fact, out tensor.Shape, n int) error {
	if !o.gemm {
		if e, ok := b.Shape.Elems(); b.DType != tensor.Float32 || !ok || e != n {
			return fmt.Errorf("bias %v, want %d values of float32", b, n)
		}
		return nil
	}
	if b.DType != tensor.Int32 {
		return fmt.Errorf("bias %v, want int32", b)
	}
	if s, err := tensor.Broadcast(out, b.Shape); err != nil || !s.Equal(out) {
		return fmt.Errorf("bias %v does not broadcast to %v", b, out)
	}
	return nil
}

// MACs implements [Coster].
func (o *quantMatMul) MACs(in, out []Fact) int64 {
	d, _, err := o.shape(in[o.a].Shape, in[o.b].Shape)
	if err != nil {
		return 0
	}
	n, _ := out[0].Shape.Elems()
	return int64(n) * int64(d.k)
}

// PackKey implements [Prepacker].
func (o *quantMatMul) PackKey(i int, in []Fact) (string, bool) {
	if i == o.bScale && o.aScale >= 0 {
		d, y, ok := o.columns(in)
		if !ok {
			return "", false
		}
		key, ok := factorsKey(in, o.aScale, o.bScale, y, d.n, o.alpha)
		return key + o.planes.columnsKey(), ok
	}
	if i == o.bias && i >= 0 {
		return "int32" + o.planes.columnsKey(), in[i].Const != nil && o.closed(in)
	}
	if i != o.b || len(in[o.b].Shape) < 2 {
		return "", false
	}
	if o.closed(in) {
		return fmt.Sprintf("gemm-q8 trans=%t%s", o.transB, o.planes.key()), true
	}
	d, _, err := o.shape(in[o.a].Shape, in[o.b].Shape)
	if err != nil || len(d.bBatch) != 0 {
		return "", false
	}
	return fmt.Sprintf("gemm-i8 trans=%t%s", o.transB, o.planes.key()), true
}

// columns returns the extents of the product and the index of the scale of its result, or
// -1. ok is false where factors are not those of columns alone.
func (o *quantMatMul) columns(in []Fact) (d matmulDims, y int, ok bool) {
	d, _, err := o.shape(in[o.a].Shape, in[o.b].Shape)
	y = -1
	if o.yScale >= 0 && present(in, o.yScale) {
		y = o.yScale
	}
	n, _ := in[o.aScale].Shape.Elems()
	return d, y, err == nil && n == 1
}

// Prepack implements [Prepacker].
func (o *quantMatMul) Prepack(i int, in []Fact, _ Slices) (Packed, error) {
	if i == o.bScale {
		d, y, _ := o.columns(in)
		return &packedFactors{pixelOrder(packFactors(in, o.aScale, o.bScale, y, d.n, o.alpha).scale, o.planes.n)}, nil
	}
	if i == o.bias {
		return &packedInts{pixelOrder(packInts(in[i].Const).v, o.planes.n)}, nil
	}
	d, _, err := o.shape(in[o.a].Shape, in[o.b].Shape)
	if err != nil {
		return nil, err
	}
	if o.closed(in) {
		ldb := d.n
		if o.transB {
			ldb = d.k
		}
		b := in[o.b].Const
		return &packedQ8{[]*kernel.PackedQ8{kernel.PackQ8(1, d.k, d.n, o.planes.weights(signed8(b), d, o.transB), ldb, o.transB)}, b.Shape().Clone()}, nil
	}
	return o.pack(in[o.b].Const, d, 0), nil
}

// pack packs matrix number at of a stack.
func (o *quantMatMul) pack(b *tensor.Tensor, d matmulDims, at int) *packed8 {
	w := o.planes.weights(signed8(b)[at*d.k*d.n:][:d.k*d.n], d, o.transB)
	ldb := d.n
	if o.transB {
		ldb = d.k
	}
	return &packed8{w: []*kernel.PackedI8{kernel.PackI8(d.k, d.n, w, ldb, o.transB)}, shape: b.Shape().Clone(), dtype: b.DType()}
}

// scratch returns the bytes for the sums and for the quantised operand.
func (o *quantMatMul) scratch(in []Fact, d matmulDims) int {
	sums, left := 0, 0
	if !o.integer {
		sums = mulSize(d.m, d.n)
	}
	if o.dynamic || o.transA {
		n, _ := in[o.a].Shape.Elems()
		left = n/4 + 1
	}
	n := scratchBytes(sums, left)
	if o.closed(in) {
		n = max(n, closedScratch(d.m, d.k))
	}
	return n
}

// Workspace implements [Workspacer].
func (o *quantMatMul) Workspace(in []Fact) int {
	d, _, err := o.shape(in[o.a].Shape, in[o.b].Shape)
	if err != nil {
		return 0
	}
	return o.scratch(in, d)
}

// quantMatMulState is what a quantMatMul keeps between runs.
type quantMatMulState struct {
	product8
	tight            closedProduct
	columns          columnsQ8
	ready            bool
	aShape, bShape   tensor.Shape
	dims             matmulDims
	aSteps, bSteps   []int
	aScales, bScales []float32
	own              []float32 // factors that are not constant
	biases           []int32
}

// Run implements [Op].
func (o *quantMatMul) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	t := StateOf[quantMatMulState](ctx)
	packed, _ := ctx.PackedInput(o.b).(*packed8)
	closed, _ := ctx.PackedInput(o.b).(*packedQ8)
	bShape, bType := tensor.Shape(nil), tensor.Undefined
	if closed != nil {
		bShape = closed.shape
	} else if packed != nil {
		bShape, bType = packed.shape, packed.dtype
	} else {
		bShape, bType = in[o.b].Shape(), in[o.b].DType()
	}
	if !t.ready || !t.aShape.Equal(in[o.a].Shape()) || !t.bShape.Equal(bShape) {
		t.aShape, t.bShape = in[o.a].Shape().Clone(), bShape.Clone()
		d, _, err := o.shape(t.aShape, t.bShape)
		if err != nil {
			return err
		}
		t.dims, t.ready = d, true
		t.aSteps, t.bSteps = broadcastSteps(t.aSteps, d.aBatch, d.batch), broadcastSteps(t.bSteps, d.bBatch, d.batch)
	}
	d := &t.dims
	if closed != nil {
		o.runClosed(ctx, t, closed, out, in)
		return nil
	}
	t.m, t.n, t.k, t.lda = d.m, d.n, d.k, d.k
	scratch := ctx.Scratch
	sums := out[0]
	if !o.integer {
		var f []float32
		f, scratch = floatsOf(scratch, d.m*d.n)
		t.c = intsIn(f)
		sums = nil
	}
	a := o.left(t, in, scratch)
	t.wZero = signedZeros(t.wZero[:0], optional(in, o.bZero), bType)
	o.prepareFinish(ctx, t, out, in)
	batches := product(d.batch)
	for i := range batches {
		ai, bi := batchAt(i, d.batch, t.aSteps), batchAt(i, d.batch, t.bSteps)
		t.a = a[ai*d.m*d.k:]
		if packed != nil {
			t.w = packed.w[0]
		} else {
			t.w = o.pack(in[o.b], *d, bi).w[0]
		}
		if sums != nil {
			t.c = tensor.Data[int32](sums)[i*d.m*d.n:]
		}
		t.offset = i * d.m * d.n
		t.run(ctx.Pool)
	}
	t.a, t.w, t.c, t.y, t.bias, t.add = nil, nil, nil, nil, nil, nil
	return nil
}

// batchAt returns the position in an operand's stack of position i of the result's.
func batchAt(i int, batch tensor.Shape, steps []int) int {
	at := 0
	for k := len(batch) - 1; k >= 0; k-- {
		at += i % batch[k] * steps[k]
		i /= batch[k]
	}
	return at
}

// left returns the first operand as rows of bytes, and sets its zero points and, where it
// is quantised here, its scale.
func (o *quantMatMul) left(t *quantMatMulState, in []*tensor.Tensor, scratch []byte) []uint8 {
	t.aScales, t.aZero = t.aScales[:0], t.aZero[:0]
	if o.dynamic {
		x := in[o.a].Float32s()
		scale, zero := dynamicRange(x)
		a := scratch[:len(x)]
		kernel.QuantizeF32(a, x, scale, int32(zero), 0, math.MaxUint8)
		t.signed, t.aScales, t.aZero = false, append(t.aScales, scale), append(t.aZero, int32(zero))
		return a
	}
	t.signed = in[o.a].DType() == tensor.Int8
	if z := optional(in, o.aZero); z != nil {
		t.aZero = ints32(t.aZero, z)
	} else {
		t.aZero = append(t.aZero, 0)
	}
	if o.aScale >= 0 {
		t.aScales = floats32(t.aScales, in[o.aScale])
	}
	a := bytes8(in[o.a])
	if o.transA {
		at := scratch[:len(a)]
		for i := range t.dims.m {
			for k := range t.dims.k {
				at[i*t.dims.k+k] = a[k*t.dims.m+i]
			}
		}
		return at
	}
	return a
}

// prepareFinish sets the factors and addends of the results.
func (o *quantMatMul) prepareFinish(ctx *Context, t *quantMatMulState, out, in []*tensor.Tensor) {
	t.finish8 = finish8{ldy: t.n}
	if o.integer {
		return
	}
	t.y = out[0]
	var ys *tensor.Tensor
	if ys = optional(in, o.yScale); ys != nil {
		t.yScale, t.yZero = scalarOf(ys), zeroOf(in[o.yZero])
	}
	if p, ok := ctx.PackedInput(o.bScale).(*packedFactors); ok {
		t.scale = p.scale
	} else {
		t.bScales = floats32(t.bScales[:0], in[o.bScale])
		if len(t.aScales) > 1 {
			// Each row has a factor of its own, which finish applies.
			t.rowScale = t.aScales
			t.own = factorsOf(t.own[:0], 1, t.bScales, nil, t.n, o.alpha)
		} else {
			t.own = factorsOf(t.own[:0], t.aScales[0], t.bScales, ys, t.n, o.alpha)
		}
		t.scale = t.own
	}
	b := optional(in, o.bias)
	switch {
	case b == nil:
	case !o.gemm:
		t.add = b.Float32s()
	default:
		o.integerBias(t, b)
	}
}

// integerBias brings a bias that broadcasts to the result into the form of finish8. Only
// a bias that differs between rows takes a detour.
func (o *quantMatMul) integerBias(t *quantMatMulState, b *tensor.Tensor) {
	v := tensor.Data[int32](b)
	t.biases = t.biases[:0]
	s := b.Shape()
	if len(v) == t.n && (len(s) < 2 || s[0] == 1) {
		t.bias = v
		return
	}
	if len(s) < 2 || s[0] == 1 || t.m == 1 {
		for j := range t.n {
			t.biases = append(t.biases, v[j%len(v)])
		}
		t.bias = t.biases
		return
	}
	t.rowBias, t.rowBiasN = v, s[1]
}

// zeroOf returns the value of a zero point of one element.
func zeroOf(t *tensor.Tensor) int32 {
	if t.DType() == tensor.Int8 {
		return int32(tensor.Data[int8](t)[0])
	}
	return int32(tensor.Data[uint8](t)[0])
}

// optional is given for an index that may be negative.
//
//go:noinline
func optional(in []*tensor.Tensor, i int) *tensor.Tensor {
	if i < 0 {
		return nil
	}
	return given(in, i)
}

// scalarOf returns the value of a scale of one element.
func scalarOf(t *tensor.Tensor) float32 {
	switch t.DType() {
	case tensor.Float16:
		return tensor.Data[tensor.F16](t)[0].Float32()
	case tensor.BFloat16:
		return tensor.Data[tensor.BF16](t)[0].Float32()
	}
	return t.Float32s()[0]
}

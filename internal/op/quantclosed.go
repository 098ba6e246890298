package op

import (
	"slices"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// packedQ8 is 8-bit weights without zero point in the form of the kernels that requantise
// in registers: one matrix for each group of channels, or for each part of a transposed
// convolution and each group.
type packedQ8 struct {
	w     []*kernel.PackedQ8
	shape tensor.Shape // of the tensor that was packed
}

// Bytes implements [Packed].
func (p *packedQ8) Bytes() int {
	n := 0
	for _, w := range p.w {
		n += w.Bytes()
	}
	return n
}

// packedInts is a constant bias.
type packedInts struct{ v []int32 }

// Bytes implements [Packed].
func (p *packedInts) Bytes() int { return 4 * len(p.v) }

func packInts(t *tensor.Tensor) *packedInts {
	return &packedInts{slices.Clone(tensor.Data[int32](t))}
}

// isCentred reports whether constant 8-bit values of type d with zero point z are, in the
// signed form of [packed8], without zero point.
func isCentred(z Fact, d tensor.DType) bool {
	if !z.Present() {
		return d == tensor.Int8
	}
	return z.Const != nil && len(signedZeros(nil, z.Const, d)) == 0
}

// columnsQ8 keeps the constants of the columns of products between runs.
type columnsQ8 struct {
	list    []*kernel.ColumnsQ8 // by matrix
	packed  *packedQ8
	factors *packedFactors
	bias    *packedInts
	zero    [2]int32
	types   [2]tensor.DType
	own     []float32 // factors that are not constant
	wScale  []float32 // scales that are not constant, of the weights
}

// inputsQ8 are the indices of the inputs of a product that say what is made of its sums; bias may be -1.
type inputsQ8 struct{ x, xScale, xZero, wScale, yScale, yZero, bias int }

func (o *quantConv) inputsQ8() inputsQ8 {
	return inputsQ8{0, o.xScale, o.xZero, o.wScale, o.yScale, o.yZero, o.bias}
}

// find sets the constants for a product with n columns of all groups, from the inputs and what is packed of them, and returns
// the zero point of x. alpha is part of every factor.
func (c *columnsQ8) find(ctx *Context, at inputsQ8, alpha float32, p *packedQ8, groups, n int, out, in []*tensor.Tensor) int32 {
	zero := int32(0)
	if z := optional(in, at.xZero); z != nil {
		zero = zeroOf(z)
	}
	factors, scale := c.factorsAt(ctx, at, alpha, n, in)
	constant, bias := biasAt(ctx, at.bias, in)
	c.set(p, groups, [2]int32{zero, zeroOf(in[at.yZero])}, [2]tensor.DType{in[at.x].DType(), out[0].DType()}, factors, scale, constant, bias)
	return zero
}

// factorsAt returns the factors of n columns, and where they are packed, or nil.
func (c *columnsQ8) factorsAt(ctx *Context, at inputsQ8, alpha float32, n int, in []*tensor.Tensor) (*packedFactors, []float32) {
	if factors, ok := ctx.PackedInput(at.wScale).(*packedFactors); ok {
		return factors, factors.scale
	}
	c.wScale = floats32(c.wScale[:0], in[at.wScale])
	c.own = factorsOf(c.own[:0], scalarOf(in[at.xScale]), c.wScale, in[at.yScale], n, alpha)
	return nil, c.own
}

// biasAt returns the bias at input i, or nil, and where it is packed, or nil.
func biasAt(ctx *Context, i int, in []*tensor.Tensor) (*packedInts, []int32) {
	if i < 0 {
		return nil, nil
	}
	if constant, ok := ctx.PackedInput(i).(*packedInts); ok {
		return constant, constant.v
	}
	if b := optional(in, i); b != nil {
		return nil, tensor.Data[int32](b)
	}
	return nil, nil
}

// set computes the constants, unless they are what they were. scale has a value for each
// column of all groups, bias too, or one for all, unless it is nil; group m%groups belongs to matrix m.
// factors and constant are where scale and bias come from, or nil where they may differ
// from run to run.
func (c *columnsQ8) set(p *packedQ8, groups int, zero [2]int32, types [2]tensor.DType, factors *packedFactors, scale []float32, constant *packedInts, bias []int32) {
	same := factors != nil && (constant != nil || bias == nil)
	if same && c.packed == p && c.factors == factors && c.bias == constant && c.zero == zero && c.types == types {
		return
	}
	c.packed, c.factors, c.bias, c.zero, c.types = p, factors, constant, zero, types
	if !same {
		c.packed = nil
	}
	c.list = c.list[:0]
	lo, hi := rangeOf(types[1])
	n := len(scale) / groups
	for m, w := range p.w {
		g := m % groups
		var b []int32
		if len(bias) == 1 {
			b = bias
		} else if bias != nil {
			b = bias[g*n:][:n]
		}
		c.list = append(c.list, w.Columns(zero[0], types[0] == tensor.Int8, b, scale[g*n:][:n], zero[1], lo, hi, types[1] == tensor.Int8))
	}
}

// closedProduct is one product of 8-bit matrices with 8-bit results. It is cut into
// rectangles of the result.
type closedProduct struct {
	m, k                    int
	a                       []uint8
	lda                     int
	signed                  bool
	zero                    int32
	w                       *kernel.PackedQ8
	columns                 *kernel.ColumnsQ8
	y                       []uint8
	left                    []byte // converted rows of a, or a itself
	stride                  int    // values of a row of left
	converts                bool
	rows, panels, colChunks int
	convert                 spreader
}

// leftStride is the values that a converted row takes: a multiple of any kernel's step.
func leftStride(k int) int { return mulSize((k+7)/8, 8) }

// closedScratch is the bytes of converted rows, of at most two bytes a value.
func closedScratch(m, k int) int {
	return scratchBytes(mulSize(m, leftStride(k))/2 + kernel.SlackQ8)
}

// run computes the product on a pool.
func (t *closedProduct) run(pool *parallel.Pool, scratch []byte) {
	t.rows = min(t.m, product8Rows)
	rowChunks := (t.m + t.rows - 1) / t.rows
	work := product8Work(t.m, t.w.N, t.k)
	t.panels = t.w.Panels()
	if want := min(work/chunkWork, maxChunks); want > rowChunks {
		t.panels = max(1, t.panels*rowChunks/want)
	} else if work < 2*chunkWork {
		t.rows = t.m
	}
	t.colChunks = (t.w.Panels() + t.panels - 1) / t.panels
	t.left, t.stride = t.a, t.lda
	if t.converts = !t.w.InPlace(t.signed); t.converts {
		t.left, t.stride = scratch, leftStride(t.k)
		if t.colChunks > 1 {
			// Chunks side by side read the same rows.
			if t.convert.f == nil {
				t.convert.f = t.convertRows
			}
			t.convert.run(pool, t.m, mulSize(t.m, t.k))
			t.converts = false
		}
	}
	pool.Run(t.colChunks*((t.m+t.rows-1)/t.rows), t)
	t.a, t.left, t.y, t.w, t.columns = nil, nil, nil, nil, nil
}

func (t *closedProduct) convertRows(lo, hi int) {
	size := t.w.ValueBytes()
	for i := lo; i < hi; i++ {
		t.w.Convert(t.left[i*t.stride*size:], t.a[i*t.lda:][:t.k], t.signed, t.zero)
	}
}

// Do implements [parallel.Task].
func (t *closedProduct) Do(chunk, _ int) {
	r0, p0 := chunk/t.colChunks*t.rows, chunk%t.colChunks*t.panels
	r1, p1 := min(t.m, r0+t.rows), min(p0+t.panels, t.w.Panels())
	if t.converts {
		t.convertRows(r0, r1)
	}
	t.w.Run(r1-r0, t.left[r0*t.stride*t.w.ValueBytes():], t.stride, 0, t.columns, p0, p1, t.y[r0*t.w.N+p0*t.w.NR:], t.w.N)
}

// closed reports whether all that is made of the sums is 8-bit values, by factors and a bias
// of columns, for constant weights without zero point.
func (o *quantMatMul) closed(in []Fact) bool {
	if !kernel.HasQ8() || o.yScale < 0 || !present(in, o.yScale) || o.transA || o.aScale < 0 || in[o.b].Const == nil || len(in[o.b].Shape) != 2 {
		return false
	}
	if !isOne(in[o.aScale].Shape) || present(in, o.aZero) && !isOne(in[o.aZero].Shape) || in[o.b].Shape[0] == 0 || in[o.b].Shape[1] == 0 {
		return false
	}
	z := Fact{}
	if present(in, o.bZero) {
		z = in[o.bZero]
	}
	if !isCentred(z, in[o.b].DType) {
		return false
	}
	if o.bias < 0 || !present(in, o.bias) {
		return true
	}
	s := in[o.bias].Shape
	return len(s) < 2 || s[0] == 1
}

// runClosed computes 8-bit results.
func (o *quantMatMul) runClosed(ctx *Context, t *quantMatMulState, w *packedQ8, out, in []*tensor.Tensor) {
	d, p := &t.dims, &t.tight
	p.m, p.k, p.lda, p.signed = d.m, d.k, d.k, in[o.a].DType() == tensor.Int8
	p.zero = t.columns.find(ctx, inputsQ8{o.a, o.aScale, o.aZero, o.bScale, o.yScale, o.yZero, o.bias}, o.alpha, w, 1, d.n, out, in)
	for i := range product(d.batch) {
		p.a = bytes8(in[o.a])[batchAt(i, d.batch, t.aSteps)*d.m*d.k:]
		p.y = out[0].Bytes()[i*d.m*d.n:]
		p.w, p.columns = w.w[0], t.columns.list[0]
		p.run(ctx.Pool, ctx.Scratch)
	}
}

package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// quantParams are the scale and zero point of a tensor.
type quantParams struct {
	scale float32
	zero  int32
}

// paramsAt reads a scale from input i and a zero point, which may be omitted, from i+1.
func paramsAt(in []*tensor.Tensor, i int) quantParams {
	p := quantParams{scale: scalarOf(in[i])}
	if z := given(in, i+1); z != nil {
		p.zero = zeroOf(z)
	}
	return p
}

// checkParams checks a scale at input i and a zero point of type d at i+1.
func checkParams(in []Fact, i int, d tensor.DType) error {
	if !present(in, i) {
		return fmt.Errorf("input %d is missing", i)
	}
	if err := checkScale(in, i, 0); err != nil {
		return err
	}
	return checkZero(in, i+1, 0, d)
}

// saturate8 returns roundHalfEven(v) + zero within the range of an 8-bit type; a NaN counts
// as 0.
func saturate8(v float32, zero int32, d tensor.DType) int32 {
	lo, hi := rangeOf(d)
	if v != v {
		v = 0
	}
	v = min(max(v, float32(lo-zero)), float32(hi-zero))
	return int32(math.RoundToEven(float64(v))) + zero
}

// table8 maps each 8-bit value, as the byte that it is in memory, to another.
type table8 [256]uint8

// build fills the table for y = f(x): dequantise, apply f, quantise.
func (t *table8) build(d tensor.DType, x, y quantParams, f func(float32) float32) {
	for i := range t {
		v := int32(i)
		if d == tensor.Int8 {
			v = int32(int8(i))
		}
		t[i] = uint8(saturate8(f(float32(v-x.zero)*x.scale)/y.scale, y.zero, d))
	}
}

// quantTable is QLinearSigmoid and QLinearLeakyRelu of com.microsoft: inputs X, its scale
// and zero point, and those of the result.
type quantTable struct {
	f func(float32) float32
}

var _ LayoutAware = (*quantTable)(nil)

func newQLinearSigmoid(a *Attrs) (Op, error) {
	return &quantTable{func(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }}, nil
}

func newQLinearLeakyRelu(a *Attrs) (Op, error) {
	alpha := a.Float("alpha", 0.01)
	return &quantTable{func(x float32) float32 {
		if x < 0 {
			return x * alpha
		}
		return x
	}}, nil
}

// Infer implements [Op].
func (o *quantTable) Infer(in []Fact) ([]Fact, error) {
	if len(in) < 4 || len(in) > 5 {
		return nil, fmt.Errorf("%d inputs, want 4 or 5", len(in))
	}
	if err := wantType(in, 0, types8); err != nil {
		return nil, err
	}
	for _, i := range []int{1, 3} {
		if err := checkParams(in, i, in[0].DType); err != nil {
			return nil, err
		}
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *quantTable) InPlace() []int { return []int{0} }

// ChannelsLast implements [LayoutAware].
func (o *quantTable) ChannelsLast(in []Fact) (Op, []bool, bool) {
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	return o, nhwc, true
}

// quantTableTask is one run. Kept in the node's state.
type quantTableTask struct {
	spreader
	table kernel.Table8
	ready bool
	dtype tensor.DType
	x, y  quantParams
	dst   []uint8
	src   []uint8
}

// Run implements [Op].
func (o *quantTable) Run(ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[quantTableTask](ctx)
	x, y, d := paramsAt(in, 1), paramsAt(in, 3), in[0].DType()
	if !t.ready || t.x != x || t.y != y || t.dtype != d {
		var table table8
		table.build(d, x, y, o.f)
		t.table.Set((*[256]uint8)(&table))
		t.x, t.y, t.dtype, t.ready = x, y, d, true
		t.f = t.elements
	}
	t.dst, t.src = out[0].Bytes(), in[0].Bytes()
	t.run(ctx.Pool, len(t.dst), 2*len(t.dst))
	t.dst, t.src = nil, nil
	return nil
}

func (t *quantTableTask) elements(lo, hi int) {
	t.table.Map(t.dst[lo:hi], t.src[lo:hi])
}

// quantBinary is QLinearAdd and QLinearMul of com.microsoft: A, B and C each with scale and
// zero point, broadcast. In single-rounded float32 operations, a sum is
// ((a−za)·sa + (b−zb)·sb) / sc, a product (a−za)·(b−zb) · (sa·sb/sc).
type quantBinary struct{ mul bool }

var _ LayoutAware = (*quantBinary)(nil)

//go:noinline
func newQLinearBinary(mul bool) func(a *Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) { return &quantBinary{mul}, nil }
}

// Infer implements [Op].
func (o *quantBinary) Infer(in []Fact) ([]Fact, error) {
	if len(in) < 7 || len(in) > 8 {
		return nil, fmt.Errorf("%d inputs, want 7 or 8", len(in))
	}
	for _, i := range []int{0, 3} {
		if err := wantType(in, i, types8); err != nil {
			return nil, err
		}
	}
	if err := wantSame(in, 0, 3); err != nil {
		return nil, err
	}
	for _, i := range []int{1, 4, 6} {
		if err := checkParams(in, i, in[0].DType); err != nil {
			return nil, err
		}
	}
	s, err := tensor.Broadcast(in[0].Shape, in[3].Shape)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, s)
}

// ChannelsLast implements [LayoutAware].
func (o *quantBinary) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if !in[0].Shape.Equal(in[3].Shape) {
		return nil, nil, false
	}
	nhwc := make([]bool, len(in))
	nhwc[0], nhwc[3] = true, true
	return o, nhwc, true
}

// quantBinaryState is what a quantBinary keeps between runs.
type quantBinaryState struct {
	walk  loop
	plain spreader // over elements, where the shapes are equal
	p     kernel.Binary8
	mul   bool
	dst   []uint8
	src   [2][]uint8
	// left[i] and right[i] are what the byte i stands for: a value, or for a product an
	// integer.
	left, right [256]float32
}

// Run implements [Op].
func (o *quantBinary) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[quantBinaryState](ctx)
	d := in[0].DType()
	a, b, c := paramsAt(in, 1), paramsAt(in, 4), paramsAt(in, 6)
	if in[0].Shape().Equal(in[3].Shape()) {
		if st.plain.f == nil {
			st.plain.f = st.elements
		}
		st.mul, st.p = o.mul, kernel.Binary8{AScale: a.scale, BScale: b.scale, Scale: c.scale, AZero: a.zero, BZero: b.zero, Zero: c.zero, Signed: d == tensor.Int8}
		st.dst, st.src = out[0].Bytes(), [2][]uint8{in[0].Bytes(), in[3].Bytes()}
		st.plain.run(ctx.Pool, len(st.dst), mulSize(copyCost, len(st.dst)))
		st.dst, st.src = nil, [2][]uint8{}
		return nil
	}
	factor := multiplier(a.scale, b.scale, c.scale)
	for i := range 256 {
		v := int32(i)
		if d == tensor.Int8 {
			v = int32(int8(i))
		}
		st.left[i], st.right[i] = float32(v-a.zero), float32(v-b.zero)
		if !o.mul {
			st.left[i] *= a.scale
			st.right[i] *= b.scale
		}
	}
	y, x0, x1 := out[0].Bytes(), in[0].Bytes(), in[3].Bytes()
	w := &st.walk
	w.init(out[0].Shape(), in[0].Shape(), in[3].Shape(), nil)
	n, s0, s1, _ := w.inner()
	for w.next() {
		row := y[w.at:][:n]
		i0, i1 := w.pos[0], w.pos[1]
		for i := range row {
			l, r := st.left[x0[i0]], st.right[x1[i1]]
			var v float32
			if o.mul {
				v = float32(l*r) * factor
			} else {
				v = (l + r) / c.scale
			}
			row[i] = uint8(saturate8(v, c.zero, d))
			i0 += s0
			i1 += s1
		}
	}
	return nil
}

func (st *quantBinaryState) elements(lo, hi int) {
	f := kernel.AddQ8
	if st.mul {
		f = kernel.MulQ8
	}
	f(st.dst[lo:hi], st.src[0][lo:hi], st.src[1][lo:hi], &st.p)
}

// quantConcat is QLinearConcat of com.microsoft: the scale and zero point of the result,
// then for each operand the tensor, its scale and its zero point.
type quantConcat struct {
	axis int
	last bool
}

var _ LayoutAware = (*quantConcat)(nil)

func newQLinearConcat(a *Attrs) (Op, error) {
	a.Require("axis")
	return &quantConcat{axis: a.Int("axis", 0)}, nil
}

// Infer implements [Op].
func (o *quantConcat) Infer(in []Fact) ([]Fact, error) {
	if len(in) < 5 || (len(in)-2)%3 != 0 {
		return nil, fmt.Errorf("%d inputs, want 2 and 3 for each operand", len(in))
	}
	if err := arity(in, len(in), len(in)); err != nil {
		return nil, err
	}
	if err := wantType(in, 2, types8); err != nil {
		return nil, err
	}
	d := in[2].DType
	if err := checkParams(in, 0, d); err != nil {
		return nil, err
	}
	out := in[2].Shape.Clone()
	axis, err := o.physicalAxis(len(out))
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for i := 2; i < len(in); i += 3 {
		if err := wantSame(in, 2, i); err != nil {
			return nil, err
		}
		if err := checkParams(in, i+1, d); err != nil {
			return nil, err
		}
		s := in[i].Shape
		if len(s) != len(out) {
			return nil, fmt.Errorf("shapes %v and %v have different ranks", in[2].Shape, s)
		}
		for k := range s {
			if k != axis && s[k] != out[k] {
				return nil, fmt.Errorf("shapes %v and %v differ along axis %d", in[2].Shape, s, k)
			}
		}
		if total += int64(s[axis]); total > math.MaxInt {
			return nil, fmt.Errorf("the extents of axis %d add up to too many", axis)
		}
	}
	out[axis] = int(total)
	return outFact(d, out)
}

func (o *quantConcat) physicalAxis(rank int) (int, error) {
	axis, err := tensor.Axis(o.axis, rank)
	if err == nil && o.last {
		axis = channelsLastAxis(axis, rank)
	}
	return axis, err
}

// ChannelsLast implements [LayoutAware].
func (o *quantConcat) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || len(in) < 5 || len(in[2].Shape) < 3 {
		return nil, nil, false
	}
	nhwc := make([]bool, len(in))
	for i := 2; i < len(in); i += 3 {
		nhwc[i] = true
	}
	return &quantConcat{o.axis, true}, nhwc, true
}

// Run implements [Op].
func (o *quantConcat) Run(ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[quantConcatState](ctx)
	s := out[0].Shape()
	axis, err := o.physicalAxis(len(s))
	if err != nil {
		return err
	}
	t.set(in)
	dst := out[0].Bytes()
	step, at := product(s[axis:]), 0
	for i := 2; i < len(in); i += 3 {
		src, table := in[i].Bytes(), t.tables[i/3]
		n := product(in[i].Shape()[axis:])
		for r := 0; r*n < len(src) && n > 0; r++ {
			row := dst[r*step+at:][:n]
			if table == nil {
				copy(row, src[r*n:])
			} else {
				table.Map(row, src[r*n:][:n])
			}
		}
		at += n
	}
	return nil
}

// quantConcatState is what a quantConcat keeps between runs.
type quantConcatState struct {
	params []quantParams    // of the result and the operands, for which tables are
	tables []*kernel.Table8 // by operand; nil where the result has its scale and zero point
}

// set makes the tables, unless they are what they were.
func (t *quantConcatState) set(in []*tensor.Tensor) {
	y := paramsAt(in, 0)
	same := len(t.params) == (len(in)+1)/3 && t.params[0] == y
	for i := 2; i < len(in) && same; i += 3 {
		same = t.params[i/3+1] == paramsAt(in, i+1)
	}
	if same {
		return
	}
	t.params, t.tables = append(t.params[:0], y), t.tables[:0]
	for i := 2; i < len(in); i += 3 {
		x := paramsAt(in, i+1)
		t.params = append(t.params, x)
		if x == y {
			t.tables = append(t.tables, nil)
			continue
		}
		var values table8
		values.build(in[i].DType(), x, y, func(v float32) float32 { return v })
		table := new(kernel.Table8)
		table.Set((*[256]uint8)(&values))
		t.tables = append(t.tables, table)
	}
}

package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// Integer returns the 8-bit form of a float32 convolution, transposed convolution or matrix
// product. Its inputs are those of QLinearConv: x, x_scale, x_zero_point, w, w_scale,
// w_zero_point, y_scale, y_zero_point and, optionally, an int32 bias with the scale
// x_scale·w_scale. ok is false where there is no such form.
//
// The result is saturate(roundHalfEven(float32(sum) · m) + y_zero_point), with the exact
// sum of (x − x_zero_point)·(w − w_zero_point) and the bias, and m = x_scale·w_scale /
// y_scale, in single-rounded float32 operations from left to right.
func Integer(o Op) (Op, bool) {
	switch o := o.(type) {
	case *conv:
		if o.last || o.act.Act != kernel.ActNone {
			return nil, false
		}
		if o.transposed {
			return newQuantConvTranspose(o), true
		}
		q := &quantConv{least: 8, inputs: 9, xScale: 1, xZero: 2, w: 3, wScale: 4, wZero: 5, yScale: 6, yZero: 7, bias: 8}
		q.conv = conv{window: o.window, group: o.group}
		return q, true
	case *gemm:
		if !o.ep.none() || o.alpha != 1 || o.beta != 1 && o.hasC {
			return nil, false
		}
		return &quantMatMul{inputs: 9, least: 8, a: 0, aScale: 1, aZero: 2, b: 3, bScale: 4, bZero: 5, bias: 8, yScale: 6, yZero: 7, gemm: true,
			alpha: 1, transA: o.transA, transB: o.transB}, true
	case *matmul:
		if !o.ep.none() || o.alpha != 1 || o.transA || o.transB {
			return nil, false
		}
		return &quantMatMul{inputs: 8, least: 8, a: 0, aScale: 1, aZero: 2, b: 3, bScale: 4, bZero: 5, bias: -1, yScale: 6, yZero: 7, alpha: 1}, true
	}
	return nil, false
}

// Elementwise reports whether an operator computes each element of its only input of the
// run, input 0, from that element alone, so that [Table] applies.
func Elementwise(o Op) bool {
	switch o.(type) {
	case *unary, *clip:
		return true
	}
	return false
}

// Limits returns the bounds that an operator imposes on its input, if that is all it does
// to it: Relu and Clip with constant bounds. in are the facts of its inputs.
func Limits(o Op, in []Fact) (lo, hi float32, ok bool) {
	lo, hi = float32(math.Inf(-1)), float32(math.Inf(1))
	switch o := o.(type) {
	case *unary:
		return 0, hi, o.fn == fnRelu
	case *clip:
		for i, to := range []*float32{&lo, &hi} {
			if !present(in, i+1) {
				continue
			}
			c := in[i+1].Const
			if c == nil || c.DType() != tensor.Float32 || c.Elems() != 1 {
				return lo, hi, false
			}
			*to = c.Float32s()[0]
		}
		return lo, hi, lo <= hi
	}
	return lo, hi, false
}

// byteTable maps each 8-bit value to another: the composition of DequantizeLinear, an
// elementwise operator and QuantizeLinear.
type byteTable struct {
	from, to tensor.DType
	table    kernel.Table8
}

var (
	_ InPlacer    = (*byteTable)(nil)
	_ LayoutAware = (*byteTable)(nil)
)

// Table returns the operator quantise(f(dequantise(x))) for 8-bit x, where f is an
// elementwise operator, or the identity if it is nil. fIn are the facts of f's inputs; from
// and to are the facts of the scale and zero point on either side, scalars with known
// values. f is computed in float64 and rounded to float32, so that the table does not
// depend on the processor; dequantising and quantising are single-rounded float32
// operations, rounding half to even.
func Table(f Op, fIn []Fact, from, to [2]Fact) (Op, error) {
	t := &byteTable{from: from[1].DType, to: to[1].DType}
	if !types8.Has(t.from) || !types8.Has(t.to) {
		return nil, fmt.Errorf("a table from %v to %v is not supported", t.from, t.to)
	}
	for _, p := range [][2]Fact{from, to} {
		if p[0].Const == nil || p[1].Const == nil || p[0].Const.Elems() != 1 || p[1].Const.Elems() != 1 {
			return nil, fmt.Errorf("scale %v and zero point %v are not known scalars", p[0], p[1])
		}
	}
	fs, fz := scalarOf(from[0].Const), zeroOf(from[1].Const)
	values := make([]float64, 256)
	for i := range values {
		v := int32(i)
		if t.from == tensor.Int8 {
			v = int32(int8(i))
		}
		values[i] = float64(float32(float32(v-fz) * fs))
	}
	if f != nil {
		x, err := tensor.Of(values, len(values))
		if err != nil {
			return nil, err
		}
		in := append([]Fact{FactOf(x)}, fIn[1:]...)
		// The operator keeps the types that its opset version accepts.
		out, err := f.Infer(in)
		if err != nil {
			return nil, err
		}
		y, err := Eval(f, in, out[:1])
		if err != nil {
			return nil, err
		}
		values = tensor.Data[float64](y[0])
	}
	ts, tz := scalarOf(to[0].Const), zeroOf(to[1].Const)
	var table [256]uint8
	for i, v := range values {
		table[i] = uint8(saturate8(float32(v)/ts, tz, t.to))
	}
	t.table.Set(&table)
	return t, nil
}

// Infer implements [Op].
func (o *byteTable) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, typesOf(o.from)); err != nil {
		return nil, err
	}
	return []Fact{{DType: o.to, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *byteTable) InPlace() []int { return []int{0} }

// ChannelsLast implements [LayoutAware].
func (o *byteTable) ChannelsLast([]Fact) (Op, []bool, bool) { return o, []bool{true}, true }

// byteTableTask is one run. Kept in the node's state.
type byteTableTask struct {
	spreader
	o        *byteTable
	dst, src []uint8
}

// Run implements [Op].
func (o *byteTable) Run(ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[byteTableTask](ctx)
	if t.f == nil {
		t.f = t.elements
	}
	t.o, t.dst, t.src = o, out[0].Bytes(), in[0].Bytes()
	t.run(ctx.Pool, len(t.dst), 2*len(t.dst))
	t.dst, t.src = nil, nil
	return nil
}

func (t *byteTableTask) elements(lo, hi int) {
	t.o.table.Map(t.dst[lo:hi], t.src[lo:hi])
}

// ChannelsLast implements [LayoutAware] for one scale.
func (o *linear) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if n, ok := in[1].Shape.Elems(); !ok || n != 1 || o.block != 0 || len(in[0].Shape) < 3 {
		return nil, nil, false
	}
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	return o, nhwc, true
}

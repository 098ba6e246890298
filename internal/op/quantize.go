package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// Element types of quantised values.
const (
	types8     Types = 1<<tensor.Int8 | 1<<tensor.Uint8
	typesQuant Types = types8 | 1<<tensor.Int16 | 1<<tensor.Uint16
)

// narrowInt is the set of Go types of quantised values.
type narrowInt interface{ int8 | uint8 | int16 | uint16 }

// rangeOf returns the least and the largest value of a quantised type.
//
//go:noinline
func rangeOf(d tensor.DType) (lo, hi int32) {
	switch d {
	case tensor.Int8:
		return math.MinInt8, math.MaxInt8
	case tensor.Uint8:
		return 0, math.MaxUint8
	case tensor.Int16:
		return math.MinInt16, math.MaxInt16
	case tensor.Int4:
		return -8, 7
	case tensor.Uint4:
		return 0, 15
	case tensor.Int2:
		return -2, 1
	case tensor.Uint2:
		return 0, 3
	}
	return 0, math.MaxUint16
}

// ints32 appends the elements of an integer tensor of at most 32 bits to dst.
func ints32(dst []int32, t *tensor.Tensor) []int32 {
	if t.DType().IsNarrow() {
		for _, c := range t.Bytes() {
			dst = append(dst, int32(tensor.NarrowFloat32(t.DType(), c)))
		}
		return dst
	}
	switch t.DType() {
	case tensor.Int8:
		return appendInts(dst, tensor.Data[int8](t))
	case tensor.Uint8:
		return appendInts(dst, tensor.Data[uint8](t))
	case tensor.Int16:
		return appendInts(dst, tensor.Data[int16](t))
	case tensor.Uint16:
		return appendInts(dst, tensor.Data[uint16](t))
	}
	return append(dst, tensor.Data[int32](t)...)
}

func appendInts[T narrowInt](dst []int32, v []T) []int32 {
	for _, x := range v {
		dst = append(dst, int32(x))
	}
	return dst
}

// floats32 appends the elements of a float32, half-precision or narrow tensor to dst.
func floats32(dst []float32, t *tensor.Tensor) []float32 {
	if t.DType() == tensor.Float32 {
		return append(dst, t.Float32s()...)
	}
	n := len(dst)
	for range t.Elems() {
		dst = append(dst, 0)
	}
	if t.DType().IsNarrow() {
		widenNarrow(dst[n:], t)
		return dst
	}
	widen(dst[n:], t)
	return dst
}

// linear is QuantizeLinear and DequantizeLinear. The scale (input 1) and the zero point
// (input 2) are those of the whole tensor, of each index of an axis, or, with a block
// size, of each block of an axis.
type linear struct {
	quantize bool
	saturate bool // of 8-bit floats
	axis     int
	block    int
	output   tensor.DType // Undefined: from the zero point or the scale
}

func newQuantizeLinear(a *Attrs) (Op, error) {
	a.Ignore("precision")
	return newLinear(a, true)
}

func newDequantizeLinear(a *Attrs) (Op, error) { return newLinear(a, false) }

func newLinear(a *Attrs, quantize bool) (Op, error) {
	o := &linear{quantize: quantize, axis: a.Int("axis", 1), block: a.Int("block_size", 0), output: a.DType("output_dtype", tensor.Undefined)}
	o.saturate = !quantize || a.Bool("saturate", true)
	if o.block < 0 {
		a.Fail("attribute %q: value %d is negative", "block_size", o.block)
	}
	return o, nil
}

// Infer implements [Op].
func (o *linear) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 3); err != nil {
		return nil, err
	}
	float := typesOf(tensor.Float32, tensor.Float16, tensor.BFloat16)
	if err := wantType(in, 1, float); err != nil {
		return nil, err
	}
	out := o.output
	if o.quantize {
		if err := wantType(in, 0, float|typesOf(tensor.Int32)); err != nil {
			return nil, err
		}
		if present(in, 2) {
			if out != tensor.Undefined && out != in[2].DType {
				return nil, fmt.Errorf("the zero point has type %v, attribute %q says %v", in[2].DType, "output_dtype", out)
			}
			out = in[2].DType
		}
		if out == tensor.Undefined {
			out = tensor.Uint8
		}
		if !typesQuantised.Has(out) {
			return nil, fmt.Errorf("output type %v is not supported, want one of %v", out, typesQuantised)
		}
	} else {
		if err := wantType(in, 0, typesQuantised|typesOf(tensor.Int32)); err != nil {
			return nil, err
		}
		if present(in, 2) {
			if err := wantSame(in, 0, 2); err != nil {
				return nil, err
			}
		}
		if out == tensor.Undefined {
			out = in[1].DType
		}
		if !float.Has(out) {
			return nil, fmt.Errorf("output type %v is not supported, want one of %v", out, float)
		}
	}
	if present(in, 2) && !in[2].Shape.Equal(in[1].Shape) {
		// A scalar and a list of one element say the same.
		if n, _ := in[2].Shape.Elems(); n != 1 || !isOne(in[1].Shape) {
			return nil, fmt.Errorf("scale %v and zero point %v have different shapes", in[1].Shape, in[2].Shape)
		}
	}
	if _, err := o.layout(in[0].Shape, in[1].Shape); err != nil {
		return nil, err
	}
	return outFact(out, in[0].Shape)
}

func isOne(s tensor.Shape) bool { n, ok := s.Elems(); return ok && n == 1 }

// linearLayout says which parameter belongs to element i of the tensor, seen as
// [outer, dim, inner]: that of its index along dim, or of its block.
type linearLayout struct {
	outer, dim, inner int
	block, blocks     int // block 0: per index; dim 1 and block 0: per tensor
}

func (o *linear) layout(x, scale tensor.Shape) (linearLayout, error) {
	n, ok := x.Elems()
	if !ok {
		return linearLayout{}, fmt.Errorf("shape %v is too large", x)
	}
	if len(scale) == 0 || len(scale) == 1 && scale[0] == 1 && o.block == 0 {
		return linearLayout{outer: 1, dim: 1, inner: n}, nil
	}
	axis, err := tensor.Axis(o.axis, len(x))
	if err != nil {
		return linearLayout{}, err
	}
	l := linearLayout{outer: 1, dim: x[axis], inner: 1, block: o.block}
	if n > 0 {
		l.outer, l.inner = product(x[:axis]), product(x[axis+1:])
	}
	if o.block == 0 {
		if len(scale) != 1 || scale[0] != x[axis] {
			return l, fmt.Errorf("scale %v, want one value for each index of axis %d of %v", scale, axis, x)
		}
		return l, nil
	}
	if len(scale) != len(x) {
		return l, fmt.Errorf("scale %v and input %v have different ranks", scale, x)
	}
	for i, d := range x {
		want := d
		if i == axis {
			want = (d-1)/o.block + 1
			if d == 0 {
				want = 0
			}
			l.blocks = want
		}
		if scale[i] != want {
			return l, fmt.Errorf("scale %v for blocks of %d along axis %d of %v", scale, o.block, axis, x)
		}
	}
	return l, nil
}

// linearTask is one run; a unit is one index of dim.
type linearTask struct {
	spreader
	linearLayout
	quantize, saturate bool
	scale              []float32
	zero               []int32
	floatZero          []float32 // where the quantised type is of floats
	x, y               *tensor.Tensor
	wide               []float32 // x or y as float32, where it has another type
}

// linearRun is how many elements of a tensor with one scale are one unit.
const linearRun = 16 << 10

// Run implements [Op].
func (o *linear) Run(ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[linearTask](ctx)
	l, err := o.layout(in[0].Shape(), in[1].Shape())
	if err != nil {
		return err
	}
	t.quantize, t.saturate, t.linearLayout = o.quantize, o.saturate, l
	t.scale = floats32(t.scale[:0], in[1])
	t.zero, t.floatZero = t.zero[:0], t.floatZero[:0]
	z := given(in, 2)
	switch {
	case typesFloat8.Has(in[0].DType()) || typesFloat8.Has(out[0].DType()):
		for range t.scale {
			t.floatZero = append(t.floatZero, 0)
		}
		if z != nil {
			t.floatZero = floats32(t.floatZero[:0], z)
		}
	case z != nil:
		t.zero = ints32(t.zero, z)
	default:
		for range t.scale {
			t.zero = append(t.zero, 0)
		}
	}
	n := in[0].Elems()
	if n == 0 {
		return nil
	}
	t.x, t.y = in[0], out[0]
	if t.f == nil {
		t.f = t.units
	}
	narrow32 := out[0]
	if o.quantize {
		narrow32 = in[0]
	}
	if narrow32.DType() != tensor.Float32 {
		t.wide = make([]float32, n)
		if o.quantize {
			if narrow32.DType() == tensor.Int32 {
				for i, v := range tensor.Data[int32](narrow32) {
					t.wide[i] = float32(v)
				}
			} else {
				widen(t.wide, narrow32)
			}
		}
	}
	units := l.outer * l.dim
	if len(t.scale) == 1 {
		units = (n + linearRun - 1) / linearRun
	}
	t.run(ctx.Pool, units, mulSize(copyCost, n))
	if t.wide != nil && !o.quantize {
		narrow(out[0], t.wide)
	}
	t.x, t.y, t.wide = nil, nil, nil
	return nil
}

func (t *linearTask) units(lo, hi int) {
	if t.quantize {
		x := t.wide
		if x == nil {
			x = t.x.Float32s()
		}
		switch t.y.DType() {
		case tensor.Int8, tensor.Uint8, tensor.Int4, tensor.Uint4, tensor.Int2, tensor.Uint2:
			quantizeUnits(t, t.y.Bytes(), x, lo, hi, kernel.QuantizeF32)
		case tensor.Int16:
			quantizeUnits(t, tensor.Data[int16](t.y), x, lo, hi, quantizeRow)
		case tensor.Uint16:
			quantizeUnits(t, tensor.Data[uint16](t.y), x, lo, hi, quantizeRow)
		default:
			t.floats8(lo, hi, len(x), func(i, p int) {
				v := float32(x[i]/t.scale[p]) + t.floatZero[p]
				t.y.Bytes()[i] = tensor.NarrowOf(t.y.DType(), v, t.saturate, tensor.RoundUp)
			})
		}
		return
	}
	y := t.wide
	if y == nil {
		y = t.y.Float32s()
	}
	switch t.x.DType() {
	case tensor.Int8, tensor.Int4, tensor.Int2:
		dequantizeUnits(t, y, t.x.Bytes(), lo, hi, kernel.DequantizeS8)
	case tensor.Uint8, tensor.Uint4, tensor.Uint2:
		dequantizeUnits(t, y, t.x.Bytes(), lo, hi, kernel.DequantizeU8)
	case tensor.Int16:
		dequantizeUnits(t, y, tensor.Data[int16](t.x), lo, hi, dequantizeRow)
	case tensor.Uint16:
		dequantizeUnits(t, y, tensor.Data[uint16](t.x), lo, hi, dequantizeRow)
	case tensor.Int32:
		dequantizeUnits(t, y, tensor.Data[int32](t.x), lo, hi, dequantizeRow)
	default:
		t.floats8(lo, hi, len(y), func(i, p int) {
			y[i] = float32(tensor.NarrowFloat32(t.x.DType(), t.x.Bytes()[i])-t.floatZero[p]) * t.scale[p]
		})
	}
}

// floats8 calls f with each element of the units and the index of its parameters.
func (t *linearTask) floats8(lo, hi, n int, f func(i, p int)) {
	for u := lo; u < hi; u++ {
		from, to, p := t.span(u, n)
		for i := from; i < to; i++ {
			f(i, p)
			if t.block > 0 && len(t.scale) > 1 {
				p++
			}
		}
	}
}

// span returns the elements of unit u and the index of their parameter; with blocks,
// element i of the unit has the parameter p+i.
func (t *linearTask) span(u, n int) (from, to, p int) {
	if len(t.scale) == 1 {
		return u * linearRun, min(n, (u+1)*linearRun), 0
	}
	from = u * t.inner
	p = u % t.dim
	if t.block > 0 {
		p = (u/t.dim*t.blocks + p/t.block) * t.inner
	}
	return from, from + t.inner, p
}

// quantizeUnits applies row to runs of elements with one scale.
func quantizeUnits[T narrowInt](t *linearTask, y []T, x []float32, lo, hi int, row func(y []T, x []float32, scale float32, zero, least, most int32)) {
	least, most := rangeOf(t.y.DType())
	for u := lo; u < hi; u++ {
		from, to, p := t.span(u, len(x))
		if t.block > 0 && len(t.scale) > 1 {
			for i := from; i < to; i++ {
				row(y[i:i+1], x[i:i+1], t.scale[p+i-from], t.zero[p+i-from], least, most)
			}
			continue
		}
		row(y[from:to], x[from:to], t.scale[p], t.zero[p], least, most)
	}
}

// quantizeRow sets y[i] = saturate(roundHalfEven(x[i]/scale) + zero), in single-rounded
// float32 operations. A NaN becomes zero.
func quantizeRow[T narrowInt](y []T, x []float32, scale float32, zero, least, most int32) {
	x = x[:len(y)]
	lo, hi := float32(least-zero), float32(most-zero)
	// Adding 1.5·2²³ rounds half to even to an integer, which the low bits then hold.
	const magic = 3 << 22
	zero -= int32(math.Float32bits(magic))
	for i := range y {
		v := x[i] / scale
		switch {
		case v != v:
			v = 0
		case v < lo:
			v = lo
		case v > hi:
			v = hi
		}
		y[i] = T(int32(math.Float32bits(v+magic)) + zero)
	}
}

// dequantizeUnits applies row to runs of elements with one scale.
func dequantizeUnits[T narrowInt | int32](t *linearTask, y []float32, x []T, lo, hi int, row func(y []float32, x []T, scale float32, zero int32)) {
	for u := lo; u < hi; u++ {
		from, to, p := t.span(u, len(x))
		if t.block > 0 && len(t.scale) > 1 {
			for i := from; i < to; i++ {
				row(y[i:i+1], x[i:i+1], t.scale[p+i-from], t.zero[p+i-from])
			}
			continue
		}
		row(y[from:to], x[from:to], t.scale[p], t.zero[p])
	}
}

func dequantizeRow[T narrowInt | int32](y []float32, x []T, scale float32, zero int32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = float32(int32(v)-zero) * scale
	}
}

// dynamicQuantize is DynamicQuantizeLinear: uint8 values over the range of the input and
// zero.
type dynamicQuantize struct{}

func newDynamicQuantize(a *Attrs) (Op, error) { return dynamicQuantize{}, nil }

// Infer implements [Op].
func (dynamicQuantize) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, typesOf(tensor.Float32)); err != nil {
		return nil, err
	}
	return []Fact{{DType: tensor.Uint8, Shape: in[0].Shape}, {DType: tensor.Float32, Shape: tensor.Shape{}}, {DType: tensor.Uint8, Shape: tensor.Shape{}}}, nil
}

// Run implements [Op].
func (dynamicQuantize) Run(ctx *Context, out, in []*tensor.Tensor) error {
	x := in[0].Float32s()
	scale, zero := dynamicRange(x)
	if out[0] != nil {
		kernel.QuantizeF32(out[0].Bytes(), x, scale, int32(zero), 0, math.MaxUint8)
	}
	if len(out) > 1 && out[1] != nil {
		out[1].Float32s()[0] = scale
	}
	if len(out) > 2 && out[2] != nil {
		tensor.Data[uint8](out[2])[0] = zero
	}
	return nil
}

// dynamicRange returns the scale and zero point that spread the range of x and zero over
// uint8. Where x is all zeros, the scale is 1.
func dynamicRange(x []float32) (scale float32, zero uint8) {
	if len(x) == 0 {
		return 1, 0
	}
	lo, hi := min(0, kernel.MinF32(x)), max(0, kernel.MaxF32(x))
	scale = (hi - lo) / 255
	if scale == 0 || scale != scale {
		return 1, 0
	}
	z := math.RoundToEven(float64(min(max((0-lo)/scale, 0), 255)))
	return scale, uint8(z)
}

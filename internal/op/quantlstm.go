package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// quantLSTM is DynamicQuantizeLSTM of com.microsoft: LSTM whose weights are 8-bit, with inputs
// W [directions features 4·hidden] and R [directions hidden 4·hidden], and after P their scales
// and zero points, of W and then of R: [directions] or [directions 4·hidden]. X and, before each
// product with R, the state are rounded to uint8 as DynamicQuantizeLinear does.
type quantLSTM struct{ recurrent }

var _ Workspacer = (*quantLSTM)(nil)

func newQuantLSTM(a *Attrs) (Op, error) {
	o, err := newRecurrent(cellLSTM)(a)
	if err != nil {
		return nil, err
	}
	q := &quantLSTM{*o.(*recurrent)}
	q.types, q.rounds = typesOf(tensor.Float32), true
	return q, nil
}

// plain returns the inputs of the LSTM with weights in float32.
func (o *quantLSTM) plain(in []Fact) []Fact {
	f := append([]Fact(nil), in[:8]...)
	for i := 1; i <= 2; i++ {
		s := in[i].Shape
		f[i] = Fact{DType: tensor.Float32, Shape: tensor.Shape{s[0], s[2], s[1]}}
	}
	return f
}

// Infer implements [Op].
func (o *quantLSTM) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 12); err != nil {
		return nil, err
	}
	for i := 8; i < 12; i++ {
		if !present(in, i) {
			return nil, fmt.Errorf("input %d, a scale or zero point, is missing", i)
		}
	}
	for i := 1; i <= 2; i++ {
		w, scale, zero := in[i], in[6+2*i], in[7+2*i]
		if w.DType != tensor.Uint8 && w.DType != tensor.Int8 || zero.DType != w.DType {
			return nil, fmt.Errorf("inputs %d and %d: types %v and %v, want both uint8 or int8", i, 7+2*i, w.DType, zero.DType)
		}
		if len(w.Shape) != 3 {
			return nil, fmt.Errorf("input %d: shape %v, want rank 3", i, w.Shape)
		}
		one, each := tensor.Shape{w.Shape[0]}, tensor.Shape{w.Shape[0], w.Shape[2]}
		if s := scale.Shape; scale.DType != tensor.Float32 || !s.Equal(one) && !s.Equal(each) || !zero.Shape.Equal(s) {
			return nil, fmt.Errorf("inputs %d and %d: %v%v and %v, want scales float32%v or %v and as many zero points", 6+2*i, 7+2*i, scale.DType, s, zero.Shape, one, each)
		}
	}
	return o.recurrent.Infer(o.plain(in))
}

// MACs implements [Coster].
func (o *quantLSTM) MACs(in, out []Fact) int64 { return o.recurrent.MACs(in, out) }

// Workspace implements [Workspacer]: X and the weights in float32, and what the LSTM needs.
func (o *quantLSTM) Workspace(in []Fact) int {
	own, rest := workBytes(4, elemsOf(in, 0), elemsOf(in, 1), elemsOf(in, 2)), o.recurrent.Workspace(o.plain(in))
	if own > math.MaxInt-rest {
		return math.MaxInt
	}
	return own + rest
}

// quantLSTMState is what a DynamicQuantizeLSTM keeps between runs.
type quantLSTMState struct {
	values [3]tensor.Tensor // X, W and R
	shapes [3]tensor.Shape
	in     []*tensor.Tensor
	ctx    Context
	state  any // of the LSTM
}

// Run implements [Op].
func (o *quantLSTM) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[quantLSTMState](ctx)
	scratch := ctx.Scratch
	st.in = append(st.in[:0], in[:8]...)
	for i := range st.values {
		s := in[i].Shape()
		st.shapes[i] = append(st.shapes[i][:0], s...)
		t, n := &st.values[i], 4*in[i].Elems()
		if i > 0 {
			st.shapes[i][1], st.shapes[i][2] = s[2], s[1]
		}
		t.Set(tensor.Float32, scratch[:n], st.shapes[i])
		scratch = scratch[alignedBytes(n):]
		if i == 0 {
			roundBytes(t.Float32s(), in[0].Float32s())
		} else {
			dequantizeTurned(t.Float32s(), in[i], in[6+2*i].Float32s(), in[7+2*i])
		}
		st.in[i] = t
	}
	st.ctx.Ctx, st.ctx.Pool, st.ctx.State, st.ctx.Account, st.ctx.Scratch = ctx.Ctx, ctx.Pool, &st.state, ctx.Account, scratch
	err := o.recurrent.Run(&st.ctx, out, st.in)
	clear(st.in)
	st.ctx.Scratch = nil
	return err
}

// dequantizeTurned sets dst to the values of q, 8-bit weights [directions k n], as [directions n k],
// with a scale and a zero point for each direction, or each direction and column.
func dequantizeTurned(dst []float32, q *tensor.Tensor, scales []float32, zeros *tensor.Tensor) {
	s, b, z := q.Shape(), q.Bytes(), zeros.Bytes()
	dirs, k, n := s[0], s[1], s[2]
	value := func(b byte) int32 {
		if q.DType() == tensor.Int8 {
			return int32(int8(b))
		}
		return int32(b)
	}
	for d := range dirs {
		for j := range n {
			at := d
			if len(scales) > dirs {
				at = d*n + j
			}
			scale, zero := scales[at], value(z[at])
			row := dst[(d*n+j)*k:][:k]
			for i := range row {
				row[i] = float32(value(b[(d*k+i)*n+j])-zero) * scale
			}
		}
	}
}

// roundBytes sets dst to what src becomes by DynamicQuantizeLinear and DequantizeLinear.
func roundBytes(dst, src []float32) {
	scale, zero := dynamicRange(src)
	for i, v := range src {
		q := math.RoundToEven(float64(v/scale)) + float64(zero)
		dst[i] = float32(min(max(q, 0), 255)-float64(zero)) * scale
	}
}

package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// maxUnpool is MaxUnpool: the elements of input 0 are put where the indices of input 1,
// into the flattened result of the pool's inverse, say; everything else is zero. Input 2
// may give a larger shape, in whose leading corner that result then lies.
type maxUnpool struct {
	window
	types Types
}

func newMaxUnpool(a *Attrs) (Op, error) {
	a.Require("kernel_shape")
	o := &maxUnpool{types: a.Types()}
	o.kernel, o.strides, o.pads, o.autoPad = a.Ints("kernel_shape"), a.Ints("strides"), a.Ints("pads"), "NOTSET"
	return o, nil
}

// shapes returns the shape of the pool's inverse and that of the result.
func (o *maxUnpool) shapes(in []Fact) (inverse, out tensor.Shape, err error) {
	x := in[0].Shape
	if len(x) < 3 {
		return nil, nil, fmt.Errorf("input %v: want a rank of at least 3", x)
	}
	ax, err := o.transpose(x[2:], nil, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	inverse = x[:2].Clone()
	for _, a := range ax {
		inverse = append(inverse, a.in)
	}
	if _, ok := inverse.Elems(); !ok {
		return nil, nil, fmt.Errorf("shape %v is too large", inverse)
	}
	if !present(in, 2) {
		return inverse, inverse, nil
	}
	want, err := constInts(in, 2)
	if err != nil {
		return nil, nil, err
	}
	if len(want) != len(x) {
		return nil, nil, fmt.Errorf("output shape %v for input %v", want, x)
	}
	for i, d := range want {
		v, err := toInt(d)
		if err != nil || v < inverse[i] {
			return nil, nil, fmt.Errorf("output shape %v is smaller than %v", want, inverse)
		}
		out = append(out, v)
	}
	return inverse, out, nil
}

// Infer implements [Op].
func (o *maxUnpool) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesOf(tensor.Int64)); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, fmt.Errorf("input %v and indices %v have different shapes", in[0].Shape, in[1].Shape)
	}
	_, out, err := o.shapes(in)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, out)
}

// maxUnpoolState is what a MaxUnpool keeps between runs.
type maxUnpoolState struct {
	shape, inverse tensor.Shape // of the input, and of the pool's inverse
	steps          []int
}

// Run implements [Op].
func (o *maxUnpool) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[maxUnpoolState](ctx)
	if s := in[0].Shape(); !st.shape.Equal(s) {
		// The shape of the result is that of out.
		inverse, _, err := o.shapes([]Fact{FactOf(in[0])})
		if err != nil {
			return err
		}
		st.shape, st.inverse = s.Clone(), inverse
	}
	inverse := st.inverse
	n, _ := inverse.Elems()
	clear(out[0].Bytes())
	st.steps = rowMajor(st.steps[:0], out[0].Shape())
	steps := st.steps
	size := in[0].DType().Size()
	x, y := in[0].Bytes(), out[0].Bytes()
	for i, v := range in[1].Int64s() {
		if v < 0 || v >= int64(n) || v > math.MaxInt {
			return fmt.Errorf("index %d is outside %v", v, inverse)
		}
		at, rest := 0, int(v)
		for k := len(inverse) - 1; k >= 0; k-- {
			at += rest % inverse[k] * steps[k]
			rest /= inverse[k]
		}
		copy(y[at*size:][:size], x[i*size:])
	}
	return nil
}

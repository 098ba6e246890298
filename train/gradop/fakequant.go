package gradop

import (
	"errors"
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var fakeQuantTable = map[string]constructor{
	"FakeQuant":        newFakeQuant(false),
	"FakeQuantGrad":    newFakeQuant(true),
	"FakeQuantWeights": newFakeQuantWeights,
}

// fakeQuant is quantisation followed by dequantisation, with the attributes scale (float)
// and zero_point, qmin, qmax (integers):
//
//	y = (min(qmax, max(qmin, round(x/scale) + zero_point)) - zero_point)·scale
//
// with rounding half to even. As FakeQuantGrad, with inputs dy and x, it is the
// straight-through estimate of its gradient (Bengio et al., "Estimating or propagating
// gradients through stochastic neurons", 2013): dy where x is within the range, else 0.
type fakeQuant struct {
	grad              bool
	scale             float64
	least, most, zero float64
}

func newFakeQuant(grad bool) constructor {
	return func(a *op.Attrs) (op.Op, error) {
		o := &fakeQuant{grad: grad, scale: float64(a.Float("scale", 1)), zero: float64(a.Int("zero_point", 0)),
			least: float64(a.Int("qmin", 0)), most: float64(a.Int("qmax", 255))}
		if !(o.scale > 0) || math.IsInf(o.scale, 0) || o.least > o.zero || o.zero > o.most {
			return nil, fmt.Errorf("scale %g, zero point %g, range %g to %g", o.scale, o.zero, o.least, o.most)
		}
		return o, nil
	}
}

// Infer implements [op.Op].
func (o *fakeQuant) Infer(in []op.Fact) ([]op.Fact, error) {
	n := 1
	if o.grad {
		n = 2
	}
	if err := want(in, n, n, 0, n-1); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[n-1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[0])}, nil
}

// InPlace implements [op.InPlacer].
func (o *fakeQuant) InPlace() []int { return []int{0} }

type fakeQuantState struct {
	spans
	dst, dy, x []float32
}

// Run implements [op.Op].
func (o *fakeQuant) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	x := in[len(in)-1]
	if out[0].DType() == tensor.Float64 {
		fakeQuantRun(o, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), tensor.Data[float64](x))
		return nil
	}
	st := op.StateOf[fakeQuantState](ctx)
	st.dst, st.dy, st.x = out[0].Float32s(), in[0].Float32s(), x.Float32s()
	if st.f == nil {
		st.f = func(lo, hi int) { fakeQuantRun(o, st.dst[lo:hi], st.dy[lo:hi], st.x[lo:hi]) }
	}
	st.run(ctx.Pool, len(st.dst), grain)
	return nil
}

func fakeQuantRun[T floating](o *fakeQuant, dst, dy, x []T) {
	inverse, scale := 1/o.scale, o.scale
	least, most := o.least-o.zero, o.most-o.zero
	if o.grad {
		lo, hi := T((least-0.5)*scale), T((most+0.5)*scale)
		for i, v := range x {
			g := dy[i]
			if v < lo || v > hi {
				g = 0
			}
			dst[i] = g
		}
		return
	}
	for i, v := range x {
		q := math.RoundToEven(float64(v) * inverse)
		dst[i] = T(min(most, max(least, q)) * scale)
	}
}

// fakeQuantWeights rounds weights to multiples of a scale with which the largest of them is
// limit times it: of each channel along axis, or of all where axis is -1. Its gradient is
// that of the identity.
type fakeQuantWeights struct {
	axis  int
	limit float64
}

func newFakeQuantWeights(a *op.Attrs) (op.Op, error) {
	o := &fakeQuantWeights{axis: a.Int("axis", -1), limit: float64(a.Int("limit", 127))}
	if o.limit < 1 || o.axis < -1 {
		return nil, fmt.Errorf("axis %d, limit %g", o.axis, o.limit)
	}
	return o, nil
}

// Infer implements [op.Op].
func (o *fakeQuantWeights) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 1, 1, 0); err != nil {
		return nil, err
	}
	if o.axis >= len(in[0].Shape) {
		return nil, errors.New("the axis is beyond the shape")
	}
	return []op.Fact{like(in[0])}, nil
}

// Run implements [op.Op].
func (o *fakeQuantWeights) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	st := op.StateOf[fakeWeightsState](ctx)
	if out[0].DType() == tensor.Float64 {
		fakeWeightsRun(o, st, in[0].Shape(), tensor.Data[float64](out[0]), tensor.Data[float64](in[0]))
	} else {
		fakeWeightsRun(o, st, in[0].Shape(), out[0].Float32s(), in[0].Float32s())
	}
	return nil
}

// fakeWeightsState holds the scale of each channel.
type fakeWeightsState struct{ scale []float64 }

func fakeWeightsRun[T floating](o *fakeQuantWeights, st *fakeWeightsState, s tensor.Shape, dst, src []T) {
	channels, inner := 1, len(src)
	if o.axis >= 0 {
		channels, inner = s[o.axis], product(s[o.axis+1:])
	}
	if cap(st.scale) < channels {
		st.scale = make([]float64, channels)
	}
	scale := st.scale[:channels]
	clear(scale)
	c, at := 0, 0 // channel, and elements of it that are done
	next := func(n int) {
		if at += n; at == inner {
			at = 0
			if c++; c == channels {
				c = 0
			}
		}
	}
	for i := 0; i < len(src); i += inner {
		top := scale[c]
		for _, v := range src[i : i+inner] {
			top = max(top, math.Abs(float64(v)))
		}
		scale[c] = top
		next(inner)
	}
	for i := range scale {
		if scale[i] /= o.limit; !(scale[i] > 0) {
			scale[i] = 1
		}
	}
	for i := 0; i < len(src); i += inner {
		f, inverse := scale[c], 1/scale[c]
		for k, v := range src[i : i+inner] {
			dst[i+k] = T(math.RoundToEven(float64(v)*inverse) * f)
		}
		next(inner)
	}
}

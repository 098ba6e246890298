package gradop

import (
	"math"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var softmaxTable = map[string]constructor{
	"SoftmaxGrad":    newSoftmaxGrad(false),
	"LogSoftmaxGrad": newSoftmaxGrad(true),
}

// softmaxGrad is the gradient of Softmax or LogSoftmax: inputs dy and the result y.
// Attribute axis is as in the operator; with flatten, axis and all after it are one (the
// meaning of the operator before opset 13).
type softmaxGrad struct {
	axis         int
	flatten, log bool
}

func newSoftmaxGrad(log bool) constructor {
	return func(a *op.Attrs) (op.Op, error) {
		return &softmaxGrad{a.Int("axis", -1), a.Bool("flatten", false), log}, nil
	}
}

func (o *softmaxGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, errShapes
	}
	if len(in[0].Shape) > 0 {
		if _, err := tensor.Axis(o.axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
	}
	return []op.Fact{like(in[0])}, nil
}

// InPlace implements [op.InPlacer].
func (o *softmaxGrad) InPlace() []int { return []int{0} }

func (o *softmaxGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	s := out[0].Shape()
	outer, n, inner := 1, 1, 1
	if len(s) > 0 {
		axis, _ := tensor.Axis(o.axis, len(s))
		outer, n, inner = product(s[:axis]), s[axis], product(s[axis+1:])
		if o.flatten {
			n, inner = n*inner, 1
		}
	}
	if out[0].DType() == tensor.Float64 {
		softmaxGradRun(o.log, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), tensor.Data[float64](in[1]), outer, n, inner)
	} else {
		softmaxGradRun(o.log, out[0].Float32s(), in[0].Float32s(), in[1].Float32s(), outer, n, inner)
	}
	return nil
}

// softmaxGradRun computes y·(dy - Σ dy·y), or dy - exp(y)·Σ dy for the logarithm.
func softmaxGradRun[T floating](log bool, dst, dy, y []T, outer, n, inner int) {
	for o := range outer {
		for i := range inner {
			at := o*n*inner + i
			s := 0.0
			for k := range n {
				p := at + k*inner
				if log {
					s += float64(dy[p])
				} else {
					s += float64(dy[p]) * float64(y[p])
				}
			}
			for k := range n {
				p := at + k*inner
				if log {
					dst[p] = dy[p] - T(math.Exp(float64(y[p]))*s)
				} else {
					dst[p] = y[p] * (dy[p] - T(s))
				}
			}
		}
	}
}

package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// biasGelu is com.microsoft's BiasGelu and FastGelu: Gelu of the sum of the input and a
// bias along its last axis, which FastGelu may omit.
type biasGelu struct {
	types    Types
	fn       *unaryFunc
	optional bool
}

//go:noinline
func newBiasGelu(fn *unaryFunc, optional bool) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) { return &biasGelu{a.Types(), fn, optional}, nil }
}

func (o *biasGelu) Infer(in []Fact) ([]Fact, error) {
	least := 2
	if o.optional {
		least = 1
	}
	if err := arity(in, least, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if present(in, 1) {
		if err := wantSame(in, 0, 1); err != nil {
			return nil, err
		}
		s := in[0].Shape
		if len(s) == 0 || !in[1].Shape.Equal(s[len(s)-1:]) {
			return nil, fmt.Errorf("bias of shape %v does not fit data of shape %v", in[1].Shape, s)
		}
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *biasGelu) InPlace() []int { return []int{0} }

func (o *biasGelu) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
	case tensor.Float64:
		dst, x := tensor.Data[float64](out[0]), tensor.Data[float64](in[0])
		for i, v := range x {
			if b := given(in, 1); b != nil {
				bias := tensor.Data[float64](b)
				v += bias[i%len(bias)]
			}
			dst[i] = o.fn.f64(nil, v)
		}
		return nil
	default:
		return viaFloat32(ctx, out, in, o.Run)
	}
	dst, x := out[0].Float32s(), in[0].Float32s()
	b := given(in, 1)
	if b == nil || b.Elems() == 0 {
		o.fn.f32(nil, dst, x)
		return nil
	}
	bias := b.Float32s()
	n := len(bias)
	for i := 0; i < len(x); i += n {
		kernel.AddF32(dst[i:i+n], x[i:i+n], bias)
		o.fn.f32(nil, dst[i:i+n], dst[i:i+n])
	}
	return nil
}

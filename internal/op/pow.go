package op

import (
	"math"

	"github.com/aekit/aekit/tensor"
)

// pow is Pow. The exponent may have another type than the base, which is the result's.
type pow struct{ binary }

func newPow(a *Attrs) (Op, error) {
	legacyBroadcast(a)
	return &pow{binary{name: a.OpType(), types: a.Types(), kind: binPow}}, nil
}

func (o *pow) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesNum); err != nil {
		return nil, err
	}
	s, err := tensor.Broadcast(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, s)
}

// InPlace implements [InPlacer].
func (o *pow) InPlace() []int { return []int{0} }

func (o *pow) Run(ctx *Context, out, in []*tensor.Tensor) error {
	a, b := in[0], in[1]
	switch {
	case a.DType() == b.DType():
		return o.binary.Run(ctx, out, in)
	case a.DType().IsInteger() && b.DType().IsInteger():
		return powVia[int64](ctx, out[0], a, b, powInt[int64])
	}
	return powVia[float64](ctx, out[0], a, b, math.Pow)
}

// powVia computes in a type that holds both operands.
func powVia[T int64 | float64](ctx *Context, out, a, b *tensor.Tensor, f func(a, b T) T) error {
	var t [3]*tensor.Tensor
	for i, s := range []*tensor.Tensor{a, b, out} {
		w, err := ctx.New(tensor.DTypeOf[T](), s.Shape())
		if err != nil {
			return err
		}
		t[i] = w
	}
	convert(t[0], a)
	convert(t[1], b)
	var l loop
	l.init(out.Shape(), a.Shape(), b.Shape(), nil)
	broadcastRun(&l, tensor.Data[T](t[2]), tensor.Data[T](t[0]), tensor.Data[T](t[1]), f)
	convert(out, t[2])
	return nil
}

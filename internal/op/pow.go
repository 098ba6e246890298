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

var _ Workspacer = (*pow)(nil)

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

// Workspace implements [Workspacer]: both operands and the result in a type that holds them.
func (o *pow) Workspace(in []Fact) int {
	s, err := tensor.Broadcast(in[0].Shape, in[1].Shape)
	if err != nil || in[0].DType == in[1].DType {
		return 0
	}
	return workBytes(8, elemsOf(in, 0), elemsOf(in, 1), mulSize(s...))
}

// powState is what a Pow of two types keeps between runs.
type powState struct {
	loop
	wide [3]tensor.Tensor
}

// powVia computes in a type that holds both operands.
func powVia[T int64 | float64](ctx *Context, out, a, b *tensor.Tensor, f func(a, b T) T) error {
	st := StateOf[powState](ctx)
	scratch := ctx.Scratch
	for i, s := range [3]*tensor.Tensor{a, b, out} {
		n := 8 * s.Elems()
		st.wide[i].Set(tensor.DTypeOf[T](), scratch[:n], s.Shape())
		scratch = scratch[alignedBytes(n):]
	}
	x, y, z := &st.wide[0], &st.wide[1], &st.wide[2]
	convert(x, a)
	convert(y, b)
	st.init(out.Shape(), a.Shape(), b.Shape(), nil)
	broadcastRun(&st.loop, tensor.Data[T](z), tensor.Data[T](x), tensor.Data[T](y), f)
	convert(out, z)
	return nil
}

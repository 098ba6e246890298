package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// variadic is Sum, Mean, Max and Min: a binary function folded over one or more inputs,
// which are broadcast to each other.
type variadic struct {
	types Types
	kind  binaryKind
	mean  bool
}

//go:noinline
func newVariadic(kind binaryKind, mean bool) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		if a.Opset() < 6 {
			a.Ignore("consumed_inputs")
		}
		return &variadic{a.Types(), kind, mean}, nil
	}
}

func (o *variadic) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, -1); err != nil {
		return nil, err
	}
	if err := arity(in, len(in), -1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	shapes := make([]tensor.Shape, len(in))
	for i, f := range in {
		if err := wantSame(in, 0, i); err != nil {
			return nil, err
		}
		shapes[i] = f.Shape
	}
	s, err := tensor.Broadcast(shapes...)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, s)
}

func (o *variadic) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch d := out[0].DType(); {
	case isHalf(d):
		return viaFloat32(ctx, out, in, o.Run)
	case typesShort.Has(d):
		return viaInt64(ctx, out, in, o.Run)
	}
	if len(in) == 1 {
		copy(out[0].Bytes(), in[0].Bytes())
		return nil
	}
	acc := in[0]
	for _, t := range in[1:] {
		if err := runBinary(ctx, o.kind, out[0], acc, t); err != nil {
			return err
		}
		acc = out[0]
	}
	if !o.mean {
		return nil
	}
	if out[0].DType() == tensor.Float32 {
		y := out[0].Float32s()
		kernel.DivScalarF32(y, y, float32(len(in)))
		return nil
	}
	y := tensor.Data[float64](out[0])
	for i := range y {
		y[i] /= float64(len(in))
	}
	return nil
}

package op

import (
	"math"

	"github.com/aekit/aekit/tensor"
)

// compareKind names a relation.
type compareKind uint8

const (
	cmpEqual compareKind = iota
	cmpLess
	cmpLessEqual
	cmpGreater
	cmpGreaterEqual
)

// compare is an operator on two inputs of one type that gives bool.
type compare struct {
	types Types
	kind  compareKind
}

//go:noinline
func newCompare(kind compareKind) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		legacyBroadcast(a)
		return &compare{a.Types(), kind}, nil
	}
}

func (o *compare) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	s, err := tensor.Broadcast(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	return outFact(tensor.Bool, s)
}

func (o *compare) Run(ctx *Context, out, in []*tensor.Tensor) error {
	l := StateOf[compareState](ctx)
	l.init(out[0].Shape(), in[0].Shape(), in[1].Shape(), nil)
	switch in[0].DType() {
	case tensor.Float32:
		compareRun[float32](l, o.kind, out[0], in)
	case tensor.Float64:
		compareRun[float64](l, o.kind, out[0], in)
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		compareRun[int64](l, o.kind, out[0], in)
	case tensor.Uint64:
		compareRun[uint64](l, o.kind, out[0], in)
	case tensor.Bool:
		broadcastRun(&l.loop, words[uint8](out[0]), words[uint8](in[0]), words[uint8](in[1]), equalBools)
	}
	return nil
}

// compareState is the state of comparisons.
type compareState struct {
	loop
	fn any // as in binaryState
}

func compareRun[T float32 | float64 | int64 | uint64](l *compareState, kind compareKind, out *tensor.Tensor, in []*tensor.Tensor) {
	broadcastRun(&l.loop, tensor.Data[bool](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]), kept(&l.fn, kind, compareFunc[T]))
}

func compareFunc[T float32 | float64 | int64 | uint64](kind compareKind) func(a, b T) bool {
	switch kind {
	case cmpEqual:
		return func(a, b T) bool { return a == b }
	case cmpLess:
		return func(a, b T) bool { return a < b }
	case cmpLessEqual:
		return func(a, b T) bool { return a <= b }
	case cmpGreater:
		return func(a, b T) bool { return a > b }
	}
	return func(a, b T) bool { return a >= b }
}

// equalBools is Equal, the only relation of bools, which are stored as 0 and 1.
func equalBools(a, b uint8) uint8 { return 1 ^ a ^ b }

// not is Not and BitwiseNot: the elements, seen as bits, exclusive-or a mask.
type not struct{ types Types }

func newNot(a *Attrs) (Op, error) { return not{a.Types()}, nil }

func (o not) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (not) InPlace() []int { return []int{0} }

func (o not) Run(_ *Context, out, in []*tensor.Tensor) error {
	mask := byte(0xff)
	if in[0].DType() == tensor.Bool {
		mask = 1
	}
	dst := out[0].Bytes()
	for i, v := range in[0].Bytes() {
		dst[i] = v ^ mask
	}
	return nil
}

// classify is IsNaN and IsInf.
type classify struct {
	types    Types
	nan      bool
	neg, pos bool // which infinities count
}

func newIsNaN(a *Attrs) (Op, error) { return classify{types: a.Types(), nan: true}, nil }

func newIsInf(a *Attrs) (Op, error) {
	return classify{types: a.Types(), neg: a.Bool("detect_negative", true), pos: a.Bool("detect_positive", true)}, nil
}

func (o classify) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	return []Fact{{DType: tensor.Bool, Shape: in[0].Shape}}, nil
}

func (o classify) Run(ctx *Context, out, in []*tensor.Tensor) error {
	dst := tensor.Data[bool](out[0])
	switch in[0].DType() {
	case tensor.Float32:
		classifyRun(o, dst, in[0].Float32s())
	case tensor.Float64:
		classifyRun(o, dst, tensor.Data[float64](in[0]))
	default:
		return viaFloat32(ctx, out, in, o.Run)
	}
	return nil
}

func classifyRun[T floating](o classify, dst []bool, x []T) {
	for i, v := range x {
		switch {
		case o.nan:
			dst[i] = v != v
		default:
			dst[i] = o.neg && math.IsInf(float64(v), -1) || o.pos && math.IsInf(float64(v), 1)
		}
	}
}

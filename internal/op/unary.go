package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// unary is an operator that computes each element from one element of its only input.
type unary struct {
	name  string
	types Types
	fn    *unaryFunc
	// Attributes; which of them an operator has is its constructor's affair.
	alpha, beta float32
}

// unaryFunc is the computation of a unary operator. f32 and f64 may be given dst == x.
type unaryFunc struct {
	act kernel.Act // the epilogue that does the same, if any
	f32 func(o *unary, dst, x []float32)
	f64 func(o *unary, x float64) float64
	// integer holds the operator for the integer types, if it is defined for them.
	integer intFunc
}

// intFunc names one of the few functions that are defined for integers.
type intFunc uint8

const (
	intNone intFunc = iota
	intAbs
	intNeg
	intSign
	intRelu
	intSame
)

// unaryGrain is how many elements a chunk has.
const unaryGrain = 32 << 10

type unaryTask struct {
	o      *unary
	dst, x []float32
}

// Do implements [parallel.Task].
func (t *unaryTask) Do(chunk, _ int) {
	lo := chunk * unaryGrain
	hi := min(lo+unaryGrain, len(t.dst))
	t.o.fn.f32(t.o, t.dst[lo:hi], t.x[lo:hi])
}

func (o *unary) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *unary) InPlace() []int { return []int{0} }

func (o *unary) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch x := in[0]; x.DType() {
	case tensor.Float32:
		t := StateOf[unaryTask](ctx)
		t.o, t.dst, t.x = o, out[0].Float32s(), x.Float32s()
		ctx.Pool.Run((len(t.dst)+unaryGrain-1)/unaryGrain, t)
		t.dst, t.x = nil, nil
	case tensor.Float64:
		dst := tensor.Data[float64](out[0])
		for i, v := range tensor.Data[float64](x) {
			dst[i] = o.fn.f64(o, v)
		}
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Int64:
		unaryInt(o.fn.integer, out[0].Int64s(), x.Int64s())
	case tensor.Uint64:
		unaryUint(o.fn.integer, tensor.Data[uint64](out[0]), tensor.Data[uint64](x))
	default:
		return viaInt64(ctx, out, in, o.Run)
	}
	return nil
}

func unaryInt(f intFunc, dst, x []int64) {
	for i, v := range x {
		switch f {
		case intAbs:
			if v < 0 {
				v = -v
			}
		case intNeg:
			v = -v
		case intRelu:
			v = max(v, 0)
		case intSign:
			switch {
			case v > 0:
				v = 1
			case v < 0:
				v = -1
			}
		}
		dst[i] = v
	}
}

func unaryUint(f intFunc, dst, x []uint64) {
	for i, v := range x {
		switch f {
		case intNeg:
			v = -v
		case intSign:
			v = min(v, 1)
		}
		dst[i] = v
	}
}

// newUnary returns the constructor of a unary operator. read, if not nil, reads the
// attributes.
//
//go:noinline
func newUnary(fn *unaryFunc, read func(o *unary, a *Attrs)) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &unary{name: a.OpType(), types: a.Types(), fn: fn}
		if a.Opset() < 6 {
			a.Ignore("consumed_inputs")
		}
		if read != nil {
			read(o, a)
		}
		return o, nil
	}
}

// readAlpha reads the attributes alpha and beta, with these defaults.
//
//go:noinline
func readAlpha(alpha float32) func(*unary, *Attrs) {
	return func(o *unary, a *Attrs) { o.alpha = a.Float("alpha", alpha) }
}

//go:noinline
func readAlphaBeta(alpha, beta float32) func(*unary, *Attrs) {
	return func(o *unary, a *Attrs) {
		o.alpha = a.Float("alpha", alpha)
		o.beta = a.Float("beta", beta)
	}
}

// plain makes a unaryFunc from a function of one float64.
//
//go:noinline
func plain(f func(float64) float64) *unaryFunc {
	return &unaryFunc{
		f32: func(_ *unary, dst, x []float32) {
			for i, v := range x {
				dst[i] = float32(f(float64(v)))
			}
		},
		f64: func(_ *unary, x float64) float64 { return f(x) },
	}
}

// vector is plain with a float32 kernel.
//
//go:noinline
func vector(kern func(dst, x []float32), f func(float64) float64) *unaryFunc {
	return &unaryFunc{
		f32: func(_ *unary, dst, x []float32) { kern(dst, x) },
		f64: func(_ *unary, x float64) float64 { return f(x) },
	}
}

// with sets the epilogue and the integer form.
func (f *unaryFunc) with(act kernel.Act, i intFunc) *unaryFunc {
	f.act, f.integer = act, i
	return f
}

func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

func softplus(x float64) float64 {
	// log(1+e^x) = max(x, 0) + log1p(e^-|x|), which neither overflows nor cancels.
	return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // zeros and NaN
}

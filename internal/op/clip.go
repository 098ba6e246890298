package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// clip is Clip. Its bounds are the optional inputs 1 and 2.
type clip struct{ types Types }

func newClip(a *Attrs) (Op, error) { return &clip{a.Types()}, nil }

func (o *clip) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	for i := 1; i < len(in); i++ {
		if !in[i].Present() {
			continue
		}
		// A bound that was an attribute is float32 whatever the type of the input.
		if in[i].DType != in[0].DType && !(in[i].DType == tensor.Float32 && in[0].DType.IsFloat()) {
			return nil, wantSame(in, 0, i)
		}
		if n, _ := in[i].Shape.Elems(); n != 1 || len(in[i].Shape) > 1 {
			return nil, fmt.Errorf("input %d: shape %v, want a scalar", i, in[i].Shape)
		}
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *clip) InPlace() []int { return []int{0} }

// clipTask is a run over float32 elements.
type clipTask struct {
	dst, x []float32
	lo, hi float32
}

// Do implements [parallel.Task].
func (t *clipTask) Do(chunk, _ int) {
	lo := chunk * binaryGrain
	hi := min(lo+binaryGrain, len(t.dst))
	kernel.ClipF32(t.dst[lo:hi], t.x[lo:hi], t.lo, t.hi)
}

func (o *clip) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
		t := StateOf[clipTask](ctx)
		inf := float32(math.Inf(1))
		*t = clipTask{out[0].Float32s(), in[0].Float32s(), -inf, inf}
		if b := given(in, 1); b != nil {
			t.lo = b.Float32s()[0]
		}
		if b := given(in, 2); b != nil {
			t.hi = b.Float32s()[0]
		}
		ctx.Pool.Run((len(t.dst)+binaryGrain-1)/binaryGrain, t)
		*t = clipTask{}
	case tensor.Float64:
		bounds := []*tensor.Tensor{in[0], nil, nil}
		for i := 1; i < len(in); i++ {
			if in[i] != nil {
				bounds[i] = tensor.Scalar(0.0)
				convert(bounds[i], in[i])
			}
		}
		clipRun[float64](out, bounds)
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		clipRun[int64](out, in)
	case tensor.Uint64:
		clipRun[uint64](out, in)
	}
	return nil
}

func clipRun[T number](out, in []*tensor.Tensor) {
	dst, x := tensor.Data[T](out[0]), tensor.Data[T](in[0])
	copy(dst, x)
	if b := given(in, 1); b != nil {
		lo := tensor.Data[T](b)[0]
		for i, v := range dst {
			if v < lo {
				dst[i] = lo
			}
		}
	}
	if b := given(in, 2); b != nil {
		hi := tensor.Data[T](b)[0]
		for i, v := range dst {
			if v > hi {
				dst[i] = hi
			}
		}
	}
}

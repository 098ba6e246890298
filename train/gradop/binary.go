package gradop

import (
	"math"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var binaryTable = map[string]constructor{
	"CastLike":      func(*op.Attrs) (op.Op, error) { return castLike{}, nil },
	"ClipGrad":      func(*op.Attrs) (op.Op, error) { return clipGrad{}, nil },
	"ExtremeGrad":   func(a *op.Attrs) (op.Op, error) { return &extremeGrad{a.Int("index", 0)}, nil },
	"PowDerivative": func(a *op.Attrs) (op.Op, error) { return &powDerivative{a.Int("side", 0)}, nil },
}

// castLike converts between float32 and float64: input 0 to the type of input 1.
type castLike struct{}

func (castLike) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0); err != nil {
		return nil, err
	}
	if err := want(in[1:], 1, 1, 0); err != nil {
		return nil, err
	}
	return []op.Fact{{DType: in[1].DType, Shape: in[0].Shape.Clone()}}, nil
}

func (castLike) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	switch {
	case out[0].DType() == in[0].DType():
		return out[0].CopyFrom(in[0])
	case out[0].DType() == tensor.Float64:
		for i, v := range in[0].Float32s() {
			tensor.Data[float64](out[0])[i] = float64(v)
		}
	default:
		for i, v := range tensor.Data[float64](in[0]) {
			out[0].Float32s()[i] = float32(v)
		}
	}
	return nil
}

// clipGrad is the gradient of Clip: inputs dy, x and the optional bounds, single elements.
// It is 0 where x was clipped, and passes at the bounds themselves.
type clipGrad struct{}

func (clipGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 4, 0, 1, 2, 3); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[0])}, nil
}

// InPlace implements [op.InPlacer].
func (clipGrad) InPlace() []int { return []int{0} }

func (clipGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		clipGradRun[float64](out, in)
	} else {
		clipGradRun[float32](out, in)
	}
	return nil
}

func clipGradRun[T floating](out, in []*tensor.Tensor) {
	lo, hi := T(math.Inf(-1)), T(math.Inf(1))
	if t := given(in, 2); t != nil {
		lo = elements[T](t)[0]
	}
	if t := given(in, 3); t != nil {
		hi = elements[T](t)[0]
	}
	dst, dy := elements[T](out[0]), elements[T](in[0])
	for i, x := range elements[T](in[1]) {
		g := dy[i]
		if x < lo || x > hi {
			g = 0
		}
		dst[i] = g
	}
}

// elements views a tensor of element type T.
func elements[T floating](t *tensor.Tensor) []T {
	var z T
	if _, ok := any(z).(float32); ok {
		return any(t.Float32s()).([]T)
	}
	return any(tensor.Data[float64](t)).([]T)
}

// walker walks over an output with operands that are broadcast to it.
type walker struct {
	shape tensor.Shape
	step  [][]int // by operand and axis
	idx   []int
	at    []int // by operand: where it stands
}

func newWalker(shape tensor.Shape, operands ...*tensor.Tensor) *walker {
	w := &walker{shape: shape, idx: make([]int, len(shape)), at: make([]int, len(operands))}
	for _, t := range operands {
		w.step = append(w.step, batchStrides(t.Shape(), shape))
	}
	return w
}

func (w *walker) next() {
	for a := len(w.shape) - 1; a >= 0; a-- {
		w.idx[a]++
		for k := range w.at {
			w.at[k] += w.step[k][a]
		}
		if w.idx[a] < w.shape[a] {
			return
		}
		for k := range w.at {
			w.at[k] -= w.step[k][a] * w.idx[a]
		}
		w.idx[a] = 0
	}
}

// extremeGrad is the gradient of Max and Min with regard to input index, before it is
// summed over broadcast axes: inputs dy, the result, and what was compared. The first
// input that equals the result has the gradient.
type extremeGrad struct{ index int }

func (o *extremeGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	idx := make([]int, len(in))
	for i := range idx {
		idx[i] = i
	}
	if err := want(in, 3, max(3, len(in)), idx...); err != nil {
		return nil, err
	}
	if o.index < 0 || o.index >= len(in)-2 || !in[0].Shape.Equal(in[1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[0])}, nil
}

func (o *extremeGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		extremeGradRun[float64](o.index, out[0], in)
	} else {
		extremeGradRun[float32](o.index, out[0], in)
	}
	return nil
}

func extremeGradRun[T floating](index int, out *tensor.Tensor, in []*tensor.Tensor) {
	w := newWalker(out.Shape(), in[2:]...)
	dst, dy := elements[T](out), elements[T](in[0])
	var xs [][]T
	for _, t := range in[2:] {
		xs = append(xs, elements[T](t))
	}
	for i, y := range elements[T](in[1]) {
		dst[i] = 0
		for k, x := range xs[:index+1] {
			if x[w.at[k]] == y {
				if k == index {
					dst[i] = dy[i]
				}
				break
			}
		}
		w.next()
	}
}

// powDerivative is ∂(xᵇ)/∂x = b·x^(b-1) on side 0 and ∂(xᵇ)/∂b = xᵇ·log x, or 0 where x is
// not positive, on side 1.
type powDerivative struct{ side int }

func (o *powDerivative) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	s, err := tensor.Broadcast(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	return []op.Fact{{DType: in[0].DType, Shape: s}}, nil
}

func (o *powDerivative) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		powRun[float64](o.side, out[0], in)
	} else {
		powRun[float32](o.side, out[0], in)
	}
	return nil
}

func powRun[T floating](side int, out *tensor.Tensor, in []*tensor.Tensor) {
	w := newWalker(out.Shape(), in...)
	x, b := elements[T](in[0]), elements[T](in[1])
	dst := elements[T](out)
	for i := range dst {
		v, e := float64(x[w.at[0]]), float64(b[w.at[1]])
		switch {
		case side == 0:
			v = e * math.Pow(v, e-1)
		case v > 0:
			v = math.Pow(v, e) * math.Log(v)
		default:
			v = 0
		}
		dst[i] = T(v)
		w.next()
	}
}

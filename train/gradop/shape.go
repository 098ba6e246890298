package gradop

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var shapeTable = map[string]constructor{
	"FillLike":           newFillLike,
	"Scale":              newScale,
	"ReshapeLike":        func(*op.Attrs) (op.Op, error) { return reshapeLike{}, nil },
	"ConcatGrad":         newConcatGrad,
	"SplitGrad":          newSplitGrad,
	"SliceGrad":          func(*op.Attrs) (op.Op, error) { return sliceGrad{}, nil },
	"GatherGrad":         func(a *op.Attrs) (op.Op, error) { return gatherGrad{axis: a.Int("axis", 0)}, nil },
	"GatherElementsGrad": func(a *op.Attrs) (op.Op, error) { return gatherElementsGrad{axis: a.Int("axis", 0)}, nil },
	"TileGrad":           func(*op.Attrs) (op.Op, error) { return tileGrad{}, nil },
}

// fillLike gives a tensor of its input's type and shape whose elements are alpha.
type fillLike struct{ alpha float64 }

func newFillLike(a *op.Attrs) (op.Op, error) {
	a.Require("alpha")
	return fillLike{float64(a.Float("alpha", 0))}, nil
}

func (o fillLike) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 1, 1, 0); err != nil {
		return nil, err
	}
	return []op.Fact{like(in[0])}, nil
}

func (o fillLike) Run(_ *op.Context, out, _ []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		fill(tensor.Data[float64](out[0]), o.alpha)
	} else {
		fill(out[0].Float32s(), float32(o.alpha))
	}
	return nil
}

func fill[T floating](x []T, v T) {
	for i := range x {
		x[i] = v
	}
}

// scale multiplies its input by the attribute alpha.
type scale struct{ alpha float64 }

func newScale(a *op.Attrs) (op.Op, error) {
	a.Require("alpha")
	return &scale{alpha: float64(a.Float("alpha", 1))}, nil
}

func (o *scale) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 1, 1, 0); err != nil {
		return nil, err
	}
	return []op.Fact{like(in[0])}, nil
}

// InPlace implements [op.InPlacer].
func (o *scale) InPlace() []int { return []int{0} }

func (o *scale) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float32 {
		kernel.MulScalarF32(out[0].Float32s(), in[0].Float32s(), float32(o.alpha))
		return nil
	}
	x := tensor.Data[float64](in[0])
	for i, v := range x {
		tensor.Data[float64](out[0])[i] = v * o.alpha
	}
	return nil
}

// reshapeLike gives input 0 the shape of input 1, which has as many elements.
type reshapeLike struct{}

func (reshapeLike) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0); err != nil {
		return nil, err
	}
	if product(in[0].Shape) != product(in[1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{{DType: in[0].DType, Shape: in[1].Shape.Clone()}}, nil
}

// View implements [op.Viewer].
func (reshapeLike) View() int { return 0 }

func (reshapeLike) Run(_ *op.Context, out, in []*tensor.Tensor) error { return out[0].CopyFrom(in[0]) }

// concatGrad cuts the gradient of a concatenation: the inputs are the gradient and what
// was concatenated; output i is the part that belongs to input i+1.
type concatGrad struct{ axis, outs int }

func newConcatGrad(a *op.Attrs) (op.Op, error) {
	return concatGrad{a.Int("axis", 1), a.NumOutputs()}, nil
}

func (o concatGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if len(in) != o.outs+1 {
		return nil, fmt.Errorf("%d inputs for %d outputs", len(in), o.outs)
	}
	if err := want(in, 1, len(in), 0); err != nil {
		return nil, err
	}
	axis, err := tensor.Axis(o.axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	total := 0
	out := make([]op.Fact, o.outs)
	for i, f := range in[1:] {
		out[i] = like(f)
		if len(f.Shape) != len(in[0].Shape) {
			return nil, errShapes
		}
		total += f.Shape[axis]
	}
	if total != in[0].Shape[axis] {
		return nil, errShapes
	}
	return out, nil
}

func (o concatGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	axis, _ := tensor.Axis(o.axis, in[0].Rank())
	src := in[0].Bytes()
	outer := product(in[0].Shape()[:axis])
	if len(src) == 0 || outer == 0 {
		return nil
	}
	row, at := len(src)/outer, 0
	for i, t := range in[1:] {
		n := len(t.Bytes()) / outer
		if out[i] != nil {
			copyRows(out[i].Bytes(), n, src[at:], row, n, outer)
		}
		at += n
	}
	return nil
}

// copyRows copies n bytes in each of rows rows, of dstStep and srcStep bytes.
func copyRows(dst []byte, dstStep int, src []byte, srcStep, n, rows int) {
	for i := range rows {
		copy(dst[i*dstStep:i*dstStep+n], src[i*srcStep:i*srcStep+n])
	}
}

// splitGrad joins the gradients of the parts of a split along an axis. Input 0 is what was
// split, the others are the gradients in order.
type splitGrad struct{ axis int }

func newSplitGrad(a *op.Attrs) (op.Op, error) { return splitGrad{a.Int("axis", 0)}, nil }

func (o splitGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if len(in) < 2 {
		return nil, fmt.Errorf("%d inputs, want at least 2", len(in))
	}
	idx := make([]int, len(in))
	for i := range idx {
		idx[i] = i
	}
	if err := want(in, len(in), len(in), idx...); err != nil {
		return nil, err
	}
	axis, err := tensor.Axis(o.axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	total := 0
	for _, f := range in[1:] {
		if len(f.Shape) != len(in[0].Shape) {
			return nil, errShapes
		}
		total += f.Shape[axis]
	}
	if total != in[0].Shape[axis] {
		return nil, errShapes
	}
	return []op.Fact{like(in[0])}, nil
}

func (o splitGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	axis, _ := tensor.Axis(o.axis, out[0].Rank())
	dst := out[0].Bytes()
	outer := product(out[0].Shape()[:axis])
	if len(dst) == 0 || outer == 0 {
		return nil
	}
	row, at := len(dst)/outer, 0
	for _, t := range in[1:] {
		n := len(t.Bytes()) / outer
		copyRows(dst[at:], row, t.Bytes(), n, n, outer)
		at += n
	}
	return nil
}

// intsOf returns the elements of an integer tensor.
func intsOf(t *tensor.Tensor) ([]int, error) {
	var out []int
	switch t.DType() {
	case tensor.Int64:
		for _, v := range t.Int64s() {
			out = append(out, int(max(min(v, 1<<30), -1<<30)))
		}
	case tensor.Int32:
		for _, v := range tensor.Data[int32](t) {
			out = append(out, int(v))
		}
	default:
		return nil, fmt.Errorf("type %v, want an integer type", t.DType())
	}
	return out, nil
}

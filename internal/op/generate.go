package op

import (
	"errors"
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// rangeOp is Range.
type rangeOp struct{ types Types }

func newRange(a *Attrs) (Op, error) { return rangeOp{a.Types()}, nil }

func (o rangeOp) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1, 2); err != nil {
		return nil, err
	}
	for i, f := range in {
		if n, _ := f.Shape.Elems(); n != 1 || len(f.Shape) > 1 {
			return nil, fmt.Errorf("input %d: shape %v, want a scalar", i, f.Shape)
		}
	}
	for _, f := range in {
		if f.Const == nil {
			return nil, ErrDeferred
		}
	}
	n, err := rangeLen(in)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, tensor.Shape{n})
}

// rangeLen returns max(ceil((limit-start)/delta), 0).
func rangeLen(in []Fact) (int, error) {
	if in[0].DType.IsInteger() {
		var v [3]int64
		for i, f := range in {
			t := tensor.Scalar(int64(0))
			convert(t, f.Const)
			v[i] = t.Int64s()[0]
		}
		start, limit, delta := v[0], v[1], v[2]
		if delta == 0 {
			return 0, errors.New("the step is 0")
		}
		// The distance may exceed an int64, but not a uint64.
		var dist, step uint64
		switch {
		case delta > 0 && limit > start:
			dist, step = uint64(limit)-uint64(start), uint64(delta)
		case delta < 0 && limit < start:
			dist, step = uint64(start)-uint64(limit), -uint64(delta)
		default:
			return 0, nil
		}
		n := (dist-1)/step + 1
		if n > math.MaxInt {
			return 0, tooLargef("range from %d to %d is too long", start, limit)
		}
		return int(n), nil
	}
	var v [3]float64
	for i, f := range in {
		t := tensor.Scalar(float64(0))
		convert(t, f.Const)
		v[i] = tensor.Data[float64](t)[0]
	}
	n := math.Ceil((v[1] - v[0]) / v[2])
	switch {
	case v[2] == 0 || n != n:
		return 0, fmt.Errorf("range from %g to %g in steps of %g is not defined", v[0], v[1], v[2])
	case n <= 0:
		return 0, nil
	case n >= math.MaxInt32:
		return 0, tooLargef("range from %g to %g in steps of %g is too long", v[0], v[1], v[2])
	}
	return int(n), nil
}

func (o rangeOp) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch out[0].DType() {
	case tensor.Float32:
		rangeRun[float32](out, in)
	case tensor.Float64:
		rangeRun[float64](out, in)
	case tensor.Int16:
		rangeRun[int16](out, in)
	case tensor.Int32:
		rangeRun[int32](out, in)
	case tensor.Int64:
		rangeRun[int64](out, in)
	default:
		return viaFloat32(ctx, out, in, o.Run)
	}
	return nil
}

func rangeRun[T number](out, in []*tensor.Tensor) {
	start, delta := tensor.Data[T](in[0])[0], tensor.Data[T](in[2])[0]
	dst := tensor.Data[T](out[0])
	for i := range dst {
		dst[i] = start + T(T(i)*delta)
	}
}

// eyeLike is EyeLike.
type eyeLike struct {
	types Types
	dtype tensor.DType // Undefined: that of the input
	k     int
}

func newEyeLike(a *Attrs) (Op, error) {
	return eyeLike{a.Types(), a.DType("dtype", tensor.Undefined), clampInt(a.Int64("k", 0))}, nil
}

func (o eyeLike) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 2 {
		return nil, fmt.Errorf("shape %v is not that of a matrix", in[0].Shape)
	}
	d := o.dtype
	if d == tensor.Undefined {
		d = in[0].DType
	}
	if !typesAll.Has(d) {
		return nil, fmt.Errorf("type %v is not supported", d)
	}
	return []Fact{{DType: d, Shape: in[0].Shape}}, nil
}

func (o eyeLike) Run(_ *Context, out, _ []*tensor.Tensor) error {
	s := out[0].Shape()
	clear(out[0].Bytes())
	if o.k <= -s[0] || o.k >= s[1] {
		return nil
	}
	for r := range s[0] {
		if c := r + o.k; c >= 0 && c < s[1] {
			one := [1]int64{1}
			fromInt(out[0], r*s[1]+c, one[:])
		}
	}
	return nil
}

// oneHot is OneHot: inputs indices, depth, values.
type oneHot struct {
	types Types
	axis  int
}

func newOneHot(a *Attrs) (Op, error) { return oneHot{a.Types(), a.Int("axis", -1)}, nil }

func (o oneHot) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesNum); err != nil {
		return nil, err
	}
	if err := wantType(in, 2, typesAll); err != nil {
		return nil, err
	}
	if n, _ := in[1].Shape.Elems(); n != 1 || len(in[1].Shape) > 1 {
		return nil, fmt.Errorf("depth has shape %v, want a scalar", in[1].Shape)
	}
	if !in[2].Shape.Equal(tensor.Shape{2}) {
		return nil, fmt.Errorf("values have shape %v, want [2]", in[2].Shape)
	}
	s := in[0].Shape
	axis, err := tensor.Axis(o.axis, len(s)+1)
	if err != nil {
		return nil, err
	}
	if in[1].Const == nil {
		return nil, ErrDeferred
	}
	t := tensor.Scalar(int64(0))
	convert(t, in[1].Const)
	depth, err := toInt(t.Int64s()[0])
	if err != nil {
		return nil, fmt.Errorf("depth: %w", err)
	}
	if depth < 0 {
		return nil, fmt.Errorf("depth %d is negative", depth)
	}
	out := append(tensor.Shape{}, s[:axis]...)
	out = append(out, depth)
	out = append(out, s[axis:]...)
	return outFact(in[2].DType, out)
}

func (o oneHot) Run(_ *Context, out, in []*tensor.Tensor) error {
	s := out[0].Shape()
	axis, _ := tensor.Axis(o.axis, len(s))
	depth, inner := s[axis], product(s[axis+1:])
	dst, vals := out[0].Bytes(), in[2].Bytes()
	size := len(vals) / 2
	fill(dst, vals[:size])
	var buf [256]int64
	for lo, n := 0, in[0].Elems(); lo < n; lo += len(buf) {
		idx := buf[:min(len(buf), n-lo)]
		integersOf(idx, in[0], lo)
		for j, k := range idx {
			// Indices outside [-depth, depth-1] leave their row without a hot element.
			if k < 0 {
				k += int64(depth)
			}
			if k < 0 || k >= int64(depth) {
				continue
			}
			i := lo + j
			at := (i/inner*depth+int(k))*inner + i%inner
			copy(dst[at*size:], vals[size:])
		}
	}
	return nil
}

// trilu is Trilu. The diagonal is the optional input 1.
type trilu struct {
	types Types
	upper bool
}

func newTrilu(a *Attrs) (Op, error) { return trilu{a.Types(), a.Bool("upper", true)}, nil }

func (o trilu) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if len(in[0].Shape) < 2 {
		return nil, fmt.Errorf("shape %v is not that of matrices", in[0].Shape)
	}
	if present(in, 1) {
		if err := wantType(in, 1, typesOf(tensor.Int64)); err != nil {
			return nil, err
		}
		if n, _ := in[1].Shape.Elems(); n != 1 {
			return nil, fmt.Errorf("k has shape %v, want a scalar", in[1].Shape)
		}
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (trilu) InPlace() []int { return []int{0} }

func (o trilu) Run(_ *Context, out, in []*tensor.Tensor) error {
	s := in[0].Shape()
	rows, cols := s[len(s)-2], s[len(s)-1]
	k := int64(0)
	if t := given(in, 1); t != nil {
		k = t.Int64s()[0]
	}
	k = min(max(k, -int64(rows)-1), int64(cols)+1)
	dst := out[0].Bytes()
	copy(dst, in[0].Bytes())
	size := in[0].DType().Size()
	for m := 0; len(dst) > 0; m++ {
		r := m % rows
		// Columns below edge are left of the diagonal, those from edge on are on it or right.
		edge := int(min(max(int64(r)+k, 0), int64(cols)))
		row := dst[:cols*size]
		if o.upper {
			clear(row[:edge*size])
		} else {
			edge = int(min(max(int64(r)+k+1, 0), int64(cols)))
			clear(row[edge*size:])
		}
		dst = dst[cols*size:]
	}
	return nil
}

package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// view is the part that operators share whose output 0 has the bytes of input 0.
type view struct{ types Types }

// View implements [Viewer].
func (view) View() int { return 0 }

// Run copies the bytes. Planners that know Viewer do not call it.
func (view) Run(_ *Context, out, in []*tensor.Tensor) error {
	copy(out[0].Bytes(), in[0].Bytes())
	return nil
}

// fact returns the fact of input 0 under another shape of as many elements.
func (view) fact(in Fact, shape tensor.Shape) ([]Fact, error) {
	n, ok := shape.Elems()
	if m, _ := in.Shape.Elems(); !ok || n != m {
		return nil, fmt.Errorf("%v does not reshape to %v", in, shape)
	}
	f := Fact{DType: in.DType, Shape: shape}
	if in.Const != nil {
		t, err := in.Const.Reshape(shape...)
		if err != nil {
			return nil, err
		}
		f.Const = t
	}
	return []Fact{f}, nil
}

type identity struct{ view }

func newIdentity(a *Attrs) (Op, error) { return identity{view{a.Types()}}, nil }

func (o identity) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	return o.fact(in[0], in[0].Shape)
}

// InPlace implements [InPlacer].
func (identity) InPlace() []int { return []int{0} }

type reshape struct {
	view
	allowZero bool
}

func newReshape(a *Attrs) (Op, error) {
	return reshape{view{a.Types()}, a.Bool("allowzero", false)}, nil
}

func (o reshape) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	target, err := constInts(in, 1)
	if err != nil {
		return nil, err
	}
	src := in[0].Shape
	shape := make(tensor.Shape, len(target))
	free, hasZero := -1, false
	for i, v := range target {
		switch d, err := toInt(v); {
		case err != nil:
			return nil, fmt.Errorf("target shape %v: %w", target, err)
		case d == -1:
			if free >= 0 {
				return nil, fmt.Errorf("target shape %v has more than one -1", target)
			}
			free = i
			shape[i] = 1
		case d < -1:
			return nil, fmt.Errorf("target shape %v has a negative extent", target)
		case d == 0 && !o.allowZero:
			if i >= len(src) {
				return nil, fmt.Errorf("target shape %v copies axis %d, which shape %v does not have", target, i, src)
			}
			shape[i] = src[i]
		default:
			hasZero = hasZero || d == 0
			shape[i] = d
		}
	}
	if free >= 0 {
		if hasZero {
			return nil, fmt.Errorf("target shape %v has both 0 and -1 while allowzero is set", target)
		}
		known, ok := shape.Elems()
		total, _ := src.Elems()
		switch {
		case !ok || known != 0 && total%known != 0 || known == 0 && total != 0:
			return nil, fmt.Errorf("shape %v does not reshape to %v", src, target)
		case known != 0:
			shape[free] = total / known
		default:
			shape[free] = freeExtent(src, shape, free)
		}
	}
	return o.fact(in[0], shape)
}

// freeExtent resolves -1 where other extents are 0: it is the ratio of the extents that are
// not zero if they have one, and else 0.
func freeExtent(src, shape tensor.Shape, free int) int {
	nonZero := func(s tensor.Shape, skip int) int {
		n := 1
		for i, d := range s {
			if d != 0 && i != skip {
				if n > (1<<31-1)/d {
					return 0
				}
				n *= d
			}
		}
		return n
	}
	a, b := nonZero(src, -1), nonZero(shape, free)
	if b == 0 || a%b != 0 {
		return 0
	}
	return a / b
}

type flatten struct {
	view
	axis int
}

func newFlatten(a *Attrs) (Op, error) { return flatten{view{a.Types()}, a.Int("axis", 1)}, nil }

func (o flatten) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	axis := o.axis
	if axis < 0 {
		axis += len(s)
	}
	if axis < 0 || axis > len(s) {
		return nil, fmt.Errorf("axis %d out of range for rank %d", o.axis, len(s))
	}
	rows, ok := s[:axis].Elems()
	cols, ok2 := s[axis:].Elems()
	if !ok || !ok2 {
		return nil, fmt.Errorf("shape %v does not flatten at axis %d", s, o.axis)
	}
	return o.fact(in[0], tensor.Shape{rows, cols})
}

type squeeze struct{ view }

func newSqueeze(a *Attrs) (Op, error) { return squeeze{view{a.Types()}}, nil }

func (o squeeze) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	out := tensor.Shape{}
	if !present(in, 1) {
		for _, d := range s {
			if d != 1 {
				out = append(out, d)
			}
		}
		return o.fact(in[0], out)
	}
	axes, err := constInts(in, 1)
	if err != nil {
		return nil, err
	}
	drop, err := axesOf(axes, len(s))
	if err != nil {
		return nil, err
	}
	for i, d := range s {
		switch {
		case !drop[i]:
			out = append(out, d)
		case d != 1:
			return nil, fmt.Errorf("axis %d of shape %v is not 1", i, s)
		}
	}
	return o.fact(in[0], out)
}

type unsqueeze struct{ view }

func newUnsqueeze(a *Attrs) (Op, error) { return unsqueeze{view{a.Types()}}, nil }

func (o unsqueeze) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	axes, err := constInts(in, 1)
	if err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(axes) > maxRank-len(s) {
		return nil, fmt.Errorf("output rank %d is too large", len(axes)+len(s))
	}
	add, err := axesOf(axes, len(s)+len(axes))
	if err != nil {
		return nil, err
	}
	out := make(tensor.Shape, len(add))
	for i := range out {
		if add[i] {
			out[i] = 1
		} else {
			out[i], s = s[0], s[1:]
		}
	}
	return o.fact(in[0], out)
}

// maxRank bounds the rank of outputs whose rank is the length of an input, so that a
// hostile length does not become an allocation.
const maxRank = 64

package op

import (
	"errors"

	"github.com/aekit/aekit/tensor"
)

// constant is Constant.
type constant struct{ value *tensor.Tensor }

func newConstant(a *Attrs) (Op, error) {
	var v *tensor.Tensor
	n := 0
	set := func(name string, t *tensor.Tensor, err error) {
		n++
		v = t
		if err != nil {
			a.Fail("attribute %q: %v", name, err)
		}
	}
	if a.Has("value") {
		set("value", a.Tensor("value"), nil)
	}
	if a.Has("value_float") {
		set("value_float", tensor.Scalar(a.Float("value_float", 0)), nil)
	}
	if a.Has("value_int") {
		set("value_int", tensor.Scalar(a.Int64("value_int", 0)), nil)
	}
	if a.Has("value_floats") {
		f := a.Floats("value_floats")
		t, err := tensor.Of(f, len(f))
		set("value_floats", t, err)
	}
	if a.Has("value_ints") {
		i := a.Int64s("value_ints")
		t, err := tensor.Of(i, len(i))
		set("value_ints", t, err)
	}
	for _, name := range []string{"sparse_value", "value_string", "value_strings"} {
		if a.Has(name) {
			n++
			a.Fail("attribute %q is not supported", name)
		}
	}
	if n != 1 {
		a.Fail("%d of the attributes that give the value are present, want 1", n)
	}
	return &constant{v}, nil
}

func (o *constant) Infer(in []Fact) ([]Fact, error) {
	if len(in) != 0 {
		return nil, errors.New("a constant has no inputs")
	}
	return []Fact{FactOf(o.value)}, nil
}

func (o *constant) Run(_ *Context, out, _ []*tensor.Tensor) error {
	return out[0].CopyFrom(o.value)
}

// constantOfShape is ConstantOfShape.
type constantOfShape struct{ value *tensor.Tensor }

func newConstantOfShape(a *Attrs) (Op, error) {
	v := tensor.Scalar(float32(0))
	if a.Has("value") {
		if v = a.Tensor("value"); v != nil && v.Elems() != 1 {
			a.Fail("attribute \"value\" has %d elements, want 1", v.Elems())
		}
	}
	return &constantOfShape{v}, nil
}

func (o *constantOfShape) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	s, err := constShape(in, 0)
	if err != nil {
		return nil, err
	}
	return outFact(o.value.DType(), s)
}

func (o *constantOfShape) Run(_ *Context, out, _ []*tensor.Tensor) error {
	fill(out[0].Bytes(), o.value.Bytes())
	return nil
}

// fill repeats pattern over dst, whose length is a multiple of the pattern's.
func fill(dst, pattern []byte) {
	if len(dst) == 0 {
		return
	}
	n := copy(dst, pattern)
	for n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}

// shapeOp is Shape and Size.
type shapeOp struct {
	types      Types
	size       bool
	start, end int
	hasEnd     bool
}

func newShape(a *Attrs) (Op, error) {
	return &shapeOp{types: a.Types(), start: clampInt(a.Int64("start", 0)), end: clampInt(a.Int64("end", 0)), hasEnd: a.Has("end")}, nil
}

func newSize(a *Attrs) (Op, error) { return &shapeOp{types: a.Types(), size: true}, nil }

func (o *shapeOp) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if o.size {
		n, ok := s.Elems()
		if !ok {
			return nil, tooLargef("shape %v has too many elements", s)
		}
		return []Fact{FactOf(tensor.Scalar(int64(n)))}, nil
	}
	clamp := func(v int) int {
		if v < 0 {
			v += len(s)
		}
		return min(max(v, 0), len(s))
	}
	lo, hi := clamp(o.start), len(s)
	if o.hasEnd {
		hi = clamp(o.end)
	}
	hi = max(lo, hi)
	v := make([]int64, hi-lo)
	for i, d := range s[lo:hi] {
		v[i] = int64(d)
	}
	t, err := tensor.Of(v, len(v))
	if err != nil {
		return nil, err
	}
	return []Fact{FactOf(t)}, nil
}

func (o *shapeOp) Run(_ *Context, out, in []*tensor.Tensor) error {
	f, err := o.Infer([]Fact{{DType: in[0].DType(), Shape: in[0].Shape()}})
	if err != nil {
		return err
	}
	return out[0].CopyFrom(f[0].Const)
}

package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

type concat struct {
	types Types
	axis  int
}

func newConcat(a *Attrs) (Op, error) {
	if a.Opset() >= 4 {
		a.Require("axis")
	}
	return concat{a.Types(), a.Int("axis", 1)}, nil
}

func (o concat) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, -1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	axis, err := tensor.Axis(o.axis, len(s))
	if err != nil {
		return nil, err
	}
	out := s.Clone()
	for i, f := range in[1:] {
		if f.DType != in[0].DType || len(f.Shape) != len(s) {
			return nil, fmt.Errorf("inputs 0 and %d do not concatenate: %v and %v", i+1, in[0], f)
		}
		for k, d := range f.Shape {
			if k != axis && d != s[k] {
				return nil, fmt.Errorf("inputs 0 and %d do not concatenate along axis %d: %v and %v", i+1, axis, in[0], f)
			}
		}
		out[axis] += f.Shape[axis]
		if out[axis] < 0 {
			return nil, tooLargef("the concatenation along axis %d is too long", axis)
		}
	}
	return outFact(in[0].DType, out)
}

func (o concat) Run(_ *Context, out, in []*tensor.Tensor) error {
	dst := out[0].Bytes()
	if len(dst) == 0 {
		return nil
	}
	axis, _ := tensor.Axis(o.axis, out[0].Rank())
	outer := product(out[0].Shape()[:axis])
	row := len(dst) / outer
	at := 0
	for _, t := range in {
		src := t.Bytes()
		n := len(src) / outer
		copyRows(dst[at:], row, src, n, n, outer)
		at += n
	}
	return nil
}

// copyRows copies n bytes in each of rows rows, of dstStep and srcStep bytes.
func copyRows(dst []byte, dstStep int, src []byte, srcStep, n, rows int) {
	if n == 0 {
		return
	}
	if n == 4 {
		for i := range rows {
			copy(dst[i*dstStep:i*dstStep+4], src[i*srcStep:i*srcStep+4])
		}
		return
	}
	if Complete && n < shortRow {
		kernel.CopyRowsU8(dst, dstStep, src, srcStep, rows, n, 0)
		return
	}
	for i := range rows {
		copy(dst[i*dstStep:], src[i*srcStep:i*srcStep+n])
	}
}

// shortRow is the length up to which rows are copied in one call for all.
const shortRow = 512

type split struct {
	types  Types
	axis   int
	number int // outputs that share the axis evenly, where no lengths are given
	byNum  bool
}

func newSplit(a *Attrs) (Op, error) {
	o := split{types: a.Types(), axis: a.Int("axis", 0), number: a.NumOutputs()}
	if a.Opset() >= 18 {
		o.byNum = a.Has("num_outputs")
		if n := a.Int("num_outputs", a.NumOutputs()); n != a.NumOutputs() || n < 1 {
			a.Fail("attribute \"num_outputs\" is %d, the node has %d outputs", n, a.NumOutputs())
		}
		if o.byNum == (a.NumInputs() > 1) {
			a.Fail("exactly one of input \"split\" and attribute \"num_outputs\" has to be given")
		}
	}
	return o, nil
}

func (o split) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	axis, err := tensor.Axis(o.axis, len(s))
	if err != nil {
		return nil, err
	}
	out := make([]Fact, o.number)
	total := s[axis]
	var sizes []int64
	if present(in, 1) {
		if sizes, err = constInts(in, 1); err != nil {
			return nil, err
		}
		if len(sizes) != o.number {
			return nil, fmt.Errorf("%d lengths for %d outputs", len(sizes), o.number)
		}
	} else if !o.byNum && o.number > 0 && total%o.number != 0 {
		return nil, fmt.Errorf("axis %d of shape %v does not split into %d equal parts", axis, s, o.number)
	}
	left := total
	for i := range out {
		n := min(ceilDiv(total, o.number), left)
		if sizes != nil {
			if sizes[i] < 0 || sizes[i] > int64(left) {
				return nil, fmt.Errorf("lengths %v do not add up to %d", sizes, total)
			}
			n = int(sizes[i])
		}
		left -= n
		shape := s.Clone()
		shape[axis] = n
		out[i] = Fact{DType: in[0].DType, Shape: shape}
	}
	if left != 0 {
		return nil, fmt.Errorf("lengths %v do not add up to %d", sizes, total)
	}
	return out, nil
}

func (o split) Run(_ *Context, out, in []*tensor.Tensor) error {
	src := in[0].Bytes()
	if len(src) == 0 {
		return nil
	}
	s := in[0].Shape()
	axis, _ := tensor.Axis(o.axis, len(s))
	outer := product(s[:axis])
	row := len(src) / outer
	unit := row / s[axis]
	at := 0
	var sizes []int64
	if t := given(in, 1); t != nil {
		sizes = intsOf(t)
	}
	left := s[axis]
	for i, t := range out {
		n := min(ceilDiv(s[axis], o.number), left)
		if sizes != nil {
			n = int(sizes[i])
		}
		left -= n
		n *= unit
		if t != nil {
			copyRows(t.Bytes(), n, src[at:], row, n, outer)
		}
		at += n
	}
	return nil
}

// ceilDiv returns the quotient of a and b > 0, rounded up.
func ceilDiv(a, b int) int {
	q := a / b
	if a%b > 0 {
		q++
	}
	return q
}

package op

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/aekit/aekit/tensor"
)

// nonZero is NonZero.
type nonZero struct{ types Types }

func newNonZero(a *Attrs) (Op, error) { return nonZero{a.Types()}, nil }

func (o nonZero) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if in[0].Const == nil {
		return nil, ErrDeferred
	}
	_, n, err := nonZeros(in[0].Const)
	if err != nil {
		return nil, err
	}
	return []Fact{{DType: tensor.Int64, Shape: tensor.Shape{len(in[0].Shape), n}}}, nil
}

// nonZeros says which elements are not zero, and how many.
func nonZeros(t *tensor.Tensor) ([]bool, int, error) {
	f, err := tensor.New(tensor.Bool, t.Elems())
	if err != nil {
		return nil, 0, err
	}
	convert(f, t)
	flags := tensor.Data[bool](f)
	n := 0
	for _, v := range flags {
		if v {
			n++
		}
	}
	return flags, n, nil
}

// RunAlloc implements [Allocator].
func (o nonZero) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	_, n, err := nonZeros(in[0])
	if err != nil {
		return nil, err
	}
	out, err := ctx.New(tensor.Int64, tensor.Shape{in[0].Rank(), n})
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{out}, o.Run(ctx, []*tensor.Tensor{out}, in)
}

func (o nonZero) Run(_ *Context, out, in []*tensor.Tensor) error {
	flags, n, err := nonZeros(in[0])
	if err != nil {
		return err
	}
	s := in[0].Shape()
	dst := out[0].Int64s()
	col := 0
	for i, v := range flags {
		if !v {
			continue
		}
		for a := len(s) - 1; a >= 0; a-- {
			dst[a*n+col] = int64(i % s[a])
			i /= s[a]
		}
		col++
	}
	return nil
}

// compress is Compress.
type compress struct {
	types   Types
	axis    int
	flatten bool
}

func newCompress(a *Attrs) (Op, error) {
	return compress{a.Types(), a.Int("axis", 0), !a.Has("axis")}, nil
}

// parts returns the extents before, along and after the axis.
func (o compress) parts(s tensor.Shape) (outer, n, inner int) {
	if o.flatten {
		return 1, product(s), 1
	}
	axis, _ := tensor.Axis(o.axis, len(s))
	return product(s[:axis]), s[axis], product(s[axis+1:])
}

// shape returns the output's shape, and checks the inputs.
func (o compress) shape(s tensor.Shape, cond []bool) (tensor.Shape, error) {
	_, n, _ := o.parts(s)
	count := 0
	for i, v := range cond {
		if v {
			if i >= n {
				return nil, fmt.Errorf("the condition selects element %d of %d", i, n)
			}
			count++
		}
	}
	if o.flatten {
		return tensor.Shape{count}, nil
	}
	out := s.Clone()
	axis, _ := tensor.Axis(o.axis, len(s))
	out[axis] = count
	return out, nil
}

func (o compress) check(in []Fact) error {
	if err := arity(in, 2, 2); err != nil {
		return err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return err
	}
	if err := wantType(in, 1, typesBool); err != nil {
		return err
	}
	if len(in[1].Shape) != 1 {
		return fmt.Errorf("the condition has shape %v, want rank 1", in[1].Shape)
	}
	if _, ok := in[0].Shape.Elems(); !ok {
		return tooLargef("shape %v has too many elements", in[0].Shape)
	}
	if !o.flatten {
		if _, err := tensor.Axis(o.axis, len(in[0].Shape)); err != nil {
			return err
		}
	}
	return nil
}

func (o compress) Infer(in []Fact) ([]Fact, error) {
	if err := o.check(in); err != nil {
		return nil, err
	}
	if in[1].Const == nil {
		return nil, ErrDeferred
	}
	s, err := o.shape(in[0].Shape, tensor.Data[bool](in[1].Const))
	if err != nil {
		return nil, err
	}
	return []Fact{{DType: in[0].DType, Shape: s}}, nil
}

func (o compress) Run(_ *Context, out, in []*tensor.Tensor) error {
	outer, n, inner := o.parts(in[0].Shape())
	w := inner * in[0].DType().Size()
	dst, src := out[0].Bytes(), in[0].Bytes()
	for i := range outer {
		for k, v := range tensor.Data[bool](in[1]) {
			if v && k < n {
				copy(dst[:w], src[(i*n+k)*w:])
				dst = dst[w:]
			}
		}
	}
	return nil
}

// unique is Unique. Its outputs are the values, the index of each one's first occurrence,
// the inverse indices and the counts.
type unique struct {
	types   Types
	axis    int
	flatten bool
	sorted  bool
}

func newUnique(a *Attrs) (Op, error) {
	return &unique{a.Types(), a.Int("axis", 0), !a.Has("axis"), a.Bool("sorted", true)}, nil
}

func (o *unique) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if !o.flatten {
		if _, err := tensor.Axis(o.axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
	}
	if in[0].Const == nil {
		return nil, ErrDeferred
	}
	out, err := o.RunAlloc(&Context{}, []*tensor.Tensor{in[0].Const})
	if err != nil {
		return nil, err
	}
	facts := make([]Fact, len(out))
	for i, t := range out {
		facts[i] = FactOf(t)
	}
	return facts, nil
}

func (o *unique) Run(ctx *Context, out, in []*tensor.Tensor) error {
	got, err := o.RunAlloc(ctx, in)
	if err != nil {
		return err
	}
	for i, t := range out {
		if t == nil {
			continue
		}
		if err := t.CopyFrom(got[i]); err != nil {
			return err
		}
	}
	return nil
}

// RunAlloc implements [Allocator].
func (o *unique) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x := in[0]
	s := x.Shape()
	outer, n, inner := 1, x.Elems(), 1
	axis := 0
	if !o.flatten {
		axis, _ = tensor.Axis(o.axis, len(s))
		outer, n, inner = product(s[:axis]), s[axis], product(s[axis+1:])
	}
	less := ordering(x)
	// compareSlices orders the sub-tensors at positions a and b of the axis.
	compareSlices := func(a, b int) int {
		for i := range outer {
			for j := range inner {
				p, q := (i*n+a)*inner+j, (i*n+b)*inner+j
				if c := less(p, q); c != 0 {
					return c
				}
			}
		}
		return 0
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(compareSlices(a, b), a-b) })
	// first lists the first occurrence of each value, counts how often it occurs.
	var first, counts []int
	inverse := make([]int, n)
	for i, p := range order {
		if i == 0 || compareSlices(order[i-1], p) != 0 {
			first, counts = append(first, p), append(counts, 0)
		}
		counts[len(counts)-1]++
		inverse[p] = len(first) - 1
	}
	if !o.sorted {
		by := make([]int, len(first))
		for i := range by {
			by[i] = i
		}
		slices.SortFunc(by, func(a, b int) int { return first[a] - first[b] })
		rank := make([]int, len(by))
		f, c := slices.Clone(first), slices.Clone(counts)
		for i, k := range by {
			rank[k], first[i], counts[i] = i, f[k], c[k]
		}
		for i, k := range inverse {
			inverse[i] = rank[k]
		}
	}
	shape := tensor.Shape{len(first)}
	if !o.flatten {
		shape = s.Clone()
		shape[axis] = len(first)
	}
	y, err := ctx.New(x.DType(), shape)
	if err != nil {
		return nil, err
	}
	w := inner * x.DType().Size()
	dst, src := y.Bytes(), x.Bytes()
	for i := range outer {
		for _, k := range first {
			copy(dst[:w], src[(i*n+k)*w:])
			dst = dst[w:]
		}
	}
	out := []*tensor.Tensor{y}
	for _, v := range [][]int{first, inverse, counts} {
		t, err := ctx.New(tensor.Int64, tensor.Shape{len(v)})
		if err != nil {
			return nil, err
		}
		for i, k := range v {
			t.Int64s()[i] = int64(k)
		}
		out = append(out, t)
	}
	return out, nil
}

// ordering returns a comparison of two elements of t by position.
func ordering(t *tensor.Tensor) func(a, b int) int {
	switch t.DType() {
	case tensor.Float32:
		return order(t.Float32s())
	case tensor.Float64:
		return order(tensor.Data[float64](t))
	case tensor.Int8:
		return order(tensor.Data[int8](t))
	case tensor.Int16:
		return order(tensor.Data[int16](t))
	case tensor.Int32:
		return order(tensor.Data[int32](t))
	case tensor.Int64:
		return order(t.Int64s())
	case tensor.Uint16:
		return order(tensor.Data[uint16](t))
	case tensor.Uint32:
		return order(tensor.Data[uint32](t))
	case tensor.Uint64:
		return order(tensor.Data[uint64](t))
	case tensor.Float16, tensor.BFloat16:
		w := make([]float32, t.Elems())
		widen(w, t)
		return order(w)
	}
	b := t.Bytes()
	return func(i, j int) int { return bytes.Compare(b[i:i+1], b[j:j+1]) }
}

func order[T number](x []T) func(a, b int) int {
	return func(a, b int) int { return compareNaNLast(x[a], x[b]) }
}

// RunAlloc implements [Allocator].
func (o compress) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	s, err := o.shape(in[0].Shape(), tensor.Data[bool](in[1]))
	if err != nil {
		return nil, err
	}
	out, err := ctx.New(in[0].DType(), s)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{out}, o.Run(ctx, []*tensor.Tensor{out}, in)
}

var (
	_ Allocator = nonZero{}
	_ Allocator = compress{}
	_ Allocator = (*unique)(nil)
)

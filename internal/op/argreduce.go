package op

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/aekit/aekit/tensor"
)

// argReduce is ArgMax and ArgMin.
type argReduce struct {
	types Types
	axis  int
	keep  bool
	last  bool // of equal elements, the last one counts
	least bool
}

//go:noinline
func newArg(least bool) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		return &argReduce{
			types: a.Types(), axis: a.Int("axis", 0), keep: a.Bool("keepdims", true),
			last: a.Bool("select_last_index", false), least: least,
		}, nil
	}
}

func (o *argReduce) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
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
	set := make([]bool, len(s))
	set[axis] = true
	out := reducedShape(s, set, o.keep)
	if n, _ := out.Elems(); s[axis] == 0 && n > 0 {
		return nil, fmt.Errorf("axis %d of shape %v is empty", axis, s)
	}
	return outFact(tensor.Int64, out)
}

func (o *argReduce) Run(ctx *Context, out, in []*tensor.Tensor) error {
	x := in[0]
	switch x.DType() {
	case tensor.Float32:
		argRun[float32](o, out[0], x)
	case tensor.Float64:
		argRun[float64](o, out[0], x)
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		argRun[int64](o, out[0], x)
	case tensor.Uint64:
		argRun[uint64](o, out[0], x)
	}
	return nil
}

func argRun[T number](o *argReduce, out, in *tensor.Tensor) {
	s := in.Shape()
	axis, _ := tensor.Axis(o.axis, len(s))
	outer, n, inner := product(s[:axis]), s[axis], product(s[axis+1:])
	dst, x := out.Int64s(), tensor.Data[T](in)
	for i := range outer {
		for j := range inner {
			col := x[i*n*inner+j:]
			best := 0
			for k := 1; k < n; k++ {
				v, b := col[k*inner], col[best*inner]
				if o.least && v < b || !o.least && v > b || o.last && v == b {
					best = k
				}
			}
			dst[i*inner+j] = int64(best)
		}
	}
}

// topK is TopK. The number k is input 1.
type topK struct {
	types   Types
	axis    int
	largest bool
	sorted  bool
}

func newTopK(a *Attrs) (Op, error) {
	return &topK{
		types: a.Types(), axis: a.Int("axis", -1),
		largest: a.Bool("largest", true), sorted: a.Bool("sorted", true),
	}, nil
}

func (o *topK) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
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
	k, err := constInt(in, 1)
	if err != nil {
		return nil, err
	}
	if k < 0 || k > int64(s[axis]) {
		return nil, fmt.Errorf("k is %d, axis %d has %d elements", k, axis, s[axis])
	}
	out := s.Clone()
	out[axis] = int(k)
	return []Fact{{DType: in[0].DType, Shape: out}, {DType: tensor.Int64, Shape: out}}, nil
}

func (o *topK) Run(ctx *Context, out, in []*tensor.Tensor) error {
	var idx []int64
	if len(out) > 1 && out[1] != nil {
		idx = out[1].Int64s()
	}
	var val *tensor.Tensor
	if len(out) > 0 {
		val = out[0]
	}
	s := in[0].Shape()
	axis, _ := tensor.Axis(o.axis, len(s))
	k := int(intsOf(in[1])[0])
	x := in[0]
	switch x.DType() {
	case tensor.Float32:
		topKRun[float32](o, val, idx, x, axis, k)
	case tensor.Float64:
		topKRun[float64](o, val, idx, x, axis, k)
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		topKRun[int64](o, val, idx, x, axis, k)
	case tensor.Uint64:
		topKRun[uint64](o, val, idx, x, axis, k)
	}
	return nil
}

func topKRun[T number](o *topK, val *tensor.Tensor, idx []int64, in *tensor.Tensor, axis, k int) {
	s := in.Shape()
	outer, n, inner := product(s[:axis]), s[axis], product(s[axis+1:])
	x := tensor.Data[T](in)
	var dst []T
	if val != nil {
		dst = tensor.Data[T](val)
	}
	order := make([]int, n)
	for i := range outer {
		for j := range inner {
			col := x[i*n*inner+j:]
			for p := range order {
				order[p] = p
			}
			// Of equal elements, the one with the lower index comes first. cmp.Compare puts
			// NaN below everything; it counts as the greatest here, as in numpy's order.
			slices.SortFunc(order, func(a, b int) int {
				va, vb := col[a*inner], col[b*inner]
				c := compareNaNLast(va, vb)
				if o.largest {
					c = -c
				}
				return cmp.Or(c, a-b)
			})
			for p, q := range order[:k] {
				at := (i*k+p)*inner + j
				if dst != nil {
					dst[at] = col[q*inner]
				}
				if idx != nil {
					idx[at] = int64(q)
				}
			}
		}
	}
}

// compareNaNLast orders numbers with NaN above all others.
func compareNaNLast[T number](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	case a != a && b != b:
		return 0
	case a != a:
		return 1
	}
	return -1
}

// cumulate is CumSum, or CumProd if product. The axis is input 1.
type cumulate struct {
	types              Types
	exclusive, reverse bool
	product            bool
}

//go:noinline
func newCumulate(product bool) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		return &cumulate{a.Types(), a.Bool("exclusive", false), a.Bool("reverse", false), product}, nil
	}
}

func (o *cumulate) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesIndex); err != nil {
		return nil, err
	}
	if n, _ := in[1].Shape.Elems(); n != 1 || len(in[1].Shape) > 1 {
		return nil, errors.New("the axis must be a scalar")
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

func (o *cumulate) Run(ctx *Context, out, in []*tensor.Tensor) error {
	first := int64(0)
	if in[1].DType() == tensor.Int64 {
		first = in[1].Int64s()[0]
	} else {
		first = int64(tensor.Data[int32](in[1])[0])
	}
	a, err := toInt(first)
	if err != nil {
		return err
	}
	axis, err := tensor.Axis(a, in[0].Rank())
	if err != nil {
		return err
	}
	switch in[0].DType() {
	case tensor.Float32:
		cumulateRun[float32](o, out[0], in[0], axis)
	case tensor.Float64:
		cumulateRun[float64](o, out[0], in[0], axis)
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		cumulateRun[int64](o, out[0], in[0], axis)
	case tensor.Uint64:
		cumulateRun[uint64](o, out[0], in[0], axis)
	}
	return nil
}

func cumulateRun[T number](o *cumulate, out, in *tensor.Tensor, axis int) {
	s := in.Shape()
	outer, n, inner := product(s[:axis]), s[axis], product(s[axis+1:])
	dst, x := tensor.Data[T](out), tensor.Data[T](in)
	for i := range outer {
		for j := range inner {
			at, step := i*n*inner+j, inner
			if o.reverse {
				at, step = at+(n-1)*inner, -inner
			}
			var acc T
			if o.product {
				acc = 1
			}
			for range n {
				if o.exclusive {
					dst[at] = acc
				}
				if o.product {
					acc *= x[at]
				} else {
					acc += x[at]
				}
				if !o.exclusive {
					dst[at] = acc
				}
				at += step
			}
		}
	}
}

package gradop

import (
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var reduceTable = map[string]constructor{
	"ReduceTo":   func(*op.Attrs) (op.Op, error) { return reduceTo{}, nil },
	"ReduceGrad": newReduceGrad,
}

// reduceTo sums input 0 over the axes along which a tensor of input 1's shape would be
// broadcast to input 0's: the gradient of broadcasting.
type reduceTo struct{}

func (reduceTo) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0); err != nil {
		return nil, err
	}
	s, err := tensor.Broadcast(in[0].Shape, in[1].Shape)
	if err != nil || !s.Equal(in[0].Shape) {
		return nil, errShapes
	}
	return []op.Fact{{DType: in[0].DType, Shape: in[1].Shape.Clone()}}, nil
}

// InPlace implements [op.InPlacer]; where the shapes are equal there is nothing to do.
func (reduceTo) InPlace() []int { return []int{0} }

// fold describes the reduction of a contiguous tensor: axes from the outermost inwards,
// neighbours of one kind merged.
type fold struct {
	dims []int
	keep []bool
}

// init prepares the sum of a tensor of shape from over the axes that to lacks or has as 1.
func (f *fold) init(from, to tensor.Shape) {
	f.dims, f.keep = f.dims[:0], f.keep[:0]
	lead := len(from) - len(to)
	for i, d := range from {
		if d == 1 {
			continue
		}
		keep := i >= lead && to[i-lead] == d
		if n := len(f.dims); n > 0 && f.keep[n-1] == keep {
			f.dims[n-1] *= d
			continue
		}
		f.dims = append(f.dims, d)
		f.keep = append(f.keep, keep)
	}
}

type reduceToState struct {
	fold
	spans
	dst, src []float32
	rows     int
}

func (reduceTo) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == in[0].Elems() {
		if len(out[0].Bytes()) > 0 && &out[0].Bytes()[0] != &in[0].Bytes()[0] {
			return out[0].CopyFrom(in[0])
		}
		return nil
	}
	st := op.StateOf[reduceToState](ctx)
	st.init(in[0].Shape(), out[0].Shape())
	if out[0].DType() == tensor.Float64 {
		dst := tensor.Data[float64](out[0])
		clear(dst)
		sumInto(dst, tensor.Data[float64](in[0]), st.dims, st.keep)
		return nil
	}
	st.dst, st.src = out[0].Float32s(), in[0].Float32s()
	if len(st.dims) == 2 && st.keep[1] {
		if st.f == nil {
			st.f = st.columns
		}
		st.rows = st.dims[0]
		st.run(ctx.Pool, st.dims[1], max(64, grain/max(1, st.rows)))
		return nil
	}
	clear(st.dst)
	sumInto(st.dst, st.src, st.dims, st.keep)
	return nil
}

// columns sums columns lo to hi of a matrix, four rows at a time: fewer passes over dst.
func (st *reduceToState) columns(lo, hi int) {
	n := len(st.dst)
	dst := st.dst[lo:hi]
	clear(dst)
	i := 0
	for ; i+4 <= st.rows; i += 4 {
		a, b := st.src[i*n+lo:][:len(dst)], st.src[(i+1)*n+lo:][:len(dst)]
		c, d := st.src[(i+2)*n+lo:][:len(dst)], st.src[(i+3)*n+lo:][:len(dst)]
		for j := range dst {
			dst[j] += (a[j] + b[j]) + (c[j] + d[j])
		}
	}
	for ; i < st.rows; i++ {
		kernel.AddF32(dst, dst, st.src[i*n+lo:][:len(dst)])
	}
}

// sumInto adds src, whose axes are dims, to dst, which has the kept axes. It returns the
// rest of dst and src.
func sumInto[T floating](dst, src []T, dims []int, keep []bool) {
	switch {
	case len(dims) == 0:
		if len(src) > 0 {
			dst[0] += src[0]
		}
	case len(dims) == 1 && keep[0]:
		for i, v := range src[:dims[0]] {
			dst[i] += v
		}
	case len(dims) == 1:
		dst[0] += sum(src[:dims[0]])
	default:
		inner, kept := product(dims[1:]), 1
		for i, d := range dims[1:] {
			if keep[i+1] {
				kept *= d
			}
		}
		for i := range dims[0] {
			at := 0
			if keep[0] {
				at = i * kept
			}
			sumInto(dst[at:], src[i*inner:(i+1)*inner], dims[1:], keep[1:])
		}
	}
}

func sum[T floating](x []T) T {
	if f, ok := any(x).([]float32); ok {
		return T(kernel.SumF32(f))
	}
	var s T
	for _, v := range x {
		s += v
	}
	return s
}

// reduceGrad is the gradient of the Reduce operators: inputs dy, x, the result y, and
// axes (optional). The attributes are the operator's, and kind its name without "Reduce".
type reduceGrad struct {
	kind       string
	noopNoAxes bool
}

var reduceKinds = []string{"Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"}

func newReduceGrad(a *op.Attrs) (op.Op, error) {
	o := &reduceGrad{kind: a.String("kind", ""), noopNoAxes: a.Bool("noop_with_empty_axes", false)}
	if !slices.Contains(reduceKinds, o.kind) {
		a.Fail("attribute \"kind\": %q is not one of %q", o.kind, reduceKinds)
	}
	return o, nil
}

func (o *reduceGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 4, 0, 1, 2); err != nil {
		return nil, err
	}
	if product(in[0].Shape) != product(in[2].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[1])}, nil
}

type reduceGradState struct {
	fold
	to tensor.Shape
}

func (o *reduceGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	st := op.StateOf[reduceGradState](ctx)
	shape := in[1].Shape()
	var axes []int
	if t := given(in, 3); t != nil {
		var err error
		if axes, err = intsOf(t); err != nil {
			return err
		}
	}
	st.to = append(st.to[:0], shape...)
	if len(axes) == 0 && !o.noopNoAxes {
		for i := range st.to {
			st.to[i] = 1
		}
	}
	for _, a := range axes {
		i, err := tensor.Axis(a, len(shape))
		if err != nil {
			return err
		}
		st.to[i] = 1
	}
	st.init(shape, st.to)
	if product(st.to) != in[0].Elems() {
		return fmt.Errorf("%d gradients for a result of shape %v: %w", in[0].Elems(), st.to, errShapes)
	}
	if out[0].DType() == tensor.Float64 {
		spread(o.kind, tensor.Data[float64](out[0]), tensor.Data[float64](in[1]), tensor.Data[float64](in[0]), tensor.Data[float64](in[2]), st.dims, st.keep)
	} else {
		spread(o.kind, out[0].Float32s(), in[1].Float32s(), in[0].Float32s(), in[2].Float32s(), st.dims, st.keep)
	}
	return nil
}

// spread writes to dst the gradient of x, which was reduced to y.
func spread[T floating](kind string, dst, x, dy, y []T, dims []int, keep []bool) {
	if len(dst) == 0 {
		return
	}
	switch kind {
	case "Sum":
		repeat(dst, dy, 1, dims, keep)
		return
	case "Mean":
		repeat(dst, dy, T(len(dy))/T(len(dst)), dims, keep)
		return
	}
	d := reduceDerivative[T](kind)
	// Max and Min give the gradient to the first extreme element only.
	var taken []bool
	if kind == "Max" || kind == "Min" {
		taken = make([]bool, len(y))
	}
	to := make([]int, len(dst)) // for each element of x, the place of its y
	places := make([]int, len(y))
	for i := range places {
		places[i] = i
	}
	repeat(to, places, 1, dims, keep)
	for i, v := range x {
		k := to[i]
		dst[i] = dy[k] * d(v, y[k])
		if taken != nil && v == y[k] {
			if taken[k] {
				dst[i] = 0
			}
			taken[k] = true
		}
	}
}

// repeat writes src times factor to dst, whose axes are dims, again and again along those
// that are not kept.
func repeat[T floating | int](dst, src []T, factor T, dims []int, keep []bool) {
	switch {
	case len(dims) == 0:
		dst[0] = src[0] * factor
	case len(dims) == 1 && keep[0]:
		for i := range dst[:dims[0]] {
			dst[i] = src[i] * factor
		}
	case len(dims) == 1:
		v := src[0] * factor
		for i := range dst[:dims[0]] {
			dst[i] = v
		}
	default:
		inner, kept := product(dims[1:]), 1
		for i, d := range dims[1:] {
			if keep[i+1] {
				kept *= d
			}
		}
		for i := range dims[0] {
			at := 0
			if keep[0] {
				at = i * kept
			}
			repeat(dst[i*inner:(i+1)*inner], src[at:], factor, dims[1:], keep[1:])
		}
	}
}

// reduceDerivative returns ∂y/∂x of one element x that was reduced to y.
func reduceDerivative[T floating](kind string) func(x, y T) T {
	switch kind {
	case "Max", "Min":
		return func(x, y T) T {
			if x == y {
				return 1
			}
			return 0
		}
	case "Prod":
		return func(x, y T) T { return y / x }
	case "L1":
		return func(x, _ T) T { return T(sign(float64(x))) }
	case "L2":
		return func(x, y T) T {
			if y == 0 {
				return 0
			}
			return x / y
		}
	case "SumSquare":
		return func(x, _ T) T { return 2 * x }
	case "LogSum":
		return func(_, y T) T { return T(math.Exp(-float64(y))) }
	case "LogSumExp":
		return func(x, y T) T { return T(math.Exp(float64(x - y))) }
	}
	return func(T, T) T { return 1 }
}

package gradop

import (
	"errors"
	"math"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var normTable = map[string]constructor{
	"BatchNormGrad": func(a *op.Attrs) (op.Op, error) {
		return &batchNormGrad{epsilon: float64(a.Float("epsilon", 1e-5)), training: a.Bool("training_mode", false)}, nil
	},
	"NormGrad": newNormGrad,
}

// batchNormGrad is the gradient of BatchNormalization: inputs dy, x, scale, mean, variance
// (the last two are used only if attribute training_mode is 0). Outputs: the gradients of
// x, scale and bias.
type batchNormGrad struct {
	epsilon  float64
	training bool
	last     bool // dy, x and the gradient of x are channels-last
}

func (o *batchNormGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 5, 5, 0, 1, 2, 3, 4); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) || len(in[1].Shape) < 2 {
		return nil, errShapes
	}
	c := in[1].Shape[1]
	if o.last {
		c = in[1].Shape[len(in[1].Shape)-1]
	}
	for _, f := range in[2:] {
		if len(f.Shape) != 1 || f.Shape[0] != c {
			return nil, errShapes
		}
	}
	return []op.Fact{like(in[1]), like(in[2]), like(in[2])}, nil
}

// InPlace implements [op.InPlacer].
func (o *batchNormGrad) InPlace() []int { return []int{0, 1} }

// ChannelsLast implements [op.LayoutAware].
func (o *batchNormGrad) ChannelsLast(in []op.Fact) (op.Op, []bool, bool) {
	if o.last || in[0].DType != tensor.Float32 || len(in[0].Shape) < 3 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	return &v, []bool{true, true, false, false, false}, true
}

// OutputsLast implements [op.MixedLayout].
func (o *batchNormGrad) OutputsLast() []bool { return []bool{true} }

type normState[T floating] struct {
	spans
	dx, dscale, dbias []T
	dy, x, scale      []T
	mean, variance    []T
	n, c, plane       int
}

func (o *batchNormGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	switch {
	case o.last:
		batchNormLast(o, ctx, out, in)
	case in[0].DType() == tensor.Float64:
		batchNormRun[float64](o, ctx, out, in)
	default:
		batchNormRun[float32](o, ctx, out, in)
	}
	return nil
}

// outElements returns the elements of an output, or memory in the place of one that is not
// wanted.
func outElements[T floating](out []*tensor.Tensor, i, n int) []T {
	if i < len(out) && out[i] != nil {
		return elements[T](out[i])
	}
	return make([]T, n)
}

func batchNormRun[T floating](o *batchNormGrad, ctx *op.Context, out, in []*tensor.Tensor) {
	st := op.StateOf[normState[T]](ctx)
	s := in[1].Shape()
	st.n, st.c, st.plane = s[0], s[1], product(s[2:])
	st.dx, st.dscale, st.dbias = outElements[T](out, 0, in[1].Elems()), outElements[T](out, 1, st.c), outElements[T](out, 2, st.c)
	st.dy, st.x, st.scale = elements[T](in[0]), elements[T](in[1]), elements[T](in[2])
	st.mean, st.variance = elements[T](in[3]), elements[T](in[4])
	if st.f == nil {
		st.f = func(lo, hi int) {
			for c := lo; c < hi; c++ {
				st.channel(o, c)
			}
		}
	}
	st.run(ctx.Pool, st.c, max(1, grain/max(1, st.n*st.plane)))
}

func (st *normState[T]) channel(o *batchNormGrad, c int) {
	m := float64(st.n * st.plane)
	mean, variance := float64(st.mean[c]), float64(st.variance[c])
	if o.training {
		s := 0.0
		for i := range st.n {
			s += float64(sum(st.x[(i*st.c+c)*st.plane:][:st.plane]))
		}
		mean = s / m
		s = 0
		for i := range st.n {
			for _, v := range st.x[(i*st.c+c)*st.plane:][:st.plane] {
				s += (float64(v) - mean) * (float64(v) - mean)
			}
		}
		variance = s / m
	}
	inv := 1 / math.Sqrt(variance+o.epsilon)
	var g, gx float64 // Σ dy, Σ dy·x̂
	for i := range st.n {
		at := (i*st.c + c) * st.plane
		x := st.x[at:][:st.plane]
		for k, d := range st.dy[at:][:st.plane] {
			g += float64(d)
			gx += float64(d) * (float64(x[k]) - mean)
		}
	}
	gx *= inv
	st.dbias[c], st.dscale[c] = T(g), T(gx)
	a := float64(st.scale[c]) * inv
	b, e := 0.0, 0.0
	if o.training {
		b, e = gx/m*inv, g/m
	}
	for i := range st.n {
		at := (i*st.c + c) * st.plane
		x, dx := st.x[at:][:st.plane], st.dx[at:][:st.plane]
		for k, d := range st.dy[at:][:st.plane] {
			dx[k] = T(a * (float64(d) - e - (float64(x[k])-mean)*b))
		}
	}
}

// normGrad is the gradient of the operators that normalise within an image: inputs dy, x,
// scale; outputs: the gradients of x, scale and bias. Attribute axis is the first of the
// axes that are normalised together (Layer- and RMSNormalization, whose scale has one
// factor for each element); or else groups, if not 0, divides the channels
// (GroupNormalization; -1: each channel is a group, as in InstanceNormalization; the scale
// has a factor for each channel or for each group). With rms no mean is subtracted.
type normGrad struct {
	epsilon      float64
	axis, groups int
	rms          bool
}

func newNormGrad(a *op.Attrs) (op.Op, error) {
	return &normGrad{float64(a.Float("epsilon", 1e-5)), a.Int("axis", -1), a.Int("groups", 0), a.Bool("rms", false)}, nil
}

var errScale = errors.New("a scale that is broadcast has no gradient rule")

// extents returns the number of rows, their length, and how many elements share a factor.
func (o *normGrad) extents(x, scale tensor.Shape) (rows, size, share int, err error) {
	if len(x) == 0 {
		return 0, 0, 0, errShapes
	}
	n := product(scale)
	if o.groups == 0 {
		a, err := tensor.Axis(o.axis, len(x))
		if err != nil {
			return 0, 0, 0, err
		}
		rows, size = product(x[:a]), product(x[a:])
		if n != size {
			return 0, 0, 0, errScale
		}
		return rows, size, 1, nil
	}
	if len(x) < 2 {
		return 0, 0, 0, errShapes
	}
	groups := o.groups
	if groups < 0 {
		groups = x[1]
	}
	if groups < 1 || x[1]%groups != 0 || n != x[1] && n != groups {
		return 0, 0, 0, errShapes
	}
	plane := product(x[2:])
	rows, size = x[0]*groups, x[1]/groups*plane
	return rows, size, groups * size / n, nil
}

func (o *normGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1, 2); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, errShapes
	}
	if _, _, _, err := o.extents(in[1].Shape, in[2].Shape); err != nil {
		return nil, err
	}
	return []op.Fact{like(in[1]), like(in[2]), like(in[2])}, nil
}

func (o *normGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	if in[0].DType() == tensor.Float64 {
		return normRun[float64](o, ctx, out, in)
	}
	return normRun[float32](o, ctx, out, in)
}

func normRun[T floating](o *normGrad, ctx *op.Context, out, in []*tensor.Tensor) error {
	rows, size, share, err := o.extents(in[1].Shape(), in[2].Shape())
	if err != nil {
		return err
	}
	dx, dscale, dbias := outElements[T](out, 0, in[1].Elems()), outElements[T](out, 1, in[2].Elems()), outElements[T](out, 2, in[2].Elems())
	dy, x, scale := elements[T](in[0]), elements[T](in[1]), elements[T](in[2])
	clear(dscale)
	clear(dbias)
	per := size / max(1, share) // factors of a row
	m := float64(max(1, size))
	for r := range rows {
		at := r * size
		// The factors of row r begin here; layers have one row of factors for all.
		first := r * per % max(1, len(scale))
		mean, sq := 0.0, 0.0
		if !o.rms {
			mean = float64(sum(x[at:at+size])) / m
		}
		for _, v := range x[at : at+size] {
			sq += (float64(v) - mean) * (float64(v) - mean)
		}
		inv := 1 / math.Sqrt(sq/m+o.epsilon)
		var g, gx float64
		for k := range size {
			f := first + k/share
			d, h := float64(dy[at+k]), (float64(x[at+k])-mean)*inv
			dscale[f] += T(d * h)
			dbias[f] += T(d)
			d *= float64(scale[f])
			g += d
			gx += d * h
		}
		if o.rms {
			g = 0
		}
		for k := range size {
			h := (float64(x[at+k]) - mean) * inv
			dx[at+k] = T(inv * (float64(dy[at+k])*float64(scale[first+k/share]) - g/m - h*gx/m))
		}
	}
	return nil
}

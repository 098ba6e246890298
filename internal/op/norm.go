package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// groupNorm is InstanceNormalization and GroupNormalization: each group of channels of
// each image is brought to mean 0 and variance 1 (dividing by the number of elements),
// then scaled and shifted by channel.
type groupNorm struct {
	groups   int // 0: each channel is a group
	perGroup bool
	epsilon  float32
	types    Types
	last     bool
}

var _ LayoutAware = (*groupNorm)(nil)

func newInstanceNorm(a *Attrs) (Op, error) {
	a.Ignore("consumed_inputs")
	return &groupNorm{epsilon: a.Float("epsilon", 1e-5), types: a.Types()}, nil
}

func newGroupNorm(a *Attrs) (Op, error) {
	o := &groupNorm{epsilon: a.Float("epsilon", 1e-5), groups: a.Int("num_groups", 0), perGroup: a.Opset() < 21, types: a.Types()}
	a.Require("num_groups")
	if o.groups < 1 {
		a.Fail("attribute %q: value %d is not positive", "num_groups", o.groups)
	}
	a.Ignore("stash_type")
	return o, nil
}

// Infer implements [Op].
func (o *groupNorm) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1, 2); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if o.last {
		x = toChannelsFirst(x)
	}
	if len(x) < 2 || o.groups == 0 && len(x) < 3 {
		return nil, fmt.Errorf("input %v: the rank is too small", x)
	}
	n := x[1]
	if o.groups > 0 && n%o.groups != 0 {
		return nil, fmt.Errorf("%d channels do not divide into %d groups", n, o.groups)
	}
	if o.perGroup {
		n = o.groups
	}
	for i := 1; i < 3; i++ {
		if s := in[i].Shape; len(s) != 1 || s[0] != n {
			return nil, fmt.Errorf("input %d has shape %v, want [%d]", i, s, n)
		}
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// ChannelsLast implements [LayoutAware].
func (o *groupNorm) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || len(in[0].Shape) < 3 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	return &v, []bool{true, false, false}, true
}

// Run implements [Op].
func (o *groupNorm) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		runGroupNorm[float32](o, ctx, out, in)
	default:
		runGroupNorm[float64](o, ctx, out, in)
	}
	return nil
}

// groupNormTask is one run; a unit is one group of one image.
type groupNormTask[T floating] struct {
	spreader
	o                     *groupNorm
	x, y, scale, bias     []T
	c, groups, per, plane int // channels, groups, channels per group, positions
	last                  groupNormLast
}

func runGroupNorm[T floating](o *groupNorm, ctx *Context, out, in []*tensor.Tensor) {
	t := StateOf[groupNormTask[T]](ctx)
	if t.f == nil {
		t.f = t.rows
	}
	s := in[0].Shape()
	t.o, t.x, t.y, t.scale, t.bias = o, tensor.Data[T](in[0]), tensor.Data[T](out[0]), tensor.Data[T](in[1]), tensor.Data[T](in[2])
	t.c, t.plane = s[1], product(s[2:])
	if o.last {
		t.c, t.plane = s[len(s)-1], product(s[1:len(s)-1])
	}
	t.groups = o.groups
	if t.groups == 0 {
		t.groups = t.c
	}
	if len(t.x) > 0 {
		t.per = t.c / t.groups
		if v, ok := any(t).(*groupNormTask[float32]); ok && o.last {
			v.last.run(ctx.Pool, v, s[0])
		} else {
			t.run(ctx.Pool, s[0]*t.groups, mulSize(copyCost, len(t.x)))
		}
	}
	t.o, t.x, t.y, t.scale, t.bias = nil, nil, nil, nil, nil
}

func (t *groupNormTask[T]) rows(lo, hi int) {
	if v, ok := any(t).(*groupNormTask[float32]); ok {
		for u := lo; u < hi; u++ {
			groupNormFirst(v, u)
		}
		return
	}
	for u := lo; u < hi; u++ {
		n, g := u/t.groups, u%t.groups
		// A group is runs of elements: of whole channels, or of neighbouring channels.
		first, runs, size, step := (n*t.c+g*t.per)*t.plane, 1, t.per*t.plane, 0
		if t.o.last {
			first, runs, size, step = n*t.c*t.plane+g*t.per, t.plane, t.per, t.c
		}
		mean, scale := moments(t.x[first:], runs, size, step, t.o.epsilon)
		for r := range runs {
			x, y := t.x[first+r*step:][:size], t.y[first+r*step:][:size]
			for i := 0; i < size; {
				c, n := g*t.per+i, 1
				if !t.o.last {
					c, n = g*t.per+i/t.plane, t.plane
				}
				p := c
				if t.o.perGroup {
					p = g
				}
				k := T(scale * float64(t.scale[p]))
				b := T(float64(t.bias[p]) - mean*scale*float64(t.scale[p]))
				for j := i; j < i+n; j++ {
					y[j] = x[j]*k + b
				}
				i += n
			}
		}
	}
}

// moments returns the mean and 1/sqrt(variance + epsilon) of runs of elements, each of the
// given size and step apart. The sums are taken in float64.
func moments[T floating](x []T, runs, size, step int, epsilon float32) (mean, scale float64) {
	count := float64(runs) * float64(size)
	sum := 0.0
	for r := range runs {
		for _, v := range x[r*step:][:size] {
			sum += float64(v)
		}
	}
	mean = sum / count
	sq := 0.0
	for r := range runs {
		for _, v := range x[r*step:][:size] {
			d := float64(v) - mean
			sq += d * d
		}
	}
	return mean, 1 / math.Sqrt(sq/count+float64(epsilon))
}

// layerNorm is LayerNormalization and RMSNormalization: the elements of the axes from axis
// on are brought to mean 0 and variance 1, or, for rms, to a mean square of 1, then scaled
// and shifted by inputs that broadcast to input 0.
type layerNorm struct {
	axis    int
	epsilon float32
	rms     bool
	stash   tensor.DType // type of outputs 1 and 2
	types   Types
}

//go:noinline
func newLayerNorm(rms bool) func(a *Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		return &layerNorm{axis: a.Int("axis", -1), epsilon: a.Float("epsilon", 1e-5), stash: a.DType("stash_type", tensor.Float32), rms: rms, types: a.Types()}, nil
	}
}

// Infer implements [Op].
func (o *layerNorm) Infer(in []Fact) ([]Fact, error) {
	most := 3
	if o.rms {
		most = 2
	}
	if err := arity(in, 2, most); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if !typesFloat.Has(o.stash) {
		return nil, fmt.Errorf("attribute %q: type %v is not a floating-point type", "stash_type", o.stash)
	}
	x := in[0].Shape
	axis, err := tensor.Axis(o.axis, len(x))
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(in); i++ {
		if !in[i].Present() {
			continue
		}
		if err := wantType(in, i, o.types); err != nil {
			return nil, err
		}
		if s, err := tensor.Broadcast(x, in[i].Shape); err != nil || !s.Equal(x) {
			return nil, fmt.Errorf("input %d: shape %v does not broadcast to %v", i, in[i].Shape, x)
		}
	}
	out := []Fact{{DType: in[0].DType, Shape: x}}
	if !o.rms {
		s := x.Clone()
		for i := axis; i < len(s); i++ {
			s[i] = 1
		}
		stat := Fact{DType: o.stash, Shape: s}
		out = append(out, stat, stat)
	}
	return out, nil
}

// Run implements [Op].
func (o *layerNorm) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if isHalf(in[0].DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	if in[0].DType() == tensor.Float32 {
		runLayerNorm[float32](o, ctx, out, in)
	} else {
		runLayerNorm[float64](o, ctx, out, in)
	}
	return nil
}

// layerNormTask is one run; a unit is one row.
type layerNormTask[T floating] struct {
	spreader
	o           *layerNorm
	x, y        []T
	params      [2][]float64
	full        [2]bool // the parameter has exactly one row
	steps       [2][]int
	shape       tensor.Shape
	size        int
	mean, scale []float64
	vectors     bool      // gamma and beta have one value for each of a row; beta may be nil
	gamma, beta []float32 // of float32 input
}

func runLayerNorm[T floating](o *layerNorm, ctx *Context, out, in []*tensor.Tensor) {
	t := StateOf[layerNormTask[T]](ctx)
	if t.f == nil {
		t.f = t.rows
	}
	t.o, t.x, t.y = o, tensor.Data[T](in[0]), tensor.Data[T](out[0])
	t.shape = append(t.shape[:0], in[0].Shape()...)
	axis, _ := tensor.Axis(o.axis, len(t.shape))
	t.size = product(t.shape[axis:])
	if len(t.x) == 0 {
		return
	}
	for i := range t.params {
		t.params[i] = t.params[i][:0]
		if p := given(in, 1+i); p != nil {
			t.params[i] = floats64(t.params[i], p)
			s := p.Shape()
			for len(s) > len(t.shape)-axis && s[0] == 1 {
				s = s[1:]
			}
			t.full[i] = s.Equal(t.shape[axis:])
			t.steps[i] = broadcastSteps(t.steps[i], s, t.shape)
		}
	}
	t.vectors = false
	if gamma := given(in, 1); in[0].DType() == tensor.Float32 && t.full[0] && gamma.DType() == tensor.Float32 {
		t.gamma, t.beta, t.vectors = gamma.Float32s(), nil, true
		if beta := given(in, 2); beta != nil {
			if t.vectors = t.full[1] && beta.DType() == tensor.Float32; t.vectors {
				t.beta = beta.Float32s()
			}
		}
	}
	rows := len(t.x) / t.size
	for len(t.mean) < rows {
		t.mean, t.scale = append(t.mean, 0), append(t.scale, 0)
	}
	t.run(ctx.Pool, rows, mulSize(copyCost, len(t.x)))
	setFloats(given(out, 1), t.mean[:rows])
	setFloats(given(out, 2), t.scale[:rows])
	t.o, t.x, t.y, t.gamma, t.beta = nil, nil, nil, nil, nil
}

// broadcastSteps sets dst to the distance between neighbours along each axis of to in a
// tensor of shape s that broadcasts to it.
func broadcastSteps(dst []int, s, to tensor.Shape) []int {
	dst = append(dst[:0], to...)
	step := 1
	for i := len(to) - 1; i >= 0; i-- {
		j := i - len(to) + len(s)
		dst[i] = 0
		if j >= 0 && s[j] > 1 {
			dst[i] = step
			step *= s[j]
		}
	}
	return dst
}

func (t *layerNormTask[T]) rows(lo, hi int) {
	for u := lo; u < hi; u++ {
		x, y := t.x[u*t.size:][:t.size], t.y[u*t.size:][:t.size]
		if x32, ok := any(x).([]float32); ok && t.vectors {
			t.mean[u], t.scale[u] = t.o.row32(any(y).([]float32), x32, t.gamma, t.beta)
			continue
		}
		mean, scale := 0.0, 0.0
		if t.o.rms {
			sq := 0.0
			for _, v := range x {
				sq += float64(v) * float64(v)
			}
			scale = 1 / math.Sqrt(sq/float64(t.size)+float64(t.o.epsilon))
		} else {
			mean, scale = moments(x, 1, t.size, 0, t.o.epsilon)
		}
		t.mean[u], t.scale[u] = mean, scale
		gamma, beta := t.params[0], t.params[1]
		for i, v := range x {
			w := (float64(v) - mean) * scale * gamma[t.index(0, u, i)]
			if len(beta) > 0 {
				w += beta[t.index(1, u, i)]
			}
			y[i] = T(w)
		}
	}
}

// index returns which element of a parameter belongs to element i of row u.
func (t *layerNormTask[T]) index(p, u, i int) int {
	if t.full[p] {
		return i
	}
	at, k := 0, u*t.size+i
	for d := len(t.shape) - 1; d >= 0; d-- {
		at += k % t.shape[d] * t.steps[p][d]
		k /= t.shape[d]
	}
	return at
}

// lrn is LRN: each element is divided by (bias + alpha/size·s)^beta, where s is the sum of
// squares over size neighbouring channels.
type lrn struct {
	alpha, beta, bias float32
	size              int
	types             Types
}

func newLRN(a *Attrs) (Op, error) {
	a.Require("size")
	o := &lrn{alpha: a.Float("alpha", 1e-4), beta: a.Float("beta", 0.75), bias: a.Float("bias", 1), size: a.Int("size", 1), types: a.Types()}
	if o.size < 1 || o.size > maxExtent {
		a.Fail("attribute %q: value %d is out of range", "size", o.size)
	}
	return o, nil
}

// Infer implements [Op].
func (o *lrn) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if len(in[0].Shape) < 2 {
		return nil, fmt.Errorf("input %v: want a rank of at least 2", in[0].Shape)
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// Run implements [Op].
func (o *lrn) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		runLRN[float32](o, ctx, out, in)
	default:
		runLRN[float64](o, ctx, out, in)
	}
	return nil
}

// lrnTask is one run; a unit is one position of one image.
type lrnTask[T floating] struct {
	spreader
	*lrn
	x, y     []T
	c, plane int
}

func runLRN[T floating](o *lrn, ctx *Context, out, in []*tensor.Tensor) {
	t := StateOf[lrnTask[T]](ctx)
	if t.f == nil {
		t.f = t.positions
	}
	s := in[0].Shape()
	t.lrn, t.x, t.y, t.c, t.plane = o, tensor.Data[T](in[0]), tensor.Data[T](out[0]), s[1], product(s[2:])
	t.run(ctx.Pool, s[0]*t.plane, mulSize(copyCost, len(t.x), min(o.size, t.c)))
	t.x, t.y = nil, nil
}

func (t *lrnTask[T]) positions(lo, hi int) {
	before, after := (t.size-1)/2, t.size-1-(t.size-1)/2
	for u := lo; u < hi; u++ {
		first := u/t.plane*t.c*t.plane + u%t.plane
		for i := range t.c {
			sum := 0.0
			for k := max(0, i-before); k <= min(t.c-1, i+after); k++ {
				v := float64(t.x[first+k*t.plane])
				sum += v * v
			}
			at := first + i*t.plane
			t.y[at] = T(float64(t.x[at]) / math.Pow(float64(t.bias)+float64(t.alpha)/float64(t.size)*sum, float64(t.beta)))
		}
	}
}

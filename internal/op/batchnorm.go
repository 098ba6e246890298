package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// batchNorm is BatchNormalization. With training, the statistics are those of the batch
// (the variance divides by the number of elements), and outputs 1 and 2 are the running
// statistics: old·momentum + batch·(1 − momentum).
type batchNorm struct {
	epsilon, momentum float32
	training          bool
	saved             bool // outputs 3 and 4 of opsets below 14: the statistics of the batch
	types             Types
	act               kernel.Epilogue
	last              bool
}

var (
	_ InPlacer    = (*batchNorm)(nil)
	_ LayoutAware = (*batchNorm)(nil)
	_ MixedLayout = (*batchNorm)(nil)
	_ Fuser       = (*batchNorm)(nil)
)

func newBatchNorm(a *Attrs) (Op, error) {
	o := &batchNorm{epsilon: a.Float("epsilon", 1e-5), momentum: a.Float("momentum", 0.9), types: a.Types()}
	switch {
	case a.Opset() >= 14:
		o.training = a.Bool("training_mode", false)
	default:
		wanted := false
		for i := 1; i < a.NumOutputs(); i++ {
			wanted = wanted || a.Wanted(i)
		}
		o.training, o.saved = wanted, wanted
		if a.Opset() < 7 && a.Bool("is_test", false) {
			o.training = false
		}
		if a.Opset() < 9 && !a.Bool("spatial", true) {
			a.Fail("attribute %q: statistics per element are not supported", "spatial")
		}
		a.Ignore("consumed_inputs")
	}
	return o, nil
}

// Infer implements [Op].
func (o *batchNorm) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 5, 5); err != nil {
		return nil, err
	}
	for i := range in {
		if err := wantType(in, i, o.types); err != nil {
			return nil, err
		}
	}
	x := in[0].Shape
	if len(x) < 1 {
		return nil, fmt.Errorf("input %v: want a rank of at least 1", x)
	}
	if o.last {
		x = toChannelsFirst(x)
	}
	c := 1
	if len(x) > 1 {
		c = x[1]
	}
	for i := 1; i < 5; i++ {
		if s := in[i].Shape; len(s) != 1 || s[0] != c {
			return nil, fmt.Errorf("input %d has shape %v, want [%d]", i, s, c)
		}
	}
	if o.training {
		if n, ok := x.Elems(); !ok || n == 0 {
			return nil, fmt.Errorf("input %v has no elements to take statistics of", x)
		}
	}
	out := []Fact{{DType: in[0].DType, Shape: in[0].Shape}}
	if o.training {
		stat := Fact{DType: in[3].DType, Shape: tensor.Shape{c}}
		out = append(out, stat, stat)
		if o.saved {
			out = append(out, stat, stat)
		}
	}
	return out, nil
}

// InPlace implements [InPlacer].
func (o *batchNorm) InPlace() []int { return []int{0} }

// Fuse implements [Fuser].
func (o *batchNorm) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) {
	e, ok := epilogue{}.activation(next, pos, nextIn)
	if !ok || o.act.Act != kernel.ActNone {
		return nil, 0, false
	}
	fused := *o
	e.kernel(&fused.act, nil)
	return &fused, 0, true
}

// ChannelsLast implements [LayoutAware].
func (o *batchNorm) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || in[0].DType != tensor.Float32 || len(in[0].Shape) < 3 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	return &v, []bool{true, false, false, false, false}, true
}

// OutputsLast implements [MixedLayout]: the statistics are vectors.
func (o *batchNorm) OutputsLast() []bool { return []bool{true} }

// Run implements [Op].
func (o *batchNorm) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		return runBatchNorm[float32](o, ctx, out, in)
	}
	return runBatchNorm[float64](o, ctx, out, in)
}

// batchNormTask is one run: y = x·scale + shift with one scale and shift per channel.
type batchNormTask[T floating] struct {
	spreader
	o            *batchNorm
	x, y         []T
	scale, shift []T
	inner        int // elements between channels
	mean, vars   []float64
	running      []float64 // new running statistics
	params       [4][]float64
	blocks       []kernel.ChannelSums
	taking       spreader
}

func runBatchNorm[T floating](o *batchNorm, ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[batchNormTask[T]](ctx)
	t.o, t.x, t.y = o, tensor.Data[T](in[0]), tensor.Data[T](out[0])
	for i := range t.params {
		t.params[i] = floats64(t.params[i][:0], in[1+i])
	}
	gamma, beta, mean, vars := t.params[0], t.params[1], t.params[2], t.params[3]
	s := in[0].Shape()
	n, c := s[0], len(gamma)
	t.inner = 1
	if !o.last && len(s) > 2 {
		t.inner = product(s[2:])
	}
	if o.training {
		if x32, ok := any(t.x).([]float32); ok && o.last {
			t.statisticsLast(ctx.Pool, x32, c)
		} else {
			t.statistics(n)
		}
		m := float64(o.momentum)
		for i, pair := range [2][2][]float64{{mean, t.mean}, {vars, t.vars}} {
			t.running = t.running[:0]
			for j := range c {
				t.running = append(t.running, pair[0][j]*m+pair[1][j]*(1-m))
			}
			setFloats(given(out, 1+i), t.running)
			setFloats(given(out, 3+i), pair[1])
		}
		mean, vars = t.mean, t.vars
	}
	t.scale, t.shift = t.scale[:0], t.shift[:0]
	for i := range c {
		k := gamma[i] / math.Sqrt(vars[i]+float64(o.epsilon))
		t.scale = append(t.scale, T(k))
		t.shift = append(t.shift, T(beta[i]-mean[i]*k))
	}
	if t.f == nil {
		t.f = t.rows
	}
	if c > 0 {
		units := len(t.x) / max(t.inner, 1)
		if t.inner == 1 {
			units /= c
		}
		t.run(ctx.Pool, units, len(t.x))
	}
	t.o, t.x, t.y = nil, nil, nil
	return nil
}

// rows computes units: runs of one channel, or, where channels are innermost, of all.
func (t *batchNormTask[T]) rows(lo, hi int) {
	c := len(t.scale)
	if t.inner == 1 {
		if x32, ok := any(t.x[lo*c : hi*c]).([]float32); ok {
			t.rowsLast(any(t.y[lo*c:hi*c]).([]float32), x32, any(t.scale).([]float32), any(t.shift).([]float32))
			return
		}
		for u := lo; u < hi; u++ {
			x, y := t.x[u*c:][:c], t.y[u*c:][:c]
			for i, v := range x {
				y[i] = T(v*t.scale[i]) + t.shift[i]
			}
		}
		return
	}
	for u := lo; u < hi; u++ {
		x, y := t.x[u*t.inner:][:t.inner], t.y[u*t.inner:][:t.inner]
		k, b := t.scale[u%c], t.shift[u%c]
		if x32, ok := any(x).([]float32); ok {
			kernel.AffineF32(any(y).([]float32), x32, float32(k), float32(b))
		} else {
			for i, v := range x {
				y[i] = v*k + b
			}
		}
		t.activate(y)
	}
}

func (t *batchNormTask[T]) activate(y []T) {
	if y32, ok := any(y).([]float32); ok && t.o.act.Act != kernel.ActNone {
		kernel.ActivateF32(y32, y32, &t.o.act)
	}
}

// statistics sets mean and vars to those of the batch of n images.
func (t *batchNormTask[T]) statistics(n int) {
	c := len(t.params[0])
	t.mean, t.vars = resizeFloats(t.mean, c), resizeFloats(t.vars, c)
	count := float64(n * t.inner)
	for i := range c {
		sum, sq := 0.0, 0.0
		for b := range n {
			for _, v := range t.x[(b*c+i)*t.inner:][:t.inner] {
				sum += float64(v)
			}
		}
		mean := sum / count
		for b := range n {
			for _, v := range t.x[(b*c+i)*t.inner:][:t.inner] {
				d := float64(v) - mean
				sq += d * d
			}
		}
		t.mean[i], t.vars[i] = mean, sq/count
	}
}

// floats64 appends the elements of a float tensor to dst.
func floats64(dst []float64, t *tensor.Tensor) []float64 {
	switch t.DType() {
	case tensor.Float32:
		for _, v := range t.Float32s() {
			dst = append(dst, float64(v))
		}
	case tensor.Float64:
		dst = append(dst, tensor.Data[float64](t)...)
	case tensor.Float16:
		for _, v := range tensor.Data[tensor.F16](t) {
			dst = append(dst, float64(v.Float32()))
		}
	case tensor.BFloat16:
		for _, v := range tensor.Data[tensor.BF16](t) {
			dst = append(dst, float64(v.Float32()))
		}
	}
	return dst
}

// setFloats rounds values into a float tensor, which may be nil.
func setFloats(t *tensor.Tensor, v []float64) {
	if t == nil {
		return
	}
	switch t.DType() {
	case tensor.Float32:
		for i, x := range v {
			t.Float32s()[i] = float32(x)
		}
	case tensor.Float64:
		copy(tensor.Data[float64](t), v)
	case tensor.Float16:
		for i, x := range v {
			tensor.Data[tensor.F16](t)[i] = tensor.ToF16(float32(x))
		}
	case tensor.BFloat16:
		for i, x := range v {
			tensor.Data[tensor.BF16](t)[i] = tensor.ToBF16(float32(x))
		}
	}
}

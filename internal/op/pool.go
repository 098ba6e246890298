package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// poolKind is which function of a window a pool computes.
type poolKind uint8

const (
	poolMax poolKind = iota
	poolAverage
	poolLp
)

// pool is MaxPool, AveragePool, LpPool and their Global forms, over any number of spatial
// axes. Positions outside the input take no part; with includePad they count as zeros in
// an average.
type pool struct {
	window
	kind        poolKind
	types       Types
	global      bool
	ceil        bool
	includePad  bool
	columnMajor bool // of the indices
	p           int
	last        bool
}

var _ LayoutAware = (*pool)(nil)

func newMaxPool(a *Attrs) (Op, error) {
	o := &pool{window: readWindow(a), kind: poolMax, types: a.Types(), ceil: a.Bool("ceil_mode", false), columnMajor: a.Bool("storage_order", false)}
	a.Require("kernel_shape")
	return o, nil
}

func newAveragePool(a *Attrs) (Op, error) {
	o := &pool{window: readWindow(a), kind: poolAverage, types: a.Types(), ceil: a.Bool("ceil_mode", false), includePad: a.Bool("count_include_pad", false)}
	a.Require("kernel_shape")
	return o, nil
}

func newLpPool(a *Attrs) (Op, error) {
	o := &pool{window: readWindow(a), kind: poolLp, types: a.Types(), ceil: a.Bool("ceil_mode", false), p: a.Int("p", 2)}
	a.Require("kernel_shape")
	if o.p < 1 {
		a.Fail("attribute %q: value %d is not positive", "p", o.p)
	}
	return o, nil
}

//go:noinline
func newGlobalPool(kind poolKind) func(a *Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &pool{kind: kind, types: a.Types(), global: true}
		if kind == poolLp {
			if o.p = a.Int("p", 2); o.p < 1 {
				a.Fail("attribute %q: value %d is not positive", "p", o.p)
			}
		}
		return o, nil
	}
}

// slideOver returns the geometry for a logical input shape.
func (o *pool) slideOver(x tensor.Shape) ([]axisWindow, error) {
	if len(x) < 3 && !(o.global && len(x) == 2) {
		return nil, fmt.Errorf("input %v: want a rank of at least 3", x)
	}
	if !o.global {
		return o.slide(x[2:], nil, o.ceil)
	}
	ax := make([]axisWindow, len(x)-2)
	for i, d := range x[2:] {
		ax[i] = axisWindow{in: d, out: 1, kernel: d, stride: 1, dilation: 1}
	}
	return ax, nil
}

// Infer implements [Op].
func (o *pool) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if o.last {
		x = toChannelsFirst(x)
	}
	ax, err := o.slideOver(x)
	if err != nil {
		return nil, err
	}
	y := x[:2].Clone()
	for _, a := range ax {
		y = append(y, a.out)
	}
	if o.last {
		y = toChannelsLast(y)
	}
	f, err := outFact(in[0].DType, y)
	if err == nil && o.kind == poolMax && !o.global {
		f = append(f, Fact{DType: tensor.Int64, Shape: y})
	}
	return f, err
}

// ChannelsLast implements [LayoutAware].
func (o *pool) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || in[0].DType != tensor.Float32 || len(in[0].Shape) < 3 || len(in[0].Shape) > 5 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	return &v, []bool{true}, true
}

// Run implements [Op].
func (o *pool) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	switch in[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		if o.kind != poolLp && (len(out) < 2 || out[1] == nil) && in[0].Rank() <= 5 {
			return runPoolRows(o, ctx, out, in)
		}
		return runPool[float32](o, ctx, out, in)
	case tensor.Float64:
		return runPool[float64](o, ctx, out, in)
	case tensor.Int8:
		return runPool[int8](o, ctx, out, in)
	case tensor.Uint8:
		return runPool[uint8](o, ctx, out, in)
	}
	return fmt.Errorf("type %v is not supported", in[0].DType())
}

// poolNumber is the set of types that pools work with.
type poolNumber interface {
	float32 | float64 | int8 | uint8
}

// poolTask is one run of a pool. Kept in the node's state.
type poolTask[T poolNumber] struct {
	spreader
	o        *pool
	x, y     []T
	index    []int64
	shape    tensor.Shape // the logical input shape that ax belongs to
	ax       []axisWindow
	channels int
	inPlane  int
	outPlane int
	planes   func(lo, hi int)
}

func runPool[T poolNumber](o *pool, ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[poolTask[T]](ctx)
	if t.planes == nil || !t.shape.Equal(in[0].Shape()) {
		t.shape = append(t.shape[:0], in[0].Shape()...)
		t.planes = t.doPlanes
		x := t.shape
		if o.last {
			x = toChannelsFirst(x)
		}
		ax, err := o.slideOver(x)
		if err != nil {
			return err
		}
		t.ax, t.channels, t.inPlane, t.outPlane = ax, x[1], product(x[2:]), 1
		for _, a := range ax {
			t.outPlane *= a.out
		}
	}
	t.o, t.x, t.y, t.index = o, tensor.Data[T](in[0]), tensor.Data[T](out[0]), nil
	if len(out) > 1 && out[1] != nil {
		t.index = out[1].Int64s()
	}
	work := mulSize(copyCost, max(len(t.x), len(t.y)))
	t.f = t.planes
	t.run(ctx.Pool, in[0].Shape()[0]*t.channels, work)
	t.o, t.x, t.y, t.index = nil, nil, nil, nil
	return nil
}

// lowest is where the search for a maximum begins.
func lowest[T poolNumber]() T {
	// Not through any(int8(…)).(T): the linker refuses such constants on s390x.
	var z T
	switch p := any(&z).(type) {
	case *float32:
		*p = float32(math.Inf(-1))
	case *float64:
		*p = math.Inf(-1)
	case *int8:
		*p = math.MinInt8
	}
	return z
}

// within returns the taps of window position p that lie inside the input, and the input
// position of tap 0.
func (a axisWindow) within(p int) (from, to, first int) {
	first = p*a.stride - a.begin
	if first < 0 {
		from = (-first + a.dilation - 1) / a.dilation
	}
	if room := a.in - 1 - first; room >= 0 {
		to = min(a.kernel, room/a.dilation+1)
	}
	return min(from, to), to, first
}

// counted is how many taps of window position p lie inside the input or its pads.
func (a axisWindow) counted(p int) int {
	room := a.in + a.end - 1 - (p*a.stride - a.begin)
	return min(a.kernel, room/a.dilation+1)
}

// poolAcc accumulates one window.
type poolAcc[T poolNumber] struct {
	best  T
	at    int // index of best in the plane, -1 before the first element
	sum   float64
	count int
}

// doPlanes computes whole channels of the input.
func (t *poolTask[T]) doPlanes(lo, hi int) {
	rank := len(t.ax)
	pos := make([]int, rank)
	inPitch, indexPitch := make([]int, rank), make([]int, rank)
	step, outStep := 1, 1
	if t.o.last {
		step, outStep = t.channels, t.channels
	}
	pitch, column := 1, 1
	for i := rank - 1; i >= 0; i-- {
		inPitch[i] = pitch
		pitch *= t.ax[i].in
	}
	copy(indexPitch, inPitch)
	if t.o.columnMajor {
		for i := range rank {
			indexPitch[i] = column
			column *= t.ax[i].in
		}
	}
	for u := lo; u < hi; u++ {
		x, y := u*t.inPlane, u*t.outPlane
		if t.o.last {
			n, c := u/t.channels, u%t.channels
			x, y = n*t.inPlane*t.channels+c, n*t.outPlane*t.channels+c
		}
		clear(pos)
		for i := range t.outPlane {
			acc := poolAcc[T]{best: lowest[T](), at: -1}
			t.gather(&acc, 0, pos, inPitch, indexPitch, x, step, 0, 0)
			at := y + i*outStep
			t.y[at] = t.finish(&acc, pos)
			if t.index != nil {
				t.index[at] = int64(u*t.inPlane + max(acc.at, 0))
			}
			for k := rank - 1; k >= 0; k-- {
				if pos[k]++; pos[k] < t.ax[k].out {
					break
				}
				pos[k] = 0
			}
		}
	}
}

// gather adds the elements of the window at pos, along the axes from axis on.
func (t *poolTask[T]) gather(acc *poolAcc[T], axis int, pos, inPitch, indexPitch []int, x, step, off, index int) {
	if axis == len(t.ax) {
		acc.add(t.o, t.x[x+off*step], index)
		return
	}
	a := t.ax[axis]
	from, to, first := a.within(pos[axis])
	for k := from; k < to; k++ {
		p := first + k*a.dilation
		t.gather(acc, axis+1, pos, inPitch, indexPitch, x, step, off+p*inPitch[axis], index+p*indexPitch[axis])
	}
}

func (acc *poolAcc[T]) add(o *pool, v T, index int) {
	switch o.kind {
	case poolMax:
		if acc.at < 0 || v > acc.best || v != v {
			acc.best, acc.at = v, index
		}
	case poolAverage:
		acc.sum += float64(v)
		acc.count++
	case poolLp:
		acc.sum += lpPower(float64(v), o.p)
	}
}

func lpPower(v float64, p int) float64 {
	switch v = math.Abs(v); p {
	case 1:
		return v
	case 2:
		return v * v
	}
	return math.Pow(v, float64(p))
}

func lpRoot(v float64, p int) float64 {
	switch p {
	case 1:
		return v
	case 2:
		return math.Sqrt(v)
	}
	return math.Pow(v, 1/float64(p))
}

func (t *poolTask[T]) finish(acc *poolAcc[T], pos []int) T {
	switch t.o.kind {
	case poolMax:
		return acc.best
	case poolLp:
		return T(lpRoot(acc.sum, t.o.p))
	}
	n := acc.count
	if t.o.includePad {
		n = 1
		for i, p := range pos {
			n *= t.ax[i].counted(p)
		}
	}
	if n == 0 {
		return 0
	}
	return T(acc.sum / float64(n))
}

package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// reduceKind names a reduction.
type reduceKind uint8

const (
	reduceSum reduceKind = iota
	reduceMean
	reduceMax
	reduceMin
	reduceProd
	reduceL1
	reduceL2
	reduceSumSquare
	reduceLogSum
	reduceLogSumExp
)

// reduce is one of the Reduce operators. The axes are the optional input 1.
type reduce struct {
	types     Types
	kind      reduceKind
	keep      bool
	emptyNoop bool    // no axes means that each element is reduced by itself, not everything
	fixed     []int64 // if not nil, the axes in place of those of input 1
}

//go:noinline
func newReduce(kind reduceKind) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		return &reduce{
			types: a.Types(), kind: kind, keep: a.Bool("keepdims", true),
			emptyNoop: a.Bool("noop_with_empty_axes", false),
		}, nil
	}
}

// axes returns which axes of a shape are reduced.
func (o *reduce) axes(axes []int64, rank int) ([]bool, error) {
	set, err := axesOf(axes, rank)
	if err != nil {
		return nil, err
	}
	if len(axes) == 0 && !o.emptyNoop {
		for i := range set {
			set[i] = true
		}
	}
	return set, nil
}

func (o *reduce) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	axes := o.fixed
	if axes == nil && present(in, 1) {
		var err error
		if axes, err = constInts(in, 1); err != nil {
			return nil, err
		}
	}
	set, err := o.axes(axes, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, reducedShape(in[0].Shape, set, o.keep))
}

// reducedShape drops the marked axes, or makes them 1 if keep.
func reducedShape(s tensor.Shape, set []bool, keep bool) tensor.Shape {
	out := tensor.Shape{}
	for i, d := range s {
		switch {
		case !set[i]:
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	return out
}

// reduceState is the state of a reduction.
type reduceState struct {
	task reduceTask
	// The plan of the run before, which holds while shape and axes are the same.
	shape           tensor.Shape
	set             []bool
	axes            []int64
	move            mover // brings the reduced axes together at the end, if they are apart
	moved           bool
	outer, n, inner int
	sorted          tensor.Tensor
	buf             []byte
}

// plan finds the extents outer, n and inner such that element (i, k, j) of the input, as
// is or after a move, is reduced over k. It does not allocate if shape and axes are those
// of the last call.
func (st *reduceState) plan(o *reduce, s tensor.Shape, axes []int64) error {
	if st.shape != nil && st.shape.Equal(s) && equal64(st.axes, axes) {
		return nil
	}
	set, err := o.axes(axes, len(s))
	if err != nil {
		return err
	}
	st.shape, st.set, st.axes = s.Clone(), set, append(st.axes[:0], axes...)
	st.outer, st.n, st.inner = 1, 1, 1
	// groups counts how often the axes (1s aside) change from kept to reduced.
	groups, in := 0, false
	for i, d := range s {
		if d == 1 {
			continue
		}
		if set[i] && !in {
			groups++
		}
		in = set[i]
		switch {
		case set[i]:
			st.n *= d
		case groups == 0:
			st.outer *= d
		default:
			st.inner *= d
		}
	}
	st.moved = groups > 1
	if st.moved {
		st.outer, st.inner = st.outer*st.inner, 1
		st.move.reset()
		steps := rowMajor(nil, s)
		for _, want := range []bool{false, true} {
			for i, d := range s {
				if set[i] == want {
					st.move.axis(d, steps[i])
				}
			}
		}
	}
	return nil
}

func equal64(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (o *reduce) Run(ctx *Context, out, in []*tensor.Tensor) error {
	x := in[0]
	if isHalf(x.DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	if typesShort.Has(x.DType()) {
		return o.runShort(ctx, out, in)
	}
	st := StateOf[reduceState](ctx)
	axes := o.fixed
	if t := given(in, 1); t != nil && axes == nil {
		axes = intsOf(t)
	}
	if err := st.plan(o, x.Shape(), axes); err != nil {
		return err
	}
	if out[0].Elems() == 0 {
		return nil
	}
	if st.moved && x.Elems() > 0 {
		if len(st.buf) < len(x.Bytes()) {
			st.buf = tensor.AlignedBytes(len(x.Bytes()))
		}
		st.sorted.Set(x.DType(), st.buf[:len(x.Bytes())], x.Shape())
		st.move.run(ctx, &st.sorted, x)
		x = &st.sorted
	}
	if x.DType() == tensor.Float32 {
		t := &st.task
		t.kind, t.dst, t.x = o.kind, out[0].Float32s(), x.Float32s()
		t.outer, t.n, t.inner = st.outer, st.n, st.inner
		t.run(ctx)
		t.dst, t.x = nil, nil
		return nil
	}
	return reduceOther(o.kind, out[0], x, st.outer, st.n, st.inner)
}

// runShort is Run for the types of viaInt64. The maximum and minimum of nothing are the
// bounds of the type itself.
func (o *reduce) runShort(ctx *Context, out, in []*tensor.Tensor) error {
	nothing := 0.0
	switch {
	case in[0].Elems() > 0:
	case o.kind == reduceMax:
		nothing = math.Inf(-1)
	case o.kind == reduceMin:
		nothing = math.Inf(1)
	}
	if nothing == 0 {
		return viaInt64(ctx, out, in, o.Run)
	}
	v := make([]float64, out[0].Elems())
	for i := range v {
		v[i] = nothing
	}
	setNumbers(out[0], v)
	return nil
}

// reduceTask is a reduction of float32 data over the middle of three axes.
type reduceTask struct {
	kind            reduceKind
	dst, x          []float32
	outer, n, inner int
	group           int
	scratch         []float32
}

func (t *reduceTask) run(ctx *Context) {
	t.group = min(max(1, unaryGrain/max(1, t.n*t.inner)), t.outer)
	chunks := (t.outer + t.group - 1) / t.group
	if t.inner > 1 {
		t.scratch = resize(t.scratch, 2*t.inner*chunks)
	}
	ctx.Pool.Run(chunks, t)
}

// Do implements [parallel.Task].
func (t *reduceTask) Do(chunk, _ int) {
	lo, hi := chunk*t.group, min((chunk+1)*t.group, t.outer)
	size := t.n * t.inner
	for i := lo; i < hi; i++ {
		x := t.x[i*size : (i+1)*size]
		if t.inner == 1 {
			t.dst[i] = reduceRow(t.kind, x)
			continue
		}
		s := t.scratch[2*chunk*t.inner:]
		reduceColumns(t.kind, t.dst[i*t.inner:(i+1)*t.inner], x, t.n, s[:t.inner], s[t.inner:2*t.inner])
	}
}

// reduceRow reduces contiguous elements.
func reduceRow(kind reduceKind, x []float32) float32 {
	switch kind {
	case reduceSum:
		return kernel.SumF32(x)
	case reduceMean:
		return kernel.SumF32(x) / float32(len(x))
	case reduceMax:
		return kernel.MaxF32(x)
	case reduceMin:
		return kernel.MinF32(x)
	case reduceSumSquare:
		return kernel.SumSqF32(x)
	case reduceL2:
		return float32(math.Sqrt(float64(kernel.SumSqF32(x))))
	case reduceLogSum:
		return float32(math.Log(float64(kernel.SumF32(x))))
	case reduceProd:
		p := float32(1)
		for _, v := range x {
			p *= v
		}
		return p
	case reduceL1:
		return kernel.SumAbsF32(x)
	}
	top := kernel.MaxF32(x)
	if math.IsInf(float64(top), 0) {
		return top
	}
	var buf [512]float32
	sum := float32(0)
	for lo := 0; lo < len(x); lo += len(buf) {
		b := buf[:min(len(buf), len(x)-lo)]
		kernel.AddScalarF32(b, x[lo:lo+len(b)], -top)
		kernel.ExpF32(b, b)
		sum += kernel.SumF32(b)
	}
	return top + float32(math.Log(float64(sum)))
}

// reduceColumns reduces the n rows of x to one row; a and b are scratch of its length.
func reduceColumns(kind reduceKind, dst, x []float32, n int, a, b []float32) {
	w := len(dst)
	row := func(i int) []float32 { return x[i*w : (i+1)*w] }
	start := float32(0)
	switch kind {
	case reduceMax:
		start = float32(math.Inf(-1))
	case reduceMin:
		start = float32(math.Inf(1))
	case reduceProd:
		start = 1
	}
	for i := range dst {
		dst[i] = start
	}
	switch kind {
	case reduceSum, reduceMean, reduceLogSum:
		for i := range n {
			kernel.AddF32(dst, dst, row(i))
		}
	case reduceMax:
		for i := range n {
			kernel.MaximumF32(dst, dst, row(i))
		}
	case reduceMin:
		for i := range n {
			kernel.MinimumF32(dst, dst, row(i))
		}
	case reduceProd:
		for i := range n {
			kernel.MulF32(dst, dst, row(i))
		}
	case reduceL1:
		for i := range n {
			kernel.AbsF32(a, row(i))
			kernel.AddF32(dst, dst, a)
		}
	case reduceL2, reduceSumSquare:
		for i := range n {
			kernel.MulF32(a, row(i), row(i))
			kernel.AddF32(dst, dst, a)
		}
	case reduceLogSumExp:
		for i := range a {
			a[i] = float32(math.Inf(-1))
		}
		for i := range n {
			kernel.MaximumF32(a, a, row(i))
		}
		for i, v := range a {
			if math.IsInf(float64(v), 0) {
				a[i] = 0
			}
		}
		for i := range n {
			kernel.SubF32(b, row(i), a)
			kernel.ExpF32(b, b)
			kernel.AddF32(dst, dst, b)
		}
	}
	switch kind {
	case reduceMean:
		for i := range dst {
			dst[i] /= float32(n)
		}
	case reduceL2:
		kernel.SqrtF32(dst, dst)
	case reduceLogSum:
		kernel.LogF32(dst, dst)
	case reduceLogSumExp:
		kernel.LogF32(dst, dst)
		kernel.AddF32(dst, dst, a)
	}
}

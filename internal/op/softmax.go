package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// softmaxKind tells Softmax, LogSoftmax and Hardmax apart.
type softmaxKind uint8

const (
	softmaxExp softmaxKind = iota
	softmaxLog
	softmaxHard
)

// softmax works along one axis or, up to opset 12, along all axes from one on together.
type softmax struct {
	types   Types
	kind    softmaxKind
	axis    int
	flatten bool
}

//go:noinline
func newSoftmax(kind softmaxKind) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &softmax{types: a.Types(), kind: kind}
		if a.Opset() < 13 {
			o.flatten = true
			o.axis = a.Int("axis", 1)
		} else {
			o.axis = a.Int("axis", -1)
		}
		return o, nil
	}
}

func (o *softmax) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	rank := len(in[0].Shape)
	if o.flatten && o.axis == rank {
		rank++ // the second of the two axes is then empty
	}
	if rank > 0 || o.axis != -1 && o.axis != 0 {
		if _, err := tensor.Axis(o.axis, rank); err != nil {
			return nil, err
		}
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *softmax) InPlace() []int { return []int{0} }

// split returns the extents of the axes before, along and after the softmax.
func (o *softmax) split(s tensor.Shape) (outer, n, inner int) {
	axis := o.axis
	if axis < 0 {
		axis += len(s)
	}
	axis = max(axis, 0)
	outer = product(s[:axis])
	switch {
	case axis >= len(s):
		return outer, 1, 1
	case o.flatten:
		return outer, product(s[axis:]), 1
	}
	return outer, s[axis], product(s[axis+1:])
}

// softmaxTask works on float32 data, a number of outer indices at a time.
type softmaxTask struct {
	kind            softmaxKind
	dst, x          []float32
	outer, n, inner int
	group           int
	scratch         []float32
}

// Do implements [parallel.Task].
func (t *softmaxTask) Do(chunk, _ int) {
	lo, hi := chunk*t.group, min((chunk+1)*t.group, t.outer)
	size := t.n * t.inner
	for i := lo; i < hi; i++ {
		dst, x := t.dst[i*size:(i+1)*size], t.x[i*size:(i+1)*size]
		if t.inner == 1 {
			softmaxRow(t.kind, dst, x)
		} else {
			s := t.scratch[2*i*t.inner:]
			softmaxColumns(t.kind, dst, x, t.n, t.inner, s[:t.inner], s[t.inner:2*t.inner])
		}
	}
}

func (o *softmax) Run(ctx *Context, out, in []*tensor.Tensor) error {
	outer, n, inner := o.split(in[0].Shape())
	if in[0].Elems() == 0 {
		return nil
	}
	switch {
	case o.kind == softmaxHard:
		return o.hard(ctx, out, in, outer, n, inner)
	case isHalf(in[0].DType()):
		return viaFloat32(ctx, out, in, o.Run)
	case in[0].DType() == tensor.Float64:
		softmaxF64(o.kind, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), outer, n, inner)
		return nil
	}
	t := StateOf[softmaxTask](ctx)
	t.kind, t.dst, t.x = o.kind, out[0].Float32s(), in[0].Float32s()
	t.outer, t.n, t.inner = outer, n, inner
	t.group = min(max(1, unaryGrain/(n*inner)), outer)
	if inner > 1 {
		t.scratch = resize(t.scratch, 2*outer*inner)
	}
	ctx.Pool.Run((outer+t.group-1)/t.group, t)
	t.dst, t.x = nil, nil
	return nil
}

// softmaxRow works on one contiguous row, after subtracting its maximum.
func softmaxRow(kind softmaxKind, dst, x []float32) {
	kernel.AddScalarF32(dst, x, -kernel.MaxF32(x))
	if kind == softmaxExp {
		kernel.ExpF32(dst, dst)
		kernel.MulScalarF32(dst, dst, 1/kernel.SumF32(dst))
		return
	}
	var buf [512]float32
	sum := float32(0)
	for lo := 0; lo < len(dst); lo += len(buf) {
		hi := min(lo+len(buf), len(dst))
		kernel.ExpF32(buf[:hi-lo], dst[lo:hi])
		sum += kernel.SumF32(buf[:hi-lo])
	}
	kernel.AddScalarF32(dst, dst, -float32(math.Log(float64(sum))))
}

// softmaxColumns works on n rows of w elements, along the columns; top and sum are scratch.
func softmaxColumns(kind softmaxKind, dst, x []float32, n, w int, top, sum []float32) {
	copy(top, x[:w])
	for i := 1; i < n; i++ {
		kernel.MaximumF32(top, top, x[i*w:(i+1)*w])
	}
	clear(sum)
	for i := range n {
		d := dst[i*w : (i+1)*w]
		kernel.SubF32(d, x[i*w:(i+1)*w], top)
		if kind == softmaxExp {
			kernel.ExpF32(d, d)
			kernel.AddF32(sum, sum, d)
		}
	}
	if kind == softmaxExp {
		for i := range n {
			d := dst[i*w : (i+1)*w]
			kernel.DivF32(d, d, sum)
		}
		return
	}
	for i := range n {
		kernel.ExpF32(top, dst[i*w:(i+1)*w])
		kernel.AddF32(sum, sum, top)
	}
	kernel.LogF32(sum, sum)
	for i := range n {
		d := dst[i*w : (i+1)*w]
		kernel.SubF32(d, d, sum)
	}
}

func softmaxF64(kind softmaxKind, dst, x []float64, outer, n, inner int) {
	for o := range outer {
		for c := range inner {
			base := o*n*inner + c
			top := math.Inf(-1)
			for i := range n {
				top = math.Max(top, x[base+i*inner])
			}
			sum := 0.0
			for i := range n {
				sum += math.Exp(x[base+i*inner] - top)
			}
			logSum := math.Log(sum)
			for i := range n {
				v := x[base+i*inner] - top
				if kind == softmaxLog {
					dst[base+i*inner] = v - logSum
				} else {
					dst[base+i*inner] = math.Exp(v) / sum
				}
			}
		}
	}
}

// hard puts 1 at the first maximum and 0 elsewhere.
func (o *softmax) hard(ctx *Context, out, in []*tensor.Tensor, outer, n, inner int) error {
	switch in[0].DType() {
	case tensor.Float32:
		hardmax(out[0].Float32s(), in[0].Float32s(), outer, n, inner)
	case tensor.Float64:
		hardmax(tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), outer, n, inner)
	default:
		return viaFloat32(ctx, out, in, o.Run)
	}
	return nil
}

func hardmax[T floating](dst, x []T, outer, n, inner int) {
	for o := range outer {
		for c := range inner {
			base := o*n*inner + c
			best := 0
			for i := 1; i < n; i++ {
				if x[base+i*inner] > x[base+best*inner] {
					best = i
				}
			}
			for i := range n {
				dst[base+i*inner] = 0
			}
			dst[base+best*inner] = 1
		}
	}
}

package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// reverseSequence is ReverseSequence: inputs data and sequence_lens.
type reverseSequence struct {
	types       Types
	batch, time int
}

func newReverseSequence(a *Attrs) (Op, error) {
	o := reverseSequence{a.Types(), a.Int("batch_axis", 1), a.Int("time_axis", 0)}
	if o.batch < 0 || o.batch > 1 || o.time != 1-o.batch {
		a.Fail("batch_axis %d and time_axis %d are not 0 and 1 in some order", o.batch, o.time)
	}
	return o, nil
}

func (o reverseSequence) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesOf(tensor.Int64)); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) < 2 || !in[1].Shape.Equal(tensor.Shape{s[o.batch]}) {
		return nil, fmt.Errorf("lengths of shape %v do not fit data of shape %v", in[1].Shape, s)
	}
	return []Fact{{DType: in[0].DType, Shape: s}}, nil
}

func (o reverseSequence) Run(_ *Context, out, in []*tensor.Tensor) error {
	s := in[0].Shape()
	steps := s[o.time]
	w := in[0].DType().Size() * product(s[2:])
	stepT, stepB := s[1]*w, w
	if o.time == 1 {
		stepT, stepB = stepB, stepT
	}
	dst, src := out[0].Bytes(), in[0].Bytes()
	for b, n := range in[1].Int64s() {
		if n < 0 || n > int64(steps) {
			return fmt.Errorf("length %d is not in [0, %d]", n, steps)
		}
		for t := range steps {
			from := t
			if t < int(n) {
				from = int(n) - 1 - t
			}
			copy(dst[b*stepB+t*stepT:][:w], src[b*stepB+from*stepT:])
		}
	}
	return nil
}

// shrink is Shrink: values within ±lambda become 0, others move by bias towards it.
type shrink struct {
	types        Types
	lambda, bias float32
}

func newShrink(a *Attrs) (Op, error) {
	return &shrink{a.Types(), a.Float("lambd", 0.5), a.Float("bias", 0)}, nil
}

func (o *shrink) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *shrink) InPlace() []int { return []int{0} }

func (o *shrink) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
		x := in[0].Float32s()
		for i, v := range x {
			switch {
			case v < -o.lambda:
				v += o.bias
			case v > o.lambda:
				v -= o.bias
			case v == v:
				v = 0
			}
			out[0].Float32s()[i] = v
		}
		return nil
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	}
	w, err := ctx.New(tensor.Float64, in[0].Shape())
	if err != nil {
		return err
	}
	convert(w, in[0])
	x := tensor.Data[float64](w)
	lambda, bias := float64(o.lambda), float64(o.bias)
	for i, v := range x {
		switch {
		case v < -lambda:
			x[i] = v + bias
		case v > lambda:
			x[i] = v - bias
		case v == v:
			x[i] = 0
		}
	}
	convert(out[0], w)
	return nil
}

// centerCropPad is CenterCropPad: the shape is input 1.
type centerCropPad struct {
	types Types
	axes  []int
}

func newCenterCropPad(a *Attrs) (Op, error) {
	return &centerCropPad{a.Types(), a.Ints("axes")}, nil
}

func (o *centerCropPad) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	target, err := constShape(in, 1)
	if err != nil {
		return nil, err
	}
	s := in[0].Shape
	axes := o.axes
	if axes == nil {
		for i := range s {
			axes = append(axes, i)
		}
	}
	if _, err := axesOf(axes, len(s)); err != nil {
		return nil, err
	}
	if len(axes) != len(target) {
		return nil, fmt.Errorf("shape %v for %d axes", target, len(axes))
	}
	out := s.Clone()
	for i, a := range axes {
		a, _ = tensor.Axis(a, len(s))
		out[a] = target[i]
	}
	return outFact(in[0].DType, out)
}

func (o *centerCropPad) Run(_ *Context, out, in []*tensor.Tensor) error {
	dst, src := out[0].Bytes(), in[0].Bytes()
	clear(dst)
	if len(dst) == 0 || len(src) == 0 {
		return nil
	}
	centerCopy(dst, src, out[0].Shape(), in[0].Shape(), in[0].DType().Size())
	return nil
}

// centerCopy copies what src and dst, laid centre on centre, have in common. Where the
// difference of two extents is odd, the smaller half comes first.
func centerCopy(dst, src []byte, to, from tensor.Shape, size int) {
	if len(to) == 0 {
		copy(dst, src)
		return
	}
	d, s := to[0], from[0]
	dRow, sRow := len(dst)/d, len(src)/s
	dAt, sAt := max(d-s, 0)/2, max(s-d, 0)/2
	for i := range min(d, s) {
		centerCopy(dst[(dAt+i)*dRow:(dAt+i+1)*dRow], src[(sAt+i)*sRow:(sAt+i+1)*sRow], to[1:], from[1:], size)
	}
}

// cosineWindow is HannWindow, HammingWindow and BlackmanWindow:
// a0 − a1·cos(2πi/N) + a2·cos(4πi/N).
type cosineWindow struct {
	a0, a1, a2 float64
	dtype      tensor.DType
	periodic   bool
}

//go:noinline
func newCosineWindow(a0, a1, a2 float64) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &cosineWindow{a0, a1, a2, a.DType("output_datatype", tensor.Float32), a.Bool("periodic", true)}
		if !a.Types().Has(o.dtype) {
			a.Fail("attribute \"output_datatype\": type %v is not supported", o.dtype)
		}
		return o, nil
	}
}

func (o *cosineWindow) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	n, err := constInt(in, 0)
	if err != nil {
		return nil, err
	}
	size, err := toInt(n)
	if err != nil || size < 0 {
		return nil, fmt.Errorf("size %d is out of range", n)
	}
	return outFact(o.dtype, tensor.Shape{size})
}

func (o *cosineWindow) Run(ctx *Context, out, _ []*tensor.Tensor) error {
	w, err := ctx.New(tensor.Float64, out[0].Shape())
	if err != nil {
		return err
	}
	y := tensor.Data[float64](w)
	n := float64(len(y))
	if !o.periodic {
		n = max(n-1, 1)
	}
	for i := range y {
		t := 2 * math.Pi * float64(i) / n
		y[i] = o.a0 - o.a1*math.Cos(t) + o.a2*math.Cos(2*t)
	}
	convert(out[0], w)
	return nil
}

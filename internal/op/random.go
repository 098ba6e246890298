package op

import (
	"errors"
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/tensor"
)

// source is where a random operator's numbers come from: a stream that its seed
// determines or, without one, the seed of the run.
type source struct {
	seed   uint64
	seeded bool
}

// Impure implements [Impure].
func (source) Impure() {}

func (s source) stream(ctx *Context) rng.Stream {
	if s.seeded {
		return rng.New(s.seed, 1)
	}
	return rng.New(ctx.Seed, 0)
}

// readSeed reads the attribute seed, which is a float.
func readSeed(a *Attrs) source {
	return source{uint64(math.Float32bits(a.Float("seed", 0))), a.Has("seed")}
}

// random is RandomNormal, RandomUniform and their Like forms: a·u + b, where u is a
// standard normal or uniform variate.
type random struct {
	source
	types  Types
	normal bool
	like   bool
	dtype  tensor.DType
	shape  tensor.Shape
	a, b   float32
}

//go:noinline
func newRandom(normal, like bool) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &random{source: readSeed(a), types: a.Types(), normal: normal, like: like}
		if normal {
			o.a, o.b = a.Float("scale", 1), a.Float("mean", 0)
		} else {
			lo, hi := a.Float("low", 0), a.Float("high", 1)
			o.a, o.b = hi-lo, lo
		}
		if like {
			o.dtype = a.DType("dtype", tensor.Undefined)
		} else {
			a.Require("shape")
			o.dtype = a.DType("dtype", tensor.Float32)
			o.shape = a.Ints("shape")
		}
		if o.dtype != tensor.Undefined && !o.types.Has(o.dtype) {
			a.Fail("attribute \"dtype\": type %v is not supported", o.dtype)
		}
		return o, nil
	}
}

func (o *random) Infer(in []Fact) ([]Fact, error) {
	n := 0
	if o.like {
		n = 1
	}
	if err := arity(in, n, n); err != nil {
		return nil, err
	}
	d, s := o.dtype, o.shape
	if o.like {
		s = in[0].Shape
		if d == tensor.Undefined {
			d = in[0].DType
		}
	}
	if !o.types.Has(d) {
		return nil, fmt.Errorf("type %v is not supported", d)
	}
	return outFact(d, s)
}

func (o *random) Run(ctx *Context, out, _ []*tensor.Tensor) error {
	st := o.stream(ctx)
	return fillFloats(ctx, out[0], func(dst []float32) {
		if o.normal {
			st.Normal(dst, 0)
		} else {
			st.Uniform(dst, 0)
		}
		for i, v := range dst {
			dst[i] = float32(v*o.a) + o.b
		}
	})
}

// fillFloats calls f with memory for the elements of a floating-point tensor, and stores
// them in its type.
func fillFloats(ctx *Context, t *tensor.Tensor, f func(dst []float32)) error {
	if t.DType() == tensor.Float32 {
		f(t.Float32s())
		return nil
	}
	w, err := ctx.New(tensor.Float32, t.Shape())
	if err != nil {
		return err
	}
	f(w.Float32s())
	convert(t, w)
	return nil
}

// bernoulli is Bernoulli.
type bernoulli struct {
	source
	types Types
	dtype tensor.DType
}

func newBernoulli(a *Attrs) (Op, error) {
	return &bernoulli{readSeed(a), a.Types(), a.DType("dtype", tensor.Undefined)}, nil
}

func (o *bernoulli) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	d := o.dtype
	if d == tensor.Undefined {
		d = in[0].DType
	}
	if !typesAll.Has(d) {
		return nil, fmt.Errorf("type %v is not supported", d)
	}
	return []Fact{{DType: d, Shape: in[0].Shape}}, nil
}

func (o *bernoulli) Run(ctx *Context, out, in []*tensor.Tensor) error {
	p, err := ctx.New(tensor.Float32, in[0].Shape())
	if err != nil {
		return err
	}
	convert(p, in[0])
	o.stream(ctx).Binarize(p.Float32s(), p.Float32s(), 0)
	convert(out[0], p)
	return nil
}

// multinomial is Multinomial: samples of a distribution over classes whose unnormalised
// log-probabilities are the rows of the input.
type multinomial struct {
	source
	types Types
	n     int
	dtype tensor.DType
}

func newMultinomial(a *Attrs) (Op, error) {
	o := &multinomial{readSeed(a), a.Types(), a.Int("sample_size", 1), a.DType("dtype", tensor.Int32)}
	if o.n < 0 || !typesIndex.Has(o.dtype) {
		a.Fail("sample_size %d or dtype %v is out of range", o.n, o.dtype)
	}
	return o, nil
}

func (o *multinomial) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) != 2 || s[1] == 0 {
		return nil, fmt.Errorf("shape %v, want [batch classes]", s)
	}
	return outFact(o.dtype, tensor.Shape{s[0], o.n})
}

func (o *multinomial) Run(ctx *Context, out, in []*tensor.Tensor) error {
	s := in[0].Shape()
	x, err := ctx.New(tensor.Float64, s)
	if err != nil {
		return err
	}
	convert(x, in[0])
	picks, err := ctx.New(tensor.Int64, out[0].Shape())
	if err != nil {
		return err
	}
	r := o.stream(ctx).Rand()
	classes := s[1]
	cum := make([]float64, classes)
	for b := range s[0] {
		row := tensor.Data[float64](x)[b*classes : (b+1)*classes]
		top := math.Inf(-1)
		for _, v := range row {
			top = max(top, v)
		}
		sum := 0.0
		for i, v := range row {
			sum += math.Exp(v - top)
			cum[i] = sum
		}
		if !(sum > 0) || math.IsInf(sum, 0) {
			return errors.New("the log-probabilities of a row are not finite")
		}
		for k := range o.n {
			u := r.Float64() * sum
			i := 0
			for i < classes-1 && cum[i] <= u {
				i++
			}
			picks.Int64s()[b*o.n+k] = int64(i)
		}
	}
	convert(out[0], picks)
	return nil
}

// dropout is Dropout: inputs data, ratio and training_mode, outputs data and mask. Before
// opset 12 the ratio and the mode were attributes.
type dropout struct {
	source
	types  Types
	legacy bool
	ratio  float32
	train  bool
	mask   tensor.DType // Undefined: the type of the data
}

func newDropout(a *Attrs) (Op, error) {
	o := &dropout{types: a.Types(), ratio: 0.5, mask: tensor.Bool}
	if a.Opset() >= 12 {
		o.source = source{uint64(a.Int64("seed", 0)), a.Has("seed")}
		return o, nil
	}
	o.legacy = true
	o.ratio = a.Float("ratio", 0.5)
	if a.Opset() < 10 {
		o.mask = tensor.Undefined
	}
	if a.Opset() < 7 {
		o.train = !a.Bool("is_test", false)
		a.Ignore("consumed_inputs")
	}
	return o, nil
}

func (o *dropout) Infer(in []Fact) ([]Fact, error) {
	most := 3
	if o.legacy {
		most = 1
	}
	if err := arity(in, 1, most); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	for i, set := range []Types{typesFloat, typesBool} {
		if !present(in, i+1) {
			continue
		}
		if err := wantType(in, i+1, set); err != nil {
			return nil, err
		}
		if n, _ := in[i+1].Shape.Elems(); n != 1 {
			return nil, fmt.Errorf("input %d: shape %v, want a scalar", i+1, in[i+1].Shape)
		}
	}
	mask := o.mask
	if mask == tensor.Undefined {
		mask = in[0].DType
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}, {DType: mask, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *dropout) InPlace() []int { return []int{0} }

// Workspace implements [Workspacer]: the mask, and a copy of half-precision data.
func (o *dropout) Workspace(in []Fact) int {
	n := elemsOf(in, 0)
	if isHalf(in[0].DType) {
		return workBytes(4, n, n)
	}
	return workBytes(4, n)
}

func (o *dropout) Run(ctx *Context, out, in []*tensor.Tensor) error {
	ratio, train := float64(o.ratio), o.train
	if t := given(in, 1); t != nil {
		var r [1]float64
		floats64(r[:0], t)
		ratio = r[0]
	}
	if t := given(in, 2); t != nil {
		train = tensor.Data[bool](t)[0]
	}
	if ratio < 0 || ratio >= 1 || ratio != ratio {
		if ratio != 1 {
			return fmt.Errorf("ratio %g is not in [0, 1]", ratio)
		}
	}
	scratch := ctx.Scratch
	k := carve[float32](&scratch, in[0].Elems())
	if train && ratio > 0 {
		o.stream(ctx).Bernoulli(k, 0, 1-ratio)
	} else {
		for i := range k {
			k[i] = 1
		}
	}
	if len(out) > 1 && out[1] != nil {
		fromFloat(out[1], 0, k)
	}
	if out[0] == nil {
		return nil
	}
	if !train || ratio == 0 {
		copy(out[0].Bytes(), in[0].Bytes())
		return nil
	}
	scale := 0.0
	if ratio < 1 {
		scale = 1 / (1 - ratio)
	}
	switch in[0].DType() {
	case tensor.Float32:
		dropRun(out[0].Float32s(), in[0].Float32s(), k, float32(scale))
	case tensor.Float64:
		dropRun(tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), k, scale)
	default:
		x := carve[float32](&scratch, len(k))
		widen(x, in[0])
		dropRun(x, x, k, float32(scale))
		narrow(out[0], x)
	}
	return nil
}

func dropRun[T floating](dst, x []T, keep []float32, scale T) {
	for i, v := range x {
		if keep[i] == 0 {
			dst[i] = 0
		} else {
			dst[i] = v * scale
		}
	}
}

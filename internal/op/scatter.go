package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// scatterKind is how a scattered value meets the one that is there.
type scatterKind uint8

const (
	scatterNone scatterKind = iota
	scatterAdd
	scatterMul
	scatterMax
	scatterMin
)

func readReduction(a *Attrs) scatterKind {
	switch a.OneOf("reduction", "none", "add", "mul", "max", "min") {
	case "add":
		return scatterAdd
	case "mul":
		return scatterMul
	case "max":
		return scatterMax
	case "min":
		return scatterMin
	}
	return scatterNone
}

// scatter is ScatterElements, or ScatterND if nd.
type scatter struct {
	types Types
	kind  scatterKind
	axis  int
	nd    bool
}

func newScatterElements(a *Attrs) (Op, error) {
	return &scatter{types: a.Types(), kind: readReduction(a), axis: a.Int("axis", 0)}, nil
}

func newScatterND(a *Attrs) (Op, error) {
	return &scatter{types: a.Types(), kind: readReduction(a), nd: true}, nil
}

func (o *scatter) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 2); err != nil {
		return nil, err
	}
	if o.kind != scatterNone && in[0].DType == tensor.Bool {
		return nil, fmt.Errorf("bool has no reductions")
	}
	s, ix, up := in[0].Shape, in[1].Shape, in[2].Shape
	want := ix
	if o.nd {
		if err := wantType(in, 1, typesOf(tensor.Int64)); err != nil {
			return nil, err
		}
		if len(s) < 1 || len(ix) < 1 || ix[len(ix)-1] > len(s) {
			return nil, fmt.Errorf("indices of shape %v do not address data of shape %v", ix, s)
		}
		want = append(ix[:len(ix)-1].Clone(), s[ix[len(ix)-1]:]...)
	} else if _, err := checkElementIndices(in, o.axis); err != nil {
		return nil, err
	}
	if !up.Equal(want) {
		return nil, fmt.Errorf("updates have shape %v, want %v", up, want)
	}
	return []Fact{{DType: in[0].DType, Shape: s}}, nil
}

// InPlace implements [InPlacer].
func (o *scatter) InPlace() []int { return []int{0} }

func (o *scatter) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
		return scatterRun[float32](o, out, in)
	case tensor.Float64:
		return scatterRun[float64](o, out, in)
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		return viaInt64(ctx, out, in, o.Run)
	case tensor.Int64:
		return scatterRun[int64](o, out, in)
	case tensor.Uint64:
		return scatterRun[uint64](o, out, in)
	}
	// Bool.
	dst, up := tensor.Data[bool](out[0]), tensor.Data[bool](in[2])
	copy(dst, tensor.Data[bool](in[0]))
	return o.each(in, func(at, from, n int) { copy(dst[at:at+n], up[from:from+n]) })
}

func scatterRun[T number](o *scatter, out, in []*tensor.Tensor) error {
	dst, up := tensor.Data[T](out[0]), tensor.Data[T](in[2])
	copy(dst, tensor.Data[T](in[0]))
	return o.each(in, func(at, from, n int) {
		d, u := dst[at:at+n], up[from:from+n]
		switch o.kind {
		case scatterNone:
			copy(d, u)
		case scatterAdd:
			for i, v := range u {
				d[i] += v
			}
		case scatterMul:
			for i, v := range u {
				d[i] *= v
			}
		case scatterMax:
			for i, v := range u {
				d[i] = max(d[i], v)
			}
		case scatterMin:
			for i, v := range u {
				d[i] = min(d[i], v)
			}
		}
	})
}

// each calls f for every run of n updates, from position from on, that goes to position at
// of the data.
func (o *scatter) each(in []*tensor.Tensor, f func(at, from, n int)) error {
	s, ix := in[0].Shape(), in[1].Shape()
	idx := intsOf(in[1])
	if !o.nd {
		axis, _ := tensor.Axis(o.axis, len(s))
		if err := checkIndices(idx, s[axis]); err != nil {
			return err
		}
		eachElementIndex(s, ix, idx, axis, func(i, at int) { f(at, i, 1) })
		return nil
	}
	depth := ix[len(ix)-1]
	n := product(s[depth:])
	tuples := product(ix[:len(ix)-1])
	for i := range tuples {
		at, err := offsetND(idx[i*depth:(i+1)*depth], s[:depth])
		if err != nil {
			return err
		}
		f(at*n, i*n, n)
	}
	return nil
}

package op

import (
	"errors"
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// rotary is RotaryEmbedding: pairs of elements of each head are rotated by an angle that
// depends on the position. Inputs are X [batch heads length size] or [batch length
// heads·size], the cosines and sines [positions pairs], and position_ids [batch length];
// without the latter the cosines and sines are [batch length pairs].
type rotary struct {
	types       Types
	interleaved bool // a pair is two neighbours, not one element of each half
	heads       int
	dim         int // how many elements of a head are rotated; 0: all
}

func newRotaryEmbedding(a *Attrs) (Op, error) {
	o := &rotary{a.Types(), a.Bool("interleaved", false), a.Int("num_heads", 0), a.Int("rotary_embedding_dim", 0)}
	if o.heads < 0 || o.dim < 0 || o.dim%2 != 0 {
		a.Fail("num_heads %d or rotary_embedding_dim %d is out of range", o.heads, o.dim)
	}
	return o, nil
}

// rotaryDims are the extents of X.
type rotaryDims struct{ batch, heads, length, size, dim int }

func (o *rotary) dims(s tensor.Shape) (d rotaryDims, err error) {
	switch {
	case len(s) == 4:
		d = rotaryDims{s[0], s[1], s[2], s[3], 0}
	case len(s) == 3 && o.heads > 0 && s[2]%o.heads == 0:
		d = rotaryDims{s[0], o.heads, s[1], s[2] / o.heads, 0}
	default:
		return d, fmt.Errorf("shape %v does not have %d heads", s, o.heads)
	}
	if d.dim = o.dim; d.dim == 0 {
		d.dim = d.size
	}
	if d.dim%2 != 0 || d.dim > d.size {
		return d, fmt.Errorf("%d of %d elements of a head cannot be rotated", d.dim, d.size)
	}
	return d, nil
}

func (o *rotary) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 4); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1, 2); err != nil {
		return nil, err
	}
	d, err := o.dims(in[0].Shape)
	if err != nil {
		return nil, err
	}
	c := in[1].Shape
	want := tensor.Shape{d.batch, d.length, d.dim / 2}
	if present(in, 3) {
		if err := wantType(in, 3, typesOf(tensor.Int64)); err != nil {
			return nil, err
		}
		if len(c) != 2 || !in[3].Shape.Equal(want[:2]) {
			return nil, fmt.Errorf("positions of shape %v do not fit caches of shape %v and %v", in[3].Shape, c, in[0])
		}
		want = tensor.Shape{c[0], d.dim / 2}
	}
	if !c.Equal(want) || !in[2].Shape.Equal(want) {
		return nil, fmt.Errorf("caches of shapes %v and %v, want %v", c, in[2].Shape, want)
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

func (o *rotary) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
		return rotaryRun[float32](o, out, in)
	case tensor.Float64:
		return rotaryRun[float64](o, out, in)
	}
	return viaFloat32(ctx, out, in, o.Run)
}

func rotaryRun[T floating](o *rotary, out, in []*tensor.Tensor) error {
	d, err := o.dims(in[0].Shape())
	if err != nil {
		return err
	}
	dst, x := tensor.Data[T](out[0]), tensor.Data[T](in[0])
	cos, sin := tensor.Data[T](in[1]), tensor.Data[T](in[2])
	pairs := d.dim / 2
	positions := given(in, 3)
	flat := in[0].Rank() == 3
	for b := range d.batch {
		for p := range d.length {
			row := b*d.length + p
			if positions != nil {
				k := positions.Int64s()[row]
				if k < 0 || k >= int64(in[1].Shape()[0]) {
					return errors.New("a position is outside of the caches")
				}
				row = int(k)
			}
			cs, sn := cos[row*pairs:(row+1)*pairs], sin[row*pairs:(row+1)*pairs]
			for h := range d.heads {
				at := ((b*d.heads+h)*d.length + p) * d.size
				if flat {
					at = ((b*d.length+p)*d.heads + h) * d.size
				}
				rotateHead(dst[at:at+d.size], x[at:at+d.size], cs, sn, o.interleaved)
			}
		}
	}
	return nil
}

func rotateHead[T floating](dst, x, cos, sin []T, interleaved bool) {
	pairs := len(cos)
	copy(dst[2*pairs:], x[2*pairs:])
	for i := range pairs {
		p, q := i, i+pairs
		if interleaved {
			p, q = 2*i, 2*i+1
		}
		dst[p] = T(cos[i]*x[p]) - T(sin[i]*x[q])
		dst[q] = T(sin[i]*x[p]) + T(cos[i]*x[q])
	}
}

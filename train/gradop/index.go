package gradop

import (
	"fmt"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// sliceGrad is the gradient of Slice: inputs dy, x, starts, ends, axes, steps. The result
// is zero but for the elements that the slice took.
type sliceGrad struct{}

func (sliceGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 4, 6, 0, 1); err != nil {
		return nil, err
	}
	return []op.Fact{like(in[1])}, nil
}

func (sliceGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	shape := in[1].Shape()
	starts, err := intsOf(in[2])
	if err != nil {
		return err
	}
	axes := make([]int, len(starts))
	for i := range axes {
		axes[i] = i
	}
	if t := given(in, 4); t != nil {
		if axes, err = intsOf(t); err != nil {
			return err
		}
	}
	steps := make([]int, len(starts))
	for i := range steps {
		steps[i] = 1
	}
	if t := given(in, 5); t != nil {
		if steps, err = intsOf(t); err != nil {
			return err
		}
	}
	if len(axes) != len(starts) || len(steps) != len(starts) {
		return errShapes
	}
	first := make([]int, len(shape))
	step := make([]int, len(shape))
	for i := range step {
		step[i] = 1
	}
	for i, s := range starts {
		a, err := tensor.Axis(axes[i], len(shape))
		if err != nil {
			return err
		}
		n := shape[a]
		if s < 0 {
			s += n
		}
		if steps[i] > 0 {
			s = max(0, min(s, n))
		} else {
			s = max(0, min(s, n-1))
		}
		first[a], step[a] = s, steps[i]
	}
	st := shape.Strides()
	at := 0
	for i := range shape {
		at += first[i] * st[i]
		st[i] *= step[i]
	}
	clear(out[0].Bytes())
	if out[0].DType() == tensor.Float64 {
		return scatterStrided(tensor.Data[float64](out[0]), at, st, tensor.Data[float64](in[0]), in[0].Shape())
	}
	return scatterStrided(out[0].Float32s(), at, st, in[0].Float32s(), in[0].Shape())
}

// scatterStrided copies the elements of src, of the given shape, to dst[at + Σ iₖ·strideₖ].
func scatterStrided[T floating](dst []T, at int, stride []int, src []T, shape tensor.Shape) error {
	if len(shape) != len(stride) {
		return errShapes
	}
	if len(src) == 0 {
		return nil
	}
	rank := len(shape)
	if rank == 0 {
		dst[at] = src[0]
		return nil
	}
	idx := make([]int, rank)
	inner, step := shape[rank-1], stride[rank-1]
	for len(src) > 0 {
		for i, v := range src[:inner] {
			p := at + i*step
			if p < 0 || p >= len(dst) {
				return errShapes
			}
			dst[p] = v
		}
		src = src[inner:]
		for a := rank - 2; a >= 0; a-- {
			idx[a]++
			at += stride[a]
			if idx[a] < shape[a] {
				break
			}
			at -= stride[a] * idx[a]
			idx[a] = 0
		}
	}
	return nil
}

// gatherGrad is the gradient of Gather: inputs dy, x, indices. Rows that were gathered
// several times receive the sum.
type gatherGrad struct{ axis int }

func (o gatherGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1); err != nil {
		return nil, err
	}
	axis, err := tensor.Axis(o.axis, len(in[1].Shape))
	if err != nil {
		return nil, err
	}
	n := product(in[2].Shape) * product(in[1].Shape[:axis]) * product(in[1].Shape[axis+1:])
	if n != product(in[0].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[1])}, nil
}

func (o gatherGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	idx, err := intsOf(in[2])
	if err != nil {
		return err
	}
	axis, _ := tensor.Axis(o.axis, out[0].Rank())
	s := out[0].Shape()
	if out[0].DType() == tensor.Float64 {
		return scatterRows(tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), idx, product(s[:axis]), s[axis], product(s[axis+1:]))
	}
	return scatterRows(out[0].Float32s(), in[0].Float32s(), idx, product(s[:axis]), s[axis], product(s[axis+1:]))
}

func scatterRows[T floating](dst, src []T, idx []int, outer, n, inner int) error {
	clear(dst)
	for o := range outer {
		for _, k := range idx {
			if k < 0 {
				k += n
			}
			if k < 0 || k >= n {
				return fmt.Errorf("index %d out of range for extent %d", k, n)
			}
			d := dst[(o*n+k)*inner:][:inner]
			for i, v := range src[:inner] {
				d[i] += v
			}
			src = src[inner:]
		}
	}
	return nil
}

// gatherElementsGrad is the gradient of GatherElements: inputs dy, x, indices.
type gatherElementsGrad struct{ axis int }

func (o gatherElementsGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1); err != nil {
		return nil, err
	}
	if _, err := tensor.Axis(o.axis, len(in[1].Shape)); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[2].Shape) || len(in[0].Shape) != len(in[1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[1])}, nil
}

func (o gatherElementsGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	idx, err := intsOf(in[2])
	if err != nil {
		return err
	}
	axis, _ := tensor.Axis(o.axis, out[0].Rank())
	if out[0].DType() == tensor.Float64 {
		return scatterElements(tensor.Data[float64](out[0]), out[0].Shape(), tensor.Data[float64](in[0]), in[0].Shape(), idx, axis)
	}
	return scatterElements(out[0].Float32s(), out[0].Shape(), in[0].Float32s(), in[0].Shape(), idx, axis)
}

func scatterElements[T floating](dst []T, ds tensor.Shape, src []T, ss tensor.Shape, idx []int, axis int) error {
	clear(dst)
	dt, st := ds.Strides(), ss.Strides()
	for i, v := range src {
		at, rest := 0, i
		for a := range ss {
			k := rest / st[a]
			rest %= st[a]
			if a == axis {
				if k = idx[i]; k < 0 {
					k += ds[axis]
				}
			}
			if k < 0 || k >= ds[a] {
				return fmt.Errorf("index %d out of range for extent %d", k, ds[a])
			}
			at += k * dt[a]
		}
		dst[at] += v
	}
	return nil
}

// tileGrad is the gradient of Tile: inputs dy and x; copies are added up.
type tileGrad struct{}

func (tileGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != len(in[1].Shape) {
		return nil, errShapes
	}
	for i, d := range in[0].Shape {
		if n := in[1].Shape[i]; n == 0 && d != 0 || n > 0 && d%n != 0 {
			return nil, errShapes
		}
	}
	return []op.Fact{like(in[1])}, nil
}

func (tileGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		foldTiles(tensor.Data[float64](out[0]), out[0].Shape(), tensor.Data[float64](in[0]), in[0].Shape())
	} else {
		foldTiles(out[0].Float32s(), out[0].Shape(), in[0].Float32s(), in[0].Shape())
	}
	return nil
}

func foldTiles[T floating](dst []T, ds tensor.Shape, src []T, ss tensor.Shape) {
	clear(dst)
	dt, st := ds.Strides(), ss.Strides()
	for i, v := range src {
		at, rest := 0, i
		for a := range ss {
			at += rest / st[a] % ds[a] * dt[a]
			rest %= st[a]
		}
		dst[at] += v
	}
}

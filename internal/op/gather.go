package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

type gatherOp struct {
	types Types
	axis  int
}

func newGather(a *Attrs) (Op, error) { return gatherOp{a.Types(), a.Int("axis", 0)}, nil }

func (o gatherOp) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesIndex); err != nil {
		return nil, err
	}
	s := in[0].Shape
	axis, err := tensor.Axis(o.axis, len(s))
	if err != nil {
		return nil, err
	}
	out := append(tensor.Shape{}, s[:axis]...)
	out = append(out, in[1].Shape...)
	out = append(out, s[axis+1:]...)
	return outFact(in[0].DType, out)
}

func (o gatherOp) Run(_ *Context, out, in []*tensor.Tensor) error {
	s := in[0].Shape()
	axis, _ := tensor.Axis(o.axis, len(s))
	idx := intsOf(in[1])
	if err := checkIndices(idx, s[axis]); err != nil {
		return err
	}
	dst, src := out[0].Bytes(), in[0].Bytes()
	if len(dst) == 0 {
		return nil
	}
	outer := product(s[:axis])
	row := len(src) / outer
	n := row / s[axis]
	for i := range outer {
		r := src[i*row : (i+1)*row]
		for _, k := range idx {
			if k < 0 {
				k += int64(s[axis])
			}
			copy(dst[:n], r[int(k)*n:])
			dst = dst[n:]
		}
	}
	return nil
}

// checkIndices checks that all indices into an axis of d elements are in [-d, d).
func checkIndices(idx []int64, d int) error {
	for _, k := range idx {
		if k < -int64(d) || k >= int64(d) {
			return indexError(k, d)
		}
	}
	return nil
}

func indexError(k int64, d int) error {
	return fmt.Errorf("index %d out of range for an axis of %d elements", k, d)
}

type gatherElements struct {
	types Types
	axis  int
}

func newGatherElements(a *Attrs) (Op, error) { return gatherElements{a.Types(), a.Int("axis", 0)}, nil }

// checkElementIndices checks data and indices of GatherElements and ScatterElements, and
// returns the axis.
func checkElementIndices(in []Fact, axis int) (int, error) {
	if err := wantType(in, 1, typesIndex); err != nil {
		return 0, err
	}
	s, ix := in[0].Shape, in[1].Shape
	ax, err := tensor.Axis(axis, len(s))
	if err != nil {
		return 0, err
	}
	if len(ix) != len(s) {
		return 0, fmt.Errorf("indices have shape %v, data has shape %v", ix, s)
	}
	for i, d := range ix {
		if i != ax && d > s[i] {
			return 0, fmt.Errorf("indices have shape %v, data has shape %v", ix, s)
		}
	}
	return ax, nil
}

func (o gatherElements) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if _, err := checkElementIndices(in, o.axis); err != nil {
		return nil, err
	}
	return []Fact{{DType: in[0].DType, Shape: in[1].Shape}}, nil
}

func (o gatherElements) Run(_ *Context, out, in []*tensor.Tensor) error {
	idx := intsOf(in[1])
	axis, _ := tensor.Axis(o.axis, in[0].Rank())
	if err := checkIndices(idx, in[0].Shape()[axis]); err != nil {
		return err
	}
	switch in[0].DType().Size() {
	case 1:
		gatherElementsRun[uint8](out[0], in[0], idx, axis)
	case 2:
		gatherElementsRun[uint16](out[0], in[0], idx, axis)
	case 4:
		gatherElementsRun[uint32](out[0], in[0], idx, axis)
	case 8:
		gatherElementsRun[uint64](out[0], in[0], idx, axis)
	}
	return nil
}

func gatherElementsRun[T word](out, data *tensor.Tensor, idx []int64, axis int) {
	dst, src := words[T](out), words[T](data)
	eachElementIndex(data.Shape(), out.Shape(), idx, axis, func(i, at int) { dst[i] = src[at] })
}

// eachElementIndex calls f(i, at) for each position i of indices, of shape ix, where at is
// the position in data, of shape s, that it stands for along the axis.
func eachElementIndex(s, ix tensor.Shape, idx []int64, axis int, f func(i, at int)) {
	st := s.Strides()
	pos := make([]int, len(ix))
	base := 0
	for i, k := range idx {
		if k < 0 {
			k += int64(s[axis])
		}
		f(i, base+int(k)*st[axis])
		for a := len(ix) - 1; a >= 0; a-- {
			pos[a]++
			if a != axis {
				base += st[a]
			}
			if pos[a] < ix[a] {
				break
			}
			if a != axis {
				base -= ix[a] * st[a]
			}
			pos[a] = 0
		}
	}
}

type gatherND struct {
	types Types
	batch int
}

func newGatherND(a *Attrs) (Op, error) { return gatherND{a.Types(), a.Int("batch_dims", 0)}, nil }

func (o gatherND) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesOf(tensor.Int64)); err != nil {
		return nil, err
	}
	s, ix := in[0].Shape, in[1].Shape
	b := o.batch
	if len(s) < 1 || len(ix) < 1 || b < 0 || b >= len(s) || b >= len(ix) || !s[:b].Equal(ix[:b]) {
		return nil, fmt.Errorf("data %v and indices %v do not fit batch_dims %d", s, ix, b)
	}
	depth := ix[len(ix)-1]
	if depth < 1 || depth > len(s)-b {
		return nil, fmt.Errorf("indices of shape %v address %d axes of data %v", ix, depth, s)
	}
	out := append(tensor.Shape{}, ix[:len(ix)-1]...)
	out = append(out, s[b+depth:]...)
	return outFact(in[0].DType, out)
}

func (o gatherND) Run(_ *Context, out, in []*tensor.Tensor) error {
	s, ix := in[0].Shape(), in[1].Shape()
	idx := in[1].Int64s()
	depth := ix[len(ix)-1]
	dst, src := out[0].Bytes(), in[0].Bytes()
	if len(dst) == 0 {
		return nil
	}
	batches := product(s[:o.batch])
	item := len(src) / batches // bytes of data for one batch item
	each := len(idx) / depth / batches
	axes := s[o.batch : o.batch+depth]
	n := in[0].DType().Size() * product(s[o.batch+depth:])
	for b := range batches {
		data := src[b*item : (b+1)*item]
		for range each {
			at, err := offsetND(idx[:depth], axes)
			if err != nil {
				return err
			}
			copy(dst[:n], data[at*n:])
			dst, idx = dst[n:], idx[depth:]
		}
	}
	return nil
}

// offsetND returns the row-major position of an index tuple in axes of the given extents.
func offsetND(idx []int64, axes []int) (int, error) {
	at := 0
	for i, d := range axes {
		k := idx[i]
		if k < -int64(d) || k >= int64(d) {
			return 0, indexError(k, d)
		}
		if k < 0 {
			k += int64(d)
		}
		at = at*d + int(k)
	}
	return at, nil
}

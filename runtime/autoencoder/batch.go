package autoencoder

import (
	"context"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// runBatches runs s on n samples, which are the rows of every input, at most batch at a
// time. Every output must have a row for each sample.
func runBatches(ctx context.Context, s *runtime.Session, batch, n int, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	fixed := fixedBatch(s)
	if fixed > 0 {
		batch = fixed
	}
	var out map[string]*tensor.Tensor
	piece := make(map[string]*tensor.Tensor, len(in))
	for lo := 0; lo < n; lo += batch {
		rows := min(batch, n-lo)
		size := rows
		if fixed > 0 {
			size = fixed
		}
		for name, t := range in {
			p, err := rowsOf(t, lo, rows, size)
			if err != nil {
				return nil, err
			}
			piece[name] = p
		}
		got, err := s.Run(ctx, piece)
		if err != nil {
			return nil, err
		}
		for name, t := range got {
			if t.Rank() == 0 || t.Shape()[0] != size {
				return nil, errorf("output %q is %v: it does not have one row for each of %d samples", name, t, size)
			}
		}
		if rows == n && rows == size {
			return got, nil
		}
		if out == nil {
			out = make(map[string]*tensor.Tensor, len(got))
			for name, t := range got {
				shape := t.Shape().Clone()
				shape[0] = n
				if out[name], err = tensor.New(t.DType(), shape...); err != nil {
					return nil, err
				}
			}
		}
		for name, t := range got {
			row := len(t.Bytes()) / size
			if len(out[name].Bytes()) != n*row {
				return nil, errorf("output %q changes its shape between batches", name)
			}
			copy(out[name].Bytes()[lo*row:], t.Bytes()[:rows*row])
		}
	}
	return out, nil
}

// fixedBatch is the number of samples that a session must be given, 0 if any will do. What
// the outputs say counts where the shapes of inputs are not declared.
func fixedBatch(s *runtime.Session) int {
	known := false
	for _, v := range s.Inputs() {
		if len(v.Shape) == 0 {
			continue
		}
		known = true
		if v.Shape[0] > 0 {
			return v.Shape[0]
		}
	}
	for _, v := range s.Outputs() {
		if !known && len(v.Shape) > 0 && v.Shape[0] > 0 {
			return v.Shape[0]
		}
	}
	return 0
}

// rowsOf returns rows [lo, lo+rows) of t: a view, or a copy with zero rows up to size.
func rowsOf(t *tensor.Tensor, lo, rows, size int) (*tensor.Tensor, error) {
	n := t.Shape()[0]
	if lo == 0 && rows == n && size == n {
		return t, nil
	}
	shape := t.Shape().Clone()
	shape[0] = size
	row := len(t.Bytes()) / n
	b := t.Bytes()[lo*row : (lo+rows)*row]
	if size == rows {
		return tensor.FromBytes(t.DType(), b, shape...)
	}
	p, err := tensor.New(t.DType(), shape...)
	if err != nil {
		return nil, err
	}
	copy(p.Bytes(), b)
	return p, nil
}

// fromFloats converts values to a tensor; integers are rounded to nearest, halves to even,
// and clamped to the type's range.
func fromFloats(dtype tensor.DType, v []float32, shape ...int) (*tensor.Tensor, error) {
	if dtype == tensor.Float32 || dtype == tensor.Undefined {
		return tensor.Of(v, shape...)
	}
	t, err := tensor.New(dtype, shape...)
	if err != nil {
		return nil, err
	}
	if t.Elems() != len(v) {
		return nil, errorf("shape %v does not hold %d elements", t.Shape(), len(v))
	}
	switch dtype {
	case tensor.Float64:
		for i, d := 0, tensor.Data[float64](t); i < len(d); i++ {
			d[i] = float64(v[i])
		}
	case tensor.Float16:
		for i, d := 0, tensor.Data[tensor.F16](t); i < len(d); i++ {
			d[i] = tensor.ToF16(v[i])
		}
	case tensor.BFloat16:
		for i, d := 0, tensor.Data[tensor.BF16](t); i < len(d); i++ {
			d[i] = tensor.ToBF16(v[i])
		}
	case tensor.Uint8:
		for i, d := 0, tensor.Data[uint8](t); i < len(d); i++ {
			d[i] = uint8(rounded(v[i], 0, 255))
		}
	case tensor.Int8:
		for i, d := 0, tensor.Data[int8](t); i < len(d); i++ {
			d[i] = int8(rounded(v[i], -128, 127))
		}
	case tensor.Int32:
		for i, d := 0, tensor.Data[int32](t); i < len(d); i++ {
			d[i] = int32(rounded(v[i], -1<<31, 1<<31-1))
		}
	case tensor.Int64:
		for i, d := 0, tensor.Data[int64](t); i < len(d); i++ {
			d[i] = int64(rounded(v[i], -1<<53, 1<<53))
		}
	case tensor.Bool:
		for i, d := 0, tensor.Data[bool](t); i < len(d); i++ {
			d[i] = v[i] != 0
		}
	default:
		return nil, errorf("values of type %v are not supported here", dtype)
	}
	return t, nil
}

// toFloats returns the elements as float32: the tensor's memory where it has that type.
func toFloats(t *tensor.Tensor) ([]float32, error) {
	if t.DType() == tensor.Float32 {
		return t.Float32s(), nil
	}
	v := make([]float32, t.Elems())
	switch t.DType() {
	case tensor.Float64:
		for i, x := range tensor.Data[float64](t) {
			v[i] = float32(x)
		}
	case tensor.Float16:
		for i, x := range tensor.Data[tensor.F16](t) {
			v[i] = x.Float32()
		}
	case tensor.BFloat16:
		for i, x := range tensor.Data[tensor.BF16](t) {
			v[i] = x.Float32()
		}
	case tensor.Uint8:
		for i, x := range tensor.Data[uint8](t) {
			v[i] = float32(x)
		}
	case tensor.Int8:
		for i, x := range tensor.Data[int8](t) {
			v[i] = float32(x)
		}
	case tensor.Int32:
		for i, x := range tensor.Data[int32](t) {
			v[i] = float32(x)
		}
	case tensor.Int64:
		for i, x := range tensor.Data[int64](t) {
			v[i] = float32(x)
		}
	case tensor.Bool:
		for i, x := range tensor.Data[bool](t) {
			if x {
				v[i] = 1
			}
		}
	default:
		return nil, errorf("values of type %v are not supported here", t.DType())
	}
	return v, nil
}

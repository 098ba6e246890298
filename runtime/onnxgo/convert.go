package onnxgo

import (
	"fmt"
	"maps"
	"math"
	"slices"

	gorgonia "gorgonia.org/tensor"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// fromGorgonia returns a tensor with the elements of t. It shares t's memory where that is
// contiguous and in row-major order.
func fromGorgonia(t gorgonia.Tensor) (*tensor.Tensor, error) {
	d, ok := t.(*gorgonia.Dense)
	if !ok {
		return nil, fmt.Errorf("onnxgo: tensors of type %T are not supported", t)
	}
	switch data := d.Data().(type) {
	case []float32:
		return fromSlice(d, data)
	case []float64:
		return fromSlice(d, data)
	case []int8:
		return fromSlice(d, data)
	case []int16:
		return fromSlice(d, data)
	case []int32:
		return fromSlice(d, data)
	case []int64:
		return fromSlice(d, data)
	case []uint8:
		return fromSlice(d, data)
	case []uint16:
		return fromSlice(d, data)
	case []uint32:
		return fromSlice(d, data)
	case []uint64:
		return fromSlice(d, data)
	case []bool:
		return fromSlice(d, data)
	case []int:
		wide := make([]int64, len(data))
		for i, v := range data {
			wide[i] = int64(v)
		}
		return fromSlice(d, wide)
	case float32:
		return fromScalar(d, data)
	case float64:
		return fromScalar(d, data)
	case int8:
		return fromScalar(d, data)
	case int16:
		return fromScalar(d, data)
	case int32:
		return fromScalar(d, data)
	case int64:
		return fromScalar(d, data)
	case int:
		return fromScalar(d, int64(data))
	case uint8:
		return fromScalar(d, data)
	case uint16:
		return fromScalar(d, data)
	case uint32:
		return fromScalar(d, data)
	case uint64:
		return fromScalar(d, data)
	case bool:
		return fromScalar(d, data)
	}
	return nil, fmt.Errorf("onnxgo: tensors with elements of type %v are not supported", d.Dtype())
}

func fromScalar[T tensor.Element](d *gorgonia.Dense, v T) (*tensor.Tensor, error) {
	return tensor.Of([]T{v}, d.Shape()...)
}

func fromSlice[T tensor.Element](d *gorgonia.Dense, data []T) (*tensor.Tensor, error) {
	n := d.Shape().TotalSize()
	if d.Shape().IsScalar() {
		n = 1
	}
	if !d.RequiresIterator() && d.DataOrder().IsRowMajor() && len(data) == n {
		return tensor.Of(data, d.Shape()...)
	}
	// Positions in memory, in the order of the indices.
	out := make([]T, 0, n)
	strides := d.Strides()
	index := make([]int, len(d.Shape()))
	for range n {
		at := 0
		for k, i := range index {
			if k < len(strides) {
				at += i * strides[k]
			}
		}
		if at < 0 || at >= len(data) {
			return nil, fmt.Errorf("onnxgo: strides %v of a tensor of shape %v lead out of its %d elements", strides, d.Shape(), len(data))
		}
		out = append(out, data[at])
		for k := len(index) - 1; k >= 0; k-- {
			if index[k]++; index[k] < d.Shape()[k] {
				break
			}
			index[k] = 0
		}
	}
	return tensor.Of(out, d.Shape()...)
}

// dtypeOf returns the element type of ONNX for one of gorgonia, or Undefined.
func dtypeOf(d gorgonia.Dtype) tensor.DType {
	for _, p := range []struct {
		g gorgonia.Dtype
		d tensor.DType
	}{
		{gorgonia.Float32, tensor.Float32}, {gorgonia.Float64, tensor.Float64}, {gorgonia.Int8, tensor.Int8},
		{gorgonia.Int16, tensor.Int16}, {gorgonia.Int32, tensor.Int32}, {gorgonia.Int64, tensor.Int64}, {gorgonia.Int, tensor.Int64},
		{gorgonia.Uint8, tensor.Uint8}, {gorgonia.Uint16, tensor.Uint16}, {gorgonia.Uint32, tensor.Uint32},
		{gorgonia.Uint64, tensor.Uint64}, {gorgonia.Bool, tensor.Bool},
	} {
		if p.g == d {
			return p.d
		}
	}
	return tensor.Undefined
}

// exact returns t with elements of another type. It fails if an element has no equal there.
func exact(t *tensor.Tensor, want tensor.DType) (*tensor.Tensor, error) {
	if want == tensor.Undefined || want == t.DType() {
		return t, nil
	}
	switch t.DType() {
	case tensor.Float32:
		return exactFrom[float32](t, want)
	case tensor.Float64:
		return exactFrom[float64](t, want)
	case tensor.Int8:
		return exactFrom[int8](t, want)
	case tensor.Int16:
		return exactFrom[int16](t, want)
	case tensor.Int32:
		return exactFrom[int32](t, want)
	case tensor.Int64:
		return exactFrom[int64](t, want)
	case tensor.Uint8:
		return exactFrom[uint8](t, want)
	case tensor.Uint16:
		return exactFrom[uint16](t, want)
	case tensor.Uint32:
		return exactFrom[uint32](t, want)
	case tensor.Uint64:
		return exactFrom[uint64](t, want)
	}
	return nil, fmt.Errorf("onnxgo: elements of type %v, want %v", t.DType(), want)
}

type number interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

func exactFrom[F interface {
	number
	tensor.Element
}](t *tensor.Tensor, want tensor.DType) (*tensor.Tensor, error) {
	v := tensor.Data[F](t)
	switch want {
	case tensor.Float32:
		return exactTo[F, float32](t, v)
	case tensor.Float64:
		return exactTo[F, float64](t, v)
	case tensor.Int8:
		return exactTo[F, int8](t, v)
	case tensor.Int16:
		return exactTo[F, int16](t, v)
	case tensor.Int32:
		return exactTo[F, int32](t, v)
	case tensor.Int64:
		return exactTo[F, int64](t, v)
	case tensor.Uint8:
		return exactTo[F, uint8](t, v)
	case tensor.Uint16:
		return exactTo[F, uint16](t, v)
	case tensor.Uint32:
		return exactTo[F, uint32](t, v)
	case tensor.Uint64:
		return exactTo[F, uint64](t, v)
	}
	return nil, fmt.Errorf("onnxgo: elements of type %v, want %v", t.DType(), want)
}

// exactTo converts numbers up to 2^53, which float64 holds exactly, and NaN and infinities
// between the floating-point types.
func exactTo[F number, T interface {
	number
	tensor.Element
}](t *tensor.Tensor, v []F) (*tensor.Tensor, error) {
	out := make([]T, len(v))
	lo, hi, float := limits(tensor.DTypeOf[T]())
	for i, x := range v {
		f := float64(x)
		special := f-f != 0
		if special && !float || !special && (f < lo || f > hi || math.Abs(f) > 1<<53) {
			return nil, fmt.Errorf("onnxgo: element %v has no equal of type %v", x, tensor.DTypeOf[T]())
		}
		out[i] = T(f)
		if !special && float64(out[i]) != f {
			return nil, fmt.Errorf("onnxgo: element %v has no equal of type %v", x, tensor.DTypeOf[T]())
		}
	}
	return tensor.Of(out, t.Shape()...)
}

// limits returns the range of a type, and whether it is a floating-point type.
func limits(d tensor.DType) (lo, hi float64, float bool) {
	bits := float64(8 * d.Size())
	switch {
	case d.IsFloat():
		return -math.MaxFloat64, math.MaxFloat64, true
	case d.IsSigned():
		return -math.Exp2(bits - 1), math.Exp2(bits-1) - 1, false
	}
	return 0, math.Exp2(bits) - 1, false
}

// toGorgonia returns a tensor over t's memory.
func toGorgonia(t *tensor.Tensor) (gorgonia.Tensor, error) {
	var backing any
	switch t.DType() {
	case tensor.Float32:
		backing = tensor.Data[float32](t)
	case tensor.Float64:
		backing = tensor.Data[float64](t)
	case tensor.Int8:
		backing = tensor.Data[int8](t)
	case tensor.Int16:
		backing = tensor.Data[int16](t)
	case tensor.Int32:
		backing = tensor.Data[int32](t)
	case tensor.Int64:
		backing = tensor.Data[int64](t)
	case tensor.Uint8:
		backing = tensor.Data[uint8](t)
	case tensor.Uint16:
		backing = tensor.Data[uint16](t)
	case tensor.Uint32:
		backing = tensor.Data[uint32](t)
	case tensor.Uint64:
		backing = tensor.Data[uint64](t)
	case tensor.Bool:
		backing = tensor.Data[bool](t)
	default:
		return nil, fmt.Errorf("onnxgo: results of type %v are not supported", t.DType())
	}
	if t.Elems() == 0 {
		return nil, fmt.Errorf("onnxgo: a result of shape %v has no elements, which onnx-go's tensors cannot say", t.Shape())
	}
	if t.Rank() == 0 {
		// WithShape() without extents is a scalar; its backing stays a slice of one.
		return gorgonia.New(gorgonia.WithShape(), gorgonia.WithBacking(backing)), nil
	}
	return gorgonia.New(gorgonia.WithShape(t.Shape()...), gorgonia.WithBacking(backing)), nil
}

// attributes returns the attributes of an operation, sorted by name.
func attributes(attrs map[string]any) ([]*onnx.Attribute, error) {
	var out []*onnx.Attribute
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		switch v := attrs[name].(type) {
		case float32:
			out = append(out, onnx.AttrF(name, v))
		case int64:
			out = append(out, onnx.AttrI(name, v))
		case string:
			out = append(out, onnx.AttrS(name, v))
		case []float32:
			out = append(out, onnx.AttrFs(name, v...))
		case []int64:
			out = append(out, onnx.AttrIs(name, v...))
		case []string:
			out = append(out, onnx.AttrSs(name, v...))
		case gorgonia.Tensor:
			t, err := fromGorgonia(v)
			if err != nil {
				return nil, fmt.Errorf("attribute %q: %w", name, err)
			}
			out = append(out, onnx.AttrT(name, t))
		default:
			return nil, fmt.Errorf("onnxgo: attribute %q has a value of type %T", name, v)
		}
	}
	return out, nil
}

package op

import (
	"math"

	"github.com/aekit/aekit/tensor"
)

// numbers64 returns the elements of a numeric tensor as float64.
func numbers64(t *tensor.Tensor) []float64 {
	switch t.DType() {
	case tensor.Int8:
		return toFloats(tensor.Data[int8](t))
	case tensor.Int16:
		return toFloats(tensor.Data[int16](t))
	case tensor.Int32:
		return toFloats(tensor.Data[int32](t))
	case tensor.Int64:
		return toFloats(tensor.Data[int64](t))
	case tensor.Uint8:
		return toFloats(tensor.Data[uint8](t))
	case tensor.Uint16:
		return toFloats(tensor.Data[uint16](t))
	case tensor.Uint32:
		return toFloats(tensor.Data[uint32](t))
	case tensor.Uint64:
		return toFloats(tensor.Data[uint64](t))
	}
	return floats64(nil, t)
}

func toFloats[T integer](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// setNumbers stores values in a numeric tensor. Integers are cut off towards zero and held
// within their range; a NaN becomes 0.
func setNumbers(t *tensor.Tensor, v []float64) {
	switch t.DType() {
	case tensor.Int8:
		fromFloats(tensor.Data[int8](t), v, math.MinInt8, math.MaxInt8)
	case tensor.Int16:
		fromFloats(tensor.Data[int16](t), v, math.MinInt16, math.MaxInt16)
	case tensor.Int32:
		fromFloats(tensor.Data[int32](t), v, math.MinInt32, math.MaxInt32)
	case tensor.Int64:
		fromFloats(tensor.Data[int64](t), v, math.MinInt64, math.MaxInt64)
	case tensor.Uint8:
		fromFloats(tensor.Data[uint8](t), v, 0, math.MaxUint8)
	case tensor.Uint16:
		fromFloats(tensor.Data[uint16](t), v, 0, math.MaxUint16)
	case tensor.Uint32:
		fromFloats(tensor.Data[uint32](t), v, 0, math.MaxUint32)
	case tensor.Uint64:
		fromFloats(tensor.Data[uint64](t), v, 0, math.MaxUint64)
	default:
		setFloats(t, v)
	}
}

func fromFloats[T integer](dst []T, v []float64, least, most T) {
	for i, x := range v {
		switch {
		case x != x:
			dst[i] = 0
		case x <= float64(least):
			dst[i] = least
		case x >= float64(most):
			dst[i] = most
		default:
			dst[i] = T(x)
		}
	}
}

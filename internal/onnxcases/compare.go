package onnxcases

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Tolerance says how far a result may be from what is expected.
type Tolerance struct{ Rel, Abs float64 }

// Default is the tolerance of the ONNX backend tests.
var Default = Tolerance{Rel: 1e-3, Abs: 1e-7}

// Diff is the outcome of a comparison.
type Diff struct {
	MaxAbs float64 // largest |got-want|; +Inf where only one of the two is not finite
	MaxRel float64 // largest |got-want|/|want| over elements with want ≠ 0
	Bad    int     // elements out of tolerance
	Elems  int
	First  string // the first element out of tolerance, "[1 2]: 0.5, want 0.25"; "" if none
}

// Compare compares a result with the expected tensor. Floating-point elements agree if
// |got-want| ≤ Abs + Rel·|want|, or if both are NaN or the same infinity; integers and bools
// if |got-want| ≤ Abs. Another element type, another shape and a type that package tensor
// cannot represent are errors.
func Compare(got *tensor.Tensor, want *onnx.Tensor, tol Tolerance) (Diff, error) {
	var d Diff
	if want.Value == nil {
		return d, fmt.Errorf("expected tensor of type %v cannot be compared", want.DType)
	}
	if got == nil {
		return d, fmt.Errorf("no result, want %v", want.Value)
	}
	if got.DType() != want.Value.DType() || !got.Shape().Equal(want.Value.Shape()) {
		return d, fmt.Errorf("result is %v, want %v", got, want.Value)
	}
	if !got.DType().IsFloat() {
		tol.Rel = 0
	}
	c := comparison{tol: tol, shape: got.Shape()}
	w := want.Value
	switch got.DType() {
	case tensor.Float32:
		compare(&c, tensor.Data[float32](got), tensor.Data[float32](w), floats[float32])
	case tensor.Float64:
		compare(&c, tensor.Data[float64](got), tensor.Data[float64](w), floats[float64])
	case tensor.Float16:
		compare(&c, tensor.Data[tensor.F16](got), tensor.Data[tensor.F16](w), halves[tensor.F16])
	case tensor.BFloat16:
		compare(&c, tensor.Data[tensor.BF16](got), tensor.Data[tensor.BF16](w), halves[tensor.BF16])
	case tensor.Int8:
		compare(&c, tensor.Data[int8](got), tensor.Data[int8](w), ints[int8])
	case tensor.Int16:
		compare(&c, tensor.Data[int16](got), tensor.Data[int16](w), ints[int16])
	case tensor.Int32:
		compare(&c, tensor.Data[int32](got), tensor.Data[int32](w), ints[int32])
	case tensor.Int64:
		compare(&c, tensor.Data[int64](got), tensor.Data[int64](w), ints[int64])
	case tensor.Uint8:
		compare(&c, tensor.Data[uint8](got), tensor.Data[uint8](w), ints[uint8])
	case tensor.Uint16:
		compare(&c, tensor.Data[uint16](got), tensor.Data[uint16](w), ints[uint16])
	case tensor.Uint32:
		compare(&c, tensor.Data[uint32](got), tensor.Data[uint32](w), ints[uint32])
	case tensor.Uint64:
		compare(&c, tensor.Data[uint64](got), tensor.Data[uint64](w), ints[uint64])
	case tensor.Bool:
		compare(&c, tensor.Data[bool](got), tensor.Data[bool](w), func(a, b bool) (float64, float64, float64) {
			if a == b {
				return 1, 1, 0
			}
			return 0, 1, 1
		})
	case tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ, tensor.Float8E8M0, tensor.Float4E2M1,
		tensor.Uint4, tensor.Int4, tensor.Uint2, tensor.Int2:
		compare(&c, narrowValues(got), narrowValues(w), floats[float32])
	default:
		return d, fmt.Errorf("tensors of type %v cannot be compared", got.DType())
	}
	return c.Diff, nil
}

type comparison struct {
	Diff
	tol   Tolerance
	shape tensor.Shape
}

// compare walks both slices; f returns an element of each as numbers and their distance.
func compare[T tensor.Element](c *comparison, got, want []T, f func(a, b T) (float64, float64, float64)) {
	c.Elems = len(got)
	for i := range got {
		a, b, d := f(got[i], want[i])
		c.MaxAbs = max(c.MaxAbs, d)
		if b != 0 && d != 0 {
			rel := d / math.Abs(b)
			if math.IsNaN(rel) {
				rel = math.Inf(1)
			}
			c.MaxRel = max(c.MaxRel, rel)
		}
		if d == 0 || d <= c.tol.Abs+c.tol.Rel*math.Abs(b) && !math.IsInf(d, 0) {
			continue
		}
		if c.Bad++; c.Bad == 1 {
			c.First = fmt.Sprintf("%v: %v, want %v", c.index(i), a, b)
		}
	}
}

func (c *comparison) index(i int) tensor.Shape {
	at := make(tensor.Shape, len(c.shape))
	for k, s := range c.shape.Strides() {
		at[k], i = i/s, i%s
	}
	return at
}

func floats[T float32 | float64](x, y T) (float64, float64, float64) {
	a, b := float64(x), float64(y)
	switch d := math.Abs(a - b); {
	case a == b || a != a && b != b:
		return a, b, 0
	case math.IsNaN(d):
		return a, b, math.Inf(1)
	default:
		return a, b, d
	}
}

func narrowValues(t *tensor.Tensor) []float32 {
	v := make([]float32, t.Elems())
	for i, c := range t.Bytes() {
		v[i] = tensor.NarrowFloat32(t.DType(), c)
	}
	return v
}

func halves[T interface{ Float32() float32 }](x, y T) (float64, float64, float64) {
	return floats(x.Float32(), y.Float32())
}

func ints[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](x, y T) (float64, float64, float64) {
	// Modulo 2^64 the difference of the larger and the smaller is exact for every type.
	lo, hi := min(x, y), max(x, y)
	return float64(x), float64(y), float64(uint64(hi) - uint64(lo))
}

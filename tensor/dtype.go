package tensor

import "fmt"

// DType is the type of a tensor's elements. The values are those of the ONNX
// enumeration TensorProto.DataType (ONNX IR specification, "Tensor Element Types").
type DType uint8

// Element types. String and the complex types can be named in a model but have no
// representation in a [Tensor].
const (
	Undefined  DType = 0
	Float32    DType = 1
	Uint8      DType = 2
	Int8       DType = 3
	Uint16     DType = 4
	Int16      DType = 5
	Int32      DType = 6
	Int64      DType = 7
	String     DType = 8
	Bool       DType = 9
	Float16    DType = 10
	Float64    DType = 11
	Uint32     DType = 12
	Uint64     DType = 13
	Complex64  DType = 14
	Complex128 DType = 15
	BFloat16   DType = 16

	// Types that a Tensor stores, one byte for each element, and that no Go type stands for:
	// see [NarrowFloat32]. Integers of 4 and 2 bits are sign- or zero-extended.
	Float8E4M3FN   DType = 17
	Float8E4M3FNUZ DType = 18
	Float8E5M2     DType = 19
	Float8E5M2FNUZ DType = 20
	Uint4          DType = 21
	Int4           DType = 22
	Float4E2M1     DType = 23
	Float8E8M0     DType = 24
	Uint2          DType = 25
	Int2           DType = 26
)

var dtypes = [...]struct {
	name string
	size int
}{
	Undefined:  {"undefined", 0},
	Float32:    {"float32", 4},
	Uint8:      {"uint8", 1},
	Int8:       {"int8", 1},
	Uint16:     {"uint16", 2},
	Int16:      {"int16", 2},
	Int32:      {"int32", 4},
	Int64:      {"int64", 8},
	String:     {"string", 0},
	Bool:       {"bool", 1},
	Float16:    {"float16", 2},
	Float64:    {"float64", 8},
	Uint32:     {"uint32", 4},
	Uint64:     {"uint64", 8},
	Complex64:  {"complex64", 0},
	Complex128: {"complex128", 0},
	BFloat16:   {"bfloat16", 2},

	Float8E4M3FN:   {"float8e4m3fn", 1},
	Float8E4M3FNUZ: {"float8e4m3fnuz", 1},
	Float8E5M2:     {"float8e5m2", 1},
	Float8E5M2FNUZ: {"float8e5m2fnuz", 1},
	Uint4:          {"uint4", 1},
	Int4:           {"int4", 1},
	Float4E2M1:     {"float4e2m1", 1},
	Float8E8M0:     {"float8e8m0", 1},
	Uint2:          {"uint2", 1},
	Int2:           {"int2", 1},
}

// Size returns the bytes of one element in memory, 0 for types that a Tensor cannot hold.
func (d DType) Size() int {
	if int(d) < len(dtypes) {
		return dtypes[d].size
	}
	return 0
}

// String returns the lower-case name, for example "float32".
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// ParseDType is the inverse of [DType.String].
func ParseDType(name string) (DType, error) {
	for d := range dtypes {
		if d != 0 && dtypes[d].name == name {
			return DType(d), nil
		}
	}
	return Undefined, fmt.Errorf("tensor: unknown element type %q", name)
}

// IsNarrow reports whether d is one of the types whose elements are stored as bytes and
// have no Go type: 8-bit and 4-bit floats, 4-bit and 2-bit integers.
func (d DType) IsNarrow() bool { return d >= Float8E4M3FN && d <= Int2 }

// IsFloat reports whether d is a floating-point type of at least 16 bits.
func (d DType) IsFloat() bool {
	return d == Float32 || d == Float64 || d == Float16 || d == BFloat16
}

// IsInteger reports whether d is a signed or unsigned integer type of at least 8 bits (not
// Bool).
func (d DType) IsInteger() bool {
	switch d {
	case Uint8, Int8, Uint16, Int16, Int32, Int64, Uint32, Uint64:
		return true
	}
	return false
}

// IsSigned reports whether d, which is not narrow, can hold negative values.
func (d DType) IsSigned() bool {
	return d.IsFloat() || d == Int8 || d == Int16 || d == Int32 || d == Int64
}

// F16 is an IEEE 754 binary16 value, stored as its bits.
type F16 uint16

// BF16 is a bfloat16 value (the upper half of a binary32), stored as its bits.
type BF16 uint16

// Element is the set of Go types that elements of a Tensor are viewed as.
type Element interface {
	float32 | float64 | F16 | BF16 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | bool
}

// DTypeOf returns the DType whose elements have the Go type T.
func DTypeOf[T Element]() DType {
	var z T
	switch any(z).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case F16:
		return Float16
	case BF16:
		return BFloat16
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	case bool:
		return Bool
	}
	return Undefined
}

package op

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/aekit/aekit/tensor"
)

// Types is a set of element types.
type Types uint32

//go:noinline
func typesOf(ds ...tensor.DType) Types {
	var t Types
	for _, d := range ds {
		t |= 1 << d
	}
	return t
}

// Sets of element types that operators share.
const (
	typesFloat32  Types = 1 << tensor.Float32
	typesHalf     Types = 1<<tensor.Float16 | 1<<tensor.BFloat16
	typesFloat    Types = typesFloat32 | 1<<tensor.Float64 | typesHalf
	typesSigned   Types = 1<<tensor.Int8 | 1<<tensor.Int16 | 1<<tensor.Int32 | 1<<tensor.Int64
	typesUnsigned Types = 1<<tensor.Uint8 | 1<<tensor.Uint16 | 1<<tensor.Uint32 | 1<<tensor.Uint64
	typesInt      Types = typesSigned | typesUnsigned
	typesNum      Types = typesFloat | typesInt
	typesBool     Types = 1 << tensor.Bool
	typesAll      Types = typesNum | typesBool
	typesMatMul   Types = typesFloat | 1<<tensor.Int32 | 1<<tensor.Int64 | 1<<tensor.Uint32 | 1<<tensor.Uint64
	typesIndex    Types = 1<<tensor.Int32 | 1<<tensor.Int64
)

// Has reports whether d is in the set.
func (t Types) Has(d tensor.DType) bool { return d < 32 && t>>d&1 == 1 }

// String lists the names of the types in ONNX order, for example "float32 float64".
func (t Types) String() string {
	var s []string
	for d := tensor.DType(1); d < 32; d++ {
		if t.Has(d) {
			s = append(s, d.String())
		}
	}
	return strings.Join(s, " ")
}

// arity checks that a node has between least and most inputs, of which the first least
// are not omitted. A negative most stands for any number.
func arity(in []Fact, least, most int) error {
	if len(in) < least || most >= 0 && len(in) > most {
		switch {
		case most < 0:
			return fmt.Errorf("%d inputs, want at least %d", len(in), least)
		case least == most:
			return fmt.Errorf("%d inputs, want %d", len(in), least)
		}
		return fmt.Errorf("%d inputs, want %d to %d", len(in), least, most)
	}
	for i := range least {
		if !in[i].Present() {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	return nil
}

// present reports whether input i is given.
func present(in []Fact, i int) bool { return i < len(in) && in[i].Present() }

// given returns input i, or nil where it is omitted.
func given(in []*tensor.Tensor, i int) *tensor.Tensor {
	if i < len(in) {
		return in[i]
	}
	return nil
}

// wantType checks the element type of input i.
func wantType(in []Fact, i int, set Types) error {
	if !set.Has(in[i].DType) {
		return fmt.Errorf("input %d: type %v is not supported, want one of %v", i, in[i].DType, set)
	}
	return nil
}

// wantSame checks that the listed inputs have the type of the first of them.
func wantSame(in []Fact, idx ...int) error {
	for _, i := range idx[1:] {
		if in[i].DType != in[idx[0]].DType {
			return fmt.Errorf("inputs %d and %d have different types: %v and %v", idx[0], i, in[idx[0]].DType, in[i].DType)
		}
	}
	return nil
}

// outFact returns the fact of an output and checks that its number of elements fits an int.
func outFact(d tensor.DType, s tensor.Shape) ([]Fact, error) {
	if _, ok := s.Elems(); !ok {
		return nil, tooLargef("output shape %v has too many elements", s)
	}
	return []Fact{{DType: d, Shape: s}}, nil
}

// constInts returns the elements of input i, which must be int32 or int64 and have a known
// value, or an error that wraps ErrDeferred. It accepts rank 0 and 1.
func constInts(in []Fact, i int) ([]int64, error) {
	if err := wantType(in, i, typesIndex); err != nil {
		return nil, err
	}
	if len(in[i].Shape) > 1 {
		return nil, fmt.Errorf("input %d: shape %v, want rank 1", i, in[i].Shape)
	}
	if in[i].Const == nil {
		return nil, fmt.Errorf("input %d: %w", i, ErrDeferred)
	}
	return intsOf(in[i].Const), nil
}

// intsOf returns the elements of an int32 or int64 tensor. The result must not be changed.
func intsOf(t *tensor.Tensor) []int64 {
	if t.DType() == tensor.Int64 {
		return t.Int64s()
	}
	src := tensor.Data[int32](t)
	out := make([]int64, len(src))
	for i, v := range src {
		out[i] = int64(v)
	}
	return out
}

// constInt returns the value of a one-element integer input.
func constInt(in []Fact, i int) (int64, error) {
	v, err := constInts(in, i)
	if err != nil {
		return 0, err
	}
	if len(v) != 1 {
		return 0, fmt.Errorf("input %d has %d elements, want 1", i, len(v))
	}
	return v[0], nil
}

// toInt converts v, which int may not be able to hold.
//
//go:noinline
func toInt(v int64) (int, error) {
	if int64(int(v)) != v {
		return 0, tooLargef("value %d is beyond what an int counts", v)
	}
	return int(v), nil
}

// clampInt converts an offset of which only the order against extents matters.
func clampInt(v int64) int { return int(min(max(v, -maxExtent), maxExtent)) }

// axesOf turns axes of a tensor of the given rank into a set, and checks that each is in
// range and none is repeated.
func axesOf[T int | int64](axes []T, rank int) ([]bool, error) {
	set := make([]bool, rank)
	for _, v := range axes {
		i, err := toInt(int64(v))
		if err != nil {
			return nil, err
		}
		a, err := tensor.Axis(i, rank)
		if err != nil {
			return nil, err
		}
		if set[a] {
			return nil, fmt.Errorf("axis %d is repeated in %v", a, axes)
		}
		set[a] = true
	}
	return set, nil
}

// product returns the product of extents that are known not to overflow.
//
//go:noinline
func product(s []int) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// word is the set of types that movement of elements works with, one for each size.
type word interface {
	uint8 | uint16 | uint32 | uint64
}

// words views the elements of a tensor whose element size is that of T.
func words[T word](t *tensor.Tensor) []T {
	b := t.Bytes()
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(z)))
}

// number is the set of Go types that generic arithmetic works with. Half-precision types
// go through float32; see viaFloat32.
type number interface {
	float32 | float64 | integer
}

type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

type floating interface{ float32 | float64 }

func isHalf(d tensor.DType) bool { return d == tensor.Float16 || d == tensor.BFloat16 }

// Package tensor holds n-dimensional arrays: an element type, a shape and the memory.
// It does no arithmetic.
//
// Elements lie contiguously in row-major order, in the byte order of the machine. A
// Tensor's methods may be called from several goroutines at once; access to the elements
// follows the rules of slices.
package tensor

import (
	"fmt"
	"unsafe"
)

// Align is the alignment in bytes of memory that this package allocates: one cache line,
// and the width of the widest vector register in use.
const Align = 64

// Tensor is a view of typed memory. The zero value is an empty tensor of undefined type.
type Tensor struct {
	dtype DType
	late  lateValues // not nil: in place of data
	shape Shape
	data  []byte
}

// New returns a zero-filled tensor. It fails if the type has no representation, or if the
// shape has negative extents or more bytes than an int counts.
func New(dtype DType, shape ...int) (*Tensor, error) {
	n, err := ByteSize(dtype, shape)
	if err != nil {
		return nil, err
	}
	return &Tensor{dtype: dtype, shape: Shape(shape).Clone(), data: AlignedBytes(n)}, nil
}

// ByteSize returns the bytes that a tensor of this type and shape takes.
func ByteSize(dtype DType, shape Shape) (int, error) {
	size := dtype.Size()
	if size == 0 {
		return 0, fmt.Errorf("tensor: elements of type %v cannot be stored", dtype)
	}
	n, ok := shape.Elems()
	if !ok || n > maxBytes/size {
		return 0, fmt.Errorf("tensor: shape %v of %v is negative or too large", shape, dtype)
	}
	return n * size, nil
}

const maxBytes = int(^uint(0)>>1) - Align

// AlignedBytes returns n zero bytes that start at a multiple of [Align].
//
//go:noinline
func AlignedBytes(n int) []byte {
	if n == 0 {
		return []byte{}
	}
	b := make([]byte, n+Align-1)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (Align - 1))
	return b[off : off+n : off+n]
}

// Of returns a tensor over data itself: the caller and the tensor share the memory. It
// fails if the shape does not have len(data) elements.
func Of[T Element](data []T, shape ...int) (*Tensor, error) {
	n, ok := Shape(shape).Elems()
	if !ok || n != len(data) {
		return nil, fmt.Errorf("tensor: shape %v does not hold %d elements", Shape(shape), len(data))
	}
	var z T
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), n*int(unsafe.Sizeof(z)))
	return &Tensor{dtype: DTypeOf[T](), shape: Shape(shape).Clone(), data: b}, nil
}

// Must returns t, or panics with err. It is for tests and for shapes that are constants.
func Must(t *Tensor, err error) *Tensor {
	if err != nil {
		panic(err)
	}
	return t
}

// Scalar returns a tensor of rank 0.
func Scalar[T Element](v T) *Tensor {
	return Must(Of([]T{v}))
}

// FromBytes returns a tensor over data, which holds elements in the machine's byte order.
// The caller and the tensor share the memory. It fails if the length does not match, or
// if data is not aligned to the element size.
func FromBytes(dtype DType, data []byte, shape ...int) (*Tensor, error) {
	n, err := ByteSize(dtype, shape)
	if err != nil {
		return nil, err
	}
	if len(data) != n {
		return nil, fmt.Errorf("tensor: %v %v takes %d bytes, have %d", dtype, Shape(shape), n, len(data))
	}
	if n > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(dtype.Size()) != 0 {
		return nil, fmt.Errorf("tensor: memory is not aligned for %v", dtype)
	}
	return &Tensor{dtype: dtype, shape: Shape(shape).Clone(), data: data}, nil
}

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the shape. The caller must not change it.
func (t *Tensor) Shape() Shape { return t.shape }

// Rank returns the number of axes.
func (t *Tensor) Rank() int { return len(t.shape) }

// Elems returns the number of elements.
func (t *Tensor) Elems() int {
	if t.isLate() {
		return t.lateElems()
	}
	if s := t.dtype.Size(); s > 0 {
		return len(t.data) / s
	}
	return 0
}

// Bytes returns the memory itself, in the machine's byte order.
func (t *Tensor) Bytes() []byte {
	if t.isLate() {
		return t.lateBytes()
	}
	return t.data
}

// String describes the type and shape, not the elements: "float32[2 3]".
func (t *Tensor) String() string {
	if t == nil {
		return "none"
	}
	return t.dtype.String() + t.shape.String()
}

// Data returns the elements as a slice over the tensor's memory. It panics if T is not the
// tensor's element type: that is a mistake in the calling program, as with a failed type
// assertion. Use [Tensor.DType] to find out first.
func Data[T Element](t *Tensor) []T {
	if d := DTypeOf[T](); d != t.dtype {
		panic(fmt.Sprintf("tensor: data of %v viewed as %v", t, d))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(t.Bytes()))), t.Elems())
}

// Float32s returns the elements of a Float32 tensor; see [Data].
func (t *Tensor) Float32s() []float32 { return Data[float32](t) }

// Int64s returns the elements of an Int64 tensor; see [Data].
func (t *Tensor) Int64s() []int64 { return Data[int64](t) }

// Clone returns a tensor of the same type, shape and elements with its own memory.
func (t *Tensor) Clone() *Tensor {
	src := t.Bytes()
	data := AlignedBytes(len(src))
	copy(data, src)
	return &Tensor{dtype: t.dtype, shape: t.shape.Clone(), data: data}
}

// Reshape returns a tensor over the same memory with another shape. It fails if the
// number of elements differs.
func (t *Tensor) Reshape(shape ...int) (*Tensor, error) {
	n, ok := Shape(shape).Elems()
	if !ok || n != t.Elems() {
		return nil, fmt.Errorf("tensor: %v does not reshape to %v", t, Shape(shape))
	}
	return &Tensor{dtype: t.dtype, shape: Shape(shape).Clone(), data: t.data, late: t.late}, nil
}

// Set makes t a view of the given memory, as [FromBytes] does, but without allocating
// when the rank does not grow. It is for planners that reuse tensor headers; the length
// and alignment are the caller's promise.
func (t *Tensor) Set(dtype DType, data []byte, shape Shape) {
	t.dtype, t.data, t.late = dtype, data, onTime
	t.shape = append(t.shape[:0], shape...)
}

// CopyFrom copies the elements of src, which must have t's type and number of elements.
func (t *Tensor) CopyFrom(src *Tensor) error {
	if t.dtype != src.dtype || len(t.Bytes()) != len(src.Bytes()) {
		return fmt.Errorf("tensor: cannot copy %v to %v", src, t)
	}
	copy(t.Bytes(), src.Bytes())
	return nil
}

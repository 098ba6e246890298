//go:build !aekit_core

package tensor

import (
	"unsafe"

	"github.com/aekit/aekit/internal/late"
)

// lateValues is what a tensor has whose elements are computed when they are read.
type lateValues = *late.Values

// onTime is what other tensors have.
var onTime lateValues

// NewLate returns a float32 tensor with the elements v, which are computed when they are first
// read. It is for other packages of this module, and fails as [New] does.
func NewLate(v *late.Values, shape ...int) (*Tensor, error) {
	n, err := ByteSize(Float32, shape)
	if err != nil {
		return nil, err
	}
	v.N = n / 4
	return &Tensor{dtype: Float32, shape: Shape(shape).Clone(), late: v}, nil
}

// Late returns the values of t if they are computed when they are read, else nil.
func (t *Tensor) Late() *late.Values { return t.late }

func (t *Tensor) isLate() bool { return t.late != nil }

func (t *Tensor) lateElems() int { return t.late.N }

// lateBytes returns the memory of t, whose elements are computed when they are first read.
func (t *Tensor) lateBytes() []byte {
	if t.late.N == 0 {
		return []byte{}
	}
	all := t.late.All(func(n int) []float32 {
		return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(AlignedBytes(4*n)))), n)
	})
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(all))), 4*len(all))
}

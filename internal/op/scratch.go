package op

import (
	"math"
	"unsafe"

	"github.com/aekit/aekit/tensor"
)

// carve cuts the first n elements off a scratch area whose size workBytes gave. Their values
// are arbitrary.
func carve[T number](scratch *[]byte, n int) []T {
	if n == 0 {
		return nil
	}
	var z T
	v := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(*scratch))), n)
	*scratch = (*scratch)[alignedBytes(n*int(unsafe.Sizeof(z))):]
	return v
}

func alignedBytes(n int) int { return (n + tensor.Align - 1) / tensor.Align * tensor.Align }

// workBytes returns the scratch memory for parts of the given numbers of elements of size bytes
// each, or a number that no limit allows where it is beyond what an int counts.
func workBytes(size int, parts ...int) int {
	total := 0
	for _, n := range parts {
		if n > (math.MaxInt-2*tensor.Align-total)/size {
			return math.MaxInt
		}
		total += alignedBytes(n * size)
	}
	return total
}

// wideSize is the size of the elements that an operator on floating-point numbers computes with:
// float64 as it is, everything else in float32.
func wideSize(d tensor.DType) int {
	if d == tensor.Float64 {
		return 8
	}
	return 4
}

// elemsOf returns the number of elements of a fact, 0 for an omitted input.
func elemsOf(in []Fact, i int) int {
	if !present(in, i) {
		return 0
	}
	return mulSize(in[i].Shape...)
}

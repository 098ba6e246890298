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

// slotGap is how many bytes lie between the memory of one thread and that of the next. Processors fetch what follows what is read or
// written one after the other, tens of kilobytes ahead; of what another core writes, that would be a cache line taken from it each time.
const slotGap = 64 << 10

// slotBytes returns the bytes of n slots, or chunks' parts, of size bytes.
func slotBytes(n, size int) int {
	if n < 2 {
		return mulSize(n, size)
	}
	return addSize(mulSize(n, size), mulSize(n-1, slotGap))
}

// slotFloats is slotBytes for float32 values.
func slotFloats(n, size int) int { return addSize(mulSize(n, size), mulSize(max(0, n-1), slotGap/4)) }

// slotOf returns slot i of memory that slotFloats has measured.
func slotOf(memory []float32, i, size int) []float32 { return memory[i*(size+slotGap/4):][:size] }

// tooMany reports whether so many bytes cannot be counted.
func tooMany(size, _ int) bool { return size == math.MaxInt }

// Package hugepage gets large blocks of memory that the operating system backs with large
// pages. A core that streams through megabytes of weights or activations otherwise spends
// much of its time on translating addresses, and a program that starts spends it on page
// faults.
package hugepage

import (
	"sync/atomic"
	"unsafe"
)

// size is that of a large page on the systems where this package does anything: 2 MiB on
// amd64 and on arm64 with 4 KiB base pages. Where large pages are larger, the advice has no
// effect on blocks below their size.
const size = 2 << 20

// nearlyWhole is how much of its last large page a block must need to get it whole: the rest
// is memory that nobody uses.
const nearlyWhole = size / 8 * 7

const maxBytes = ^uintptr(0)>>1 - size

// Advise is best called on a slice that has been allocated and not been written to yet. It
// concerns the large pages at least half of which the slice covers, so that little memory is
// spent on the rest of them, and it never fails: it is advice.
func Advise[T any](s []T) {
	var zero T
	n := uintptr(len(s)) * unsafe.Sizeof(zero)
	if n < size/2 {
		return
	}
	from := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	if a, b := (from+size/2)&^(size-1), (from+n+size/2)&^(size-1); a < b {
		advise(a, b-a)
	}
}

// outside counts the bytes of blocks outside of Go's heap.
var outside atomic.Int64

// Outside returns how many bytes the blocks of [Make] take that Go's heap does not count.
func Outside() int64 { return outside.Load() }

// Make returns n zeros. Blocks of nearly a large page or more are outside of Go's heap where
// the system allows it: they start at the boundary of a page, so that few faults bring them
// in, and the garbage collector does not count them. release, if not nil, gives the memory
// back; the slice must not be used afterwards.
func Make[T byte | int8 | float32](n int) (s []T, release func()) {
	var zero T
	if width := unsafe.Sizeof(zero); uintptr(n) >= nearlyWhole/width && uintptr(n) <= maxBytes/width {
		bytes := uintptr(n) * width
		if b := mapped(bytes + size); b != nil {
			from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
			skip := -from & (size - 1)
			outside.Add(int64(bytes))
			advise(from+skip, (bytes+size-nearlyWhole)&^(size-1))
			return unsafe.Slice((*T)(unsafe.Pointer(&b[skip])), n), func() {
				outside.Add(-int64(bytes))
				unmap(b)
			}
		}
	}
	s = make([]T, n)
	Advise(s)
	return s, nil
}

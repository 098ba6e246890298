// Package hugepage asks the operating system to back large blocks of memory with large
// pages. A core that streams through megabytes of weights or activations otherwise spends
// much of its time on translating addresses.
package hugepage

import "unsafe"

// size is that of a large page on the systems where Advise does anything: 2 MiB on amd64
// and on arm64 with 4 KiB base pages. Where large pages are larger, the advice has no effect
// on blocks below their size.
const size = 2 << 20

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

package hugepage

import (
	"math/bits"
	"syscall"
)

// madvHugepage is MADV_HUGEPAGE of madvise(2).
const madvHugepage = 14

// advise takes numbers, not a slice: parts of the first and the last page belong to others.
func advise(from, n uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, n, madvHugepage)
}

// mapped returns n zero bytes outside of Go's heap, or nil. On 32-bit machines addresses are
// too few to leave some unused.
func mapped(n uintptr) []byte {
	if bits.UintSize < 64 {
		return nil
	}
	b, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil
	}
	return b
}

func unmap(b []byte) { _ = syscall.Munmap(b) }

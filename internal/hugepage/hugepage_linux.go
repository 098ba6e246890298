package hugepage

import "syscall"

// madvHugepage is MADV_HUGEPAGE of madvise(2).
const madvHugepage = 14

// advise takes numbers, not a slice: parts of the first and the last page belong to others.
func advise(from, n uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, n, madvHugepage)
}

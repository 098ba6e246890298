package hugepage

import "syscall"

// madvHugepage is MADV_HUGEPAGE of madvise(2).
const madvHugepage = 14

func advise(b []byte) { _ = syscall.Madvise(b, madvHugepage) }

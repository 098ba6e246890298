package kernel

import (
	"syscall"
	"testing"
	"unsafe"
)

// guardedMemory returns size bytes (rounded up to whole pages) between two pages that fault on access.
func guardedMemory(t testing.TB, size int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	size = (size + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skipf("mmap: %v", err)
	}
	t.Cleanup(func() { syscall.Munmap(all) })
	mem := all[page : page+size]
	if _, _, errno := syscall.Syscall(syscall.SYS_MPROTECT, uintptr(unsafe.Pointer(&mem[0])), uintptr(size), syscall.PROT_READ|syscall.PROT_WRITE); errno != 0 {
		t.Skipf("mprotect: %v", errno)
	}
	return mem
}

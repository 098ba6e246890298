//go:build unix

package main

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// limitFileSize sets the limit on the size of files that the environment asks for: writing
// more fails with EFBIG.
func limitFileSize() error {
	s := os.Getenv("AEEXPORT_TEST_FSIZE")
	if s == "" {
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	// The field's type differs between systems.
	l.Cur -= l.Cur
	for range n {
		l.Cur++
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

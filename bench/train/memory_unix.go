//go:build unix

package main

import (
	goruntime "runtime"
	"syscall"
)

// peakMemory returns the greatest resident set of the process so far, in KiB.
func peakMemory() (int64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	peak := int64(u.Maxrss)
	if goruntime.GOOS == "darwin" {
		peak /= 1024
	}
	return peak, nil
}

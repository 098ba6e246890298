//go:build unix

package main

import (
	"syscall"
	"time"
)

// quiesce waits until the threads of the process have stopped polling for work, at most a
// second: ONNX Runtime's keep doing so for a while after a run, which would slow down
// whoever runs next.
func quiesce() {
	const nap = 2 * time.Millisecond
	for range 500 {
		before := cpuTime()
		time.Sleep(nap)
		if cpuTime()-before < nap/4 {
			return
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

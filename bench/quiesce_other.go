//go:build !unix

package main

import "time"

// quiesce waits until the threads of the process are likely to have stopped polling for
// work.
func quiesce() { time.Sleep(50 * time.Millisecond) }

//go:build !linux

package kernel

import "testing"

// guardedMemory returns plain memory: inaccessible pages are set up on Linux only.
func guardedMemory(_ testing.TB, size int) []byte { return make([]byte, (size+4095)/4096*4096) }

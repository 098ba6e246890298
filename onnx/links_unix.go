//go:build unix

package onnx

import (
	"io/fs"
	"syscall"
)

// links returns the number of names that a file has, 1 where that is unknown.
func links(st fs.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}

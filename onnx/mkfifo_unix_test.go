//go:build unix

package onnx_test

import (
	"os"
	"syscall"
)

// mkfifo makes a pipe, or a folder where the system does not let it.
func mkfifo(path string) error {
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		return os.Mkdir(path, 0o777)
	}
	return nil
}

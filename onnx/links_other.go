//go:build !unix

package onnx

import "io/fs"

// links returns the number of names that a file has, 1 where that is unknown.
func links(fs.FileInfo) uint64 { return 1 }

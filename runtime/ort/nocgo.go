//go:build !cgo

package ort

import "github.com/aekit/aekit/runtime"

// New returns ErrNoCgo.
func New(Options) (runtime.Backend, error) { return nil, ErrNoCgo }

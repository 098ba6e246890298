package main

import (
	"fmt"
	"io"

	"github.com/aekit/aekit/export/safetensors"
	"github.com/aekit/aekit/tensor"
)

func writeSafetensors(w io.Writer, tensors map[string]*tensor.Tensor) error {
	return safetensors.Write(w, &safetensors.File{Tensors: tensors})
}

// readSafetensors returns the tensor "z" of a file, or its only one.
func readSafetensors(r io.Reader) (*tensor.Tensor, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxLatents+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxLatents {
		return nil, fmt.Errorf("more than %d bytes of latent vectors", maxLatents)
	}
	f, err := safetensors.Decode(b)
	if err != nil {
		return nil, err
	}
	z := f.Tensors["z"]
	if len(f.Tensors) == 1 {
		for _, t := range f.Tensors {
			z = t
		}
	}
	if z == nil {
		return nil, fmt.Errorf("%d tensors, none of them named \"z\"", len(f.Tensors))
	}
	if z.Rank() == 1 && z.Elems() > 0 {
		return z.Reshape(1, z.Elems())
	}
	if z.Rank() == 0 || z.Elems() == 0 {
		return nil, fmt.Errorf("tensor %v holds no latent vectors", z)
	}
	return z, nil
}

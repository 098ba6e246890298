// Package digest sums up what a model computes, so that a device can check its arithmetic.
package digest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Of runs the model on fixed inputs, the same on every machine, and returns the SHA-256
// of the outputs in hexadecimal. For a model that is [runtime.Stats.FullyInteger] it is the same on
// every processor and operating system. float32
// inputs hold multiples of 1/256 from 0 to below 1; extents that the model leaves open are 2.
func Of(ctx context.Context, s *runtime.Session) (string, error) {
	in := map[string]*tensor.Tensor{}
	for _, v := range s.Inputs() {
		if v.DType != tensor.Float32 || v.Shape == nil {
			return "", fmt.Errorf("no digest of a model whose input %q is not float32 of known rank", v.Name)
		}
		shape := v.Shape.Clone()
		for i, d := range shape {
			if d < 0 {
				shape[i] = 2
			}
		}
		t, err := tensor.New(v.DType, shape...)
		if err != nil {
			return "", err
		}
		for i := range t.Float32s() {
			t.Float32s()[i] = float32(uint32(i)*2654435761>>24) / 256
		}
		in[v.Name] = t
	}
	out, err := s.Run(ctx, in)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(out)) {
		fmt.Fprintf(h, "%q %v\n", name, out[name].Shape())
		if err := out[name].WriteLittleEndian(h); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

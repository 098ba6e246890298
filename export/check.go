package export

import (
	"context"
	"fmt"
	"math"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// MaxDifference is how far the outputs of a written file may be from those of the trainer.
// The two run the same operators in different order and with different fusions, so that
// they agree to a few units in the last place of values near 1.
const MaxDifference = 1e-4

// Verify loads a model file, runs it, and returns the largest absolute difference between
// its outputs and those expected, by name. More than [MaxDifference], a NaN on one side
// only, or a missing output is an error.
func Verify(ctx context.Context, path string, inputs, want map[string]*tensor.Tensor) (float64, error) {
	s, err := runtime.Open(path, runtime.Options{})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	got, err := s.Run(ctx, inputs)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	worst := 0.0
	for name, w := range want {
		g := got[name]
		if g == nil {
			return 0, fmt.Errorf("%s: the file has no output %q", path, name)
		}
		d, err := difference(g, w)
		if err != nil {
			return 0, fmt.Errorf("%s: output %q: %w", path, name, err)
		}
		worst = max(worst, d)
	}
	if worst > MaxDifference {
		return worst, fmt.Errorf("%s: outputs differ from those in training by %.2g, allowed %.2g", path, worst, MaxDifference)
	}
	return worst, nil
}

func difference(got, want *tensor.Tensor) (float64, error) {
	if got.DType() == tensor.Int64 && want.DType() == tensor.Int64 && got.Shape().Equal(want.Shape()) {
		for i, g := range got.Int64s() {
			if w := want.Int64s()[i]; g != w {
				return 0, fmt.Errorf("element %d is %d, want %d", i, g, w)
			}
		}
		return 0, nil
	}
	if got.DType() != tensor.Float32 || want.DType() != tensor.Float32 || !got.Shape().Equal(want.Shape()) {
		return 0, fmt.Errorf("is %v, want %v", got, want)
	}
	worst := 0.0
	w := want.Float32s()
	for i, g := range got.Float32s() {
		switch d := math.Abs(float64(g) - float64(w[i])); {
		case g == w[i] || g != g && w[i] != w[i]:
		case math.IsNaN(d):
			return 0, fmt.Errorf("element %d is %v, want %v", i, g, w[i])
		default:
			worst = max(worst, d)
		}
	}
	return worst, nil
}

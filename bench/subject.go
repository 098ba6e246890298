package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aekit/aekit/bench/models"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// form is one way to write a model down.
type form struct {
	name string
	int8 bool
	make func(float *onnx.Model, c *quant.Calibration) (*onnx.Model, error)
}

// forms are what each runtime is timed with. ours says whether this module's runtime is: it
// has one float32 and one integer form; ONNX Runtime's best integer form depends on the model.
var forms = []struct {
	form
	ours bool
}{
	{form{"float32", false, func(m *onnx.Model, _ *quant.Calibration) (*onnx.Model, error) { return m, nil }}, true},
	{form{"qdq", true, quantized(quant.Options{ReduceRange: true})}, true},
	{form{"qoperator", true, quantized(quant.Options{ReduceRange: true, Format: quant.QOperator})}, false},
	{form{"dynamic", true, func(m *onnx.Model, _ *quant.Calibration) (*onnx.Model, error) {
		q, _, err := quant.Dynamic(m, quant.Options{ReduceRange: true})
		return q, err
	}}, false},
}

// quantized makes an integer form. Weights have 7 bits, because ONNX Runtime's kernels for
// processors without VNNI saturate with 8, and the results are compared.
func quantized(o quant.Options) func(*onnx.Model, *quant.Calibration) (*onnx.Model, error) {
	return func(m *onnx.Model, c *quant.Calibration) (*onnx.Model, error) {
		q, _, err := quant.Quantize(m, c, o)
		return q, err
	}
}

// formsOf builds the named forms of a reference model.
func formsOf(ctx context.Context, r *models.Reference, names []string) (map[string]*onnx.Model, error) {
	float, err := r.Model()
	if err != nil {
		return nil, err
	}
	var c *quant.Calibration
	out := map[string]*onnx.Model{}
	for _, f := range forms {
		if !slices.Contains(names, f.name) {
			continue
		}
		if f.int8 && c == nil {
			n := 32
			if r.Large {
				n = 1
			}
			x, err := r.Input(n, 2)
			if err != nil {
				return nil, err
			}
			if c, err = quant.Calibrate(ctx, float, quant.Tensors(map[string]*tensor.Tensor{"x": x}), runtime.Options{}); err != nil {
				return nil, err
			}
		}
		if out[f.name], err = f.make(float, c); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", r.Name, f.name, err)
		}
	}
	return out, nil
}

// subject is a model in one form on one runtime, ready to be timed.
type subject struct {
	runtime, form string
	session       *runtime.Session
	in, out       map[string]*tensor.Tensor
	reps          int             // runs in a turn
	times         []time.Duration // of all runs
	turns         []time.Duration // medians of the turns
	spent         time.Duration
}

// prepare makes the buffers for a batch, warms up, and chooses how many runs make a turn.
func (s *subject) prepare(ctx context.Context, x *tensor.Tensor, turn time.Duration) error {
	in := map[string]*tensor.Tensor{"x": x}
	out, err := s.session.Run(ctx, in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", s.runtime, s.form, err)
	}
	s.in, s.out, s.times, s.turns, s.spent = in, out, s.times[:0], s.turns[:0], 0
	start, n := time.Now(), 0
	for ; n < 2 || time.Since(start) < turn; n++ {
		if err := s.session.RunInto(ctx, s.out, s.in); err != nil {
			return err
		}
	}
	one := max(time.Since(start)/time.Duration(n), 100*time.Nanosecond)
	s.reps = int(max(1, min(turn/one, 2000)))
	return nil
}

// turn times reps runs, after one that only warms the caches. The output is made invalid
// first, so that what is compared later was written by these runs.
func (s *subject) turn(ctx context.Context) error {
	y := s.out["y"].Float32s()
	for i := range y {
		y[i] = float32(math.NaN())
	}
	warm := 1
	if s.reps == 1 {
		warm = 0
	}
	at := len(s.times)
	for i := range warm + s.reps {
		start := time.Now()
		if err := s.session.RunInto(ctx, s.out, s.in); err != nil {
			return err
		}
		if d := time.Since(start); i >= warm {
			s.times = append(s.times, d)
			s.spent += d
		}
	}
	turn := slices.Clone(s.times[at:])
	slices.Sort(turn)
	s.turns = append(s.turns, turn[len(turn)/2])
	return nil
}

// Tolerances of the comparison of outputs.
const (
	// floatTolerance is the largest difference, relative to the largest value.
	floatTolerance = 3e-5
	// intTolerance is the root mean square difference between integer forms, relative to
	// that between the reference and float32: both runtimes round between layers, at
	// different places where ONNX Runtime computes a layer in floating point, but they must
	// be nearer to each other than to what they approximate. intFloor is allowed in any
	// case, in 255ths of the range.
	intTolerance = 0.5
	intFloor     = 0.5
)

// compare checks the outputs of the timed runs against those of another subject of the same
// precision. float has the outputs of float32 if the two are integer forms, else it is nil.
func (s *subject) compare(with, float *subject) error {
	got, want := s.out["y"].Float32s(), with.out["y"].Float32s()
	if len(got) != len(want) {
		return fmt.Errorf("%d results, want %d", len(got), len(want))
	}
	var worst, largest, squares, loss float64
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, w := range want {
		w := float64(w)
		d := math.Abs(float64(got[i]) - w)
		if math.IsNaN(d) {
			return errors.New("a result is not a number")
		}
		worst, largest = max(worst, d), max(largest, math.Abs(w))
		lo, hi = min(lo, w), max(hi, w)
		squares += d * d
		if float != nil {
			e := w - float64(float.out["y"].Float32s()[i])
			loss += e * e
		}
	}
	if float == nil {
		if worst > floatTolerance*max(1, largest) {
			return fmt.Errorf("results differ by %g, values are up to %g", worst, largest)
		}
		return nil
	}
	n := float64(len(want))
	d, e := math.Sqrt(squares/n), math.Sqrt(loss/n)
	if step := (hi - lo) / 255; d > max(intTolerance*e, intFloor*step) {
		return fmt.Errorf("results differ by %.3g (root mean square), and from float32 by %.3g; a step is %.3g", d, e, step)
	}
	return nil
}

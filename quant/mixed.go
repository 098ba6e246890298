package quant

import (
	"context"
	"fmt"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
)

// Sensitivity is what quantising one operator alone does to the outputs of a model.
type Sensitivity struct {
	Node string  `json:"node"`
	MSE  float64 `json:"mse"`     // of the first output, against the float model
	SQNR float64 `json:"sqnr_db"` // likewise
}

// Sources makes a new Source over the same inputs, for work that reads them several times.
type Sources func() (Source, error)

// Sensitivities quantises each operator of a model alone and measures the model's first
// output, worst first.
func Sensitivities(ctx context.Context, m *onnx.Model, c *Calibration, o Options, inputs Sources, ro runtime.Options) ([]Sensitivity, error) {
	layers, err := layersOf(m, c, o)
	if err != nil {
		return nil, err
	}
	var out []Sensitivity
	for _, name := range layers {
		alone := o
		alone.Exclude = func(n string) bool { return n != name }
		e, err := evaluateOptions(ctx, m, c, alone, inputs, ro)
		if err != nil {
			return nil, fmt.Errorf("quant: node %q alone: %w", name, err)
		}
		out = append(out, Sensitivity{name, e.Outputs[0].MSE, e.Outputs[0].SQNR})
	}
	slices.SortStableFunc(out, func(a, b Sensitivity) int {
		switch {
		case a.MSE > b.MSE:
			return -1
		case a.MSE < b.MSE:
			return 1
		}
		return 0
	})
	return out, nil
}

func layersOf(m *onnx.Model, c *Calibration, o Options) ([]string, error) {
	_, r, err := Quantize(m, c, o)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range r.Layers {
		if !l.Float {
			names = append(names, l.Node)
		}
	}
	return names, nil
}

func evaluateOptions(ctx context.Context, m *onnx.Model, c *Calibration, o Options, inputs Sources, ro runtime.Options) (*Evaluation, error) {
	q, _, err := Quantize(m, c, o)
	if err != nil {
		return nil, err
	}
	src, err := inputs()
	if err != nil {
		return nil, err
	}
	return Evaluate(ctx, m, q, src, false, ro)
}

// Loss is the relative growth of the error of a quantised model: of the mean squared error
// of its reconstruction, or, where it does not reconstruct its input, the mean squared
// difference of its first output from the float model's, relative to that output's power.
func (e *Evaluation) Loss() float64 {
	if r := e.Reconstruction; r != nil && r[0] > 0 {
		return r[1]/r[0] - 1
	}
	d := e.Outputs[0]
	if d.signal == 0 {
		return 0
	}
	return d.noise / d.signal
}

// WithinLoss quantises a model and keeps the operators that harm most in float32, one after
// the other, until [Evaluation.Loss] is at most maxLoss. It returns the names of the
// operators that stay float32. If no operator can be integer, the error is [ErrNothing].
func WithinLoss(ctx context.Context, m *onnx.Model, c *Calibration, o Options, maxLoss float64, inputs Sources, ro runtime.Options) (float []string, err error) {
	e, err := evaluateOptions(ctx, m, c, o, inputs, ro)
	if err != nil || e.Loss() <= maxLoss {
		return nil, err
	}
	order, err := Sensitivities(ctx, m, c, o, inputs, ro)
	if err != nil {
		return nil, err
	}
	for _, s := range order {
		float = append(float, s.Node)
		if e, err = evaluateOptions(ctx, m, c, o.Keep(float...), inputs, ro); err != nil {
			return float, err
		}
		if e.Loss() <= maxLoss {
			return float, nil
		}
	}
	return float, ErrNothing
}

// Keep returns o with the named operators kept in float32, besides those of o.Exclude.
func (o Options) Keep(names ...string) Options {
	before := o.Exclude
	o.Exclude = func(name string) bool {
		return slices.Contains(names, name) || before != nil && before(name)
	}
	return o
}

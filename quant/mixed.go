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

	loss float64
}

// Sources makes a new Source over the same inputs, for work that reads them several times.
type Sources func() (Source, error)

// Sensitivities quantises each operator of a model alone and measures the model's first
// output, worst first.
func Sensitivities(ctx context.Context, m *onnx.Model, c *Calibration, o Options, inputs Sources, ro runtime.Options) ([]Sensitivity, error) {
	return sensitivities(ctx, m, c, o, "", inputs, ro)
}

// sensitivities sorts by a metric, or by the mean squared error of the first output.
func sensitivities(ctx context.Context, m *onnx.Model, c *Calibration, o Options, by Metric, inputs Sources, ro runtime.Options) ([]Sensitivity, error) {
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
		s := Sensitivity{Node: name, MSE: e.Outputs[0].MSE, SQNR: e.Outputs[0].SQNR, loss: e.Outputs[0].MSE}
		if by != "" {
			if s.loss, err = e.LossBy(by); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Sensitivity) int {
		switch {
		case a.loss > b.loss:
			return -1
		case a.loss < b.loss:
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

// WithinLoss quantises a model and keeps the operators that harm most in float32, one after
// the other, until [Evaluation.LossBy] the metric is at most maxLoss. It returns the names of the
// operators that stay float32. If no operator can be integer, the error is [ErrNothing].
func WithinLoss(ctx context.Context, m *onnx.Model, c *Calibration, o Options, by Metric, maxLoss float64, inputs Sources, ro runtime.Options) (float []string, err error) {
	e, err := evaluateOptions(ctx, m, c, o, inputs, ro)
	if err != nil {
		return nil, err
	}
	if l, err := e.LossBy(by); err != nil || l <= maxLoss {
		return nil, err
	}
	rank := by
	if rank == ByMSE {
		rank = "" // the difference tells layers apart better than the growth of an error
	}
	order, err := sensitivities(ctx, m, c, o, rank, inputs, ro)
	if err != nil {
		return nil, err
	}
	for _, s := range order {
		float = append(float, s.Node)
		if e, err = evaluateOptions(ctx, m, c, o.Keep(float...), inputs, ro); err != nil {
			return float, err
		}
		if l, err := e.LossBy(by); err != nil || l <= maxLoss {
			return float, err
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

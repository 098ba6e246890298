// Package qat joins quantisation and training: quantisation-aware training continues to
// train a model on the same graph, with the same trainer, while weights and activations are
// rounded as they will be in integers. Gradients pass through the rounding as if it were
// not there (straight-through).
package qat

import (
	"context"
	"errors"
	"fmt"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/gradop"
)

// Result is a model that was trained to be quantised.
type Result struct {
	// Model is the float32 model with the new weights. BatchNormalization is folded.
	Model *onnx.Model
	// Options are those to quantise it with: as given, with the scales of activations that
	// it was trained with.
	Options quant.Options
	// Summary is of the last of the trainings.
	Summary train.Summary
}

// Train trains m, whose calibration is c, with cfg, whose Model is ignored. m is not changed.
// Weights of operators that o.Exclude names are trained without being rounded.
func Train(ctx context.Context, m *onnx.Model, c *quant.Calibration, o quant.Options, cfg train.Config) (*Result, error) {
	fake, params, err := quant.Fake(m, c, o, op.Core.With(gradop.Set))
	if err != nil {
		return nil, err
	}
	cfg.Model = fake
	t, err := train.New(cfg)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	r := &Result{Options: o}
	if r.Summary, err = t.Run(ctx); err != nil {
		return nil, err
	}
	trained, err := t.Model()
	if err != nil {
		return nil, err
	}
	if r.Model, err = quant.Optimized(m); err != nil {
		return nil, err
	}
	if err := takeWeights(r.Model, trained); err != nil {
		return nil, err
	}
	r.Options.Params = func(name string) (quant.Params, bool) {
		p, ok := params[name]
		return p, ok
	}
	return r, nil
}

// takeWeights gives m the initializers of the same names, and the metadata, of the model
// that was trained in its place.
func takeWeights(m, trained *onnx.Model) error {
	g := *m.Graph
	g.Initializers = append([]*onnx.Tensor{}, g.Initializers...)
	taken := 0
	for i, t := range g.Initializers {
		n := trained.Graph.Initializer(t.Name)
		if n == nil {
			continue
		}
		if n.Value == nil || t.Value == nil || !n.Value.Shape().Equal(t.Value.Shape()) || n.DType != t.DType {
			return fmt.Errorf("qat: initializer %q has changed its type", t.Name)
		}
		g.Initializers[i] = n
		taken++
	}
	if taken == 0 {
		return errors.New("qat: no weights to take from the trained model")
	}
	m.Graph, m.Metadata = &g, trained.Metadata
	return nil
}

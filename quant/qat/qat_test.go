package qat

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

var ctx = context.Background()

func digits(t *testing.T, n int) dataset.Source {
	t.Helper()
	d, err := dataset.NewDigits(1, n, 1, 12, 12, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func source(t *testing.T, d dataset.Source) quant.Source {
	t.Helper()
	s, err := quant.FromImages(d, arch.Image, false, 32, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fit trains a preset a little on small digits.
func fit(t *testing.T, preset string, d dataset.Source, epochs int) (*onnx.Model, train.Config) {
	t.Helper()
	p, err := arch.Find(preset)
	if err != nil {
		t.Fatal(err)
	}
	c := p.Config
	c.Channels, c.Height, c.Width, c.Hidden, c.Latent, c.Seed = 1, 12, 12, []int{16}, 6, 3
	m, err := p.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	cfg := train.Config{Model: m, Data: d, Epochs: epochs, Batch: 32, LR: 3e-3, Seed: 5, Threads: 1}
	if cfg.Objective, err = train.ParseObjective(p.Recipe.Objective, p.Recipe.Beta); err != nil {
		t.Fatal(err)
	}
	tr, err := train.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if _, err := tr.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if m, err = tr.Model(); err != nil {
		t.Fatal(err)
	}
	return m, cfg
}

func calibrate(t *testing.T, m *onnx.Model, d dataset.Source) *quant.Calibration {
	t.Helper()
	c, err := quant.Calibrate(ctx, m, source(t, d), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loss returns the growth of the error of m's integer form over the float model.
func loss(t *testing.T, float, m *onnx.Model, o quant.Options, d dataset.Source) (float64, *quant.Evaluation) {
	t.Helper()
	q, _, err := quant.Quantize(m, calibrate(t, m, d), o)
	if err != nil {
		t.Fatal(err)
	}
	e, err := quant.Evaluate(ctx, float, q, source(t, d), false, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return e.Loss(), e
}

// TestTrain compares models trained for quantisation with 7 bits and one scale a tensor
// with those that are merely quantised so.
func TestTrain(t *testing.T) {
	d := digits(t, 512)
	for _, preset := range []string{"ae", "vae", "conv-ae", "conv-vae"} {
		float, cfg := fit(t, preset, d, 4)
		o := quant.Options{PerTensor: true, ReduceRange: true}
		before, _ := loss(t, float, float, o, d)
		cfg.Epochs, cfg.LR = 2, 1e-3
		r, err := Train(ctx, float, calibrate(t, float, d), o, cfg)
		if err != nil {
			t.Fatalf("%s: %v", preset, err)
		}
		for _, n := range r.Model.Graph.Nodes {
			if n.Domain != "" {
				t.Errorf("%s: the trained model has a node %s of domain %q", preset, n.OpType, n.Domain)
			}
		}
		for _, i := range float.Graph.Initializers {
			j := r.Model.Graph.Initializer(i.Name)
			if j == nil || !strings.Contains(i.Name, "weight") {
				continue
			}
			if slices.Equal(i.Value.Float32s(), j.Value.Float32s()) {
				t.Errorf("%s: %s was not trained", preset, i.Name)
			}
		}
		after, e := loss(t, float, r.Model, r.Options, d)
		// ELBO trades reconstruction against KL, so that its error need not fall.
		if limit := before; strings.HasSuffix(preset, "vae") && after > 0.05+before || !strings.HasSuffix(preset, "vae") && after > limit {
			t.Errorf("%s: error %+.2f%% after training for quantisation, %+.2f%% without: %+v", preset, 100*after, 100*before, e.Reconstruction)
		}
		t.Logf("%s: %+.2f%% -> %+.2f%%", preset, 100*before, 100*after)
	}
}

func TestTrainErrors(t *testing.T) {
	d := digits(t, 64)
	m, cfg := fit(t, "ae", d, 1)
	other, _ := fit(t, "conv-ae", d, 1)
	if _, err := Train(ctx, m, calibrate(t, other, d), quant.Options{}, cfg); err == nil {
		t.Error("a calibration of another model was accepted")
	}
	if _, err := Train(ctx, m, calibrate(t, m, d), quant.Options{Exclude: func(string) bool { return true }}, cfg); err == nil {
		t.Error("a model that stays float was trained")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Train(ended, m, calibrate(t, m, d), quant.Options{}, cfg); err == nil {
		t.Error("an ended context gave a model")
	}
}

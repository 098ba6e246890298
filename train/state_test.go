package train

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// normalised is an autoencoder of one hidden layer with BatchNormalization.
func normalised(t *testing.T, opset int64) *onnx.Model {
	t.Helper()
	const pixels, hidden = side * side, 16
	b := onnx.NewBuilder(opset)
	n := onnx.NamedDim("batch")
	weights := func(name string, shape ...int) string {
		w := tensor.Must(tensor.New(tensor.Float32, shape...))
		for i := range w.Float32s() {
			w.Float32s()[i] = float32(math.Sin(float64(3*i+len(name)))) / 12
		}
		return b.Initializer(name, w)
	}
	fill := func(name string, v float32) string {
		return b.Initializer(name, tensor.Must(tensor.Of(slices.Repeat([]float32{v}, hidden), hidden)))
	}
	b.Input("x", tensor.Float32, n, onnx.FixedDim(pixels))
	h := b.Op("MatMul", "", []string{"x", weights("w1", pixels, hidden)})
	h = b.Op("BatchNormalization", "z", []string{h, fill("scale", 1), fill("shift", 0), fill("mean", 0), fill("var", 1)}, onnx.AttrF("momentum", 0.5))
	h = b.Op("Relu", "", []string{h})
	h = b.Op("Gemm", "", []string{h, weights("w2", hidden, pixels), weights("b2", pixels)})
	b.Op("Sigmoid", "y", []string{h})
	b.Output("y", tensor.Float32, n, onnx.FixedDim(pixels))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	err = Annotate(m, func(d *meta.Model) {
		*d = meta.Model{Kind: meta.KindAE, Values: meta.Values{Image: "x", Z: "z", Reconstruction: "y"},
			Image: meta.Image{Width: side, Height: side, Channels: 1, Layout: meta.LayoutFlat}}
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBatchNormStatistics(t *testing.T) {
	for _, opset := range []int64{9, 17} {
		cfg := small(t)
		cfg.Model, cfg.Objective, cfg.Val = normalised(t, opset), BCE{}, digits(t, 50, true)
		cfg.Epochs, cfg.LR = 4, 1e-2
		whole := newTrainer(t, cfg)
		// The first step's statistics, computed here.
		x := make([]float32, cfg.Batch*side*side)
		if err := cfg.Data.Read(context.Background(), seq(cfg.Batch), x, nil); err != nil {
			t.Fatal(err)
		}
		b := &fed{batch: batch{n: cfg.Batch, images: x}}
		w := cfg.Model.Graph.Initializer("w1").Value.Float32s()
		if err := whole.step(b, 1e-3); err != nil {
			t.Fatal(err)
		}
		var mean, sq float64
		for i := range cfg.Batch {
			h := 0.0
			for k := range side * side {
				h += float64(x[i*side*side+k]) * float64(w[k*16])
			}
			mean += h / float64(cfg.Batch)
			sq += h * h / float64(cfg.Batch)
		}
		if m, v := whole.stats[0], whole.stats[16]; math.Abs(float64(m)-mean/2) > 1e-4 || math.Abs(float64(v)-(0.5+(sq-mean*mean)/2)) > 1e-4 {
			t.Errorf("opset %d: running mean %v and variance %v, want %v and %v", opset, m, v, mean/2, 0.5+(sq-mean*mean)/2)
		}
		whole = runAll(t, cfg)
		m, err := whole.Model()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Graph.Initializer("mean").Value.Float32s(); !slices.Equal(got, whole.stats[:16]) || got[3] == 0 {
			t.Errorf("opset %d: the model has the running means %v, the trainer %v", opset, got, whole.stats[:16])
		}
		// Cancelled and resumed.
		cut := cfg
		cut.Checkpoint = filepath.Join(t.TempDir(), "c")
		ctx, cancel := context.WithCancelCause(context.Background())
		why := errors.New("enough")
		steps := 0
		cut.OnStep = func(Progress) {
			if steps++; steps == 7 {
				cancel(why)
			}
		}
		if _, err := newTrainer(t, cut).Run(ctx); !errors.Is(err, why) {
			t.Fatal(err)
		}
		cut.OnStep = nil
		again := newTrainer(t, cut)
		if err := again.Resume(cut.Checkpoint); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.p, whole.p) || !slices.Equal(again.stats, whole.stats) {
			t.Errorf("opset %d: a resumed run differs", opset)
		}
		l0, err := newTrainer(t, cfg).Evaluate(context.Background(), cfg.Val)
		if err != nil {
			t.Fatal(err)
		}
		l1, err := whole.Evaluate(context.Background(), cfg.Val)
		if err != nil {
			t.Fatal(err)
		}
		if !(l1.Total() < 0.7*l0.Total()) {
			t.Errorf("opset %d: loss %v before and %v after training", opset, l0, l1)
		}
	}
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

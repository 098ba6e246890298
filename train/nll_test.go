package train

import (
	"context"
	"math"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

// lineSource is a set of images of two pixels.
type lineSource struct{ dataset.Source }

func (lineSource) Info() dataset.Info      { return dataset.Info{Channels: 1, Height: 1, Width: 2} }
func (lineSource) Len() int                { return 7 }
func (lineSource) Digest() (string, error) { return "lines", nil }
func (lineSource) Read(_ context.Context, index []int, dst []float32, labels []int) error {
	for k, i := range index {
		dst[2*k], dst[2*k+1] = float32(i)/7, float32(i%3)/3
		if labels != nil {
			labels[k] = -1
		}
	}
	return nil
}

// TestNLLOfLinearModel: a decoder x = z·w + noise of deviation σ has the marginal
// N(0, w·wᵀ + σ²), which the estimate must find from an encoder that is only roughly right.
func TestNLLOfLinearModel(t *testing.T) {
	const sigma = 0.5
	w := []float32{0.8, -0.4}
	b := onnx.NewBuilder(17)
	n := onnx.NamedDim("batch")
	b.Input("x", tensor.Float32, n, onnx.FixedDim(2))
	init := func(name string, shape []int, v ...float32) string {
		return b.Initializer(name, tensor.Must(tensor.Of(v, shape...)))
	}
	b.Op("Gemm", "mu", []string{"x", init("wm", []int{2, 1}, 0.7, -0.3), init("bm", []int{1}, 0.1)})
	b.Op("Gemm", "logvar", []string{"x", init("wv", []int{2, 1}, 0.1, 0), init("bv", []int{1}, -0.5)})
	b.Op("Identity", "z", []string{"mu"})
	b.Op("Gemm", "y", []string{"z", init("wd", []int{1, 2}, w...)})
	b.Output("y", tensor.Float32, n, onnx.FixedDim(2))
	b.Output("mu", tensor.Float32, n, onnx.FixedDim(1))
	b.Output("logvar", tensor.Float32, n, onnx.FixedDim(1))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	err = Annotate(m, func(d *meta.Model) {
		*d = meta.Model{Kind: meta.KindVAE, Values: meta.Values{Image: "x", Mu: "mu", LogVar: "logvar", Z: "z", Reconstruction: "y"},
			Image: meta.Image{Width: 2, Height: 1, Channels: 1, Layout: meta.LayoutFlat}}
	})
	if err != nil {
		t.Fatal(err)
	}
	src := lineSource{}
	cfg := Config{Model: m, Objective: ELBO{Likelihood: Gaussian, Sigma: sigma}, Data: src, Epochs: 1, Batch: 3, LR: 1e-3, Seed: 3}
	tr := newTrainer(t, cfg)
	got, err := tr.NLL(context.Background(), src, 5000)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	a, c, d := float64(w[0]*w[0])+sigma*sigma, float64(w[0]*w[1]), float64(w[1]*w[1])+sigma*sigma
	det := a*d - c*c
	for i := range src.Len() {
		var x [2]float32
		src.Read(context.Background(), []int{i}, x[:], nil)
		p, q := float64(x[0]), float64(x[1])
		want += (math.Log(4*math.Pi*math.Pi*det) + (d*p*p-2*c*p*q+a*q*q)/det) / 2 / float64(src.Len())
	}
	if math.Abs(got-want) > 0.01 {
		t.Errorf("estimate %.4f nats, the exact value is %.4f", got, want)
	}
	cfg.Noise = arch.Noise{Kind: "gaussian", Level: 0.3}
	if noisy, err := newTrainer(t, cfg).NLL(context.Background(), src, 5000); err != nil || noisy != got {
		t.Errorf("trained on noisy images: estimate %v, %v; without noise it is %v", noisy, err, got)
	}
	if _, err := tr.NLL(context.Background(), src, 0); err == nil {
		t.Error("0 samples were accepted")
	}
}

package autoencoder

import (
	"context"
	"errors"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var ctx = context.Background()

func TestEncodeDecode(t *testing.T) {
	for _, batch := range []int{0, 1, 2} {
		m := open(t, linear(t, linearMeta()), Options{Batch: batch})
		a, b, c := grey(2, 0, 51, 102, 255), grey(2, 255, 255, 0, 0), grey(2, 1, 2, 3, 4)
		l, err := m.Encode(ctx, a, b, c)
		if err != nil {
			t.Fatal(err)
		}
		if l.Mu != nil || l.LogVar != nil || l.Codes != nil || !l.Z.Shape().Equal(tensor.Shape{3, 4}) {
			t.Fatalf("batch %d: latents %+v", batch, l)
		}
		if got := l.Z.Float32s()[:5]; !slices.Equal(got, []float32{0, 0.4, 0.8, 2, 2}) {
			t.Errorf("batch %d: z = %v", batch, got)
		}
		out, err := m.Decode(ctx, l.Z)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []image.Image{a, b, c} {
			if !slices.Equal(pixelsOf(t, out[i]), pixelsOf(t, want)) {
				t.Errorf("batch %d: image %d decoded to %v, want %v", batch, i, out[i], want)
			}
		}
		rec, err := m.Reconstruct(ctx, a, b)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rec {
			if r.MSE > 1e-14 || r.PSNR < 140 || math.Abs(r.SSIM-1) > 1e-6 || !slices.Equal(pixelsOf(t, r.Input), pixelsOf(t, r.Output)) {
				t.Errorf("reconstruction %d: %+v", i, r)
			}
		}
	}
}

func TestImagesAreScaledToTheModel(t *testing.T) {
	m := open(t, linear(t, linearMeta()), Options{})
	l, err := m.Encode(ctx, flatRGB(9, 5, color.NRGBA{255, 0, 0, 255}))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range l.Z.Float32s() {
		if math.Abs(float64(v)-2*76.0/255) > 1e-6 {
			t.Errorf("red as grey: z = %v, want all %v", l.Z.Float32s(), 2*76.0/255)
		}
	}
	// Contain keeps the proportions: a wide picture gets black above and below.
	m = open(t, linear(t, linearMeta()), Options{Width: 2, Height: 2, Fit: "contain"})
	rec, err := m.Reconstruct(ctx, flatRGB(40, 10, color.NRGBA{255, 255, 255, 255}))
	if err != nil {
		t.Fatal(err)
	}
	if p := pixelsOf(t, rec[0].Input); slices.Min(p) != 0 || slices.Max(p) != 255 {
		t.Errorf("contain gives %v", p)
	}
}

func TestScore(t *testing.T) {
	md := linearMeta()
	md.Anomaly = &meta.Anomaly{Score: "mse", Threshold: 0.1, Quantile: 0.99}
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Op("Mul", "z", []string{x, b.Initializer("zero", tensor.Scalar(float32(0)))})
	b.Op("Identity", "reconstruction", []string{"z"})
	b.Output("reconstruction", tensor.Float32, batchDim, onnx.FixedDim(4))
	m := open(t, finish(t, b, md), Options{})
	got, err := m.Score(ctx, grey(2, 255, 0, 0, 0), grey(2, 51, 51, 51, 51), grey(2, 0, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := []Score{{0.25, true}, {0.04, false}, {0, false}}
	for i := range want {
		if math.Abs(got[i].MSE-want[i].MSE) > 1e-7 || got[i].Unusual != want[i].Unusual {
			t.Errorf("image %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if th := m.Info().Threshold; th != 0.1 {
		t.Errorf("threshold %v", th)
	}
}

// A model in NHWC with colours and a symmetric range, a fixed batch and no metadata.
func TestForeignModel(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("in", tensor.Float32, onnx.FixedDim(2), onnx.FixedDim(2), onnx.FixedDim(1), onnx.FixedDim(3))
	b.Op("Flatten", "code", []string{x})
	b.Op("Reshape", "out", []string{"code", b.Initializer("shape", of([]int64{2, 2, 1, 3}, 4))})
	b.Output("out", tensor.Float32, onnx.FixedDim(2), onnx.FixedDim(2), onnx.FixedDim(1), onnx.FixedDim(3))
	model := finish(t, b, nil)
	m := open(t, model, Options{Latent: "code", Range: [2]float32{-1, 1}})
	i := m.Info()
	if i.Input != "in" || i.Output != "out" || i.Width != 1 || i.Height != 2 || i.Channels != 3 || i.Layout != "NHWC" || i.Threshold >= 0 {
		t.Errorf("concluded %+v", i)
	}
	pix := &image.NRGBA{Pix: []uint8{255, 0, 51, 255, 0, 204, 255, 255}, Stride: 4, Rect: image.Rect(0, 0, 1, 2)}
	l, err := m.Encode(ctx, pix, pix, pix)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Z.Shape().Equal(tensor.Shape{3, 6}) {
		t.Fatalf("z is %v", l.Z)
	}
	for k, want := range []float32{1, -1, -0.6, -1, 0.6, 1} {
		if got := l.Z.Float32s()[12+k]; math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("z[2][%d] = %v, want %v", k, got, want)
		}
	}
	rec, err := m.Reconstruct(ctx, pix)
	if err != nil {
		t.Fatal(err)
	}
	if got := pixelsOf(t, rec[0].Output); !slices.Equal(got, []uint8{255, 0, 51, 0, 204, 255}) {
		t.Errorf("reconstruction %v", got)
	}
	// The shape of the latent vectors is not declared: one run finds it.
	if _, err := m.Generate(ctx, 3, Sampling{Seed: 1}); err != nil {
		t.Errorf("Generate: %v", err)
	}
}

func TestHalves(t *testing.T) {
	b := onnx.NewBuilder(17)
	z := b.Input("z", tensor.Float32, batchDim, onnx.FixedDim(3))
	b.Op("MatMul", "y", []string{z, b.Initializer("w", of(make([]float32, 48), 3, 16))})
	b.Output("y", tensor.Float32, batchDim, onnx.FixedDim(16))
	dec := open(t, finish(t, b, nil), Options{Latent: "z"})
	if img, err := dec.Generate(ctx, 2, Sampling{}); err != nil || len(img) != 2 || img[0].Bounds() != image.Rect(0, 0, 4, 4) {
		t.Errorf("decoder alone: %v, %v", img, err)
	}
	if _, err := dec.Encode(ctx, grey(1, 0)); !errors.Is(err, ErrNoEncoder) {
		t.Errorf("decoder alone: Encode gives %v", err)
	}
	if _, err := dec.Reconstruct(ctx, grey(1, 0)); !errors.Is(err, ErrNoEncoder) {
		t.Errorf("decoder alone: Reconstruct gives %v", err)
	}

	b = onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, batchDim, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
	b.Op("Flatten", "mu", []string{x})
	b.Output("mu", tensor.Float32, batchDim, onnx.FixedDim(4))
	enc := open(t, finish(t, b, nil), Options{Latent: "mu"})
	if l, err := enc.Encode(ctx, grey(2, 0, 0, 0, 255)); err != nil || l.Z.Float32s()[3] != 1 {
		t.Errorf("encoder alone: %v, %v", l, err)
	}
	for name, f := range map[string]func() error{
		"Decode":      func() error { _, err := enc.Decode(ctx, of([]float32{1, 2, 3, 4}, 1, 4)); return err },
		"Generate":    func() error { _, err := enc.Generate(ctx, 1, Sampling{}); return err },
		"Reconstruct": func() error { _, err := enc.Reconstruct(ctx, grey(1, 0)); return err },
	} {
		if err := f(); !errors.Is(err, ErrNoDecoder) {
			t.Errorf("encoder alone: %s gives %v", name, err)
		}
	}
}

// The files that a model splits into carry its metadata, and half of its values.
func TestSplitFiles(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Op("Identity", "mu", []string{x})
	b.Op("Neg", "logvar", []string{x})
	b.Op("Identity", "z", []string{"mu"})
	b.Op("Neg", "reconstruction", []string{"z"})
	for _, name := range []string{"mu", "logvar", "z", "reconstruction"} {
		b.Output(name, tensor.Float32, batchDim, onnx.FixedDim(4))
	}
	md := linearMeta()
	md.Kind, md.Values.Mu, md.Values.LogVar = meta.KindVAE, "mu", "logvar"
	whole := finish(t, b, md)
	part := func(in string, out ...string) *Model {
		m, err := onnx.Extract(whole, []string{in}, out)
		if err != nil {
			t.Fatal(err)
		}
		return open(t, m, Options{})
	}
	enc, dec := part("image", "mu", "logvar"), part("z", "reconstruction")
	l, err := enc.Encode(ctx, grey(2, 0, 0, 0, 255))
	if err != nil || l.Z.Float32s()[3] != 1 || l.Mu.Float32s()[3] != 1 || l.LogVar.Float32s()[3] != -1 {
		t.Errorf("encoder: %+v, %v", l, err)
	}
	if _, err := enc.Generate(ctx, 1, Sampling{}); !errors.Is(err, ErrNoDecoder) && !errors.Is(err, ErrNoPrior) {
		t.Errorf("encoder: Generate gives %v", err)
	}
	if img, err := dec.Generate(ctx, 5, Sampling{Seed: 1}); err != nil || len(img) != 5 {
		t.Errorf("decoder: %v, %v", img, err)
	}
	if _, err := dec.Encode(ctx, grey(1, 0)); !errors.Is(err, ErrNoEncoder) {
		t.Errorf("decoder: Encode gives %v", err)
	}
}

// A model whose encoder and decoder take a class label.
func conditional(t testing.TB, oneHot bool) *onnx.Model {
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, batchDim, onnx.FixedDim(4))
	table := b.Initializer("table", of([]float32{0, 0, 0, 0, 1, 1, 1, 1}, 2, 4))
	if oneHot {
		label := b.Input("label", tensor.Float32, batchDim, onnx.FixedDim(2))
		b.Op("MatMul", "e", []string{label, table})
	} else {
		label := b.Input("label", tensor.Int64, batchDim)
		b.Op("Gather", "e", []string{table, label})
	}
	b.Op("Sub", "z", []string{x, "e"})
	b.Op("Add", "reconstruction", []string{"z", "e"})
	b.Output("reconstruction", tensor.Float32, batchDim, onnx.FixedDim(4))
	md := linearMeta()
	md.Values.Label = "label"
	return finish(t, b, md)
}

func TestLabel(t *testing.T) {
	for _, oneHot := range []bool{false, true} {
		m := open(t, conditional(t, oneHot), Options{})
		if _, err := m.Encode(ctx, grey(2, 0, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), `"label"`) {
			t.Errorf("one-hot %v: without a label: %v", oneHot, err)
		}
		l, err := m.WithLabel(1).Encode(ctx, grey(2, 0, 0, 0, 0), grey(2, 255, 0, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Z.Float32s(); !slices.Equal(got, []float32{-1, -1, -1, -1, 0, -1, -1, -1}) {
			t.Errorf("one-hot %v: z = %v", oneHot, got)
		}
		for label, want := range []uint8{0, 255} {
			img, err := m.WithLabel(label).Decode(ctx, of(make([]float32, 4), 1, 4))
			if err != nil || pixelsOf(t, img[0])[0] != want {
				t.Errorf("one-hot %v: label %d decodes to %v, %v", oneHot, label, img, err)
			}
		}
		if _, err := m.WithLabel(1).Generate(ctx, 3, Sampling{}); err != nil {
			t.Errorf("one-hot %v: Generate: %v", oneHot, err)
		}
		if _, err := m.WithLabel(2).Generate(ctx, 1, Sampling{}); err == nil {
			t.Errorf("one-hot %v: label 2 of 2 classes accepted", oneHot)
		}
		if _, err := m.WithLabel(-1).Generate(ctx, 1, Sampling{}); err == nil {
			t.Errorf("one-hot %v: label -1 accepted", oneHot)
		}
	}
}

func TestInterpolate(t *testing.T) {
	m := open(t, linear(t, linearMeta()), Options{})
	a, b := grey(2, 0, 0, 100, 200), grey(2, 100, 200, 100, 0)
	got, err := m.Interpolate(ctx, a, b, 5, Linear)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]uint8{{0, 0, 100, 200}, {25, 50, 100, 150}, {50, 100, 100, 100}, {75, 150, 100, 50}, {100, 200, 100, 0}} {
		if p := pixelsOf(t, got[i]); !slices.Equal(p, want) {
			t.Errorf("step %d: %v, want %v", i, p, want)
		}
	}
	if got, err = m.Interpolate(ctx, a, b, 3, Spherical); err != nil || !slices.Equal(pixelsOf(t, got[0]), pixelsOf(t, a)) || !slices.Equal(pixelsOf(t, got[2]), pixelsOf(t, b)) {
		t.Errorf("spherical: ends %v, %v", got, err)
	}
	if _, err := m.Interpolate(ctx, a, b, 1, Linear); err == nil {
		t.Error("one step accepted")
	}
}

func TestBetween(t *testing.T) {
	tests := []struct {
		a, b, want []float32
		t          float64
		path       Path
	}{
		{[]float32{1, 0}, []float32{0, 1}, []float32{0.5, 0.5}, 0.5, Linear},
		{[]float32{1, 0}, []float32{0, 1}, []float32{math.Sqrt2 / 2, math.Sqrt2 / 2}, 0.5, Spherical},
		{[]float32{2, 0}, []float32{0, 4}, []float32{3 * math.Sqrt2 / 2, 3 * math.Sqrt2 / 2}, 0.5, Spherical},
		{[]float32{1, 0}, []float32{3, 0}, []float32{2, 0}, 0.5, Spherical},
		{[]float32{0, 0}, []float32{3, 0}, []float32{1.5, 0}, 0.5, Spherical},
		{[]float32{1, 0}, []float32{-1, 0}, []float32{0.5, 0}, 0.25, Spherical},
	}
	for _, c := range tests {
		got := make([]float32, 2)
		between(got, c.a, c.b, c.t, c.path)
		for i := range got {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-6 {
				t.Errorf("between(%v, %v, %v, %v) = %v, want %v", c.a, c.b, c.t, c.path, got, c.want)
				break
			}
		}
	}
}

func TestBadUse(t *testing.T) {
	s, err := runtime.New(linear(t, nil), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Latent: "zz"}, `no value "zz" to use as latent`},
		{Options{Input: "picture"}, `no value "picture"`},
		{Options{Layout: "CHW"}, `layout "CHW"`},
		{Options{Channels: 2, Width: 2, Height: 2}, "2 channels"},
		{Options{Width: -1, Height: 4}, "-1x4"},
		{Options{Range: [2]float32{1, 0}}, "range 1 to 0"},
		{Options{Range: [2]float32{0, float32(math.Inf(1))}}, "range"},
		{Options{Fit: "squeeze"}, "squeeze"},
		{Options{Batch: -1}, "batch"},
	} {
		if _, err := New(s, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%+v): %v, want %q", c.o, err, c.want)
		}
	}
	m := open(t, linear(t, linearMeta()), Options{})
	if _, err := m.Decode(ctx, of([]float32{1, 2, 3}, 1, 3)); err == nil || !strings.Contains(err.Error(), "[4]") {
		t.Errorf("short latent: %v", err)
	}
	if _, err := m.Decode(ctx, nil); err == nil {
		t.Error("nil latent accepted")
	}
	if _, err := m.Encode(ctx); err == nil {
		t.Error("no images accepted")
	}
	if _, err := m.Encode(ctx, image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty image accepted")
	}
	if _, err := m.Generate(ctx, 1, Sampling{Temperature: -1}); err == nil {
		t.Error("temperature -1 accepted")
	}
	big := open(t, linear(t, linearMeta()), Options{Width: 3, Height: 2})
	if _, err := big.Reconstruct(ctx, grey(1, 0)); err == nil || !strings.Contains(err.Error(), "image") {
		t.Errorf("wrong size: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.Encode(ctx, grey(1, 0)); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	none := linearMeta()
	none.Prior = nil
	if _, err := open(t, linear(t, none), Options{}).Generate(ctx, 1, Sampling{}); !errors.Is(err, ErrNoPrior) {
		t.Errorf("autoencoder without a prior: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := open(t, linear(t, linearMeta()), Options{}).Generate(canceled, 1, Sampling{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := open(t, linear(t, linearMeta()), Options{})
	want, err := m.Generate(ctx, 4, Sampling{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := m.Generate(ctx, 4, Sampling{Seed: 3})
				if err != nil || !slices.Equal(pixelsOf(t, got[3]), pixelsOf(t, want[3])) {
					t.Errorf("got %v, %v", got, err)
				}
				if _, err := m.Reconstruct(ctx, grey(2, 1, 2, 3, 4)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

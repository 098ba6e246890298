package quant

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

func sources(shape ...int) Sources {
	return func() (Source, error) {
		s := &batches{}
		for i := range 2 {
			s.list = append(s.list, random(uint64(70+i), 0, 1, append([]int{8}, shape...)...))
		}
		return s, nil
	}
}

func TestEvaluate(t *testing.T) {
	m := convModel(t)
	q, _, err := Quantize(m, calibrate(t, m, 1, 8, 8), Options{})
	if err != nil {
		t.Fatal(err)
	}
	src, _ := sources(1, 8, 8)()
	e, err := Evaluate(ctx, m, q, src, true, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Outputs) != 1 || e.Outputs[0].Name != "reconstruction" || e.Outputs[0].Elems != 16*64 {
		t.Fatalf("outputs %+v", e.Outputs)
	}
	if d := e.Outputs[0]; d.SQNR < 25 || d.SQNR > 100 || d.MSE <= 0 || d.Max <= 0 || d.Cosine < 0.99 || d.Cosine > 1 {
		t.Errorf("%+v", d)
	}
	if e.Images != 16 || e.Reconstruction == nil || !(e.Times[0] > 0) || !(e.Times[1] > 0) {
		t.Errorf("%+v", e)
	}
	var names []string
	for _, d := range e.Tensors {
		names = append(names, d.Name)
		if d.SQNR < 20 || d.SQNR > 100 {
			t.Errorf("%+v", d)
		}
	}
	if len(names) < 3 {
		t.Errorf("values inside: %v", names)
	}
	src, _ = sources(1, 8, 8)()
	same, err := Evaluate(ctx, m, m, src, false, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if d := same.Outputs[0]; d.SQNR != noNoise || d.Max != 0 || same.Loss() != 0 {
		t.Errorf("a model against itself: %+v, loss %v", d, same.Loss())
	}
}

func TestWithinLoss(t *testing.T) {
	m := convModel(t)
	c := calibrate(t, m, 1, 8, 8)
	s, err := Sensitivities(ctx, m, c, Options{}, sources(1, 8, 8), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(s) != 4 {
		t.Fatalf("%d layers, want 4: %+v", len(s), s)
	}
	for i := range s[1:] {
		if s[i].MSE < s[i+1].MSE {
			t.Errorf("not sorted: %+v", s)
		}
	}
	float, err := WithinLoss(ctx, m, c, Options{}, ByMSE, 10, sources(1, 8, 8), runtime.Options{Threads: 1})
	if err != nil || len(float) != 0 {
		t.Errorf("a loss of 10 allowed: %v, %v", float, err)
	}
	float, err = WithinLoss(ctx, m, c, Options{}, ByMSE, -10, sources(1, 8, 8), runtime.Options{Threads: 1})
	if !errors.Is(err, ErrNothing) || len(float) == 0 || float[0] != s[0].Node {
		t.Errorf("an impossible loss: %v, %v; the most sensitive layer is %s", float, err, s[0].Node)
	}
}

// TestMetrics measures a model with latents against a worse one, on images some of which are
// marked.
func TestMetrics(t *testing.T) {
	p, err := arch.Find("ae")
	if err != nil {
		t.Fatal(err)
	}
	cfg := p.Config
	cfg.Channels, cfg.Height, cfg.Width = 1, 10, 10
	m, err := p.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	digits, err := dataset.NewDigits(1, 100, 1, 10, 10, false)
	if err != nil {
		t.Fatal(err)
	}
	images := func() (Source, error) {
		return &Images{Data: digits, Input: arch.Image, Batch: 30, Anomaly: func(l int) bool { return l > 6 }}, nil
	}
	src, _ := images()
	c, err := Calibrate(ctx, m, src, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := Quantize(m, c, Options{PerTensor: true})
	if err != nil {
		t.Fatal(err)
	}
	src, _ = images()
	e, err := Evaluate(ctx, m, q, src, true, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if e.Images != 100 || e.PSNR == nil || e.AUC == nil || e.Latents == nil {
		t.Fatalf("%+v", e)
	}
	if *e.Latents < 0.99 || *e.Latents >= 1 || e.AUC[0] < 0 || e.AUC[0] > 1 || math.Abs(e.AUC[0]-e.AUC[1]) > 0.05 {
		t.Errorf("latents %v, AUC %v", *e.Latents, *e.AUC)
	}
	if want := 10 * math.Log10(e.Reconstruction[1]/e.Reconstruction[0]); math.Abs(e.PSNR[0]-e.PSNR[1]-want) > 1e-9 {
		t.Errorf("PSNR %v, MSE %v", *e.PSNR, *e.Reconstruction)
	}
	for _, by := range []Metric{ByMSE, ByPSNR, ByCosine, ByAUC} {
		if l, err := e.LossBy(by); err != nil || math.Abs(l) > 0.1 {
			t.Errorf("loss by %s: %v, %v", by, l, err)
		}
		float, err := WithinLoss(ctx, m, c, Options{}, by, 0.5, images, runtime.Options{Threads: 1})
		if err != nil || len(float) != 0 {
			t.Errorf("a loss of 0.5 by %s allowed: %v, %v", by, float, err)
		}
	}
	all, err := e.LossBy(ByCosine)
	if err != nil {
		t.Fatal(err)
	}
	float, err := WithinLoss(ctx, m, c, Options{PerTensor: true}, ByCosine, 0.7*all, images, runtime.Options{Threads: 1})
	if err != nil || len(float) == 0 || !strings.Contains(float[0], "encoder") {
		t.Errorf("layers that better latents need in float32: %v, %v", float, err)
	}
	plain := denseModel(t)
	src, _ = sources(40)()
	if e, err = Evaluate(ctx, plain, plain, src, false, runtime.Options{Threads: 1}); err != nil {
		t.Fatal(err)
	}
	for _, by := range []Metric{ByCosine, ByAUC} {
		if _, err := e.LossBy(by); err == nil {
			t.Errorf("loss by %s of a model without latents and labels", by)
		}
	}
	if _, err := ParseMetric("fid"); err == nil {
		t.Error("the metric fid was accepted")
	}
}

func TestWeightsOnly(t *testing.T) {
	m := convModel(t)
	x := random(99, 0, 1, 20, 1, 8, 8)
	want := outputs(t, m, x)
	for _, c := range []struct {
		name   string
		f      func(*onnx.Model, Options) (*onnx.Model, *Report, error)
		dtype  tensor.DType
		margin float64
	}{{"int8", WeightsInt8, tensor.Int8, 0.02}, {"float16", WeightsFloat16, tensor.Float16, 0.002}} {
		q, r, err := c.f(m, Options{})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if len(r.Layers) != 4 {
			t.Errorf("%s: %d layers, want 4", c.name, len(r.Layers))
		}
		for _, i := range q.Graph.Initializers {
			if len(i.Dims) > 1 && i.DType != c.dtype {
				t.Errorf("%s: initializer %q is %v", c.name, i.Name, i.DType)
			}
		}
		worst := 0.0
		for i, v := range outputs(t, q, x) {
			worst = max(worst, math.Abs(float64(v-want[i])))
		}
		if worst == 0 || worst > c.margin {
			t.Errorf("%s: largest difference %v, want at most %v but not 0", c.name, worst, c.margin)
		}
		a, _ := onnx.Encode(m)
		b, _ := onnx.Encode(q)
		if len(b) >= len(a) {
			t.Errorf("%s: %d bytes, the float model has %d", c.name, len(b), len(a))
		}
	}
	if _, _, err := WeightsInt8(m, Options{Exclude: func(string) bool { return true }}); !errors.Is(err, ErrNothing) {
		t.Errorf("all excluded: %v, want ErrNothing", err)
	}
}

func TestSources(t *testing.T) {
	digits, err := dataset.NewDigits(1, 10, 1, 8, 8, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, flat := range []bool{false, true} {
		src, err := FromImages(digits, "x", flat, 4, 9)
		if err != nil {
			t.Fatal(err)
		}
		var counts []int
		for {
			in, err := src.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			counts = append(counts, in["x"].Shape()[0])
			if rank := in["x"].Rank(); flat != (rank == 2) {
				t.Errorf("flat %t: rank %d", flat, rank)
			}
		}
		if len(counts) != 3 || counts[0] != 4 || counts[2] != 1 {
			t.Errorf("batches of %v, want 4 4 1", counts)
		}
	}
	src := &Images{Data: digits, Input: "x", Batch: 10, Label: "y", Classes: 10, Anomaly: func(l int) bool { return l == 3 }}
	in, err := src.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, odd := range src.Anomalies() {
		hot := 0
		for l, v := range in["y"].Float32s()[10*i:][:10] {
			if v == 1 {
				hot++
				if (l == 3) != odd {
					t.Errorf("image %d has label %d, anomaly %t", i, l, odd)
				}
			}
		}
		if hot != 1 {
			t.Errorf("image %d has %d labels", i, hot)
		}
	}
	dir := t.TempDir()
	if _, err := FromFolder(dir, "x"); err == nil {
		t.Error("an empty folder was accepted")
	}
	if err := os.WriteFile(filepath.Join(dir, "a.npy"), []byte("not a tensor"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := FromFolder(dir, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Next(ctx); err == nil {
		t.Error("a malformed file was accepted")
	}
}

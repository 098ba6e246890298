package qat

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/metric"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

// trained fits a preset to the first n images of a data set and finishes it as aeexport
// does.
func trained(t *testing.T, preset, objective, data string, n, epochs int) (*onnx.Model, train.Config, *dataset.Data) {
	t.Helper()
	d, err := dataset.Open(ctx, data, dataset.Options{Dir: testdata.Path(t, data), N: n, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := arch.Find(preset)
	if err != nil {
		t.Fatal(err)
	}
	cfg := p.Config
	cfg.Seed = 1
	m, err := p.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if objective == "" {
		objective = p.Recipe.Objective
	}
	c := train.Config{Model: m, Data: d.Train, Epochs: epochs, Batch: 128, LR: 1e-3, Seed: 1}
	if c.Objective, err = train.ParseObjective(objective, 0); err != nil {
		t.Fatal(err)
	}
	return finished(t, c), c, d
}

func finished(t *testing.T, c train.Config) *onnx.Model {
	t.Helper()
	tr, err := train.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if _, err := tr.Run(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := tr.Model()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = export.Finish(m, export.Options{}); err != nil {
		t.Fatal(err)
	}
	return m
}

func inputs(d dataset.Source, n int) *quant.Images {
	return &quant.Images{Data: d, Input: arch.Image, Batch: 50, N: n}
}

func calibrated(t *testing.T, m *onnx.Model, src quant.Source) *quant.Calibration {
	t.Helper()
	c, err := quant.Calibrate(ctx, m, src, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReconstructionLoss trains the presets and compares the error of reconstructions of test
// images in int8 with that in float32: at most 3 % above it after calibration, 1 % after
// training for quantisation. The file is bounded too.
func TestReconstructionLoss(t *testing.T) {
	testdata.Slow(t)
	for _, data := range []string{"mnist", "fashion-mnist"} {
		for _, preset := range []string{"ae", "vae", "conv-ae", "conv-vae"} {
			n := 20000
			if strings.HasPrefix(preset, "conv") {
				n = 6000
			}
			float, cfg, d := trained(t, preset, "", data, n, 3)
			cal := calibrated(t, float, inputs(d.Train, 1000))
			q, _, err := quant.Quantize(float, cal, quant.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e, err := quant.Evaluate(ctx, float, q, inputs(d.Test, 2000), false, runtime.Options{})
			if err != nil {
				t.Fatal(err)
			}
			cfg.Epochs, cfg.LR, cfg.Schedule = 1, cfg.LR/10, train.Cosine{}
			r, err := Train(ctx, float, cal, quant.Options{}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			q2, _, err := quant.Quantize(r.Model, calibrated(t, r.Model, inputs(d.Train, 1000)), r.Options)
			if err != nil {
				t.Fatal(err)
			}
			e2, err := quant.Evaluate(ctx, float, q2, inputs(d.Test, 2000), false, runtime.Options{})
			if err != nil {
				t.Fatal(err)
			}
			bytes, bound := size(t, float, q)
			t.Logf("%s %s: MSE %.6f, int8 %+.2f%%, trained %+.2f%%; %d bytes, bound %d", data, preset, e.Reconstruction[0], 100*e.Loss(), 100*e2.Loss(), bytes, bound)
			if e.Loss() > 0.03 || e2.Loss() > 0.01 || bytes > bound {
				t.Errorf("%s %s is beyond a bound", data, preset)
			}
		}
	}
}

// size returns the bytes of a quantised model's file, and the bound: a quarter of the
// weights' bytes, 17 for each output channel, and 8 KiB.
func size(t *testing.T, float, q *onnx.Model) (bytes, bound int) {
	t.Helper()
	b, err := onnx.Encode(q)
	if err != nil {
		t.Fatal(err)
	}
	bound = 8 << 10
	for _, n := range float.Graph.Nodes {
		if !slices.Contains([]string{"Gemm", "Conv", "ConvTranspose"}, n.OpType) {
			continue
		}
		w := float.Graph.Initializer(n.Inputs[1]).Value
		channels := w.Shape()[0]
		if n.OpType == "ConvTranspose" || n.OpType == "Gemm" && n.Attr("transB") == nil {
			channels = w.Shape()[1]
		}
		bound += w.Elems() + 17*channels
	}
	return len(b), bound
}

// elbo returns the negative evidence lower bound of binary images, in nats an image, with the
// same draws for every model. Probabilities come from the logits, as in training.
func elbo(t *testing.T, m *onnx.Model, d dataset.Source, n int) float64 {
	t.Helper()
	logits := ""
	for _, node := range m.Graph.Nodes {
		if node.OpType == "Sigmoid" {
			logits = node.Inputs[0]
		}
	}
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	enc, err := s.Sub([]string{arch.Image}, []string{arch.Mu, arch.LogVar})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := s.Sub([]string{arch.Z}, []string{logits})
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	src := inputs(d, n)
	total, count := 0.0, 0
	for batch := uint64(0); ; batch++ {
		in, err := src.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		x := in[arch.Image]
		rng.New(1, 1, batch).Binarize(x.Float32s(), slices.Clone(x.Float32s()), 0)
		q, err := enc.Run(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		mu, logvar := q[arch.Mu].Float32s(), q[arch.LogVar].Float32s()
		z := tensor.Must(tensor.New(tensor.Float32, q[arch.Mu].Shape()...))
		rng.New(1, 2, batch).Normal(z.Float32s(), 0)
		for i, e := range z.Float32s() {
			m, v := float64(mu[i]), float64(logvar[i])
			total += 0.5 * (m*m + math.Exp(v) - 1 - v)
			z.Float32s()[i] = float32(m + math.Exp(v/2)*float64(e))
		}
		out, err := dec.Run(ctx, map[string]*tensor.Tensor{arch.Z: z})
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range out[logits].Float32s() {
			a := float64(l)
			total += math.Max(a, 0) - a*float64(x.Float32s()[i]) + math.Log1p(math.Exp(-math.Abs(a)))
		}
		count += x.Shape()[0]
	}
	return total / float64(count)
}

// TestELBOLoss is of the VAE of Burda et al. 2016, 784-200-200-50 with tanh: its bound on
// binarised MNIST is at most 0.3 nats worse in int8.
func TestELBOLoss(t *testing.T) {
	testdata.Slow(t)
	float, _, d := trained(t, "iwae", "elbo", "mnist", 30000, 8)
	cal := calibrated(t, float, inputs(d.Train, 1000))
	q, _, err := quant.Quantize(float, cal, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := elbo(t, float, d.Test, 2000), elbo(t, q, d.Test, 2000)
	t.Logf("negative ELBO %.2f nats, int8 %.2f: %+.3f", a, b, b-a)
	if b-a > 0.3 {
		t.Errorf("int8 loses %.3f nats", b-a)
	}
}

// spectra is a data set of synthetic log-mel spectrograms, 5 frames of 128 bands, as in the
// anomaly detection benchmark of MLPerf Tiny: a machine's harmonics over a noise floor. Those
// of odd number, if there are anomalies, have label 1: a bearing adds weak side bands and
// wear shifts the pitch.
type spectra struct {
	name  string
	n     int
	pix   []float32
	label []int
}

const bands, frames = 128, 5

func newSpectra(seed uint64, n int, anomalies bool) *spectra {
	s := &spectra{name: fmt.Sprintf("spectra %d %d %t", seed, n, anomalies), n: n, pix: make([]float32, n*frames*bands), label: make([]int, n)}
	for i := range n {
		r := rng.New(seed, uint64(i)).Rand()
		pitch, load := 9.5+0.5*r.Normal(), r.Range(0.5, 1)
		side := 0.0
		if anomalies && i%2 == 1 {
			s.label[i] = 1
			pitch += r.Range(-0.9, 0.9)
			side = r.Range(0, 0.16)
		}
		for f := range frames {
			wobble := pitch + 0.05*r.Normal()
			for b := range bands {
				v := 0.25 - 0.001*float64(b) + 0.04*r.Normal()
				for h := 1; h <= 9; h++ {
					at := float64(h) * wobble * (1 + 0.02*float64(h))
					d := math.Abs(float64(b) - at)
					if d > 12 {
						continue
					}
					v += load*0.5/math.Sqrt(float64(h))*math.Exp(-d*d/4) + side*math.Exp(-(d-5)*(d-5)/2)
				}
				s.pix[(i*frames+f)*bands+b] = float32(min(1, max(0, v)))
			}
		}
	}
	return s
}

func (s *spectra) Info() dataset.Info {
	return dataset.Info{Name: "spectra", Channels: 1, Height: frames, Width: bands, Classes: []string{"normal", "anomaly"}}
}
func (s *spectra) Len() int                { return s.n }
func (s *spectra) Digest() (string, error) { return s.name, nil }

func (s *spectra) Read(_ context.Context, index []int, dst []float32, labels []int) error {
	for k, i := range index {
		copy(dst[k*frames*bands:][:frames*bands], s.pix[i*frames*bands:])
		if labels != nil {
			labels[k] = s.label[i]
		}
	}
	return nil
}

// detector is 640-128×4-8-128×4-640 with BatchNormalization and ReLU.
func detector(t *testing.T) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	batch := onnx.NamedDim("batch")
	b.Input(arch.Image, tensor.Float32, batch, onnx.FixedDim(frames*bands))
	constant := func(name string, v float32, n int) string {
		x := tensor.Must(tensor.New(tensor.Float32, n))
		for i := range x.Float32s() {
			x.Float32s()[i] = v
		}
		return b.Initializer(name, x)
	}
	x, in := arch.Image, frames*bands
	widths := []int{128, 128, 128, 128, 8, 128, 128, 128, 128, frames * bands}
	for i, n := range widths {
		w := tensor.Must(tensor.New(tensor.Float32, in, n))
		rng.New(7, uint64(i)).Uniform(w.Float32s(), 0)
		for k := range w.Float32s() {
			w.Float32s()[k] = (2*w.Float32s()[k] - 1) * float32(math.Sqrt(6/float64(in+n)))
		}
		name := fmt.Sprintf("fc%d", i+1)
		out := name
		if i == len(widths)-1 {
			out = arch.Reconstruction
		}
		x = b.Op("Gemm", out, []string{x, b.Initializer(name+".weight", w), constant(name+".bias", 0, n)})
		if i < len(widths)-1 {
			x = b.Op("BatchNormalization", name+"/bn", []string{x, constant(name+".scale", 1, n), constant(name+".shift", 0, n), constant(name+".mean", 0, n), constant(name+".var", 1, n)})
			out = name + "/relu"
			if n == 8 {
				out = arch.Z
			}
			x = b.Op("Relu", out, []string{x})
		}
		in = n
	}
	b.Output(x, tensor.Float32, batch, onnx.FixedDim(frames*bands))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	err = train.Annotate(m, func(d *meta.Model) {
		d.Kind = meta.KindAE
		d.Values = meta.Values{Image: arch.Image, Z: arch.Z, Reconstruction: arch.Reconstruction}
		d.Image = meta.Image{Width: bands, Height: frames, Channels: 1, Layout: meta.LayoutFlat}
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAnomalyLoss trains the shape of MLPerf Tiny's anomaly detector on synthetic spectra. In
// int8 the area under its curve falls by at most 0.5 points.
func TestAnomalyLoss(t *testing.T) {
	testdata.Slow(t)
	objective, err := train.ParseObjective("mse", 0)
	if err != nil {
		t.Fatal(err)
	}
	data := newSpectra(1, 8000, false)
	float := finished(t, train.Config{Model: detector(t), Data: data, Objective: objective, Epochs: 15, Batch: 256, LR: 1e-3, Seed: 1, Schedule: train.Cosine{}})
	flat := func(d dataset.Source, n int) *quant.Images {
		s := inputs(d, n)
		s.Flat, s.Anomaly = true, func(label int) bool { return label == 1 }
		return s
	}
	q, _, err := quant.Quantize(float, calibrated(t, float, flat(data, 1000)), quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := quant.Evaluate(ctx, float, q, flat(newSpectra(2, 4000, true), 0), false, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("AUC %.4f, int8 %.4f; MSE %.6f, int8 %+.2f%%; PSNR %.2f dB", e.AUC[0], e.AUC[1], e.Reconstruction[0], 100*e.Loss(), metric.PSNR(e.Reconstruction[0], 1))
	if e.AUC[0] < 0.75 || e.AUC[0] > 0.97 {
		t.Errorf("an AUC of %.4f says little about the loss", e.AUC[0])
	}
	if e.AUC[0]-e.AUC[1] > 0.005 {
		t.Errorf("int8 loses %.2f points", 100*(e.AUC[0]-e.AUC[1]))
	}
}

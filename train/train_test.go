package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

const side = 12

func digits(t testing.TB, n int, test bool) dataset.Source {
	t.Helper()
	d, err := dataset.NewDigits(3, n, 1, side, side, test)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func model(t testing.TB, preset string, hidden []int, latent int) *onnx.Model {
	t.Helper()
	p, err := arch.Find(preset)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Build(arch.Config{Height: side, Width: side, Hidden: hidden, Latent: latent, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// small is a VAE of a few thousand parameters on a few hundred images.
func small(t testing.TB) Config {
	return Config{
		Model: model(t, "vae", []int{32}, 4), Objective: ELBO{}, Data: digits(t, 230, false),
		Epochs: 3, Batch: 50, LR: 1e-3, Seed: 9, Threads: 1,
	}
}

func newTrainer(t testing.TB, cfg Config) *Trainer {
	t.Helper()
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

func runAll(t testing.TB, cfg Config) *Trainer {
	t.Helper()
	tr := newTrainer(t, cfg)
	if _, err := tr.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestLearns(t *testing.T) {
	tests := []struct {
		name   string
		preset string
		obj    Objective
		opt    Optimizer
		lr     float64
		factor float64 // the last epoch's loss must be below factor times the first's
	}{
		{"ae", "ae", MSE{}, nil, 3e-3, 0.75},
		{"ae bce sgd", "ae", BCE{}, SGD{Momentum: 0.9}, 3e-3, 0.9},
		{"vae", "vae", ELBO{}, nil, 3e-3, 0.85},
		{"vae gaussian", "vae", ELBO{Likelihood: Gaussian, Sigma: 0.3}, Adam{WeightDecay: 0.01}, 3e-3, 0.9},
		{"denoising", "denoising-ae", MSE{}, nil, 3e-3, 0.75},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := small(t)
			cfg.Model, cfg.Objective, cfg.Optimizer, cfg.LR = model(t, tt.preset, []int{32}, 8), tt.obj, tt.opt, tt.lr
			cfg.Data, cfg.Epochs = digits(t, 1000, false), 8
			if tt.preset == "denoising-ae" {
				cfg.Noise = arch.Noise{Kind: "gaussian", Level: 0.3}
			}
			var losses []float64
			cfg.OnEpoch = func(e Epoch) { losses = append(losses, e.Train.Total()) }
			tr := runAll(t, cfg)
			if last := losses[len(losses)-1]; !(last < tt.factor*losses[0]) {
				t.Errorf("losses %v: want the last below %g of the first", losses, tt.factor)
			}
			l, err := tr.Evaluate(context.Background(), digits(t, 300, true))
			if err != nil {
				t.Fatal(err)
			}
			if !(l.Total() < losses[0]) {
				t.Errorf("test loss %v, the first epoch's loss was %g", l, losses[0])
			}
		})
	}
}

// TestCrossEntropyChannelsLast: the cross-entropy of a model whose Sigmoid is before a
// Transpose is that of its outputs.
func TestCrossEntropyChannelsLast(t *testing.T) {
	d, err := dataset.NewDigits(3, 40, 3, 8, 9, false)
	if err != nil {
		t.Fatal(err)
	}
	const n = 3 * 8 * 9
	w := normals(1, n, n)
	for i := range w.Float32s() {
		w.Float32s()[i] *= 0.1
	}
	b := onnx.NewBuilder(17)
	dims := []onnx.Dim{onnx.NamedDim("n"), onnx.FixedDim(3), onnx.FixedDim(8), onnx.FixedDim(9)}
	b.Input("x", tensor.Float32, dims...)
	b.Op("Flatten", "flat", []string{"x"})
	b.Op("Gemm", "l", []string{"flat", b.Initializer("w", w), b.Initializer("c", normals(2, n))})
	b.Op("Sigmoid", "s", []string{"l"})
	b.Op("Reshape", "last", []string{"s", b.Initializer("shape", tensor.Must(tensor.Of([]int64{-1, 8, 9, 3}, 4)))})
	b.Op("Transpose", "y", []string{"last"}, onnx.AttrIs("perm", 0, 3, 1, 2))
	b.Output("y", tensor.Float32, dims...)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	err = Annotate(m, func(m *meta.Model) {
		*m = meta.Model{Kind: meta.KindAE, Values: meta.Values{Image: "x", Z: "flat", Reconstruction: "y"},
			Image: meta.Image{Width: 9, Height: 8, Channels: 3, Layout: meta.LayoutNCHW}}
	})
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer(t, Config{Model: m, Objective: BCE{}, Data: d, Epochs: 1, Batch: 10, LR: 1e-3, Seed: 1})
	got, err := tr.Evaluate(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	x := pixels(t, d, 40)
	out, err := tr.Outputs(context.Background(), map[string]*tensor.Tensor{"x": tensor.Must(tensor.Of(x, 40, 3, 8, 9))})
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for i, y := range out["y"].Float32s() {
		want -= (float64(x[i])*math.Log(float64(y)) + float64(1-x[i])*math.Log1p(-float64(y))) / 40
	}
	if !(math.Abs(got.Total()-want) < 1e-4*want) {
		t.Errorf("%g nats, by the outputs %g", got.Total(), want)
	}
}

// TestThreads: the weights do not depend on the number of threads.
func TestThreads(t *testing.T) {
	cfg := small(t)
	cfg.Model = model(t, "vae", []int{200}, 8)
	cfg.ClipNorm = 1
	cfg.Epochs = 1
	want := runAll(t, cfg).p
	for _, threads := range []int{2, 3} {
		cfg.Threads = threads
		if got := runAll(t, cfg).p; !slices.Equal(got, want) {
			t.Errorf("weights with %d threads differ from those with one", threads)
		}
	}
	cfg.Seed++
	if got := runAll(t, cfg).p; slices.Equal(got, want) {
		t.Error("another seed gives the same weights")
	}
}

// TestResume: a run that is cancelled at any step and resumed from its checkpoint ends
// with the same bits.
func TestResume(t *testing.T) {
	cfg := small(t)
	cfg.Val, cfg.EMA, cfg.Schedule, cfg.Warmup = digits(t, 60, true), 0.9, Cosine{}, 0.5
	whole := runAll(t, cfg)
	dir := t.TempDir()
	for _, stop := range []int{1, 5, 7, 12} {
		cfg := cfg
		cfg.Checkpoint = filepath.Join(dir, "checkpoint")
		ctx, cancel := context.WithCancelCause(context.Background())
		why := errors.New("enough")
		n := 0
		cfg.OnStep = func(Progress) {
			if n++; n == stop {
				cancel(why)
			}
		}
		tr := newTrainer(t, cfg)
		if _, err := tr.Run(ctx); !errors.Is(err, why) {
			t.Fatalf("stopped after %d steps: error %v, want %v", stop, err, why)
		}
		cfg.OnStep = nil
		again := newTrainer(t, cfg)
		if err := again.Resume(cfg.Checkpoint); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.p, whole.p) || !slices.Equal(again.weights(), whole.weights()) {
			t.Errorf("stopped after %d steps: resumed weights differ", stop)
		}
		if a, b := again.pos.Last.Train, whole.pos.Last.Train; !slices.Equal(a.Values, b.Values) {
			t.Errorf("stopped after %d steps: losses of the last epoch %v, uninterrupted %v", stop, a, b)
		}
	}
}

// TestFinish: a run that ends before its time gives the weights of its best epoch, and its
// checkpoint the bits of a run that was let finish.
func TestFinish(t *testing.T) {
	for _, ema := range []float64{0, 0.9} {
		cfg := small(t)
		cfg.Val, cfg.EMA = digits(t, 60, true), ema
		whole := runAll(t, cfg)
		var losses []float64
		ctx, cancel := context.WithCancel(context.Background())
		early := cfg
		early.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		early.OnEpoch = func(e Epoch) { losses = append(losses, e.Val.Total()) }
		n := 0
		early.OnStep = func(Progress) {
			if n++; n == 12 { // of 15
				cancel()
			}
		}
		tr := newTrainer(t, early)
		if _, err := tr.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		evaluate := func(tr *Trainer) float64 {
			l, err := tr.Evaluate(context.Background(), cfg.Val)
			if err != nil {
				t.Fatal(err)
			}
			return l.Total()
		}
		best := slices.Min(losses)
		if before := evaluate(tr); before == best {
			t.Fatalf("the weights in the middle of an epoch have the loss %g of the best one", before)
		}
		s := tr.Finish()
		if got := evaluate(tr); got != best || s.Best != 1+slices.Index(losses, best) {
			t.Errorf("EMA %g: finished with the loss %g of epoch %d, losses were %v", ema, got, s.Best, losses)
		}
		m, err := tr.Model()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := Describe(m); err != nil || d.Training.ValLoss != best {
			t.Errorf("the metadata are %+v (%v), want a validation loss of %g", d.Training, err, best)
		}
		if again, err := tr.Run(context.Background()); err != nil || again.Epochs != s.Epochs {
			t.Errorf("Run after Finish: %d epochs (%v), had %d", again.Epochs, err, s.Epochs)
		}
		resumed := newTrainer(t, cfg)
		if err := resumed.Resume(early.Checkpoint); err != nil {
			t.Fatal(err)
		}
		if _, err := resumed.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(resumed.p, whole.p) {
			t.Errorf("EMA %g: the checkpoint does not lead to the weights of a whole run", ema)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	cfg := small(t)
	cfg.Epochs = 1
	path := filepath.Join(t.TempDir(), "checkpoint")
	if err := runAll(t, cfg).Save(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(b []byte) []byte
		cfg    func(c *Config)
		want   string
	}{
		{"other seed", nil, func(c *Config) { c.Seed++ }, "Seed"},
		{"other batch", nil, func(c *Config) { c.Batch++ }, "Batch"},
		{"other data", nil, func(c *Config) { c.Data = digits(t, 231, false) }, "Data"},
		{"other model", nil, func(c *Config) { c.Model = model(t, "vae", []int{33}, 4) }, "Parameters"},
		{"cut", func(b []byte) []byte { return b[:len(b)-40] }, nil, "cut short"},
		{"cut in header", func(b []byte) []byte { return b[:40] }, nil, "cut short"},
		{"empty", func([]byte) []byte { return nil }, nil, "does not begin"},
		{"flipped bit", func(b []byte) []byte { b[len(b)-1000] ^= 4; return b }, nil, "checksum"},
		{"long header", func(b []byte) []byte { b[15] = 0xff; return b }, nil, "header of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cfg
			if tt.cfg != nil {
				tt.cfg(&c)
			}
			b := slices.Clone(good)
			if tt.change != nil {
				b = tt.change(b)
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			tr := newTrainer(t, c)
			before := slices.Clone(tr.p)
			if err := tr.Resume(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
			if !slices.Equal(before, tr.p) {
				t.Error("a refused checkpoint changed the weights")
			}
		})
	}
}

func TestEarlyStopping(t *testing.T) {
	cfg := small(t)
	cfg.Model, cfg.Objective = model(t, "ae", []int{64}, 32), MSE{}
	cfg.Data, cfg.Val = digits(t, 40, false), digits(t, 200, true)
	cfg.LR, cfg.Epochs, cfg.Patience, cfg.Batch = 3e-3, 400, 5, 20
	var val []float64
	cfg.OnEpoch = func(e Epoch) { val = append(val, e.Val.Total()) }
	tr := newTrainer(t, cfg)
	s, err := tr.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !s.Stopped || s.Epochs != len(val) || s.Epochs != s.Best+cfg.Patience {
		t.Fatalf("%+v after %d epochs", s, len(val))
	}
	l, err := tr.Evaluate(context.Background(), cfg.Val)
	if err != nil {
		t.Fatal(err)
	}
	if l.Total() != slices.Min(val) {
		t.Errorf("the result has validation loss %v, the best epoch %v", l.Total(), slices.Min(val))
	}
}

// TestELBO compares the evaluated loss with the formula, computed here in float64.
func TestELBO(t *testing.T) {
	cfg := small(t)
	cfg.Objective = ELBO{Beta: 3}
	tr := newTrainer(t, cfg)
	src := digits(t, 5, true)
	got, err := tr.Evaluate(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	w := func(name string) []float32 { return cfg.Model.Graph.Initializer(name).Value.Float32s() }
	dense := func(x []float64, name string, relu bool) []float64 {
		c := w(name + ".bias")
		y := make([]float64, len(c))
		for j := range y {
			y[j] = float64(c[j])
			for i, v := range x {
				y[j] += v * float64(w(name + ".weight")[i*len(c)+j])
			}
			if relu {
				y[j] = max(0, y[j])
			}
		}
		return y
	}
	var rec, kl float64
	n := src.Len()
	for i := range n {
		img := make([]float32, side*side)
		if err := src.Read(context.Background(), []int{i}, img, nil); err != nil {
			t.Fatal(err)
		}
		x := make([]float64, len(img))
		for k, p := range img {
			x[k] = float64(p)
		}
		h := dense(x, "encoder.fc1", true)
		mu, lv := dense(h, "encoder.mu", false), dense(h, "encoder.logvar", false)
		eps := make([]float32, len(mu))
		rng.New(cfg.Seed, streamEvaluate, 0, uint64(i)).Normal(eps, 0)
		z := make([]float64, len(mu))
		for k := range z {
			z[k] = mu[k] + math.Exp(lv[k]/2)*float64(eps[k])
			kl += (mu[k]*mu[k] + math.Exp(lv[k]) - 1 - lv[k]) / 2
		}
		for k, l := range dense(dense(z, "decoder.fc1", true), "decoder.fc2", false) {
			p := 1 / (1 + math.Exp(-l))
			rec -= x[k]*math.Log(p) + (1-x[k])*math.Log(1-p)
		}
	}
	want := []float64{(rec + kl) / float64(n), rec / float64(n), kl / float64(n)}
	for i, v := range want {
		if math.Abs(got.Values[i]-v) > 1e-5*v {
			t.Errorf("%s is %v, want %v", got.Names[i], got.Values[i], v)
		}
	}
}

func TestFreezeAndModel(t *testing.T) {
	cfg := small(t)
	cfg.Epochs = 1
	cfg.Freeze = func(name string) bool { return strings.HasPrefix(name, "encoder.") }
	before := map[string][]float32{}
	for _, i := range cfg.Model.Graph.Initializers {
		if i.DType == 1 {
			before[i.Name] = slices.Clone(i.Value.Float32s())
		}
	}
	m, err := runAll(t, cfg).Model()
	if err != nil {
		t.Fatal(err)
	}
	for name, old := range before {
		same := slices.Equal(m.Graph.Initializer(name).Value.Float32s(), old)
		if frozen := cfg.Freeze(name); same != frozen {
			t.Errorf("%s: frozen %t, unchanged %t", name, frozen, same)
		}
		if !slices.Equal(cfg.Model.Graph.Initializer(name).Value.Float32s(), old) {
			t.Errorf("%s of the model that was given has changed", name)
		}
	}
	d, err := Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	if d.Training == nil || d.Training.Epochs != 1 || d.Training.Objective != "elbo" || d.Dataset == nil || d.Dataset.Images != 230 {
		t.Errorf("metadata %+v, training %+v", d, d.Training)
	}
	if err := onnx.Check(m); err != nil {
		t.Error(err)
	}
}

func TestNaN(t *testing.T) {
	cfg := small(t)
	cfg.LR, cfg.Optimizer = 1e5, SGD{}
	_, err := newTrainer(t, cfg).Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "the loss is") {
		t.Errorf("error %v, want one about the loss", err)
	}
}

func TestConfig(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"no model", func(c *Config) { c.Model = nil }, "no model"},
		{"no data", func(c *Config) { c.Data = nil }, "no training images"},
		{"epochs", func(c *Config) { c.Epochs = 0 }, "0 epochs"},
		{"batch", func(c *Config) { c.Batch = -1 }, "batches of -1"},
		{"rate", func(c *Config) { c.LR = math.NaN() }, "learning rate NaN"},
		{"ema", func(c *Config) { c.EMA = 1 }, "EMA"},
		{"patience", func(c *Config) { c.Patience = 1 }, "validation images"},
		{"beta", func(c *Config) { c.Objective = ELBO{Beta: -1} }, "ELBO"},
		{"adam", func(c *Config) { c.Optimizer = Adam{Beta1: 1} }, "Adam"},
		{"image size", func(c *Config) { c.Data, _ = dataset.NewDigits(1, 10, 1, 14, 14, false) }, "14x14"},
		{"not variational", func(c *Config) { c.Model = model(t, "ae", nil, 4) }, "which value is its mu"},
		{"all frozen", func(c *Config) { c.Freeze = func(string) bool { return true } }, "no parameters"},
		{"no metadata", func(c *Config) { m := *c.Model; m.Metadata = nil; c.Model = &m }, "metadata"},
	}
	for _, tt := range tests {
		cfg := small(t)
		tt.change(&cfg)
		tr, err := New(cfg)
		if err == nil {
			tr.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one that says %q", tt.name, err, tt.want)
		}
	}
}

var countAllocations = true

// TestStepAllocations: a step allocates nothing.
func TestStepAllocations(t *testing.T) {
	if !countAllocations {
		t.Skip("allocations cannot be counted in this build")
	}
	cfg := small(t)
	cfg.ClipNorm = 1
	tr := newTrainer(t, cfg)
	f, err := newFeed(cfg.Data, feedOptions{seed: 1, noises: &tr.noises, loader: dataset.LoaderOptions{Batch: cfg.Batch, Epochs: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	b, err := f.next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	step := func() {
		if err := tr.step(b, 1e-3); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(20, step); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}

func TestOutputs(t *testing.T) {
	cfg := small(t)
	tr := runAll(t, cfg)
	x := tensor.Must(tensor.New(tensor.Float32, 2, 1, side, side))
	if err := cfg.Data.Read(context.Background(), []int{3, 4}, x.Float32s(), nil); err != nil {
		t.Fatal(err)
	}
	got, err := tr.Outputs(context.Background(), map[string]*tensor.Tensor{arch.Image: x})
	if err != nil {
		t.Fatal(err)
	}
	m, err := tr.Model()
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.New(m, graph.Config{Set: op.Core})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(g, []op.Fact{{DType: tensor.Float32, Shape: x.Shape()}}, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	outs := make([]*tensor.Tensor, len(g.Outputs))
	if err := p.Run(context.Background(), p.NewState(), outs, []*tensor.Tensor{x}); err != nil {
		t.Fatal(err)
	}
	for i, o := range m.Graph.Outputs {
		for k, w := range outs[i].Float32s() {
			if v := got[o.Name].Float32s()[k]; math.Abs(float64(v-w)) > 1e-5 {
				t.Fatalf("%s[%d] is %v in the trainer and %v in the model", o.Name, k, v, w)
			}
		}
	}
}

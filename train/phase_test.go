package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/autodiff"
	"github.com/aekit/aekit/train/dataset"
	"github.com/aekit/aekit/train/gradop"
)

// TestOnePhaseIsThePlainLoop: an objective of one loss gives, bit for bit, what a loop
// gives that knows nothing of phases, groups and feeds: one graph, one Adam over each
// parameter.
func TestOnePhaseIsThePlainLoop(t *testing.T) {
	cfg := small(t)
	cfg.Data = digits(t, cfg.Batch, false) // one step an epoch
	tr := runAll(t, cfg)

	g, err := graph.New(cfg.Model, graph.Config{Set: operators})
	if err != nil {
		t.Fatal(err)
	}
	add := func(spec graph.Spec) graph.ValueID {
		t.Helper()
		n, err := g.Add(spec)
		if err != nil {
			t.Fatal(err)
		}
		return n.Out[0]
	}
	eps := g.AddInput("eps", tensor.Float32)
	mu, logvar := g.Lookup(arch.Mu), g.Lookup(arch.LogVar)
	n, err := g.Make(graph.Spec{Name: "sample", Domain: gradop.Domain, OpType: "GaussianSample", In: []graph.ValueID{mu, logvar, eps}})
	if err != nil {
		t.Fatal(err)
	}
	g.Replace(g.Lookup(arch.Z), n.Out[0])
	g.Nodes = append(g.Nodes, n)
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	var logits graph.ValueID
	for _, n := range g.Nodes {
		if n.OpType == "Sigmoid" {
			logits = n.In[0]
		}
	}
	rec := add(graph.Spec{Domain: gradop.Domain, OpType: "BCEWithLogits", In: []graph.ValueID{logits, g.Lookup(arch.Image)}})
	kl := add(graph.Spec{Domain: gradop.Domain, OpType: "GaussianKL", In: []graph.ValueID{mu, logvar}})
	sum := add(graph.Spec{OpType: "Add", In: []graph.ValueID{
		add(graph.Spec{OpType: "ReduceMean", In: []graph.ValueID{rec}}), add(graph.Spec{OpType: "ReduceMean", In: []graph.ValueID{kl}})}})
	var ids []graph.ValueID
	var moments [][][]float32
	for _, p := range tr.params {
		id := g.Lookup(p.name)
		v := g.Value(id)
		v.Kind, v.Data = graph.Variable, v.Data.Clone()
		ids = append(ids, id)
		moments = append(moments, [][]float32{make([]float32, p.n), make([]float32, p.n)})
	}
	grads, err := autodiff.Differentiate(g, sum, ids)
	if err != nil {
		t.Fatal(err)
	}
	g.Outputs = grads
	x := tensor.Must(tensor.New(tensor.Float32, cfg.Batch, 1, side, side))
	e := tensor.Must(tensor.New(tensor.Float32, cfg.Batch, 4))
	facts := []op.Fact{{DType: tensor.Float32, Shape: x.Shape()}, {DType: tensor.Float32, Shape: e.Shape()}}
	p, err := plan.Build(g, facts, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := p.NewState()
	for epoch := range cfg.Epochs {
		order := epochOrder(t, cfg, epoch)
		if err := cfg.Data.Read(t.Context(), order, x.Float32s(), nil); err != nil {
			t.Fatal(err)
		}
		for k, i := range order {
			rng.New(cfg.Seed, streamEpsilon, uint64(epoch)).Sub(uint64(i)).Normal(e.Float32s()[4*k:4*k+4], 0)
		}
		outs := make([]*tensor.Tensor, len(grads))
		if err := p.Run(t.Context(), st, outs, []*tensor.Tensor{x, e}); err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			Adam{}.update(g.Value(id).Data.Float32s(), outs[i].Float32s(), moments[i], epoch+1, cfg.LR, 1)
		}
	}
	for i, q := range tr.params {
		if !slices.Equal(g.Value(ids[i]).Data.Float32s(), q.view(tr.p).Float32s()) {
			t.Errorf("parameter %q differs from the plain loop's", q.name)
		}
	}
}

// epochOrder returns the numbers of the images of an epoch's only batch.
func epochOrder(t *testing.T, cfg Config, epoch int) []int {
	t.Helper()
	f, err := newFeed(cfg.Data, feedOptions{seed: cfg.Seed, loader: loaderAt(cfg, epoch)})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	b, err := f.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b.raw.Index)
}

// phased are presets of several phases and of states.
var phased = []string{"aae", "gan", "vae-gan", "vq-vae"}

// TestPhasesResume: checkpoints cover the parameters, moments, step counts and states of all
// phases, so that an interrupted run ends with the same bits, whatever the threads.
func TestPhasesResume(t *testing.T) {
	for _, name := range phased {
		t.Run(name, func(t *testing.T) {
			p, err := arch.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			cfg := zooConfig(t, p, zoo[name])
			cfg.Data, cfg.Epochs, cfg.EMA, cfg.ClipNorm = digits(t, 130, false), 2, 0.9, 5
			if testing.Short() { // three steps in each epoch too
				cfg.Data, cfg.Batch = digits(t, 26, false), 10
			}
			whole := runAll(t, cfg)
			cfg.Threads = 2
			cfg.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
			ctx, cancel := context.WithCancelCause(context.Background())
			why := errors.New("enough")
			n := 0
			cfg.OnStep = func(Progress) {
				if n++; n == 4 {
					cancel(why)
				}
			}
			if _, err := newTrainer(t, cfg).Run(ctx); !errors.Is(err, why) {
				t.Fatalf("error %v, want %v", err, why)
			}
			cfg.OnStep = nil
			again := newTrainer(t, cfg)
			if err := again.Resume(cfg.Checkpoint); err != nil {
				t.Fatal(err)
			}
			if _, err := again.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(again.p, whole.p) || !slices.Equal(again.stats, whole.stats) || !slices.Equal(again.weights(), whole.weights()) {
				t.Error("the resumed run differs from the uninterrupted one")
			}
			for i, ph := range again.phases {
				if w := whole.phases[i]; ph.group.step != w.group.step || !slices.Equal(ph.group.m[0], w.group.m[0]) {
					t.Errorf("phase %q: steps or moments differ", ph.name)
				}
			}
		})
	}
}

// TestPhasesKeepToTheirParameters: a phase changes what it fits and nothing else.
func TestPhasesKeepToTheirParameters(t *testing.T) {
	for _, name := range phased {
		p, err := arch.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := zooConfig(t, p, zoo[name])
		cfg.Data, cfg.Epochs = digits(t, cfg.Batch, false), 1
		full := newTrainer(t, cfg)
		for _, ph := range full.phases {
			tr := newTrainer(t, cfg)
			before := slices.Clone(tr.p)
			tr.phases = slices.DeleteFunc(tr.phases, func(x *trainedPhase) bool { return x.name != ph.name })
			if _, err := tr.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			changed := 0
			for _, q := range tr.params {
				same := slices.Equal(q.view(before).Float32s(), q.view(tr.p).Float32s())
				if !same && ph.fits != nil && !ph.fits(q.name) {
					t.Errorf("%s: phase %q changed %q", name, ph.name, q.name)
				}
				if !same {
					changed++
				}
			}
			if changed == 0 {
				t.Errorf("%s: phase %q changed nothing", name, ph.name)
			}
		}
	}
}

// TestBinarize: stochastic pixels change with the epoch and have the grey level as mean,
// fixed ones do not change.
func TestBinarize(t *testing.T) {
	cfg := small(t)
	for _, how := range []string{BinarizeStochastic, BinarizeFixed, BinarizeThreshold} {
		f, err := newFeed(cfg.Data, feedOptions{seed: 1, stream: streamEpsilon, binarize: how, loader: loaderAt(cfg, 0)})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int][]float32{}
		same, other, level, white, n := 0, 0, 0.0, 0.0, 0
		for {
			b, err := f.next(t.Context())
			if err != nil || b == nil || b.epoch > 1 {
				break
			}
			for k, i := range b.raw.Index {
				const w = side * side
				x := b.images[k*w : (k+1)*w]
				for j, v := range x {
					if v != 0 && v != 1 {
						t.Fatalf("%s: a pixel is %v", how, v)
					}
					white += float64(v)
					level += float64(b.raw.Images[k*w+j])
					n++
				}
				if old := seen[i]; old == nil {
					seen[i] = slices.Clone(x)
				} else if slices.Equal(old, x) {
					same++
				} else {
					other++
				}
			}
			f.done(b)
		}
		f.close()
		if same+other == 0 || (how == BinarizeStochastic) != (other > same) {
			t.Errorf("%s: %d images are the same in the second epoch, %d are not", how, same, other)
		}
		if how != BinarizeThreshold && (white-level)*(white-level) > 16*float64(n)/4 {
			t.Errorf("%s: %.0f white pixels of %d, want about %.0f", how, white, n, level)
		}
	}
}

func loaderAt(cfg Config, epoch int) dataset.LoaderOptions {
	return dataset.LoaderOptions{Batch: cfg.Batch, Epoch: epoch}
}

package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/train/dataset"
)

// poisoned gives NaN for one pixel of one image.
type poisoned struct {
	dataset.Source
	image int
}

func (p poisoned) Read(ctx context.Context, index []int, dst []float32, labels []int) error {
	if err := p.Source.Read(ctx, index, dst, labels); err != nil {
		return err
	}
	if k := slices.Index(index, p.image); k >= 0 {
		dst[k*p.Info().Elems()+7] = float32(math.NaN())
	}
	return nil
}

func TestDivergenceNamesTheNode(t *testing.T) {
	t.Run("data", func(t *testing.T) {
		cfg := small(t)
		cfg.Data = poisoned{cfg.Data, 111}
		_, err := newTrainer(t, cfg).Run(context.Background())
		var d *DivergedError
		if !errors.As(err, &d) || d.Parameter != "" || !d.Images || !math.IsNaN(d.Loss) {
			t.Errorf("error %v (%+v), want one that blames the images", err, d)
		}
	})
	t.Run("activation", func(t *testing.T) {
		// logvar beyond the range of exp: the sample or the KL term overflows, not the encoder.
		cfg := small(t)
		b := cfg.Model.Graph.Initializer("encoder.logvar.bias").Value.Float32s()
		for i := range b {
			b[i] = 300
		}
		_, err := newTrainer(t, cfg).Run(context.Background())
		var d *DivergedError
		if !errors.As(err, &d) || d.Parameter != "" || !strings.HasPrefix(d.Node, "loss/Gaussian") {
			t.Errorf("error %v (%+v), want one from the sample or the KL term", err, d)
		}
	})
	t.Run("parameter", func(t *testing.T) {
		cfg := small(t)
		tr := newTrainer(t, cfg)
		p := tr.params[2]
		tr.p[p.off+1] = float32(math.Inf(1))
		_, err := tr.Run(context.Background())
		var d *DivergedError
		if !errors.As(err, &d) || d.Parameter != p.name || !strings.Contains(err.Error(), p.name) {
			t.Errorf("error %v, want one that names %q", err, p.name)
		}
	})
}

func TestFindLR(t *testing.T) {
	cfg := small(t)
	before := slices.Clone(cfg.Model.Graph.Initializer("encoder.fc1.weight").Value.Float32s())
	s, err := FindLR(context.Background(), cfg, 1e-5, 10, 120)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, cfg.Model.Graph.Initializer("encoder.fc1.weight").Value.Float32s()) {
		t.Error("the search changed the model")
	}
	if len(s.Points) < 20 || math.Abs(s.Points[0].LR-1e-5) > 1e-9 {
		t.Fatalf("%d points from %g, want more from 1e-5", len(s.Points), s.Points[0].LR)
	}
	for i := 1; i < len(s.Points); i++ {
		if want := s.Points[0].LR * math.Pow(1e6, float64(i)/119); math.Abs(s.Points[i].LR/want-1) > 1e-6 {
			t.Fatalf("step %d has rate %g, want %g", i, s.Points[i].LR, want)
		}
	}
	// Adam on this model learns from about 3e-4 and diverges beyond 0.3.
	if s.Suggestion < 3e-4 || s.Suggestion > 0.3 {
		t.Errorf("suggestion %g, want one between 3e-4 and 0.3", s.Suggestion)
	}
	for _, bad := range []struct {
		lo, hi float64
		n      int
	}{{0, 1, 100}, {1, 1, 100}, {1e-3, math.Inf(1), 100}, {1e-3, 1, 9}} {
		if _, err := FindLR(context.Background(), cfg, bad.lo, bad.hi, bad.n); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FindLR(ctx, cfg, 1e-5, 1, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

func TestAugmentedTraining(t *testing.T) {
	weights := func(a *dataset.Augment, threads int) []float32 {
		cfg := small(t)
		cfg.Augment, cfg.Threads = a, threads
		return slices.Clone(runAll(t, cfg).weights())
	}
	a := &dataset.Augment{Shift: 0.1, Rotate: 10}
	plain, one, two := weights(nil, 1), weights(a, 1), weights(a, 2)
	if slices.Equal(plain, one) {
		t.Error("augmentation has no effect")
	}
	if !slices.Equal(one, two) {
		t.Error("augmented training depends on the number of threads")
	}
}

// TestAugmentedResume: a run that is interrupted in an epoch and resumed gives the weights
// of one that is not, and another augmentation is refused.
func TestAugmentedResume(t *testing.T) {
	cfg := small(t)
	cfg.Augment = &dataset.Augment{Flip: true, Crop: 0.2, Brightness: 0.1}
	want := slices.Clone(runAll(t, cfg).weights())
	path := t.TempDir() + "/state"
	ctx, stop := context.WithCancel(context.Background())
	half := cfg
	half.Checkpoint = path
	half.OnStep = func(p Progress) {
		if p.Step == 7 {
			stop()
		}
	}
	if _, err := newTrainer(t, half).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	rest := newTrainer(t, cfg)
	if err := rest.Resume(path); err != nil {
		t.Fatal(err)
	}
	if _, err := rest.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rest.weights(), want) {
		t.Error("the resumed run has other weights")
	}
	cfg.Augment = &dataset.Augment{Flip: true}
	if err := newTrainer(t, cfg).Resume(path); err == nil || !strings.Contains(err.Error(), "Augment") {
		t.Errorf("with another augmentation: %v", err)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/internal/report"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
)

// reportOptions are the flags of the report.
type reportOptions struct {
	dir   string
	curve bool
}

func (r *reportOptions) add(fs *pflag.FlagSet) {
	fs.StringVar(&r.dir, "report", "", "`DIR` to write a report on the model to: a page (index.html), a model card and a file of numbers")
	fs.BoolVar(&r.curve, "learning-curve", false, "train on 1, 5, 20 and 100 % of the images too, with and without --augment, for the report; takes as long as so many trainings")
}

func (r *reportOptions) check() error {
	if r.curve && r.dir == "" {
		return usagef("--learning-curve needs --report DIR")
	}
	return nil
}

// spent measures what a training takes.
type spent struct {
	start  time.Time
	cpu    float64
	joules float64
	seen   bool
}

func startSpending() *spent {
	s := &spent{start: time.Now(), cpu: cpuSeconds()}
	s.joules, s.seen = packageJoules()
	return s
}

// cost returns what was spent since.
func (s *spent) cost() report.Cost {
	c := report.Cost{Seconds: time.Since(s.start).Seconds(), Machine: machine()}
	if now := cpuSeconds(); now > s.cpu {
		c.CPUSeconds = now - s.cpu
	}
	if now, ok := packageJoules(); ok && s.seen && now > s.joules {
		c.Joules = now - s.joules
	}
	return c
}

// packageJoules reads the energy counters of the processor packages (Linux, RAPL), where the
// user may.
func packageJoules() (float64, bool) {
	files, _ := filepath.Glob("/sys/class/powercap/intel-rapl:[0-9]/energy_uj")
	sum := 0.0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return 0, false
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
		if err != nil {
			return 0, false
		}
		sum += v / 1e6
	}
	return sum, len(files) > 0
}

// machine names the processor.
func machine() string {
	name := goruntime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				name = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d threads", name, goruntime.GOMAXPROCS(0))
}

// shares are the parts of the data that the learning curve trains on.
var shares = []float64{0.01, 0.05, 0.2, 1}

// learningCurve trains fresh weights on parts of the images, each for as many steps as the
// whole, and takes the loss of the test images, or of the validation images if there are
// none.
func (j *job) learningCurve(ctx context.Context, model *onnx.Model) ([]report.CurvePoint, error) {
	test := j.data.Test
	if test == nil || test.Len() == 0 {
		test = j.used.Val
	}
	augments := []*dataset.Augment{nil}
	if j.source.augment != nil {
		augments = append(augments, j.source.augment)
	}
	full := j.used.Data
	steps := j.used.Epochs * ((full.Len() + j.used.Batch - 1) / j.used.Batch)
	if j.steps > 0 {
		steps = min(steps, j.steps)
	}
	var out []report.CurvePoint
	for _, a := range augments {
		for _, share := range shares {
			p := report.CurvePoint{Share: share, Images: max(1, int(share*float64(full.Len()))), Augmented: a != nil}
			cfg := *j.used
			cfg.Model, cfg.Augment, cfg.Val, cfg.Patience, cfg.Checkpoint, cfg.OnEpoch = model, a, nil, 0, "", nil
			var err error
			if cfg.Data, err = someOf(full, p.Images, j.seed); err != nil {
				return nil, err
			}
			cfg.Batch = min(cfg.Batch, p.Images)
			cfg.Epochs = steps/((p.Images+cfg.Batch-1)/cfg.Batch) + 1
			if p.Loss, err = j.trainFor(ctx, cfg, steps, test); err != nil {
				return nil, err
			}
			j.out.note("learning curve: %d images%s: test loss %.5g", p.Images, map[bool]string{true: ", augmented"}[p.Augmented], p.Loss)
			out = append(out, p)
		}
	}
	return out, nil
}

// someOf returns n images of src, chosen by seed: fewer are a part of more.
func someOf(src dataset.Source, n int, seed uint64) (dataset.Source, error) {
	if n >= src.Len() {
		return src, nil
	}
	return dataset.Sample(src, n, seed)
}

// trainFor trains for a number of steps and returns the loss of test.
func (j *job) trainFor(ctx context.Context, cfg train.Config, steps int, test dataset.Source) (float64, error) {
	limited, enough := context.WithCancelCause(ctx)
	defer enough(nil)
	cfg.OnStep = func(p train.Progress) {
		j.out.step(p)
		if p.Step == steps {
			enough(errEnough)
		}
	}
	tr, err := train.New(cfg)
	if err != nil {
		return 0, err
	}
	defer tr.Close()
	if _, err := tr.Run(limited); err != nil && !errors.Is(err, errEnough) {
		return 0, err
	}
	l, err := tr.Evaluate(ctx, test)
	return l.Total(), err
}

// writeReport is --report.
func (j *job) writeReport(ctx context.Context) error {
	in := report.Input{
		Model: j.model, Options: j.tune.reading, Train: j.data.Train, Test: j.data.Test, Epochs: j.epochs, TestLosses: j.testLosses,
		Cost: j.cost, Seed: j.seed, Threads: j.threads, Now: time.Now(),
	}
	if in.Test == nil && j.used != nil {
		in.Test = j.used.Val
	}
	if c := j.used; c != nil {
		in.Train, in.Objective, in.Unit = c.Data, c.Objective.String(), c.Objective.Unit()
	}
	text, err := j.configText()
	if err != nil {
		return err
	}
	in.Config = string(text)
	if j.report.curve && j.used != nil {
		if in.Curve, err = j.learningCurve(ctx, j.used.Model); err != nil {
			return err
		}
	}
	if err := report.Write(ctx, j.report.dir, in); err != nil {
		return err
	}
	j.out.wrote(filepath.Join(j.report.dir, "index.html"), "report, with model-card.md and report.json")
	return nil
}

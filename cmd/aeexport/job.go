package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/report"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

// job is one run of the program: data, training, files.
type job struct {
	*options
	out    *reporter
	preset arch.Preset
	data   *dataset.Data
	epochs []train.Epoch
	used   *train.Config // what training ran with; nil before
	watch  *monitor
	cost   report.Cost
	// testLosses are those of the test images; nil before or without.
	testLosses *train.Losses
	asIs       bool // write the model in the form that it has
	// calibrating is what --quantize calibrates with, if it was opened before training.
	calibrating *calibrationData
}

func newJob(o *options, out *reporter) *job { return &job{options: o, out: out} }

// errEnough ends training after --steps, errTimeUp after --time-limit.
var (
	errEnough = errors.New("enough steps")
	errTimeUp = errors.New("the time is over")
)

func (j *job) run(ctx context.Context) error {
	if err := j.checkOutputs(); err != nil {
		return err
	}
	if j.quant.from != "" {
		if j.quant.form == "" {
			return j.fineTune(ctx)
		}
		return j.quantizeFile(ctx)
	}
	var err error
	if j.preset, err = arch.Find(j.options.preset); err != nil {
		return err
	}
	if err := j.openData(ctx); err != nil {
		return err
	}
	config, err := j.config(ctx)
	if err != nil {
		return err
	}
	model, err := j.preset.Build(config)
	if err != nil {
		return cli.UsageError{Msg: err.Error()}
	}
	if j.monitor.findLR {
		return j.findRate(ctx, model)
	}
	sample, err := j.probe(ctx, model)
	if err != nil {
		return err
	}
	d, err := train.Describe(model)
	if err != nil {
		return err
	}
	if err := j.checkAnomaly(d); err != nil {
		return err
	}
	if err := j.prepareQuantization(ctx, model); err != nil {
		return err
	}
	var want map[string]*tensor.Tensor
	if j.weights != "" {
		model, want, err = j.loadWeights(ctx, model, sample)
	} else {
		model, want, err = j.train(ctx, model, sample)
	}
	if err != nil {
		return err
	}
	return j.write(ctx, model, sample, want)
}

// checkOutputs finds out before training whether the files can be written.
func (j *job) checkOutputs() error {
	for _, path := range []string{j.model, j.saveWeights, j.plot, j.checkpoint, j.monitor.metrics, j.quant.cache} {
		if path == "" {
			continue
		}
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			return fmt.Errorf("%s is a folder", path)
		}
		if err := writable(filepath.Dir(path), path); err != nil {
			return err
		}
	}
	for _, dir := range []string{j.report.dir, j.monitor.tensorboard, j.testdata} {
		// What is there of the path; the rest is made when it is needed.
		for dir != "" {
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				if err := writable(dir, dir); err != nil {
					return err
				}
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	return nil
}

// writable fails unless files can be made in a folder; what is to be there is for the error.
func writable(dir, what string) error {
	if st, err := os.Stat(dir); err != nil {
		return err
	} else if !st.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	f, err := os.CreateTemp(dir, ".aeexport-*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", what, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// meanImages is how many images the mean image is taken of.
const meanImages = 10000

// config is the architecture for the images at hand.
func (j *job) config(ctx context.Context) (arch.Config, error) {
	info := j.data.Train.Info()
	classes, err := j.classes()
	if err != nil {
		return arch.Config{}, err
	}
	c := arch.Config{Channels: info.Channels, Height: info.Height, Width: info.Width, Hidden: j.hidden, Latent: j.latent, Codes: j.zoo.codes, Classes: classes, Seed: j.seed}
	if j.preset.Recipe.Mean {
		c.Mean, err = dataset.Mean(ctx, j.data.Train, meanImages)
	}
	return c, err
}

// trainConfig joins the flags and the preset's recipe.
func (j *job) trainConfig(model *onnx.Model) (train.Config, error) {
	r := j.preset.Recipe
	orElse := func(v, def int) int {
		if v == 0 {
			return def
		}
		return v
	}
	c := train.Config{
		Model: model, Data: j.data.Train, Epochs: orElse(j.options.epochs, r.Epochs), Batch: orElse(j.batch, r.Batch),
		LR: j.lr, Warmup: j.warmup, ClipNorm: j.clip, Patience: j.patience, EMA: j.ema, Noise: r.Noise, Binarize: r.Binarize,
		Seed: j.seed, Threads: j.threads, Checkpoint: j.checkpoint, Augment: j.source.augment,
	}
	if c.LR == 0 {
		c.LR = r.LR
	}
	name, beta := j.objective, j.beta
	if name == "" {
		name = r.Objective
	}
	if beta == 0 {
		beta = r.Beta
	}
	err := j.zoo.apply(&c)
	if err != nil {
		return c, err
	}
	if c.Freeze, err = j.tune.frozen(model); err != nil {
		return c, err
	}
	if c.Objective, err = train.ParseObjective(name, beta); err != nil {
		return c, cli.UsageError{Msg: err.Error()}
	}
	if plain, err := train.ParseObjective(name, 0); err == nil && j.typed["beta"] && j.beta != 0 && fmt.Sprintf("%+v", plain) == fmt.Sprintf("%+v", c.Objective) {
		return c, usagef("--beta has no effect on the objective %s", name)
	}
	optimizer := j.optimizer
	if !j.given["optimizer"] && r.Optimizer != "" {
		optimizer = r.Optimizer
	}
	if c.Optimizer, err = train.ParseOptimizer(optimizer); err != nil {
		return c, cli.UsageError{Msg: err.Error()}
	}
	schedule := j.schedule
	if !j.given["schedule"] && r.Schedule != "" {
		schedule = r.Schedule
	}
	if c.Schedule, err = train.ParseSchedule(schedule); err != nil {
		return c, cli.UsageError{Msg: err.Error()}
	}
	if j.val > 0 {
		if c.Data, c.Val, err = dataset.Split(j.data.Train, j.val, j.seed); err != nil {
			return c, err
		}
	}
	return c, nil
}

// train fits the model and returns it with its outputs for the sample images.
func (j *job) train(ctx context.Context, model *onnx.Model, sample *probe) (*onnx.Model, map[string]*tensor.Tensor, error) {
	cfg, err := j.trainConfig(model)
	if err != nil {
		return nil, nil, err
	}
	if err := j.checkMeasures(&cfg, model); err != nil {
		return nil, nil, err
	}
	limited, enough := context.WithCancelCause(ctx)
	defer enough(nil)
	steps, at := 0, 0
	cfg.OnStep = func(p train.Progress) {
		at = p.Step
		j.out.step(p)
		j.watch.step(p)
		if steps++; steps == j.steps {
			enough(errEnough)
		}
	}
	cfg.OnEpoch = func(e train.Epoch) {
		j.epochs = append(j.epochs, e)
		j.out.epoch(e)
		j.watch.epoch(e, at)
	}
	j.used = &cfg
	tr, err := train.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	defer tr.Close()
	if j.resume {
		if err := tr.Resume(j.checkpoint); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	at = tr.Steps()
	if j.watch, err = startMonitor(&j.monitor, at); err != nil {
		return nil, nil, err
	}
	j.out.start(j, &cfg, tr.Parameters())
	if limit := j.monitor.timeLimit; limit > 0 {
		timer := time.AfterFunc(limit, func() { enough(errTimeUp) })
		defer timer.Stop()
	}
	spent := startSpending()
	done, err := tr.Run(limited)
	j.cost = spent.cost()
	if errors.Is(err, errTimeUp) {
		j.out.note("stopped in epoch %d, after %d steps: the time limit of %v is over", done.Epochs+1, at, j.monitor.timeLimit)
	} else if err != nil && !errors.Is(err, errEnough) {
		return nil, nil, errors.Join(err, j.watch.close())
	}
	if err != nil {
		if best := tr.Finish().Best; best > 0 {
			j.out.note("the weights are those of epoch %d, the best on validation images", best)
		}
	}
	if j.data.Test != nil && j.data.Test.Len() > 0 {
		test, err := tr.Evaluate(ctx, j.data.Test)
		if err != nil {
			return nil, nil, err
		}
		j.testLosses = &test
		j.out.test(test, cfg.Objective.Unit())
		j.watch.test(test, at, done.Epochs)
		defer func(total float64) {
			if model != nil {
				train.Annotate(model, func(d *meta.Model) {
					if d.Training != nil {
						d.Training.TestLoss = total
					}
				})
			}
		}(test.Total())
		if err := j.likelihood(ctx, tr); err != nil {
			return nil, nil, err
		}
	} else {
		j.out.noTest()
	}
	if model, err = tr.Model(); err != nil {
		return nil, nil, err
	}
	want, err := tr.Outputs(ctx, sample.inputs)
	if err != nil {
		return nil, nil, err
	}
	if err := j.fitPrior(ctx, model); err != nil {
		return nil, nil, err
	}
	return model, want, nil
}

// loadWeights gives the model weights from a file, and returns what it then computes.
func (j *job) loadWeights(ctx context.Context, model *onnx.Model, sample *probe) (*onnx.Model, map[string]*tensor.Tensor, error) {
	w, err := export.ReadWeights(j.weights)
	if err != nil {
		return nil, nil, err
	}
	if model, err = export.WithWeights(model, w); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", j.weights, err)
	}
	if err := j.fitPrior(ctx, model); err != nil {
		return nil, nil, err
	}
	s, err := runtime.New(model, runtime.Options{Threads: j.threads})
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	want, err := s.Run(ctx, sample.inputs)
	return model, want, err
}

// write writes all files and checks the model by reading it back.
func (j *job) write(ctx context.Context, model *onnx.Model, sample *probe, want map[string]*tensor.Tensor) error {
	if err := j.setThreshold(ctx, model); err != nil {
		return err
	}
	done := model
	if !j.asIs {
		var err error
		if done, err = export.Finish(model, export.Options{Opset: j.opset, IRVersion: j.ir, Version: strings.TrimPrefix(version, "v")}); err != nil {
			return err
		}
	}
	if err := onnx.WriteFile(j.model, done); err != nil {
		return err
	}
	diff, err := export.Verify(ctx, j.model, sample.inputs, want)
	if err != nil {
		os.Remove(j.model)
		return err
	}
	if err := j.signing.file(j.model); err != nil {
		return err
	}
	j.out.wrote(j.model, fmt.Sprintf("outputs within %.1g of training's", diff))
	if j.quant.form != "" {
		if err := j.quantize(ctx, done, j.model, strings.TrimSuffix(j.model, ".onnx")+"."+j.quant.form+".onnx"); err != nil {
			return err
		}
	}
	if j.split {
		parts, err := export.Split(done, j.model)
		for _, p := range parts {
			j.out.wrote(p.Path, p.Name)
		}
		if err != nil {
			return err
		}
		for _, p := range parts {
			if err := j.signing.file(p.Path); err != nil {
				return err
			}
		}
	}
	if j.saveWeights != "" {
		if err := export.WriteWeights(j.saveWeights, model); err != nil {
			return err
		}
		j.out.wrote(j.saveWeights, "weights")
	}
	if j.testdata != "" {
		if err := export.TestData(ctx, j.testdata, done, sample.inputs); err != nil {
			return err
		}
		j.out.wrote(j.testdata, "test data")
	}
	if j.plot != "" {
		if err := plotLosses(j.plot, j.epochs); err != nil {
			return err
		}
		j.out.wrote(j.plot, "loss curves")
	}
	if !j.noPicture {
		path := strings.TrimSuffix(j.model, filepath.Ext(j.model)) + ".png"
		if err := writePicture(ctx, path, j.model, sample, j.pictureRows, j.seed); err != nil {
			return err
		}
		j.out.wrote(path, "images, reconstructions and samples")
		if j.watch != nil {
			j.watch.picture(j.watch.last, "samples", path)
		}
	}
	path := strings.TrimSuffix(j.model, ".onnx") + ".yaml"
	if err := j.writeConfig(path); err != nil {
		return err
	}
	j.out.wrote(path, "configuration")
	if j.report.dir != "" {
		if err := j.writeReport(ctx); err != nil {
			return err
		}
	}
	if j.watch != nil {
		return j.watch.close()
	}
	return nil
}

package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"time"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/dataset"
)

// Trainer trains one model. It is for one goroutine at a time. Close must be called when
// it is no longer needed.
type Trainer struct {
	cfg    Config
	meta   *meta.Model
	pool   *parallel.Pool
	params []parameter
	p      []float32   // their values
	ema    *average    // nil without
	states []parameter // running statistics and states of the objective
	stats  []float32   // their values
	kit    kit
	noises noises
	phases []*trainedPhase
	eval   *program     // all losses, without gradients
	plain  *graph.Graph // the model itself, without sampling
	image  tensor.Shape

	pos  position
	last []float64 // loss terms of the last step, valid until the next
	best []float32 // weights and statistics of the best epoch; nil until there is one
	took bool      // the present weights are those of the best epoch
}

// position is how far training has come: all that a checkpoint holds beside vectors.
type position struct {
	Epoch   int       // the epoch in progress, from 0
	Step    int       // steps of it that are done
	Steps   int       // optimizer steps in total
	Images  int       // of the epoch so far
	Sums    []float64 // of the loss terms, over the images so far
	Best    float64   // validation loss
	BestAt  int       // epoch, from 1; 0: none
	Done    bool
	Stopped bool
	Last    Epoch
}

// New prepares training. It changes nothing outside the Trainer.
func New(cfg Config) (*Trainer, error) {
	if cfg.Optimizer == nil {
		cfg.Optimizer = Adam{}
	}
	if cfg.Schedule == nil {
		cfg.Schedule = Constant{}
	}
	if cfg.CheckpointEvery == 0 {
		cfg.CheckpointEvery = 5 * time.Minute
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	t := &Trainer{cfg: cfg}
	var err error
	if t.meta, err = Describe(cfg.Model); err != nil {
		return nil, err
	}
	info := cfg.Data.Info()
	img := t.meta.Image
	if info.Channels != img.Channels || info.Height != img.Height || info.Width != img.Width {
		return nil, fmt.Errorf("train: the images are %dx%d with %d channels, the model is for %dx%d with %d", info.Width, info.Height, info.Channels, img.Width, img.Height, img.Channels)
	}
	if img.Layout == meta.LayoutNHWC || img.Mean != nil || img.Std != nil {
		return nil, errors.New("train: only models that take pixels in [0, 1], channels first, can be trained")
	}
	t.image = tensor.Shape{img.Channels, img.Height, img.Width}
	if img.Layout == meta.LayoutFlat {
		t.image = tensor.Shape{info.Elems()}
	}
	t.pool = parallel.New(cfg.Threads)
	if err := t.build(); err != nil {
		t.pool.Close()
		return nil, err
	}
	t.pos.Sums = make([]float64, len(cfg.Objective.Parts()))
	t.last = make([]float64, len(t.pos.Sums))
	return t, nil
}

// Close releases the Trainer's threads.
func (t *Trainer) Close() { t.pool.Close() }

// Parameters returns the number of the model's values that are trained.
func (t *Trainer) Parameters() int {
	n := 0
	for i := range t.params {
		if p := &t.params[i]; !p.aside {
			n += p.n
		}
	}
	return n
}

// Steps returns the number of optimizer steps that have been done, including those before
// a resume.
func (t *Trainer) Steps() int { return t.pos.Steps }

func (t *Trainer) stepsPerEpoch() int { return (t.cfg.Data.Len() + t.cfg.Batch - 1) / t.cfg.Batch }

// learningRate returns the rate of the step that comes next.
func (t *Trainer) learningRate() float64 {
	per := float64(t.stepsPerEpoch())
	at := float64(t.pos.Steps)
	warm := t.cfg.Warmup * per
	if at < warm {
		return t.cfg.LR * (at + 1) / (warm + 1)
	}
	rest := float64(t.cfg.Epochs)*per - warm
	if s, ok := t.cfg.Schedule.(byEpoch); ok {
		return t.cfg.LR * s.factorAt((at-warm)/per)
	}
	return t.cfg.LR * t.cfg.Schedule.Factor(max(0, min(1, (at-warm)/max(1, rest))))
}

// Run trains until Config.Epochs, or early stopping, or the end of ctx. In the last case
// the step in progress is finished, the checkpoint is written if there is one, and the
// cause of ctx's end is returned; Run may be called again to go on.
func (t *Trainer) Run(ctx context.Context) (Summary, error) {
	if !t.pos.Done {
		if err := t.loop(ctx); err != nil {
			return t.summary(), err
		}
	}
	return t.summary(), nil
}

func (t *Trainer) summary() Summary {
	return Summary{Epochs: t.pos.Epoch, Stopped: t.pos.Stopped, Best: t.pos.BestAt, Last: t.pos.Last}
}

func (t *Trainer) loop(ctx context.Context) error {
	f, err := t.feed(t.cfg.Data, streamEpsilon,
		dataset.LoaderOptions{Batch: t.cfg.Batch, Epoch: t.pos.Epoch, Step: t.pos.Step, Epochs: t.cfg.Epochs, Augment: t.cfg.Augment})
	if err != nil {
		return err
	}
	defer f.close()
	began := time.Now()
	before := t.pos.Images
	saved := time.Now()
	lr := t.learningRate()
	for t.pos.Epoch < t.cfg.Epochs {
		b, err := f.next(ctx)
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), t.save())
		}
		if err != nil && err != io.EOF {
			return errors.Join(err, t.save())
		}
		if b == nil || err == io.EOF {
			return errors.New("train: the images ended before the last epoch")
		}
		lr = t.learningRate()
		if err := t.step(b, lr); err != nil {
			return err
		}
		last := b.last
		f.done(b)
		if t.cfg.OnStep != nil {
			t.cfg.OnStep(Progress{
				Epoch: t.pos.Epoch + 1, Epochs: t.cfg.Epochs, Images: t.pos.Images, Total: t.cfg.Data.Len(),
				Loss: t.means(), Elapsed: time.Since(began), Step: t.pos.Steps, LR: lr, Last: Losses{Names: t.cfg.Objective.Parts(), Values: t.last},
			})
		}
		if last {
			seconds := time.Since(began).Seconds()
			if err := t.endEpoch(ctx, lr, seconds, t.pos.Images-before); err != nil {
				return err
			}
			if t.pos.Done {
				return t.save()
			}
			began, before = time.Now(), 0
		}
		if last || time.Since(saved) > t.cfg.CheckpointEvery {
			if err := t.save(); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	t.pos.Done = true
	return t.save()
}

// step runs every phase once.
func (t *Trainer) step(b *fed, lr float64) error {
	epochs := float64(t.pos.Steps) / float64(t.stepsPerEpoch())
	for _, ph := range t.phases {
		values, err := ph.program.run(context.Background(), &b.batch, epochs)
		if err != nil {
			return fmt.Errorf("train: epoch %d, step %d: %w", b.epoch+1, b.step+1, err)
		}
		if v := values[0]; math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("train: epoch %d, step %d: %w", b.epoch+1, b.step+1, t.divergence(ph, &b.batch, epochs, v))
		}
		ph.group.apply(t.pool, lr*ph.rate, t.cfg.ClipNorm)
		copy(t.last[ph.at:], values)
	}
	if t.ema != nil {
		t.ema.update(t.pool)
	}
	for i, v := range t.last {
		t.pos.Sums[i] += v * float64(b.n)
	}
	t.pos.Steps++
	t.pos.Step++
	t.pos.Images += b.n
	return nil
}

// feed returns the batches of a source with all that the programs take.
func (t *Trainer) feed(src dataset.Source, stream uint64, loader dataset.LoaderOptions) (*feed, error) {
	o := feedOptions{seed: t.cfg.Seed, stream: stream, noises: &t.noises, noise: t.cfg.Noise, binarize: t.cfg.Binarize, loader: loader}
	if t.meta.Values.Label != "" {
		o.labels = t.meta.Classes
	}
	return newFeed(src, o)
}

// means returns the mean loss terms of the epoch so far.
func (t *Trainer) means() Losses {
	l := Losses{Names: t.cfg.Objective.Parts(), Values: make([]float64, len(t.pos.Sums))}
	for i, s := range t.pos.Sums {
		l.Values[i] = s / float64(max(1, t.pos.Images))
	}
	return l
}

func (t *Trainer) endEpoch(ctx context.Context, lr, seconds float64, images int) error {
	e := Epoch{
		Epoch: t.pos.Epoch + 1, Epochs: t.cfg.Epochs, Train: t.means(), LR: lr, Images: t.pos.Images,
		Seconds: seconds, ImagesPerSecond: float64(images) / max(seconds, 1e-9),
	}
	if t.cfg.Val != nil {
		v, err := t.Evaluate(context.WithoutCancel(ctx), t.cfg.Val)
		if err != nil {
			return err
		}
		if l := v.Total(); math.IsNaN(l) || math.IsInf(l, 0) {
			return fmt.Errorf("train: epoch %d: the validation loss is %v", e.Epoch, l)
		}
		e.Val = &v
		if t.pos.BestAt == 0 || v.Total() < t.pos.Best {
			t.pos.Best, t.pos.BestAt = v.Total(), e.Epoch
			t.best = append(append(t.best[:0], t.weights()...), t.stats...)
		}
		if t.cfg.Patience > 0 && e.Epoch-t.pos.BestAt >= t.cfg.Patience {
			t.pos.Done, t.pos.Stopped = true, true
		}
	}
	t.pos.Last = e
	t.pos.Epoch++
	t.pos.Step, t.pos.Images = 0, 0
	clear(t.pos.Sums)
	if t.pos.Epoch >= t.cfg.Epochs {
		t.pos.Done = true
	}
	if t.pos.Done {
		t.takeBest()
	}
	if t.cfg.OnEpoch != nil {
		e.Final = t.pos.Done
		t.cfg.OnEpoch(e)
	}
	return nil
}

// Finish ends training before its time: the result is the best epoch so far by validation,
// or, without one, the present weights. A checkpoint that Run wrote is left as it is, and a
// new Trainer can go on from it.
func (t *Trainer) Finish() Summary {
	t.pos.Done = true
	t.takeBest()
	return t.summary()
}

// takeBest makes the weights of the best epoch, if there is one, the present ones.
func (t *Trainer) takeBest() {
	if t.best == nil {
		return
	}
	copy(t.weights(), t.best)
	copy(t.stats, t.best[len(t.p):])
	t.took = true
}

// weights returns the vector that the result is made of.
func (t *Trainer) weights() []float32 {
	if t.ema != nil {
		return t.ema.ema
	}
	return t.p
}

// Evaluate returns the mean losses over all images of src with the present weights. A
// regularising term counts with weight 1. ε and noise are functions of Config.Seed, so
// that repeated calls give the same numbers.
func (t *Trainer) Evaluate(ctx context.Context, src dataset.Source) (Losses, error) {
	f, err := t.feed(src, streamEvaluate, dataset.LoaderOptions{Batch: max(t.cfg.Batch, min(evalBatch, src.Len())), Epochs: 1, InOrder: true})
	if err != nil {
		return Losses{}, err
	}
	defer f.close()
	l := Losses{Names: t.cfg.Objective.Parts(), Values: make([]float64, t.eval.parts)}
	n := 0
	for {
		b, err := f.next(ctx)
		if err == io.EOF || b == nil && err == nil {
			break
		}
		if err != nil {
			return Losses{}, err
		}
		values, err := t.eval.run(ctx, &b.batch, evaluating)
		if err != nil {
			return Losses{}, err
		}
		for i, v := range values {
			l.Values[i] += v * float64(b.n)
		}
		n += b.n
		f.done(b)
	}
	for i := range l.Values {
		l.Values[i] /= float64(max(1, n))
	}
	return l, nil
}

// evalBatch is the batch size of evaluation.
const evalBatch = 256

// Model returns the model with the present weights, and with a summary of the training in
// its metadata. Nothing of it is shared with the Trainer.
func (t *Trainer) Model() (*onnx.Model, error) {
	byName := map[string]*tensor.Tensor{}
	for i := range t.params {
		byName[t.params[i].name] = t.params[i].view(t.weights())
	}
	for i := range t.states {
		byName[t.states[i].name] = t.states[i].view(t.stats)
	}
	m := *t.cfg.Model
	g := *m.Graph
	g.Initializers = append([]*onnx.Tensor{}, g.Initializers...)
	for i, init := range g.Initializers {
		if v := byName[init.Name]; v != nil {
			g.Initializers[i] = onnx.NewTensor(init.Name, v.Clone())
		}
	}
	m.Graph = &g
	m.Metadata = append([]onnx.StringPair{}, m.Metadata...)
	digest, err := t.cfg.Data.Digest()
	if err != nil {
		return nil, err
	}
	err = Annotate(&m, func(d *meta.Model) {
		tr := meta.Training{
			Objective: t.cfg.Objective.String(), Unit: t.cfg.Objective.Unit(), Optimizer: t.cfg.Optimizer.String(),
			Epochs: t.pos.Epoch, Batch: t.cfg.Batch, LR: t.cfg.LR, Seed: t.cfg.Seed, TrainLoss: t.pos.Last.Train.Total(),
		}
		if t.pos.Last.Val != nil {
			if tr.ValLoss = t.pos.Last.Val.Total(); t.took {
				tr.ValLoss = t.pos.Best
			}
		}
		d.Training = &tr
		d.Dataset = &meta.Dataset{Name: filepath.Base(t.cfg.Data.Info().Name), Images: t.cfg.Data.Len(), Digest: digest}
	})
	return &m, err
}

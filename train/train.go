// Package train fits the weights of an ONNX model to images.
//
// A [Trainer] appends a loss to the model's graph, differentiates it, plans both, and then
// repeats: one run of the plan, one pass of the optimizer over all parameters. What comes
// out is the model it was given with other weights. The same seed gives the same weights,
// bit for bit, for any number of threads on CPUs of the same tier, and a run that was
// interrupted and resumed gives the same as one that was not.
//
// A Trainer is for one goroutine; several may train at once. Objectives, optimizers and schedules
// are plain values that trainers may share.
package train

import (
	"errors"
	"fmt"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

// Config says what to train and how.
type Config struct {
	// Model is not changed. It needs aekit metadata, which name its values and describe its
	// images; [Annotate] adds them to models of others.
	Model     *onnx.Model
	Objective Objective
	Data      dataset.Source // training images; their size must be the model's
	Val       dataset.Source // validation images, or nil

	Epochs int // passes over Data; at least 1
	Batch  int // images a step; at least 1. A last incomplete batch of an epoch is used too.

	Optimizer Optimizer // nil: Adam
	LR        float64   // learning rate; greater than 0
	Schedule  Schedule  // nil: constant
	Warmup    float64   // epochs over which the learning rate rises linearly from 0
	ClipNorm  float64   // upper bound of the norm of the gradient of all parameters; 0: none
	Patience  int       // epochs without a better validation loss before training stops; 0: never
	EMA       float64   // decay of an exponential moving average of the weights, which then become the result; 0: none
	Noise     arch.Noise
	// Binarize makes images black and white before anything else: "", "stochastic",
	// "fixed" or "threshold"; see the Binarize constants.
	Binarize string
	// Augment changes training images at random, not those of validation; nil: it does not.
	Augment *dataset.Augment
	// Freeze reports whether the initializer of that name keeps its value. Nil: none does.
	Freeze func(name string) bool

	Seed    uint64
	Threads int // 0: GOMAXPROCS

	// Checkpoint is a file that Run writes, atomically, after each epoch, when it is
	// cancelled, and every CheckpointEvery (0: 5 minutes). Empty: none.
	Checkpoint      string
	CheckpointEvery time.Duration

	// OnStep and OnEpoch, if not nil, are called from Run's goroutine. OnStep must be quick.
	OnStep  func(Progress)
	OnEpoch func(Epoch)
}

// Ways of making images black and white.
const (
	// BinarizeStochastic draws each pixel with its grey level as probability, anew in each
	// epoch (Salakhutdinov and Murray 2008); images of validation and test have one draw.
	BinarizeStochastic = "stochastic"
	// BinarizeFixed draws once for all epochs (Larochelle and Murray 2011).
	BinarizeFixed = "fixed"
	// BinarizeThreshold makes pixels of at least one half white.
	BinarizeThreshold = "threshold"
)

// Losses are the terms of an objective, averaged over images: the names are
// [Objective.Parts], the first is the total.
type Losses struct {
	Names  []string
	Values []float64
}

// Total returns the first value.
func (l Losses) Total() float64 {
	if len(l.Values) == 0 {
		return 0
	}
	return l.Values[0]
}

// Progress describes a moment within an epoch.
type Progress struct {
	Epoch  int // from 1
	Epochs int
	Images int // of this epoch that have been used
	Total  int // images of an epoch
	Loss   Losses
	// Step counts the optimizer steps of all epochs, LR is the rate of the last one, and
	// Last are its losses alone.
	Step int
	LR   float64
	Last Losses
	// Elapsed is the time since the epoch began in this process.
	Elapsed time.Duration
}

// Epoch describes a finished epoch.
type Epoch struct {
	Epoch           int // from 1
	Epochs          int
	Train           Losses  // mean over the epoch's steps, while the weights changed
	Val             *Losses // nil without validation images
	LR              float64 // at the last step
	Images          int
	Seconds         float64 // of training, without validation
	ImagesPerSecond float64
	Final           bool // no epoch follows
}

// Summary describes a finished run.
type Summary struct {
	Epochs  int  // that were trained, including those before a resume
	Stopped bool // by Patience
	Best    int  // epoch with the best validation loss, whose weights are the result; 0 without validation
	Last    Epoch
}

var errConfig = errors.New("train: config")

func (c *Config) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", errConfig, fmt.Sprintf(format, args...))
	}
	switch {
	case c.Model == nil:
		return bad("no model")
	case c.Objective == nil:
		return bad("no objective")
	case c.Data == nil || c.Data.Len() == 0:
		return bad("no training images")
	case c.Epochs < 1:
		return bad("%d epochs", c.Epochs)
	case c.Batch < 1 || c.Batch > 1<<20:
		return bad("batches of %d images", c.Batch)
	case !(c.LR > 0) || c.LR > 1e6:
		return bad("learning rate %g", c.LR)
	case !(c.Warmup >= 0) || !(c.ClipNorm >= 0) || c.Patience < 0:
		return bad("warm-up %g, clip norm %g, patience %d", c.Warmup, c.ClipNorm, c.Patience)
	case !(c.EMA >= 0 && c.EMA < 1):
		return bad("EMA decay %g", c.EMA)
	case c.Patience > 0 && c.Val == nil:
		return bad("early stopping needs validation images")
	}
	if b := c.Binarize; b != "" && b != BinarizeStochastic && b != BinarizeFixed && b != BinarizeThreshold {
		return bad("no way %q of making images black and white", b)
	}
	if err := c.Objective.check(); err != nil {
		return err
	}
	return c.Optimizer.check()
}

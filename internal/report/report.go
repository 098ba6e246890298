// Package report looks at a trained model from all sides and writes what it sees as one HTML
// page that needs nothing else, a model card and a file of numbers.
//
// What is measured: reconstructions, their error by class, what the latents hold (variance,
// KL divergence, active units, maps of them in the plane, how well classes can be read off
// them beside principal components of the pixels), what is generated (pictures, classes,
// distance to the data in the features of a small classifier that is trained for it,
// nearest training images), and what training cost.
package report

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
)

// Input is what a report is about.
type Input struct {
	Model       string              // path of the model's file
	Options     autoencoder.Options // for a model that does not say what its values are
	Train, Test dataset.Source      // Test may be nil: then there are no figures of unseen images
	Epochs      []train.Epoch       // of training; may be empty
	Objective   string              // and its unit
	Unit        string
	TestLosses  *train.Losses // nil if not known
	Config      string        // the configuration file
	Cost        Cost
	Curve       []CurvePoint // of the learning curve; may be empty
	Seed        uint64
	Threads     int
	Now         time.Time
}

// Cost is what training took.
type Cost struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds,omitempty"` // of all threads; 0 if not known
	Joules     float64 `json:"joules,omitempty"`      // of the processor package, by its own counter; 0 if not known
	Machine    string  `json:"machine"`
}

// CurvePoint is a training on a part of the data.
type CurvePoint struct {
	Share     float64 `json:"share"`
	Images    int     `json:"images"`
	Augmented bool    `json:"augmented"`
	Loss      float64 `json:"loss"` // on the test images
}

// Numbers of images that are looked at.
const (
	trainImages  = 10000
	testImages   = 1000
	sampleImages = 10000
	featureSet   = 2000
)

// Write makes the folder dir and writes index.html, model-card.md and report.json in it.
func Write(ctx context.Context, dir string, in Input) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	m, err := autoencoder.Open(in.Model, runtime.Options{Threads: in.Threads}, in.Options)
	if err != nil {
		return err
	}
	defer m.Close()
	r, err := analyse(ctx, m, &in)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{"index.html", r.page}, {"model-card.md", r.card}, {"report.json", r.json}} {
		if err := atomicfile.WriteFile(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

// result is everything that the page shows.
type result struct {
	in     *Input
	info   autoencoder.Info
	meta   *meta.Model
	digest string
	train  *set
	test   *set // the test images, or the training images if there are none
	unseen bool // test has images that training did not see

	numbers numbers
	figures figures
}

// numbers is the content of report.json. Fields that do not apply are absent.
type numbers struct {
	Model     string         `json:"model"`
	Kind      string         `json:"kind"`
	Preset    string         `json:"preset,omitempty"`
	Data      string         `json:"data"`
	Images    int            `json:"images"`
	Digest    string         `json:"digest"`
	Seed      uint64         `json:"seed"`
	Objective string         `json:"objective,omitempty"`
	Unit      string         `json:"unit,omitempty"`
	TestLoss  map[string]any `json:"test_loss,omitempty"`
	Cost      Cost           `json:"cost"`

	Reconstruction *reconstruction `json:"reconstruction,omitempty"`
	Latents        *latents        `json:"latents,omitempty"`
	Features       *features       `json:"feature_learning,omitempty"`
	Generation     *generation     `json:"generation,omitempty"`
	Curve          []CurvePoint    `json:"learning_curve,omitempty"`
}

func analyse(ctx context.Context, m *autoencoder.Model, in *Input) (*result, error) {
	r := &result{in: in, info: m.Info()}
	var err error
	if r.digest, err = in.Train.Digest(); err != nil {
		return nil, err
	}
	if r.train, err = readSet(ctx, in.Train, trainImages); err != nil {
		return nil, err
	}
	src := in.Test
	if r.unseen = src != nil && src.Len() > 0; !r.unseen {
		src = in.Train
	}
	if r.test, err = readSet(ctx, src, testImages); err != nil {
		return nil, err
	}
	n := &r.numbers
	*n = numbers{
		Model: filepath.Base(in.Model), Kind: r.info.Kind, Preset: r.info.Preset, Data: filepath.Base(in.Train.Info().Name), Images: in.Train.Len(),
		Digest: r.digest, Seed: in.Seed, Objective: in.Objective, Unit: in.Unit, Cost: in.Cost, Curve: in.Curve,
	}
	if in.TestLosses != nil {
		n.TestLoss = map[string]any{}
		for i, name := range in.TestLosses.Names {
			if v := in.TestLosses.Values[i]; !math.IsNaN(v) && !math.IsInf(v, 0) {
				n.TestLoss[name] = v
			}
		}
	}
	if r.info.Input != "" {
		if err := r.reconstruct(ctx, m); err != nil {
			return nil, err
		}
	}
	if r.info.Input != "" && r.info.Latent != "" {
		if err := r.encode(ctx, m); err != nil {
			return nil, err
		}
	}
	if err := r.generate(ctx, m); err != nil && !errors.Is(err, autoencoder.ErrNoPrior) {
		return nil, err
	}
	r.curves()
	return r, nil
}

// labelled returns the model for an image of that label.
func (r *result) labelled(m *autoencoder.Model, label int) *autoencoder.Model {
	if r.info.Label == "" {
		return m
	}
	return m.WithLabel(max(0, label))
}

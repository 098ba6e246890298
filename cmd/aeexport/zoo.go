package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
)

// zooOptions are flags that only some kinds of models use.
type zooOptions struct {
	binarize string
	noise    string
	codes    int
	nll      int
}

func (z *zooOptions) add(all *cli.Flags) {
	fs := all.Section(dataFlags)
	fs.StringVar(&z.binarize, "binarize", "", "make images black and white: stochastic (anew in each epoch), fixed, threshold or none; the architecture's if not given")
	cli.Choices(fs, "binarize", binarizings[1:]...)
	fs.StringVar(&z.noise, "noise", "", "`KIND:LEVEL`: what the encoder's images suffer: gaussian, salt-and-pepper, mask or block, for example gaussian:0.3, or none; the architecture's if not given")
	fs = all.Section(archFlags)
	fs.IntVar(&z.codes, "codes", 0, "vectors of the codebook of a vector-quantised model; 0: the architecture's")
	fs = all.Section(trainFlags)
	fs.IntVar(&z.nll, "nll", 0, "estimate the negative log-likelihood of the test images with `N` samples of each, for example 5000; 0: do not")
}

var (
	binarizings = []string{"", "none", train.BinarizeStochastic, train.BinarizeFixed, train.BinarizeThreshold}
	noiseKinds  = []string{"gaussian", "salt-and-pepper", "mask", "block"}
)

func (z *zooOptions) check() error {
	if !slices.Contains(binarizings, z.binarize) {
		return usagef("--binarize %q: want one of %s", z.binarize, strings.Join(binarizings[1:], ", "))
	}
	_, err := z.noiseOr(arch.Noise{})
	return err
}

// noiseOr returns the noise that the flag says, or def without it.
func (z *zooOptions) noiseOr(def arch.Noise) (arch.Noise, error) {
	switch z.noise {
	case "":
		return def, nil
	case "none":
		return arch.Noise{}, nil
	}
	kind, level, _ := strings.Cut(z.noise, ":")
	v, err := strconv.ParseFloat(level, 64)
	if err != nil || !slices.Contains(noiseKinds, kind) || !(v > 0) || kind != "gaussian" && v > 1 {
		return def, usagef("--noise %q: want KIND:LEVEL, where KIND is one of %s, and LEVEL a deviation or a share of pixels", z.noise, strings.Join(noiseKinds, ", "))
	}
	return arch.Noise{Kind: kind, Level: v}, nil
}

// apply changes the configuration of a training run.
func (z *zooOptions) apply(c *train.Config) error {
	switch z.binarize {
	case "":
	case "none":
		c.Binarize = ""
	default:
		c.Binarize = z.binarize
	}
	var err error
	c.Noise, err = z.noiseOr(c.Noise)
	return err
}

// checkMeasures refuses what could not be measured after training.
func (j *job) checkMeasures(c *train.Config, model *onnx.Model) error {
	hasTest := j.data.Test != nil && j.data.Test.Len() > 0
	if j.report.curve && !hasTest && c.Val == nil {
		return usagef("--learning-curve needs test or validation images: --test-fraction or --val-fraction")
	}
	if j.zoo.nll == 0 {
		return nil
	}
	d, err := train.Describe(model)
	switch {
	case err != nil:
		return err
	case !hasTest:
		return usagef("--nll needs test images: --test-fraction")
	case !train.HasLikelihood(c.Objective):
		return usagef("--nll: the objective %v says no likelihood", c.Objective)
	case d.Values.Label != "":
		return usagef("--nll: the likelihood of conditional models is not estimated")
	}
	return nil
}

// likelihood estimates the negative log-likelihood of the test images, if --nll is given.
func (j *job) likelihood(ctx context.Context, tr *train.Trainer) error {
	if j.zoo.nll == 0 {
		return nil
	}
	v, err := tr.NLL(ctx, j.data.Test, j.zoo.nll)
	if err != nil {
		return err
	}
	j.out.note("negative log-likelihood of the test images: %s nats, by %d samples of each", fmt.Sprintf("%.2f", v), j.zoo.nll)
	return nil
}

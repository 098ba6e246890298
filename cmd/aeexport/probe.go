package main

import (
	"context"
	"image"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
)

// probeSize is how many images the picture shows, and the written file is checked on.
const probeSize = 8

// probe is what the written file is tried with: the first images of the test set, or of the
// training set if there is none, and what else the model takes.
type probe struct {
	images []image.Image
	labels []int                     // nil unless the model takes labels
	inputs map[string]*tensor.Tensor // by name
}

func (j *job) probe(ctx context.Context, model *onnx.Model) (*probe, error) {
	d, err := train.Describe(model)
	if err != nil {
		return nil, err
	}
	src := j.data.Test
	if src == nil || src.Len() == 0 {
		src = j.data.Train
	}
	info := src.Info()
	index := make([]int, min(probeSize, src.Len()))
	for i := range index {
		index[i] = i
	}
	x, err := tensor.New(tensor.Float32, len(index), info.Channels, info.Height, info.Width)
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(index))
	if err := src.Read(ctx, index, x.Float32s(), labels); err != nil {
		return nil, err
	}
	p := &probe{inputs: map[string]*tensor.Tensor{}}
	for i := range index {
		img, err := imageio.FromFloats(x.Float32s()[i*info.Elems():][:info.Elems()], info.Channels, info.Height, info.Width, imageio.NCHW, imageio.Norm{})
		if err != nil {
			return nil, err
		}
		p.images = append(p.images, img.Image())
	}
	if v := d.Values.Image; v != "" {
		p.inputs[v] = x
	}
	if v := d.Values.Label; v != "" {
		p.labels = labels
		c := make([]int64, len(labels))
		for i, l := range labels {
			c[i] = int64(l)
		}
		if p.inputs[v], err = tensor.Of(c, len(c)); err != nil {
			return nil, err
		}
	}
	if d.Kind == meta.KindGenerator {
		z, err := tensor.New(tensor.Float32, append([]int{len(index)}, d.Prior[0].Shape...)...)
		if err != nil {
			return nil, err
		}
		rng.New(j.seed).Normal(z.Float32s(), 0)
		p.inputs[d.Values.Z] = z
	}
	return p, nil
}

// classes checks that the training images have the labels that a conditional model is
// for, and returns how many there are.
func (j *job) classes() (int, error) {
	if j.preset.Config.Classes == 0 {
		return 0, nil
	}
	n := len(j.data.Train.Info().Classes)
	if n == 0 {
		return 0, usagef("--arch %s needs images with labels", j.preset.Name)
	}
	return n, nil
}

package main

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
)

// priorImages is how many training images the prior of an autoencoder is fitted to, and
// priorBytes how long its description may be, which is part of every file of the model.
const (
	priorImages = 10000
	priorBytes  = 3584
)

// fitPrior makes a mixture of Gaussians, or one Gaussian, fitted to the latent vectors of
// training images, what an autoencoder draws from. It does so for variational ones too,
// whose latent vectors leave much of the standard normal empty that training compares them
// with (Ghosh et al. 2020, From Variational to Deterministic Autoencoders, section 4).
func (j *job) fitPrior(ctx context.Context, model *onnx.Model) error {
	d, err := train.Describe(model)
	if err != nil {
		return err
	}
	if j.tune.noLatent {
		return nil
	}
	standard := len(d.Prior) == 1 && d.Prior[0].Distribution == meta.DistNormal && d.Prior[0].Value == d.Values.Z
	if d.Kind != meta.KindAE && d.Kind != meta.KindVAE || len(d.Prior) > 0 && !standard || d.Values.Label != "" {
		return nil
	}
	latents, err := j.latents(ctx, model, d)
	if err != nil {
		return err
	}
	n, dim := latents.Dims()
	stage, err := export.FitGMM(d.Values.Z, latents, max(1, min(export.Components(dim, priorBytes), n/(20*dim))), j.seed)
	if err != nil {
		if stage, err = export.FitGaussian(d.Values.Z, latents); err != nil {
			if standard {
				return nil
			}
			j.out.note("no prior: %v", err)
			return nil
		}
	}
	if shape := latentShape(model, d.Values.Z); len(shape) > 1 {
		stage.Shape = shape
	}
	return train.Annotate(model, func(d *meta.Model) { d.Prior = []meta.Stage{stage} })
}

// latentShape returns the shape of one latent vector, nil where the model does not declare it.
func latentShape(model *onnx.Model, z string) []int {
	for _, v := range slices.Concat(model.Graph.Outputs, model.Graph.ValueInfo) {
		if v.Name != z || len(v.Type.Shape) == 0 {
			continue
		}
		var shape []int
		for _, d := range v.Type.Shape[1:] {
			if d.Value < 1 || d.Value > math.MaxInt32 {
				return nil
			}
			shape = append(shape, int(d.Value))
		}
		return shape
	}
	return nil
}

func (j *job) latents(ctx context.Context, model *onnx.Model, d *meta.Model) (*mat.Dense, error) {
	s, err := runtime.New(model, runtime.Options{Threads: j.threads})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	enc, err := s.Sub([]string{d.Values.Image}, []string{d.Values.Z})
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	src := j.data.Train
	info := src.Info()
	n := min(priorImages, src.Len())
	var out *mat.Dense
	for lo := 0; lo < n; lo += 256 {
		index := make([]int, min(256, n-lo))
		for i := range index {
			index[i] = lo + i
		}
		x, err := tensor.New(tensor.Float32, len(index), info.Channels, info.Height, info.Width)
		if err != nil {
			return nil, err
		}
		if err := src.Read(ctx, index, x.Float32s(), nil); err != nil {
			return nil, err
		}
		res, err := enc.Run(ctx, map[string]*tensor.Tensor{d.Values.Image: x})
		if err != nil {
			return nil, err
		}
		z := res[d.Values.Z].Float32s()
		dim := len(z) / len(index)
		if out == nil {
			out = mat.NewDense(n, dim, nil)
		}
		for i := range index {
			for k := range dim {
				out.Set(lo+i, k, float64(z[i*dim+k]))
			}
		}
	}
	return out, nil
}

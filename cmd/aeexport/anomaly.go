package main

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
)

// anomalyImages is how many images a threshold is taken from at most.
const anomalyImages = 10000

// checkAnomaly refuses --anomaly-quantile for models that reconstruct nothing, or have no
// description that could hold a threshold.
func (j *job) checkAnomaly(d *meta.Model) error {
	switch {
	case j.anomaly == 0:
		return nil
	case d.Values.Image == "" || d.Values.Reconstruction == "":
		return usagef("--anomaly-quantile: the model does not reconstruct images")
	case j.tune.noLatent:
		return usagef("--anomaly-quantile: name the model's latent vector with --value-latent, so that the file describes itself")
	}
	return nil
}

// setThreshold writes into the model from which error on an image is unusual, if that is
// asked for: above the quantile of the errors of test images, or else of validation or
// training images. Quantised forms of the model keep it.
func (j *job) setThreshold(ctx context.Context, model *onnx.Model) error {
	if j.anomaly == 0 {
		return nil
	}
	src, what := j.data.Test, "test"
	if src == nil || src.Len() == 0 {
		src, what = j.data.Train, "training"
		if j.used != nil && j.used.Val != nil {
			src, what = j.used.Val, "validation"
		}
	}
	errs, err := j.errors(ctx, model, src)
	if err != nil {
		return err
	}
	t, err := threshold(errs, j.anomaly)
	if err != nil {
		return err
	}
	j.out.note("images are unusual from an error of %.4g on, as %.4g %% of %d %s images are", t, 100*share(errs, t), len(errs), what)
	return train.Annotate(model, func(d *meta.Model) {
		d.Anomaly = &meta.Anomaly{Score: "mse", Threshold: t, Quantile: j.anomaly}
	})
}

// threshold returns the lowest number such that the share q of errs is below it.
func threshold(errs []float64, q float64) (float64, error) {
	sorted := slices.Sorted(slices.Values(errs))
	at := sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
	if math.IsNaN(sorted[0]) || math.IsInf(at, 0) {
		return 0, fmt.Errorf("--anomaly-quantile: the model gives errors of %g and %g", sorted[0], at)
	}
	return math.Nextafter(at, math.Inf(1)), nil
}

// share is the part of errs that is at least t.
func share(errs []float64, t float64) float64 {
	n := 0
	for _, e := range errs {
		if e >= t {
			n++
		}
	}
	return float64(n) / float64(len(errs))
}

// errors returns the mean squared errors of the first images of src, as `aerun score` has them.
func (j *job) errors(ctx context.Context, model *onnx.Model, src dataset.Source) ([]float64, error) {
	s, err := runtime.New(model, runtime.Options{Threads: j.threads})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	m, err := autoencoder.New(s, j.tune.reading)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	info := src.Info()
	n := min(anomalyImages, src.Len())
	step := 64
	if m.Info().Label != "" {
		step = 1
	}
	var out []float64
	for lo := 0; lo < n; lo += step {
		index := make([]int, min(step, n-lo))
		for i := range index {
			index[i] = lo + i
		}
		x, err := tensor.New(tensor.Float32, len(index), info.Elems())
		if err != nil {
			return nil, err
		}
		labels := make([]int, len(index))
		if err := src.Read(ctx, index, x.Float32s(), labels); err != nil {
			return nil, err
		}
		var images []image.Image
		for i := range index {
			p, err := imageio.FromFloats(x.Float32s()[i*info.Elems():][:info.Elems()], info.Channels, info.Height, info.Width, imageio.NCHW, imageio.Norm{})
			if err != nil {
				return nil, err
			}
			images = append(images, p.Image())
		}
		view := m
		if m.Info().Label != "" {
			view = m.WithLabel(labels[0])
		}
		scores, err := view.Score(ctx, images...)
		if err != nil {
			return nil, err
		}
		for _, s := range scores {
			out = append(out, s.MSE)
		}
	}
	return out, nil
}

package main

import (
	"context"
	"errors"
	"image"
	"io"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

// sampleRows is how many rows of the picture show generated images.
const sampleRows = 6

// writePicture shows what a model does: a row of images, a row of their reconstructions,
// and rows of images that it generates.
func writePicture(ctx context.Context, path, model string, images []image.Image, seed uint64) error {
	m, err := autoencoder.Open(model, runtime.Options{}, autoencoder.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	cells := images
	if m.Info().Input != "" {
		rec, err := m.Reconstruct(ctx, images...)
		if err != nil {
			return err
		}
		for _, r := range rec {
			cells = append(cells, r.Output)
		}
	}
	drawn, err := m.Generate(ctx, sampleRows*len(images), autoencoder.Sampling{Seed: seed})
	if err != nil && !errors.Is(err, autoencoder.ErrNoPrior) {
		return err
	}
	cells = append(cells, drawn...)
	channels := m.Info().Channels
	var planars []*imageio.Planar
	for _, c := range cells {
		p, err := imageio.FromImage(c, channels)
		if err != nil {
			return err
		}
		planars = append(planars, p)
	}
	sheet, err := imageio.Sheet{Columns: len(images), Pad: 2, Zoom: max(1, 56/max(1, planars[0].W))}.Grid(planars)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return imageio.WritePNG(w, sheet) })
}

package main

import (
	"context"
	"errors"
	"image"
	"io"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/imagefile"
	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

// writePicture shows what a model does: a row of images, a row of their reconstructions,
// and rows of images that it generates.
func writePicture(ctx context.Context, path, model string, p *probe, rows int, seed uint64) error {
	m, err := autoencoder.Open(model, runtime.Options{}, autoencoder.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	// A column has the label of its image where the model takes labels.
	column := func(i int) *autoencoder.Model {
		if p.labels == nil {
			return m
		}
		return m.WithLabel(p.labels[i])
	}
	var cells []image.Image
	if m.Info().Input != "" {
		cells = append(cells, p.images...)
		for i, img := range p.images {
			rec, err := column(i).Reconstruct(ctx, img)
			if err != nil {
				return err
			}
			cells = append(cells, rec[0].Output)
		}
	}
	n := len(p.images)
	drawn := make([]image.Image, rows*n)
	for i := range min(n, len(drawn)) {
		part, err := column(i).Generate(ctx, rows, autoencoder.Sampling{Seed: seed, First: uint64(rows * i)})
		if errors.Is(err, autoencoder.ErrNoPrior) {
			drawn = nil
			break
		}
		if err != nil {
			return err
		}
		for k, img := range part {
			drawn[k*n+i] = img
		}
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
	sheet, err := imageio.Sheet{Columns: n, Pad: 2, Zoom: max(1, 56/max(1, planars[0].W))}.Grid(planars)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return imagefile.WritePNG(w, sheet) })
}

package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
)

// dataOptions are the flags about training images beside --data and its size.
type dataOptions struct {
	labels  string
	tiles   bool
	test    float64
	spec    string
	memory  int
	augment *dataset.Augment
}

func (d *dataOptions) add(all *cli.Flags) {
	fs := all.Section(dataFlags)
	fs.StringVar(&d.labels, "labels", "", "CSV `FILE` of image names and classes, for a folder or tar files; default: the first subfolder is the class")
	fs.BoolVar(&d.tiles, "tiles", false, "cut the images of a folder into parts of the size instead of resizing them; the architecture's choice if not given")
	fs.StringVar(&d.spec, "augment", "", "random `CHANGES` to training images, for example flip,crop=0.1,rotate=10,contrast=0.2; docs/training.md lists them")
	fs.Float64Var(&d.test, "test-fraction", 0, "share of the images to test on, where the data have no test set")
	fs.IntVar(&d.memory, "data-memory", 1024, "`MiB` of images to keep; others are read again, tar files through a shuffle buffer")
}

func (d *dataOptions) check() error {
	if !(d.test >= 0 && d.test < 1) {
		return usagef("--test-fraction %g: want a share from 0 to below 1", d.test)
	}
	if d.memory < 1 {
		return usagef("--data-memory %d: want at least 1 MiB", d.memory)
	}
	var err error
	if d.augment, err = dataset.ParseAugment(d.spec); err != nil {
		return usagef("--augment: %v", err)
	}
	return nil
}

func (j *job) openData(ctx context.Context) error {
	opt := dataset.Options{
		Dir: j.dataDir, Width: j.width, Height: j.height, Channels: j.channels, Seed: j.seed, N: j.images,
		Labels: j.source.labels, MemoryLimit: int64(j.source.memory) << 20, Progress: j.out.download,
	}
	opt.Tiles = j.source.tiles || !j.given["tiles"] && j.preset.Recipe.Tiles
	var err error
	j.data, err = dataset.Open(ctx, j.options.data, opt)
	if errors.Is(err, dataset.ErrNoTiles) && !j.source.tiles {
		opt.Tiles = false
		j.data, err = dataset.Open(ctx, j.options.data, opt)
	}
	if err != nil {
		return err
	}
	if n := len(j.data.Skipped); n > 0 {
		j.out.note("%d files skipped, the first: %s", n, j.data.Skipped[0])
	}
	if j.source.test > 0 {
		if j.data.Test != nil {
			return usagef("--test-fraction: %s has a test set", j.options.data)
		}
		j.data.Train, j.data.Test, err = dataset.Split(j.data.Train, j.source.test, j.seed)
	}
	return err
}

// Bounds of the search for a learning rate.
const (
	lowestRate  = 1e-6
	highestRate = 1
	rateSteps   = 200
)

// findRate suggests a learning rate and draws the losses that it rests on.
func (j *job) findRate(ctx context.Context, model *onnx.Model) error {
	cfg, err := j.trainConfig(model)
	if err != nil {
		return err
	}
	s, err := train.FindLR(ctx, cfg, lowestRate, highestRate, rateSteps)
	if err != nil {
		return err
	}
	path := strings.TrimSuffix(j.model, ".onnx") + ".lr.png"
	if err := plotRates(path, s); err != nil {
		return err
	}
	j.out.wrote(path, "losses by learning rate")
	if s.Suggestion == 0 {
		j.out.note("the loss fell at no learning rate from %g to %g", float64(lowestRate), float64(highestRate))
		return nil
	}
	j.out.suggest(s.Suggestion)
	return nil
}

// plotRates draws the losses of a search against the learning rate.
func plotRates(path string, s *train.LRSearch) error {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "learning rate", "loss"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: 3}
	var raw, smooth plotter.XYs
	for _, q := range s.Points {
		raw = append(raw, plotter.XY{X: q.LR, Y: q.Loss})
		smooth = append(smooth, plotter.XY{X: q.LR, Y: q.Smooth})
	}
	for i, l := range []struct {
		name string
		pts  plotter.XYs
	}{{"step", raw}, {"smoothed", smooth}} {
		line, err := plotter.NewLine(l.pts)
		if err != nil {
			return err
		}
		line.Color, line.Width = curveColors[i], vg.Points(1+float64(i)/2)
		p.Add(line)
		p.Legend.Add(l.name, line)
	}
	// What blew up would flatten the rest.
	top := s.Points[0].Smooth
	p.Y.Max = min(p.Y.Max, top+0.2*max(top-p.Y.Min, 1e-9))
	if s.Suggestion > 0 {
		mark, err := plotter.NewLine(plotter.XYs{{X: s.Suggestion, Y: p.Y.Min}, {X: s.Suggestion, Y: p.Y.Max}})
		if err != nil {
			return err
		}
		mark.Color, mark.Dashes = curveColors[3], []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(mark)
		p.Legend.Add("suggestion", mark)
	}
	p.Legend.Top = true
	w, err := p.WriterTo(16*vg.Centimeter, 10*vg.Centimeter, "png")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(f io.Writer) error {
		_, err := w.WriteTo(f)
		return err
	})
}

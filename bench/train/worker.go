package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
)

// work is this module's side of the comparison: it reads seconds, one number a line, trains
// for about that long, and answers with "images seconds peak", the last in KiB.
func work(s subject, threads int, in io.Reader, out io.Writer) error {
	m, err := s.model()
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	var limit time.Duration
	var start time.Time
	images := 0
	more := func() (bool, error) {
		if !lines.Scan() {
			return false, lines.Err()
		}
		seconds, err := strconv.ParseFloat(lines.Text(), 64)
		limit, images, start = time.Duration(seconds*float64(time.Second)), 0, time.Now()
		return err == nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	data := newRandomImages(s)
	t, err := train.New(train.Config{
		Model: m, Objective: s.objective, Data: data, Epochs: 1 << 30, Batch: s.batch, LR: 1e-3, Threads: threads,
		OnStep: func(train.Progress) {
			images += s.batch
			if time.Since(start) < limit {
				return
			}
			peak, err := peakMemory()
			if err == nil {
				_, err = fmt.Fprintln(out, images, time.Since(start).Seconds(), peak)
			}
			ok := false
			if err == nil {
				ok, err = more()
			}
			if err != nil || !ok {
				cancel(err)
			}
		},
	})
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := fmt.Fprintln(out, "aekit", t.Parameters(), "parameters"); err != nil {
		return err
	}
	if ok, err := more(); !ok {
		return err
	}
	if _, err := t.Run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	if err := context.Cause(ctx); err != context.Canceled {
		return err
	}
	return nil
}

// randomImages is a source of uniform noise that costs a copy to read, as the batches in
// memory of steps.py cost nothing.
type randomImages struct {
	info dataset.Info
	n    int
	pix  []float32 // of one batch
}

func newRandomImages(s subject) *randomImages {
	r := &randomImages{info: dataset.Info{Name: "noise", Channels: s.image[0], Height: s.image[1], Width: s.image[2]}, n: 64 * s.batch}
	r.pix = make([]float32, s.batch*r.info.Elems())
	rng.New(1).Uniform(r.pix, 0)
	return r
}

func (r *randomImages) Info() dataset.Info { return r.info }
func (r *randomImages) Len() int           { return r.n }

// Digest implements [dataset.Source]; nothing is written that would carry it.
func (r *randomImages) Digest() (string, error) { return "", nil }

func (r *randomImages) Read(_ context.Context, index []int, dst []float32, _ []int) error {
	size := r.info.Elems()
	for k, i := range index {
		at := i % (len(r.pix) / size) * size
		copy(dst[k*size:(k+1)*size], r.pix[at:])
	}
	return nil
}

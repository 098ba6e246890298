package train

import (
	"context"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

func BenchmarkStep(b *testing.B) {
	p, err := arch.Find("vae")
	if err != nil {
		b.Fatal(err)
	}
	m, err := p.Build(arch.Config{})
	if err != nil {
		b.Fatal(err)
	}
	src, err := dataset.NewDigits(1, 128, 1, 28, 28, false)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%v", kernel.Kernels())
	for _, threads := range []int{1, 2} {
		b.Run(map[int]string{1: "vae/128/1T", 2: "vae/128/2T"}[threads], func(b *testing.B) {
			tr := newTrainer(b, Config{Model: m, Objective: ELBO{}, Data: src, Epochs: 1, Batch: 128, LR: 1e-4, Threads: threads})
			f, err := newFeed(src, feedOptions{noises: &tr.noises, loader: dataset.LoaderOptions{Batch: 128, Epochs: 1}})
			if err != nil {
				b.Fatal(err)
			}
			defer f.close()
			batch, err := f.next(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			n := 0
			for b.Loop() {
				if err := tr.step(batch, 1e-4); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(128*n)/time.Since(start).Seconds(), "images/s")
		})
	}
}

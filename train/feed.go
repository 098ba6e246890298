package train

import (
	"context"
	"sync"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

// Labels of the random streams that training draws from.
const (
	streamEpsilon = iota + 0x74726169
	streamNoise
	streamEvaluate
)

// feed makes batches of a source in the background: images, noise on them, and ε. All of
// it is a function of seed, epoch and the number of the image.
type feed struct {
	loader *dataset.Loader
	ready  chan *fed
	free   chan *fed
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// fed is a batch and where it belongs.
type fed struct {
	batch
	raw         *dataset.Batch
	epoch, step int
	last        bool
	noisy       []float32
	eps         []float32
	err         error
}

// feedOptions say what a feed makes.
type feedOptions struct {
	seed    uint64
	stream  uint64 // of ε
	epsilon tensor.Shape
	noise   arch.Noise
	loader  dataset.LoaderOptions
}

func newFeed(src dataset.Source, o feedOptions) (*feed, error) {
	o.loader.Seed = o.seed
	l, err := dataset.NewLoader(src, o.loader)
	if err != nil {
		return nil, err
	}
	const ahead = 2
	ctx, cancel := context.WithCancel(context.Background())
	f := &feed{loader: l, ready: make(chan *fed, ahead), free: make(chan *fed, ahead+2), cancel: cancel}
	for range ahead + 2 {
		f.free <- new(fed)
	}
	f.wg.Go(func() { f.fill(ctx, src.Info().Elems(), o) })
	return f, nil
}

func (f *feed) fill(ctx context.Context, elems int, o feedOptions) {
	defer close(f.ready)
	for {
		var b *fed
		select {
		case b = <-f.free:
		case <-ctx.Done():
			return
		}
		f.loader.Recycle(b.raw)
		b.raw, b.err = f.loader.Next(ctx)
		if b.err == nil {
			b.prepare(elems, &o)
		}
		select {
		case f.ready <- b:
		case <-ctx.Done():
			return
		}
		if b.err != nil {
			return
		}
	}
}

// prepare adds noise to the images that were read.
func (b *fed) prepare(elems int, o *feedOptions) {
	raw := b.raw
	b.epoch, b.step, b.last = raw.Epoch, raw.Step, raw.Last
	b.n, b.images, b.target = len(raw.Index), raw.Images, nil
	epoch := uint64(raw.Epoch)
	if o.epsilon != nil {
		w, _ := o.epsilon.Elems()
		b.eps = resize(b.eps, b.n*w)
		base := rng.New(o.seed, o.stream, epoch)
		for k, i := range raw.Index {
			base.Sub(uint64(i)).Normal(b.eps[k*w:(k+1)*w], 0)
		}
		b.epsilon = b.eps
	}
	if o.noise.Kind != "" {
		b.noisy = resize(b.noisy, b.n*elems)
		base := rng.New(o.seed, streamNoise, o.stream, epoch)
		for k, i := range raw.Index {
			corrupt(b.noisy[k*elems:(k+1)*elems], raw.Images[k*elems:(k+1)*elems], o.noise, base.Sub(uint64(i)))
		}
		b.images, b.target = b.noisy, raw.Images
	}
}

// corrupt sets dst to src with noise.
func corrupt(dst, src []float32, noise arch.Noise, s rng.Stream) {
	switch noise.Kind {
	case "gaussian":
		s.Normal(dst, 0)
		level := float32(noise.Level)
		for i, v := range src {
			dst[i] = v + float32(level*dst[i])
		}
	case "salt-and-pepper":
		s.Uniform(dst, 0)
		half := float32(noise.Level / 2)
		for i, u := range dst {
			switch {
			case u < half:
				dst[i] = 0
			case u < 2*half:
				dst[i] = 1
			default:
				dst[i] = src[i]
			}
		}
	case "mask":
		s.Bernoulli(dst, 0, 1-noise.Level)
		for i, keep := range dst {
			dst[i] = keep * src[i]
		}
	}
}

func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return vector(n)
	}
	return s[:n]
}

// next returns the next batch, nil at the end. The caller returns it through done.
func (f *feed) next(ctx context.Context) (*fed, error) {
	select {
	case b, ok := <-f.ready:
		if !ok {
			return nil, nil
		}
		return b, b.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *feed) done(b *fed) { f.free <- b }

// close stops the feed and waits for its goroutines.
func (f *feed) close() {
	f.cancel()
	f.wg.Wait()
	f.loader.Close()
}

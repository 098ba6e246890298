package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

// Labels of the random streams that training draws from.
const (
	streamEpsilon = iota + 0x74726169
	streamNoise
	streamEvaluate
	streamBinarize
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
	binary      []float32
	classes     []int64
	err         error
}

// feedOptions say what a feed makes.
type feedOptions struct {
	seed     uint64
	stream   uint64 // of the random inputs
	noises   *noises
	noise    arch.Noise
	binarize string
	labels   int    // the number of classes that the model takes; 0: none
	size     [3]int // channels, height and width
	loader   dataset.LoaderOptions
}

func newFeed(src dataset.Source, o feedOptions) (*feed, error) {
	o.loader.Seed = o.seed
	info := src.Info()
	o.size = [3]int{info.Channels, info.Height, info.Width}
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
	f.wg.Go(func() { f.fill(ctx, info.Elems(), o) })
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
			b.err = b.prepare(elems, &o)
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

// prepare adds to the images that were read what o says.
func (b *fed) prepare(elems int, o *feedOptions) error {
	raw := b.raw
	b.epoch, b.step, b.last = raw.Epoch, raw.Step, raw.Last
	b.n, b.images, b.target = len(raw.Index), raw.Images, nil
	epoch := uint64(raw.Epoch)
	if o.noises != nil {
		b.noise = slices.Grow(b.noise[:0], len(o.noises.list))[:len(o.noises.list)]
		for k := range b.noise {
			b.noise[k] = o.noises.fill(b.noise[k], k, o.seed, o.stream, epoch, raw.Index)
		}
	}
	if o.binarize != "" {
		b.binary = resize(b.binary, b.n*elems)
		binarize(b.binary, raw, elems, o)
		b.images = b.binary
	}
	if o.noise.Kind != "" {
		clean := b.images
		b.noisy = resize(b.noisy, b.n*elems)
		base := rng.New(o.seed, streamNoise, o.stream, epoch)
		for k, i := range raw.Index {
			corrupt(b.noisy[k*elems:(k+1)*elems], clean[k*elems:(k+1)*elems], o.noise, o.size, base.Sub(uint64(i)))
		}
		b.images, b.target = b.noisy, clean
	}
	if o.labels > 0 {
		b.classes = b.classes[:0]
		for k, l := range raw.Labels {
			if l < 0 || l >= o.labels {
				return fmt.Errorf("train: image %d has label %d; the model is for labels 0 to %d", raw.Index[k], l, o.labels-1)
			}
			b.classes = append(b.classes, int64(l))
		}
		b.labels = b.classes
	}
	return nil
}

// binarize sets dst to black and white pixels: drawn with the grey level as probability,
// anew in each epoch or once and for all, or by comparing with one half.
func binarize(dst []float32, raw *dataset.Batch, elems int, o *feedOptions) {
	base := rng.New(o.seed, streamBinarize, o.stream)
	if o.binarize == BinarizeStochastic && o.stream == streamEpsilon {
		base = base.Sub(uint64(raw.Epoch))
	}
	for k, i := range raw.Index {
		d, x := dst[k*elems:(k+1)*elems], raw.Images[k*elems:(k+1)*elems]
		if o.binarize != BinarizeThreshold {
			base.Sub(uint64(i)).Binarize(d, x, 0)
			continue
		}
		for j, v := range x {
			d[j] = 0
			if v >= 0.5 {
				d[j] = 1
			}
		}
	}
}

// corrupt sets dst to src with noise.
func corrupt(dst, src []float32, noise arch.Noise, size [3]int, s rng.Stream) {
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
	case "block":
		copy(dst, src)
		r := s.Rand()
		h, w := size[1], size[2]
		bh, bw := holeSide(h, noise.Level), holeSide(w, noise.Level)
		y0, x0 := r.IntN(h-bh+1), r.IntN(w-bw+1)
		for c := range size[0] {
			for y := y0; y < y0+bh; y++ {
				clear(dst[(c*h+y)*w+x0:][:bw])
			}
		}
	}
}

// holeSide is the extent of a hole that takes this share of the area.
func holeSide(extent int, share float64) int {
	return max(1, min(extent, int(float64(extent)*math.Sqrt(share)+0.5)))
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

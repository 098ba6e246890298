package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/aekit/aekit/internal/rng"
)

// LoaderOptions say what batches a [Loader] makes.
type LoaderOptions struct {
	Batch int // images in a batch; required

	// Seed and the number of the epoch decide the order of the images and what Augment
	// does to them.
	Seed uint64

	// Epoch and Step are where to begin: a loader that begins at (e, s) yields what any
	// other loader yields from there on.
	Epoch, Step int

	// Epochs is the number of the epoch to stop before; 0 means never.
	Epochs int

	InOrder  bool // do not shuffle
	DropLast bool // leave out the last batch of an epoch if it is not full

	Augment *Augment // random changes to the images; nil for none

	// Workers read batches ahead of Next, at most Prefetch of them. 0 means 2 and 4.
	Workers, Prefetch int
}

// A Batch is a number of images, as [Source.Read] gives them.
type Batch struct {
	Epoch, Step int  // step counts from 0 in every epoch
	Last        bool // whether the epoch ends with this batch
	Index       []int
	Images      []float32 // [len(Index)][Channels][Height][Width]
	Labels      []int     // -1 where there is none
}

// A Loader reads batches of a source in the background. Their order and content are a
// function of the source and LoaderOptions alone: not of Workers, Prefetch or timing.
//
// Next must not be called from several goroutines at once. Close must be called.
type Loader struct {
	src    Source
	opt    LoaderOptions
	steps  int
	cancel context.CancelFunc
	queue  chan *job
	free   chan *Batch
	wg     sync.WaitGroup
	err    error
}

// A job is a batch that is being read; done is closed when batch and err are set.
type job struct {
	batch *Batch
	err   error
	done  chan struct{}
}

// NewLoader starts reading ahead.
func NewLoader(src Source, opt LoaderOptions) (*Loader, error) {
	if opt.Workers == 0 {
		opt.Workers = 2
	}
	if opt.Prefetch == 0 {
		opt.Prefetch = 4
	}
	n := src.Len()
	switch {
	case opt.Batch < 1:
		return nil, fmt.Errorf("dataset: batches of %d images", opt.Batch)
	case n < 1:
		return nil, errors.New("dataset: no images to load")
	case opt.Workers < 0 || opt.Prefetch < 0 || opt.Epoch < 0 || opt.Step < 0:
		return nil, fmt.Errorf("dataset: negative loader option: %d workers, prefetch %d, epoch %d, step %d", opt.Workers, opt.Prefetch, opt.Epoch, opt.Step)
	case opt.Batch > maxInt/src.Info().Elems():
		return nil, fmt.Errorf("dataset: batches of %d images are too large", opt.Batch)
	}
	if err := opt.Augment.check(); err != nil {
		return nil, err
	}
	l := &Loader{src: src, opt: opt, steps: n / opt.Batch}
	if n%opt.Batch != 0 && !opt.DropLast {
		l.steps++
	}
	if l.steps == 0 {
		return nil, fmt.Errorf("dataset: %d images do not fill a batch of %d", n, opt.Batch)
	}
	if opt.Step > l.steps {
		return nil, fmt.Errorf("dataset: step %d of an epoch of %d", opt.Step, l.steps)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.queue = make(chan *job, opt.Prefetch)
	l.free = make(chan *Batch, opt.Prefetch+opt.Workers+1)
	jobs := make(chan *job)
	for range opt.Workers {
		l.wg.Go(func() {
			for j := range jobs {
				j.err = l.read(ctx, j.batch)
				close(j.done)
			}
		})
	}
	l.wg.Go(func() { l.plan(ctx, jobs) })
	return l, nil
}

// Steps returns the number of batches in an epoch.
func (l *Loader) Steps() int { return l.steps }

// plan hands out batches in order until ctx ends or the last epoch is over.
func (l *Loader) plan(ctx context.Context, jobs chan<- *job) {
	defer close(jobs)
	defer close(l.queue)
	n := l.src.Len()
	step := l.opt.Step
	for epoch := l.opt.Epoch; l.opt.Epochs == 0 || epoch < l.opt.Epochs; epoch++ {
		var order []int
		if !l.opt.InOrder {
			order = orderOf(l.src, rng.New(l.opt.Seed, streamOrder, uint64(epoch)))
		}
		for ; step < l.steps; step++ {
			b := l.get()
			b.Epoch, b.Step, b.Last = epoch, step, step == l.steps-1
			lo := step * l.opt.Batch
			for i := lo; i < n && i-lo < l.opt.Batch; i++ {
				if order != nil {
					b.Index = append(b.Index, order[i])
				} else {
					b.Index = append(b.Index, i)
				}
			}
			j := &job{batch: b, done: make(chan struct{})}
			select {
			case l.queue <- j:
			case <-ctx.Done():
				return
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				j.err = ctx.Err()
				close(j.done)
				return
			}
		}
		step = 0
	}
}

// get returns an empty batch, a recycled one if there is any.
func (l *Loader) get() *Batch {
	select {
	case b := <-l.free:
		b.Index = b.Index[:0]
		return b
	default:
		return &Batch{}
	}
}

func (l *Loader) read(ctx context.Context, b *Batch) error {
	info := l.src.Info()
	n, size := len(b.Index), info.Elems()
	if cap(b.Images) < n*size {
		b.Images = make([]float32, min(l.opt.Batch, l.src.Len())*size)
	}
	if cap(b.Labels) < n {
		b.Labels = make([]int, min(l.opt.Batch, l.src.Len()))
	}
	b.Images, b.Labels = b.Images[:n*size], b.Labels[:n]
	if err := l.src.Read(ctx, b.Index, b.Images, b.Labels); err != nil {
		return err
	}
	if a := l.opt.Augment; a != nil {
		for k, i := range b.Index {
			a.apply(info, b.Images[k*size:(k+1)*size], rng.New(l.opt.Seed, streamAugment, uint64(b.Epoch), uint64(i)).Rand())
		}
	}
	return nil
}

// Next returns the next batch, which the caller owns. It returns io.EOF when
// LoaderOptions.Epochs is reached or the loader is closed. Any other error of the
// source is final. If ctx ends first, its error is returned, and the batch is lost.
func (l *Loader) Next(ctx context.Context) (*Batch, error) {
	if l.err != nil {
		return nil, l.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case j, ok := <-l.queue:
		if !ok {
			l.err = io.EOF
			return nil, l.err
		}
		select {
		case <-j.done:
			if j.err != nil {
				l.err = j.err
				return nil, l.err
			}
			return j.batch, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Recycle gives a batch that is no longer needed back, for its memory to be used again.
func (l *Loader) Recycle(b *Batch) {
	if b == nil {
		return
	}
	select {
	case l.free <- b:
	default:
	}
}

// Close stops the background work and waits for it to end. It may be called more than
// once; Next must have returned.
func (l *Loader) Close() {
	l.cancel()
	l.wg.Wait()
	l.err = io.EOF
}

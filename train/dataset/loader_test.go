package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	goruntime "runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/rng"
)

// counting is a source whose image i has the values i, i+1000; it can fail.
type counting struct {
	n      int
	failAt int // Read of this index fails
	reads  atomic.Int64
}

func (c *counting) Info() Info              { return Info{Name: "counting", Channels: 1, Height: 1, Width: 2} }
func (c *counting) Len() int                { return c.n }
func (c *counting) Digest() (string, error) { return "", errors.New("none") }
func (c *counting) Read(ctx context.Context, index []int, dst []float32, labels []int) error {
	c.reads.Add(1)
	if err := checkRead(c.Info(), c.n, index, dst, labels); err != nil {
		return err
	}
	for k, i := range index {
		if c.failAt > 0 && i == c.failAt {
			return fmt.Errorf("image %d is broken", i)
		}
		dst[2*k], dst[2*k+1] = float32(i), float32(i+1000)
		labels[k] = i % 3
	}
	return nil
}

func newLoader(t *testing.T, src Source, opt LoaderOptions) *Loader {
	t.Helper()
	l, err := NewLoader(src, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// drain describes every batch until io.EOF.
func drain(t *testing.T, l *Loader) (out []string) {
	t.Helper()
	for {
		b, err := l.Next(context.Background())
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for k, i := range b.Index {
			if b.Images[2*k] != float32(i) || b.Images[2*k+1] != float32(i+1000) || b.Labels[k] != i%3 {
				t.Fatalf("batch %+v: images do not belong to the index", b)
			}
		}
		out = append(out, fmt.Sprint(b.Epoch, b.Step, b.Last, b.Index))
		l.Recycle(b)
	}
}

func TestLoaderOrder(t *testing.T) {
	src := &counting{n: 103}
	opt := LoaderOptions{Batch: 10, Seed: 5, Epochs: 3}
	want := drain(t, newLoader(t, src, opt))
	if len(want) != 33 {
		t.Fatalf("%d batches, want 33", len(want))
	}
	for _, workers := range []int{1, 3, 8} {
		for _, prefetch := range []int{1, 2, 16} {
			opt.Workers, opt.Prefetch = workers, prefetch
			if got := drain(t, newLoader(t, src, opt)); !slices.Equal(got, want) {
				t.Errorf("%d workers, prefetch %d: another order", workers, prefetch)
			}
		}
	}
	for _, at := range [][2]int{{0, 1}, {0, 11}, {1, 0}, {1, 7}, {2, 10}, {3, 0}} {
		o := opt
		o.Epoch, o.Step = at[0], at[1]
		if got := drain(t, newLoader(t, src, o)); !slices.Equal(got, want[at[0]*11+at[1]:]) {
			t.Errorf("resumed at %v: another order", at)
		}
	}
	opt.Seed = 6
	if got := drain(t, newLoader(t, src, opt)); slices.Equal(got, want) {
		t.Error("another seed gives the same order")
	}
}

func TestLoaderEpochs(t *testing.T) {
	for _, drop := range []bool{false, true} {
		l := newLoader(t, &counting{n: 25}, LoaderOptions{Batch: 10, Seed: 1, DropLast: drop})
		var orders [2][]int
		for range 2 * l.Steps() {
			b, err := l.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if b.Last != (b.Step == l.Steps()-1) {
				t.Errorf("step %d of %d: Last is %v", b.Step, l.Steps(), b.Last)
			}
			orders[b.Epoch] = append(orders[b.Epoch], b.Index...)
		}
		if slices.Equal(orders[0], orders[1]) {
			t.Error("two epochs have the same order")
		}
		for e, o := range orders {
			want := 25
			if drop {
				want = 20
			}
			slices.Sort(o)
			if len(slices.Compact(o)) != want {
				t.Errorf("drop %v: epoch %d has %d different images, want %d", drop, e, len(slices.Compact(o)), want)
			}
		}
	}
	l := newLoader(t, &counting{n: 25}, LoaderOptions{Batch: 10, InOrder: true, Epochs: 1})
	want := []string{"0 0 false [0 1 2 3 4 5 6 7 8 9]", "0 1 false [10 11 12 13 14 15 16 17 18 19]", "0 2 true [20 21 22 23 24]"}
	if got := drain(t, l); !slices.Equal(got, want) {
		t.Errorf("in order: %q, want %q", got, want)
	}
}

func TestLoaderErrors(t *testing.T) {
	src := &counting{n: 25}
	for _, opt := range []LoaderOptions{
		{}, {Batch: -1}, {Batch: 10, Workers: -1}, {Batch: 10, Prefetch: -1}, {Batch: 10, Epoch: -1}, {Batch: 10, Step: -1},
		{Batch: 10, Step: 4}, {Batch: 26, DropLast: true}, {Batch: math.MaxInt}, {Batch: 10, Augment: &Augment{Shift: -1}},
		{Batch: 10, Augment: &Augment{Rotate: math.NaN()}},
	} {
		if l, err := NewLoader(src, opt); err == nil {
			l.Close()
			t.Errorf("NewLoader(%+v) gave no error", opt)
		}
	}
	if _, err := NewLoader(&counting{}, LoaderOptions{Batch: 1}); err == nil {
		t.Error("NewLoader of an empty source gave no error")
	}
	// The batches before the broken image arrive, then the error, every time.
	l := newLoader(t, &counting{n: 25, failAt: 12}, LoaderOptions{Batch: 5, InOrder: true})
	for range 2 {
		if _, err := l.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := l.Next(context.Background()); err == nil || err.Error() != "image 12 is broken" {
			t.Errorf("error %v, want that of the source", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l = newLoader(t, src, LoaderOptions{Batch: 5})
	if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with a cancelled context: %v", err)
	}
	if _, err := l.Next(context.Background()); err != nil {
		t.Errorf("Next after a cancelled one: %v", err)
	}
	l.Close()
	l.Close()
	if _, err := l.Next(context.Background()); err != io.EOF {
		t.Errorf("Next after Close: %v, want io.EOF", err)
	}
}

// TestLoaderIsBounded checks that reading ahead stops and that Close leaves no goroutine.
func TestLoaderIsBounded(t *testing.T) {
	before := goruntime.NumGoroutine()
	for range 20 {
		src := &counting{n: 1000}
		l, err := NewLoader(src, LoaderOptions{Batch: 1, Workers: 3, Prefetch: 4})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		if n := src.reads.Load(); n > 1+4+1 {
			t.Errorf("%d batches read ahead, want at most 6", n)
		}
		l.Close()
	}
	for i := 0; goruntime.NumGoroutine() > before; i++ {
		if i == 100 {
			t.Fatalf("%d goroutines, %d before", goruntime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSplit(t *testing.T) {
	src := &counting{n: 100}
	train, val, err := Split(src, 0.25, 3)
	if err != nil {
		t.Fatal(err)
	}
	values := func(s Source) (v []int) {
		x, _ := read(t, s)
		for i := 0; i < len(x); i += 2 {
			v = append(v, int(x[i]))
		}
		return
	}
	a, b := values(train), values(val)
	if len(a) != 75 || len(b) != 25 || !slices.IsSorted(a) || !slices.IsSorted(b) {
		t.Errorf("train %v, val %v", a, b)
	}
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	if len(slices.Compact(all)) != 100 {
		t.Errorf("train %v and val %v do not make up the whole", a, b)
	}
	if _, again, _ := Split(src, 0.25, 3); !slices.Equal(values(again), b) {
		t.Error("the same seed gives another split")
	}
	if _, other, _ := Split(src, 0.25, 4); slices.Equal(values(other), b) {
		t.Error("another seed gives the same split")
	}
	if whole, none, err := Split(src, 0, 3); err != nil || whole != Source(src) || none != nil {
		t.Errorf("fraction 0: %v, %v, %v", whole, none, err)
	}
	for _, f := range []float64{-0.1, 1, math.NaN(), 0.001, 0.999} {
		if _, _, err := Split(src, f, 3); err == nil {
			t.Errorf("fraction %g gave no error", f)
		}
	}
	if _, err := Subset(src, []int{1, 100}); err == nil {
		t.Error("Subset with a bad index gave no error")
	}
	if s, err := Subset(src, []int{7, 7, 2}); err != nil || !slices.Equal(values(s), []int{7, 7, 2}) {
		t.Errorf("Subset: %v", err)
	}
	for _, r := range [][2]int{{-1, 3}, {3, 2}, {0, 101}} {
		if _, err := Range(src, r[0], r[1]); err == nil {
			t.Errorf("Range(%v) gave no error", r)
		}
	}
}

func TestAugment(t *testing.T) {
	info := Info{Channels: 3, Height: 9, Width: 8}
	make1 := func() []float32 {
		x := make([]float32, info.Elems())
		rng.New(1).Uniform(x, 0)
		return x
	}
	at := func(a *Augment, n uint64) []float32 {
		x := make1()
		a.apply(info, x, rng.New(2, n).Rand())
		return x
	}
	if !slices.Equal(at(&Augment{}, 1), make1()) {
		t.Error("the zero value changes the image")
	}
	flipped := make1()
	for y := 0; y < len(flipped); y += info.Width {
		slices.Reverse(flipped[y : y+info.Width])
	}
	count := 0
	for n := range uint64(100) {
		switch x := at(&Augment{Flip: true}, n); {
		case slices.Equal(x, flipped):
			count++
		case !slices.Equal(x, make1()):
			t.Fatalf("draw %d is neither the image nor its mirror image", n)
		}
	}
	if count < 30 || count > 70 {
		t.Errorf("%d of 100 images are flipped", count)
	}
	for _, a := range []*Augment{
		{Crop: 0.2}, {Shift: 0.2}, {Rotate: 30}, {Scale: 0.2}, {Shear: 0.2}, {Brightness: 0.2}, {Contrast: 0.5}, {Saturation: 0.5},
	} {
		x := at(a, 3)
		if slices.Equal(x, make1()) || slices.Equal(x, at(a, 4)) {
			t.Errorf("%+v does not change the image, or always in the same way", *a)
		}
		if !slices.Equal(x, at(a, 3)) {
			t.Errorf("%+v is not a function of the stream", *a)
		}
		for i, v := range x {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%+v: value %d is %g", *a, i, v)
			}
		}
	}
	for d := -180.0; d <= 180; d += 7.5 {
		c, s := cosSin(d)
		if math.Abs(c-math.Cos(d*math.Pi/180)) > 1e-9 || math.Abs(s-math.Sin(d*math.Pi/180)) > 1e-9 {
			t.Errorf("cosSin(%g) = %.12g, %.12g", d, c, s)
		}
	}
	// A quarter turn of a square is a permutation of its pixels.
	sq := Info{Channels: 1, Height: 3, Width: 3}
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	(&affine{ax: 0, bx: 1, ay: -1, by: 0}).warp(sq, x)
	if want := []float32{7, 4, 1, 8, 5, 2, 9, 6, 3}; !slices.Equal(x, want) {
		t.Errorf("quarter turn: %v, want %v", x, want)
	}
	full := at(&Augment{Flip: true, Shift: .1, Rotate: 20, Scale: .1, Shear: .1, Brightness: .1, Contrast: .2, Saturation: .3}, 9)
	if got, want := floatHash(full), "0c8e75df31a14448ec50d4a4"; got != want {
		t.Errorf("augmented image hashes to %s, want %s", got, want)
	}
}

// TestLoaderAugments checks that augmentation depends on epoch and index, not on workers.
func TestLoaderAugments(t *testing.T) {
	src := newDigits(t, 1, 12, 1, 16, 16, false)
	run := func(workers int) (out [][]float32) {
		l := newLoader(t, src, LoaderOptions{Batch: 4, InOrder: true, Epochs: 2, Workers: workers, Augment: &Augment{Shift: 0.1, Rotate: 10}})
		for {
			b, err := l.Next(context.Background())
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b.Images)
		}
	}
	a, b := run(1), run(4)
	for i := range a {
		if !slices.Equal(a[i], b[i]) {
			t.Errorf("batch %d depends on the number of workers", i)
		}
	}
	if slices.Equal(a[0], a[3]) {
		t.Error("two epochs have the same augmentation")
	}
}

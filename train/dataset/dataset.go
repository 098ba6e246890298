// Package dataset reads sets of small images for training, as a stream: nothing needs
// the whole set as floating-point numbers in memory.
//
// A [Source] is a random-access sequence of images of one size. [Open] finds one by name
// (built-in digits, MNIST, Fashion-MNIST, CIFAR-10, a folder), [Split] takes a
// validation part off it, and a [Loader] turns it into shuffled batches whose order
// depends only on the seed and the epoch.
package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/rng"
)

// Info describes the images of a Source.
type Info struct {
	Name                    string   // what Open was given, or a description
	Channels, Height, Width int      // all at least 1
	Classes                 []string // names of the labels 0 … len-1; empty if there are no labels
}

// Elems returns the number of values of one image: Channels·Height·Width.
func (i Info) Elems() int { return i.Channels * i.Height * i.Width }

// A Source is a sequence of images of equal size. All methods are safe for concurrent
// use.
type Source interface {
	Info() Info

	// Len returns the number of images.
	Len() int

	// Read stores the images at the given indices, one after the other, in dst, each as
	// [Channels][Height][Width] with values in [0, 1]. dst must have exactly
	// len(index)·Info().Elems() elements. Unless labels is nil it must be as long as
	// index, and receives the labels, or -1 where there is none.
	// An index may occur more than once. On an error dst is undefined.
	Read(ctx context.Context, index []int, dst []float32, labels []int) error

	// Digest returns the SHA-256, in hexadecimal, of the size, pixels and labels (of
	// all that determines them, for generated images). Equal digests mean equal data.
	Digest() (string, error)
}

// Data is a training set and a test set.
type Data struct {
	Train Source
	Test  Source // nil if the source has none

	// Skipped says, one entry a file, which files of a folder could not be read.
	Skipped []string
}

// checkRead verifies the arguments of Source.Read.
func checkRead(info Info, n int, index []int, dst []float32, labels []int) error {
	if want := len(index) * info.Elems(); len(dst) != want {
		return fmt.Errorf("dataset: %d values of room for %d images of %d values", len(dst), len(index), info.Elems())
	}
	if labels != nil && len(labels) != len(index) {
		return fmt.Errorf("dataset: room for %d labels of %d images", len(labels), len(index))
	}
	for _, i := range index {
		if i < 0 || i >= n {
			return fmt.Errorf("dataset: image %d of a set of %d", i, n)
		}
	}
	return nil
}

// digestOf hashes lines of text.
func digestOf(lines ...string) string {
	h := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(h[:])
}

// byteLevels[b] is the value b/255 of a pixel.
var byteLevels = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(i) / 255
	}
	return
}()

// Subset returns the images of src at the given indices, in that order. It keeps index.
// An index out of range is an error.
func Subset(src Source, index []int) (Source, error) {
	n := src.Len()
	for _, i := range index {
		if i < 0 || i >= n {
			return nil, fmt.Errorf("dataset: image %d of a set of %d", i, n)
		}
	}
	return &subset{src: src, index: index}, nil
}

// Range returns the images lo … hi-1 of src.
func Range(src Source, lo, hi int) (Source, error) {
	if lo < 0 || hi < lo || hi > src.Len() {
		return nil, fmt.Errorf("dataset: images %d to %d of a set of %d", lo, hi, src.Len())
	}
	index := make([]int, hi-lo)
	for i := range index {
		index[i] = lo + i
	}
	return &subset{src: src, index: index}, nil
}

// Sample returns n images of src chosen at random, by seed, in the order of src. A smaller
// sample of the same seed is a part of a larger one.
func Sample(src Source, n int, seed uint64) (Source, error) {
	if n < 1 || n > src.Len() {
		return nil, fmt.Errorf("dataset: a sample of %d of %d images", n, src.Len())
	}
	index := rng.New(seed, streamSample).Perm(src.Len())[:n]
	slices.Sort(index)
	return &subset{src: src, index: index}, nil
}

// Split divides src at random, by seed, into a part for training and one of
// round(fraction·Len) images for validation. Both keep the order of src. fraction must
// be in [0, 1), and neither part may be empty unless fraction is 0, when val is nil.
func Split(src Source, fraction float64, seed uint64) (train, val Source, err error) {
	if !(fraction >= 0 && fraction < 1) {
		return nil, nil, fmt.Errorf("dataset: validation fraction %g is not in [0, 1)", fraction)
	}
	if fraction == 0 {
		return src, nil, nil
	}
	n := src.Len()
	k := int(float64(fraction*float64(n)) + 0.5)
	if k == 0 || k == n {
		return nil, nil, fmt.Errorf("dataset: a validation fraction of %g of %d images leaves one part empty", fraction, n)
	}
	isVal := make([]bool, n)
	for _, i := range rng.New(seed, streamSplit).Perm(n)[:k] {
		isVal[i] = true
	}
	t, v := make([]int, 0, n-k), make([]int, 0, k)
	for i, b := range isVal {
		if b {
			v = append(v, i)
		} else {
			t = append(t, i)
		}
	}
	return &subset{src: src, index: t}, &subset{src: src, index: v}, nil
}

// Labels of the random streams that this package draws from.
const (
	streamSplit = iota + 0x64617461
	streamOrder
	streamDigits
	streamAugment
	streamSample
)

type subset struct {
	src   Source
	index []int
}

func (s *subset) Info() Info { return s.src.Info() }
func (s *subset) Len() int   { return len(s.index) }

func (s *subset) Read(ctx context.Context, index []int, dst []float32, labels []int) error {
	if err := checkRead(s.src.Info(), len(s.index), index, dst, labels); err != nil {
		return err
	}
	m := make([]int, len(index))
	for k, i := range index {
		m[k] = s.index[i]
	}
	return s.src.Read(ctx, m, dst, labels)
}

func (s *subset) Digest() (string, error) {
	d, err := s.src.Digest()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "aekit subset 1\n%s\n", d)
	for _, i := range s.index {
		fmt.Fprintln(h, i)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

package report

import (
	"context"
	"image"
	"math"
	"slices"

	"github.com/aekit/aekit/runtime/autoencoder"
)

// generation is what the model draws.
type generation struct {
	Samples int `json:"samples"`
	// ClassifierAccuracy is that of the small classifier that the next figures rest on, on
	// test images.
	ClassifierAccuracy float64 `json:"classifier_accuracy,omitempty"`
	// FeatureDistance is the squared Fréchet distance between test images and samples in the
	// hidden layer of that classifier; FeatureDistanceTrain the same between test and
	// training images, which no generator can be expected to beat. They are not comparable
	// with figures that rest on another network, such as FID.
	FeatureDistance      float64 `json:"feature_distance,omitempty"`
	FeatureDistanceTrain float64 `json:"feature_distance_train,omitempty"`
	// KernelDistance is the squared maximum mean discrepancy of the same features.
	KernelDistance float64 `json:"kernel_distance,omitempty"`
	// Classes is the share of each class among the samples, as the classifier sees them, and
	// in the data; Variation is half the sum of the differences, 0 for equal shares.
	Classes   []classShare `json:"classes,omitempty"`
	Variation float64      `json:"class_variation,omitempty"`
	// AsAsked is the share of samples of a conditional model that are classified as the label
	// that was asked for.
	AsAsked float64 `json:"as_asked,omitempty"`
	// Nearest is the median distance (root mean square over pixels) from samples to the
	// nearest training image, NearestTest the same from test images, and Copies the share of
	// samples that are nearer to a training image than 99 of 100 test images are.
	Nearest     float64 `json:"nearest"`
	NearestTest float64 `json:"nearest_test,omitempty"`
	Copies      float64 `json:"copies"`
	// Sharpness is the mean variance of the Laplacian of samples, SharpnessTest of test
	// images.
	Sharpness     float64 `json:"sharpness"`
	SharpnessTest float64 `json:"sharpness_test"`
}

type classShare struct {
	Class   string  `json:"class"`
	Samples float64 `json:"samples"`
	Data    float64 `json:"data"`
}

const (
	shownRows        = 8
	neighbourSamples = 500
	classifierEpochs = 8
	slowSamples      = 500
)

func (r *result) generate(ctx context.Context, m *autoencoder.Model) error {
	if r.info.Output == "" || r.info.Latent == "" {
		return nil
	}
	count := sampleImages
	// Samples are kept as numbers: bound their memory, and the time of big models.
	if e := r.test.info.Elems(); e > 3072 {
		count = max(200, sampleImages*3072/e)
	}
	if r.info.Codes != "" {
		// Discrete latents are drawn one after the other.
		count = min(count, slowSamples)
	}
	images, asked, err := r.samples(ctx, m, count)
	if err != nil {
		return err
	}
	columns := r.columns()
	shown := images[:min(len(images), shownRows*columns)]
	if r.info.Label != "" {
		shown = nil
		// A row of each class.
		classes := r.test.classes()
		per := len(images) / classes
		for c := range classes {
			shown = append(shown, images[c*per:c*per+min(columns, per)]...)
		}
	}
	if r.figures.Samples, err = sheet(shown, columns, cellSide, "generated images"); err != nil {
		return err
	}
	px, err := toPixels(images, r.test.info)
	if err != nil {
		return err
	}
	g := &generation{Samples: len(images)}
	r.numbers.Generation = g
	if err := r.copies(g, images, px); err != nil {
		return err
	}
	g.Sharpness, g.SharpnessTest = r.sharpness(px), r.sharpness(r.test.pixels)
	r.classesOf(g, px, asked)
	return nil
}

// samples draws images, of a conditional model as many of each class, and returns the labels
// that were asked for.
func (r *result) samples(ctx context.Context, m *autoencoder.Model, count int) (images []image.Image, asked []int, err error) {
	o := autoencoder.Sampling{Seed: r.in.Seed}
	classes := r.test.classes()
	if r.info.Label == "" || classes == 0 {
		images, err = m.Generate(ctx, count, o)
		return images, nil, err
	}
	for c := range classes {
		part, err := m.WithLabel(c).Generate(ctx, count/classes, o)
		if err != nil {
			return nil, nil, err
		}
		o.First += uint64(len(part))
		images = append(images, part...)
		for range part {
			asked = append(asked, c)
		}
	}
	return images, asked, nil
}

// copies compares samples and test images with their nearest training images.
func (r *result) copies(g *generation, images []image.Image, px []float32) error {
	e := r.test.info.Elems()
	every := max(1, len(images)/neighbourSamples)
	var some []float32
	var which []int
	for i := 0; i < len(images) && len(which) < neighbourSamples; i += every {
		some = append(some, px[i*e:(i+1)*e]...)
		which = append(which, i)
	}
	index, dist := nearest(some, r.train.pixels, e, 1)
	rms := func(d float64) float64 { return math.Sqrt(d / float64(e)) }
	var near []float64
	for _, d := range dist {
		near = append(near, rms(d[0]))
	}
	g.Nearest = median(near)
	if r.unseen {
		_, dist := nearest(r.test.pixels[:min(r.test.n, neighbourSamples)*e], r.train.pixels, e, 1)
		var own []float64
		for _, d := range dist {
			own = append(own, rms(d[0]))
		}
		g.NearestTest = median(own)
		limit := own[len(own)/100]
		for _, d := range near {
			if d < limit {
				g.Copies += 1 / float64(len(near))
			}
		}
	}
	columns := min(r.columns(), len(which))
	var cells []image.Image
	for k := range columns {
		cells = append(cells, images[which[k]])
	}
	for k := range columns {
		cells = append(cells, r.train.images[index[k][0]])
	}
	var err error
	r.figures.Nearest, err = sheet(cells, columns, cellSide, "generated images and the nearest training images")
	return err
}

// median sorts v and returns its middle.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// sharpness is the mean variance of the Laplacian, over images and channels.
func (r *result) sharpness(px []float32) float64 {
	i := r.test.info
	h, w := i.Height, i.Width
	if h < 3 || w < 3 {
		return 0
	}
	planes := len(px) / (h * w)
	total := 0.0
	for p := range planes {
		x := px[p*h*w : (p+1)*h*w]
		var s, q float64
		for y := 1; y < h-1; y++ {
			for k := 1; k < w-1; k++ {
				at := y*w + k
				l := float64(x[at-1] + x[at+1] + x[at-w] + x[at+w] - 4*x[at])
				s += l
				q += l * l
			}
		}
		n := float64((h - 2) * (w - 2))
		total += q/n - s/n*s/n
	}
	return total / float64(planes)
}

// classesOf trains a small classifier on the training images and looks at the samples
// through it.
func (r *result) classesOf(g *generation, px []float32, asked []int) {
	classes := r.test.classes()
	if classes < 2 {
		return
	}
	c := trainClassifier(r.train.pixels, r.train.n, r.train.labels, classes, classifierHidden, classifierEpochs, classifierRate, r.in.Seed)
	if c == nil {
		return
	}
	g.ClassifierAccuracy = accuracy(c.predict(r.test.pixels), r.test.labels)
	got := c.predict(px)
	g.Classes = make([]classShare, classes)
	data := 0
	for _, l := range r.train.labels {
		if l >= 0 {
			g.Classes[l].Data++
			data++
		}
	}
	for _, l := range got {
		g.Classes[l].Samples += 1 / float64(len(got))
	}
	var bars []bar
	for l := range g.Classes {
		s := &g.Classes[l]
		s.Class, s.Data = r.test.info.Classes[l], s.Data/float64(data)
		g.Variation += math.Abs(s.Samples-s.Data) / 2
		bars = append(bars, bar{Label: s.Class, Value: 100 * s.Samples, Other: 100 * s.Data})
	}
	if asked == nil {
		r.figures.Classes = barChart(bars, "share in %")
	} else {
		g.AsAsked = accuracy(got, asked)
	}
	e := r.test.info.Elems()
	spread := func(x []float32) []float32 {
		n := len(x) / e
		k := min(n, featureSet)
		var out []float32
		for i := range k {
			out = append(out, x[i*n/k*e:][:e]...)
		}
		return c.features(out)
	}
	test, samples, train := spread(r.test.pixels), spread(px), spread(r.train.pixels)
	if r.test.n > 4*classifierHidden {
		g.FeatureDistance = frechet(test, samples, classifierHidden)
		g.FeatureDistanceTrain = frechet(test, train, classifierHidden)
	}
	g.KernelDistance = mmd(test, samples, classifierHidden)
}

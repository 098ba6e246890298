package report

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
)

// latents is what the latent vectors hold.
type latents struct {
	Dim    int          `json:"dim"`
	Active int          `json:"active"` // units whose mean varies by more than 0.01 over the data (Burda et al. 2015)
	KL     float64      `json:"kl,omitempty"`
	Units  []latentUnit `json:"units"`
}

// latentUnit is one element of the latent vector over the test images.
type latentUnit struct {
	Unit     int     `json:"unit"`
	Mean     float64 `json:"mean"`
	Variance float64 `json:"variance"`     // of what the encoder gives, or of its mean
	KL       float64 `json:"kl,omitempty"` // nats, mean over images
}

// features is how well classes can be read off the latents: shares of test images that are
// classified right.
type features struct {
	Train        int     `json:"train_images"`
	Test         int     `json:"test_images"`
	KNN          float64 `json:"knn"`    // 5 nearest neighbours among the latents
	Linear       float64 `json:"linear"` // linear classifier on them
	PCAKNN       float64 `json:"pca_knn"`
	PCALinear    float64 `json:"pca_linear"`
	PCAShare     float64 `json:"pca_variance"` // of the pixels' variance
	PCAError     float64 `json:"pca_mse"`      // of reconstructing test images from as many components
	Components   int     `json:"pca_components"`
	Chance       float64 `json:"chance"` // share of the most frequent class
	FromTraining bool    `json:"from_training,omitempty"`
}

// activeVariance is the threshold of an active unit.
const activeVariance = 0.01

// Bounds on what is drawn of the latents.
const (
	traversedUnits = 128
	traversalSteps = 9
	mappedImages   = 1000
	probeImages    = 5000
	neighbours     = 5
)

// codes returns the latent vectors of a set, [n][dim], and the logarithms of the variances
// if the model has them. For variational models the vectors are the means. dim is 0 for
// models whose latents are no numbers.
func (r *result) codes(ctx context.Context, m *autoencoder.Model, s *set, limit int) (z, logvar []float32, dim int, err error) {
	part := *s
	part.n = min(limit, s.n)
	part.labels = s.labels[:part.n]
	for _, g := range r.groups(&part) {
		for lo := 0; lo < len(g.index); lo += 256 {
			index := g.index[lo:min(lo+256, len(g.index))]
			l, err := r.labelled(m, g.label).Encode(ctx, pick(s.images, index)...)
			if err != nil {
				return nil, nil, 0, err
			}
			t := l.Z
			if l.Mu != nil {
				t = l.Mu
			}
			if t.DType() != tensor.Float32 || l.Codes != nil {
				return nil, nil, 0, nil
			}
			v := t.Float32s()
			if z == nil {
				dim = len(v) / len(index)
				z = make([]float32, part.n*dim)
				if l.LogVar != nil && l.LogVar.DType() == tensor.Float32 && l.LogVar.Elems() == len(v) {
					logvar = make([]float32, part.n*dim)
				}
			}
			for k, i := range index {
				copy(z[i*dim:(i+1)*dim], v[k*dim:])
				if logvar != nil {
					copy(logvar[i*dim:(i+1)*dim], l.LogVar.Float32s()[k*dim:])
				}
			}
		}
	}
	return z, logvar, dim, nil
}

func (r *result) encode(ctx context.Context, m *autoencoder.Model) error {
	z, logvar, dim, err := r.codes(ctx, m, r.test, testImages)
	if err != nil || dim == 0 {
		return err
	}
	n := len(z) / dim
	out := &latents{Dim: dim}
	for u := range dim {
		unit := latentUnit{Unit: u}
		sq := 0.0
		for i := range n {
			v := float64(z[i*dim+u])
			unit.Mean += v / float64(n)
			sq += v * v / float64(n)
			if logvar != nil {
				lv := float64(logvar[i*dim+u])
				unit.KL += (v*v + math.Exp(lv) - 1 - lv) / 2 / float64(n)
			}
		}
		unit.Variance = max(0, sq-unit.Mean*unit.Mean)
		if unit.Variance > activeVariance {
			out.Active++
		}
		out.KL += unit.KL
		out.Units = append(out.Units, unit)
	}
	r.numbers.Latents = out
	ranked := slices.Clone(out.Units)
	slices.SortStableFunc(ranked, func(a, b latentUnit) int {
		x, y := a.KL, b.KL
		if logvar == nil {
			x, y = a.Variance, b.Variance
		}
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	r.unitChart(ranked, logvar != nil)
	if err := r.traverse(ctx, m, z, dim, ranked, logvar != nil); err != nil {
		return err
	}
	if err := r.interpolate(ctx, m); err != nil {
		return err
	}
	r.maps(z, dim)
	return r.probes(ctx, m, z, dim)
}

func (r *result) unitChart(ranked []latentUnit, kl bool) {
	var bars []bar
	for _, u := range ranked[:min(len(ranked), traversedUnits)] {
		v := u.Variance
		if kl {
			v = u.KL
		}
		bars = append(bars, bar{Label: fmt.Sprint(u.Unit), Value: v})
	}
	name := "variance"
	if kl {
		name = "KL divergence in nats"
	}
	r.figures.Units = barChart(bars, name)
}

// traversal is what one latent changes.
type traversal struct {
	Unit  int
	Note  string
	Strip *picture
}

// traverse decodes the mean latent vector with one element at a time moved.
func (r *result) traverse(ctx context.Context, m *autoencoder.Model, z []float32, dim int, ranked []latentUnit, kl bool) error {
	if r.info.Output == "" {
		return nil
	}
	for _, u := range ranked[:min(len(ranked), traversedUnits)] {
		spread := 3.0
		if !kl {
			spread = 3 * math.Sqrt(u.Variance)
		}
		steps, err := tensor.New(tensor.Float32, traversalSteps, dim)
		if err != nil {
			return err
		}
		for s := range traversalSteps {
			row := steps.Float32s()[s*dim : (s+1)*dim]
			for k := range row {
				row[k] = float32(r.numbers.Latents.Units[k].Mean)
			}
			base := row[u.Unit]
			if kl {
				base = 0
			}
			row[u.Unit] = base + float32(spread*(2*float64(s)/(traversalSteps-1)-1))
		}
		images, err := r.labelled(m, 0).Decode(ctx, steps)
		if err != nil {
			return err
		}
		strip, err := sheet(images, traversalSteps, cellSide/2, fmt.Sprintf("images along latent %d", u.Unit))
		if err != nil {
			return err
		}
		note := fmt.Sprintf("σ² %.3g", u.Variance)
		if kl {
			note = fmt.Sprintf("KL %.3g", u.KL)
		}
		r.figures.Traversals = append(r.figures.Traversals, traversal{u.Unit, note, strip})
	}
	return nil
}

// interpolate walks between pairs of test images.
func (r *result) interpolate(ctx context.Context, m *autoencoder.Model) error {
	if r.info.Output == "" || r.test.n < 2 {
		return nil
	}
	columns := r.columns()
	var cells []image.Image
	for row := range min(6, r.test.n/2) {
		a, b := 2*row, 2*row+1
		way, err := r.labelled(m, r.test.labels[a]).Interpolate(ctx, r.test.images[a], r.test.images[b], columns, autoencoder.Linear)
		if err != nil {
			return err
		}
		cells = append(cells, way...)
	}
	var err error
	r.figures.Interpolations, err = sheet(cells, columns, cellSide, "images on the way from one image to another")
	return err
}

// maps places the latents in the plane.
func (r *result) maps(z []float32, dim int) {
	n := min(len(z)/dim, mappedImages)
	z = z[:n*dim]
	labels := r.test.labels[:n]
	p := fitPCA(z, dim, 2, r.in.Seed)
	if xy := p.project(z); p.k == 2 {
		points := make([]float64, len(xy))
		for i, v := range xy {
			points[i] = float64(v)
		}
		r.figures.PCA = scatter(points, labels, r.test.info.Classes)
		r.figures.PCAShare = p.share
	}
	if dim > 2 {
		r.figures.TSNE = scatter(tsne(z, dim, r.in.Seed), labels, r.test.info.Classes)
	}
}

// probes reads the classes off the latents and off as many principal components.
func (r *result) probes(ctx context.Context, m *autoencoder.Model, test []float32, dim int) error {
	classes := r.test.classes()
	if classes < 2 || !slices.ContainsFunc(r.test.labels, func(l int) bool { return l >= 0 }) {
		return nil
	}
	train, _, _, err := r.codes(ctx, m, r.train, probeImages)
	if err != nil {
		return err
	}
	n := len(train) / dim
	labels := r.train.labels[:n]
	f := &features{Train: n, Test: r.test.n, FromTraining: !r.unseen}
	counts := make([]int, classes)
	for _, l := range r.test.labels {
		if l >= 0 && l < classes {
			counts[l]++
		}
	}
	f.Chance = float64(slices.Max(counts)) / float64(r.test.n)
	const epochs, rate = 40, 0.01
	want := r.test.labels
	f.KNN = accuracy(vote(test, train, dim, labels, classes, neighbours), want)
	f.Linear = accuracy(trainClassifier(train, n, labels, classes, 0, epochs, rate, r.in.Seed).predict(test), want)
	elems := r.train.info.Elems()
	px := r.train.pixels[:n*elems]
	p := fitPCA(px, elems, dim, r.in.Seed)
	a, b := p.project(px), p.project(r.test.pixels)
	f.Components, f.PCAShare, f.PCAError = p.k, p.share, p.error(r.test.pixels)
	f.PCAKNN = accuracy(vote(b, a, p.k, labels, classes, neighbours), want)
	f.PCALinear = accuracy(trainClassifier(a, n, labels, classes, 0, epochs, rate, r.in.Seed).predict(b), want)
	r.numbers.Features = f
	return nil
}

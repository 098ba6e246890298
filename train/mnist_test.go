package train_test

import (
	"context"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

func mnist(t *testing.T) *dataset.Data {
	t.Helper()
	d, err := dataset.Open(context.Background(), "mnist", dataset.Options{Dir: testdata.Dir(t), Offline: true})
	if err != nil {
		t.Skip(err)
	}
	return d
}

func fit(t *testing.T, preset string, d *dataset.Data, c train.Config) float64 {
	t.Helper()
	p, err := arch.Find(preset)
	if err != nil {
		t.Fatal(err)
	}
	c.Model, err = p.Build(arch.Config{Seed: c.Seed})
	if err != nil {
		t.Fatal(err)
	}
	c.Data = d.Train
	tr, err := train.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if _, err := tr.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	l, err := tr.Evaluate(context.Background(), d.Test)
	if err != nil {
		t.Fatal(err)
	}
	return l.Total()
}

// TestMNISTVAE trains the vae preset for 10 epochs, batch 128, Adam 1e-3, with three seeds:
// the median test loss is at most 106 nats per image.
func TestMNISTVAE(t *testing.T) {
	testdata.Slow(t)
	d := mnist(t)
	var losses []float64
	for seed := range uint64(3) {
		l := fit(t, "vae", d, train.Config{Objective: train.ELBO{}, Epochs: 10, Batch: 128, LR: 1e-3, Seed: seed + 1})
		t.Logf("seed %d: %.2f nats", seed+1, l)
		losses = append(losses, l)
	}
	slices.Sort(losses)
	if losses[1] > 106 {
		t.Errorf("median %.2f nats per image, want at most 106", losses[1])
	}
}

// TestMNISTAEBeatsPCA trains the ae preset for 100 epochs, batch 256, with three seeds, and
// holds the median test error against what principal component analysis with as many
// components leaves.
func TestMNISTAEBeatsPCA(t *testing.T) {
	testdata.Slow(t)
	d := mnist(t)
	pca := pcaError(t, d, 32)
	var ratios []float64
	for seed := range uint64(3) {
		l := fit(t, "ae", d, train.Config{Objective: train.MSE{}, Epochs: 100, Batch: 256, LR: 1e-3, Seed: seed + 1})
		t.Logf("seed %d: MSE %.5f, PCA %.5f, ratio %.3f", seed+1, l, pca, l/pca)
		ratios = append(ratios, l/pca)
	}
	slices.Sort(ratios)
	if ratios[1] > 0.65 {
		t.Errorf("median %.3f of PCA's error, want at most 0.65", ratios[1])
	}
}

// pcaError returns the mean squared error per pixel of test images projected on the first k
// principal components of the training images.
func pcaError(t *testing.T, d *dataset.Data, k int) float64 {
	t.Helper()
	read := func(s dataset.Source) *mat.Dense {
		n, w := s.Len(), s.Info().Elems()
		m := mat.NewDense(n, w, nil)
		row := make([]float32, w)
		for i := range n {
			if err := s.Read(context.Background(), []int{i}, row, nil); err != nil {
				t.Fatal(err)
			}
			for j, v := range row {
				m.Set(i, j, float64(v))
			}
		}
		return m
	}
	x := read(d.Train)
	_, w := x.Dims()
	var cov mat.SymDense
	stat.CovarianceMatrix(&cov, x, nil)
	var eig mat.EigenSym
	if !eig.Factorize(&cov, true) {
		t.Fatal("no eigenvectors")
	}
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	basis := vectors.Slice(0, w, w-k, w)
	y := read(d.Test)
	n, _ := y.Dims()
	for j := range w {
		mean := stat.Mean(mat.Col(nil, j, x), nil)
		for i := range n {
			y.Set(i, j, y.At(i, j)-mean)
		}
	}
	var z, back mat.Dense
	z.Mul(y, basis)
	back.Mul(&z, basis.T())
	back.Sub(y, &back)
	norm := mat.Norm(&back, 2)
	return norm * norm / float64(n*w)
}

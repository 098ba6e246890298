package train

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
)

// maxFullCovariance is the number of dimensions up to which priors have full covariance
// matrices; beyond it they are diagonal.
const maxFullCovariance = 64

// GaussianPrior fits one Gaussian to the latent vectors z, d numbers each, from which a
// plain autoencoder can then draw. value is the name of the latents in the model.
func GaussianPrior(value string, z []float32, d int) (meta.Stage, error) {
	x, err := samples(z, d)
	if err != nil {
		return meta.Stage{}, err
	}
	g := newGaussian(d)
	w := make([]float64, len(x))
	for i := range w {
		w[i] = 1
	}
	if err := g.fit(x, w); err != nil {
		return meta.Stage{}, err
	}
	c := g.component()
	return meta.Stage{Value: value, Distribution: meta.DistGaussian, DType: "float32", Shape: []int{d}, Mean: c.Mean, Chol: c.Chol}, nil
}

// MixturePrior fits a mixture of k Gaussians by expectation maximisation, started from
// k-means++ centres (Arthur and Vassilvitskii 2007) drawn by seed.
func MixturePrior(value string, z []float32, d, k int, seed uint64) (meta.Stage, error) {
	x, err := samples(z, d)
	if err != nil {
		return meta.Stage{}, err
	}
	if k < 1 || k > len(x) {
		return meta.Stage{}, fmt.Errorf("train: a mixture of %d Gaussians for %d samples", k, len(x))
	}
	m, err := fitMixture(x, d, k, seed)
	if err != nil {
		return meta.Stage{}, err
	}
	s := meta.Stage{Value: value, Distribution: meta.DistGMM, DType: "float32", Shape: []int{d}}
	for _, g := range m {
		s.Components = append(s.Components, g.component())
	}
	return s, nil
}

// samples converts z to rows, and checks that all are finite and that there are enough.
func samples(z []float32, d int) ([][]float64, error) {
	if d < 1 || len(z)%d != 0 || len(z) < 2*d {
		return nil, fmt.Errorf("train: %d numbers are not two or more latent vectors of %d", len(z), d)
	}
	x := make([][]float64, len(z)/d)
	for i := range x {
		x[i] = make([]float64, d)
		for j := range x[i] {
			v := float64(z[i*d+j])
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, errors.New("train: a latent vector is not finite")
			}
			x[i][j] = v
		}
	}
	return x, nil
}

// gaussian is a component of a mixture. chol is the Cholesky factor by rows of the lower
// triangle, or the deviations if diagonal.
type gaussian struct {
	weight   float64
	mean     []float64
	chol     []float64
	diagonal bool
	logDet   float64 // of the factor
}

func newGaussian(d int) *gaussian {
	return &gaussian{weight: 1, mean: make([]float64, d), diagonal: d > maxFullCovariance}
}

// ridge is added to variances, relative to the mean variance of all data.
const ridge = 1e-6

// fit sets mean and covariance to those of x with weights w, which sum to more than 0.
func (g *gaussian) fit(x [][]float64, w []float64) error {
	d := len(g.mean)
	total := floats.Sum(w)
	clear(g.mean)
	for i, row := range x {
		floats.AddScaled(g.mean, w[i]/total, row)
	}
	if g.diagonal {
		g.chol = make([]float64, d)
		for i, row := range x {
			for j, v := range row {
				g.chol[j] += w[i] / total * (v - g.mean[j]) * (v - g.mean[j])
			}
		}
		extra := ridge*floats.Sum(g.chol)/float64(d) + math.SmallestNonzeroFloat32
		g.logDet = 0
		for j := range g.chol {
			g.chol[j] = math.Sqrt(g.chol[j] + extra)
			g.logDet += math.Log(g.chol[j])
		}
		return nil
	}
	cov := mat.NewSymDense(d, nil)
	dense := mat.NewDense(len(x), d, nil)
	for i, row := range x {
		dense.SetRow(i, row)
	}
	stat.CovarianceMatrix(cov, dense, w)
	// gonum divides by the sum of the weights less 1.
	cov.ScaleSym((total-1)/total, cov)
	trace := 0.0
	for j := range d {
		trace += cov.At(j, j)
	}
	extra := ridge*trace/float64(d) + math.SmallestNonzeroFloat32
	for range 12 {
		for j := range d {
			cov.SetSym(j, j, cov.At(j, j)+extra)
		}
		var c mat.Cholesky
		if c.Factorize(cov) {
			var l mat.TriDense
			c.LTo(&l)
			g.chol = g.chol[:0]
			g.logDet = 0
			for i := range d {
				for j := range i + 1 {
					g.chol = append(g.chol, l.At(i, j))
				}
				g.logDet += math.Log(l.At(i, i))
			}
			return nil
		}
		extra *= 10
	}
	return errors.New("train: the covariance of the latent vectors is singular")
}

// logProb returns log(weight·N(x)). y is scratch memory.
func (g *gaussian) logProb(x, y []float64) float64 {
	s := 0.0
	at := 0
	for i, v := range x {
		r := v - g.mean[i]
		if g.diagonal {
			r /= g.chol[i]
		} else {
			row := g.chol[at : at+i+1]
			for j, l := range row[:i] {
				r -= l * y[j]
			}
			r /= row[i]
			at += i + 1
		}
		y[i] = r
		s += r * r
	}
	return math.Log(g.weight) - g.logDet - s/2 - float64(len(x))/2*math.Log(2*math.Pi)
}

func (g *gaussian) component() meta.Component {
	return meta.Component{Weight: float32(g.weight), Mean: narrow(g.mean), Chol: narrow(g.chol)}
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

const (
	maxRounds = 50   // of expectation maximisation
	converged = 1e-4 // gain of log-likelihood per sample and dimension that ends it
)

func fitMixture(x [][]float64, d, k int, seed uint64) ([]*gaussian, error) {
	w := startWeights(x, k, seed)
	var m []*gaussian
	for range k {
		m = append(m, newGaussian(d))
	}
	last := math.Inf(-1)
	y := make([]float64, d)
	p := make([]float64, 0, k)
	for range maxRounds {
		live := m[:0]
		for c, g := range m {
			total := floats.Sum(w[c])
			// A component of fewer samples than dimensions has no covariance.
			if total < float64(min(d, maxFullCovariance)+2) && len(m) > 1 {
				continue
			}
			g.weight = total / float64(len(x))
			if err := g.fit(x, w[c]); err != nil {
				return nil, err
			}
			live = append(live, g)
		}
		if len(live) == 0 {
			live = append(live, newGaussian(d))
			for i := range w[0] {
				w[0][i] = 1
			}
			if err := live[0].fit(x, w[0]); err != nil {
				return nil, err
			}
		}
		m = live
		normalise(m)
		ll := 0.0
		for i, row := range x {
			p = p[:0]
			for _, g := range m {
				p = append(p, g.logProb(row, y))
			}
			s := floats.LogSumExp(p)
			ll += s
			for c := range m {
				w[c][i] = math.Exp(p[c] - s)
			}
		}
		ll /= float64(len(x) * d)
		if ll-last < converged {
			break
		}
		last = ll
	}
	return m, nil
}

func normalise(m []*gaussian) {
	total := 0.0
	for _, g := range m {
		total += g.weight
	}
	for _, g := range m {
		g.weight /= total
	}
}

// startWeights assigns every sample to the nearest of k centres that are far apart.
func startWeights(x [][]float64, k int, seed uint64) [][]float64 {
	r := rng.New(seed, streamMixture).Rand()
	dist := make([]float64, len(x))
	near := make([]int, len(x))
	for i := range dist {
		dist[i] = math.Inf(1)
	}
	pick := r.IntN(len(x))
	for c := range k {
		total := 0.0
		for i, row := range x {
			if d := floats.Distance(row, x[pick], 2); d*d < dist[i] {
				dist[i], near[i] = d*d, c
			}
			total += dist[i]
		}
		at := r.Float64() * total
		for i, d := range dist {
			if at -= d; at < 0 {
				pick = i
				break
			}
		}
	}
	w := make([][]float64, k)
	for c := range w {
		w[c] = make([]float64, len(x))
	}
	for i, c := range near {
		w[c][i] = 1
	}
	return w
}

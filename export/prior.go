package export

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
)

// fullRank is the largest latent size for which mixtures have full covariances; beyond it
// they are diagonal, which keeps the description of the model small.
const fullRank = 32

// FitGaussian returns the stage that draws z from one Gaussian with the mean and covariance
// of the rows of latents, an n×d matrix with n > d.
func FitGaussian(value string, latents *mat.Dense) (meta.Stage, error) {
	n, d := latents.Dims()
	if n <= d {
		return meta.Stage{}, fmt.Errorf("export: %d latents are too few for a Gaussian of %d dimensions", n, d)
	}
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	mean, chol, err := weighted(latents, ones, true)
	if err != nil {
		return meta.Stage{}, err
	}
	return meta.Stage{Value: value, Distribution: meta.DistGaussian, DType: "float32", Shape: []int{d}, Mean: mean, Chol: chol}, nil
}

// weighted returns the weighted mean of the rows of x, and the Cholesky factor of their
// weighted covariance: lower triangle by rows, or standard deviations if full is false. A
// small multiple of the mean variance is added to the diagonal, so that dimensions that do
// not vary stay harmless.
func weighted(x *mat.Dense, w []float64, full bool) (mean, chol []float32, err error) {
	_, d := x.Dims()
	mu := make([]float64, d)
	var cov mat.SymDense
	stat.CovarianceMatrix(&cov, x, w)
	trace := 0.0
	for i := range d {
		mu[i] = stat.Mean(mat.Col(nil, i, x), w)
		trace += cov.At(i, i)
	}
	floor := 1e-6*trace/float64(d) + 1e-12
	mean = make([]float32, d)
	for i := range d {
		mean[i] = float32(mu[i])
		cov.SetSym(i, i, cov.At(i, i)+floor)
	}
	if !full {
		for i := range d {
			chol = append(chol, float32(math.Sqrt(cov.At(i, i))))
		}
		return mean, chol, finite(mean, chol)
	}
	var c mat.Cholesky
	if !c.Factorize(&cov) {
		return nil, nil, errors.New("export: the covariance of the latents is not positive definite")
	}
	var l mat.TriDense
	c.LTo(&l)
	for i := range d {
		for j := range i + 1 {
			chol = append(chol, float32(l.At(i, j)))
		}
	}
	return mean, chol, finite(mean, chol)
}

func finite(lists ...[]float32) error {
	for _, l := range lists {
		for _, v := range l {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return errors.New("export: the latents are not finite")
			}
		}
	}
	return nil
}

// FitGMM returns the stage that draws z from a mixture of k Gaussians, fitted to the rows of
// latents by expectation maximisation (Dempster, Laird and Rubin, 1977) from a k-means++
// start (Arthur and Vassilvitskii, 2007). Covariances are full up to 32 dimensions and
// diagonal beyond. The result is a function of the latents and the seed.
func FitGMM(value string, latents *mat.Dense, k int, seed uint64) (meta.Stage, error) {
	n, d := latents.Dims()
	full := d <= fullRank
	if k < 1 || n < 10*k || full && n < 2*k*d {
		return meta.Stage{}, fmt.Errorf("export: %d latents are too few for %d Gaussians of %d dimensions", n, k, d)
	}
	resp := startAssignments(latents, k, rng.New(seed).Rand())
	var comps []meta.Component
	last := math.Inf(-1)
	for range 100 {
		var err error
		if comps, err = maximise(latents, resp, full); err != nil {
			return meta.Stage{}, err
		}
		ll := expect(latents, comps, resp, full)
		if ll-last < 1e-4*math.Abs(ll) {
			break
		}
		last = ll
	}
	return meta.Stage{Value: value, Distribution: meta.DistGMM, DType: "float32", Shape: []int{d}, Components: comps}, nil
}

// startAssignments gives each row wholly to the nearest of k centres that k-means++ chose.
func startAssignments(x *mat.Dense, k int, r *rng.Rand) *mat.Dense {
	n, _ := x.Dims()
	resp := mat.NewDense(k, n, nil)
	near := make([]float64, n)
	owner := make([]int, n)
	for i := range near {
		near[i] = math.Inf(1)
	}
	centre := r.IntN(n)
	for c := range k {
		sum := 0.0
		for i := range n {
			if d := squaredDistance(x.RawRowView(i), x.RawRowView(centre)); d < near[i] {
				near[i], owner[i] = d, c
			}
			sum += near[i]
		}
		u := r.Float64() * sum
		for i := range n {
			if u -= near[i]; u <= 0 && near[i] > 0 {
				centre = i
				break
			}
		}
	}
	for i, o := range owner {
		resp.Set(o, i, 1)
	}
	return resp
}

func squaredDistance(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += (v - b[i]) * (v - b[i])
	}
	return s
}

func maximise(x, resp *mat.Dense, full bool) ([]meta.Component, error) {
	n, d := x.Dims()
	k, _ := resp.Dims()
	var comps []meta.Component
	for c := range k {
		w := resp.RawRowView(c)
		sum := 0.0
		for _, v := range w {
			sum += v
		}
		if sum < 2+float64(d)/float64(n) {
			continue
		}
		mean, chol, err := weighted(x, w, full)
		if err != nil {
			return nil, err
		}
		comps = append(comps, meta.Component{Weight: float32(sum / float64(n)), Mean: mean, Chol: chol})
	}
	if len(comps) == 0 {
		return nil, errors.New("export: the latents do not support a mixture")
	}
	total := float32(0)
	for _, c := range comps {
		total += c.Weight
	}
	for i := range comps {
		comps[i].Weight /= total
	}
	return comps, nil
}

// expect replaces resp by the posterior of the components for each row, and returns the
// mean log-likelihood. Rows of components that were dropped become 0.
func expect(x *mat.Dense, comps []meta.Component, resp *mat.Dense, full bool) float64 {
	n, d := x.Dims()
	k, _ := resp.Dims()
	logp := make([]float64, len(comps))
	diff := make([]float64, d)
	total := 0.0
	resp.Zero()
	for i := range n {
		row := x.RawRowView(i)
		top := math.Inf(-1)
		for c := range comps {
			for j := range d {
				diff[j] = row[j] - float64(comps[c].Mean[j])
			}
			logp[c] = math.Log(float64(comps[c].Weight)) + logDensity(diff, comps[c].Chol, full)
			top = max(top, logp[c])
		}
		sum := 0.0
		for c := range logp {
			logp[c] = math.Exp(logp[c] - top)
			sum += logp[c]
		}
		for c := range logp {
			if c < k {
				resp.Set(c, i, logp[c]/sum)
			}
		}
		total += top + math.Log(sum)
	}
	return total / float64(n)
}

// logDensity is the log of the Gaussian density at a difference from the mean; diff is
// overwritten by the whitened difference.
func logDensity(diff []float64, chol []float32, full bool) float64 {
	s := -0.5 * float64(len(diff)) * math.Log(2*math.Pi)
	at := 0
	for i := range diff {
		v, diag := diff[i], 0.0
		if full {
			for j := range i {
				v -= float64(chol[at+j]) * diff[j]
			}
			diag = float64(chol[at+i])
			at += i + 1
		} else {
			diag = float64(chol[i])
		}
		v /= diag
		diff[i] = v
		s -= 0.5*v*v + math.Log(diag)
	}
	return s
}

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

// negligible is the weight below which a row takes no part in a mean or covariance.
const negligible = 1e-4

// weighted returns the weighted mean of the rows of x, and the Cholesky factor of their
// weighted covariance: lower triangle by rows, or standard deviations if full is false. A
// small multiple of the mean variance is added to the diagonal, so that dimensions that do
// not vary stay harmless.
func weighted(x *mat.Dense, w []float64, full bool) (mean, chol []float32, err error) {
	_, d := x.Dims()
	var rows, weights []float64
	for i, v := range w {
		if v > negligible {
			rows = append(rows, x.RawRowView(i)...)
			weights = append(weights, v)
		}
	}
	x, w = mat.NewDense(len(weights), d, rows), weights
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

// Components returns how many Gaussians of d dimensions a mixture has whose description
// takes about that many bytes in a file, at least 1.
func Components(d, bytes int) int {
	n := d
	if d <= fullRank {
		n = d * (d + 1) / 2
	}
	const rest = 45 // names, weight and steps
	return max(1, bytes/((d+n)*4/3+rest))
}

// FitGMM returns the stage that draws z from a mixture of k Gaussians, fitted to the rows of
// latents by expectation maximisation (Dempster, Laird and Rubin, 1977) from a k-means++
// start (Arthur and Vassilvitskii, 2007). Covariances are full up to 32 dimensions and
// diagonal beyond; means and factors are rounded to 8 bits. The result is a function of the
// latents and the seed.
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
	for i := range comps {
		comps[i].Round()
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
		sum, heavy := 0.0, 0.0
		for _, v := range w {
			sum += v
			if v > negligible {
				heavy += v
			}
		}
		if heavy < 2+float64(d)/float64(n) {
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
	list := make([]density, len(comps))
	for c := range comps {
		list[c] = newDensity(&comps[c], full)
	}
	likely := 0
	for i := range n {
		row := x.RawRowView(i)
		// The likeliest component of the row before is the first guess at this one's.
		top := list[likely].log(diff, row, math.Inf(-1))
		for c := range list {
			if logp[c] = list[c].log(diff, row, top-unlikely); logp[c] > top {
				top, likely = logp[c], c
			}
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

// unlikely is how far below the best a log density counts for nothing: exp(-40) is below
// the rounding of float64.
const unlikely = 40

// density is a weighted Gaussian density, in float64.
type density struct {
	mean, chol, inv []float64 // inv: 1 over the diagonal of the factor
	full            bool
	atMean          float64 // log of the weighted density at the mean
}

func newDensity(c *meta.Component, full bool) density {
	d := len(c.Mean)
	e := density{mean: make([]float64, d), chol: make([]float64, len(c.Chol)), inv: make([]float64, d), full: full}
	e.atMean = math.Log(float64(c.Weight)) - 0.5*float64(d)*math.Log(2*math.Pi)
	for i, v := range c.Chol {
		e.chol[i] = float64(v)
	}
	for i, v := range c.Mean {
		e.mean[i] = float64(v)
		diag := i
		if full {
			diag = i*(i+1)/2 + i
		}
		e.inv[i] = 1 / e.chol[diag]
		e.atMean -= math.Log(e.chol[diag])
	}
	return e
}

// log returns the log of the weighted density at x, or minus infinity if it is below least.
// It overwrites diff, which becomes the whitened difference from the mean.
func (e *density) log(diff, x []float64, least float64) float64 {
	s := e.atMean
	at := 0
	for i := range diff {
		v := x[i] - e.mean[i]
		if e.full {
			row := e.chol[at : at+i]
			for j, l := range row {
				v -= l * diff[j]
			}
			at += i + 1
		}
		v *= e.inv[i]
		diff[i] = v
		if s -= 0.5 * v * v; s < least {
			return math.Inf(-1)
		}
	}
	return s
}

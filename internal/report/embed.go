package report

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/aekit/aekit/internal/rng"
)

// pca is a projection on principal components.
type pca struct {
	dim, k int
	mean   []float32
	axes   []float32 // [k][dim]
	share  float64   // of the variance that the components have
}

const streamPCA = 0x706361

// fitPCA finds the first k principal components of n rows by randomised subspace iteration
// (Halko, Martinsson and Tropp 2011, algorithm 4.4), which costs n·dim·k and not dim³.
func fitPCA(x []float32, dim, k int, seed uint64) *pca {
	n := len(x) / dim
	k = min(k, dim, n)
	q := min(k+8, dim, n)
	p := &pca{dim: dim, mean: make([]float32, dim)}
	sum := make([]float64, dim)
	for i, v := range x {
		sum[i%dim] += float64(v)
	}
	for i, s := range sum {
		p.mean[i] = float32(s / float64(n))
	}
	c := p.centre(x)
	y := make([]float32, dim*q)
	rng.New(seed, streamPCA).Normal(y, 0)
	var left []float32
	for range 6 {
		left = make([]float32, n*q)
		product(left, c, orthonormal(y, dim, q), n, q, dim, false, false)
		y = make([]float32, dim*q)
		product(y, c, orthonormal(left, n, q), dim, q, n, true, false)
	}
	// The rows' projection on an orthonormal basis of the dominant subspace is small.
	basis := orthonormal(y, dim, q)
	left = make([]float32, n*q)
	product(left, c, basis, n, q, dim, false, false)
	_, cov := moments(left, q)
	var e mat.EigenSym
	if !e.Factorize(cov, true) {
		return p
	}
	var v mat.Dense
	e.VectorsTo(&v)
	values := e.Values(nil)
	total := squares(c) / float64(max(1, n-1))
	p.k = k
	p.axes = make([]float32, k*dim)
	for j := range k {
		col := q - 1 - j
		p.share += max(0, values[col]) / max(total, 1e-30)
		for i := range dim {
			s := 0.0
			for l := range q {
				s += float64(basis[i*q+l]) * v.At(l, col)
			}
			p.axes[j*dim+i] = float32(s)
		}
	}
	p.share = min(1, p.share)
	return p
}

func (p *pca) centre(x []float32) []float32 {
	c := make([]float32, len(x))
	for i, v := range x {
		c[i] = v - p.mean[i%p.dim]
	}
	return c
}

// project returns the components of rows, [n][k].
func (p *pca) project(x []float32) []float32 {
	n := len(x) / p.dim
	out := make([]float32, n*p.k)
	if p.k > 0 {
		product(out, p.centre(x), p.axes, n, p.k, p.dim, false, true)
	}
	return out
}

// error returns the mean squared error of rows that are rebuilt from their components.
func (p *pca) error(x []float32) float64 {
	return (squares(p.centre(x)) - squares(p.project(x))) / float64(len(x))
}

// orthonormal returns an orthonormal basis of the columns of a, which has rows and cols, by
// Gram and Schmidt twice, which is enough for full accuracy (Giraud et al. 2005).
func orthonormal(a []float32, rows, cols int) []float32 {
	out := make([]float32, len(a))
	done := make([][]float64, 0, cols)
	for j := range cols {
		col := make([]float64, rows)
		for i := range col {
			col[i] = float64(a[i*cols+j])
		}
		for range 2 {
			for _, c := range done {
				dot := 0.0
				for i, v := range c {
					dot += v * col[i]
				}
				for i, v := range c {
					col[i] -= dot * v
				}
			}
		}
		norm := 0.0
		for _, v := range col {
			norm += v * v
		}
		f := 0.0
		if norm > 1e-24 {
			f = 1 / math.Sqrt(norm)
		}
		for i := range col {
			col[i] *= f
			out[i*cols+j] = float32(col[i])
		}
		done = append(done, col)
	}
	return out
}

const (
	tsnePerplexity = 30
	tsneSteps      = 350
	streamTSNE     = 0x74736e65
)

// tsne places n rows of x in the plane so that near ones stay near (van der Maaten and
// Hinton 2008), exactly, in n² work a step. It returns n pairs.
func tsne(x []float32, dim int, seed uint64) []float64 {
	n := len(x) / dim
	y := make([]float64, 2*n)
	if n < 4 {
		return y
	}
	start := make([]float32, 2*n)
	rng.New(seed, streamTSNE).Normal(start, 0)
	for i, v := range start {
		y[i] = 1e-2 * float64(v)
	}
	p := affinities(x, dim, min(tsnePerplexity, float64(n-1)/3))
	speed, gain := make([]float64, 2*n), make([]float64, 2*n)
	for i := range gain {
		gain[i] = 1
	}
	w := make([]float64, n*n)
	grad := make([]float64, 2*n)
	for step := range tsneSteps {
		// Early exaggeration lets clusters move through each other.
		exaggerate, momentum := 1.0, 0.8
		if step < tsneSteps/4 {
			exaggerate, momentum = 12, 0.5
		}
		sum := 0.0
		for i := range n {
			for k := i + 1; k < n; k++ {
				dx, dy := y[2*i]-y[2*k], y[2*i+1]-y[2*k+1]
				v := 1 / (1 + dx*dx + dy*dy)
				w[i*n+k] = v
				sum += 2 * v
			}
		}
		clear(grad)
		for i := range n {
			for k := i + 1; k < n; k++ {
				v := w[i*n+k]
				f := 4 * (exaggerate*p[i*n+k] - v/sum) * v
				dx, dy := f*(y[2*i]-y[2*k]), f*(y[2*i+1]-y[2*k+1])
				grad[2*i] += dx
				grad[2*i+1] += dy
				grad[2*k] -= dx
				grad[2*k+1] -= dy
			}
		}
		rate := max(50, float64(n)/12/4)
		for i, g := range grad {
			if (g > 0) == (speed[i] > 0) {
				gain[i] = max(0.01, gain[i]*0.8)
			} else {
				gain[i] += 0.2
			}
			speed[i] = momentum*speed[i] - rate*gain[i]*g
			y[i] += speed[i]
		}
	}
	return y
}

// affinities returns the symmetric probabilities that pairs are neighbours, with a Gaussian
// around each row whose entropy is log(perplexity).
func affinities(x []float32, dim int, perplexity float64) []float64 {
	n := len(x) / dim
	g := make([]float32, n*n)
	product(g, x, x, n, n, dim, false, true)
	p := make([]float64, n*n)
	d := make([]float64, n)
	want := math.Log(perplexity)
	for i := range n {
		least := math.Inf(1)
		for k := range n {
			d[k] = max(0, float64(g[i*n+i])+float64(g[k*n+k])-2*float64(g[i*n+k]))
			if k != i {
				least = min(least, d[k])
			}
		}
		row := p[i*n : (i+1)*n]
		beta, lo, hi := 1.0, 0.0, math.Inf(1)
		for range 60 {
			sum, mean := 0.0, 0.0
			for k := range n {
				row[k] = 0
				if k != i {
					row[k] = math.Exp(-beta * (d[k] - least))
					sum += row[k]
					mean += row[k] * (d[k] - least)
				}
			}
			h := math.Log(sum) + beta*mean/sum
			for k := range n {
				row[k] /= sum
			}
			if math.Abs(h-want) < 1e-5 {
				break
			}
			if h > want {
				lo = beta
				if beta *= 2; !math.IsInf(hi, 1) {
					beta = (lo + hi) / 2
				}
			} else {
				hi = beta
				beta = (lo + hi) / 2
			}
		}
	}
	for i := range n {
		for k := i + 1; k < n; k++ {
			v := max(1e-12, (p[i*n+k]+p[k*n+i])/float64(2*n))
			p[i*n+k], p[k*n+i] = v, v
		}
	}
	return p
}

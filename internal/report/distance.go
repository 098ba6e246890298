package report

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/mat"
)

// frechet is the squared Fréchet distance between the Gaussians with the means and
// covariances of the rows of a and b, which have dim columns (Dowson and Landau 1982):
// |μa-μb|² + Tr(Σa + Σb - 2(Σa^½ Σb Σa^½)^½).
func frechet(a, b []float32, dim int) float64 {
	ma, ca := moments(a, dim)
	mb, cb := moments(b, dim)
	d := 0.0
	for i := range ma {
		d += (ma[i] - mb[i]) * (ma[i] - mb[i])
	}
	root := sqrtSym(ca)
	var t, p mat.Dense
	t.Mul(root, cb)
	p.Mul(&t, root)
	sym := mat.NewSymDense(dim, nil)
	for i := range dim {
		for k := i; k < dim; k++ {
			sym.SetSym(i, k, (p.At(i, k)+p.At(k, i))/2)
		}
	}
	var e mat.EigenSym
	if !e.Factorize(sym, false) {
		return math.NaN()
	}
	cross := 0.0
	for _, v := range e.Values(nil) {
		cross += math.Sqrt(max(0, v))
	}
	return max(0, d+mat.Trace(ca)+mat.Trace(cb)-2*cross)
}

// moments returns the mean and the covariance of rows.
func moments(x []float32, dim int) ([]float64, *mat.SymDense) {
	n := len(x) / dim
	mean := make([]float64, dim)
	for i, v := range x {
		mean[i%dim] += float64(v) / float64(n)
	}
	centred := make([]float32, len(x))
	for i, v := range x {
		centred[i] = v - float32(mean[i%dim])
	}
	c := make([]float32, dim*dim)
	product(c, centred, centred, dim, dim, n, true, false)
	cov := mat.NewSymDense(dim, nil)
	for i := range dim {
		for k := i; k < dim; k++ {
			cov.SetSym(i, k, float64(c[i*dim+k])/float64(max(1, n-1)))
		}
	}
	return mean, cov
}

// sqrtSym is the symmetric square root of a positive semi-definite matrix.
func sqrtSym(c *mat.SymDense) *mat.Dense {
	n := c.SymmetricDim()
	var e mat.EigenSym
	if !e.Factorize(c, true) {
		return mat.NewDense(n, n, nil)
	}
	var v, s, out mat.Dense
	e.VectorsTo(&v)
	s.CloneFrom(&v)
	for k, l := range e.Values(nil) {
		f := math.Sqrt(max(0, l))
		for i := range n {
			s.Set(i, k, s.At(i, k)*f)
		}
	}
	out.Mul(&s, v.T())
	return &out
}

// mmd is the unbiased squared maximum mean discrepancy between rows of a and b with the
// kernel (x·y/dim + 1)³ (Bińkowski et al. 2018, who call it the kernel inception distance
// where the rows are features of the Inception network).
func mmd(a, b []float32, dim int) float64 {
	within := func(x []float32) float64 {
		n := len(x) / dim
		g := make([]float32, n*n)
		product(g, x, x, n, n, dim, false, true)
		s := 0.0
		for i := range n {
			for k := range n {
				if i != k {
					s += cube(g[i*n+k], dim)
				}
			}
		}
		return s / float64(n) / float64(n-1)
	}
	n, m := len(a)/dim, len(b)/dim
	if n < 2 || m < 2 {
		return math.NaN()
	}
	g := make([]float32, n*m)
	product(g, a, b, n, m, dim, false, true)
	s := 0.0
	for _, v := range g {
		s += cube(v, dim)
	}
	return within(a) + within(b) - 2*s/float64(n)/float64(m)
}

func cube(dot float32, dim int) float64 {
	k := float64(dot)/float64(dim) + 1
	return k * k * k
}

// nearest returns, for each row of q, the rows of x that are nearest to it, the nearest
// first, count of them, and their squared distances.
func nearest(q, x []float32, dim, count int) (index [][]int, dist [][]float64) {
	n, m := len(q)/dim, len(x)/dim
	count = min(count, m)
	norm := make([]float64, m)
	for i := range norm {
		norm[i] = squares(x[i*dim : (i+1)*dim])
	}
	const block = 128
	for lo := 0; lo < n; lo += block {
		hi := min(lo+block, n)
		g := make([]float32, (hi-lo)*m)
		product(g, q[lo*dim:hi*dim], x, hi-lo, m, dim, false, true)
		for i := lo; i < hi; i++ {
			own := squares(q[i*dim : (i+1)*dim])
			row := g[(i-lo)*m : (i-lo+1)*m]
			at := make([]int, 0, count+1)
			d := make([]float64, 0, count+1)
			for k := range m {
				v := max(0, own+norm[k]-2*float64(row[k]))
				if len(d) == count && v >= d[count-1] {
					continue
				}
				p := sort.SearchFloat64s(d, v)
				at, d = append(at, 0), append(d, 0)
				copy(at[p+1:], at[p:])
				copy(d[p+1:], d[p:])
				at[p], d[p] = k, v
				at, d = at[:min(len(at), count)], d[:min(len(d), count)]
			}
			index, dist = append(index, at), append(dist, d)
		}
	}
	return index, dist
}

func squares(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

// vote predicts the label of each row of q as the most frequent among its k nearest rows of
// x, the nearest deciding ties.
func vote(q, x []float32, dim int, labels []int, classes, k int) []int {
	index, _ := nearest(q, x, dim, k)
	out := make([]int, len(index))
	for i, near := range index {
		count := make([]int, classes)
		best := -1
		for _, j := range near {
			if l := labels[j]; l >= 0 && l < classes {
				count[l]++
			}
		}
		for _, j := range near {
			if l := labels[j]; l >= 0 && l < classes && (best < 0 || count[l] > count[best]) {
				best = l
			}
		}
		out[i] = max(0, best)
	}
	return out
}

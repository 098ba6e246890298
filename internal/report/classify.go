package report

import (
	"math"

	"gonum.org/v1/gonum/blas"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/internal/simdblas"
)

// blas32 computes the matrix products of this package.
var blas32 simdblas.Implementation

// classifier is a network with one hidden layer of rectified units, or none, and a softmax.
// Its inputs are standardised by one mean and deviation.
type classifier struct {
	in, hidden, classes int
	mean, scale         float32
	w1, b1, w2, b2      []float32
}

const (
	classifierHidden = 128
	classifierBatch  = 128
	classifierRate   = 1e-3
	streamClassifier = 0x636c6173
)

// trainClassifier fits a classifier to n rows of x, those with a label. hidden 0 makes it
// linear. The result is a function of its arguments.
func trainClassifier(x []float32, n int, labels []int, classes, hidden, epochs int, rate float64, seed uint64) *classifier {
	in := len(x) / n
	c := &classifier{in: in, hidden: hidden, classes: classes}
	c.mean, c.scale = standard(x)
	width := in
	r := rng.New(seed, streamClassifier)
	var params []*param
	weights := func(label uint64, rows, cols int) []float32 {
		w := make([]float32, rows*cols)
		r.Sub(label).Normal(w, 0)
		s := float32(math.Sqrt(2 / float64(rows)))
		if hidden == 0 {
			s = 0
		}
		for i := range w {
			w[i] *= s
		}
		params = append(params, newParam(w))
		return w
	}
	if hidden > 0 {
		c.w1, c.b1 = weights(1, in, hidden), make([]float32, hidden)
		params = append(params, newParam(c.b1))
		width = hidden
	}
	c.w2, c.b2 = weights(2, width, classes), make([]float32, classes)
	params = append(params, newParam(c.b2))
	var known []int
	for i, l := range labels {
		if l >= 0 && l < classes {
			known = append(known, i)
		}
	}
	if len(known) == 0 {
		return nil
	}
	rows := make([]float32, classifierBatch*in)
	steps := 0
	total := epochs * ((len(known) + classifierBatch - 1) / classifierBatch)
	for epoch := range epochs {
		order := r.Sub(3, uint64(epoch)).Perm(len(known))
		for lo := 0; lo < len(order); lo += classifierBatch {
			batch := order[lo:min(lo+classifierBatch, len(order))]
			want := make([]int, len(batch))
			for k, o := range batch {
				copy(rows[k*in:(k+1)*in], x[known[o]*in:][:in])
				want[k] = labels[known[o]]
			}
			grads := c.gradients(rows[:len(batch)*in], want)
			steps++
			// The rate falls to zero along a line: the last steps average out the noise.
			lr := rate * (1 - float64(steps-1)/float64(total))
			for i, p := range params {
				p.adam(grads[i], steps, lr)
			}
		}
	}
	return c
}

// standard returns the mean and the inverse of the deviation of all of x.
func standard(x []float32) (mean, scale float32) {
	var s, q float64
	for _, v := range x {
		s += float64(v)
		q += float64(v) * float64(v)
	}
	m := s / float64(len(x))
	return float32(m), float32(1 / math.Sqrt(max(1e-12, q/float64(len(x))-m*m)))
}

// product is c = op(a)·op(b) for row-major matrices, with c of m rows and n columns.
func product(c, a, b []float32, m, n, k int, ta, tb bool) {
	la, lb, fa, fb := k, n, blas.NoTrans, blas.NoTrans
	if ta {
		la, fa = m, blas.Trans
	}
	if tb {
		lb, fb = k, blas.Trans
	}
	blas32.Sgemm(fa, fb, m, n, k, 1, a, la, b, lb, 0, c, n)
}

// features returns the activations of the hidden layer, [n][hidden]; of a linear classifier
// its standardised input.
func (c *classifier) features(x []float32) []float32 {
	n := len(x) / c.in
	std := make([]float32, len(x))
	for i, v := range x {
		std[i] = (v - c.mean) * c.scale
	}
	if c.hidden == 0 {
		return std
	}
	h := make([]float32, n*c.hidden)
	product(h, std, c.w1, n, c.hidden, c.in, false, false)
	for i := range h {
		h[i] = max(0, h[i]+c.b1[i%c.hidden])
	}
	return h
}

// probabilities returns the softmax, [n][classes], of features.
func (c *classifier) probabilities(h []float32) []float32 {
	width := len(c.w2) / c.classes
	n := len(h) / width
	p := make([]float32, n*c.classes)
	product(p, h, c.w2, n, c.classes, width, false, false)
	for i := range n {
		row := p[i*c.classes : (i+1)*c.classes]
		top := float32(math.Inf(-1))
		for k := range row {
			row[k] += c.b2[k]
			top = max(top, row[k])
		}
		sum := float32(0)
		for k, v := range row {
			row[k] = float32(math.Exp(float64(v - top)))
			sum += row[k]
		}
		for k := range row {
			row[k] /= sum
		}
	}
	return p
}

// predict returns the most likely class of each row.
func (c *classifier) predict(x []float32) []int {
	p := c.probabilities(c.features(x))
	out := make([]int, len(x)/c.in)
	for i := range out {
		row := p[i*c.classes : (i+1)*c.classes]
		for k, v := range row {
			if v > row[out[i]] {
				out[i] = k
			}
		}
	}
	return out
}

// gradients returns those of the mean cross-entropy, in the order of the parameters.
func (c *classifier) gradients(x []float32, want []int) [][]float32 {
	n := len(want)
	h := c.features(x)
	width := len(h) / n
	d := c.probabilities(h)
	for i, l := range want {
		d[i*c.classes+l]--
	}
	for i := range d {
		d[i] /= float32(n)
	}
	gw2, gb2 := make([]float32, width*c.classes), make([]float32, c.classes)
	product(gw2, h, d, width, c.classes, n, true, false)
	for i, v := range d {
		gb2[i%c.classes] += v
	}
	if c.hidden == 0 {
		return [][]float32{gw2, gb2}
	}
	dh := make([]float32, n*width)
	product(dh, d, c.w2, n, width, c.classes, false, true)
	gb1 := make([]float32, width)
	for i, v := range h {
		if v == 0 {
			dh[i] = 0
		}
		gb1[i%width] += dh[i]
	}
	std := make([]float32, len(x))
	for i, v := range x {
		std[i] = (v - c.mean) * c.scale
	}
	gw1 := make([]float32, c.in*width)
	product(gw1, std, dh, c.in, width, n, true, false)
	return [][]float32{gw1, gb1, gw2, gb2}
}

// param is a vector of parameters with the moments of Adam (Kingma and Ba 2015).
type param struct{ v, m, s []float32 }

func newParam(v []float32) *param {
	return &param{v, make([]float32, len(v)), make([]float32, len(v))}
}

func (p *param) adam(g []float32, step int, rate float64) {
	const b1, b2, eps = 0.9, 0.999, 1e-8
	r := float32(rate * math.Sqrt(1-math.Pow(b2, float64(step))) / (1 - math.Pow(b1, float64(step))))
	for i, d := range g {
		p.m[i] = b1*p.m[i] + (1-b1)*d
		p.s[i] = b2*p.s[i] + (1-b2)*d*d
		p.v[i] -= r * p.m[i] / (float32(math.Sqrt(float64(p.s[i]))) + eps)
	}
}

// accuracy is the share of labelled rows that are predicted right; NaN without labels.
func accuracy(got, want []int) float64 {
	right, n := 0, 0
	for i, l := range want {
		if l >= 0 {
			n++
			if got[i] == l {
				right++
			}
		}
	}
	return float64(right) / float64(n)
}

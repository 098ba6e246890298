package train

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// updateChunk is how many parameters a thread updates at a time.
const updateChunk = 32 << 10

// group is the parameters that a phase fits, with their gradients and moments, and the
// optimizer's pass over them. It implements parallel.Task.
type group struct {
	opt     Optimizer
	members []parameter // off is the place in g and m
	g       []float32
	m       [][]float32
	chunks  []groupChunk
	step    int
	lr      float64
	scale   float64
	norms   []float64 // by chunk
	norming bool
}

// groupChunk is a range of a group, cut out of its vectors.
type groupChunk struct {
	p, g []float32
	m    [][]float32
}

// newGroup makes a group of parameters, whose values are in the vector p. Parameters that
// lie side by side there lie so in the group.
func newGroup(opt Optimizer, p []float32, members []parameter) *group {
	u := &group{opt: opt, scale: 1}
	type run struct{ from, to, n int }
	var runs []run
	size := 0
	for _, m := range members {
		n := (m.n + paramAlign - 1) / paramAlign * paramAlign
		if k := len(runs) - 1; k >= 0 && runs[k].from+runs[k].n == m.off {
			runs[k].n += n
		} else {
			runs = append(runs, run{m.off, size, n})
		}
		m.off = size
		u.members = append(u.members, m)
		size += n
	}
	u.g = vector(size)
	for range opt.moments() {
		u.m = append(u.m, vector(size))
	}
	for _, r := range runs {
		for lo := 0; lo < r.n; lo += updateChunk {
			n := min(updateChunk, r.n-lo)
			c := groupChunk{p: p[r.from+lo:][:n], g: u.g[r.to+lo:][:n]}
			for _, m := range u.m {
				c.m = append(c.m, m[r.to+lo:][:n])
			}
			u.chunks = append(u.chunks, c)
		}
	}
	u.norms = make([]float64, len(u.chunks))
	return u
}

// gradient returns the gradient of member i.
func (u *group) gradient(i int) *tensor.Tensor { return u.members[i].view(u.g) }

// Do implements [parallel.Task].
func (u *group) Do(chunk, _ int) {
	c := &u.chunks[chunk]
	if u.norming {
		u.norms[chunk] = sumSquares(c.g)
		return
	}
	u.opt.update(c.p, c.g, c.m, u.step, u.lr, u.scale)
}

// apply updates the parameters. clip, unless 0, bounds the norm of the gradient.
func (u *group) apply(pool *parallel.Pool, lr, clip float64) {
	u.step++
	u.lr, u.scale = lr, 1
	if clip > 0 {
		u.norming = true
		pool.Run(len(u.chunks), u)
		u.norming = false
		s := 0.0
		for _, n := range u.norms {
			s += n
		}
		if n := math.Sqrt(s); n > clip {
			u.scale = clip / n
		}
	}
	pool.Run(len(u.chunks), u)
}

func sumSquares(x []float32) float64 {
	s := 0.0
	for len(x) > 0 {
		n := min(len(x), 1024)
		s += float64(kernel.SumSqF32(x[:n]))
		x = x[n:]
	}
	return s
}

// average is an exponential moving average of a vector. It implements parallel.Task.
type average struct {
	of, ema []float32
	decay   float32
}

// Do implements [parallel.Task].
func (a *average) Do(chunk, _ int) {
	lo, hi := chunk*updateChunk, min((chunk+1)*updateChunk, len(a.of))
	e := a.ema[lo:hi]
	for i, v := range a.of[lo:hi] {
		e[i] += (1 - a.decay) * (v - e[i])
	}
}

func (a *average) update(pool *parallel.Pool) {
	pool.Run((len(a.of)+updateChunk-1)/updateChunk, a)
}

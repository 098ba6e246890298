package train

import (
	"context"
	"fmt"
	"math"
	"unsafe"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/tensor"
)

// program is a graph whose inputs are batches, with a plan for each batch size.
type program struct {
	g       *graph.Graph
	pool    *parallel.Pool
	epsilon tensor.Shape // of one image; nil: none
	image   tensor.Shape // of one image
	weight  *tensor.Tensor
	parts   int              // how many of the first outputs are scalars to report
	fixed   []*tensor.Tensor // where the other outputs go
	plans   map[int]*compiled
	inputs  []string
	imageIn string
}

// compiled is a plan for one batch size, with its memory.
type compiled struct {
	plan   *plan.Plan
	state  *plan.State
	ins    []*tensor.Tensor
	outs   []*tensor.Tensor
	values []float64 // the parts of the last run
}

// batch is the data of one run.
type batch struct {
	n       int
	images  []float32 // what the model sees
	target  []float32 // what it should give; nil: images
	epsilon []float32
}

// maxPlans bounds the batch sizes for which plans are kept: the full and the last one of
// an epoch, and those of evaluation.
const maxPlans = 4

func newProgram(b *lossBuilder, image tensor.Shape, pool *parallel.Pool) *program {
	p := &program{g: b.g, pool: pool, epsilon: b.epsilon, image: image, parts: len(b.parts), plans: map[int]*compiled{}, imageIn: b.values.Image}
	p.weight = tensor.Scalar[float32](1)
	for _, id := range b.g.Inputs {
		p.inputs = append(p.inputs, b.g.Value(id).Name)
	}
	return p
}

func (p *program) compile(n int) (*compiled, error) {
	if c := p.plans[n]; c != nil {
		return c, nil
	}
	if len(p.plans) >= maxPlans {
		clear(p.plans)
	}
	facts := make([]op.Fact, len(p.inputs))
	c := &compiled{ins: make([]*tensor.Tensor, len(p.inputs))}
	for i, name := range p.inputs {
		var s tensor.Shape
		switch name {
		case p.imageIn, inputTarget:
			s = append(tensor.Shape{n}, p.image...)
		case inputEpsilon:
			s = append(tensor.Shape{n}, p.epsilon...)
		case inputWeight:
			s = tensor.Shape{}
			c.ins[i] = p.weight
		default:
			return nil, fmt.Errorf("train: the model has an input %q that training does not feed", name)
		}
		facts[i] = op.Fact{DType: tensor.Float32, Shape: s}
		if c.ins[i] == nil {
			c.ins[i] = new(tensor.Tensor)
			c.ins[i].Set(tensor.Float32, nil, s)
		}
	}
	var err error
	if c.plan, err = plan.Build(p.g, facts, plan.Options{Pool: p.pool}); err != nil {
		return nil, err
	}
	c.state = c.plan.NewState()
	for range p.parts {
		c.outs = append(c.outs, tensor.Scalar[float32](0))
	}
	c.outs = append(c.outs, p.fixed...)
	c.values = make([]float64, p.parts)
	p.plans[n] = c
	return c, nil
}

// run computes the loss terms of a batch, and the gradients if the graph has them. The
// result is valid until the next run.
func (p *program) run(ctx context.Context, b *batch, weight float64) ([]float64, error) {
	c, err := p.compile(b.n)
	if err != nil {
		return nil, err
	}
	p.weight.Float32s()[0] = float32(weight)
	for i, name := range p.inputs {
		t := c.ins[i]
		switch name {
		case p.imageIn:
			t.Set(tensor.Float32, bytesOf(b.images), t.Shape())
		case inputTarget:
			t.Set(tensor.Float32, bytesOf(b.target), t.Shape())
		case inputEpsilon:
			t.Set(tensor.Float32, bytesOf(b.epsilon), t.Shape())
		}
	}
	if err := c.plan.Run(ctx, c.state, c.outs, c.ins); err != nil {
		return nil, err
	}
	for i := range c.values {
		c.values[i] = float64(c.outs[i].Float32s()[0])
	}
	return c.values, nil
}

// bytesOf views v as bytes, as tensor.Of does, without allocating.
func bytesOf(v []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}

// updateChunk is how many parameters a thread updates at a time.
const updateChunk = 32 << 10

// update is the optimizer's pass over all parameters. It implements parallel.Task.
type update struct {
	opt     Optimizer
	p, g    []float32
	m       [][]float32
	ema     []float32
	decay   float32
	step    int
	lr      float64
	scale   float64
	norms   []float64
	norming bool
	parts   [][]([]float32) // by chunk: its parts of m
}

func newUpdate(opt Optimizer, n int) *update {
	u := &update{opt: opt, p: vector(n), g: vector(n), scale: 1}
	for range opt.moments() {
		u.m = append(u.m, vector(n))
	}
	chunks := (n + updateChunk - 1) / updateChunk
	u.norms = make([]float64, chunks)
	u.parts = make([][][]float32, chunks)
	for c := range u.parts {
		lo, hi := c*updateChunk, min((c+1)*updateChunk, n)
		for _, m := range u.m {
			u.parts[c] = append(u.parts[c], m[lo:hi])
		}
	}
	return u
}

// Do implements [parallel.Task].
func (u *update) Do(chunk, _ int) {
	lo, hi := chunk*updateChunk, min((chunk+1)*updateChunk, len(u.p))
	if u.norming {
		u.norms[chunk] = sumSquares(u.g[lo:hi])
		return
	}
	p := u.p[lo:hi]
	u.opt.update(p, u.g[lo:hi], u.parts[chunk], u.step, u.lr, u.scale)
	if u.ema != nil {
		e, d := u.ema[lo:hi], u.decay
		for i, v := range p {
			e[i] += (1 - d) * (v - e[i])
		}
	}
}

// apply updates the parameters. clip, unless 0, bounds the norm of the gradient.
func (u *update) apply(pool *parallel.Pool, lr, clip float64) {
	u.step++
	u.lr, u.scale = lr, 1
	if clip > 0 {
		u.norming = true
		pool.Run(len(u.norms), u)
		u.norming = false
		s := 0.0
		for _, n := range u.norms {
			s += n
		}
		if n := math.Sqrt(s); n > clip {
			u.scale = clip / n
		}
	}
	pool.Run(len(u.norms), u)
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

package train

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/tensor"
)

// program is a graph whose inputs are batches, with a plan for each batch size.
type program struct {
	g       *graph.Graph
	pool    *parallel.Pool
	image   tensor.Shape // of one image
	imageIn string
	labelIn string
	noises  *noises
	scalars []scalar
	parts   int              // how many of the first outputs are scalars to report
	fixed   []*tensor.Tensor // where the other outputs go
	inputs  []string
	plans   map[int]*compiled
}

// compiled is a plan for one batch size, with its memory.
type compiled struct {
	plan   *plan.Plan
	state  *plan.State
	ins    []*tensor.Tensor
	noise  []int // by input: the index of its noise, or -1
	outs   []*tensor.Tensor
	values []float64 // the parts of the last run
}

// batch is the data of one run.
type batch struct {
	n      int
	images []float32   // what the model sees
	target []float32   // what it should give; nil: images
	labels []int64     // nil unless the model takes labels
	noise  [][]float32 // by index of noises
}

// maxPlans bounds the batch sizes for which plans are kept: the full and the last one of
// an epoch, and those of evaluation.
const maxPlans = 4

// evaluating, as the moment of a run, gives scalar inputs their values for evaluation.
const evaluating = -1

func newProgram(b *lossBuilder, image tensor.Shape, pool *parallel.Pool) *program {
	p := &program{g: b.g, pool: pool, image: image, parts: len(b.parts), plans: map[int]*compiled{},
		imageIn: b.values.Image, labelIn: b.values.Label, noises: b.noises, scalars: b.scalars}
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
	c := &compiled{ins: make([]*tensor.Tensor, len(p.inputs)), noise: make([]int, len(p.inputs))}
	for i, name := range p.inputs {
		c.noise[i] = p.noises.find(name)
		facts[i].DType = tensor.Float32
		switch s := p.scalar(name); {
		case name == p.imageIn || name == inputTarget:
			facts[i].Shape = append(tensor.Shape{n}, p.image...)
		case name == p.labelIn:
			facts[i] = op.Fact{DType: tensor.Int64, Shape: tensor.Shape{n}}
		case c.noise[i] >= 0:
			facts[i].Shape = append(tensor.Shape{n}, p.noises.list[c.noise[i]].shape...)
		case s != nil:
			facts[i].Shape, c.ins[i] = tensor.Shape{}, s.value
		default:
			return nil, fmt.Errorf("train: the model has an input %q that training does not feed", name)
		}
		if c.ins[i] == nil {
			c.ins[i] = new(tensor.Tensor)
			c.ins[i].Set(facts[i].DType, nil, facts[i].Shape)
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

func (p *program) scalar(name string) *scalar {
	for i := range p.scalars {
		if p.scalars[i].name == name {
			return &p.scalars[i]
		}
	}
	return nil
}

// run computes the loss terms of a batch, and the gradients if the graph has them, at a
// moment of training, in epochs, or evaluating. The result is valid until the next run.
func (p *program) run(ctx context.Context, b *batch, epochs float64) ([]float64, error) {
	c, err := p.compile(b.n)
	if err != nil {
		return nil, err
	}
	for i := range p.scalars {
		p.scalars[i].set(epochs)
	}
	for i, name := range p.inputs {
		t := c.ins[i]
		switch {
		case name == p.imageIn:
			t.Set(tensor.Float32, bytesOf(b.images), t.Shape())
		case name == inputTarget:
			target := b.target
			if target == nil {
				target = b.images
			}
			t.Set(tensor.Float32, bytesOf(target), t.Shape())
		case name == p.labelIn:
			t.Set(tensor.Int64, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b.labels))), 8*len(b.labels)), t.Shape())
		case c.noise[i] >= 0:
			t.Set(tensor.Float32, bytesOf(b.noise[c.noise[i]]), t.Shape())
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

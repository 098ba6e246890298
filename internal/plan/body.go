package plan

import (
	"context"
	"sync"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// Body compiles the sub-graph of a control-flow operator. It is a [graph.BodyFunc].
func Body(g *graph.Graph) (op.Body, error) {
	return &body{g: g, weights: NewWeights()}, nil
}

// body holds the plans of a sub-graph, one for each combination of input shapes that was
// seen last.
type body struct {
	g       *graph.Graph
	weights *Weights
	mu      sync.Mutex
	plans   []*bodyPlan // most recent first
}

type bodyPlan struct {
	facts  []op.Fact
	plan   *Plan
	states sync.Pool
}

// maxBodyPlans bounds the plans kept for a body whose input shapes change from iteration to
// iteration.
const maxBodyPlans = 4

func (b *body) NumInputs() int   { return len(b.g.Inputs) - len(b.g.Captured) }
func (b *body) NumCaptured() int { return len(b.g.Captured) }
func (b *body) NumOutputs() int  { return len(b.g.Outputs) }

func (b *body) Run(ctx *op.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	bp, err := b.find(ctx, in)
	if err != nil {
		return nil, err
	}
	st, _ := bp.states.Get().(*State)
	if st == nil {
		st = bp.plan.NewState()
	}
	defer bp.states.Put(st)
	outs := make([]*tensor.Tensor, len(b.g.Outputs))
	for i := range outs {
		f, ok := bp.plan.Output(i)
		if !ok {
			continue
		}
		if outs[i], err = ctx.New(f.DType, f.Shape); err != nil {
			return nil, err
		}
	}
	c := ctx.Ctx
	if c == nil {
		c = context.Background()
	}
	if err := bp.plan.Run(c, st, outs, in); err != nil {
		return nil, err
	}
	return outs, nil
}

// Shapes implements [op.BodyShaper].
func (b *body) Shapes(ctx *op.Context, in []*tensor.Tensor) ([]op.Fact, error) {
	bp, err := b.find(ctx, in)
	if err != nil {
		return nil, err
	}
	facts := make([]op.Fact, len(b.g.Outputs))
	for i := range facts {
		if f, ok := bp.plan.Output(i); ok {
			facts[i] = f
		}
	}
	return facts, nil
}

func (b *body) find(ctx *op.Context, in []*tensor.Tensor) (*bodyPlan, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, bp := range b.plans {
		if matches(bp.facts, in) {
			copy(b.plans[1:k+1], b.plans[:k])
			b.plans[0] = bp
			return bp, nil
		}
	}
	facts := factsOf(in)
	for i := range facts {
		facts[i].Const = nil
		facts[i].Shape = facts[i].Shape.Clone()
	}
	p, err := Build(b.g, facts, Options{Pool: ctx.Pool, Weights: b.weights, Limits: Limits(ctx.Limits)})
	if err != nil {
		return nil, err
	}
	bp := &bodyPlan{facts: facts, plan: p}
	b.plans = append([]*bodyPlan{bp}, b.plans...)
	if len(b.plans) > maxBodyPlans {
		b.plans = b.plans[:maxBodyPlans]
	}
	return bp, nil
}

func matches(facts []op.Fact, in []*tensor.Tensor) bool {
	if len(facts) != len(in) {
		return false
	}
	for i, t := range in {
		if t == nil || t.DType() != facts[i].DType || !t.Shape().Equal(facts[i].Shape) {
			return false
		}
	}
	return true
}

package train

import (
	"context"
	"fmt"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/tensor"
)

// Outputs returns what the model computes with the present weights, by the names of the
// graph's outputs. Images among the inputs, which go by name, are float32 [N, C, H, W]. It
// runs the trainer's own graph, with variables and without folding, so that an exported
// file can be held against it.
func (t *Trainer) Outputs(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	g := t.plain
	ins := make([]*tensor.Tensor, len(g.Inputs))
	facts := make([]op.Fact, len(ins))
	for i, id := range g.Inputs {
		name := g.Value(id).Name
		x := inputs[name]
		if x == nil || x.Rank() == 0 {
			return nil, fmt.Errorf("train: the model's input %q is missing", name)
		}
		if name == t.meta.Values.Image {
			var err error
			if x, err = x.Reshape(append(tensor.Shape{x.Shape()[0]}, t.image...)...); err != nil {
				return nil, err
			}
		}
		ins[i], facts[i] = x, op.Fact{DType: x.DType(), Shape: x.Shape()}
	}
	p, err := plan.Build(g, facts, plan.Options{Pool: t.pool, Plain: true})
	if err != nil {
		return nil, err
	}
	outs := make([]*tensor.Tensor, len(g.Outputs))
	if err := p.Run(ctx, p.NewState(), outs, ins); err != nil {
		return nil, err
	}
	byName := make(map[string]*tensor.Tensor, len(outs))
	for i, id := range g.Outputs {
		byName[g.Value(id).Name] = outs[i]
	}
	return byName, nil
}

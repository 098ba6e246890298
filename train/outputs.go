package train

import (
	"context"
	"fmt"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/tensor"
)

// Outputs returns what the model computes from images, float32 [N, C, H, W], with the
// present weights, by the names of the graph's outputs. It runs the trainer's own graph,
// with variables and without folding, so that an exported file can be held against it.
func (t *Trainer) Outputs(ctx context.Context, images *tensor.Tensor) (map[string]*tensor.Tensor, error) {
	g := t.plain
	if len(g.Inputs) != 1 {
		return nil, fmt.Errorf("train: the model has %d inputs, want the image only", len(g.Inputs))
	}
	x, err := images.Reshape(append(tensor.Shape{images.Shape()[0]}, t.image...)...)
	if err != nil {
		return nil, err
	}
	p, err := plan.Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, plan.Options{Pool: t.pool, Plain: true})
	if err != nil {
		return nil, err
	}
	outs := make([]*tensor.Tensor, len(g.Outputs))
	if err := p.Run(ctx, p.NewState(), outs, []*tensor.Tensor{x}); err != nil {
		return nil, err
	}
	byName := make(map[string]*tensor.Tensor, len(outs))
	for i, id := range g.Outputs {
		byName[g.Value(id).Name] = outs[i]
	}
	return byName, nil
}

package train

import (
	"context"
	"fmt"
	"io"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/dataset"
)

// Forward runs the model itself, without sampling, with the present weights: on images, n
// times the model's input, with pixels as a [dataset.Source] gives them. It returns the
// named values.
func (t *Trainer) Forward(ctx context.Context, images []float32, names ...string) ([]*tensor.Tensor, error) {
	elems, _ := t.image.Elems()
	if len(images)%elems != 0 {
		return nil, fmt.Errorf("train: %d values are not a number of images of %d", len(images), elems)
	}
	shape := append(tensor.Shape{len(images) / elems}, t.image...)
	g := t.plain.Clone()
	g.Outputs = nil
	for _, name := range names {
		id := g.Lookup(name)
		if id == graph.None {
			return nil, fmt.Errorf("train: the model has no value %q", name)
		}
		g.Outputs = append(g.Outputs, id)
	}
	if len(g.Inputs) != 1 {
		return nil, fmt.Errorf("train: the model has %d inputs, want images alone", len(g.Inputs))
	}
	p, err := plan.Build(g, []op.Fact{{DType: tensor.Float32, Shape: shape}}, plan.Options{Pool: t.pool})
	if err != nil {
		return nil, err
	}
	in, err := tensor.Of(images, shape...)
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, len(names))
	return out, p.Run(ctx, p.NewState(), out, []*tensor.Tensor{in})
}

// Latents returns the latent vectors of the first images of src, at most limit: d numbers
// for each image. For a variational model they are the means.
func (t *Trainer) Latents(ctx context.Context, src dataset.Source, limit int) (z []float32, d int, err error) {
	n := min(limit, src.Len())
	if n < 1 {
		return nil, 0, fmt.Errorf("train: latents of %d images", n)
	}
	part, err := dataset.Range(src, 0, n)
	if err != nil {
		return nil, 0, err
	}
	l, err := dataset.NewLoader(part, dataset.LoaderOptions{Batch: evalBatch, Epochs: 1, InOrder: true})
	if err != nil {
		return nil, 0, err
	}
	defer l.Close()
	for {
		b, err := l.Next(ctx)
		if err == io.EOF {
			return z, d, nil
		}
		if err != nil {
			return nil, 0, err
		}
		out, err := t.Forward(ctx, b.Images, t.meta.Values.Z)
		if err != nil {
			return nil, 0, err
		}
		if out[0].DType() != tensor.Float32 || out[0].Rank() < 1 || out[0].Elems()%len(b.Index) != 0 {
			return nil, 0, fmt.Errorf("train: the latents are %v", out[0])
		}
		d = out[0].Elems() / len(b.Index)
		z = append(z, out[0].Float32s()...)
		l.Recycle(b)
	}
}

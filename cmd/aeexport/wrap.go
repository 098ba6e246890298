package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
)

// wrapPrefix begins the names of what is put around a model for its training.
const wrapPrefix = "aekit:"

// plainImages reports whether a model takes and gives pixels in [0, 1], channels first.
func plainImages(d *meta.Model) bool {
	return d.Image.Layout == meta.LayoutNCHW && d.Image.Mean == nil && d.Image.Std == nil
}

// imageName is the input of the wrapped model.
func imageName(d *meta.Model) string {
	if plainImages(d) {
		return d.Values.Image
	}
	return wrapPrefix + "image"
}

// wrapGraph returns a copy of m that takes and gives images as the trainer wants them, pixels
// in [0, 1], channels first, and any number of them. Its weights and values keep their names.
func wrapGraph(m *onnx.Model, d *meta.Model) *onnx.Model {
	out := *m
	g := *m.Graph
	out.Graph = &g
	g.Inputs, g.Outputs, g.ValueInfo = free(g.Inputs), free(g.Outputs), free(g.ValueInfo)
	if plainImages(d) {
		return &out
	}
	img := &d.Image
	batch := onnx.NamedDim(arch.Batch)
	shape := []onnx.Dim{batch, onnx.FixedDim(int64(img.Channels)), onnx.FixedDim(int64(img.Height)), onnx.FixedDim(int64(img.Width))}
	g.Initializers = slices.Clone(g.Initializers)
	var nodes []*onnx.Node
	add := func(op, in, out string, attrs []*onnx.Attribute, more ...string) string {
		nodes = append(nodes, &onnx.Node{Name: out, OpType: op, Inputs: append([]string{in}, more...), Outputs: []string{out}, Attrs: attrs})
		return out
	}
	constant := func(name string, t *tensor.Tensor) string {
		g.Initializers = append(g.Initializers, onnx.NewTensor(wrapPrefix+name, t))
		return wrapPrefix + name
	}
	perChannel := func(name string, v []float32) string {
		return constant(name, tensor.Must(tensor.Of(slices.Clone(v), 1, len(v), 1, 1)))
	}
	values := map[string]string{}
	if img.Mean != nil {
		values["mean"] = perChannel("mean", img.Mean)
	}
	if img.Std != nil {
		values["std"] = perChannel("std", img.Std)
	}
	in := valueInfo(g.Inputs, d.Values.Image)
	// Before the model: normalise, then bring into its layout; the last step has the name of
	// its input.
	type step struct {
		op, out string
		attrs   []*onnx.Attribute
		more    []string
	}
	var steps []step
	if values["mean"] != "" {
		steps = append(steps, step{"Sub", "centred", nil, []string{values["mean"]}})
	}
	if values["std"] != "" {
		steps = append(steps, step{"Div", "normalised", nil, []string{values["std"]}})
	}
	switch {
	case img.Layout == meta.LayoutNHWC:
		steps = append(steps, step{"Transpose", "nhwc", []*onnx.Attribute{onnx.AttrIs("perm", 0, 2, 3, 1)}, nil})
	case img.Layout == meta.LayoutFlat:
		dims := []int64{-1}
		for _, dim := range in.Type.Shape[1:] {
			dims = append(dims, dim.Value)
		}
		if len(dims) == 2 {
			dims[1] = int64(img.Channels) * int64(img.Height) * int64(img.Width)
		}
		steps = append(steps, step{"Reshape", "flat", nil, []string{constant("flat_shape", tensor.Must(tensor.Of(dims, len(dims))))}})
	}
	at := imageName(d)
	for i, s := range steps {
		to := wrapPrefix + s.out
		if i == len(steps)-1 {
			to = d.Values.Image
		}
		at = add(s.op, at, to, s.attrs, s.more...)
	}
	before := nodes
	nodes = nil
	// Behind it the same backwards.
	at = d.Values.Reconstruction
	switch img.Layout {
	case meta.LayoutNHWC:
		at = add("Transpose", at, wrapPrefix+"nchw", []*onnx.Attribute{onnx.AttrIs("perm", 0, 3, 1, 2)})
	case meta.LayoutFlat:
		dims := []int64{-1, int64(img.Channels), int64(img.Height), int64(img.Width)}
		at = add("Reshape", at, wrapPrefix+"nchw", nil, constant("nchw_shape", tensor.Must(tensor.Of(dims, 4))))
	}
	if values["std"] != "" {
		at = add("Mul", at, wrapPrefix+"spread", nil, values["std"])
	}
	if values["mean"] != "" {
		at = add("Add", at, wrapPrefix+"shifted", nil, values["mean"])
	}
	g.Nodes = slices.Concat(before, g.Nodes, nodes)
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v *onnx.ValueInfo) bool { return v.Name == d.Values.Image })
	g.Inputs = append(g.Inputs, &onnx.ValueInfo{Name: imageName(d), Type: typeOf(shape)})
	g.Outputs = append(slices.Clone(g.Outputs), &onnx.ValueInfo{Name: at, Type: typeOf(shape)})
	return &out
}

func typeOf(shape []onnx.Dim) onnx.Type {
	return onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32, HasShape: true, Shape: shape}
}

// free returns the values with a named first dimension, so that batches may have any size.
func free(list []*onnx.ValueInfo) []*onnx.ValueInfo {
	out := make([]*onnx.ValueInfo, len(list))
	for i, v := range list {
		c := *v
		if c.Type.HasShape && len(c.Type.Shape) > 1 {
			c.Type.Shape = slices.Clone(c.Type.Shape)
			c.Type.Shape[0] = onnx.NamedDim(arch.Batch)
		}
		out[i] = &c
	}
	return out
}

// wrapped is wrapGraph with the description that the trainer reads, and the declared shapes
// that an ELBO needs.
func (j *job) wrapped(ctx context.Context, m *onnx.Model, d *meta.Model) (*onnx.Model, error) {
	out := wrapGraph(m, d)
	out.Metadata = slices.Clone(m.Metadata)
	w := *d
	w.Image.Layout, w.Image.Mean, w.Image.Std = meta.LayoutNCHW, nil, nil
	w.Values.Image = imageName(d)
	if !plainImages(d) {
		w.Values.Reconstruction = out.Graph.Outputs[len(out.Graph.Outputs)-1].Name
	}
	if j.tune.noLatent {
		w.Values.Z = w.Values.Reconstruction
	}
	if err := train.Annotate(out, func(to *meta.Model) { *to = w }); err != nil {
		return nil, err
	}
	if d.Kind != meta.KindVAE {
		return out, nil
	}
	return out, declare(ctx, out, &w)
}

// declare adds the shapes of the values of a variational model, which it finds by running it.
func declare(ctx context.Context, m *onnx.Model, d *meta.Model) error {
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	names := []string{d.Values.Mu, d.Values.LogVar}
	sub, err := s.Sub([]string{d.Values.Image}, names)
	if err != nil {
		return err
	}
	defer sub.Close()
	x, err := tensor.New(tensor.Float32, 2, d.Image.Channels, d.Image.Height, d.Image.Width)
	if err != nil {
		return err
	}
	res, err := sub.Run(ctx, map[string]*tensor.Tensor{d.Values.Image: x})
	if err != nil {
		return err
	}
	for _, name := range names {
		shape := res[name].Shape()
		if len(shape) < 2 || shape[0] != 2 {
			return fmt.Errorf("%q has the shape %v for two images", name, shape)
		}
		dims := []onnx.Dim{onnx.NamedDim(arch.Batch)}
		for _, n := range shape[1:] {
			dims = append(dims, onnx.FixedDim(int64(n)))
		}
		t := typeOf(dims)
		declared := valueInfo(slices.Concat(m.Graph.Outputs, m.Graph.ValueInfo), name)
		if declared == nil {
			declared = &onnx.ValueInfo{Name: name}
			m.Graph.ValueInfo = append(m.Graph.ValueInfo, declared)
		}
		declared.Type = t
	}
	return nil
}

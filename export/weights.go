package export

import (
	"errors"
	"fmt"
	"slices"

	"github.com/aekit/aekit/export/safetensors"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Weights returns the trainable initializers of a model by name: those of a floating-point
// type. They are the model's own tensors.
func Weights(m *onnx.Model) map[string]*tensor.Tensor {
	w := map[string]*tensor.Tensor{}
	for _, t := range m.Graph.Initializers {
		if t.Value != nil && t.DType.IsFloat() {
			w[t.Name] = t.Value
		}
	}
	return w
}

// WithWeights returns a copy of m in which the floating-point initializers have the given
// values. Every one must be given, with the same shape and type, and nothing else.
func WithWeights(m *onnx.Model, weights map[string]*tensor.Tensor) (*onnx.Model, error) {
	out := *m
	g := *m.Graph
	out.Graph = &g
	g.Initializers = slices.Clone(m.Graph.Initializers)
	var errs []error
	used := map[string]bool{}
	for i, t := range g.Initializers {
		if t.Value == nil || !t.DType.IsFloat() {
			continue
		}
		w, ok := weights[t.Name]
		used[t.Name] = true
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("no weights for %q (%v)", t.Name, t.Value))
		case w.DType() != t.Value.DType() || !w.Shape().Equal(t.Value.Shape()):
			errs = append(errs, fmt.Errorf("weights for %q are %v, the model wants %v", t.Name, w, t.Value))
		default:
			c := *t
			c.Value = w
			g.Initializers[i] = &c
		}
	}
	for name := range weights {
		if !used[name] {
			errs = append(errs, fmt.Errorf("the model has no weights %q", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return &out, nil
}

// WriteWeights writes the weights of a model as safetensors, under the names of its
// initializers, with its metadata.
func WriteWeights(path string, m *onnx.Model) error {
	f := &safetensors.File{Tensors: Weights(m), Metadata: map[string]string{}}
	for _, p := range m.Metadata {
		f.Metadata[p.Key] = p.Value
	}
	return safetensors.WriteFile(path, f)
}

// ReadWeights reads weights that WriteWeights wrote, or another program under the same
// names.
func ReadWeights(path string) (map[string]*tensor.Tensor, error) {
	f, err := safetensors.ReadFile(path, 0)
	if err != nil {
		return nil, err
	}
	return f.Tensors, nil
}

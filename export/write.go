package export

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Part is a piece of an autoencoder as a file of its own.
type Part struct {
	Name string // "encoder" or "decoder"
	Path string
}

// SplitPaths returns the files that Split writes for a model file: model.onnx gives
// model.encoder.onnx and model.decoder.onnx.
func SplitPaths(path string) []Part {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	return []Part{{"encoder", base + ".encoder.onnx"}, {"decoder", base + ".decoder.onnx"}}
}

// Split writes the encoder (from the image to mu and logvar, or to z) and the decoder (from
// z to the reconstruction) of a model as separate files beside path, and returns which. A
// generator has no encoder. Inputs other than the image and z, such as a label, belong to
// every part that needs them.
func Split(m *onnx.Model, path string) ([]Part, error) {
	d, err := meta.Decode(properties(m))
	if err != nil {
		return nil, err
	}
	v := d.Values
	var written []Part
	for _, p := range SplitPaths(path) {
		in, out := []string{v.Z}, []string{v.Reconstruction}
		if p.Name == "encoder" {
			if v.Image == "" {
				continue
			}
			in, out = []string{v.Image}, []string{v.Z}
			if v.Mu != "" && v.LogVar != "" {
				out = []string{v.Mu, v.LogVar}
			}
		}
		if v.Label != "" {
			in = append(in, v.Label)
		}
		sub, err := onnx.Extract(m, in, out)
		if err != nil {
			return written, fmt.Errorf("export: %s: %w", p.Name, err)
		}
		if err := onnx.WriteFile(p.Path, sub); err != nil {
			return written, err
		}
		written = append(written, p)
	}
	return written, nil
}

func properties(m *onnx.Model) []meta.Property {
	out := make([]meta.Property, len(m.Metadata))
	for i, p := range m.Metadata {
		out[i] = meta.Property(p)
	}
	return out
}

// TestData writes a folder in the layout of the ONNX backend tests: model.onnx, and the
// inputs with the outputs that this module's runtime gives for them as test_data_set_0.
func TestData(ctx context.Context, dir string, m *onnx.Model, inputs map[string]*tensor.Tensor) error {
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	got, err := s.Run(ctx, inputs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := onnx.WriteFile(filepath.Join(dir, "model.onnx"), m); err != nil {
		return err
	}
	var ins, outs []*onnx.Tensor
	for _, v := range s.Inputs() {
		ins = append(ins, onnx.NewTensor(v.Name, inputs[v.Name]))
	}
	for _, v := range s.Outputs() {
		outs = append(outs, onnx.NewTensor(v.Name, got[v.Name]))
	}
	return onnxcases.WriteSet(dir, 0, ins, outs)
}

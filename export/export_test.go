package export_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
)

var ctx = context.Background()

func model(t *testing.T, preset string, seed uint64) *onnx.Model {
	t.Helper()
	p, err := arch.Find(preset)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Build(arch.Config{Hidden: []int{32}, Latent: 6, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func images(n int) *tensor.Tensor {
	x := tensor.Must(tensor.New(tensor.Float32, n, 1, 28, 28))
	rng.New(3).Uniform(x.Float32s(), 0)
	return x
}

func run(t *testing.T, m *onnx.Model, in map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFinishKeepsOutputsAndNames(t *testing.T) {
	for _, preset := range []string{"ae", "vae"} {
		m := model(t, preset, 1)
		before, _ := onnx.Encode(m)
		x := images(5)
		want := run(t, m, map[string]*tensor.Tensor{"image": x})
		for _, o := range []export.Options{{}, {Opset: 13}, {Opset: 21, IRVersion: 10}} {
			done, err := export.Finish(m, o)
			if err != nil {
				t.Fatalf("%s %+v: %v", preset, o, err)
			}
			got := run(t, done, map[string]*tensor.Tensor{"image": x})
			if len(got) != len(want) {
				t.Errorf("%s: %d outputs, want %d", preset, len(got), len(want))
			}
			for name, w := range want {
				if g := got[name]; g == nil || !bytes.Equal(g.Bytes(), w.Bytes()) {
					t.Errorf("%s %+v: output %q changed", preset, o, name)
				}
			}
			if o.Opset != 0 && done.Opset("") != int64(o.Opset) {
				t.Errorf("opset %d, want %d", done.Opset(""), o.Opset)
			}
			if len(done.Metadata) != len(m.Metadata) {
				t.Errorf("%s: the metadata is gone", preset)
			}
			if d := done.Graph.Inputs[0].Type.Shape[0]; d.Param != "batch" {
				t.Errorf("%s: the batch axis is %+v", preset, d)
			}
			a, err := onnx.Encode(done)
			if err != nil {
				t.Fatal(err)
			}
			again, err := export.Finish(m, o)
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := onnx.Encode(again); !bytes.Equal(a, b) {
				t.Errorf("%s: the same model gives other bytes", preset)
			}
		}
		if after, _ := onnx.Encode(m); !bytes.Equal(before, after) {
			t.Errorf("%s: Finish changed its argument", preset)
		}
	}
	if _, err := export.Finish(model(t, "ae", 1), export.Options{Opset: 21, IRVersion: 8}); err == nil {
		t.Error("opset 21 was written with IR version 8")
	}
}

func TestSplitComposes(t *testing.T) {
	m := model(t, "vae", 2)
	path := filepath.Join(t.TempDir(), "m.onnx")
	parts, err := export.Split(m, path)
	if err != nil || len(parts) != 2 {
		t.Fatalf("%v, %v", parts, err)
	}
	x := images(3)
	want := run(t, m, map[string]*tensor.Tensor{"image": x})
	var read [2]*onnx.Model
	for i, p := range parts {
		if read[i], err = onnx.ReadFile(p.Path, onnx.DecodeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	z := run(t, read[0], map[string]*tensor.Tensor{"image": x})
	got := run(t, read[1], map[string]*tensor.Tensor{"z": z["mu"]})
	if !bytes.Equal(got["reconstruction"].Bytes(), want["reconstruction"].Bytes()) {
		t.Error("encoder and decoder together differ from the whole")
	}
	if !bytes.Equal(z["logvar"].Bytes(), want["logvar"].Bytes()) {
		t.Error("logvar differs")
	}
}

func TestWeightsRoundTrip(t *testing.T) {
	m, other := model(t, "vae", 3), model(t, "vae", 4)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := export.WriteWeights(path, m); err != nil {
		t.Fatal(err)
	}
	w, err := export.ReadWeights(path)
	if err != nil {
		t.Fatal(err)
	}
	back, err := export.WithWeights(other, w)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]*tensor.Tensor{"image": images(2)}
	if !bytes.Equal(run(t, back, in)["reconstruction"].Bytes(), run(t, m, in)["reconstruction"].Bytes()) {
		t.Error("the weights read back give other outputs")
	}
	if bytes.Equal(run(t, other, in)["reconstruction"].Bytes(), run(t, m, in)["reconstruction"].Bytes()) {
		t.Error("WithWeights changed its argument, or the seeds are equal")
	}
	if _, err := export.WithWeights(model(t, "ae", 1), w); err == nil {
		t.Error("weights of another model were accepted")
	}
}

func TestVerify(t *testing.T) {
	m := model(t, "ae", 5)
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := onnx.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	in := map[string]*tensor.Tensor{"image": images(2)}
	want := run(t, m, in)
	if d, err := export.Verify(ctx, path, in, want); err != nil || d != 0 {
		t.Errorf("difference %v, %v", d, err)
	}
	off := want["reconstruction"].Clone()
	off.Float32s()[7] += 1e-3
	if _, err := export.Verify(ctx, path, in, map[string]*tensor.Tensor{"reconstruction": off}); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("a wrong file passed: %v", err)
	}
}

func TestTestData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "case")
	m := model(t, "vae", 6)
	if err := export.TestData(ctx, dir, m, map[string]*tensor.Tensor{"image": images(2)}); err != nil {
		t.Fatal(err)
	}
	c, err := onnxcases.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sets) != 1 || len(c.Sets[0].Inputs) != 1 || len(c.Sets[0].Outputs) != 3 {
		t.Errorf("%d sets", len(c.Sets))
	}
	if _, err := os.Stat(filepath.Join(dir, "test_data_set_0", "output_2.pb")); err != nil {
		t.Error(err)
	}
}

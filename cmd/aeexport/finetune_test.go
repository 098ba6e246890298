package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"encoder.*", "encoder.fc1.weight", true}, {"encoder.*", "decoder.fc1.weight", false}, {"*", "", true}, {"", "", true},
		{"", "a", false}, {"*.bias", "a/b.c.bias", true}, {"*.bias", "a.bias2", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"*a*b*", "xxaxxbxx", true}, {"*a*b*", "xxbxxaxx", false}, {"?é", "xé", true}, {"**", "x", true}, {"a*a", "a", false},
	} {
		if got := glob(c.pattern, c.name); got != c.want {
			t.Errorf("glob(%q, %q) is %v", c.pattern, c.name, got)
		}
	}
}

// foreign builds models of nobody in particular, for images of 12×12.
type foreign struct {
	*onnx.Builder
	r *rand.Rand
}

func newForeign() *foreign {
	return &foreign{onnx.NewBuilder(13), rand.New(rand.NewPCG(1, 2))}
}

func (f *foreign) weight(name string, shape ...int) string {
	t, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		panic(err)
	}
	for i := range t.Float32s() {
		t.Float32s()[i] = float32(f.r.NormFloat64()) / float32(math.Sqrt(float64(shape[0])))
	}
	return f.Initializer(name, t)
}

func (f *foreign) dense(x, out string, in, n int) string {
	f.op("Gemm", out, x, f.weight(out+"_w", in, n), f.weight(out+"_b", n))
	return out
}

func (f *foreign) op(op, out string, in ...string) string {
	f.Node(&onnx.Node{Name: "n_" + out, OpType: op, Inputs: in, Outputs: []string{out}})
	return out
}

func (f *foreign) write(t *testing.T, path string) {
	t.Helper()
	m, err := f.Model()
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
}

// flatModel takes [batch, 144] and has no metadata.
func flatModel(t *testing.T, path string) {
	f := newForeign()
	f.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(144))
	f.op("Relu", "h", f.dense("x", "l1", 144, 32))
	f.dense("h", "code", 32, 8)
	f.op("Relu", "h2", f.dense("code", "l3", 8, 32))
	f.op("Sigmoid", "y", f.dense("h2", "l4", 32, 144))
	f.Output("y", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(144))
	f.write(t, path)
}

// signedModel takes one image of [1, 12, 12, 1] in [-1, 1], channels last.
func signedModel(t *testing.T, path string) {
	f := newForeign()
	dims := []onnx.Dim{onnx.FixedDim(1), onnx.FixedDim(12), onnx.FixedDim(12), onnx.FixedDim(1)}
	f.Input("pixels", tensor.Float32, dims...)
	f.Node(&onnx.Node{Name: "t", OpType: "Flatten", Inputs: []string{"pixels"}, Outputs: []string{"flat"}})
	f.op("Tanh", "h", f.dense("flat", "l1", 144, 24))
	f.op("Tanh", "out", f.dense("h", "l2", 24, 144))
	f.op("Reshape", "picture", "out", f.Initializer("s", tensor.Must(tensor.Of([]int64{-1, 12, 12, 1}, 4))))
	f.Output("picture", tensor.Float32, dims...)
	f.Output("h", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(24))
	f.write(t, path)
}

// lastModel takes [n, 12, 12, 3], channels last, in [0, 1].
func lastModel(t *testing.T, path string) {
	f := newForeign()
	dims := []onnx.Dim{onnx.NamedDim("n"), onnx.FixedDim(12), onnx.FixedDim(12), onnx.FixedDim(3)}
	f.Input("pixels", tensor.Float32, dims...)
	f.op("Flatten", "flat", "pixels")
	f.op("Tanh", "h", f.dense("flat", "l1", 432, 24))
	f.op("Sigmoid", "out", f.dense("h", "l2", 24, 432))
	f.op("Reshape", "picture", "out", f.Initializer("s", tensor.Must(tensor.Of([]int64{-1, 12, 12, 3}, 4))))
	f.Output("picture", tensor.Float32, dims...)
	f.write(t, path)
}

// drawingVAE is a VAE that draws its latents itself, as exported from other frameworks.
func drawingVAE(t *testing.T, path string) {
	f := newForeign()
	dims := []onnx.Dim{onnx.NamedDim("n"), onnx.FixedDim(1), onnx.FixedDim(12), onnx.FixedDim(12)}
	f.Input("in", tensor.Float32, dims...)
	f.op("Flatten", "flat", "in")
	f.op("Relu", "h", f.dense("flat", "l1", 144, 32))
	f.dense("h", "mean", 32, 4)
	f.dense("h", "lv", 32, 4)
	f.op("Mul", "half", "lv", f.Initializer("c", tensor.Scalar[float32](0.5)))
	f.op("Exp", "std", "half")
	f.op("RandomNormalLike", "eps", "mean")
	f.op("Mul", "noise", "std", "eps")
	f.op("Add", "draw", "mean", "noise")
	f.op("Relu", "d", f.dense("draw", "l3", 4, 32))
	f.op("Sigmoid", "s", f.dense("d", "l4", 32, 144))
	f.op("Reshape", "rec", "s", f.Initializer("shape", tensor.Must(tensor.Of([]int64{-1, 1, 12, 12}, 4))))
	f.Output("rec", tensor.Float32, dims...)
	f.write(t, path)
}

// tune runs aeexport and returns the losses of the first and the last epoch.
func tune(t *testing.T, args ...string) (first, last float64) {
	t.Helper()
	args = append([]string{"--images", "600", "--epochs", "12", "--batch", "50", "--lr", "3e-3", "--json", "--quiet", "--threads", "1"}, args...)
	var out, errs bytes.Buffer
	if status := run(t.Context(), args, &out, &errs); status != cli.OK {
		t.Fatalf("%q: status %d: %s", args, status, &errs)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var a, b line
	if json.Unmarshal([]byte(lines[0]), &a) != nil || json.Unmarshal([]byte(lines[len(lines)-1]), &b) != nil {
		t.Fatalf("%s", &out)
	}
	return a.TrainLoss, b.TrainLoss
}

func TestFineTuneForeignModels(t *testing.T) {
	dir := t.TempDir()
	path := func(s string) string { return filepath.Join(dir, s) }
	flatModel(t, path("flat.onnx"))
	signedModel(t, path("signed.onnx"))
	drawingVAE(t, path("vae.onnx"))
	lastModel(t, path("last.onnx"))
	for _, c := range []struct {
		name      string
		args      []string
		described bool // the result says what it is
	}{
		{"flat.onnx", []string{"--report", path("report")}, false},
		{"flat.onnx", []string{"--objective", "bce", "--value-latent", "code"}, true},
		{"signed.onnx", []string{"--range=-1,1", "--value-latent", "h"}, true},
		{"last.onnx", []string{"--objective", "bce", "--value-latent", "h"}, true},
		{"vae.onnx", []string{"--value-mu", "mean", "--value-logvar", "lv", "--value-latent", "draw"}, true},
	} {
		t.Run(c.name+strings.Join(c.args, " "), func(t *testing.T) {
			out := path("tuned.onnx")
			first, last := tune(t, append([]string{"--from", path(c.name), out}, c.args...)...)
			if !(last < 0.8*first) {
				t.Errorf("the loss went from %g to %g", first, last)
			}
			// Same inputs, outputs and nodes as before.
			before, err := readModel(path(c.name))
			if err != nil {
				t.Fatal(err)
			}
			after, err := readModel(out)
			if err != nil {
				t.Fatal(err)
			}
			if len(after.Graph.Nodes) != len(before.Graph.Nodes) || after.Graph.Inputs[0].Name != before.Graph.Inputs[0].Name ||
				len(after.Graph.Inputs[0].Type.Shape) != len(before.Graph.Inputs[0].Type.Shape) || len(after.Graph.Initializers) != len(before.Graph.Initializers) {
				t.Error("the model has another form")
			}
			m, err := autoencoder.Open(out, runtime.Options{}, autoencoder.Options{})
			if err != nil {
				if c.described {
					t.Fatal(err)
				}
				return
			}
			defer m.Close()
			if i := m.Info(); c.described && (i.Width != 12 || i.Input == "" || i.Latent == "") {
				t.Errorf("it says of itself %+v", i)
			}
			if c.described {
				if _, err := m.Generate(context.Background(), 2, autoencoder.Sampling{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestFineTuneOwnModel continues the training of a preset with its encoder frozen, from what
// aeexport itself wrote.
func TestFineTuneOwnModel(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.onnx"), filepath.Join(dir, "b.onnx")
	var out bytes.Buffer
	if status := run(t.Context(), []string{"--quiet", "--images", "600", "--epochs", "1", "--hidden", "32", "--latent", "4", a}, &out, &out); status != cli.OK {
		t.Fatal(out.String())
	}
	first, last := tune(t, "--from", a, "--freeze", "encoder.*", b)
	if !(last < first) {
		t.Errorf("the loss went from %g to %g", first, last)
	}
	before, err := readModel(a)
	if err != nil {
		t.Fatal(err)
	}
	after, err := readModel(b)
	if err != nil {
		t.Fatal(err)
	}
	frozen, free := 0, 0
	for _, w := range before.Graph.Initializers {
		n := after.Graph.Initializer(w.Name)
		if n == nil || w.Value == nil || w.DType != tensor.Float32 || w.Value.Elems() < 2 {
			continue
		}
		same := bytes.Equal(w.Value.Bytes(), n.Value.Bytes())
		if strings.HasPrefix(w.Name, "encoder.") {
			frozen++
			if !same {
				t.Errorf("%s has changed", w.Name)
			}
		} else {
			free++
			if same {
				t.Errorf("%s has not changed", w.Name)
			}
		}
	}
	if frozen < 6 || free < 4 {
		t.Errorf("%d frozen and %d free weights, want 6 and 4", frozen, free)
	}
	for _, args := range [][]string{
		{"--from", a, "--freeze", "nothing*", b}, {"--value-latent", "z", b}, {"--from", a, "--value-mu", "mu", b},
		{"--from", a, "--range", "1", b}, {"--from", a, "--value-image", "img", b},
	} {
		out.Reset()
		if status := run(t.Context(), append([]string{"--quiet", "--images", "60"}, args...), &out, &out); status != cli.Misuse {
			t.Errorf("%q: status %d: %s, want %d", args, status, &out, cli.Misuse)
		}
	}
}

package main

import (
	"path/filepath"
	goruntime "runtime"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestPeak holds the largest resident set of processes that run a model once: 8 MB and 1.3 times
// the weights where they open a file, 2.3 times where they hold its bytes.
func TestPeak(t *testing.T) {
	if goruntime.GOOS != "linux" || goruntime.GOARCH != "amd64" && goruntime.GOARCH != "arm64" {
		t.Skip("reads /proc/self/status, and knows the size of processes of two kinds")
	}
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	programs, err := build(dir, "")
	if err != nil {
		t.Skip(err)
	}
	models, err := examples(dir)
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := write(dir, []made{
		{"normalized.onnx", func() (*onnx.Model, error) { return normalized(4, 512) }},
		{"transposed.onnx", func() (*onnx.Model, error) { return transposed(2, 2048) }},
		{"lstm.onnx", func() (*onnx.Model, error) { return lstm(1024) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	models = append(models, rewritten...)
	for _, m := range models {
		values, weights, err := describe(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			factor := map[string]float64{"aekit file": 1.3, "aekit bytes": 2.3}[p.name]
			if factor == 0 {
				continue
			}
			least := int64(0) // of a few, as other work on the machine delays the collection of garbage
			for range 3 {
				_, peak, err := p.run(m, values)
				if err != nil {
					t.Fatal(err)
				}
				if least == 0 || peak < least {
					least = peak
				}
			}
			most := 8e6 + factor*float64(weights)
			t.Logf("%s, %s: %.1f MB for %.1f MB of weights, at most %.1f", filepath.Base(m), p.name, float64(least)/1e6, float64(weights)/1e6, most/1e6)
			if float64(least) > most {
				t.Errorf("%s, %s: %.1f MB for %.1f MB of weights, want at most %.1f", filepath.Base(m), p.name, float64(least)/1e6, float64(weights)/1e6, most/1e6)
			}
		}
	}
}

// filled returns a tensor of small values.
func filled(shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float32, shape...))
	for i, d := 0, t.Float32s(); i < len(d); i++ {
		d[i] = float32(i%13-6) / 512
	}
	return t
}

// normalized returns a model of n convolutions of 3×3 with c channels, each followed by a
// BatchNormalization.
func normalized(n, c int) (*onnx.Model, error) {
	b := onnx.NewBuilder(17)
	dims := []onnx.Dim{onnx.NamedDim("batch"), onnx.FixedDim(int64(c)), onnx.FixedDim(8), onnx.FixedDim(8)}
	x := b.Input("x", tensor.Float32, dims...)
	vector := func(v float32) string {
		t := tensor.Must(tensor.New(tensor.Float32, c))
		for i := range c {
			t.Float32s()[i] = v + float32(i%7)/8
		}
		return b.Initializer(b.Fresh("v"), t)
	}
	for range n {
		x = b.Op("Conv", "", []string{x, b.Initializer(b.Fresh("w"), filled(c, c, 3, 3))}, onnx.AttrIs("pads", 1, 1, 1, 1))
		x = b.Op("Relu", "", []string{b.Op("BatchNormalization", "", []string{x, vector(1), vector(0), vector(0.5), vector(2)})})
	}
	b.Output(x, tensor.Float32, dims...)
	return b.Model()
}

// transposed returns a model of n products with transposed size×size weights.
func transposed(n, size int) (*onnx.Model, error) {
	b := onnx.NewBuilder(17)
	dims := []onnx.Dim{onnx.NamedDim("batch"), onnx.FixedDim(int64(size))}
	x := b.Input("x", tensor.Float32, dims...)
	for range n {
		w := b.Op("Transpose", "", []string{b.Initializer(b.Fresh("w"), filled(size, size))}, onnx.AttrIs("perm", 1, 0))
		x = b.Op("Relu", "", []string{b.Op("MatMul", "", []string{x, w})})
	}
	b.Output(x, tensor.Float32, dims...)
	return b.Model()
}

// lstm returns a model of one LSTM from size features to as many.
func lstm(size int) (*onnx.Model, error) {
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(4), onnx.NamedDim("batch"), onnx.FixedDim(int64(size)))
	w := b.Initializer("w", filled(1, 4*size, size))
	r := b.Initializer("r", filled(1, 4*size, size))
	y := b.Op("LSTM", "", []string{x, w, r}, onnx.AttrI("hidden_size", int64(size)))
	b.Output(y, tensor.Float32, onnx.FixedDim(4), onnx.FixedDim(1), onnx.NamedDim("batch"), onnx.FixedDim(int64(size)))
	return b.Model()
}

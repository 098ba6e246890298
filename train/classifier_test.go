package train

import (
	"context"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

func named(t *testing.T, name string) *dataset.Data {
	t.Helper()
	d, err := dataset.Open(context.Background(), name, dataset.Options{Dir: testdata.Dir(t), Offline: true})
	if err != nil {
		t.Skip(err)
	}
	return d
}

// pixels reads the first n images of a source as a matrix.
func pixels(t *testing.T, src dataset.Source, n int) []float32 {
	t.Helper()
	index := make([]int, min(n, src.Len()))
	for i := range index {
		index[i] = i
	}
	x := make([]float32, len(index)*src.Info().Elems())
	if err := src.Read(context.Background(), index, x, nil); err != nil {
		t.Fatal(err)
	}
	return x
}

// preset trains a preset for some epochs, with settings that change may alter.
func preset(t *testing.T, name string, data dataset.Source, change func(*arch.Config, *Config)) (*Trainer, *onnx.Model) {
	t.Helper()
	p, err := arch.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	info := data.Info()
	a := arch.Config{Channels: info.Channels, Height: info.Height, Width: info.Width, Seed: 1}
	o, err := ParseObjective(p.Recipe.Objective, p.Recipe.Beta)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSchedule(p.Recipe.Schedule)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := ParseOptimizer(p.Recipe.Optimizer)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Objective: o, Schedule: s, Optimizer: opt, Data: data, Epochs: p.Recipe.Epochs, Batch: p.Recipe.Batch, LR: p.Recipe.LR, Seed: 1,
		Noise: p.Recipe.Noise, Binarize: p.Recipe.Binarize}
	if change != nil {
		change(&a, &cfg)
	}
	if cfg.Model, err = p.Build(a); err != nil {
		t.Fatal(err)
	}
	tr := runAll(t, cfg)
	m, err := tr.Model()
	if err != nil {
		t.Fatal(err)
	}
	return tr, m
}

// decoded returns the images of n draws, from a standard normal distribution, of a model's z,
// of class i mod 10 for a conditional model.
func decoded(t *testing.T, m *onnx.Model, n int) []float32 {
	t.Helper()
	d, err := Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ins := []string{d.Values.Z}
	if d.Values.Label != "" {
		ins = append(ins, d.Values.Label)
	}
	dec, err := s.Sub(ins, []string{d.Values.Reconstruction})
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var out []float32
	const batch = 100
	for lo := 0; lo < n; lo += batch {
		in := map[string]*tensor.Tensor{d.Values.Z: normals(uint64(lo), batch, d.Prior[0].Shape[0])}
		if d.Values.Label != "" {
			c := make([]int64, batch)
			for i := range c {
				c[i] = int64((lo + i) % 10)
			}
			in[d.Values.Label] = tensor.Must(tensor.Of(c, batch))
		}
		got, err := dec.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got[d.Values.Reconstruction].Float32s()...)
	}
	return out
}

// classify is the objective of the classifier that judges generated digits: cross-entropy
// of the label.
type classify struct{ MSE }

func (classify) Parts() []string { return []string{"loss"} }

func (classify) phases() []phase {
	return only(func(b *lossBuilder) error {
		c := &calc{b: b}
		p := c.attrs("LogSoftmax", []*onnx.Attribute{onnx.AttrI("axis", -1)}, b.g.Lookup("logits"))
		taken := c.attrs("GatherElements", []*onnx.Attribute{onnx.AttrI("axis", 1)}, p, c.reshape(b.g.Lookup("label"), -1, 1))
		b.add(c.negative(c.mean(taken)))
		return c.err
	})
}

// classifier trains 784-256-128-10 with ReLU on labels and returns a session from images to
// logits and to the features of the last hidden layer.
func classifier(t *testing.T, d *dataset.Data, epochs int) *runtime.Session {
	t.Helper()
	b := onnx.NewBuilder(17)
	n := onnx.NamedDim("batch")
	x := b.Input("image", tensor.Float32, n, onnx.FixedDim(784))
	b.Input("label", tensor.Int64, n)
	width := 784
	for i, out := range []int{256, 128, 10} {
		w := tensor.Must(tensor.New(tensor.Float32, width, out))
		copy(w.Float32s(), normals(uint64(70+i), width, out).Float32s())
		for k := range w.Float32s() {
			w.Float32s()[k] *= 1.4 / float32(intSqrt(width))
		}
		name := string(rune('a' + i))
		x = b.Op("Gemm", "g"+name, []string{x, b.Initializer("w"+name, w), b.Initializer("b"+name, tensor.Must(tensor.New(tensor.Float32, out)))})
		if out != 10 {
			x = b.Op("Relu", map[int]string{256: "hidden", 128: "features"}[out], []string{x})
		}
		width = out
	}
	b.Op("Identity", "logits", []string{x})
	b.Output("logits", tensor.Float32, n, onnx.FixedDim(10))
	b.Output("features", tensor.Float32, n, onnx.FixedDim(128))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	err = Annotate(m, func(m *meta.Model) {
		*m = meta.Model{Kind: meta.KindAE, Values: meta.Values{Image: "image", Label: "label", Z: "features", Reconstruction: "logits"}, Classes: 10,
			Image: meta.Image{Width: 28, Height: 28, Channels: 1, Layout: meta.LayoutFlat}}
	})
	if err != nil {
		t.Fatal(err)
	}
	tr := runAll(t, Config{Model: m, Objective: classify{}, Data: d.Train, Epochs: epochs, Batch: 128, LR: 1e-3, Schedule: Cosine{}, Seed: 21})
	if m, err = tr.Model(); err != nil {
		t.Fatal(err)
	}
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sub, err := s.Sub([]string{"image"}, []string{"logits", "features"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

func intSqrt(n int) int {
	r := 1
	for r*r < n {
		r++
	}
	return r
}

// judge returns, for every image, the class with the greatest logit, and the features.
func judge(t *testing.T, s *runtime.Session, images []float32) (classes []int, features []float32) {
	t.Helper()
	for len(images) > 0 {
		n := min(250, len(images)/784)
		out, err := s.Run(context.Background(), map[string]*tensor.Tensor{"image": tensor.Must(tensor.Of(images[:n*784], n, 784))})
		if err != nil {
			t.Fatal(err)
		}
		images = images[n*784:]
		features = append(features, out["features"].Float32s()...)
		l := out["logits"].Float32s()
		for i := range n {
			best := 0
			for k, v := range l[10*i : 10*i+10] {
				if v > l[10*i+best] {
					best = k
				}
			}
			classes = append(classes, best)
		}
	}
	return classes, features
}

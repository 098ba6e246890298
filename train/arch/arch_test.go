package arch

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestPresets builds every preset, with its defaults and with another image size, and
// runs it.
func TestPresets(t *testing.T) {
	names := map[string]bool{}
	for _, p := range List() {
		for _, c := range []Config{{}, {Channels: 3, Height: 20, Width: 36, Latent: 5, Seed: 2}} {
			t.Run(p.Name, func(t *testing.T) {
				m, err := p.Build(c)
				if err != nil {
					t.Fatal(err)
				}
				if err := onnx.Check(m); err != nil {
					t.Fatal(err)
				}
				if m.IRVersion != 8 || m.Opset("") != Opset {
					t.Errorf("IR version %d, opset %d", m.IRVersion, m.Opset(""))
				}
				full, err := p.Fill(c)
				if err != nil {
					t.Fatal(err)
				}
				checkRun(t, m, &full)
			})
		}
		if names[p.Name] || p.Doc == "" || p.Recipe.Epochs < 1 || p.Recipe.Batch < 1 || p.Recipe.LR <= 0 || p.Recipe.Objective == "" {
			t.Errorf("preset %+v is not complete, or its name not unique", p)
		}
		names[p.Name] = true
	}
	if !slices.IsSortedFunc(presets, func(a, b Preset) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the table is not sorted by name")
	}
	if _, err := Find(Default); err != nil {
		t.Error(err)
	}
	if _, err := Find("nonsense"); err == nil || !strings.Contains(err.Error(), Default) {
		t.Errorf("error %v for an unknown preset, want one that lists them", err)
	}
}

func checkRun(t *testing.T, m *onnx.Model, c *Config) {
	g, err := graph.New(m, graph.Config{Set: op.Core})
	if err != nil {
		t.Fatal(err)
	}
	const batch = 3
	var facts []op.Fact
	var ins []*tensor.Tensor
	for _, id := range g.Inputs {
		v := g.Value(id)
		shape := tensor.Shape{batch}
		for _, d := range v.Type.Shape[1:] {
			shape = append(shape, int(d.Value))
		}
		x := tensor.Must(tensor.New(v.Type.Elem, shape...))
		if v.Type.Elem == tensor.Float32 {
			for i := range x.Float32s() {
				x.Float32s()[i] = float32(i%7) / 7
			}
		} else {
			copy(x.Int64s(), []int64{0, 3, 9})
		}
		ins = append(ins, x)
		facts = append(facts, op.Fact{DType: x.DType(), Shape: shape})
	}
	p, err := plan.Build(g, facts, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	outs := make([]*tensor.Tensor, len(g.Outputs))
	if err := p.Run(t.Context(), p.NewState(), outs, ins); err != nil {
		t.Fatal(err)
	}
	found := false
	for i, o := range m.Graph.Outputs {
		want := tensor.Shape{batch}
		for _, d := range o.Type.Shape[1:] {
			want = append(want, int(d.Value))
		}
		if o.Name == Reconstruction {
			found = true
			want = tensor.Shape{batch, c.Channels, c.Height, c.Width}
			for _, v := range outs[i].Float32s() {
				if !(v >= 0 && v <= 1) && m.Graph.Name != "linear-ae" {
					t.Fatalf("a reconstructed pixel is %v", v)
				}
			}
		}
		if !outs[i].Shape().Equal(want) {
			t.Errorf("%s is %v, want shape %v", o.Name, outs[i], want)
		}
		if len(o.Type.Shape) != len(want) || o.Type.Shape[0].Param != Batch {
			t.Errorf("%s is declared as %+v", o.Name, o.Type)
		}
	}
	if !found {
		t.Error("no reconstruction")
	}
}

func TestWeights(t *testing.T) {
	p, err := Find("vae")
	if err != nil {
		t.Fatal(err)
	}
	build := func(c Config) map[string][]float32 {
		m, err := p.Build(c)
		if err != nil {
			t.Fatal(err)
		}
		w := map[string][]float32{}
		for _, i := range m.Graph.Initializers {
			if i.DType == tensor.Float32 {
				w[i.Name] = i.Value.Float32s()
			}
		}
		return w
	}
	a, b, c := build(Config{Seed: 1}), build(Config{Seed: 1}), build(Config{Seed: 2})
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			t.Errorf("%s differs between builds with one seed", name)
		}
		if strings.HasSuffix(name, ".weight") && slices.Equal(a[name], c[name]) {
			t.Errorf("%s is the same for two seeds", name)
		}
	}
	if !slices.Equal(a["encoder.mu.weight"][:8000], build(Config{Seed: 1, Height: 10})["encoder.mu.weight"]) {
		t.Error("a weight depends on more than its name, shape and seed")
	}
	// Uniform in ±1/√784: variance 1/(3·784).
	var sum, sq float64
	w := a["encoder.fc1.weight"]
	for _, v := range w {
		sum += float64(v)
		sq += float64(v) * float64(v)
	}
	if n := float64(len(w)); sum/n > 1e-3 || sum/n < -1e-3 || sq/n < 0.325/784 || sq/n > 0.341/784 {
		t.Errorf("mean %g, variance %g, want 0 and %g", sum/n, sq/n, 1./3/784)
	}
}

func TestConfigRefuses(t *testing.T) {
	p, err := Find("ae")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{
		{Channels: 2}, {Height: -1}, {Width: 1 << 20}, {Latent: -3}, {Hidden: []int{0}}, {Hidden: []int{1 << 30}},
		{Hidden: make([]int, 1000)}, {Height: 4096, Width: 4096, Channels: 3, Hidden: []int{1 << 20}},
	} {
		if _, err := p.Build(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestMetadata(t *testing.T) {
	p, err := Find("vae")
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Build(Config{Height: 20, Latent: 7})
	if err != nil {
		t.Fatal(err)
	}
	var props []meta.Property
	for _, kv := range m.Metadata {
		props = append(props, meta.Property{Key: kv.Key, Value: kv.Value})
	}
	d, err := meta.Decode(props)
	if err != nil {
		t.Fatal(err)
	}
	if d.Kind != meta.KindVAE || d.Preset != "vae" || d.Image.Height != 20 || d.Image.Width != 28 || len(d.Prior) != 1 || d.Prior[0].Shape[0] != 7 {
		t.Errorf("metadata %+v", d)
	}
	for _, name := range []string{d.Values.Image, d.Values.Mu, d.Values.LogVar, d.Values.Z, d.Values.Reconstruction} {
		found := slices.ContainsFunc(m.Graph.Inputs, func(v *onnx.ValueInfo) bool { return v.Name == name })
		for _, n := range m.Graph.Nodes {
			found = found || slices.Contains(n.Outputs, name)
		}
		if !found {
			t.Errorf("the graph has no value %q", name)
		}
	}
}

// TestDocumented: docs/models.md has every preset.
func TestDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/models.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range List() {
		if !strings.Contains(string(b), "--arch "+p.Name+" ") && p.Name != Default && !strings.Contains(string(b), "`"+p.Name+"`") {
			t.Errorf("docs/models.md does not mention the preset %s", p.Name)
		}
	}
}

func TestMeanImage(t *testing.T) {
	p, err := Find("iwae")
	if err != nil {
		t.Fatal(err)
	}
	mean := make([]float32, 28*28)
	mean[0], mean[1], mean[2] = 0.5, 0.9, 1
	c := Config{Seed: 1, Mean: mean}
	m, err := p.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range m.Graph.Initializers {
		want := []float64{0, math.Log(9), math.Log(999), -math.Log(999)}
		if i.Name != "decoder.fc3.bias" {
			want = make([]float64, 4)
		}
		if !strings.HasSuffix(i.Name, ".bias") {
			continue
		}
		for k, v := range i.Value.Float32s()[:4] {
			if math.Abs(float64(v)-want[k]) > 1e-4 {
				t.Errorf("%s[%d] = %g, want %g", i.Name, k, v, want[k])
			}
		}
	}
	c.Mean = mean[1:]
	if _, err := p.Build(c); err == nil {
		t.Error("a mean image of the wrong size was taken")
	}
}

package report

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

func normal(seed uint64, n int) []float32 {
	x := make([]float32, n)
	rng.New(seed).Normal(x, 0)
	return x
}

// TestFrechet: between N(0, 1) and N(m, s²·1) the distance is |m|² + dim·(1-s)².
func TestFrechet(t *testing.T) {
	const dim, n = 3, 40000
	a, b := normal(1, n*dim), normal(2, n*dim)
	if d := frechet(a, b, dim); d > 0.002 {
		t.Errorf("distance of equal distributions %g, want about 0", d)
	}
	for i := range b {
		b[i] = 2*b[i] + 1
	}
	if d, want := frechet(a, b, dim), 3+3.0; math.Abs(d-want) > 0.15 {
		t.Errorf("distance %g, want %g", d, want)
	}
}

func TestMMD(t *testing.T) {
	const dim, n = 4, 800
	a, b := normal(3, n*dim), normal(4, n*dim)
	same := mmd(a, b, dim)
	for i := range b {
		b[i] += 0.5
	}
	if moved := mmd(a, b, dim); math.Abs(same) > 0.05 || moved < 5*math.Abs(same) {
		t.Errorf("discrepancy %g of equal and %g of different distributions", same, moved)
	}
}

// TestPCA: variance is along known directions.
func TestPCA(t *testing.T) {
	const dim, n = 30, 2000
	x := normal(5, n*dim)
	total, top := 0.0, 0.0
	for i := range x {
		s := 1 / float64(1+i%dim)
		x[i] = float32(s)*x[i] + 3
	}
	for k := range dim {
		v := 1 / float64((1+k)*(1+k))
		total += v
		if k < 4 {
			top += v
		}
	}
	p := fitPCA(x, dim, 4, 1)
	if math.Abs(p.share-top/total) > 0.02 {
		t.Errorf("4 components have %g of the variance, want %g", p.share, top/total)
	}
	for k := range 4 {
		if v := math.Abs(float64(p.axes[k*dim+k])); v < 0.98 {
			t.Errorf("component %d has %g of axis %d, want about 1", k, v, k)
		}
	}
	if e, want := p.error(x), (total-top)/dim; math.Abs(e/want-1) > 0.05 {
		t.Errorf("error %g, want %g", e, want)
	}
}

// clusters are n points around each of three centres.
func clusters(n, dim int) (x []float32, labels []int) {
	x = normal(6, 3*n*dim)
	for i := range 3 * n {
		labels = append(labels, i%3)
		x[i*dim+i%3] += 12
	}
	return x, labels
}

func TestTSNEKeepsClusters(t *testing.T) {
	const n, dim = 60, 10
	x, labels := clusters(n, dim)
	y := tsne(x, dim, 1)
	xy := make([]float32, len(y))
	for i, v := range y {
		xy[i] = float32(v)
	}
	index, _ := nearest(xy, xy, 2, 6)
	same := 0
	for i, near := range index {
		for _, k := range near[1:] {
			if labels[k] == labels[i] {
				same++
			}
		}
	}
	if share := float64(same) / float64(5*3*n); share < 0.97 {
		t.Errorf("%g of the neighbours are of the same cluster", share)
	}
}

func TestProbes(t *testing.T) {
	const n, dim = 300, 6
	x, labels := clusters(n, dim)
	half := n * 3 / 2
	test, want := x[half*dim:], labels[half:]
	for _, hidden := range []int{0, 16} {
		c := trainClassifier(x[:half*dim], half, labels[:half], 3, hidden, 10, 0.01, 1)
		if a := accuracy(c.predict(test), want); a < 0.98 {
			t.Errorf("%d hidden units: accuracy %g", hidden, a)
		}
	}
	if a := accuracy(vote(test, x[:half*dim], dim, labels[:half], 3, 5), want); a < 0.98 {
		t.Errorf("nearest neighbours: accuracy %g", a)
	}
	index, dist := nearest(test[:dim], x, dim, 3)
	if index[0][0] != half || dist[0][0] > 1e-3 || dist[0][1] > dist[0][2] {
		t.Errorf("nearest of a row of the set: %v at %v", index, dist)
	}
}

// TestGradients holds the classifier's gradients against differences.
func TestGradients(t *testing.T) {
	x, labels := clusters(4, 5)
	for _, hidden := range []int{0, 4} {
		c := trainClassifier(x, 12, labels, 3, hidden, 1, 0.01, 2)
		loss := func() float64 {
			p, s := c.probabilities(c.features(x)), 0.0
			for i, l := range labels {
				s -= math.Log(float64(p[i*3+l])) / 12
			}
			return s
		}
		g := c.gradients(x, labels)
		params := [][]float32{c.w2, c.b2}
		if hidden > 0 {
			params = [][]float32{c.w1, c.b1, c.w2, c.b2}
		}
		for k, p := range params {
			for i := 0; i < len(p); i += 3 {
				old := p[i]
				const h = 2e-3
				p[i] = old + h
				up := loss()
				p[i] = old - h
				low := loss()
				p[i] = old
				if d := (up - low) / (2 * h); math.Abs(d-float64(g[k][i])) > 2e-3+0.05*math.Abs(d) {
					t.Errorf("%d hidden: parameter %d of %d: gradient %g, difference %g", hidden, i, k, g[k][i], d)
				}
			}
		}
	}
}

// trained writes a model of a preset after a few steps of training.
func trained(t *testing.T, preset string, data dataset.Source) (string, []train.Epoch) {
	t.Helper()
	p, err := arch.Find(preset)
	if err != nil {
		t.Fatal(err)
	}
	i := data.Info()
	m, err := p.Build(arch.Config{Channels: i.Channels, Height: i.Height, Width: i.Width, Hidden: []int{32}, Latent: 5, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	o, err := train.ParseObjective(p.Recipe.Objective, p.Recipe.Beta)
	if err != nil {
		t.Fatal(err)
	}
	var epochs []train.Epoch
	tr, err := train.New(train.Config{Model: m, Objective: o, Data: data, Epochs: 3, Batch: 50, LR: 3e-3, Seed: 1, OnEpoch: func(e train.Epoch) { epochs = append(epochs, e) }})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if _, err := tr.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err = tr.Model(); err != nil {
		t.Fatal(err)
	}
	if m, err = export.Finish(m, export.Options{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), preset+".onnx")
	if err := onnx.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	return path, epochs
}

func TestWrite(t *testing.T) {
	data, err := dataset.NewDigits(1, 400, 1, 12, 12, false)
	if err != nil {
		t.Fatal(err)
	}
	test, err := dataset.NewDigits(1, 150, 1, 12, 12, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		preset string
		test   dataset.Source
		want   []string // sections of the page
	}{
		{"vae", test, []string{"training", "reconstruction", "generation", "latents", "features", "curve", "origin"}},
		{"ae", nil, []string{"training", "reconstruction", "latents", "features", "origin"}},
	} {
		t.Run(c.preset, func(t *testing.T) {
			path, epochs := trained(t, c.preset, data)
			dir := filepath.Join(t.TempDir(), "a", "report")
			in := Input{Model: path, Train: data, Test: c.test, Epochs: epochs, Objective: "x<y", Config: "a: <b>", Seed: 1, Threads: 1}
			if c.test != nil {
				in.Curve = []CurvePoint{{Share: 0.01, Loss: 3}, {Share: 1, Loss: 1}, {Share: 1, Loss: 0.9, Augmented: true}}
			}
			if err := Write(context.Background(), dir, in); err != nil {
				t.Fatal(err)
			}
			page, err := os.ReadFile(filepath.Join(dir, "index.html"))
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range c.want {
				if !bytes.Contains(page, []byte(`id="`+id+`"`)) {
					t.Errorf("the page has no section %q", id)
				}
			}
			text := regexp.MustCompile(`data:image/png;base64,[A-Za-z0-9+/=&#;]+`).ReplaceAllString(string(page), "data:")
			for _, bad := range []string{"http:", "https:", "url(", "@import", "<script", "<link", "NaN", "<b>\n", "ZgotmplZ", "x<y"} {
				if strings.Contains(text, bad) {
					t.Errorf("the page contains %q", bad)
				}
			}
			for _, src := range regexp.MustCompile(`src="[^"]*"`).FindAllString(text, -1) {
				if src != `src="data:"` {
					t.Errorf("the page refers to %.80s", src)
				}
			}
			for _, tag := range []string{"section", "div", "svg", "table", "h2"} {
				if a, b := strings.Count(text, "<"+tag), strings.Count(text, "</"+tag+">"); a != b {
					t.Errorf("%d <%s>, %d </%s>", a, tag, b, tag)
				}
			}
			var n numbers
			b, err := os.ReadFile(filepath.Join(dir, "report.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &n); err != nil {
				t.Fatal(err)
			}
			if n.Reconstruction == nil || n.Latents == nil || n.Latents.Dim != 5 || n.Features == nil || n.Reconstruction.Unseen != (c.test != nil) {
				t.Fatalf("numbers %s", b)
			}
			if f := n.Features; f.PCALinear < 2*f.Chance || f.PCAKNN < 2*f.Chance || !(f.KNN > 0 && f.KNN <= 1) || !(f.Linear > 0 && f.Linear <= 1) || f.Components != 5 {
				t.Errorf("feature learning %+v", f)
			}
			if n.Images != 400 || len(n.Digest) != 64 {
				t.Errorf("data %+v", n)
			}
			kl := 0.0
			for _, u := range n.Latents.Units {
				kl += u.KL
			}
			if math.Abs(kl-n.Latents.KL) > 1e-9*(1+kl) || (c.preset == "vae") != (kl > 0) {
				t.Errorf("KL %g, of the units %g", n.Latents.KL, kl)
			}
			if card, err := os.ReadFile(filepath.Join(dir, "model-card.md")); err != nil || !bytes.Contains(card, []byte(n.Digest)) || !bytes.Contains(card, []byte("## Known biases")) {
				t.Errorf("model card (%v): %s", err, card)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		n      int
		want   []float64
	}{
		{0, 10, 5, []float64{0, 2, 4, 6, 8, 10}}, {-0.5, 0.5, 2, []float64{-0.5, 0, 0.5}}, {1, 1, 4, []float64{1}}, {0.1, 0.24, 3, []float64{0.1, 0.15, 0.2}},
	} {
		got := ticks(c.lo, c.hi, c.n)
		if len(got) != len(c.want) {
			t.Errorf("ticks(%g, %g, %d): %v, want %v", c.lo, c.hi, c.n, got, c.want)
			continue
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-9 || math.Signbit(got[i]) && got[i] == 0 {
				t.Errorf("ticks(%g, %g, %d): %v, want %v", c.lo, c.hi, c.n, got, c.want)
				break
			}
		}
	}
}

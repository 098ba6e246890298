package train

import (
	"context"
	"math"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
)

// zooCase is how a preset is tried: in miniature, on a few hundred digits.
type zooCase struct {
	hidden    []int
	latent    int
	epochs    int
	lr        float64
	objective string // instead of the preset's
	images    int    // 0: 1,000
	term      int    // that has to fall
	factor    float64
	// image bounds, for adversarial presets, an error of images instead: see imageError.
	image float64
}

// zoo has an entry for every preset: a term of the last epoch must be below factor times
// that of the first one.
var zoo = map[string]zooCase{
	"aae":                {hidden: []int{32}, latent: 4, factor: 0.75},
	"ae":                 {hidden: []int{32}, latent: 8, factor: 0.75},
	"beta-vae":           {hidden: []int{32}, latent: 4, factor: 0.9},
	"capacity-vae":       {hidden: []int{32}, latent: 4, factor: 0.95, term: 1},
	"contractive-ae":     {latent: 32, factor: 0.75},
	"conv-ae":            {hidden: []int{4, 8}, latent: 8, factor: 0.8},
	"conv-vae":           {hidden: []int{4, 8}, latent: 8, factor: 0.9},
	"cvae":               {hidden: []int{32}, latent: 4, factor: 0.9},
	"dcgan":              {hidden: []int{8, 16}, latent: 8, lr: 1e-3, objective: "gan:conv=true,rate=0.05", images: 400, epochs: 8, image: 0.5},
	"denoising-ae":       {hidden: []int{32}, latent: 8, factor: 0.8},
	"gan":                {hidden: []int{64}, latent: 8, lr: 1e-3, image: 0.3},
	"inpainting-ae":      {hidden: []int{4, 8}, latent: 8, factor: 0.8},
	"iwae":               {hidden: []int{32}, latent: 8, factor: 0.95, lr: 1e-2},
	"linear-ae":          {latent: 8, factor: 0.75},
	"photo-ae":           {hidden: []int{4, 8}, latent: 4, factor: 0.75, images: 700},
	"rae":                {hidden: []int{32}, latent: 8, factor: 0.75},
	"residual-ae":        {hidden: []int{4, 8}, latent: 8, factor: 0.75},
	"salt-and-pepper-ae": {hidden: []int{32}, latent: 8, factor: 0.8},
	"sparse-ae":          {latent: 32, factor: 0.75},
	"super-resolution":   {hidden: []int{4, 8}, latent: 8, factor: 0.8},
	"tcvae":              {hidden: []int{32}, latent: 4, factor: 0.9},
	"vae":                {hidden: []int{32}, latent: 8, factor: 0.85},
	"vae-gan":            {hidden: []int{8, 16}, latent: 8, lr: 2e-3, images: 400, epochs: 8, image: 0.6},
	"vae-logistic":       {hidden: []int{32}, latent: 8, factor: 0.9},
	"vae2":               {hidden: []int{32}, latent: 8, factor: 0.9},
	"vq-vae":             {hidden: []int{8, 16}, latent: 8, factor: 0.75, images: 500},
	"wae-mmd":            {hidden: []int{32}, latent: 4, factor: 0.75},
}

// zooConfig is the preset in miniature.
func zooConfig(t testing.TB, p arch.Preset, z zooCase) Config {
	t.Helper()
	a := arch.Config{Channels: 1, Height: side, Width: side, Hidden: z.hidden, Latent: z.latent, Seed: 5}
	if p.Config.Codes > 0 {
		a.Codes = 32
	}
	m, err := p.Build(a)
	if err != nil {
		t.Fatal(err)
	}
	spec := p.Recipe.Objective
	if z.objective != "" {
		spec = z.objective
	}
	o, err := ParseObjective(spec, p.Recipe.Beta)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Model: m, Objective: o, Data: digits(t, 1000, false), Epochs: 8, Batch: 50, LR: 3e-3, Seed: 9, Threads: 1,
		Noise: p.Recipe.Noise, Binarize: p.Recipe.Binarize}
	if z.images > 0 {
		cfg.Data = digits(t, z.images, false)
	}
	if z.epochs > 0 {
		cfg.Epochs = z.epochs
	}
	if z.lr > 0 {
		cfg.LR = z.lr
	}
	return cfg
}

// TestZooLearns trains every preset: its loss falls, and its file has no random operators
// and gives what the trainer's own graph gives.
func TestZooLearns(t *testing.T) {
	for _, p := range arch.List() {
		t.Run(p.Name, func(t *testing.T) {
			z, ok := zoo[p.Name]
			if !ok {
				t.Fatal("the preset has no case")
			}
			if testing.Short() && z.images > 0 {
				t.Skip("takes seconds")
			}
			cfg := zooConfig(t, p, z)
			if testing.Short() { // a fifth of the steps: less is gained
				cfg.Data, z.factor, z.image = digits(t, 200, false), math.Sqrt(z.factor), math.Sqrt(z.image)
			}
			var terms []float64
			cfg.OnEpoch = func(e Epoch) { terms = append(terms, e.Train.Values[z.term]) }
			tr := newTrainer(t, cfg)
			before := imageError(t, tr)
			if _, err := tr.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			switch last, after := terms[len(terms)-1], imageError(t, tr); {
			case z.image == 0 && !(last < z.factor*terms[0]):
				t.Errorf("%s %.4g: want the last below %g of the first", cfg.Objective.Parts()[z.term], terms, z.factor)
			case z.image != 0 && !(after < z.image*before):
				t.Errorf("error of images %.4g, before training %.4g: want it below %g of that", after, before, z.image)
			}
			l, err := tr.Evaluate(context.Background(), digits(t, 200, true))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v: %.4g; test %.4g; error of images %.4g, before %.4g", l.Names, terms, l.Values, imageError(t, tr), before)
			m, err := tr.Model()
			if err != nil {
				t.Fatal(err)
			}
			checkExported(t, m)
		})
	}
}

// imageError returns the mean squared error of the reconstructions of test images; of a
// generator, whose images have no counterpart, that of the mean of 200 images against the
// mean of the data.
func imageError(t *testing.T, tr *Trainer) float64 {
	t.Helper()
	const n = 200
	src := digits(t, n, true)
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	x := tensor.Must(tensor.New(tensor.Float32, n, 1, side, side))
	labels := make([]int, n)
	if err := src.Read(context.Background(), index, x.Float32s(), labels); err != nil {
		t.Fatal(err)
	}
	in := map[string]*tensor.Tensor{arch.Image: x}
	if tr.meta.Values.Label != "" {
		c := make([]int64, n)
		for i, l := range labels {
			c[i] = int64(l)
		}
		in[arch.Label] = tensor.Must(tensor.Of(c, n))
	}
	if tr.meta.Kind == meta.KindGenerator {
		z := tensor.Must(tensor.New(tensor.Float32, n, tr.meta.Prior[0].Shape[0]))
		rng.New(4).Normal(z.Float32s(), 0)
		in = map[string]*tensor.Tensor{arch.Z: z}
	}
	out, err := tr.Outputs(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	y := out[arch.Reconstruction].Float32s()
	total := 0.0
	if tr.meta.Kind != meta.KindGenerator {
		for i, v := range x.Float32s() {
			total += float64(v-y[i]) * float64(v-y[i])
		}
		return total / float64(len(y))
	}
	for p := range side * side {
		d := 0.0
		for i := range n {
			d += float64(x.Float32s()[i*side*side+p] - y[i*side*side+p])
		}
		total += d / n * d / n
	}
	return total / (side * side)
}

// checkExported checks that a model is one that anybody can run.
func checkExported(t *testing.T, m *onnx.Model) {
	t.Helper()
	if err := onnx.Check(m); err != nil {
		t.Error(err)
	}
	for _, n := range m.Graph.Nodes {
		if n.Domain != "" {
			t.Errorf("node %q is of domain %q", n.Name, n.Domain)
		}
		switch n.OpType {
		case "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout":
			t.Errorf("node %q is random: %s", n.Name, n.OpType)
		}
	}
	for _, i := range m.Graph.Initializers {
		if i.DType == tensor.Float32 && !finite(i.Value.Float32s()) {
			t.Errorf("initializer %q is not finite", i.Name)
		}
	}
}

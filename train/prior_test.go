package train

import (
	"context"
	"math"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
)

// drawn returns n samples of a two-dimensional Gaussian with mean m and factor l.
func drawn(seed uint64, n int, m [2]float64, l [3]float64) []float32 {
	r := rng.New(seed).Rand()
	var out []float32
	for range n {
		a, b := r.Normal(), r.Normal()
		out = append(out, float32(m[0]+l[0]*a), float32(m[1]+l[1]*a+l[2]*b))
	}
	return out
}

func near(a float32, b, tol float64) bool { return math.Abs(float64(a)-b) <= tol }

func TestGaussianPrior(t *testing.T) {
	mean, l := [2]float64{1, -2}, [3]float64{2, -0.5, 0.7}
	s, err := GaussianPrior("z", drawn(1, 20000, mean, l), 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range mean {
		if !near(s.Mean[i], mean[i], 0.05) {
			t.Errorf("mean %v, want %v", s.Mean, mean)
		}
	}
	for i := range l {
		if !near(s.Chol[i], l[i], 0.05) {
			t.Errorf("factor %v, want %v", s.Chol, l)
		}
	}
	checkStage(t, s)
}

func checkStage(t *testing.T, s meta.Stage) {
	t.Helper()
	m := meta.Model{Kind: meta.KindAE, Values: meta.Values{Image: "i", Z: "z", Reconstruction: "r"},
		Image: meta.Image{Width: 1, Height: 1, Channels: 1, Layout: meta.LayoutNCHW}, Prior: []meta.Stage{s}}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
}

func TestMixturePrior(t *testing.T) {
	z := append(drawn(1, 6000, [2]float64{-4, 0}, [3]float64{0.5, 0.3, 0.4}), drawn(2, 2000, [2]float64{4, 4}, [3]float64{1, 0, 1})...)
	s, err := MixturePrior("z", z, 2, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	checkStage(t, s)
	if len(s.Components) != 2 {
		t.Fatalf("%d components", len(s.Components))
	}
	a, b := s.Components[0], s.Components[1]
	if a.Weight < b.Weight {
		a, b = b, a
	}
	if !near(a.Weight, 0.75, 0.01) || !near(a.Mean[0], -4, 0.05) || !near(a.Chol[1], 0.3, 0.05) || !near(b.Mean[1], 4, 0.1) || !near(b.Chol[2], 1, 0.1) {
		t.Errorf("components %+v", s.Components)
	}
}

func TestPriorsOfDegenerateLatents(t *testing.T) {
	constant := make([]float32, 200*3)
	line := make([]float32, 200*3)
	wide := make([]float32, 50*100)
	for i := range 200 {
		line[3*i], line[3*i+1], line[3*i+2] = float32(i), float32(2*i), 7
	}
	for i := range wide {
		wide[i] = float32(i % 7)
	}
	for _, tt := range []struct {
		name string
		z    []float32
		d    int
	}{{"constant", constant, 3}, {"line", line, 3}, {"wide", wide, 100}} {
		for k := range 4 {
			var s meta.Stage
			var err error
			if k == 0 {
				s, err = GaussianPrior("z", tt.z, tt.d)
			} else {
				s, err = MixturePrior("z", tt.z, tt.d, k, 1)
			}
			if err != nil {
				t.Errorf("%s, %d components: %v", tt.name, k, err)
				continue
			}
			checkStage(t, s)
		}
	}
	for _, z := range [][]float32{nil, {1}, {1, 2, 3}, {1, float32(math.NaN())}, {float32(math.Inf(1)), 1}} {
		if _, err := GaussianPrior("z", z, 1+len(z)%2); err == nil && len(z) < 3 {
			t.Errorf("latents %v gave a prior", z)
		}
	}
}

func TestLatentsAndForward(t *testing.T) {
	tr := newTrainer(t, small(t))
	src := digits(t, 300, true)
	z, d, err := tr.Latents(context.Background(), src, 290)
	if err != nil {
		t.Fatal(err)
	}
	if d != 4 || len(z) != 4*290 {
		t.Fatalf("%d numbers of %d dimensions", len(z), d)
	}
	img := make([]float32, side*side)
	if err := src.Read(context.Background(), []int{270}, img, nil); err != nil {
		t.Fatal(err)
	}
	out, err := tr.Forward(context.Background(), img, "mu", "z", "reconstruction")
	if err != nil {
		t.Fatal(err)
	}
	for i := range d {
		if m := out[0].Float32s()[i]; m != out[1].Float32s()[i] || !near(m, float64(z[270*d+i]), 1e-5) {
			t.Errorf("latent %d of image 270: mu %v, z %v, in Latents %v", i, m, out[1].Float32s()[i], z[270*d+i])
		}
	}
	if s := out[2].Shape(); !s.Equal([]int{1, 1, side, side}) {
		t.Errorf("reconstruction %v", s)
	}
}

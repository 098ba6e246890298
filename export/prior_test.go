package export

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/aekit/aekit/internal/rng"
)

func TestFitGaussian(t *testing.T) {
	r := rng.New(1).Rand()
	const n = 20000
	x := mat.NewDense(n, 2, nil)
	for i := range n {
		a, b := r.Normal(), r.Normal()
		x.SetRow(i, []float64{3 + 2*a, -1 + 0.5*a + 1.5*b})
	}
	s, err := FitGaussian("z", x)
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{3, -1, 2, 0.5, 1.5}
	got := append(append([]float32{}, s.Mean...), s.Chol...)
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 0.05 {
			t.Errorf("mean and Cholesky factor %v, want about %v", got, want)
			break
		}
	}
	if _, err := FitGaussian("z", mat.NewDense(2, 2, nil)); err == nil {
		t.Error("two points gave a Gaussian of two dimensions")
	}
}

func TestFitGMMFindsClusters(t *testing.T) {
	r := rng.New(2).Rand()
	centres := [][2]float64{{-4, 0}, {4, 0}, {0, 6}}
	const n = 3000
	x := mat.NewDense(n, 2, nil)
	for i := range n {
		c := centres[i%3]
		x.SetRow(i, []float64{c[0] + 0.5*r.Normal(), c[1] + 0.5*r.Normal()})
	}
	s, err := FitGMM("z", x, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Components) != 3 {
		t.Fatalf("%d components", len(s.Components))
	}
	for _, c := range centres {
		best := math.Inf(1)
		for _, k := range s.Components {
			best = min(best, math.Hypot(float64(k.Mean[0])-c[0], float64(k.Mean[1])-c[1]))
		}
		if best > 0.1 {
			t.Errorf("no component near %v: nearest at distance %.2f", c, best)
		}
	}
	for _, k := range s.Components {
		if math.Abs(float64(k.Weight)-1.0/3) > 0.02 || math.Abs(float64(k.Chol[0])-0.5) > 0.05 {
			t.Errorf("component %+v, want weight 1/3 and standard deviation 0.5", k)
		}
	}
	again, err := FitGMM("z", x, 3, 5)
	if err != nil || again.Components[0].Mean[0] != s.Components[0].Mean[0] {
		t.Errorf("the same seed gave another mixture (%v)", err)
	}
}

func TestFitGMMOfConstantDimension(t *testing.T) {
	r := rng.New(3).Rand()
	x := mat.NewDense(400, 3, nil)
	for i := range 400 {
		x.SetRow(i, []float64{r.Normal(), 7, 0})
	}
	if _, err := FitGMM("z", x, 4, 1); err != nil {
		t.Error(err)
	}
}

package autoencoder

import (
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// sample draws n latent vectors z of the linear model with this prior.
func sample(t *testing.T, stage meta.Stage, n int, o Sampling) []float32 {
	t.Helper()
	md := linearMeta()
	stage.Value, stage.DType, stage.Shape = "z", "float32", []int{4}
	md.Prior = []meta.Stage{stage}
	out, err := open(t, linear(t, md), Options{}).Sample(ctx, n, o)
	if err != nil {
		t.Fatal(err)
	}
	return out["z"].Float32s()
}

func moments(v []float32, k int) (mean, variance float64) {
	n := 0.0
	for i := k; i < len(v); i += 4 {
		mean += float64(v[i])
		variance += float64(v[i]) * float64(v[i])
		n++
	}
	mean /= n
	return mean, variance/n - mean*mean
}

func TestPriorMoments(t *testing.T) {
	const n = 20000
	mean := []float32{1, -2, 0, 5}
	tests := []struct {
		name     string
		stage    meta.Stage
		temp     float64
		mean, sd [4]float64
	}{
		{"normal", meta.Stage{Distribution: meta.DistNormal}, 0, [4]float64{}, [4]float64{1, 1, 1, 1}},
		{"cold normal", meta.Stage{Distribution: meta.DistNormal}, 0.5, [4]float64{}, [4]float64{0.5, 0.5, 0.5, 0.5}},
		{"diagonal", meta.Stage{Distribution: meta.DistGaussian, Mean: mean, Chol: []float32{1, 2, 3, 0.5}}, 1, [4]float64{1, -2, 0, 5}, [4]float64{1, 2, 3, 0.5}},
		{"full", meta.Stage{Distribution: meta.DistGaussian, Mean: mean, Chol: []float32{2, 3, 4, 0, 0, 1, 0, 0, 0, 0.25}}, 1, [4]float64{1, -2, 0, 5}, [4]float64{2, 5, 1, 0.25}},
		{"mixture", meta.Stage{Distribution: meta.DistGMM, Components: []meta.Component{
			{Weight: 0.25, Mean: []float32{4, 0, 0, 0}, Chol: []float32{1, 1, 1, 1}},
			{Weight: 0.75, Mean: []float32{0, 0, 0, 0}, Chol: []float32{1, 1, 1, 1}},
		}}, 1, [4]float64{1}, [4]float64{2, 1, 1, 1}},
		{"coins", meta.Stage{Distribution: meta.DistBernoulli}, 1, [4]float64{0.5, 0.5, 0.5, 0.5}, [4]float64{0.5, 0.5, 0.5, 0.5}},
		{"classes", meta.Stage{Distribution: meta.DistCategorical, Classes: 3}, 1, [4]float64{1, 1, 1, 1}, [4]float64{math.Sqrt(2. / 3), math.Sqrt(2. / 3), math.Sqrt(2. / 3), math.Sqrt(2. / 3)}},
	}
	for _, c := range tests {
		v := sample(t, c.stage, n, Sampling{Seed: 7, Temperature: c.temp})
		for k := range 4 {
			m, va := moments(v, k)
			// Five standard errors of the mean, and of the deviation with a margin for tails.
			if tol := 5 * c.sd[k] / math.Sqrt(n); math.Abs(m-c.mean[k]) > tol || math.Abs(math.Sqrt(va)-c.sd[k]) > 2*tol {
				t.Errorf("%s: element %d has mean %.4f, deviation %.4f, want %v, %v", c.name, k, m, math.Sqrt(va), c.mean[k], c.sd[k])
			}
		}
	}
	// The factor of "full" correlates elements 0 and 1: covariance 2·3.
	v := sample(t, tests[3].stage, n, Sampling{Seed: 7})
	cov := 0.0
	for i := 0; i < len(v); i += 4 {
		cov += (float64(v[i]) - 1) * (float64(v[i+1]) + 2)
	}
	if cov /= n; math.Abs(cov-6) > 0.4 {
		t.Errorf("full: covariance %.3f, want 6", cov)
	}
}

// The draws of a seed are part of the file format: they must not change, on any machine.
func TestSamplesAreStable(t *testing.T) {
	tests := []struct {
		name  string
		stage meta.Stage
		want  uint64
	}{
		{"normal", meta.Stage{Distribution: meta.DistNormal}, 0xe492f69a823a395a},
		{"full", meta.Stage{Distribution: meta.DistGaussian, Mean: []float32{1, -2, 0, 5}, Chol: []float32{2, 3, 4, 0, 0, 1, 0, 0, 0.1, 0.25}}, 0x13341eff23697692},
		{"mixture", meta.Stage{Distribution: meta.DistGMM, Components: []meta.Component{
			{Weight: 0.25, Mean: []float32{4, 0, 0, 0}, Chol: []float32{1, 0.3, 1, 1}},
			{Weight: 0.75, Mean: []float32{0, 0, 0, 0}, Chol: []float32{1, 1, 0.7, 1}},
		}}, 0x73933edc4c617e1a},
		{"coins", meta.Stage{Distribution: meta.DistBernoulli}, 0xa66ffc0810543a48},
		{"classes", meta.Stage{Distribution: meta.DistCategorical, Classes: 10}, 0xedfab3101e3b62db},
	}
	for _, c := range tests {
		v := sample(t, c.stage, 64, Sampling{Seed: 12345, Temperature: 0.8})
		h := fnv.New64a()
		for _, x := range v {
			u := math.Float32bits(x)
			h.Write([]byte{byte(u), byte(u >> 8), byte(u >> 16), byte(u >> 24)})
		}
		if got := h.Sum64(); got != c.want {
			t.Errorf("%s: hash of 64 samples %#x, want %#x; the first is %v", c.name, got, c.want, v[:4])
		}
	}
}

// TestStandardPrior: a model can be asked for the standard normal instead of the prior that
// it names; one with discrete latents has none.
func TestStandardPrior(t *testing.T) {
	md := linearMeta()
	md.Prior = []meta.Stage{{Value: "z", Distribution: meta.DistGaussian, DType: "float32", Shape: []int{4}, Mean: []float32{9, 9, 9, 9}, Chol: []float32{1, 1, 1, 1}}}
	out, err := open(t, linear(t, md), Options{}).Sample(ctx, 8, Sampling{Seed: 5, Standard: true})
	if err != nil {
		t.Fatal(err)
	}
	want := sample(t, meta.Stage{Distribution: meta.DistNormal}, 8, Sampling{Seed: 5})
	if got := out["z"].Float32s(); !slices.Equal(got, want) {
		t.Errorf("drew %v, want the standard normal's %v", got, want)
	}
	if _, err := open(t, quantising(t), Options{}).Sample(ctx, 1, Sampling{Standard: true}); !errors.Is(err, ErrNoPrior) {
		t.Errorf("discrete latents: %v, want ErrNoPrior", err)
	}
}

func TestSamplesDoNotDependOnBatches(t *testing.T) {
	stage := meta.Stage{Distribution: meta.DistNormal}
	all := sample(t, stage, 10, Sampling{Seed: 5})
	if part := sample(t, stage, 3, Sampling{Seed: 5, First: 4}); !slices.Equal(part, all[16:28]) {
		t.Errorf("samples 4 to 6 are %v, want %v", part, all[16:28])
	}
	if other := sample(t, stage, 10, Sampling{Seed: 6}); slices.Equal(all, other) {
		t.Error("seeds 5 and 6 give the same samples")
	}
	a, err := open(t, linear(t, linearMeta()), Options{Batch: 3}).Generate(ctx, 10, Sampling{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, linear(t, linearMeta()), Options{Batch: 64}).Generate(ctx, 10, Sampling{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if !slices.Equal(pixelsOf(t, a[i]), pixelsOf(t, b[i])) {
			t.Errorf("image %d depends on the batch size", i)
		}
	}
}

// quantising is a model with discrete codes and an autoregressive prior: the logits of code
// k force it to be the code before it plus one, modulo 4; the first is 0 or 1.
func quantising(t *testing.T) *onnx.Model {
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, batchDim, onnx.FixedDim(4))
	four := b.Initializer("four", tensor.Scalar(float32(4)))
	b.Op("Mul", "scaled", []string{x, four})
	b.Op("Cast", "codes", []string{"scaled"}, onnx.AttrI("to", int64(tensor.Int64)))
	book := b.Initializer("book", of([]float32{0, 0.25, 0.5, 0.75}, 4))
	b.Op("Gather", "z", []string{book, "codes"})
	b.Op("Identity", "reconstruction", []string{"z"})
	b.Output("reconstruction", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Value("codes", tensor.Int64, batchDim, onnx.FixedDim(4))
	// previous = [-1, c0, c1, c2]; next = previous + 1 mod 4, as rows of a matrix of logits.
	b.Op("Slice", "head", []string{"codes", b.Initializer("i0", of([]int64{0}, 1)), b.Initializer("i3", of([]int64{3}, 1)), b.Initializer("axis", of([]int64{1}, 1))})
	b.Op("Gather", "rows", []string{b.Initializer("next", of([]float32{
		-1e9, 0, -1e9, -1e9,
		-1e9, -1e9, 0, -1e9,
		-1e9, -1e9, -1e9, 0,
		0, -1e9, -1e9, -1e9,
	}, 4, 4)), "head"})
	b.Op("Slice", "shape0", []string{"codes", b.Initializer("j0", of([]int64{0}, 1)), b.Initializer("j1", of([]int64{1}, 1)), "axis"})
	b.Op("Mul", "zeros", []string{"shape0", b.Initializer("nil", of([]int64{0}, 1))})
	b.Op("Gather", "first", []string{b.Initializer("start", of([]float32{0, 0, -1e9, -1e9}, 1, 4)), "zeros"})
	b.Op("Concat", "logits", []string{"first", "rows"}, onnx.AttrI("axis", 1))
	b.Output("logits", tensor.Float32, batchDim, onnx.FixedDim(4), onnx.FixedDim(4))
	return finish(t, b, &meta.Model{
		Kind:   meta.KindVQ,
		Values: meta.Values{Image: "image", Codes: "codes", Z: "z", Reconstruction: "reconstruction"},
		Image:  meta.Image{Width: 2, Height: 2, Channels: 1, Layout: meta.LayoutFlat},
		Prior: []meta.Stage{{Value: "codes", Distribution: meta.DistCategorical, DType: "int64", Shape: []int{4},
			Given: []string{"codes"}, Params: []string{"logits"}, Length: 4, Classes: 4}},
	})
}

func TestAutoregressivePrior(t *testing.T) {
	m := open(t, quantising(t), Options{Batch: 16})
	out, err := m.Sample(ctx, 40, Sampling{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	codes := tensor.Data[int64](out["codes"])
	starts := map[int64]int{}
	for i := 0; i < len(codes); i += 4 {
		c := codes[i : i+4]
		starts[c[0]]++
		for k := 1; k < 4; k++ {
			if c[k] != (c[k-1]+1)%4 {
				t.Fatalf("sample %d: codes %v", i/4, c)
			}
		}
	}
	if starts[0] == 0 || starts[1] == 0 || starts[0]+starts[1] != 40 {
		t.Errorf("first codes: %v, want zeros and ones", starts)
	}
	images, err := m.Generate(ctx, 40, Sampling{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, img := range images {
		for k, p := range pixelsOf(t, img) {
			if want := uint8(math.RoundToEven(float64(codes[i*4+k]) * 0.25 * 255)); p != want {
				t.Fatalf("image %d is %v for codes %v", i, pixelsOf(t, img), codes[i*4:][:4])
			}
		}
	}
	if _, err := m.Interpolate(ctx, grey(2, 0, 0, 0, 0), grey(2, 250, 0, 0, 0), 3, Linear); !errors.Is(err, ErrDiscrete) {
		t.Errorf("Interpolate: %v", err)
	}
	l, err := m.Encode(ctx, grey(2, 0, 70, 130, 200))
	if err != nil || !slices.Equal(tensor.Data[int64](l.Codes), []int64{0, 1, 2, 3}) {
		t.Errorf("codes %v, %v", l, err)
	}
}

// Two layers: z2 is normal, z1 is gaussian around 3·z2 with deviation e^-2.
func TestTwoStages(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Op("Identity", "z1", []string{x})
	b.Op("Identity", "z2", []string{"z1"})
	b.Op("Mul", "mu1", []string{"z2", b.Initializer("three", tensor.Scalar(float32(3)))})
	b.Op("Mul", "none", []string{"z2", b.Initializer("zero", tensor.Scalar(float32(0)))})
	b.Op("Sub", "logvar1", []string{"none", b.Initializer("four", tensor.Scalar(float32(4)))})
	b.Op("Identity", "reconstruction", []string{"z1"})
	b.Output("reconstruction", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Output("mu1", tensor.Float32, batchDim, onnx.FixedDim(4))
	b.Output("logvar1", tensor.Float32, batchDim, onnx.FixedDim(4))
	md := linearMeta()
	md.Values.Z = "z1"
	md.Prior = []meta.Stage{
		{Value: "z2", Distribution: meta.DistNormal, DType: "float32", Shape: []int{4}},
		{Value: "z1", Distribution: meta.DistGaussian, DType: "float32", Shape: []int{4}, Given: []string{"z2"}, Params: []string{"mu1", "logvar1"}},
	}
	m := open(t, finish(t, b, md), Options{Batch: 512})
	out, err := m.Sample(ctx, 4000, Sampling{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	z1, z2 := out["z1"].Float32s(), out["z2"].Float32s()
	diff := make([]float32, len(z1))
	for i := range diff {
		diff[i] = z1[i] - 3*z2[i]
	}
	for k := range 4 {
		if mean, v := moments(diff, k); math.Abs(mean) > 0.02 || math.Abs(math.Sqrt(v)-math.Exp(-2)) > 0.02 {
			t.Errorf("element %d: z1 - 3·z2 has mean %.4f, deviation %.4f, want 0, %.4f", k, mean, math.Sqrt(v), math.Exp(-2))
		}
	}
	if _, err := m.Generate(ctx, 4, Sampling{Seed: 2}); err != nil {
		t.Error(err)
	}
	md.Prior[0].Value = "gone"
	if _, err := open(t, finishAgain(t, m, md), Options{}).Generate(ctx, 1, Sampling{}); !errors.Is(err, ErrNoPrior) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("prior over a value that is not there: %v", err)
	}
}

// finishAgain returns the model of m with other metadata.
func finishAgain(t *testing.T, m *Model, md *meta.Model) *onnx.Model {
	t.Helper()
	props, err := meta.Encode(md)
	if err != nil {
		t.Fatal(err)
	}
	c := *m.Session().Model()
	c.Metadata = nil
	for _, p := range props {
		c.Metadata = append(c.Metadata, onnx.StringPair{Key: p.Key, Value: p.Value})
	}
	return &c
}

func TestCategory(t *testing.T) {
	tests := []struct {
		logits  []float32
		temp, u float64
		want    int
		bad     bool
	}{
		{[]float32{0, 0, 0, 0}, 1, 0, 0, false},
		{[]float32{0, 0, 0, 0}, 1, 0.3, 1, false},
		{[]float32{0, 0, 0, 0}, 1, 0.999999, 3, false},
		{[]float32{1000, -1000}, 1, 0.999999, 0, false},
		{[]float32{0, 1}, 0.01, 0.001, 1, false},
		{[]float32{0, float32(math.Inf(-1))}, 1, 0.999999, 0, false},
		{[]float32{0, float32(math.NaN())}, 1, 0.5, 0, true},
		{[]float32{0, float32(math.Inf(1))}, 1, 0.5, 0, true},
	}
	for _, c := range tests {
		got, err := category(c.logits, c.temp, c.u)
		if (err != nil) != c.bad || got != c.want {
			t.Errorf("category(%v, %v, %v) = %v, %v; want %v", c.logits, c.temp, c.u, got, err, c.want)
		}
	}
}

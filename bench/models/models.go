// Package models generates the reference models of the benchmarks. Their weights are random
// numbers from a fixed seed, scaled so that activations keep their size from layer to layer:
// speed does not depend on values, and no weights need to be kept anywhere.
package models

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Reference is one model. Its input "x" and its output "y" are float32 with a leading batch
// axis of any extent.
type Reference struct {
	Name string
	What string // its layers, in short
	In   []int  // extents of one input
	// Large models take seconds for a batch; they are run with batch 1 unless asked otherwise.
	Large bool
	build func(b *builder, x string) string
}

// All are the reference models, in the order of the tables.
var All = []Reference{
	{Name: "seed-ae", What: "784-64-32-32-32-64-784, relu, sigmoid", In: []int{784}, build: seedAE},
	{Name: "mlp-vae-enc", What: "784-400-(20,20)", In: []int{784}, build: mlpEncoder},
	{Name: "mlp-vae-dec", What: "20-400-784, sigmoid", In: []int{20}, build: mlpDecoder},
	{Name: "big-vae-dec", What: "64-1024-1024-3072, sigmoid", In: []int{64}, build: bigDecoder},
	{Name: "ad01", What: "640-128×4-8-128×4-640, batch normalisation, relu", In: []int{640}, build: ad01},
	{Name: "conv-ae", What: "28×28: conv 3×3 s2 1-32-64, dense 3136-32-3136, convT 4×4 s2 64-32-1", In: []int{1, 28, 28}, build: convAE},
	{Name: "conv-vae-enc", What: "64×64: conv 4×4 s2 3-32-64-128-256, BN, leaky relu, dense 4096-128", In: []int{3, 64, 64}, build: convEncoder},
	{Name: "conv-vae-dec", What: "64×64: dense 128-4096, convT 4×4 s2 256-128-64-32-3, BN, leaky relu, sigmoid", In: []int{128}, build: convDecoder},
	{Name: "separable-ae", What: "64×64: 3×3 depthwise and 1×1 convolutions of 32 to 128 channels, BN, relu, nearest ×2 twice", In: []int{3, 64, 64}, build: separable},
	{Name: "residual-dec", What: "256×256: 3×3 convolutions of 64 channels in residual blocks, nearest ×2 three times", In: []int{4, 32, 32}, Large: true, build: residualDecoder},
}

// Find returns the model of that name.
func Find(name string) (Reference, error) {
	for _, r := range All {
		if r.Name == name {
			return r, nil
		}
	}
	return Reference{}, fmt.Errorf("there is no reference model %q", name)
}

// Model builds the model. Two calls give equal models.
func (r *Reference) Model() (*onnx.Model, error) {
	b := &builder{Builder: onnx.NewBuilder(17)}
	b.Name(r.Name)
	dims := []onnx.Dim{onnx.NamedDim("N")}
	for _, n := range r.In {
		dims = append(dims, onnx.FixedDim(int64(n)))
	}
	y := r.build(b, b.Input("x", tensor.Float32, dims...))
	y = b.Op("Identity", "y", []string{y})
	out := []onnx.Dim{onnx.NamedDim("N")}
	for _, n := range b.out {
		out = append(out, onnx.FixedDim(int64(n)))
	}
	b.Output(y, tensor.Float32, out...)
	if b.err != nil {
		return nil, b.err
	}
	return b.Builder.Model()
}

// Input returns a batch of inputs: uniform in [0, 1) for images, normal for latent vectors.
func (r *Reference) Input(batch int, seed uint64) (*tensor.Tensor, error) {
	t, err := tensor.New(tensor.Float32, append([]int{batch}, r.In...)...)
	if err != nil {
		return nil, err
	}
	s := rng.New(seed, 1)
	if r.Name == "mlp-vae-dec" || r.Name == "big-vae-dec" || r.Name == "conv-vae-dec" || r.Name == "residual-dec" {
		s.Normal(t.Float32s(), 0)
	} else {
		s.Uniform(t.Float32s(), 0)
	}
	return t, nil
}

// builder adds layers with random weights.
type builder struct {
	*onnx.Builder
	n   uint64 // initializers so far
	out []int  // extents of the output of one input
	err error
}

// constant adds an initializer of the given shape with values around mean.
func (b *builder) constant(mean, deviation float64, shape ...int) string {
	b.n++
	t, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		b.err = err
		return ""
	}
	x := t.Float32s()
	rng.New(b.n).Normal(x, 0)
	for i, v := range x {
		x[i] = float32(mean + deviation*float64(v))
	}
	return b.Initializer(fmt.Sprintf("w%d", b.n), t)
}

// dense adds a layer from in to out values, with an activation unless act is "".
func (b *builder) dense(x string, in, out int, act string) string {
	w := b.constant(0, math.Sqrt(2/float64(in)), out, in)
	x = b.Op("Gemm", "", []string{x, w, b.constant(0, 0.05, out)}, onnx.AttrI("transB", 1))
	return b.act(x, act)
}

func (b *builder) act(x, act string) string {
	switch act {
	case "":
		return x
	case "LeakyRelu":
		return b.Op(act, "", []string{x}, onnx.AttrF("alpha", 0.2))
	}
	return b.Op(act, "", []string{x})
}

// norm adds a batch normalisation of n channels.
func (b *builder) norm(x string, n int) string {
	return b.Op("BatchNormalization", "", []string{x, b.constant(1, 0.1, n), b.constant(0, 0.1, n), b.constant(0, 0.1, n), b.positive(n)})
}

// positive adds variances.
func (b *builder) positive(n int) string {
	b.n++
	t, err := tensor.New(tensor.Float32, n)
	if err != nil {
		b.err = err
		return ""
	}
	rng.New(b.n).Uniform(t.Float32s(), 0)
	for i := range t.Float32s() {
		t.Float32s()[i] += 0.5
	}
	return b.Initializer(fmt.Sprintf("w%d", b.n), t)
}

// conv adds a convolution with kernel k, pads on all sides.
func (b *builder) conv(x string, in, out, k, stride, pad int) string {
	w := b.constant(0, math.Sqrt(2/float64(in*k*k)), out, in, k, k)
	return b.Op("Conv", "", []string{x, w, b.constant(0, 0.05, out)}, window(k, stride, pad)...)
}

// depthwise adds a convolution of each of n channels by itself.
func (b *builder) depthwise(x string, n, k, stride, pad int) string {
	w := b.constant(0, math.Sqrt(2/float64(k*k)), n, 1, k, k)
	return b.Op("Conv", "", []string{x, w, b.constant(0, 0.05, n)}, append(window(k, stride, pad), onnx.AttrI("group", int64(n)))...)
}

// twice doubles height and width by repeating each pixel.
func (b *builder) twice(x string) string {
	b.n++
	scales, err := tensor.Of([]float32{1, 1, 2, 2}, 4)
	if err != nil {
		b.err = err
		return ""
	}
	return b.Op("Resize", "", []string{x, "", b.Initializer(fmt.Sprintf("w%d", b.n), scales)}, onnx.AttrS("mode", "nearest"),
		onnx.AttrS("coordinate_transformation_mode", "asymmetric"), onnx.AttrS("nearest_mode", "floor"))
}

// deconv adds a transposed convolution.
func (b *builder) deconv(x string, in, out, k, stride, pad int) string {
	w := b.constant(0, math.Sqrt(2*float64(stride*stride)/float64(in*k*k)), in, out, k, k)
	return b.Op("ConvTranspose", "", []string{x, w, b.constant(0, 0.05, out)}, window(k, stride, pad)...)
}

func window(k, stride, pad int) []*onnx.Attribute {
	p, s := int64(pad), int64(stride)
	return []*onnx.Attribute{onnx.AttrIs("kernel_shape", int64(k), int64(k)), onnx.AttrIs("strides", s, s), onnx.AttrIs("pads", p, p, p, p)}
}

// reshape gives each input the extents dims.
func (b *builder) reshape(x string, dims ...int) string {
	b.n++
	shape := []int64{-1}
	for _, d := range dims {
		shape = append(shape, int64(d))
	}
	t, err := tensor.Of(shape, len(shape))
	if err != nil {
		b.err = err
		return ""
	}
	return b.Op("Reshape", "", []string{x, b.Initializer(fmt.Sprintf("w%d", b.n), t)})
}

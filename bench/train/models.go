package main

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/bench/models"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
)

// subject is a model with an objective and a batch size.
type subject struct {
	name      string
	batch     int
	image     [3]int // channels, height, width
	objective train.Objective
	model     func() (*onnx.Model, error)
}

// subjects are the rows of the table. steps.py has the same models.
var subjects = []subject{
	{"seed-ae", 256, [3]int{1, 28, 28}, train.MSE{}, preset("ae", 32, 64, 32, 32)},
	{"mlp-vae", 128, [3]int{1, 28, 28}, train.ELBO{}, preset("vae", 20, 400)},
	{"iwae-vae", 20, [3]int{1, 28, 28}, train.ELBO{}, preset("iwae", 50, 200, 200)},
	{"iwae-vae", 256, [3]int{1, 28, 28}, train.ELBO{}, preset("iwae", 50, 200, 200)},
	{"conv-ae", 128, [3]int{1, 28, 28}, train.MSE{}, reference("conv-ae")},
	{"conv-vae", 64, [3]int{3, 64, 64}, train.ELBO{}, convVAE},
}

func find(name string, batch int) (subject, error) {
	for _, s := range subjects {
		if s.name == name && s.batch == batch {
			return s, nil
		}
	}
	return subject{}, fmt.Errorf("there is no model %q with batch %d", name, batch)
}

// preset builds an architecture of package arch for 28×28 images.
func preset(name string, latent int, hidden ...int) func() (*onnx.Model, error) {
	return func() (*onnx.Model, error) {
		p, err := arch.Find(name)
		if err != nil {
			return nil, err
		}
		return p.Build(arch.Config{Hidden: hidden, Latent: latent})
	}
}

// reference builds a reference model that is an autoencoder as a whole.
func reference(name string) func() (*onnx.Model, error) {
	return func() (*onnx.Model, error) {
		r, err := models.Find(name)
		if err != nil {
			return nil, err
		}
		m, err := r.Model()
		if err != nil {
			return nil, err
		}
		m.Graph.ValueInfo = nil
		return annotated(m, meta.KindAE, meta.Values{Image: "x", Z: "z", Reconstruction: "y"}, r.In)
	}
}

func annotated(m *onnx.Model, kind string, v meta.Values, size []int) (*onnx.Model, error) {
	err := train.Annotate(m, func(d *meta.Model) {
		d.Kind, d.Values = kind, v
		d.Image = meta.Image{Channels: size[0], Height: size[1], Width: size[2], Layout: meta.LayoutNCHW}
	})
	return m, err
}

// layers adds the layers of convVAE.
type layers struct {
	*onnx.Builder
	n   uint64
	err error
}

func (b *layers) weights(bound float64, shape ...int) string {
	b.n++
	t, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		b.err = err
		return ""
	}
	w := t.Float32s()
	rng.New(b.n).Uniform(w, 0)
	for i, u := range w {
		w[i] = float32(bound) * (2*u - 1)
	}
	return b.Initializer(fmt.Sprintf("w%d", b.n), t)
}

func (b *layers) filled(v float32, n int) string {
	b.n++
	x := make([]float32, n)
	for i := range x {
		x[i] = v
	}
	t, err := tensor.Of(x, n)
	if err != nil {
		b.err = err
		return ""
	}
	return b.Initializer(fmt.Sprintf("w%d", b.n), t)
}

func (b *layers) dense(name, x string, in, out int) string {
	bound := 1 / math.Sqrt(float64(in))
	return b.Op("Gemm", name, []string{x, b.weights(bound, in, out), b.weights(bound, out)})
}

// conv adds a convolution, or a transposed one, of 4×4 windows and stride 2.
func (b *layers) conv(opType, x string, in, out int) string {
	shape, fan := []int{out, in, 4, 4}, 16*in
	if opType == "ConvTranspose" {
		shape, fan = []int{in, out, 4, 4}, 4*in
	}
	bound := 1 / math.Sqrt(float64(fan))
	return b.Op(opType, "", []string{x, b.weights(bound, shape...), b.weights(bound, out)},
		onnx.AttrIs("kernel_shape", 4, 4), onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))
}

func (b *layers) norm(x string, n int) string {
	x = b.Op("BatchNormalization", "", []string{x, b.filled(1, n), b.filled(0, n), b.filled(0, n), b.filled(1, n)})
	return b.Op("LeakyRelu", "", []string{x}, onnx.AttrF("alpha", 0.2))
}

// convVAE is 3×64×64 - 32 - 64 - 128 - 256 channels, each layer halving the image, with
// batch normalisation and LeakyRelu; 128 latents; and the mirror image of it.
func convVAE() (*onnx.Model, error) {
	const latent = 128
	channels := []int{3, 32, 64, 128, 256}
	b := &layers{Builder: onnx.NewBuilder(17)}
	b.Name("conv-vae")
	dims := []onnx.Dim{onnx.NamedDim("N"), onnx.FixedDim(3), onnx.FixedDim(64), onnx.FixedDim(64)}
	x := b.Input("x", tensor.Float32, dims...)
	for i := range 4 {
		x = b.norm(b.conv("Conv", x, channels[i], channels[i+1]), channels[i+1])
	}
	x = b.Op("Flatten", "", []string{x})
	mu := b.dense("mu", x, 4096, latent)
	b.dense("logvar", x, 4096, latent)
	z := b.Op("Identity", "z", []string{mu})
	shape, err := tensor.Of([]int64{-1, 256, 4, 4}, 4)
	if err != nil {
		return nil, err
	}
	x = b.Op("Reshape", "", []string{b.dense("", z, latent, 4096), b.Initializer("shape", shape)})
	for i := 4; i > 1; i-- {
		x = b.norm(b.conv("ConvTranspose", x, channels[i], channels[i-1]), channels[i-1])
	}
	x = b.Op("Sigmoid", "y", []string{b.conv("ConvTranspose", x, channels[1], channels[0])})
	b.Output(x, tensor.Float32, dims...)
	for _, v := range []string{"mu", "logvar"} {
		b.Output(v, tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(latent))
	}
	if b.err != nil {
		return nil, b.err
	}
	m, err := b.Model()
	if err != nil {
		return nil, err
	}
	return annotated(m, meta.KindVAE, meta.Values{Image: "x", Mu: "mu", LogVar: "logvar", Z: "z", Reconstruction: "y"}, []int{3, 64, 64})
}

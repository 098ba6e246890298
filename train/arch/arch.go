// Package arch holds the architectures that can be trained: functions that return an ONNX
// model with fresh weights.
//
// A model takes "image", float32 [batch, channels, height, width] with pixels in [0, 1],
// and gives "reconstruction" of the same shape. In between it names "z", the latent
// vectors, float32 [batch, latent], and, if it is variational, "mu" and "logvar". In a
// variational model z is computed as mu, so that the exported graph is deterministic;
// training puts sampling in that place (see package train). Everything that a program has
// to know to use the model is in its metadata.
//
// Weights are a function of the seed and of their names alone.
package arch

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Opset is the version of the standard operators that models are written in.
const Opset = 17

// Names of values that models use.
const (
	Image          = "image"
	Mu             = "mu"
	LogVar         = "logvar"
	Z              = "z"
	Reconstruction = "reconstruction"
	Label          = "label" // of conditional models: int64 [batch]
)

// Batch is the name of the batch dimension.
const Batch = "batch"

// Config is what an architecture leaves open. Zero fields take the preset's values.
type Config struct {
	Channels, Height, Width int
	// Hidden are the widths (dense) or channels (convolutional) of the encoder's hidden
	// layers, from the image inwards. The decoder has them in the opposite order.
	Hidden  []int
	Latent  int // elements of z; of a quantising model, those of one vector of the codebook
	Codes   int // vectors of the codebook of a quantising model
	Classes int // labels of a conditional model
	Seed    uint64
	// Mean is the mean of the training images, [Channels·Height·Width] with values in
	// [0, 1]. Presets with Recipe.Mean begin with it as their reconstruction of all
	// images; others do not use it. It may be nil.
	Mean []float32
}

// Recipe is how a preset is trained unless the user says otherwise.
type Recipe struct {
	Objective string  // a specification for train.ParseObjective
	Beta      float64 // weight of the KL term of an ELBO
	Epochs    int
	Batch     int
	LR        float64 // of Adam
	Noise     Noise   // added to the encoder's input
	Binarize  string  // how images become black and white; see train.Config
	Schedule  string  // of the learning rate; empty: constant
	Optimizer string  // a specification for train.ParseOptimizer; empty: adam
	Mean      bool    // Config.Mean is of use
	Tiles     bool    // photographs of a folder are cut into parts of the size, not resized
}

// Noise is a corruption of the images that a denoising autoencoder sees; its loss compares
// with the clean images.
type Noise struct {
	Kind  string  // "", "gaussian", "salt-and-pepper", "mask" (single pixels) or "block" (a rectangle)
	Level float64 // standard deviation, or share of pixels
}

// Preset is a named architecture with defaults.
type Preset struct {
	Name   string
	Kind   string // as in the metadata: "ae", "vae", "vq-vae" or "generator"
	Doc    string // one sentence
	Config Config
	Recipe Recipe

	build func(b *builder, c *Config) error
}

// List returns every preset, sorted by name.
func List() []Preset { return slices.Clone(presets) }

// Default is the name of the preset that is used where none is named.
const Default = "vae"

// Find returns the preset of that name.
func Find(name string) (Preset, error) {
	for _, p := range presets {
		if p.Name == name {
			return p, nil
		}
	}
	var names []string
	for _, p := range presets {
		names = append(names, p.Name)
	}
	return Preset{}, fmt.Errorf("arch: no preset %q; there are %s", name, strings.Join(names, ", "))
}

// Limits of a Config: beyond them sizes would not fit 32-bit integers.
const (
	maxSide   = 1 << 12
	maxWidth  = 1 << 20
	maxLayers = 64
)

// Fill returns c with zero fields replaced by the preset's defaults, checked.
func (p Preset) Fill(c Config) (Config, error) {
	d := p.Config
	for _, f := range []struct{ have, def *int }{
		{&c.Channels, &d.Channels}, {&c.Height, &d.Height}, {&c.Width, &d.Width}, {&c.Latent, &d.Latent},
		{&c.Codes, &d.Codes}, {&c.Classes, &d.Classes},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	if c.Hidden == nil {
		c.Hidden = d.Hidden
	}
	c.Hidden = slices.Clone(c.Hidden)
	switch {
	case c.Channels != 1 && c.Channels != 3:
		return c, fmt.Errorf("arch: %d channels, want 1 or 3", c.Channels)
	case c.Height < 1 || c.Width < 1 || c.Height > maxSide || c.Width > maxSide:
		return c, fmt.Errorf("arch: image size %dx%d, want 1 to %d each", c.Width, c.Height, maxSide)
	case c.Latent < 1 || c.Latent > maxWidth:
		return c, fmt.Errorf("arch: latent size %d, want 1 to %d", c.Latent, maxWidth)
	case c.Codes < 0 || c.Codes > maxWidth || c.Classes < 0 || c.Classes > maxWidth:
		return c, fmt.Errorf("arch: %d codes, %d classes, want at most %d", c.Codes, c.Classes, maxWidth)
	case (c.Classes > 0) != (d.Classes > 0):
		return c, fmt.Errorf("arch: %d classes, preset %s has %d", c.Classes, p.Name, d.Classes)
	case (c.Codes > 0) != (d.Codes > 0):
		return c, fmt.Errorf("arch: %d codes, preset %s has %d", c.Codes, p.Name, d.Codes)
	case len(c.Hidden) > maxLayers:
		return c, fmt.Errorf("arch: %d hidden layers, want at most %d", len(c.Hidden), maxLayers)
	}
	if n := c.Channels * c.Height * c.Width; c.Mean != nil && len(c.Mean) != n {
		return c, fmt.Errorf("arch: a mean image of %d values, want %d", len(c.Mean), n)
	}
	for _, h := range c.Hidden {
		if h < 1 || h > maxWidth {
			return c, fmt.Errorf("arch: hidden width %d, want 1 to %d", h, maxWidth)
		}
	}
	return c, nil
}

// Build returns a model with weights drawn from c.Seed.
func (p Preset) Build(c Config) (*onnx.Model, error) {
	c, err := p.Fill(c)
	if err != nil {
		return nil, err
	}
	b := &builder{Builder: onnx.NewBuilder(Opset), seed: c.Seed}
	b.Name(p.Name)
	if p.Kind == meta.KindGenerator {
		b.Input(Z, tensor.Float32, onnx.NamedDim(Batch), onnx.FixedDim(int64(c.Latent)))
	} else {
		b.Input(Image, tensor.Float32, imageDims(&c)...)
	}
	if p.Recipe.Mean {
		b.mean = c.Mean
	}
	b.meta = meta.Model{
		Kind: p.Kind, Preset: p.Name,
		Values: meta.Values{Image: Image, Z: Z, Reconstruction: Reconstruction},
		Image:  meta.Image{Width: c.Width, Height: c.Height, Channels: c.Channels, Layout: meta.LayoutNCHW},
	}
	switch p.Kind {
	case meta.KindVAE:
		b.meta.Values.Mu, b.meta.Values.LogVar = Mu, LogVar
		b.normalPrior(&c)
	case meta.KindGenerator:
		b.meta.Values.Image = ""
		b.normalPrior(&c)
	}
	if c.Classes > 0 {
		b.Input(Label, tensor.Int64, onnx.NamedDim(Batch))
		b.meta.Values.Label, b.meta.Classes = Label, c.Classes
	}
	if err := p.build(b, &c); err != nil {
		return nil, fmt.Errorf("arch: %s: %w", p.Name, err)
	}
	props, err := meta.Encode(&b.meta)
	if err != nil {
		return nil, err
	}
	for _, kv := range props {
		b.Metadata(kv.Key, kv.Value)
	}
	return b.Model()
}

// imageDims are the dimensions of a batch of images.
func imageDims(c *Config) []onnx.Dim {
	return []onnx.Dim{onnx.NamedDim(Batch), onnx.FixedDim(int64(c.Channels)), onnx.FixedDim(int64(c.Height)), onnx.FixedDim(int64(c.Width))}
}

// normalPrior says that latents are drawn from a standard normal distribution.
func (b *builder) normalPrior(c *Config) {
	b.meta.Prior = []meta.Stage{{Value: Z, Distribution: meta.DistNormal, DType: "float32", Shape: []int{c.Latent}}}
}

// builder adds layers to an onnx.Builder.
type builder struct {
	*onnx.Builder
	seed   uint64
	meta   meta.Model
	glorot bool      // how dense draws weights
	mean   []float32 // what the decoder begins with; nil: anything
	err    error
}

// streamWeights is the label of the random streams of weights.
const streamWeights = 0x77656967

// uniform returns an initializer with elements uniform in ±bound.
func (b *builder) uniform(name string, bound float64, shape ...int) string {
	if b.err != nil {
		return name
	}
	n, ok := tensor.Shape(shape).Elems()
	if !ok || n > math.MaxInt32/8 {
		b.err = errors.Join(b.err, fmt.Errorf("weight %q of shape %v is too large", name, tensor.Shape(shape)))
		return name
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	t, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		b.err = errors.Join(b.err, err)
		return name
	}
	w := t.Float32s()
	rng.New(b.seed, streamWeights, h.Sum64()).Uniform(w, 0)
	lim := float32(bound)
	for i, u := range w {
		w[i] = float32(lim * (u + u - 1))
	}
	return b.Initializer(name, t)
}

func (b *builder) ints(name string, v ...int64) string {
	return b.Initializer(name, tensor.Must(tensor.Of(v, len(v))))
}

// node adds a node called /scope/op whose output is called out, or after the node.
func (b *builder) node(scope, opType, out string, in []string, attrs ...*onnx.Attribute) string {
	name := "/" + scope + "/" + opType
	if out == "" {
		out = name + "_output"
	}
	b.Node(&onnx.Node{Name: name, OpType: opType, Inputs: in, Outputs: []string{out}, Attrs: attrs})
	return out
}

// dense adds x·W + b of shape [batch, out], with W [in, out] and b uniform in ±1/√in (LeCun
// et al., "Efficient BackProp", 1998, §4.6; the common default, on which published recipes
// rest), and the activation act unless it is empty. With b.glorot W is uniform in
// ±√(6/(in+out)) (Glorot and Bengio 2010, eq. 16) and b is 0. scope is for example
// "encoder/fc1"; the result is called name, or after its node.
func (b *builder) dense(scope, name, x string, in, out int, act string) string {
	return b.denseFrom(nil, scope, name, x, in, out, act)
}

// denseFrom is dense with these first values of b, unless they are nil.
func (b *builder) denseFrom(bias []float32, scope, name, x string, in, out int, act string) string {
	weight := scopeName(scope)
	bound, biasBound := 1/math.Sqrt(float64(in)), 1/math.Sqrt(float64(in))
	if b.glorot {
		bound, biasBound = math.Sqrt(6/(float64(in)+float64(out))), 0
	}
	w, c := b.uniform(weight+".weight", bound, in, out), weight+".bias"
	if bias != nil {
		b.Initializer(c, tensor.Must(tensor.Of(bias, out)))
	} else {
		b.uniform(c, biasBound, out)
	}
	if act == "" {
		return b.node(scope, "Gemm", name, []string{x, w, c})
	}
	h := b.node(scope, "Gemm", "", []string{x, w, c})
	return b.node(scope, act, name, []string{h})
}

// scopeName turns "encoder/fc1" into "encoder.fc1".
func scopeName(scope string) string {
	s := []byte(scope)
	for i, c := range s {
		if c == '/' {
			s[i] = '.'
		}
	}
	return string(s)
}

// outputs declares the graph's outputs and the types of the named values. extents are those
// of latents that are maps.
func (b *builder) outputs(c *Config, extents ...int) error {
	latent := []onnx.Dim{onnx.NamedDim(Batch), onnx.FixedDim(int64(c.Latent))}
	for _, e := range extents {
		latent = append(latent, onnx.FixedDim(int64(e)))
	}
	b.Output(Reconstruction, tensor.Float32, imageDims(c)...)
	if b.meta.Kind == meta.KindGenerator {
		return b.err
	}
	if b.meta.Kind == meta.KindVAE {
		b.Output(Mu, tensor.Float32, latent...)
		b.Output(LogVar, tensor.Float32, latent...)
		b.Value(Z, tensor.Float32, latent...)
	} else {
		b.Output(Z, tensor.Float32, latent...)
	}
	return b.err
}

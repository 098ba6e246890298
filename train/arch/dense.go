package arch

import (
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// buildAE is C·H·W - hidden… - latent - …hidden - C·H·W with ReLU between the layers, none
// on z, and a Sigmoid at the end.
func buildAE(b *builder, c *Config) error { return denseAE(b, c, "") }

// buildSigmoidAE is the same with latents in (0, 1).
func buildSigmoidAE(b *builder, c *Config) error { return denseAE(b, c, "Sigmoid") }

// buildPriorAE is buildAE for objectives that make its latents normally distributed.
func buildPriorAE(b *builder, c *Config) error {
	b.normalPrior(c)
	return denseAE(b, c, "")
}

func denseAE(b *builder, c *Config, act string) error {
	h, width, err := denseEncoder(b, c, "Relu")
	if err != nil {
		return err
	}
	b.dense("encoder/z", Z, h, width, c.Latent, act)
	denseDecoder(b, c, Z, c.Latent, "Relu")
	return b.outputs(c)
}

// buildLinear is C·H·W - latent - C·H·W without non-linear functions: the best it can do is
// principal component analysis (Baldi and Hornik 1989).
func buildLinear(b *builder, c *Config) error {
	pixels := c.Channels * c.Height * c.Width
	h := b.node("encoder", "Flatten", "", []string{Image})
	b.dense("encoder/z", Z, h, pixels, c.Latent, "")
	x := b.dense("decoder/fc1", "", Z, c.Latent, pixels, "")
	b.images(c, x)
	return b.outputs(c)
}

// buildVAE has two heads, mu and logvar.
func buildVAE(b *builder, c *Config) error { return denseVAE(b, c, "Relu") }

// buildTanhVAE is the same with tanh, other first weights, and a decoder that begins with
// the mean image: the architecture of Burda et al. 2016, §5.
func buildTanhVAE(b *builder, c *Config) error {
	b.glorot = true
	return denseVAE(b, c, "Tanh")
}

func denseVAE(b *builder, c *Config, act string) error {
	h, width, err := denseEncoder(b, c, act)
	if err != nil {
		return err
	}
	b.heads(h, width, c)
	denseDecoder(b, c, Z, c.Latent, act)
	return b.outputs(c)
}

// heads adds mu and logvar on h, and z, which is mu.
func (b *builder) heads(h string, width int, c *Config) {
	b.dense("encoder/mu", Mu, h, width, c.Latent, "")
	b.dense("encoder/logvar", LogVar, h, width, c.Latent, "")
	b.node("latent", "Identity", Z, []string{Mu})
}

// buildCVAE gives encoder and decoder the label, as a row of zeros and a one (Sohn et al.
// 2015).
func buildCVAE(b *builder, c *Config) error {
	depth := b.Initializer("label.classes", tensor.Must(tensor.Of([]int64{int64(c.Classes)}, 1)))
	values := b.Initializer("label.values", tensor.Must(tensor.Of([]float32{0, 1}, 2)))
	row := b.node("label", "OneHot", "", []string{Label, depth, values}, onnx.AttrI("axis", -1))
	pixels := int64(c.Channels) * int64(c.Height) * int64(c.Width)
	if pixels > math.MaxInt32/2 {
		return fmt.Errorf("images of %d values are too large for a dense layer", pixels)
	}
	h := b.node("encoder", "Flatten", "", []string{Image})
	h = b.node("encoder", "Concat", "", []string{h, row}, onnx.AttrI("axis", 1))
	h, width := b.chain("encoder", h, int(pixels)+c.Classes, c.Hidden, "Relu")
	b.heads(h, width, c)
	z := b.node("decoder", "Concat", "", []string{Z, row}, onnx.AttrI("axis", 1))
	denseDecoder(b, c, z, c.Latent+c.Classes, "Relu")
	return b.outputs(c)
}

// buildGenerator is the decoder of buildAE alone.
func buildGenerator(b *builder, c *Config) error {
	denseDecoder(b, c, Z, c.Latent, "Relu")
	return b.outputs(c)
}

// chain adds dense layers of these widths.
func (b *builder) chain(scope, h string, width int, widths []int, act string) (string, int) {
	for i, n := range widths {
		h = b.dense(fmt.Sprintf("%s/fc%d", scope, i+1), "", h, width, n, act)
		width = n
	}
	return h, width
}

func denseEncoder(b *builder, c *Config, act string) (h string, width int, err error) {
	pixels := int64(c.Channels) * int64(c.Height) * int64(c.Width)
	if pixels > math.MaxInt32 {
		return "", 0, fmt.Errorf("images of %d values are too large for a dense layer", pixels)
	}
	h = b.node("encoder", "Flatten", "", []string{Image})
	h, width = b.chain("encoder", h, int(pixels), c.Hidden, act)
	return h, width, nil
}

func denseDecoder(b *builder, c *Config, z string, width int, act string) {
	hidden := slices.Clone(c.Hidden)
	slices.Reverse(hidden)
	h, width := b.chain("decoder", z, width, hidden, act)
	pixels := c.Channels * c.Height * c.Width
	scope := fmt.Sprintf("decoder/fc%d", len(hidden)+1)
	var bias []float32
	for _, v := range b.mean {
		p := min(max(float64(v), meanMargin), 1-meanMargin)
		bias = append(bias, float32(math.Log(p/(1-p))))
	}
	b.images(c, b.denseFrom(bias, scope, "", h, width, pixels, "Sigmoid"))
}

// meanMargin keeps the logits of a mean image finite.
const meanMargin = 1e-3

// images reshapes rows of pixels to the reconstruction.
func (b *builder) images(c *Config, rows string) {
	shape := b.ints("decoder.shape", -1, int64(c.Channels), int64(c.Height), int64(c.Width))
	b.node("decoder", "Reshape", Reconstruction, []string{rows, shape})
}

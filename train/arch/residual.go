package arch

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/onnx"
)

// buildResidual is the convolutional autoencoder with a residual block of two 3×3
// convolutions (He et al. 2016) after each layer that halves or doubles the image.
func buildResidual(b *builder, c *Config) error {
	x, hs, ws, err := residualEncoder(b, c)
	if err != nil {
		return err
	}
	n, channels := len(c.Hidden), c.Hidden[len(c.Hidden)-1]
	width, err := convWidth(c)
	if err != nil {
		return err
	}
	h := b.node("encoder", "Flatten", "", []string{x})
	b.dense("encoder/z", Z, h, width, c.Latent, "")
	x = b.dense("decoder/fc", "", Z, c.Latent, width, "Relu")
	x = b.node("decoder", "Reshape", "", []string{x, b.ints("decoder.shape", -1, int64(channels), int64(hs[n]), int64(ws[n]))})
	b.residualDecoder(c, x, hs, ws)
	return b.outputs(c)
}

// buildPhoto is the same without dense layers: z is a map of c.Latent channels, so that
// the latents of a tile keep its arrangement and the number of weights does not grow with
// the size of the image.
func buildPhoto(b *builder, c *Config) error {
	x, hs, ws, err := residualEncoder(b, c)
	if err != nil {
		return err
	}
	n, channels := len(c.Hidden), c.Hidden[len(c.Hidden)-1]
	if int64(c.Latent)*int64(hs[n])*int64(ws[n]) > math.MaxInt32/8 {
		return fmt.Errorf("%d latent maps of %dx%d are too many", c.Latent, ws[n], hs[n])
	}
	x = b.pixelwise("encoder/z", x, channels, c.Latent)
	b.node("encoder", "Identity", Z, []string{x})
	x = b.pixelwise("decoder/in", Z, c.Latent, channels)
	b.residualDecoder(c, b.node("decoder/in", "Relu", "", []string{x}), hs, ws)
	return b.outputs(c, hs[n], ws[n])
}

// residualEncoder adds the layers before the latents, and returns their result and the
// extents of the image after each of them, the first its own.
func residualEncoder(b *builder, c *Config) (x string, hs, ws []int, err error) {
	n := len(c.Hidden)
	if n == 0 {
		return "", nil, nil, errors.New("a convolutional model needs at least one hidden layer")
	}
	hs, ws = halved(c.Height, n), halved(c.Width, n)
	x, channels := Image, c.Channels
	for i, m := range c.Hidden {
		x = b.conv("Conv", fmt.Sprintf("encoder/conv%d", i+1), x, channels, m, hs[i], ws[i], "Relu")
		x = b.residual(fmt.Sprintf("encoder/block%d", i+1), x, m)
		channels = m
	}
	return x, hs, ws, nil
}

// residual adds x + conv(relu(conv(x))), with kernels of 3×3, and ReLU.
func (b *builder) residual(scope, x string, channels int) string {
	y := b.same(scope+"/a", x, channels)
	y = b.same(scope+"/b", b.node(scope+"/a", "Relu", "", []string{y}), channels)
	return b.node(scope, "Relu", "", []string{b.node(scope, "Add", "", []string{x, y})})
}

// same adds a 3×3 convolution that keeps the extents.
func (b *builder) same(scope, x string, channels int) string {
	weight, bound := scopeName(scope), 1/math.Sqrt(float64(9*channels))
	inputs := []string{x, b.uniform(weight+".weight", bound, channels, channels, 3, 3), b.uniform(weight+".bias", bound, channels)}
	return b.node(scope, "Conv", "", inputs, onnx.AttrIs("kernel_shape", 3, 3), onnx.AttrIs("pads", 1, 1, 1, 1))
}

func (b *builder) residualDecoder(c *Config, x string, hs, ws []int) {
	n := len(c.Hidden)
	widths := slices.Clone(c.Hidden)
	slices.Reverse(widths)
	for i, in := range widths {
		x = b.residual(fmt.Sprintf("decoder/block%d", i+1), x, in)
		out, act := c.Channels, "Sigmoid"
		if i+1 < n {
			out, act = widths[i+1], "Relu"
		}
		x = b.conv("ConvTranspose", fmt.Sprintf("decoder/conv%d", i+1), x, in, out, hs[n-1-i], ws[n-1-i], act)
	}
	b.node("decoder", "Identity", Reconstruction, []string{x})
}

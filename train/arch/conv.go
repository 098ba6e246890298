package arch

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/onnx"
)

// A convolutional encoder halves the image with each layer (4×4, stride 2), rounding up;
// the decoder mirrors it with transposed convolutions. Odd extents have one more pad at
// the far end, so that every image size comes back as it was.
const convKernel = 4

// halved returns the extents of an image after each of n layers, the first its own.
func halved(extent, n int) []int {
	out := []int{extent}
	for range n {
		extent = (extent + 1) / 2
		out = append(out, extent)
	}
	return out
}

// convAttrs are the attributes of a layer between images of h×w and half of that.
func convAttrs(h, w int) []*onnx.Attribute {
	return []*onnx.Attribute{
		onnx.AttrIs("kernel_shape", convKernel, convKernel), onnx.AttrIs("strides", 2, 2),
		onnx.AttrIs("pads", 1, 1, 1+int64(h%2), 1+int64(w%2)),
	}
}

// conv adds a convolution or, if opType says so, a transposed one, with an activation.
// Weights are uniform in ±1/√fan, where fan is the number of products in an output.
func (b *builder) conv(opType, scope, x string, in, out, h, w int, act string) string {
	shape, fan := []int{out, in, convKernel, convKernel}, in*convKernel*convKernel
	if opType == "ConvTranspose" {
		shape, fan = []int{in, out, convKernel, convKernel}, in*convKernel*convKernel/4
	}
	bound := 1 / math.Sqrt(float64(fan))
	weight := scopeName(scope)
	inputs := []string{x, b.uniform(weight+".weight", bound, shape...), b.uniform(weight+".bias", bound, out)}
	y := b.node(scope, opType, "", inputs, convAttrs(h, w)...)
	if act == "" {
		return y
	}
	return b.node(scope, act, "", []string{y})
}

// convEncoder adds the layers of an encoder on x, which has these extents, and flattens.
func convEncoder(b *builder, c *Config, x string, channels, height, w int) (h string, width int, err error) {
	if len(c.Hidden) == 0 {
		return "", 0, errors.New("a convolutional model needs at least one hidden layer")
	}
	hs, ws := halved(height, len(c.Hidden)), halved(w, len(c.Hidden))
	for i, n := range c.Hidden {
		x = b.conv("Conv", fmt.Sprintf("encoder/conv%d", i+1), x, channels, n, hs[i], ws[i], "Relu")
		channels = n
	}
	last := len(c.Hidden)
	size := int64(channels) * int64(hs[last]) * int64(ws[last])
	if size > math.MaxInt32 {
		return "", 0, fmt.Errorf("%d values before the latents are too many", size)
	}
	return b.node("encoder", "Flatten", "", []string{x}), int(size), nil
}

// convWidth is the number of values before the latents.
func convWidth(c *Config) (int, error) {
	n := len(c.Hidden)
	if n == 0 {
		return 0, errors.New("a convolutional model needs at least one hidden layer")
	}
	hs, ws := halved(c.Height, n), halved(c.Width, n)
	size := int64(c.Hidden[n-1]) * int64(hs[n]) * int64(ws[n])
	if size > math.MaxInt32 {
		return 0, fmt.Errorf("%d values before the latents are too many", size)
	}
	return int(size), nil
}

func convDecoder(b *builder, c *Config, width int) {
	n := len(c.Hidden)
	hs, ws := halved(c.Height, n), halved(c.Width, n)
	x := b.dense("decoder/fc", "", Z, c.Latent, width, "Relu")
	shape := b.ints("decoder.shape", -1, int64(c.Hidden[n-1]), int64(hs[n]), int64(ws[n]))
	x = b.node("decoder", "Reshape", "", []string{x, shape})
	channels := slices.Clone(c.Hidden)
	slices.Reverse(channels)
	for i, in := range channels {
		out, act := c.Channels, "Sigmoid"
		if i+1 < n {
			out, act = channels[i+1], "Relu"
		}
		at := n - 1 - i
		x = b.conv("ConvTranspose", fmt.Sprintf("decoder/conv%d", i+1), x, in, out, hs[at], ws[at], act)
	}
	b.node("decoder", "Identity", Reconstruction, []string{x})
}

// buildConvAE is a convolutional encoder, z, and its mirror image.
func buildConvAE(b *builder, c *Config) error {
	h, width, err := convEncoder(b, c, Image, c.Channels, c.Height, c.Width)
	if err != nil {
		return err
	}
	b.dense("encoder/z", Z, h, width, c.Latent, "")
	convDecoder(b, c, width)
	return b.outputs(c)
}

// buildConvVAE is the same with mu and logvar.
func buildConvVAE(b *builder, c *Config) error {
	h, width, err := convEncoder(b, c, Image, c.Channels, c.Height, c.Width)
	if err != nil {
		return err
	}
	b.heads(h, width, c)
	convDecoder(b, c, width)
	return b.outputs(c)
}

// buildConvGenerator is the decoder of buildConvAE alone, in the manner of Radford et al.
// 2016.
func buildConvGenerator(b *builder, c *Config) error {
	width, err := convWidth(c)
	if err != nil {
		return err
	}
	convDecoder(b, c, width)
	return b.outputs(c)
}

// buildSuperRes is a convolutional autoencoder whose encoder sees the image at half its
// size: its decoder adds what is lost.
func buildSuperRes(b *builder, c *Config) error {
	x := b.node("encoder", "AveragePool", "", []string{Image}, onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 2, 2), onnx.AttrI("ceil_mode", 1))
	h, width, err := convEncoder(b, c, x, c.Channels, (c.Height+1)/2, (c.Width+1)/2)
	if err != nil {
		return err
	}
	b.dense("encoder/z", Z, h, width, c.Latent, "")
	if width, err = convWidth(c); err != nil {
		return err
	}
	convDecoder(b, c, width)
	return b.outputs(c)
}

package arch

import (
	"fmt"
	"math"
	"slices"
)

// buildAE is C·H·W - hidden… - latent - …hidden - C·H·W with ReLU between the layers, none
// on z, and a Sigmoid at the end.
func buildAE(b *builder, c *Config) error {
	h, width, err := denseEncoder(b, c)
	if err != nil {
		return err
	}
	b.dense("encoder/z", Z, h, width, c.Latent, "")
	denseDecoder(b, c)
	return b.outputs(c)
}

// buildVAE is the same with two heads, mu and logvar.
func buildVAE(b *builder, c *Config) error {
	h, width, err := denseEncoder(b, c)
	if err != nil {
		return err
	}
	b.dense("encoder/mu", Mu, h, width, c.Latent, "")
	b.dense("encoder/logvar", LogVar, h, width, c.Latent, "")
	b.node("latent", "Identity", Z, []string{Mu})
	denseDecoder(b, c)
	return b.outputs(c)
}

func denseEncoder(b *builder, c *Config) (h string, width int, err error) {
	pixels := int64(c.Channels) * int64(c.Height) * int64(c.Width)
	if pixels > math.MaxInt32 {
		return "", 0, fmt.Errorf("images of %d values are too large for a dense layer", pixels)
	}
	width = int(pixels)
	h = b.node("encoder", "Flatten", "", []string{Image})
	for i, n := range c.Hidden {
		h = b.dense(fmt.Sprintf("encoder/fc%d", i+1), "", h, width, n, "Relu")
		width = n
	}
	return h, width, nil
}

func denseDecoder(b *builder, c *Config) {
	h, width := Z, c.Latent
	hidden := slices.Clone(c.Hidden)
	slices.Reverse(hidden)
	for i, n := range hidden {
		h = b.dense(fmt.Sprintf("decoder/fc%d", i+1), "", h, width, n, "Relu")
		width = n
	}
	pixels := c.Channels * c.Height * c.Width
	h = b.dense(fmt.Sprintf("decoder/fc%d", len(hidden)+1), "", h, width, pixels, "Sigmoid")
	shape := b.ints("decoder.shape", -1, int64(c.Channels), int64(c.Height), int64(c.Width))
	b.node("decoder", "Reshape", Reconstruction, []string{h, shape})
}

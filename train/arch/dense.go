package arch

import (
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
)

var mnistSize = Config{Channels: 1, Height: 28, Width: 28}

func sized(hidden []int, latent int) Config {
	c := mnistSize
	c.Hidden, c.Latent = hidden, latent
	return c
}

var presets = []Preset{
	{
		Name: "ae", Kind: meta.KindAE,
		Doc:    "dense autoencoder with ReLU layers, trained on the mean squared error",
		Config: sized([]int{64, 32}, 32),
		Recipe: Recipe{Objective: "mse", Epochs: 20, Batch: 128, LR: 1e-3},
		build:  buildAE,
	},
	{
		Name: "beta-vae", Kind: meta.KindVAE,
		Doc:    "the dense VAE with β = 4 (Higgins et al. 2017): fewer, more independent latents",
		Config: sized([]int{400}, 10),
		Recipe: Recipe{Objective: "elbo", Beta: 4, Epochs: 10, Batch: 128, LR: 1e-3},
		build:  buildVAE,
	},
	{
		Name: "denoising-ae", Kind: meta.KindAE,
		Doc:    "wide dense autoencoder that learns to remove Gaussian noise of σ = 0.3 (Vincent et al. 2008)",
		Config: sized([]int{512, 256}, 64),
		Recipe: Recipe{Objective: "mse", Epochs: 10, Batch: 128, LR: 1e-3, Noise: Noise{Kind: "gaussian", Level: 0.3}},
		build:  buildAE,
	},
	{
		Name: "vae", Kind: meta.KindVAE,
		Doc:    "dense variational autoencoder with Bernoulli likelihood (Kingma and Welling 2014)",
		Config: sized([]int{400}, 20),
		Recipe: Recipe{Objective: "elbo", Beta: 1, Epochs: 10, Batch: 128, LR: 1e-3},
		build:  buildVAE,
	},
}

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
	b.node("decoder", "Reshape", Reconstruction, []string{h, shape}, []*onnx.Attribute{}...)
}

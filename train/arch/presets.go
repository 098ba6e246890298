package arch

import "github.com/aekit/aekit/internal/meta"

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
		Name: "conv-ae", Kind: meta.KindAE,
		Doc:    "convolutional autoencoder: each layer halves the image; any size, grey or colour",
		Config: sized([]int{16, 32}, 32),
		Recipe: Recipe{Objective: "mse", Epochs: 5, Batch: 128, LR: 1e-3},
		build:  buildConvAE,
	},
	{
		Name: "conv-vae", Kind: meta.KindVAE,
		Doc:    "convolutional variational autoencoder with Bernoulli likelihood; any size, grey or colour",
		Config: sized([]int{16, 32}, 20),
		Recipe: Recipe{Objective: "elbo", Beta: 1, Epochs: 5, Batch: 128, LR: 1e-3},
		build:  buildConvVAE,
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

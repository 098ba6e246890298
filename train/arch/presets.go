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
		Name: "aae", Kind: meta.KindAE,
		Doc:    "adversarial autoencoder (Makhzani et al. 2016): a discriminator makes the latents normal",
		Config: sized([]int{400, 200}, 8),
		Recipe: Recipe{Objective: "aae", Epochs: 20, Batch: 128, LR: 1e-3},
		build:  buildPriorAE,
	},
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
		Name: "capacity-vae", Kind: meta.KindVAE,
		Doc:    "the dense VAE whose KL term follows a rising capacity (Burgess et al. 2018)",
		Config: sized([]int{400}, 10),
		Recipe: Recipe{Objective: "elbo:capacity=25,capacityepochs=8,beta=30", Epochs: 10, Batch: 128, LR: 1e-3},
		build:  buildVAE,
	},
	{
		Name: "contractive-ae", Kind: meta.KindAE,
		Doc:    "one sigmoid layer whose Jacobian is penalised in closed form (Rifai et al. 2011)",
		Config: sized([]int{}, 128),
		Recipe: Recipe{Objective: "contractive", Epochs: 20, Batch: 128, LR: 1e-3},
		build:  buildSigmoidAE,
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
		Name: "cvae", Kind: meta.KindVAE,
		Doc:    "conditional VAE (Sohn et al. 2015): takes labels, and generates by label",
		Config: conditional(sized([]int{400, 200}, 10), 10),
		Recipe: Recipe{Objective: "elbo", Beta: 3, Epochs: 10, Batch: 128, LR: 1e-3, Schedule: "cosine"},
		build:  buildCVAE,
	},
	{
		Name: "dcgan", Kind: meta.KindGenerator,
		Doc:    "convolutional generator trained against a convolutional discriminator (Radford et al. 2016)",
		Config: sized([]int{32, 64}, 32),
		Recipe: Recipe{Objective: "gan:conv=true", Epochs: 5, Batch: 64, LR: 2e-4},
		build:  buildConvGenerator,
	},
	{
		Name: "denoising-ae", Kind: meta.KindAE,
		Doc:    "wide dense autoencoder that learns to remove Gaussian noise of σ = 0.3 (Vincent et al. 2008)",
		Config: sized([]int{512, 256}, 64),
		Recipe: Recipe{Objective: "mse", Epochs: 10, Batch: 128, LR: 1e-3, Noise: Noise{Kind: "gaussian", Level: 0.3}},
		build:  buildAE,
	},
	{
		Name: "gan", Kind: meta.KindGenerator,
		Doc:    "dense generator trained against a discriminator (Goodfellow et al. 2014)",
		Config: sized([]int{512, 256}, 32),
		Recipe: Recipe{Objective: "gan", Epochs: 20, Batch: 64, LR: 2e-4},
		build:  buildGenerator,
	},
	{
		Name: "inpainting-ae", Kind: meta.KindAE,
		Doc:    "convolutional autoencoder that fills in a missing rectangle of a quarter of the image (Pathak et al. 2016)",
		Config: sized([]int{16, 32}, 64),
		Recipe: Recipe{Objective: "mse", Epochs: 5, Batch: 128, LR: 1e-3, Noise: Noise{Kind: "block", Level: 0.25}},
		build:  buildConvAE,
	},
	{
		Name: "iwae", Kind: meta.KindVAE,
		Doc:    "the importance-weighted autoencoder of Burda et al. 2016 with k = 5, their architecture and schedule",
		Config: sized([]int{200, 200}, 50),
		Recipe: Recipe{
			Objective: "iwae:k=5", Epochs: 40, Batch: 20, LR: 1e-3, Binarize: "stochastic", Schedule: "tripling",
			Optimizer: "adam:eps=1e-4", Mean: true,
		},
		build: buildTanhVAE,
	},
	{
		Name: "linear-ae", Kind: meta.KindAE,
		Doc:    "one linear layer each way: learns the principal components (Baldi and Hornik 1989)",
		Config: sized([]int{}, 32),
		Recipe: Recipe{Objective: "mse", Epochs: 30, Batch: 128, LR: 1e-3, Schedule: "cosine"},
		build:  buildLinear,
	},
	{
		Name: "photo-ae", Kind: meta.KindAE,
		Doc:    "residual convolutional autoencoder of tiles of photographs, with a map of latents; any size",
		Config: Config{Channels: 3, Height: 64, Width: 64, Hidden: []int{24, 48}, Latent: 8},
		Recipe: Recipe{Objective: "mse", Epochs: 20, Batch: 32, LR: 1e-3, Tiles: true},
		build:  buildPhoto,
	},
	{
		Name: "rae", Kind: meta.KindAE,
		Doc:    "regularised autoencoder with weight decay of the decoder (Ghosh et al. 2020), and a mixture fitted to its latents",
		Config: sized([]int{400, 200}, 16),
		Recipe: Recipe{Objective: "rae", Epochs: 20, Batch: 128, LR: 1e-3},
		build:  buildAE,
	},
	{
		Name: "residual-ae", Kind: meta.KindAE,
		Doc:    "convolutional autoencoder with residual blocks (He et al. 2016); any size, grey or colour",
		Config: sized([]int{16, 32}, 32),
		Recipe: Recipe{Objective: "mse", Epochs: 5, Batch: 128, LR: 1e-3},
		build:  buildResidual,
	},
	{
		Name: "salt-and-pepper-ae", Kind: meta.KindAE,
		Doc:    "wide dense autoencoder that learns to restore a quarter of the pixels, black or white at random (Vincent et al. 2010)",
		Config: sized([]int{512, 256}, 64),
		Recipe: Recipe{Objective: "mse", Epochs: 10, Batch: 128, LR: 1e-3, Noise: Noise{Kind: "salt-and-pepper", Level: 0.25}},
		build:  buildAE,
	},
	{
		Name: "sparse-ae", Kind: meta.KindAE,
		Doc:    "256 sigmoid units of which each is active for 5 % of the images (Ng 2011)",
		Config: sized([]int{}, 256),
		Recipe: Recipe{Objective: "sparse", Epochs: 20, Batch: 128, LR: 1e-3},
		build:  buildSigmoidAE,
	},
	{
		Name: "super-resolution", Kind: meta.KindAE,
		Doc:    "convolutional autoencoder that sees images at half their size and restores the whole (Dong et al. 2014)",
		Config: sized([]int{16, 32}, 64),
		Recipe: Recipe{Objective: "mse", Epochs: 5, Batch: 128, LR: 1e-3},
		build:  buildSuperRes,
	},
	{
		Name: "tcvae", Kind: meta.KindVAE,
		Doc:    "the dense VAE with the total correlation of its latents penalised (β-TCVAE, Chen et al. 2018)",
		Config: sized([]int{400}, 10),
		Recipe: Recipe{Objective: "tcvae", Beta: 6, Epochs: 10, Batch: 128, LR: 1e-3},
		build:  buildVAE,
	},
	{
		Name: "vae", Kind: meta.KindVAE,
		Doc:    "dense variational autoencoder with Bernoulli likelihood (Kingma and Welling 2014)",
		Config: sized([]int{400}, 20),
		Recipe: Recipe{Objective: "elbo", Beta: 1, Epochs: 10, Batch: 128, LR: 1e-3},
		build:  buildVAE,
	},
	{
		Name: "vae-gan", Kind: meta.KindVAE,
		Doc:    "convolutional VAE whose error is measured on a discriminator's features (Larsen et al. 2016)",
		Config: sized([]int{16, 32}, 20),
		Recipe: Recipe{Objective: "vae-gan:conv=true,pixels=1,features=2", Beta: 2, Epochs: 5, Batch: 64, LR: 1e-3},
		build:  buildConvVAE,
	},
	{
		Name: "vae-logistic", Kind: meta.KindVAE,
		Doc:    "the dense VAE with the discretised logistic likelihood of 8-bit pixels (Kingma et al. 2016)",
		Config: sized([]int{400}, 20),
		Recipe: Recipe{Objective: "elbo-logistic", Beta: 1, Epochs: 10, Batch: 128, LR: 1e-3},
		build:  buildVAE,
	},
	{
		Name: "vae2", Kind: meta.KindVAE,
		Doc:    "VAE with two stochastic layers (Rezende et al. 2014; Burda et al. 2016)",
		Config: sized([]int{200, 200}, 100),
		Recipe: Recipe{Objective: "elbo2:topwarmup=4", Epochs: 20, Batch: 20, LR: 1e-3, Optimizer: "adam:eps=1e-4", Mean: true},
		build:  buildLayered,
	},
	{
		Name: "vq-vae", Kind: meta.KindVQ,
		Doc:    "vector-quantised autoencoder with an autoregressive prior of its codes (van den Oord et al. 2017)",
		Config: quantising(sized([]int{32, 64}, 16), 128),
		Recipe: Recipe{Objective: "vq", Epochs: 10, Batch: 64, LR: 1e-3},
		build:  buildVQ,
	},
	{
		Name: "wae-mmd", Kind: meta.KindAE,
		Doc:    "Wasserstein autoencoder with maximum mean discrepancy (Tolstikhin et al. 2018)",
		Config: sized([]int{400, 200}, 8),
		Recipe: Recipe{Objective: "wae", Epochs: 20, Batch: 128, LR: 1e-3},
		build:  buildPriorAE,
	},
}

func conditional(c Config, classes int) Config {
	c.Classes = classes
	return c
}

func quantising(c Config, codes int) Config {
	c.Codes = codes
	return c
}

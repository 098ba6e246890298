package train

import (
	"fmt"
	"strings"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/train/arch"
)

const discriminator = "discriminator"

func fitsDiscriminator(name string) bool { return strings.HasPrefix(name, discriminator+"/") }
func fitsEncoder(name string) bool       { return strings.HasPrefix(name, "encoder") }
func fitsDecoder(name string) bool       { return strings.HasPrefix(name, "decoder") }
func fitsModel(name string) bool         { return !fitsDiscriminator(name) }

// adversary is the optimizer of phases that play against each other, with the momentum of
// Radford et al. 2016, "Unsupervised representation learning with deep convolutional
// generative adversarial networks", §4.
var adversary = Adam{Beta1: 0.5}

// judged is the mean cross-entropy of the logits of a discriminator against a verdict.
func (c *calc) judged(logits id, verdict float64) id {
	return c.mean(c.grad("BCEWithLogits", nil, logits, c.like(logits, verdict)))
}

// real is the verdict on real images: smoothed on one side (Salimans et al. 2016, "Improved
// techniques for training GANs", §3.4).
const real = 0.9

// GAN trains a generator z → image against a discriminator (Goodfellow et al. 2014), with
// the non-saturating loss of the generator. The model has no encoder. The terms are
// cross-entropies in nats; the first says how well the generator deceives, not how good its
// images are.
type GAN struct {
	// Conv makes the discriminator convolutional.
	Conv bool
	// Rate is the discriminator's learning rate as a factor on that of the run; 0 means 1.
	Rate float64
}

// Parts implements [Objective].
func (GAN) Parts() []string { return []string{"generator", "discriminator"} }

// Unit implements [Objective].
func (GAN) Unit() string   { return "nats/image" }
func (GAN) String() string { return "gan" }
func (o GAN) check() error { return positive("GAN", o.Rate) }

func (o GAN) equip(k *kit, _ *graph.Graph, m *meta.Model, seed uint64) error {
	return k.addCritic(arch.Critic{Channels: m.Image.Channels, Height: m.Image.Height, Width: m.Image.Width, Conv: o.Conv, Seed: seed})
}

func (k *kit) addCritic(a arch.Critic) error {
	m, err := a.Build()
	if err != nil {
		return err
	}
	return k.add(discriminator, m)
}

func (o GAN) phases() []phase {
	return []phase{
		{name: "generator", fits: fitsModel, optimizer: adversary, build: func(b *lossBuilder) error {
			x, err := b.decodePrior()
			if err != nil {
				return err
			}
			c := &calc{b: b}
			b.add(c.judged(c.call(discriminator, x)[0], 1))
			return c.err
		}},
		{name: discriminator, fits: fitsDiscriminator, optimizer: adversary, rate: o.Rate, keepsStatistics: true, build: func(b *lossBuilder) error {
			x, err := b.decodePrior()
			if err != nil {
				return err
			}
			c := &calc{b: b}
			b.add(c.sum(c.judged(c.call(discriminator, b.target)[0], real), c.judged(c.call(discriminator, x)[0], 0)))
			return c.err
		}},
	}
}

// AAE is the adversarial autoencoder of Makhzani et al. 2016: a discriminator learns to
// tell latents of images from draws of N(0, 1), and the encoder to deceive it. The first
// term is the squared error, summed over pixels; the others are cross-entropies in nats.
type AAE struct {
	// Rate is the learning rate of the adversarial phases as a factor; 0 means 0.5.
	Rate float64
}

// Parts implements [Objective].
func (AAE) Parts() []string { return []string{"loss", "discriminator", "deceit"} }

// Unit implements [Objective].
func (AAE) Unit() string   { return "squared error/image" }
func (AAE) String() string { return "aae" }
func (o AAE) check() error { return positive("AAE", o.Rate) }

func (o AAE) equip(k *kit, model *graph.Graph, m *meta.Model, seed uint64) error {
	b := &lossBuilder{g: model, values: m.Values}
	shape, err := b.latentShape()
	if err != nil {
		return err
	}
	n, _ := shape.Elems()
	return k.addCritic(arch.Critic{Latent: n, Seed: seed})
}

func (o AAE) phases() []phase {
	rate := orElse(o.Rate, 0.5)
	return []phase{
		{name: "reconstruction", fits: fitsModel, build: func(b *lossBuilder) error {
			c := &calc{b: b}
			b.add(c.mean(c.errorOf()))
			return c.err
		}},
		{name: discriminator, fits: fitsDiscriminator, optimizer: adversary, rate: rate, keepsStatistics: true, build: func(b *lossBuilder) error {
			p, err := b.drawPrior()
			if err != nil {
				return err
			}
			c := &calc{b: b}
			z := c.latents()
			b.add(c.sum(c.judged(c.call(discriminator, c.rows(p))[0], real), c.judged(c.call(discriminator, c.rows(z))[0], 0)))
			return c.err
		}},
		{name: "encoder", fits: fitsEncoder, optimizer: adversary, rate: rate, keepsStatistics: true, build: func(b *lossBuilder) error {
			c := &calc{b: b}
			b.add(c.judged(c.call(discriminator, c.rows(c.latents()))[0], 1))
			return c.err
		}},
	}
}

// VAEGAN joins a variational autoencoder and a GAN (Larsen et al. 2016, "Autoencoding beyond
// pixels using a learned similarity metric", algorithm 1): reconstructions are compared with
// images on a layer of the discriminator too, and the decoder is at once a generator. With
//
//	similarity = Features·E‖f(x)-f(x̂)‖²/E‖f(x)‖² - Pixels·E log p(x|z)
//
// the encoder minimises Beta·KL + similarity, the decoder Gamma·similarity + deceit, the
// discriminator its cross-entropy over images, reconstructions and samples. Features are
// compared relative to their size, which grows while the discriminator learns.
type VAEGAN struct {
	Gamma    float64 // 0 means 1
	Beta     float64 // 0 means 1
	Features float64 // 0 means 1
	Pixels   float64 // 0: reconstructions are compared on features alone
	// Likelihood and Sigma say what p(x|z) is, as in [ELBO].
	Likelihood Likelihood
	Sigma      float64
	// Rate is the discriminator's learning rate as a factor on that of the run; 0 means 1.
	Rate float64
	// Conv makes the discriminator convolutional.
	Conv bool
}

// Parts implements [Objective].
func (VAEGAN) Parts() []string {
	return []string{"encoder", "features", "kl", "decoder", "discriminator"}
}

// Unit implements [Objective].
func (VAEGAN) Unit() string   { return "nats/image" }
func (VAEGAN) String() string { return "vae-gan" }

func (o VAEGAN) check() error {
	if o.Likelihood > Logistic {
		return fmt.Errorf("train: VAE-GAN with %+v", o)
	}
	return positive("VAE-GAN", o.Gamma, o.Beta, o.Features, o.Pixels, o.Sigma, o.Rate)
}

func (o VAEGAN) equip(k *kit, _ *graph.Graph, m *meta.Model, seed uint64) error {
	return k.addCritic(arch.Critic{Channels: m.Image.Channels, Height: m.Image.Height, Width: m.Image.Width, Conv: o.Conv, Seed: seed})
}

func (o VAEGAN) phases() []phase {
	return []phase{
		{name: "encoder", fits: fitsEncoder, build: func(b *lossBuilder) error {
			s, err := b.sample(1)
			if err != nil {
				return err
			}
			x, err := b.reconstruction()
			if err != nil {
				return err
			}
			c := &calc{b: b}
			kl := c.mean(c.grad("GaussianKL", nil, s.mu, s.logvar))
			_, f := c.discriminate(x)
			features := c.features(f)
			b.add(c.sum(c.times(kl, orOne(o.Beta)), o.similarity(c, x, features)), features, kl)
			return c.err
		}},
		{name: "decoder", fits: fitsDecoder, optimizer: adversary, keepsStatistics: true, build: func(b *lossBuilder) error {
			c := &calc{b: b}
			x, drawn := c.pictures()
			verdict, f := c.discriminate(x)
			similarity := o.similarity(c, x, c.features(f))
			b.add(c.sum(c.times(similarity, orOne(o.Gamma)), c.judged(verdict, 1), c.judged(c.call(discriminator, drawn)[0], 1)))
			return c.err
		}},
		{name: discriminator, fits: fitsDiscriminator, optimizer: adversary, rate: o.Rate, keepsStatistics: true, build: func(b *lossBuilder) error {
			c := &calc{b: b}
			x, drawn := c.pictures()
			verdict, _ := c.discriminate(x)
			truth, _ := c.discriminate(b.target)
			b.add(c.sum(c.judged(truth, real), c.times(c.sum(c.judged(verdict, 0), c.judged(c.call(discriminator, drawn)[0], 0)), 0.5)))
			return c.err
		}},
	}
}

// similarity weighs the difference of features and, unless Pixels is 0, the negative log-likelihood of
// the target under the reconstruction x.
func (o VAEGAN) similarity(c *calc, x, features id) id {
	s := c.times(features, orOne(o.Features))
	if o.Pixels == 0 || c.err != nil {
		return s
	}
	pixels := c.mean(c.keep(c.b.negLogLikelihood(o.Likelihood, o.Sigma, x, c.b.target)))
	return c.sum(s, c.times(pixels, o.Pixels))
}

// pictures returns reconstructions from draws of z given the images, and images of draws
// from the prior.
func (c *calc) pictures() (reconstruction, drawn id) {
	_, err := c.b.sample(1)
	c.keep(s0, err)
	reconstruction = c.keep(c.b.reconstruction())
	return reconstruction, c.keep(c.b.decodePrior())
}

// discriminate returns the discriminator's logits of images, and its last hidden layer.
func (c *calc) discriminate(x id) (logits, features id) {
	out := c.call(discriminator, x)
	return out[0], out[1]
}

// features compares features f with those of the target, relative to the size of these.
func (c *calc) features(f id) id {
	_, t := c.discriminate(c.b.target)
	if c.err != nil {
		return s0
	}
	const tiny = 1e-6
	size := c.plus(c.mean(c.reduce("ReduceSum", c.square(t), 1)), tiny)
	return c.op("Div", c.mean(c.keep(c.b.squared(f, t, 1, 0, false))), size)
}

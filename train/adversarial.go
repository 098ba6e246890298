package train

import (
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
// pixels using a learned similarity metric", algorithm 1): the reconstruction error is
// measured on a layer of the discriminator, and the decoder is at once a generator. The
// encoder minimises KL + features, the decoder Gamma·features + deceit, the discriminator
// its cross-entropy over images, reconstructions and samples.
type VAEGAN struct {
	Gamma float64 // 0 means 0.1
	// Pixels adds the squared error of pixels, times this, to the losses of encoder and
	// decoder; 0: none.
	Pixels float64
	Conv   bool
}

// Parts implements [Objective].
func (VAEGAN) Parts() []string {
	return []string{"encoder", "features", "kl", "decoder", "discriminator"}
}

// Unit implements [Objective].
func (VAEGAN) Unit() string   { return "nats/image" }
func (VAEGAN) String() string { return "vae-gan" }
func (o VAEGAN) check() error { return positive("VAE-GAN", o.Gamma, o.Pixels) }

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
			c := &calc{b: b}
			kl := c.mean(c.grad("GaussianKL", nil, s.mu, s.logvar))
			f, pixels, _, _ := o.compare(c)
			total := c.sum(kl, f)
			if o.Pixels > 0 {
				total = c.sum(total, c.times(pixels, o.Pixels))
			}
			b.add(total, f, kl)
			return c.err
		}},
		{name: "decoder", fits: fitsDecoder, optimizer: adversary, keepsStatistics: true, build: func(b *lossBuilder) error {
			c := &calc{b: b}
			f, pixels, rec, drawn := o.compare(c)
			total := c.sum(c.times(f, orElse(o.Gamma, 0.1)), c.judged(rec, 1), c.judged(drawn, 1))
			if o.Pixels > 0 {
				total = c.sum(total, c.times(pixels, o.Pixels))
			}
			b.add(total)
			return c.err
		}},
		{name: discriminator, fits: fitsDiscriminator, optimizer: adversary, keepsStatistics: true, build: func(b *lossBuilder) error {
			c := &calc{b: b}
			_, _, rec, drawn := o.compare(c)
			truth := c.judged(c.call(discriminator, b.target)[0], real)
			b.add(c.sum(truth, c.times(c.sum(c.judged(rec, 0), c.judged(drawn, 0)), 0.5)))
			return c.err
		}},
	}
}

// compare returns the difference of features between images and reconstructions, that of
// pixels, and the verdicts on reconstructions and on images of the prior.
func (o VAEGAN) compare(c *calc) (features, pixels, rec, drawn id) {
	if _, err := c.b.sample(1); err != nil {
		c.keep(s0, err)
		return
	}
	x, err := c.b.reconstruction()
	c.keep(s0, err)
	p, err := c.b.decodePrior()
	c.keep(s0, err)
	if c.err != nil {
		return
	}
	r, t := c.call(discriminator, x), c.call(discriminator, c.b.target)
	if c.err != nil {
		return
	}
	features = c.mean(c.keep(c.b.squared(r[1], t[1], 0.5, 0, false)))
	pixels = c.mean(c.errorOf())
	return features, pixels, r[0], c.call(discriminator, p)[0]
}

package train

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/gradop"
)

// LayeredELBO is the negative evidence lower bound of a VAE with two stochastic layers
// (Rezende et al. 2014; Burda et al. 2016, §5): q(z₁|x)·q(z₂|z₁) against p(z₂)·p(z₁|z₂)·p(x|z₁),
// one sample each, in nats per image.
type LayeredELBO struct {
	Likelihood Likelihood
	Beta       float64 // weight of both KL terms in training; 0 means 1
	Warmup     float64 // epochs over which the weight of KL(q(z₁|x) ‖ p(z₁|z₂)) rises from 0
	// TopWarmup is that of KL(q(z₂|z₁) ‖ p(z₂)); 0 means Warmup. Where z₂ costs its full weight
	// from the first step, p(z₁|z₂) learns to ignore it before z₁ says much.
	TopWarmup float64
	Sigma     float64 // as in ELBO
}

// Parts implements [Objective].
func (LayeredELBO) Parts() []string { return []string{"loss", "reconstruction", "kl1", "kl2"} }

// Unit implements [Objective].
func (LayeredELBO) Unit() string   { return "nats/image" }
func (LayeredELBO) String() string { return "elbo-2" }

func (o LayeredELBO) check() error {
	if o.Likelihood > Logistic {
		return fmt.Errorf("train: ELBO with %+v", o)
	}
	return positive("ELBO", o.Beta, o.Warmup, o.TopWarmup, o.Sigma)
}

func (o LayeredELBO) phases() []phase { return only(o.build) }

func (o LayeredELBO) build(b *lossBuilder) error {
	s, err := b.sample(1)
	if err != nil {
		return err
	}
	names := []string{arch.Mu2, arch.LogVar2, arch.Z2, arch.PriorMu, arch.PriorLogVar}
	v := make([]id, len(names))
	for i, name := range names {
		if v[i], err = b.value("second layer", name); err != nil {
			return err
		}
	}
	mu2, logvar2, z2, pmu, plogvar := v[0], v[1], v[2], v[3], v[4]
	shape, err := b.shapeOf(mu2)
	if err != nil {
		return err
	}
	eps, err := b.noise("aekit:epsilon2", false, shape...)
	if err != nil {
		return err
	}
	n, err := b.g.Make(graph.Spec{Name: "loss/GaussianSample2", Domain: gradop.Domain, OpType: "GaussianSample", In: []id{mu2, logvar2, eps}, OutName: "loss/z2"})
	if err != nil {
		return err
	}
	b.g.Replace(z2, n.Out[0])
	b.g.Nodes = append(b.g.Nodes, n)
	if err := b.g.Sort(); err != nil {
		return err
	}
	x, err := b.reconstruction()
	if err != nil {
		return err
	}
	rec, err := b.negLogLikelihood(o.Likelihood, o.Sigma, x, b.target)
	if err != nil {
		return err
	}
	c := &calc{b: b}
	r, kl1 := c.mean(rec), c.mean(c.gaussianKL(s.mu, s.logvar, pmu, plogvar))
	kl2 := c.mean(c.grad("GaussianKL", nil, mu2, logvar2))
	if c.err != nil {
		return c.err
	}
	w1 := b.scalar(inputWeight, rising(orOne(o.Beta), o.Warmup), 1)
	w2 := b.scalar(inputTopWeight, rising(orOne(o.Beta), orElse(o.TopWarmup, o.Warmup)), 1)
	b.add(c.sum(r, c.op("Mul", kl1, w1), c.op("Mul", kl2, w2)), r, kl1, kl2)
	return c.err
}

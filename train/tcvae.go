package train

import (
	"fmt"
	"math"
)

// TCVAE is the β-TCVAE of Chen et al. 2018, "Isolating sources of disentanglement in VAEs":
// the KL term of the ELBO is split into mutual information, total correlation, which Beta
// weighs, and dimension-wise KL. The marginal densities are estimated from the batch by
// minibatch-weighted sampling (their appendix C.1). Evaluation has Beta 1, which is the ELBO
// with an estimate of its KL term.
type TCVAE struct {
	Likelihood Likelihood
	Beta       float64 // 0 means 6
	Warmup     float64 // epochs over which the weight rises from 0
	Sigma      float64 // as in ELBO
}

// Parts implements [Objective].
func (TCVAE) Parts() []string {
	return []string{"loss", "reconstruction", "mutual information", "total correlation", "dimensions"}
}

// Unit implements [Objective].
func (TCVAE) Unit() string     { return "nats/image" }
func (o TCVAE) String() string { return fmt.Sprintf("tcvae(β=%g)", orElse(o.Beta, 6)) }

func (o TCVAE) check() error {
	if o.Likelihood > Logistic {
		return fmt.Errorf("train: TCVAE with %+v", o)
	}
	return positive("TCVAE", o.Beta, o.Warmup, o.Sigma)
}

func (o TCVAE) phases() []phase { return only(o.build) }

func (o TCVAE) build(b *lossBuilder) error {
	s, err := b.sample(1)
	if err != nil {
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
	log2pi := math.Log(2 * math.Pi)
	// All densities are sums or arrays of -½ (log 2π + logvar + (z-mu)²/exp(logvar)).
	pz := c.times(c.reduce("ReduceSum", c.plus(c.square(s.z), log2pi), 1), -0.5)
	qzx := c.times(c.reduce("ReduceSum", c.plus(c.sum(s.logvar, c.square(s.epsilon)), log2pi), 1), -0.5)
	// pairs[i, j, d] = log q(z_id | x_j)
	zi, muj, lvj := c.op("Unsqueeze", s.z, b.ints(1)), c.op("Unsqueeze", s.mu, b.ints(0)), c.op("Unsqueeze", s.logvar, b.ints(0))
	d := c.op("Mul", c.square(c.sub(zi, muj)), c.op("Exp", c.negative(lvj)))
	pairs := c.times(c.plus(c.sum(d, lvj), log2pi), -0.5)
	// log q(z) ≈ logsumexp over the batch - log(batch·images)
	n := c.op("Log", c.times(c.rowCount(s.z), float64(b.images)))
	qz := c.sub(c.reduce("ReduceLogSumExp", c.reduce("ReduceSum", pairs, 2), 1), n)
	each := c.reduce("ReduceSum", c.sub(c.reduce("ReduceLogSumExp", pairs, 1), n), 1)
	r := c.mean(rec)
	mi, tc, dims := c.mean(c.sub(qzx, qz)), c.mean(c.sub(qz, each)), c.mean(c.sub(each, pz))
	if c.err != nil {
		return c.err
	}
	weight := b.scalar(inputWeight, rising(orElse(o.Beta, 6), o.Warmup), 1)
	b.add(c.sum(r, mi, c.op("Mul", tc, weight), dims), r, mi, tc, dims)
	return c.err
}

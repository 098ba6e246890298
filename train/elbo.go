package train

import (
	"fmt"

	"github.com/aekit/aekit/train/gradop"
)

// ELBO is the negative evidence lower bound of a variational autoencoder (Kingma and
// Welling 2014) with one sample of z for each image:
//
//	-log p(x|z) + β·KL(q(z|x) ‖ N(0, 1)),  z = mu + exp(logvar/2)·ε
//
// in nats per image. Reported totals on validation and test data have β = 1 and sample z
// as in training. With Capacity, training minimises
//
//	-log p(x|z) + β·|KL - C|
//
// instead, where C rises linearly from 0 (Burgess et al. 2018, "Understanding disentangling
// in β-VAE", equation 8).
type ELBO struct {
	Likelihood Likelihood
	// Beta is the weight of the KL term in training (Higgins et al. 2017); 0 means 1.
	Beta float64
	// Warmup raises the weight linearly from 0 to Beta over that many epochs.
	Warmup float64
	// Sigma is the deviation of the Gaussian likelihood, 0 meaning 0.1, or the scale of the
	// logistic one, 0 meaning 0.03.
	Sigma float64
	// Capacity is the greatest C, in nats; 0 means none. C reaches it after CapacityEpochs.
	Capacity, CapacityEpochs float64
}

// Parts implements [Objective].
func (ELBO) Parts() []string { return []string{"loss", "reconstruction", "kl"} }

// Unit implements [Objective].
func (ELBO) Unit() string { return "nats/image" }

func (e ELBO) String() string {
	s := "elbo"
	if e.Likelihood != Bernoulli {
		s += "-" + e.Likelihood.String()
	}
	if e.Beta != 0 && e.Beta != 1 {
		s += fmt.Sprintf("(β=%g)", e.Beta)
	}
	if e.Capacity != 0 {
		s += fmt.Sprintf("(C=%g)", e.Capacity)
	}
	return s
}

func (e ELBO) check() error {
	if !(e.Beta >= 0 && e.Warmup >= 0 && e.Sigma >= 0 && e.Capacity >= 0 && e.CapacityEpochs >= 0) || e.Likelihood > Logistic {
		return fmt.Errorf("train: ELBO with %+v", e)
	}
	return nil
}

// weight is the weight of the KL term at a moment of training, in epochs.
func (e ELBO) weight(epochs float64) float64 {
	return rising(orOne(e.Beta), e.Warmup)(epochs)
}

// rising returns a function that rises linearly from 0 to v over that many epochs.
func rising(v, over float64) func(epochs float64) float64 {
	return func(epochs float64) float64 {
		if epochs < over {
			return v * epochs / over
		}
		return v
	}
}

func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

func (e ELBO) phases() []phase { return only(e.build) }

func (e ELBO) build(b *lossBuilder) error {
	s, err := b.sample(1)
	if err != nil {
		return err
	}
	x, err := b.reconstruction()
	if err != nil {
		return err
	}
	rec, err := b.negLogLikelihood(e.Likelihood, e.Sigma, x, b.target)
	if err != nil {
		return err
	}
	kl, err := b.node(gradop.Domain, "GaussianKL", []id{s.mu, s.logvar})
	if err != nil {
		return err
	}
	if rec, err = b.batchMean(rec); err != nil {
		return err
	}
	if kl, err = b.batchMean(kl); err != nil {
		return err
	}
	if e.Capacity == 0 {
		return b.finish(rec, kl, e.weight)
	}
	c := &calc{b: b}
	off := c.op("Abs", c.op("Sub", kl, b.scalar("aekit:capacity", rising(e.Capacity, e.CapacityEpochs), 0)))
	total := c.op("Add", rec, c.op("Mul", off, b.scalar(inputWeight, e.weight, 1)))
	b.add(total, rec, kl)
	return c.err
}

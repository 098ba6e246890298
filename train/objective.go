package train

import (
	"fmt"
)

// Objective is what training minimises: a loss graph that is appended to a model. The
// values it needs it finds by the names in the model's metadata.
type Objective interface {
	// Parts names the reported terms. The first is the total.
	Parts() []string
	// Unit is the unit of the total in reports, "nats/image" or "MSE/pixel".
	Unit() string
	String() string

	// append adds the loss to b's graph and records its terms.
	append(b *lossBuilder) error
	check() error
	// weight is the factor of the regularising term at a moment of training, in epochs.
	weight(epochs float64) float64
}

// MSE is the squared difference between reconstruction and image, averaged over pixels
// and images.
type MSE struct{}

// Parts implements [Objective].
func (MSE) Parts() []string { return []string{"loss"} }

// Unit implements [Objective].
func (MSE) Unit() string   { return "MSE/pixel" }
func (MSE) String() string { return "mse" }
func (MSE) check() error   { return nil }

func (MSE) weight(float64) float64 { return 1 }

// BCE is the binary cross-entropy between image and reconstruction, summed over pixels and
// averaged over images, computed from the logits behind the model's final Sigmoid.
type BCE struct{}

// Parts implements [Objective].
func (BCE) Parts() []string { return []string{"loss"} }

// Unit implements [Objective].
func (BCE) Unit() string   { return "nats/image" }
func (BCE) String() string { return "bce" }
func (BCE) check() error   { return nil }

func (BCE) weight(float64) float64 { return 1 }

// Likelihood is the distribution of an image given its latents.
type Likelihood uint8

// Likelihoods.
const (
	Bernoulli Likelihood = iota // -log p is the binary cross-entropy, with pixels as probabilities
	Gaussian                    // -log p with mean = reconstruction and a fixed deviation
)

// ELBO is the negative evidence lower bound of a variational autoencoder (Kingma and
// Welling 2014) with one sample of z for each image:
//
//	-log p(x|z) + β·KL(q(z|x) ‖ N(0, 1)),  z = mu + exp(logvar/2)·ε
//
// in nats per image. Reported totals on validation and test data have β = 1 and sample z
// as in training.
type ELBO struct {
	Likelihood Likelihood
	// Beta is the weight of the KL term in training (Higgins et al. 2017); 0 means 1.
	Beta float64
	// Warmup raises the weight linearly from 0 to Beta over that many epochs.
	Warmup float64
	// Sigma is the deviation of the Gaussian likelihood; 0 means 0.1.
	Sigma float64
}

// Parts implements [Objective].
func (ELBO) Parts() []string { return []string{"loss", "reconstruction", "kl"} }

// Unit implements [Objective].
func (ELBO) Unit() string { return "nats/image" }

func (e ELBO) String() string {
	s := "elbo"
	if e.Likelihood == Gaussian {
		s = "elbo-gaussian"
	}
	if e.Beta != 0 && e.Beta != 1 {
		s += fmt.Sprintf("(β=%g)", e.Beta)
	}
	return s
}

func (e ELBO) check() error {
	if !(e.Beta >= 0 && e.Warmup >= 0 && e.Sigma >= 0) || e.Likelihood > Gaussian {
		return fmt.Errorf("train: ELBO with %+v", e)
	}
	return nil
}

func (e ELBO) weight(epochs float64) float64 {
	e = e.filled()
	if epochs < e.Warmup {
		return e.Beta * epochs / e.Warmup
	}
	return e.Beta
}

func (e ELBO) filled() ELBO {
	if e.Beta == 0 {
		e.Beta = 1
	}
	if e.Sigma == 0 {
		e.Sigma = 0.1
	}
	return e
}

// ParseObjective returns the objective of that name: "mse", "bce", "elbo" (Bernoulli
// likelihood) or "elbo-gaussian". beta is used by the last two; 0 means 1.
func ParseObjective(name string, beta float64) (Objective, error) {
	switch name {
	case "mse":
		return MSE{}, nil
	case "bce":
		return BCE{}, nil
	case "elbo":
		return ELBO{Beta: beta}, nil
	case "elbo-gaussian":
		return ELBO{Likelihood: Gaussian, Beta: beta}, nil
	}
	return nil, fmt.Errorf("train: no objective %q; there are mse, bce, elbo and elbo-gaussian", name)
}

package train

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train/gradop"
)

// Likelihood is the distribution of an image given its latents.
type Likelihood uint8

// Likelihoods.
const (
	Bernoulli Likelihood = iota // -log p is the binary cross-entropy, with pixels as probabilities
	Gaussian                    // the mean is the reconstruction, the deviation fixed
	// Logistic is the distribution of 8-bit pixels of Kingma et al. 2016, "Improving
	// variational inference with inverse autoregressive flow", §4 and appendix: a logistic
	// one around the reconstruction, integrated over the width of a level.
	Logistic
)

var likelihoodNames = [...]string{"bernoulli", "gaussian", "logistic"}

func (l Likelihood) String() string {
	if int(l) < len(likelihoodNames) {
		return likelihoodNames[l]
	}
	return fmt.Sprintf("likelihood(%d)", uint8(l))
}

// UnmarshalText reads a name.
func (l *Likelihood) UnmarshalText(text []byte) error {
	for i, name := range likelihoodNames {
		if name == string(text) {
			*l = Likelihood(i)
			return nil
		}
	}
	return fmt.Errorf("likelihood %.20q, want one of %v", text, likelihoodNames)
}

// Defaults of the deviation (Gaussian) and of the scale (Logistic).
const (
	defaultSigma = 0.1
	defaultScale = 0.03
)

// negLogLikelihood returns -log p(target|x) of each image. sigma 0 means the default.
func (b *lossBuilder) negLogLikelihood(l Likelihood, sigma float64, x, target id) (id, error) {
	switch l {
	case Bernoulli:
		return b.bernoulli(x, target)
	case Gaussian:
		if sigma == 0 {
			sigma = defaultSigma
		}
		return b.squared(x, target, 1/(2*sigma*sigma), 0.5*math.Log(2*math.Pi*sigma*sigma), false)
	case Logistic:
		if sigma == 0 {
			sigma = defaultScale
		}
		return b.node(gradop.Domain, "DiscretizedLogistic", []id{x, target}, onnx.AttrF("alpha", float32(sigma)))
	}
	return graph.None, fmt.Errorf("train: %v", l)
}

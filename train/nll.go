package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/dataset"
)

// nllSamples is how many samples of an image one run of the decoder takes, nllRows how many
// rows its batches have about.
const (
	nllSamples = 50
	nllRows    = 5000
)

// HasLikelihood reports whether an objective says a likelihood that [Trainer.NLL] can estimate:
// [ELBO], [IWAE] and [TCVAE] do.
func HasLikelihood(o Objective) bool {
	_, ok := likelihoodOf(o)
	return ok
}

// likelihoodOf returns the importance-weighted form of an objective's likelihood.
func likelihoodOf(o Objective) (IWAE, bool) {
	switch e := o.(type) {
	case ELBO:
		return IWAE{Likelihood: e.Likelihood, Sigma: e.Sigma}, true
	case IWAE:
		return e, true
	case TCVAE:
		return IWAE{Likelihood: e.Likelihood, Sigma: e.Sigma}, true
	}
	return IWAE{}, false
}

// NLL estimates the negative log-likelihood of a variational autoencoder on the images of
// src, in nats per image, by importance sampling from the encoder (Burda et al. 2016, §2 and
// §5, with 5,000 samples): -log 1/k Σ p(x|z)·p(z)/q(z|x), averaged over images. samples, k,
// is rounded up to a multiple of 50. The estimate is an upper bound in expectation. It needs
// an objective for which [HasLikelihood] holds, and a model without labels. The encoder sees
// the images without Config.Noise.
func (t *Trainer) NLL(ctx context.Context, src dataset.Source, samples int) (float64, error) {
	o, ok := likelihoodOf(t.cfg.Objective)
	if !ok {
		return 0, fmt.Errorf("train: objective %v says no likelihood that could be estimated", t.cfg.Objective)
	}
	if samples < 1 || samples > math.MaxInt32-nllSamples || src.Len() == 0 {
		return 0, fmt.Errorf("train: %d samples of %d images", samples, src.Len())
	}
	if t.meta.Values.Label != "" {
		return 0, errors.New("train: the likelihood of conditional models is not estimated")
	}
	rounds := (samples + nllSamples - 1) / nllSamples
	var n noises
	g := t.plain.Clone()
	b, err := newLossBuilder(g, t.meta, &t.kit, &n, false)
	if err != nil {
		return 0, err
	}
	w, err := o.logWeights(b, nllSamples)
	if err != nil {
		return 0, err
	}
	g.Outputs = []graph.ValueID{w}
	p := newProgram(b, t.image, t.pool)
	p.fixed = []*tensor.Tensor{nil}
	f, err := newFeed(src, feedOptions{
		seed: t.cfg.Seed, stream: streamEvaluate, noises: &n, binarize: t.cfg.Binarize,
		loader: dataset.LoaderOptions{Batch: nllRows / nllSamples, Epochs: rounds, InOrder: true},
	})
	if err != nil {
		return 0, err
	}
	defer f.close()
	// Of each image: the greatest log weight so far, and the sum of weights as shares of it.
	top, sum := make([]float64, src.Len()), make([]float64, src.Len())
	for i := range top {
		top[i] = math.Inf(-1)
	}
	for {
		batch, err := f.next(ctx)
		if err == io.EOF || batch == nil && err == nil {
			break
		}
		if err != nil {
			return 0, err
		}
		if _, err := p.run(ctx, &batch.batch, evaluating); err != nil {
			return 0, err
		}
		weights := p.plans[batch.n].outs[0].Float32s()
		for k, i := range batch.raw.Index {
			for _, v := range weights[k*nllSamples : (k+1)*nllSamples] {
				x := float64(v)
				if x > top[i] {
					sum[i] *= math.Exp(top[i] - x)
					top[i] = x
				}
				sum[i] += math.Exp(x - top[i])
			}
		}
		f.done(batch)
	}
	total := 0.0
	for i, s := range sum {
		total -= top[i] + math.Log(s/float64(rounds*nllSamples))
	}
	return total / float64(src.Len()), nil
}

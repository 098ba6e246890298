package train

import (
	"fmt"
	"math"
)

// IWAE is the importance-weighted bound of Burda et al. 2016 with K samples for each image:
//
//	-log 1/K Σ p(x|z)·p(z)/q(z|x)
//
// in nats per image. Reports have the same bound with the same K.
type IWAE struct {
	K          int // samples; 0 means 5
	Likelihood Likelihood
	Sigma      float64 // as in ELBO
}

// Parts implements [Objective].
func (IWAE) Parts() []string { return []string{"loss"} }

// Unit implements [Objective].
func (IWAE) Unit() string { return "nats/image" }

func (o IWAE) String() string { return fmt.Sprintf("iwae(k=%d)", o.k()) }

func (o IWAE) k() int {
	if o.K == 0 {
		return 5
	}
	return o.K
}

func (o IWAE) check() error {
	if o.K < 0 || o.K > 1<<16 || !(o.Sigma >= 0) || o.Likelihood > Logistic {
		return fmt.Errorf("train: IWAE with %+v", o)
	}
	return nil
}

func (o IWAE) phases() []phase {
	return only(func(b *lossBuilder) error {
		w, err := o.logWeights(b, o.k())
		if err != nil {
			return err
		}
		c := &calc{b: b}
		b.add(c.mean(c.plus(c.negative(c.reduce("ReduceLogSumExp", w, 1)), math.Log(float64(o.k())))))
		return c.err
	})
}

// logWeights returns log p(x|z)·p(z)/q(z|x) of k samples, [batch, k].
func (o IWAE) logWeights(b *lossBuilder, k int) (id, error) {
	s, err := b.sample(k)
	if err != nil {
		return s0, err
	}
	x, err := b.reconstruction()
	if err != nil {
		return s0, err
	}
	target := b.target
	if k > 1 {
		shape, err := b.shapeOf(target)
		if err != nil {
			return s0, err
		}
		if target, err = b.repeat(target, k, shape); err != nil {
			return s0, err
		}
	}
	rec, err := b.negLogLikelihood(o.Likelihood, o.Sigma, x, target)
	if err != nil {
		return s0, err
	}
	// log p(z) - log q(z|x) = -½ Σ z² - ε² - logvar.
	c := &calc{b: b}
	t := c.sub(c.sub(c.square(s.z), c.square(s.epsilon)), s.logvar)
	w := c.sub(c.times(c.reduce("ReduceSum", c.rows(t), 1), -0.5), rec)
	return c.reshape(w, -1, k), c.err
}

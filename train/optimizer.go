package train

import (
	"fmt"
	"strings"

	"github.com/aekit/aekit/internal/kernel"
)

// Optimizer is a rule for updating parameters: [Adam] or [SGD].
type Optimizer interface {
	String() string
	moments() int // how many values it keeps for each parameter
	check() error
	// update steps p along the gradients g, each multiplied by scale. m are its moments,
	// step counts from 1.
	update(p, g []float32, m [][]float32, step int, lr, scale float64)
}

// Adam is the method of Kingma and Ba (2015); with WeightDecay it is AdamW (Loshchilov and
// Hutter 2019). Zero fields take the usual values.
type Adam struct {
	Beta1, Beta2 float64 // decay of the moments; 0.9 and 0.999
	Eps          float64 // 1e-8
	WeightDecay  float64 // decoupled; 0
}

func (a Adam) String() string {
	if a.WeightDecay != 0 {
		return fmt.Sprintf("adamw(%g)", a.WeightDecay)
	}
	return "adam"
}

func (a Adam) moments() int { return 2 }

func (a Adam) filled() Adam {
	if a.Beta1 == 0 {
		a.Beta1 = 0.9
	}
	if a.Beta2 == 0 {
		a.Beta2 = 0.999
	}
	if a.Eps == 0 {
		a.Eps = 1e-8
	}
	return a
}

func (a Adam) check() error {
	f := a.filled()
	if !(f.Beta1 >= 0 && f.Beta1 < 1 && f.Beta2 >= 0 && f.Beta2 < 1 && f.Eps > 0 && f.WeightDecay >= 0) {
		return fmt.Errorf("train: Adam with beta1 %g, beta2 %g, eps %g, weightdecay %g: want betas below 1, eps above 0 and no negative numbers", f.Beta1, f.Beta2, f.Eps, f.WeightDecay)
	}
	return nil
}

func (a Adam) update(p, g []float32, m [][]float32, step int, lr, scale float64) {
	a = a.filled()
	h := kernel.AdamParams{
		LR: float32(lr), Beta1: float32(a.Beta1), Beta2: float32(a.Beta2), Eps: float32(a.Eps), WeightDecay: float32(a.WeightDecay),
		Correction1: float32(correction(a.Beta1, step)), Correction2: float32(correction(a.Beta2, step)), GradScale: float32(scale),
	}
	kernel.AdamF32(p, g, m[0], m[1], &h)
}

// correction is 1 - beta^step, with the same bits on every architecture.
func correction(beta float64, step int) float64 {
	pow, base := 1.0, beta
	for ; step > 0; step >>= 1 {
		if step&1 == 1 {
			pow = float64(pow * base)
		}
		base = float64(base * base)
	}
	return 1 - pow
}

// SGD is stochastic gradient descent.
type SGD struct {
	Momentum    float64
	Nesterov    bool
	WeightDecay float64 // added to the gradient, times the parameter
}

func (s SGD) String() string { return "sgd" }

func (s SGD) moments() int { return 1 }

func (s SGD) check() error {
	if !(s.Momentum >= 0 && s.Momentum < 1 && s.WeightDecay >= 0) {
		return fmt.Errorf("train: SGD with momentum %g, weightdecay %g: want a momentum below 1 and no negative numbers", s.Momentum, s.WeightDecay)
	}
	return nil
}

func (s SGD) update(p, g []float32, m [][]float32, _ int, lr, scale float64) {
	h := kernel.SGDParams{LR: float32(lr), Momentum: float32(s.Momentum), WeightDecay: float32(s.WeightDecay), GradScale: float32(scale), Nesterov: s.Nesterov}
	kernel.SGDF32(p, g, m[0], &h)
}

// ParseOptimizer returns the optimizer that a specification describes: "adam", "adamw" or
// "sgd" with its usual parameters, and, after a colon, settings of its fields in lower case,
// as in "adam:beta1=0.5,eps=1e-4".
func ParseOptimizer(spec string) (Optimizer, error) {
	name, settings, _ := strings.Cut(spec, ":")
	var o Optimizer
	switch name {
	case "adam", "":
		o = Adam{}
	case "adamw":
		o = Adam{WeightDecay: 0.01}
	case "sgd":
		o = SGD{Momentum: 0.9}
	default:
		return nil, fmt.Errorf("train: no optimizer %q; there are adam, adamw and sgd", name)
	}
	v, err := configure(o, settings)
	if err != nil {
		return nil, fmt.Errorf("train: optimizer %q: %w", spec, err)
	}
	o = v.Interface().(Optimizer)
	return o, o.check()
}

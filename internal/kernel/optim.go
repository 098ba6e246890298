package kernel

import "math"

// AdamParams are the scalars of one Adam or AdamW step.
type AdamParams struct {
	LR          float32 // step size
	Beta1       float32 // decay of the first moment
	Beta2       float32 // decay of the second moment
	Eps         float32 // added to the root of the corrected second moment
	WeightDecay float32 // decoupled: p is multiplied by 1 - LR*WeightDecay first
	Correction1 float32 // 1 - Beta1^t at step t (counted from 1); 1 for no bias correction
	Correction2 float32 // 1 - Beta2^t
	GradScale   float32 // multiplies every gradient; 1 for none
}

// adamArgs are the factors of one step as the kernels use them.
type adamArgs struct {
	beta1, rest1 float32 // Beta1, 1-Beta1
	beta2, rest2 float32
	decay        float32 // 1 - LR*WeightDecay
	step         float32 // LR / Correction1
	root         float32 // 1 / sqrt(Correction2)
	eps          float32
	scale        float32
}

// AdamF32 performs one step of Adam (Kingma and Ba, 2015) with decoupled weight decay (Loshchilov and Hutter, 2019) on
// the parameters p with gradients g, updating the moments m and v. It works on len(p) elements:
//
//	g' = g * GradScale
//	m  = Beta1*m + (1-Beta1)*g'
//	v  = Beta2*v + (1-Beta2)*g'²
//	p  = p*(1 - LR*WeightDecay) - (LR/Correction1) * m / (sqrt(v)/sqrt(Correction2) + Eps)
//
// g is left unchanged.
func AdamF32(p, g, m, v []float32, h *AdamParams) {
	n := len(p)
	a := adamArgs{
		beta1: h.Beta1, rest1: float32(1 - float64(h.Beta1)),
		beta2: h.Beta2, rest2: float32(1 - float64(h.Beta2)),
		decay: float32(1 - float64(h.LR)*float64(h.WeightDecay)),
		step:  float32(float64(h.LR) / float64(h.Correction1)),
		root:  float32(1 / math.Sqrt(float64(h.Correction2))),
		eps:   h.Eps, scale: h.GradScale,
	}
	adamF32(p, g[:n], m[:n], v[:n], &a)
}

func adamF32Generic(p, g, m, v []float32, h *adamArgs) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		d := float32(g[i] * h.scale)
		m1 := float32(h.beta1*m[i]) + float32(h.rest1*d)
		v1 := float32(h.beta2*v[i]) + float32(h.rest2*float32(d*d))
		m[i], v[i] = m1, v1
		den := float32(float32(math.Sqrt(float64(v1)))*h.root) + h.eps
		p[i] = float32(p[i]*h.decay) - float32(h.step*m1)/den
	}
}

// SGDParams are the scalars of one step of stochastic gradient descent.
type SGDParams struct {
	LR          float32 // step size
	Momentum    float32 // decay of the velocity
	WeightDecay float32 // adds WeightDecay*p to the gradient
	GradScale   float32 // multiplies every gradient; 1 for none
	Nesterov    bool    // looks ahead along the new velocity
}

// SGDF32 performs one step of stochastic gradient descent on the parameters p with gradients g and velocities v. It
// works on len(p) elements:
//
//	d = g*GradScale + WeightDecay*p
//	v = Momentum*v + d
//	p = p - LR*v                    (or p - LR*(d + Momentum*v) with Nesterov)
//
// v may be nil if Momentum is 0. g is left unchanged.
func SGDF32(p, g, v []float32, h *SGDParams) {
	n := len(p)
	if v != nil {
		v = v[:n]
	} else if h.Momentum != 0 {
		panic("kernel: SGDF32 with momentum and no velocity")
	}
	sgdF32(p, g[:n], v, h)
}

func sgdF32Generic(p, g, v []float32, h *SGDParams) {
	g = g[:len(p)]
	for i := range p {
		d := float32(g[i]*h.GradScale) + float32(h.WeightDecay*p[i])
		if v != nil {
			v1 := float32(h.Momentum*v[i]) + d
			v[i] = v1
			if h.Nesterov {
				d += float32(h.Momentum * v1)
			} else {
				d = v1
			}
		}
		p[i] -= float32(h.LR * d)
	}
}

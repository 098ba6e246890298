package gradop

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
)

// DiscretizedLogistic is -log p of 8-bit pixels b, in [0, 1], under a logistic distribution
// with mean a and scale alpha, integrated over the width of a level; the lowest and highest
// level have the tails (Kingma et al. 2016, "Improving variational inference with inverse
// autoregressive flow", equation 23 of the appendix; Salimans et al. 2017).
//
// With u = (b + 1/510 - a)/alpha and v = u - 1/(255·alpha), σ(u) - σ(v) is
// (1 - exp(v-u))·σ(u)·σ(-v), so that -log p = softplus(-u) + softplus(v) - log(1 - exp(v-u)),
// where an end of the scale lacks one of the first two terms, and the last one.
var logisticTable = map[string]constructor{
	"DiscretizedLogistic": func(a *op.Attrs) (op.Op, error) {
		return &rowLoss{alpha: float64(a.Float("alpha", 1)), f32: logisticRow, f64: logisticRow64}, nil
	},
	"DiscretizedLogisticGrad": func(a *op.Attrs) (op.Op, error) {
		return &rowGrad{outs: 1, alpha: float64(a.Float("alpha", 1)), f32: logisticGradRow, f64: logisticGradRow64}, nil
	},
}

const halfLevel = 1. / 510

// outer is an argument at which softplus and sigmoid are 0 in float32.
const outer = -1e4

// levelEdges sets u to (a - b - half)/alpha and v to (b - half - a)/alpha, the arguments of
// the two terms, or to outer where the term is missing, and returns the number of levels
// that have both.
func levelEdges(u, v, a, b []float32, alpha float64) int {
	inner := 0
	inv, h := float32(1/alpha), float32(halfLevel)
	for i, x := range b {
		d := x - a[i]
		u[i], v[i] = (-d-h)*inv, (d-h)*inv
		switch {
		case x < halfLevel:
			v[i] = outer
		case x > 1-halfLevel:
			u[i] = outer
		default:
			inner++
		}
	}
	return inner
}

// logWidth is -log(1 - exp(-1/(255·alpha))).
func logWidth(alpha float64) float64 { return -math.Log(-math.Expm1(-2 * halfLevel / alpha)) }

func logisticRow(o *rowLoss, a, b []float32) float64 {
	var u, v [buffer]float32
	s, inner := 0.0, 0
	for len(a) > 0 {
		n := min(len(a), buffer)
		inner += levelEdges(u[:n], v[:n], a[:n], b[:n], o.alpha)
		kernel.SoftplusF32(u[:n], u[:n])
		kernel.SoftplusF32(v[:n], v[:n])
		s += float64(kernel.SumF32(u[:n])) + float64(kernel.SumF32(v[:n]))
		a, b = a[n:], b[n:]
	}
	return s + float64(inner)*logWidth(o.alpha)
}

func logisticGradRow(o *rowGrad, dy float32, a, b, da, _ []float32) {
	var v [buffer]float32
	scale := dy / float32(o.alpha)
	for len(a) > 0 {
		n := min(len(a), buffer)
		levelEdges(da[:n], v[:n], a[:n], b[:n], o.alpha)
		kernel.SigmoidF32(da[:n], da[:n])
		kernel.SigmoidF32(v[:n], v[:n])
		kernel.SubF32(da[:n], da[:n], v[:n])
		kernel.MulScalarF32(da[:n], da[:n], scale)
		a, b, da = a[n:], b[n:], da[n:]
	}
}

func logisticRow64(o *rowLoss, a, b []float64) float64 {
	s := 0.0
	for i, x := range b {
		d := x - a[i]
		if x <= 1-halfLevel {
			s += softplus((-d - halfLevel) / o.alpha)
		}
		if x >= halfLevel {
			s += softplus((d - halfLevel) / o.alpha)
		}
		if x >= halfLevel && x <= 1-halfLevel {
			s += logWidth(o.alpha)
		}
	}
	return s
}

func logisticGradRow64(o *rowGrad, dy float64, a, b, da, _ []float64) {
	for i, x := range b {
		d := x - a[i]
		da[i] = 0
		if x <= 1-halfLevel {
			da[i] += dy * sigmoid((-d-halfLevel)/o.alpha) / o.alpha
		}
		if x >= halfLevel {
			da[i] -= dy * sigmoid((d-halfLevel)/o.alpha) / o.alpha
		}
	}
}

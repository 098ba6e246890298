package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
)

// Elementary functions.
var (
	fnAbs = &unaryFunc{integer: intAbs, f64: func(_ *unary, x float64) float64 { return math.Abs(x) },
		f32: func(_ *unary, dst, x []float32) { kernel.AbsF32(dst, x) }}
	fnNeg = &unaryFunc{integer: intNeg, f64: func(_ *unary, x float64) float64 { return -x },
		f32: func(_ *unary, dst, x []float32) { kernel.NegF32(dst, x) }}
	fnReciprocal = vector(kernel.ReciprocalF32, func(x float64) float64 { return 1 / x })
	fnSign       = plain(sign).with(0, intSign)
	fnFloor      = vector(kernel.FloorF32, math.Floor).with(0, intSame)
	fnCeil       = vector(kernel.CeilF32, math.Ceil).with(0, intSame)
	fnRound      = vector(kernel.RoundF32, math.RoundToEven).with(0, intSame)
	fnSqrt       = vector(kernel.SqrtF32, math.Sqrt)
	fnExp        = vector(kernel.ExpF32, math.Exp)
	fnLog        = vector(kernel.LogF32, math.Log)
	fnErf        = vector(kernel.ErfF32, math.Erf)
	fnSin        = plain(math.Sin)
	fnCos        = plain(math.Cos)
	fnTan        = plain(math.Tan)
	fnAsin       = plain(math.Asin)
	fnAcos       = plain(math.Acos)
	fnAtan       = plain(math.Atan)
	fnSinh       = plain(math.Sinh)
	fnCosh       = plain(math.Cosh)
	fnAsinh      = plain(math.Asinh)
	fnAcosh      = plain(math.Acosh)
	fnAtanh      = plain(math.Atanh)
)

// Activations.
var (
	fnRelu = vector(kernel.ReluF32, func(x float64) float64 {
		if x <= 0 {
			return 0
		}
		return x
	}).with(kernel.ActRelu, intRelu)
	fnSigmoid   = vector(kernel.SigmoidF32, sigmoid).with(kernel.ActSigmoid, 0)
	fnTanh      = vector(kernel.TanhF32, math.Tanh).with(kernel.ActTanh, 0)
	fnSoftplus  = vector(kernel.SoftplusF32, softplus).with(kernel.ActSoftplus, 0)
	fnLeakyRelu = &unaryFunc{act: kernel.ActLeakyRelu,
		f32: func(o *unary, dst, x []float32) { kernel.LeakyReluF32(dst, x, o.alpha) },
		f64: func(o *unary, x float64) float64 {
			if x < 0 {
				return float64(o.alpha) * x
			}
			return x
		}}
	fnElu = &unaryFunc{act: kernel.ActElu,
		f32: func(o *unary, dst, x []float32) { kernel.EluF32(dst, x, o.alpha) },
		f64: func(o *unary, x float64) float64 { return elu(x, float64(o.alpha)) }}
	// alpha is Elu's, beta is gamma.
	fnSelu = &unaryFunc{
		f32: func(o *unary, dst, x []float32) { kernel.SeluF32(dst, x, o.alpha, o.beta) },
		f64: func(o *unary, x float64) float64 { return float64(o.beta) * elu(x, float64(o.alpha)) }}
	fnCelu = &unaryFunc{
		f32: func(o *unary, dst, x []float32) {
			if o.alpha > 0 {
				kernel.CeluF32(dst, x, o.alpha)
				return
			}
			for i, v := range x {
				dst[i] = float32(celu(float64(v), float64(o.alpha)))
			}
		},
		f64: func(o *unary, x float64) float64 { return celu(x, float64(o.alpha)) }}
	fnThresholdedRelu = &unaryFunc{
		f32: func(o *unary, dst, x []float32) { kernel.ThresholdF32(dst, x, o.alpha) },
		f64: func(o *unary, x float64) float64 {
			if x <= float64(o.alpha) {
				return 0
			}
			return x
		}}
	fnHardSigmoid = &unaryFunc{
		f32: func(o *unary, dst, x []float32) {
			kernel.AffineF32(dst, x, o.alpha, o.beta)
			kernel.ClipF32(dst, dst, 0, 1)
		},
		f64: func(o *unary, x float64) float64 {
			return hardSigmoid(x, float64(o.alpha), float64(o.beta))
		}}
	fnHardSwish = vector(kernel.HardSwishF32, func(x float64) float64 { return x * hardSigmoid(x, 1./6, 0.5) }).with(kernel.ActHardSwish, 0)
	fnSoftsign  = vector(kernel.SoftsignF32, func(x float64) float64 { return x / (1 + math.Abs(x)) })
	fnMish      = vector(kernel.MishF32, func(x float64) float64 { return x * math.Tanh(softplus(x)) }).with(kernel.ActMish, 0)
	// fnSwish is x·sigmoid(alpha·x), also known as SiLU and QuickGelu.
	fnSwish = &unaryFunc{act: kernel.ActSwish,
		f32: func(o *unary, dst, x []float32) { kernel.SwishF32(dst, x, o.alpha) },
		f64: func(o *unary, x float64) float64 { return x * sigmoid(float64(o.alpha)*x) }}
	fnGelu = vector(kernel.GeluF32, func(x float64) float64 { return 0.5 * x * math.Erfc(-x*math.Sqrt2/2) }).with(kernel.ActGelu, 0)
	// fnGeluTanh is the approximation 0.5x(1+tanh(√(2/π)(x+0.044715x³))).
	fnGeluTanh = vector(kernel.GeluTanhF32, func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(geluScale*(x+geluCubic*x*x*x)))
	}).with(kernel.ActGeluTanh, 0)
)

const (
	geluScale = 0.7978845608028654 // √(2/π)
	geluCubic = 0.044715
)

func elu(x, alpha float64) float64 {
	if x < 0 {
		return alpha * math.Expm1(x)
	}
	return x
}

func hardSigmoid(x, alpha, beta float64) float64 {
	y := alpha*x + beta
	switch {
	case y < 0:
		return 0
	case y > 1:
		return 1
	}
	return y
}

func celu(x, alpha float64) float64 {
	if x < 0 {
		return alpha * math.Expm1(x/alpha)
	}
	return x
}

func newSelu(a *Attrs) (Op, error) {
	o := &unary{name: a.OpType(), types: a.Types(), fn: fnSelu}
	o.alpha = a.Float("alpha", 1.6732632423543772)
	o.beta = a.Float("gamma", 1.0507009873554805)
	if a.Opset() < 6 {
		a.Ignore("consumed_inputs")
	}
	return o, nil
}

func newCelu(a *Attrs) (Op, error) {
	o := &unary{name: a.OpType(), types: a.Types(), fn: fnCelu, alpha: a.Float("alpha", 1)}
	if o.alpha == 0 {
		a.Fail("attribute \"alpha\" is 0")
	}
	return o, nil
}

func newGelu(a *Attrs) (Op, error) {
	o := &unary{name: a.OpType(), types: a.Types(), fn: fnGelu}
	if a.OneOf("approximate", "none", "tanh") == "tanh" {
		o.fn = fnGeluTanh
	}
	return o, nil
}

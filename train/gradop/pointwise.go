package gradop

import (
	"maps"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// pointwise multiplies, element by element, the gradient of the output of a function by
// the function's derivative. Input 1 is the function's argument or, where the derivative
// is simpler in terms of it, the function's value; each entry of derivatives says which.
type pointwise struct {
	d    func(v, a, b float64) float64
	fast func(dst, dy, v []float32, a, b float32)
	a, b float64 // attributes alpha and beta
}

type derivative struct {
	// d is the derivative in terms of input 1.
	d func(v, a, b float64) float64
	// fast, if not nil, does the same for float32; dst may be dy.
	fast func(dst, dy, v []float32, a, b float32)
}

// Derivatives, by the name of the function. y: input 1 is the function's value.
var derivatives = map[string]derivative{
	"Abs":   {d: func(x, _, _ float64) float64 { return sign(x) }, fast: absGrad},
	"Acos":  {d: func(x, _, _ float64) float64 { return -1 / math.Sqrt(1-x*x) }},
	"Acosh": {d: func(x, _, _ float64) float64 { return 1 / math.Sqrt(x*x-1) }},
	"Asin":  {d: func(x, _, _ float64) float64 { return 1 / math.Sqrt(1-x*x) }},
	"Asinh": {d: func(x, _, _ float64) float64 { return 1 / math.Sqrt(x*x+1) }},
	"Atan":  {d: func(x, _, _ float64) float64 { return 1 / (1 + x*x) }},
	"Atanh": {d: func(x, _, _ float64) float64 { return 1 / (1 - x*x) }},
	"Celu": {d: func(x, a, _ float64) float64 {
		if x > 0 {
			return 1
		}
		return math.Exp(x / a)
	}},
	"Cos":  {d: func(x, _, _ float64) float64 { return -math.Sin(x) }},
	"Cosh": {d: func(x, _, _ float64) float64 { return math.Sinh(x) }},
	"Elu": {d: func(x, a, _ float64) float64 {
		if x > 0 {
			return 1
		}
		return a * math.Exp(x)
	}},
	"Erf": {d: func(x, _, _ float64) float64 { return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) }},
	// Gelu: x·Φ(x).
	"Gelu": {d: func(x, _, _ float64) float64 {
		return 0.5*(1+math.Erf(x/math.Sqrt2)) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}},
	"GeluTanh": {d: func(x, _, _ float64) float64 {
		const c, k = 0.7978845608028654, 0.044715 // √(2/π)
		t := math.Tanh(c * (x + k*x*x*x))
		return 0.5*(1+t) + 0.5*x*(1-t*t)*c*(1+3*k*x*x)
	}},
	"HardSigmoid": {d: func(x, a, b float64) float64 {
		if v := a*x + b; v <= 0 || v >= 1 {
			return 0
		}
		return a
	}},
	"HardSwish": {d: func(x, _, _ float64) float64 {
		switch {
		case x <= -3:
			return 0
		case x >= 3:
			return 1
		}
		return x/3 + 0.5
	}},
	// LeakyRelu: input 1 is the argument, or, if alpha is positive, the argument or the value.
	"LeakyRelu": {d: func(x, a, _ float64) float64 {
		if x > 0 {
			return 1
		}
		return a
	}, fast: func(dst, dy, x []float32, a, _ float32) { kernel.LeakyReluGradF32(dst, dy, x, a) }},
	"Mish": {d: func(x, _, _ float64) float64 {
		t := math.Tanh(softplus(x))
		return t + x*(1-t*t)*sigmoid(x)
	}},
	// Relu: input 1 is the value or the argument.
	"Relu": {d: func(y, _, _ float64) float64 {
		if y > 0 {
			return 1
		}
		return 0
	}, fast: func(dst, dy, y []float32, _, _ float32) { kernel.ReluGradF32(dst, dy, y) }},
	// Reciprocal: input 1 is the value.
	"Reciprocal": {d: func(y, _, _ float64) float64 { return -y * y }},
	"Selu": {d: func(x, a, b float64) float64 {
		if x > 0 {
			return b
		}
		return b * a * math.Exp(x)
	}},
	// Sigmoid: input 1 is the value.
	"Sigmoid":  {d: func(y, _, _ float64) float64 { return y * (1 - y) }, fast: sigmoidGrad},
	"Sin":      {d: func(x, _, _ float64) float64 { return math.Cos(x) }},
	"Sinh":     {d: func(x, _, _ float64) float64 { return math.Cosh(x) }},
	"Softplus": {d: func(x, _, _ float64) float64 { return sigmoid(x) }, fast: softplusGrad},
	"Softsign": {d: func(x, _, _ float64) float64 { return 1 / ((1 + math.Abs(x)) * (1 + math.Abs(x))) }},
	// Sqrt: input 1 is the value.
	"Sqrt": {d: func(y, _, _ float64) float64 { return 0.5 / y }},
	// Swish: x·sigmoid(alpha·x).
	"Swish": {d: func(x, a, _ float64) float64 {
		s := sigmoid(a * x)
		return s + a*x*s*(1-s)
	}, fast: swishGrad},
	"Tan": {d: func(x, _, _ float64) float64 { return 1 + math.Tan(x)*math.Tan(x) }},
	// Tanh: input 1 is the value.
	"Tanh": {d: func(y, _, _ float64) float64 { return 1 - y*y }, fast: tanhGrad},
	"ThresholdedRelu": {d: func(x, a, _ float64) float64 {
		if x > a {
			return 1
		}
		return 0
	}},
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func pointwiseTable() map[string]constructor {
	t := maps.Clone(fakeQuantTable)
	for name, d := range derivatives {
		t[name+"Grad"] = func(a *op.Attrs) (op.Op, error) {
			return &pointwise{d: d.d, fast: d.fast, a: float64(a.Float("alpha", 0)), b: float64(a.Float("beta", 0))}, nil
		}
	}
	return t
}

func (o *pointwise) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[0])}, nil
}

// ChannelsLast implements [op.LayoutAware].
func (o *pointwise) ChannelsLast(in []op.Fact) (op.Op, []bool, bool) {
	return o, []bool{true, true}, len(in[0].Shape) > 2
}

// InPlace implements [op.InPlacer].
func (o *pointwise) InPlace() []int { return []int{0, 1} }

type pointwiseState struct {
	spans
	dst, dy, v []float32
}

func (o *pointwise) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		pointwiseRun(o, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), tensor.Data[float64](in[1]))
		return nil
	}
	st := op.StateOf[pointwiseState](ctx)
	st.dst, st.dy, st.v = out[0].Float32s(), in[0].Float32s(), in[1].Float32s()
	if st.f == nil {
		st.f = func(lo, hi int) {
			if o.fast == nil {
				pointwiseRun(o, st.dst[lo:hi], st.dy[lo:hi], st.v[lo:hi])
				return
			}
			o.fast(st.dst[lo:hi], st.dy[lo:hi], st.v[lo:hi], float32(o.a), float32(o.b))
		}
	}
	st.run(ctx.Pool, len(st.dst), grain)
	return nil
}

func pointwiseRun[T floating](o *pointwise, dst, dy, v []T) {
	for i, g := range dy {
		dst[i] = T(float64(g) * o.d(float64(v[i]), o.a, o.b))
	}
}

func absGrad(dst, dy, x []float32, _, _ float32) {
	dy, x = dy[:len(dst)], x[:len(dst)]
	for i, v := range x {
		switch g := dy[i]; {
		case v > 0:
			dst[i] = g
		case v < 0:
			dst[i] = -g
		default:
			dst[i] = 0
		}
	}
}

// sigmoidGrad is dy·y·(1-y).
func sigmoidGrad(dst, dy, y []float32, _, _ float32) {
	var p [buffer]float32
	for len(dst) > 0 {
		n := min(len(dst), buffer)
		kernel.MulF32(p[:n], dy[:n], y[:n])
		kernel.MulF32(dst[:n], p[:n], y[:n])
		kernel.SubF32(dst[:n], p[:n], dst[:n])
		dst, dy, y = dst[n:], dy[n:], y[n:]
	}
}

// tanhGrad is dy·(1-y²).
func tanhGrad(dst, dy, y []float32, _, _ float32) {
	var p [buffer]float32
	for len(dst) > 0 {
		n := min(len(dst), buffer)
		kernel.MulF32(p[:n], y[:n], y[:n])
		kernel.MulF32(p[:n], p[:n], dy[:n])
		kernel.SubF32(dst[:n], dy[:n], p[:n])
		dst, dy, y = dst[n:], dy[n:], y[n:]
	}
}

// buffer is the length of stack buffers.
const buffer = 256

func softplusGrad(dst, dy, x []float32, _, _ float32) {
	var s [buffer]float32
	for len(dst) > 0 {
		n := min(len(dst), buffer)
		kernel.SigmoidF32(s[:n], x[:n])
		kernel.MulF32(dst[:n], dy[:n], s[:n])
		dst, dy, x = dst[n:], dy[n:], x[n:]
	}
}

func swishGrad(dst, dy, x []float32, a, _ float32) {
	var s [buffer]float32
	for len(dst) > 0 {
		n := min(len(dst), buffer)
		kernel.MulScalarF32(s[:n], x[:n], a)
		kernel.SigmoidF32(s[:n], s[:n])
		for i, v := range s[:n] {
			dst[i] = dy[i] * (v + a*x[i]*v*(1-v))
		}
		dst, dy, x = dst[n:], dy[n:], x[n:]
	}
}

package gradop

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// Losses take tensors whose first axis is the batch and give one number for each image:
// the sum over all its other elements. Their two operands need the same number of elements
// and the same first axis, not the same rank.
var lossTable = map[string]constructor{
	"BCEWithLogits": func(*op.Attrs) (op.Op, error) {
		return &rowLoss{f32: bceRow, f64: bceRow64}, nil
	},
	"BCEWithLogitsGrad": func(*op.Attrs) (op.Op, error) {
		return &rowGrad{outs: 1, f32: bceGradRow, f64: bceGradRow64}, nil
	},
	"SquaredError": func(a *op.Attrs) (op.Op, error) {
		return &rowLoss{alpha: float64(a.Float("alpha", 1)), beta: float64(a.Float("beta", 0)), mean: a.Bool("mean", false), f32: squaredRow, f64: squaredRow64}, nil
	},
	"SquaredErrorGrad": func(a *op.Attrs) (op.Op, error) {
		return &rowGrad{outs: 1, alpha: float64(a.Float("alpha", 1)), mean: a.Bool("mean", false), f32: squaredGradRow, f64: squaredGradRow64}, nil
	},
	"GaussianKL": func(*op.Attrs) (op.Op, error) { return &rowLoss{f32: klRow, f64: klRow64}, nil },
	"GaussianKLGrad": func(*op.Attrs) (op.Op, error) {
		return &rowGrad{outs: 2, f32: klGradRow, f64: klGradRow64}, nil
	},
	"GaussianSample":     func(*op.Attrs) (op.Op, error) { return gaussianSample{}, nil },
	"GaussianSampleGrad": func(*op.Attrs) (op.Op, error) { return gaussianSampleGrad{}, nil },
}

// rows checks two operands and returns the batch.
func rows(a, b op.Fact) (int, error) {
	if len(a.Shape) == 0 || len(b.Shape) == 0 || a.Shape[0] != b.Shape[0] || product(a.Shape) != product(b.Shape) {
		return 0, fmt.Errorf("%w: %v and %v", errShapes, a, b)
	}
	return a.Shape[0], nil
}

// rowLoss is a loss of two operands. alpha and beta are factors that the row function
// knows; mean divides by the number of elements of an image.
type rowLoss struct {
	alpha, beta float64
	mean        bool
	f32         func(o *rowLoss, a, b []float32) float64
	f64         func(o *rowLoss, a, b []float64) float64
}

func (o *rowLoss) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	n, err := rows(in[0], in[1])
	if err != nil {
		return nil, err
	}
	return []op.Fact{{DType: in[0].DType, Shape: tensor.Shape{n}}}, nil
}

type rowState struct {
	spans
	dy, a, b, d0, d1 []float32
	y                []float32
	width            int
	div              float64
}

func (o *rowLoss) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	n := out[0].Elems()
	if n == 0 {
		return nil
	}
	width := in[0].Elems() / n
	div := 1.0
	if o.mean {
		div = 1 / float64(max(1, width))
	}
	if out[0].DType() == tensor.Float64 {
		a, b := tensor.Data[float64](in[0]), tensor.Data[float64](in[1])
		for i := range n {
			tensor.Data[float64](out[0])[i] = div * o.f64(o, a[i*width:(i+1)*width], b[i*width:(i+1)*width])
		}
		return nil
	}
	st := op.StateOf[rowState](ctx)
	st.a, st.b, st.y, st.width, st.div = in[0].Float32s(), in[1].Float32s(), out[0].Float32s(), width, div
	if st.f == nil {
		st.f = func(lo, hi int) {
			w := st.width
			for i := lo; i < hi; i++ {
				st.y[i] = float32(st.div * o.f32(o, st.a[i*w:(i+1)*w], st.b[i*w:(i+1)*w]))
			}
		}
	}
	st.run(ctx.Pool, n, max(1, grain/max(1, width)))
	return nil
}

// rowGrad is the gradient of a rowLoss: inputs dy [batch], and the operands. Output i is
// the gradient of operand i.
type rowGrad struct {
	outs  int
	alpha float64
	mean  bool
	f32   func(o *rowGrad, dy float32, a, b, da, db []float32)
	f64   func(o *rowGrad, dy float64, a, b, da, db []float64)
}

func (o *rowGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1, 2); err != nil {
		return nil, err
	}
	n, err := rows(in[1], in[2])
	if err != nil {
		return nil, err
	}
	if product(in[0].Shape) != n {
		return nil, errShapes
	}
	out := []op.Fact{like(in[1])}
	if o.outs == 2 {
		out = append(out, like(in[2]))
	}
	return out, nil
}

func (o *rowGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	n := in[0].Elems()
	if n == 0 {
		return nil
	}
	width := in[1].Elems() / n
	div := 1.0
	if o.mean {
		div = 1 / float64(max(1, width))
	}
	if in[1].DType() == tensor.Float64 {
		d0, d1 := outOrScratch(out, 0, in[1]), outOrScratch(out, 1, in[1])
		a, b := tensor.Data[float64](in[1]), tensor.Data[float64](in[2])
		for i, dy := range tensor.Data[float64](in[0]) {
			lo, hi := i*width, (i+1)*width
			o.f64(o, dy*div, a[lo:hi], b[lo:hi], d0[lo:hi], d1[lo:hi])
		}
		return nil
	}
	st := op.StateOf[rowState](ctx)
	st.dy, st.a, st.b, st.width, st.div = in[0].Float32s(), in[1].Float32s(), in[2].Float32s(), width, div
	st.d0, st.d1 = nil, nil
	if out[0] != nil {
		st.d0 = out[0].Float32s()
	}
	if len(out) > 1 && out[1] != nil {
		st.d1 = out[1].Float32s()
	}
	if st.d0 == nil {
		st.d0 = make([]float32, in[1].Elems())
	}
	if st.d1 == nil {
		st.d1 = st.d0
		if o.outs == 2 {
			st.d1 = make([]float32, in[1].Elems())
		}
	}
	if st.f == nil {
		st.f = func(lo, hi int) {
			for i := lo; i < hi; i++ {
				l, h := i*st.width, (i+1)*st.width
				o.f32(o, float32(float64(st.dy[i])*st.div), st.a[l:h], st.b[l:h], st.d0[l:h], st.d1[l:h])
			}
		}
	}
	st.run(ctx.Pool, n, max(1, grain/max(1, width)))
	return nil
}

// outOrScratch returns the elements of output i, or memory in its place.
func outOrScratch(out []*tensor.Tensor, i int, shape *tensor.Tensor) []float64 {
	if i < len(out) && out[i] != nil {
		return tensor.Data[float64](out[i])
	}
	return make([]float64, shape.Elems())
}

// bceRow is Σ softplus(l) - t·l: the cross-entropy of probabilities t against sigmoid(l).
func bceRow(_ *rowLoss, l, t []float32) float64 {
	var buf [buffer]float32
	s := 0.0
	for len(l) > 0 {
		n := min(len(l), buffer)
		kernel.SoftplusF32(buf[:n], l[:n])
		s += float64(kernel.SumF32(buf[:n])) - float64(kernel.DotF32(l[:n], t[:n]))
		l, t = l[n:], t[n:]
	}
	return s
}

func bceRow64(_ *rowLoss, l, t []float64) float64 {
	s := 0.0
	for i, v := range l {
		s += softplus(v) - t[i]*v
	}
	return s
}

func bceGradRow(_ *rowGrad, dy float32, l, t, dl, _ []float32) {
	kernel.SigmoidF32(dl, l)
	kernel.SubF32(dl, dl, t)
	kernel.MulScalarF32(dl, dl, dy)
}

func bceGradRow64(_ *rowGrad, dy float64, l, t, dl, _ []float64) {
	for i, v := range l {
		dl[i] = dy * (sigmoid(v) - t[i])
	}
}

// squaredRow is alpha·Σ (a-b)² + beta·n.
func squaredRow(o *rowLoss, a, b []float32) float64 {
	s := 0.0
	n := float64(len(a))
	for len(a) > 0 {
		k := min(len(a), 4*buffer)
		s += float64(kernel.SumSqDiffF32(a[:k], b[:k]))
		a, b = a[k:], b[k:]
	}
	return o.alpha*s + o.beta*n
}

func squaredRow64(o *rowLoss, a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += (v - b[i]) * (v - b[i])
	}
	return o.alpha*s + o.beta*float64(len(a))
}

func squaredGradRow(o *rowGrad, dy float32, a, b, da, _ []float32) {
	kernel.SubF32(da, a, b)
	kernel.MulScalarF32(da, da, dy*float32(2*o.alpha))
}

func squaredGradRow64(o *rowGrad, dy float64, a, b, da, _ []float64) {
	for i, v := range a {
		da[i] = dy * 2 * o.alpha * (v - b[i])
	}
}

// klRow is KL(N(mu, exp(logvar)) ‖ N(0, 1)) = ½ Σ mu² + exp(logvar) - 1 - logvar.
func klRow(_ *rowLoss, mu, logvar []float32) float64 {
	var buf [buffer]float32
	s := 0.0
	for len(mu) > 0 {
		n := min(len(mu), buffer)
		kernel.ExpF32(buf[:n], logvar[:n])
		for i, m := range mu[:n] {
			s += float64(m)*float64(m) + (float64(buf[i]) - 1 - float64(logvar[i]))
		}
		mu, logvar = mu[n:], logvar[n:]
	}
	return s / 2
}

func klRow64(_ *rowLoss, mu, logvar []float64) float64 {
	s := 0.0
	for i, m := range mu {
		s += m*m + math.Exp(logvar[i]) - 1 - logvar[i]
	}
	return s / 2
}

func klGradRow(_ *rowGrad, dy float32, mu, logvar, dmu, dlogvar []float32) {
	kernel.ExpF32(dlogvar, logvar)
	for i, m := range mu {
		dlogvar[i] = dy * 0.5 * (dlogvar[i] - 1)
		dmu[i] = dy * m
	}
}

func klGradRow64(_ *rowGrad, dy float64, mu, logvar, dmu, dlogvar []float64) {
	for i, m := range mu {
		dlogvar[i] = dy * 0.5 * (math.Exp(logvar[i]) - 1)
		dmu[i] = dy * m
	}
}

// gaussianSample is mu + exp(logvar/2)·ε for inputs mu, logvar, ε: a draw from
// N(mu, exp(logvar)) that gradients pass through.
type gaussianSample struct{}

func (gaussianSample) Infer(in []op.Fact) ([]op.Fact, error) { return threeAlike(in) }

func threeAlike(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1, 2); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) || !in[0].Shape.Equal(in[2].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[0])}, nil
}

func (gaussianSample) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		mu, lv, eps := tensor.Data[float64](in[0]), tensor.Data[float64](in[1]), tensor.Data[float64](in[2])
		for i := range mu {
			tensor.Data[float64](out[0])[i] = mu[i] + math.Exp(lv[i]/2)*eps[i]
		}
		return nil
	}
	mu, lv, eps, z := in[0].Float32s(), in[1].Float32s(), in[2].Float32s(), out[0].Float32s()
	deviations(z, lv)
	for i, e := range eps {
		z[i] = mu[i] + z[i]*e
	}
	return nil
}

// deviations sets dst to exp(logvar/2).
func deviations(dst, logvar []float32) {
	kernel.MulScalarF32(dst, logvar, 0.5)
	kernel.ExpF32(dst, dst)
}

// gaussianSampleGrad is the gradient with regard to logvar: inputs dz, logvar, ε. That of
// mu is dz.
type gaussianSampleGrad struct{}

func (gaussianSampleGrad) Infer(in []op.Fact) ([]op.Fact, error) { return threeAlike(in) }

func (gaussianSampleGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		dz, lv, eps := tensor.Data[float64](in[0]), tensor.Data[float64](in[1]), tensor.Data[float64](in[2])
		for i := range dz {
			tensor.Data[float64](out[0])[i] = dz[i] * 0.5 * math.Exp(lv[i]/2) * eps[i]
		}
		return nil
	}
	dz, lv, eps, d := in[0].Float32s(), in[1].Float32s(), in[2].Float32s(), out[0].Float32s()
	deviations(d, lv)
	for i, e := range eps {
		d[i] *= 0.5 * dz[i] * e
	}
	return nil
}

package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// lpNorm is LpNormalization: division by the L1 or L2 norm along an axis. Where the norm
// is 0, so is the result.
type lpNorm struct {
	types Types
	axis  int
	p     int
}

func newLpNormalization(a *Attrs) (Op, error) {
	o := &lpNorm{a.Types(), a.Int("axis", -1), a.Int("p", 2)}
	if o.p != 1 && o.p != 2 {
		a.Fail("attribute \"p\": %d is neither 1 nor 2", o.p)
	}
	return o, nil
}

func (o *lpNorm) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if _, err := tensor.Axis(o.axis, len(in[0].Shape)); err != nil {
		return nil, err
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

// InPlace implements [InPlacer].
func (o *lpNorm) InPlace() []int { return []int{0} }

func (o *lpNorm) Run(ctx *Context, out, in []*tensor.Tensor) error {
	s := in[0].Shape()
	axis, _ := tensor.Axis(o.axis, len(s))
	outer, n, inner := product(s[:axis]), s[axis], product(s[axis+1:])
	switch in[0].DType() {
	case tensor.Float32:
		lpRun(out[0].Float32s(), in[0].Float32s(), o.p, outer, n, inner)
	case tensor.Float64:
		lpRun(tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), o.p, outer, n, inner)
	default:
		return viaFloat32(ctx, out, in, o.Run)
	}
	return nil
}

func lpRun[T floating](dst, x []T, p, outer, n, inner int) {
	for i := range outer {
		for j := range inner {
			at := i*n*inner + j
			sum := 0.0
			for k := range n {
				v := float64(x[at+k*inner])
				if p == 1 {
					sum += math.Abs(v)
				} else {
					sum += v * v
				}
			}
			if p == 2 {
				sum = math.Sqrt(sum)
			}
			for k := range n {
				q := at + k*inner
				if sum == 0 {
					dst[q] = 0
				} else {
					dst[q] = T(float64(x[q]) / sum)
				}
			}
		}
	}
}

// meanVariance is MeanVarianceNormalization: (x − E[x]) / (sqrt(E[x²] − E[x]²) + 1e-9).
type meanVariance struct {
	types Types
	axes  []int
}

func newMeanVariance(a *Attrs) (Op, error) {
	o := &meanVariance{a.Types(), a.Ints("axes")}
	if o.axes == nil {
		o.axes = []int{0, 2, 3}
	}
	return o, nil
}

func (o *meanVariance) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if _, err := axesOf(o.axes, len(in[0].Shape)); err != nil {
		return nil, err
	}
	return []Fact{{DType: in[0].DType, Shape: in[0].Shape}}, nil
}

func (o *meanVariance) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
		return meanVarianceRun[float32](o, out[0], in[0])
	case tensor.Float64:
		return meanVarianceRun[float64](o, out[0], in[0])
	}
	return viaFloat32(ctx, out, in, o.Run)
}

func meanVarianceRun[T floating](o *meanVariance, out, in *tensor.Tensor) error {
	s := in.Shape()
	set, err := axesOf(o.axes, len(s))
	if err != nil {
		return err
	}
	kept := reducedShape(s, set, true)
	groups := product(kept)
	sum, sq := make([]float64, groups), make([]float64, groups)
	dst, x := tensor.Data[T](out), tensor.Data[T](in)
	if len(x) == 0 {
		return nil
	}
	// The second operand of the walk is the group that an element belongs to.
	var l loop
	visit := func(f func(i, group int)) {
		l.init(s, s, kept, nil)
		n, _, step, _ := l.inner()
		for l.next() {
			for i := range n {
				f(l.at+i, l.pos[1]+i*step)
			}
		}
	}
	visit(func(i, g int) {
		sum[g] += float64(x[i])
	})
	count := float64(len(x) / groups)
	for g := range sum {
		sum[g] /= count
	}
	visit(func(i, g int) {
		d := float64(x[i]) - sum[g]
		sq[g] += d * d
	})
	for g := range sq {
		sq[g] = math.Sqrt(sq[g]/count) + 1e-9
	}
	visit(func(i, g int) {
		dst[i] = T((float64(x[i]) - sum[g]) / sq[g])
	})
	return nil
}

// det is Det: the determinants of a stack of square matrices.
type det struct{ types Types }

func newDet(a *Attrs) (Op, error) { return det{a.Types()}, nil }

func (o det) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) < 2 || s[len(s)-1] != s[len(s)-2] {
		return nil, fmt.Errorf("shape %v is not that of square matrices", s)
	}
	return outFact(in[0].DType, s[:len(s)-2].Clone())
}

func (o det) Run(ctx *Context, out, in []*tensor.Tensor) error {
	x, err := ctx.New(tensor.Float64, in[0].Shape())
	if err != nil {
		return err
	}
	convert(x, in[0])
	y, err := ctx.New(tensor.Float64, out[0].Shape())
	if err != nil {
		return err
	}
	s := in[0].Shape()
	n := s[len(s)-1]
	m := tensor.Data[float64](x)
	for i := range tensor.Data[float64](y) {
		tensor.Data[float64](y)[i] = determinant(m[i*n*n:(i+1)*n*n], n)
	}
	convert(out[0], y)
	return nil
}

// determinant eliminates with partial pivoting; it overwrites m.
func determinant(m []float64, n int) float64 {
	d := 1.0
	for c := range n {
		p := c
		for r := c + 1; r < n; r++ {
			if math.Abs(m[r*n+c]) > math.Abs(m[p*n+c]) {
				p = r
			}
		}
		if m[p*n+c] == 0 {
			return 0
		}
		if p != c {
			d = -d
			for k := range n {
				m[p*n+k], m[c*n+k] = m[c*n+k], m[p*n+k]
			}
		}
		d *= m[c*n+c]
		for r := c + 1; r < n; r++ {
			f := m[r*n+c] / m[c*n+c]
			for k := c; k < n; k++ {
				m[r*n+k] -= f * m[c*n+k]
			}
		}
	}
	return d
}

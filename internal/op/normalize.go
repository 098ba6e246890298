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

// Workspace implements [Workspacer]: mean and deviation of each group.
func (o *meanVariance) Workspace(in []Fact) int {
	s := in[0].Shape
	set, err := axesOf(o.axes, len(s))
	if err != nil {
		return 0
	}
	groups := mulSize(reducedShape(s, set, true)...)
	return workBytes(8, groups, groups)
}

func (o *meanVariance) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
		meanVarianceRun[float32](o, ctx, out[0], in[0])
	case tensor.Float64:
		meanVarianceRun[float64](o, ctx, out[0], in[0])
	default:
		return viaFloat32(ctx, out, in, o.Run)
	}
	return nil
}

// meanVarianceState is what a MeanVarianceNormalization keeps between runs.
type meanVarianceState struct {
	loop
	groups tensor.Shape // the input's shape with extent 1 along the axes
}

func meanVarianceRun[T floating](o *meanVariance, ctx *Context, out, in *tensor.Tensor) {
	dst, x, s := tensor.Data[T](out), tensor.Data[T](in), in.Shape()
	if len(x) == 0 {
		return
	}
	st := StateOf[meanVarianceState](ctx)
	st.groups = append(st.groups[:0], s...)
	for _, a := range o.axes {
		i, _ := tensor.Axis(a, len(s))
		st.groups[i] = 1
	}
	groups, scratch := product(st.groups), ctx.Scratch
	mean, dev := carve[float64](&scratch, groups), carve[float64](&scratch, groups)
	clear(mean)
	clear(dev)
	count := float64(len(x) / groups)
	// The second operand of the walk is the group that an element belongs to.
	for pass := range 3 {
		st.init(s, s, st.groups, nil)
		n, _, step, _ := st.inner()
		for st.next() {
			for i := range n {
				e, g := st.at+i, st.pos[1]+i*step
				d := float64(x[e]) - mean[g]
				switch pass {
				case 0:
					dev[g] += float64(x[e])
				case 1:
					dev[g] += d * d
				default:
					dst[e] = T(d / dev[g])
				}
			}
		}
		switch pass {
		case 0:
			for g, v := range dev {
				mean[g], dev[g] = v/count, 0
			}
		case 1:
			for g, v := range dev {
				dev[g] = math.Sqrt(v/count) + 1e-9
			}
		}
	}
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

// Workspace implements [Workspacer]: the matrices and their determinants.
func (o det) Workspace(in []Fact) int {
	s := in[0].Shape
	return workBytes(8, elemsOf(in, 0), mulSize(s[:len(s)-2]...))
}

func (o det) Run(ctx *Context, out, in []*tensor.Tensor) error {
	scratch := ctx.Scratch
	m, y := carve[float64](&scratch, in[0].Elems()), carve[float64](&scratch, out[0].Elems())
	floats64(m[:0], in[0])
	s := in[0].Shape()
	n := s[len(s)-1]
	for i := range y {
		y[i] = determinant(m[i*n*n:(i+1)*n*n], n)
	}
	fromFloat(out[0], 0, y)
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

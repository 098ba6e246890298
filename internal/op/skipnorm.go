package op

import (
	"fmt"
	"slices"

	"github.com/aekit/aekit/tensor"
)

// skipLayerNorm is SkipLayerNormalization of com.microsoft: LayerNormalization along the last
// axis of input 0 + input 1 + input 4, with scale and shift in inputs 2 and 3. Input 1 may
// lack leading axes or have extent 1 there. Output 3 is the sum.
type skipLayerNorm struct{ layerNorm }

var _ Workspacer = (*skipLayerNorm)(nil)

func newSkipLayerNorm(a *Attrs) (Op, error) {
	return &skipLayerNorm{layerNorm{axis: -1, epsilon: a.Float("epsilon", 1e-12), stash: tensor.Float32, types: a.Types()}}, nil
}

// Infer implements [Op].
func (o *skipLayerNorm) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 5); err != nil {
		return nil, err
	}
	norm := []Fact{in[0], in[2]}
	if present(in, 3) {
		norm = append(norm, in[3])
	}
	out, err := o.layerNorm.Infer(norm)
	if err != nil {
		return nil, err
	}
	x, skip := in[0].Shape, in[1].Shape
	for i, f := range in {
		if !f.Present() {
			continue
		}
		if err := wantSame(in, 0, i); err != nil {
			return nil, err
		}
		if i >= 2 && !f.Shape.Equal(x[len(x)-1:]) {
			return nil, fmt.Errorf("input %d: shape %v, want %v", i, f.Shape, x[len(x)-1:])
		}
	}
	for len(skip) > 1 && skip[0] == 1 && !skip.Equal(x) {
		skip = skip[1:]
	}
	if len(skip) > len(x) || !slices.Equal(skip, x[len(x)-len(skip):]) {
		return nil, fmt.Errorf("input 1: shape %v does not end input %v", in[1].Shape, x)
	}
	return append(out, Fact{DType: in[0].DType, Shape: x}), nil
}

// Workspace implements [Workspacer]: the sum.
func (o *skipLayerNorm) Workspace(in []Fact) int {
	return workBytes(wideSize(in[0].DType), elemsOf(in, 0))
}

// RowWise hides that of the norm: input 1 need not have the rows of input 0.
func (o *skipLayerNorm) RowWise(in, out []Fact, batched []bool) bool { return false }

// Run implements [Op].
func (o *skipLayerNorm) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if in[0].Elems() == 0 {
		return nil
	}
	switch in[0].DType() {
	case tensor.Float32:
		return runSkipLayerNorm[float32](o, ctx, out, in)
	case tensor.Float64:
		return runSkipLayerNorm[float64](o, ctx, out, in)
	}
	return viaFloat32(ctx, out, in, o.Run)
}

// skipLayerNormState is what a SkipLayerNormalization keeps between runs.
type skipLayerNormState struct {
	sum     tensor.Tensor
	ctx     Context
	state   any // of the norm
	in, out []*tensor.Tensor
}

func runSkipLayerNorm[T floating](o *skipLayerNorm, ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[skipLayerNormState](ctx)
	sum := given(out, 3)
	if sum == nil {
		sum = &st.sum
		sum.Set(in[0].DType(), ctx.Scratch[:len(in[0].Bytes())], in[0].Shape())
	}
	x, y, skip := tensor.Data[T](in[0]), tensor.Data[T](sum), tensor.Data[T](in[1])
	for lo := 0; lo < len(x); lo += len(skip) {
		for i, v := range skip {
			y[lo+i] = x[lo+i] + v
		}
	}
	if b := given(in, 4); b != nil {
		bias := tensor.Data[T](b)
		for lo := 0; lo < len(y); lo += len(bias) {
			for i, v := range bias {
				y[lo+i] += v
			}
		}
	}
	st.ctx.Ctx, st.ctx.Pool, st.ctx.State, st.ctx.Account = ctx.Ctx, ctx.Pool, &st.state, ctx.Account
	st.in, st.out = append(st.in[:0], sum, in[2], given(in, 3)), append(st.out[:0], out[0], given(out, 1), given(out, 2))
	err := o.layerNorm.Run(&st.ctx, st.out, st.in)
	clear(st.in)
	clear(st.out)
	return err
}

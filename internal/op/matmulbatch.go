package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// batchedMatMul is FusedMatMul of operands whose first axis comes after the others of the
// stack: [d0 d1 … dk n] is read as a stack [d1 … ] of matrices d0×n.
type batchedMatMul struct {
	inner matmul
	batch [2]bool // of which operands
}

var _ Workspacer = (*batchedMatMul)(nil)

// Infer implements [Op].
func (o *batchedMatMul) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	var turned [2]Fact
	for i, f := range in {
		turned[i] = Fact{DType: f.DType, Shape: f.Shape}
		if !o.batch[i] {
			continue
		}
		if len(f.Shape) < 3 {
			return nil, fmt.Errorf("input %d: shape %v has no stack to transpose", i, f.Shape)
		}
		turned[i].Shape = firstAfterStack(nil, f.Shape)
	}
	return o.inner.Infer(turned[:])
}

// firstAfterStack appends s with its first axis before the last one to dst.
func firstAfterStack(dst, s tensor.Shape) tensor.Shape {
	n := len(s)
	return append(append(dst, s[1:n-1]...), s[0], s[n-1])
}

// MACs implements [Coster].
func (o *batchedMatMul) MACs(in, out []Fact) int64 {
	turned := append([]Fact(nil), in...)
	for i, b := range o.batch {
		if b {
			turned[i].Shape = firstAfterStack(nil, in[i].Shape)
		}
	}
	return o.inner.MACs(turned, out)
}

// Workspace implements [Workspacer]: the operands in the order of the product.
func (o *batchedMatMul) Workspace(in []Fact) int {
	var n [2]int
	for i, b := range o.batch {
		if b {
			n[i] = elemsOf(in, i)
		}
	}
	return workBytes(max(in[0].DType.Size(), 1), n[:]...)
}

// batchedMatMulState is what a product keeps between runs.
type batchedMatMulState struct {
	moves   [2]mover
	turned  [2]tensor.Tensor
	shapes  [2]tensor.Shape
	steps   []int
	in      []*tensor.Tensor
	ctx     Context
	product any // state of the product
}

// Run implements [Op].
func (o *batchedMatMul) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[batchedMatMulState](ctx)
	st.in = append(st.in[:0], in...)
	scratch := ctx.Scratch
	for i, b := range o.batch {
		if !b {
			continue
		}
		x, t := in[i], &st.turned[i]
		n := len(x.Bytes())
		st.shapes[i] = firstAfterStack(st.shapes[i][:0], x.Shape())
		t.Set(x.DType(), scratch[:n], st.shapes[i])
		scratch = scratch[alignedBytes(n):]
		st.in[i] = t
		if n == 0 {
			continue
		}
		st.steps = rowMajor(st.steps[:0], x.Shape())
		m, last := &st.moves[i], len(st.steps)-1
		m.reset()
		for k := 1; k < last; k++ {
			m.axis(x.Shape()[k], st.steps[k])
		}
		m.axis(x.Shape()[0], st.steps[0])
		m.axis(x.Shape()[last], st.steps[last])
		m.run(ctx, t, x)
	}
	st.ctx.Ctx, st.ctx.Pool, st.ctx.State, st.ctx.Account = ctx.Ctx, ctx.Pool, &st.product, ctx.Account
	err := o.inner.Run(&st.ctx, out, st.in)
	clear(st.in)
	return err
}

package op

import (
	"errors"

	"github.com/aekit/aekit/tensor"
)

// ErrFoldBudget is returned by [FoldBudget.Eval] where computing a value in advance would take more
// memory than the budget allows.
var ErrFoldBudget = errors.New("computing the value in advance takes too much memory")

// FoldBudget bounds the memory and the work of computing constants in advance, over all
// nodes of a graph, so that a small file cannot ask for much of either while it is loaded.
type FoldBudget struct {
	bytes, macs int64
}

// foldBytes and foldMACs are what any graph may use.
const (
	foldBytes = 64 << 20
	foldMACs  = 1 << 32
)

// NewFoldBudget returns the budget of a graph whose constants occupy have bytes: results of
// four times that and 64 MiB in all, and 2³² multiply-accumulate operations.
func NewFoldBudget(have int64) *FoldBudget {
	return &FoldBudget{bytes: 4*have + foldBytes, macs: foldMACs}
}

// Take reports whether computing o on in, which gives out, is within the budget, and if so
// uses that much of it. Scratch memory must fit, and is not used up.
func (b *FoldBudget) Take(o Op, in, out []Fact) bool {
	var need int64
	for _, f := range out {
		n, err := tensor.ByteSize(f.DType, f.Shape)
		if err != nil {
			return false
		}
		if need += int64(n); need > b.bytes {
			return false
		}
	}
	if w, ok := o.(Workspacer); ok {
		if n := int64(w.Workspace(in)); n < 0 || n > b.bytes-need {
			return false
		}
	}
	var macs int64
	if c, ok := o.(Coster); ok {
		if macs = c.MACs(in, out); macs < 0 || macs > b.macs {
			return false
		}
	}
	b.bytes -= need
	b.macs -= macs
	return true
}

// Eval runs one operator on known values: in are facts with Const set, out what Infer
// returned for them. The outputs are new tensors.
func Eval(o Op, in, out []Fact) ([]*tensor.Tensor, error) { return eval(o, in, out, nil) }

// Eval is the function Eval, except that memory which the operator allocates on its way
// must be within the budget: more is [ErrFoldBudget].
func (b *FoldBudget) Eval(o Op, in, out []Fact) ([]*tensor.Tensor, error) {
	var used int64
	return eval(o, in, out, func(n int) error {
		if used += int64(n); used > b.bytes {
			return ErrFoldBudget
		}
		return nil
	})
}

func eval(o Op, in, out []Fact, account func(int) error) ([]*tensor.Tensor, error) {
	ins := make([]*tensor.Tensor, len(in))
	for i, f := range in {
		ins[i] = f.Const
	}
	outs := make([]*tensor.Tensor, len(out))
	for i, f := range out {
		t, err := tensor.New(f.DType, f.Shape...)
		if err != nil {
			return nil, err
		}
		outs[i] = t
	}
	ctx := &Context{Account: account}
	if w, ok := o.(Workspacer); ok {
		ctx.Scratch = tensor.AlignedBytes(w.Workspace(in))
	}
	return outs, o.Run(ctx, outs, ins)
}

package op

import "github.com/aekit/aekit/tensor"

// Eval runs one operator on known values: in are facts with Const set, out what Infer
// returned for them. The outputs are new tensors.
func Eval(o Op, in, out []Fact) ([]*tensor.Tensor, error) {
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
	ctx := &Context{}
	if w, ok := o.(Workspacer); ok {
		ctx.Scratch = tensor.AlignedBytes(w.Workspace(in))
	}
	return outs, o.Run(ctx, outs, ins)
}

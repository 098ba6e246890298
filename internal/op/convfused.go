package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// fusedConv is FusedConv of com.microsoft: Conv, the addition of input 3, and an
// activation.
type fusedConv struct {
	conv
	act   kernel.Epilogue
	after *unary // an activation that the kernels do not have
}

func newFusedConv(a *Attrs) (Op, error) {
	o := &fusedConv{conv: conv{window: readWindow(a), group: a.Int("group", 1)}}
	params := a.Floats("activation_params")
	param := func(i int, def float32) float32 {
		if i < len(params) {
			return params[i]
		}
		return def
	}
	switch act := a.String("activation", ""); act {
	case "":
	case "Relu":
		o.act.Act = kernel.ActRelu
	case "LeakyRelu":
		o.act = kernel.Epilogue{Act: kernel.ActLeakyRelu, Alpha: param(0, 0.01)}
	case "Clip":
		o.act = kernel.Epilogue{Act: kernel.ActClip, Lo: param(0, 0), Hi: param(1, 0)}
		if len(params) != 2 {
			a.Fail("attribute %q: %v, want two bounds", "activation_params", params)
		}
	case "Sigmoid":
		o.act.Act = kernel.ActSigmoid
	case "Tanh":
		o.act.Act = kernel.ActTanh
	case "HardSigmoid":
		o.after = &unary{fn: fnHardSigmoid, alpha: param(0, 0.2), beta: param(1, 0.5)}
	default:
		a.Fail("attribute %q: value %q is not supported", "activation", act)
	}
	if a.NumInputs() < 4 {
		// Without an addition in between, the convolution applies the activation itself.
		o.conv.act, o.act = o.act, kernel.Epilogue{}
	}
	return o, nil
}

// Infer implements [Op].
func (o *fusedConv) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 4); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, typesOf(tensor.Float32)); err != nil {
		return nil, err
	}
	out, err := o.conv.Infer(in[:min(3, len(in))])
	if err != nil {
		return nil, err
	}
	if present(in, 3) && (in[3].DType != out[0].DType || !in[3].Shape.Equal(out[0].Shape)) {
		return nil, fmt.Errorf("input 3: %v, want %v", in[3], out[0])
	}
	return out, nil
}

// PackKey implements [Prepacker].
func (o *fusedConv) PackKey(i int, in []Fact) (string, bool) {
	return o.conv.PackKey(i, in[:min(3, len(in))])
}

// Prepack implements [Prepacker].
func (o *fusedConv) Prepack(i int, in []Fact, s Slices) (Packed, error) {
	return o.conv.Prepack(i, in[:min(3, len(in))], s)
}

// Workspace implements [Workspacer].
func (o *fusedConv) Workspace(in []Fact) int { return o.conv.Workspace(in[:min(3, len(in))]) }

// WorkspaceFor implements [ThreadWorkspacer].
func (o *fusedConv) WorkspaceFor(in []Fact, threads int) (size, first int) {
	return o.conv.WorkspaceFor(in[:min(3, len(in))], threads)
}

// Fuse hides that of the convolution, after which there may be an addition.
func (o *fusedConv) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) { return nil, 0, false }

// ChannelsLast implements [LayoutAware].
func (o *fusedConv) ChannelsLast(in []Fact) (Op, []bool, bool) {
	c, nhwc, ok := o.conv.ChannelsLast(in[:min(3, len(in))])
	if !ok {
		return nil, nil, false
	}
	v := *o
	v.conv = *c.(*conv)
	if len(in) > 3 {
		nhwc = append(nhwc, in[3].Present())
	}
	return &v, nhwc, true
}

// Run implements [Op].
func (o *fusedConv) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if err := o.conv.Run(ctx, out, in[:min(3, len(in))]); err != nil {
		return err
	}
	if z := given(in, 3); z != nil {
		y := out[0].Float32s()
		kernel.AddF32(y, y, z.Float32s())
	}
	if o.act.Act != kernel.ActNone {
		y := out[0].Float32s()
		kernel.ActivateF32(y, y, &o.act)
	}
	if o.after != nil {
		y := out[0].Float32s()
		o.after.fn.f32(o.after, y, y)
	}
	return nil
}

package gradop

import (
	"fmt"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// padTable: gradients of operators that only move elements, and of Resize. The attributes
// are the operator's; the inputs are dy, x, and the operator's other inputs. A value for
// padding has to be omitted.
var padTable = map[string]constructor{
	"CenterCropPadGrad":   newMoveGrad("CenterCropPad", "axes"),
	"DepthToSpaceGrad":    newMoveGrad("DepthToSpace", "blocksize", "mode"),
	"GatherNDGrad":        newMoveGrad("GatherND", "batch_dims"),
	"PadGrad":             newMoveGrad("Pad", "mode"),
	"ReverseSequenceGrad": newMoveGrad("ReverseSequence", "batch_axis", "time_axis"),
	"SpaceToDepthGrad":    newMoveGrad("SpaceToDepth", "blocksize"),
	"TriluGrad":           newMoveGrad("Trilu", "upper"),
	"ResizeGrad":          newResizeGrad,
}

// moveOpset is the version in whose terms the inner operators are made.
const moveOpset = 21

// moveGrad finds where the elements of an operator's output come from by applying the
// operator to a tensor of positions, and adds gradients up there.
type moveGrad struct{ forward op.Op }

// attrKinds says which attributes are not single integers.
var attrKinds = map[string]onnx.AttrType{"axes": onnx.AttrInts, "mode": onnx.AttrString}

func newMoveGrad(opType string, names ...string) constructor {
	return func(a *op.Attrs) (op.Op, error) {
		n := &onnx.Node{OpType: opType, Outputs: []string{"y"}}
		for i := range max(1, a.NumInputs()-1) {
			n.Inputs = append(n.Inputs, fmt.Sprint("x", i))
		}
		for _, name := range names {
			if !a.Has(name) {
				continue
			}
			switch attrKinds[name] {
			case onnx.AttrInts:
				n.Attrs = append(n.Attrs, onnx.AttrIs(name, a.Int64s(name)...))
			case onnx.AttrString:
				n.Attrs = append(n.Attrs, onnx.AttrS(name, a.String(name, "")))
			default:
				n.Attrs = append(n.Attrs, onnx.AttrI(name, a.Int64(name, 0)))
			}
		}
		f, err := op.Core.Make(op.NewAttrs(n, moveOpset, nil))
		if err != nil {
			return nil, err
		}
		return &moveGrad{f}, nil
	}
}

func (o *moveGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, len(in), 0, 1); err != nil {
		return nil, err
	}
	return []op.Fact{like(in[1])}, nil
}

// sources returns, for each element of the forward operator's output, 1 + the position in
// x that it comes from, or 0.
func (o *moveGrad) sources(in []*tensor.Tensor) (*tensor.Tensor, error) {
	iota, err := tensor.New(tensor.Int64, in[1].Shape()...)
	if err != nil {
		return nil, err
	}
	for i := range iota.Int64s() {
		iota.Int64s()[i] = int64(i) + 1
	}
	facts := []op.Fact{op.FactOf(iota)}
	ins := []*tensor.Tensor{iota}
	for _, t := range in[2:] {
		facts, ins = append(facts, op.FactOf(t)), append(ins, t)
	}
	return runInner(o.forward, facts, ins)
}

// runInner infers and runs an operator with one output.
func runInner(o op.Op, facts []op.Fact, ins []*tensor.Tensor) (*tensor.Tensor, error) {
	out, err := o.Infer(facts)
	if err != nil {
		return nil, err
	}
	y, err := tensor.New(out[0].DType, out[0].Shape...)
	if err != nil {
		return nil, err
	}
	ctx := &op.Context{}
	if w, ok := o.(op.Workspacer); ok {
		ctx.Scratch = tensor.AlignedBytes(w.Workspace(facts))
	}
	return y, o.Run(ctx, []*tensor.Tensor{y}, ins)
}

func (o *moveGrad) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	from, err := o.sources(in)
	if err != nil {
		return err
	}
	if from.Elems() != in[0].Elems() {
		return errShapes
	}
	clear(out[0].Bytes())
	if out[0].DType() == tensor.Float64 {
		addAt(tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), from.Int64s())
	} else {
		addAt(out[0].Float32s(), in[0].Float32s(), from.Int64s())
	}
	return nil
}

func addAt[T floating](dst, src []T, at []int64) {
	for i, p := range at {
		if p > 0 {
			dst[p-1] += src[i]
		}
	}
}

// resizeGrad is the gradient of Resize: inputs dy, x, roi, scales, sizes. The operator is
// linear and works axis by axis; the matrix of each axis is found by applying it to unit
// vectors.
type resizeGrad struct {
	forward op.Op
	axes    []int
}

func newResizeGrad(a *op.Attrs) (op.Op, error) {
	n := &onnx.Node{OpType: "Resize", Inputs: []string{"x", "roi", "scales", "sizes"}, Outputs: []string{"y"}}
	for _, s := range []string{"mode", "coordinate_transformation_mode", "nearest_mode"} {
		if a.Has(s) {
			n.Attrs = append(n.Attrs, onnx.AttrS(s, a.String(s, "")))
		}
	}
	if a.Has("cubic_coeff_a") {
		n.Attrs = append(n.Attrs, onnx.AttrF("cubic_coeff_a", a.Float("cubic_coeff_a", 0)))
	}
	for _, s := range []string{"exclude_outside", "antialias"} {
		n.Attrs = append(n.Attrs, onnx.AttrI(s, a.Int64(s, 0)))
	}
	o := &resizeGrad{axes: a.Ints("axes")}
	if a.OneOf("keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller") != "stretch" ||
		a.String("coordinate_transformation_mode", "") == "tf_crop_and_resize" {
		a.Fail("this form of Resize has no gradient")
	}
	a.Ignore("extrapolation_value")
	var err error
	o.forward, err = op.Core.Make(op.NewAttrs(n, moveOpset, nil))
	return o, err
}

func (o *resizeGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 5, 0, 1); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != len(in[1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[1])}, nil
}

// taps holds, for each output position along an axis, what it takes from which input.
type taps struct {
	first []int // where the taps of each position begin in from and weight
	from  []int
	w     []float64
}

type resizeState struct {
	axes []*taps // nil: the axis is left as it is
	buf  [2][]float64
}

// matrix applies the operator along one axis to the n unit vectors.
func (o *resizeGrad) matrix(in []*tensor.Tensor, ax, n, m, rank int) (*taps, error) {
	scales, sizes := given(in, 3), given(in, 4)
	if scales != nil && scales.Elems() == 0 {
		scales = nil
	}
	list := o.axes
	if list == nil {
		for i := range rank {
			list = append(list, i)
		}
	}
	one := func(count int) (at int, ok bool) {
		for k, a := range list {
			if a, err := tensor.Axis(a, rank); err == nil && a == ax && k < count {
				return k, true
			}
		}
		return 0, false
	}
	shape := make(tensor.Shape, rank)
	for i := range shape {
		shape[i] = 1
	}
	shape[ax] = n
	s := make([]float32, rank)
	for i := range s {
		s[i] = 1
	}
	z := make([]int64, rank)
	for i := range z {
		z[i] = 1
	}
	facts := []op.Fact{{}, {}, {}, {}}
	ins := make([]*tensor.Tensor, 4)
	if scales != nil {
		if k, ok := one(scales.Elems()); ok {
			s[ax] = scales.Float32s()[k]
		}
		ins[2] = tensor.Must(tensor.Of(s, rank))
	} else {
		if sizes == nil {
			return nil, errShapes
		}
		z[ax] = int64(m)
		ins[3] = tensor.Must(tensor.Of(z, rank))
	}
	for i := 1; i < 4; i++ {
		facts[i] = op.FactOf(ins[i])
	}
	col := make([][]float64, n)
	for i := range col {
		x, err := tensor.New(tensor.Float64, shape...)
		if err != nil {
			return nil, err
		}
		tensor.Data[float64](x)[i] = 1
		ins[0], facts[0] = x, op.FactOf(x)
		y, err := runInner(o.forward, facts, ins)
		if err != nil {
			return nil, err
		}
		if y.Elems() != m {
			return nil, errShapes
		}
		col[i] = tensor.Data[float64](y)
	}
	t := &taps{}
	for p := range m {
		t.first = append(t.first, len(t.from))
		for i := range n {
			if w := col[i][p]; w != 0 {
				t.from, t.w = append(t.from, i), append(t.w, w)
			}
		}
	}
	t.first = append(t.first, len(t.from))
	return t, nil
}

func (o *resizeGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	st := op.StateOf[resizeState](ctx)
	ds, xs := in[0].Shape(), in[1].Shape()
	if st.axes == nil {
		st.axes = make([]*taps, len(xs))
		for a := range xs {
			if xs[a] == ds[a] && xs[a] == 1 || a < 2 && xs[a] == ds[a] {
				continue
			}
			t, err := o.matrix(in, a, xs[a], ds[a], len(xs))
			if err != nil {
				return err
			}
			st.axes[a] = t
		}
	}
	cur := widen(st.buf[0], in[0])
	next := st.buf[1]
	shape := ds.Clone()
	for a, t := range st.axes {
		if t == nil {
			continue
		}
		outer, inner := product(shape[:a]), product(shape[a+1:])
		next = resize(next, outer*xs[a]*inner)
		clear(next)
		for i := range outer {
			for p := range ds[a] {
				src := cur[(i*ds[a]+p)*inner:][:inner]
				for k := t.first[p]; k < t.first[p+1]; k++ {
					dst := next[(i*xs[a]+t.from[k])*inner:][:inner]
					for j, v := range src {
						dst[j] += v * t.w[k]
					}
				}
			}
		}
		shape[a] = xs[a]
		cur, next = next, cur
	}
	st.buf = [2][]float64{cur, next}
	if out[0].DType() == tensor.Float64 {
		copy(tensor.Data[float64](out[0]), cur)
		return nil
	}
	for i, v := range cur {
		out[0].Float32s()[i] = float32(v)
	}
	return nil
}

// widen copies a tensor's elements to float64s, in buf if it is large enough.
func widen(buf []float64, t *tensor.Tensor) []float64 {
	buf = resize(buf, t.Elems())
	if t.DType() == tensor.Float64 {
		copy(buf, tensor.Data[float64](t))
		return buf
	}
	for i, v := range t.Float32s() {
		buf[i] = float64(v)
	}
	return buf
}

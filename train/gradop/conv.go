package gradop

import (
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// The attributes of these operators are those of Conv or ConvTranspose, and transposed,
// which says which of the two.
var convTable = map[string]constructor{
	"ConvWeightGrad": func(a *op.Attrs) (op.Op, error) { return &convWeightGrad{window: readWindow(a)}, nil },
	"ConvInputGrad":  func(a *op.Attrs) (op.Op, error) { return &convInputGrad{window: readWindow(a)}, nil },
	"ChannelSum":     func(*op.Attrs) (op.Op, error) { return channelSum{}, nil },
}

// convWeightGrad is the gradient with regard to the weights: inputs dy, x, w.
type convWeightGrad struct {
	window
	last bool // dy and x are channels-last
}

func (o *convWeightGrad) conv(dy, x, w tensor.Shape) (conv, error) {
	if o.last {
		dy, x = channelsFirst(dy), channelsFirst(x)
	}
	if o.transposed {
		return o.window.conv(dy, x, w)
	}
	return o.window.conv(x, dy, w)
}

func (o *convWeightGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1, 2); err != nil {
		return nil, err
	}
	if _, err := o.conv(in[0].Shape, in[1].Shape, in[2].Shape); err != nil {
		return nil, err
	}
	return []op.Fact{like(in[2])}, nil
}

// MACs implements [op.Coster].
func (o *convWeightGrad) MACs(in, _ []op.Fact) int64 {
	c, err := o.conv(in[0].Shape, in[1].Shape, in[2].Shape)
	if err != nil {
		return 0
	}
	return int64(product(in[2].Shape)) * int64(c.n) * int64(c.smallPlane())
}

// blockPositions is how many positions of small, of several images if need be, are
// multiplied at once: enough for full tiles, little enough for the second-level cache.
const blockPositions = 768

// convWeightState multiplies block by block: small·im2col(big)ᵀ, added up in order.
type convWeightState[T floating] struct {
	conv conv
	gemm any // state of the product
	ctx  op.Context
	spans
	big        []T
	col, small []T // a block of im2col(big) and of small
	first      int // image of the block
	count      int // images of the block
	group      int
}

// ChannelsLast implements [op.LayoutAware].
func (o *convWeightGrad) ChannelsLast(in []op.Fact) (op.Op, []bool, bool) {
	if o.last || in[0].DType != tensor.Float32 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	return &v, []bool{true, true, false}, true
}

// OutputsLast implements [op.MixedLayout].
func (o *convWeightGrad) OutputsLast() []bool { return nil }

func (o *convWeightGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	if o.last {
		return o.runLast(ctx, out, in)
	}
	if out[0].DType() == tensor.Float64 {
		return convWeightRun[float64](o, ctx, out, in)
	}
	return convWeightRun[float32](o, ctx, out, in)
}

func convWeightRun[T floating](o *convWeightGrad, ctx *op.Context, out, in []*tensor.Tensor) error {
	small, big := in[0], in[1]
	if o.transposed {
		small, big = in[1], in[0]
	}
	st := op.StateOf[convWeightState[T]](ctx)
	if st.f == nil {
		c, err := o.conv(in[0].Shape(), in[1].Shape(), in[2].Shape())
		if err != nil {
			return err
		}
		st.conv, st.f = c, st.columns
	}
	st.ctx = *ctx
	st.ctx.State = &st.gemm
	st.big = elements[T](big)
	st.sum(elements[T](out[0]), elements[T](small))
	return nil
}

// columns makes the rows of channels lo to hi of the block's im2col.
func (st *convWeightState[T]) columns(lo, hi int) {
	c := &st.conv
	for ch := lo; ch < hi; ch++ {
		im2col(c, st.col[ch*c.taps()*st.count*c.smallPlane():], st.big, st.first, st.count, st.group, ch)
	}
}

func (st *convWeightState[T]) sum(dst, small []T) {
	c := &st.conv
	positions, depth := c.smallPlane(), c.b*c.taps()
	if c.n == 0 || positions == 0 {
		clear(dst)
		return
	}
	images := max(1, min(c.n, blockPositions/positions))
	st.col, st.small = resize(st.col, depth*images*positions), resize(st.small, c.s*images*positions)
	for st.group = range c.groups {
		w := dst[st.group*c.s*depth:][:c.s*depth]
		for st.first = 0; st.first < c.n; st.first += images {
			st.count = min(images, c.n-st.first)
			width := st.count * positions
			for s := range c.s {
				for i := range st.count {
					from := ((st.first+i)*c.groups*c.s + st.group*c.s + s) * positions
					copy(st.small[s*width+i*positions:][:positions], small[from:])
				}
			}
			st.run(st.ctx.Pool, c.b, max(1, grain/max(1, c.taps()*width)))
			gemm(&st.ctx, false, true, c.s, depth, width, st.small, width, st.col, width, st.first > 0, w, depth)
		}
	}
}

func resize[T floating](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// convInputGrad is the gradient with regard to the data: inputs dy, w, x. It is computed
// by the operator that goes the other way.
type convInputGrad struct {
	window
	last bool // dy, x and the gradient are channels-last
}

func (o *convInputGrad) conv(dy, w, x tensor.Shape) (conv, error) {
	if o.last {
		dy, x = channelsFirst(dy), channelsFirst(x)
	}
	if o.transposed {
		return o.window.conv(dy, x, w)
	}
	return o.window.conv(x, dy, w)
}

// inner returns the operator that computes the gradient for these shapes.
func (o *convInputGrad) inner(dy, w, x tensor.Shape) (op.Op, error) {
	c, err := o.conv(dy, w, x)
	if err != nil {
		return nil, err
	}
	typ, attrs := c.inverse(o.transposed)
	inner, err := op.Core.Make(op.NewAttrs(&onnx.Node{OpType: typ, Inputs: []string{"dy", "w"}, Outputs: []string{"dx"}, Attrs: attrs}, 17, nil))
	if err != nil || !o.last {
		return inner, err
	}
	last, _, ok := inner.(op.LayoutAware).ChannelsLast([]op.Fact{{DType: tensor.Float32, Shape: channelsFirst(dy)}, {DType: tensor.Float32, Shape: w}})
	if !ok {
		return nil, errShapes
	}
	return last, nil
}

// ChannelsLast implements [op.LayoutAware].
func (o *convInputGrad) ChannelsLast(in []op.Fact) (op.Op, []bool, bool) {
	if o.last || in[0].DType != tensor.Float32 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	dy, x := in[0], in[2]
	dy.Shape, x.Shape = channelsLast(dy.Shape), channelsLast(x.Shape)
	if _, err := v.Infer([]op.Fact{dy, in[1], x}); err != nil {
		return nil, nil, false
	}
	return &v, []bool{true, false, true}, true
}

func (o *convInputGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 3, 3, 0, 1, 2); err != nil {
		return nil, err
	}
	inner, err := o.inner(in[0].Shape, in[1].Shape, in[2].Shape)
	if err != nil {
		return nil, err
	}
	out, err := inner.Infer(in[:2])
	if err != nil {
		return nil, err
	}
	if !out[0].Shape.Equal(in[2].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[2])}, nil
}

// Workspace implements [op.Workspacer].
func (o *convInputGrad) Workspace(in []op.Fact) int {
	inner, err := o.inner(in[0].Shape, in[1].Shape, in[2].Shape)
	if err != nil {
		return 0
	}
	if w, ok := inner.(op.Workspacer); ok {
		return w.Workspace(in[:2])
	}
	return 0
}

// MACs implements [op.Coster].
func (o *convInputGrad) MACs(in, _ []op.Fact) int64 {
	c, err := o.conv(in[0].Shape, in[1].Shape, in[2].Shape)
	if err != nil {
		return 0
	}
	return int64(product(in[1].Shape)) * int64(c.n) * int64(c.smallPlane())
}

type convInputState struct {
	inner op.Op
	state any
	ctx   op.Context
}

func (o *convInputGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	st := op.StateOf[convInputState](ctx)
	if st.inner == nil {
		inner, err := o.inner(in[0].Shape(), in[1].Shape(), in[2].Shape())
		if err != nil {
			return err
		}
		st.inner = inner
	}
	st.ctx = *ctx
	st.ctx.State, st.ctx.Packed = &st.state, nil
	return st.inner.Run(&st.ctx, out, in[:2])
}

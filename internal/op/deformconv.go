package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// deformConv is DeformConv over two spatial axes: a convolution whose taps are moved by
// input 2, [N, groups·kH·kW·2, oH, oW] with the offset along the height first, and weighted
// by input 4, [N, groups·kH·kW, oH, oW]. Between pixels the input is interpolated linearly;
// outside it is zero.
type deformConv struct {
	conv
	offsets int // groups of channels that are moved alike
}

func newDeformConv(a *Attrs) (Op, error) {
	o := &deformConv{conv: conv{group: a.Int("group", 1)}, offsets: a.Int("offset_group", 1)}
	o.window = window{kernel: a.Ints("kernel_shape"), strides: a.Ints("strides"), dilations: a.Ints("dilations"), pads: a.Ints("pads"), autoPad: "NOTSET"}
	if o.offsets < 1 {
		a.Fail("attribute %q: value %d is not positive", "offset_group", o.offsets)
	}
	return o, nil
}

// Infer implements [Op].
func (o *deformConv) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 5); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, typesFloat); err != nil {
		return nil, err
	}
	for i := 1; i < len(in); i++ {
		if in[i].Present() {
			if err := wantSame(in, 0, i); err != nil {
				return nil, err
			}
		}
	}
	f, err := o.geometry(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	if len(f.ax) != 2 {
		return nil, fmt.Errorf("input %v: only two spatial axes are supported", in[0].Shape)
	}
	if f.c*f.groups%o.offsets != 0 {
		return nil, fmt.Errorf("%d channels do not divide into %d groups of offsets", f.c*f.groups, o.offsets)
	}
	taps := mulSize(o.offsets, f.ax[0].kernel, f.ax[1].kernel)
	if taps > math.MaxInt/2 {
		return nil, fmt.Errorf("%d groups of offsets are too many", o.offsets)
	}
	for _, c := range []struct{ i, channels int }{{2, 2 * taps}, {4, taps}} {
		if want := (tensor.Shape{f.n, c.channels, f.ax[0].out, f.ax[1].out}); present(in, c.i) && !in[c.i].Shape.Equal(want) {
			return nil, fmt.Errorf("input %d: shape %v, want %v", c.i, in[c.i].Shape, want)
		}
	}
	if present(in, 3) && !in[3].Shape.Equal(tensor.Shape{f.o * f.groups}) {
		return nil, fmt.Errorf("bias has shape %v, want [%d]", in[3].Shape, f.o*f.groups)
	}
	return outFact(in[0].DType, f.out)
}

// The forms of Conv that DeformConv does not have.

// PackKey implements [Prepacker]: nothing is packed.
func (o *deformConv) PackKey(i int, in []Fact) (string, bool) { return "", false }

// MACs implements [Coster]: those of the Conv with these weights, whose third input is the bias.
func (o *deformConv) MACs(in, out []Fact) int64 { return o.conv.MACs(in[:2], out) }

// Workspace implements [Workspacer]: the interpolated values of a few positions.
func (o *deformConv) Workspace(in []Fact) int {
	f, err := o.geometry(in[0].Shape, in[1].Shape)
	if err != nil {
		return 0
	}
	return workBytes(8, mulSize(deformSlots, f.c, f.groups, f.ax[0].kernel, f.ax[1].kernel))
}

// WorkspaceFor implements [ThreadWorkspacer].
func (o *deformConv) WorkspaceFor(in []Fact, _ int) (size, first int) { return o.Workspace(in), 0 }

// deformSlots is how many positions at a time have memory for their values.
const deformSlots = 16

// Fuse implements [Fuser].
func (o *deformConv) Fuse(next Op, pos int, nextIn []Fact) (Op, int, bool) { return nil, 0, false }

// ChannelsLast implements [LayoutAware].
func (o *deformConv) ChannelsLast(in []Fact) (Op, []bool, bool) { return nil, nil, false }

// Run implements [Op].
func (o *deformConv) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		return runDeformConv[float32](o, ctx, out, in)
	}
	return runDeformConv[float64](o, ctx, out, in)
}

// deformTask is one run; a unit is one position of one image.
type deformTask[T floating] struct {
	slotTask
	op                          *deformConv
	facts                       convFacts
	xShape, wShape              tensor.Shape
	x, weights, offset, y       []T
	biases, mask                []T
	values                      []float64 // of each slot, [channels taps]
	taps, plane, area, channels int
}

func runDeformConv[T floating](o *deformConv, ctx *Context, out, in []*tensor.Tensor) error {
	t := StateOf[deformTask[T]](ctx)
	if t.slotTask.f == nil || !t.xShape.Equal(in[0].Shape()) || !t.wShape.Equal(in[1].Shape()) {
		f, err := o.geometry(in[0].Shape(), in[1].Shape())
		if err != nil {
			return err
		}
		t.facts, t.xShape, t.wShape = f, in[0].Shape().Clone(), in[1].Shape().Clone()
		t.slotTask.f = t.position
	}
	f := &t.facts
	t.op, t.x, t.weights, t.offset, t.y = o, tensor.Data[T](in[0]), tensor.Data[T](in[1]), tensor.Data[T](in[2]), tensor.Data[T](out[0])
	t.biases, t.mask = nil, nil
	if b := given(in, 3); b != nil {
		t.biases = tensor.Data[T](b)
	}
	if m := given(in, 4); m != nil {
		t.mask = tensor.Data[T](m)
	}
	a, b := f.ax[0], f.ax[1]
	t.taps, t.plane, t.area, t.channels = a.kernel*b.kernel, a.out*b.out, a.in*b.in, f.c*f.groups
	scratch := ctx.Scratch
	t.values = carve[float64](&scratch, deformSlots*t.channels*t.taps)
	if n := f.n * t.plane; n > 0 {
		t.run(ctx.Pool, n, deformSlots, mulSize(len(t.y), f.c, t.taps, 4))
	}
	t.x, t.weights, t.offset, t.y, t.biases, t.mask, t.values = nil, nil, nil, nil, nil, nil, nil
	return nil
}

func (t *deformTask[T]) position(u, slot int) {
	f, taps, plane := &t.facts, t.taps, t.plane
	a, b := f.ax[0], f.ax[1]
	c, m := t.channels, f.o*f.groups
	values := t.values[slot*c*taps : (slot+1)*c*taps]
	n, p := u/plane, u%plane
	for ch := range c {
		src := t.x[(n*c+ch)*t.area:][:t.area]
		g := ch / (c / t.op.offsets)
		for k := range taps {
			at := (n*t.op.offsets+g)*taps + k
			py := float64(p/b.out*a.stride-a.begin+k/b.kernel*a.dilation) + float64(t.offset[2*at*plane+p])
			px := float64(p%b.out*b.stride-b.begin+k%b.kernel*b.dilation) + float64(t.offset[(2*at+1)*plane+p])
			v := zeroPadded(src, a.in, b.in, py, px)
			if t.mask != nil {
				v *= float64(t.mask[at*plane+p])
			}
			values[ch*taps+k] = v
		}
	}
	for oc := range m {
		row := t.weights[oc*f.c*taps:][:f.c*taps]
		sum := 0.0
		for i, v := range values[oc/f.o*f.c*taps:][:f.c*taps] {
			sum += v * float64(row[i])
		}
		if t.biases != nil {
			sum += float64(t.biases[oc])
		}
		t.y[(n*m+oc)*plane+p] = T(sum)
	}
}

// zeroPadded interpolates a plane linearly; outside, it is zero.
func zeroPadded[T floating](x []T, height, width int, py, px float64) float64 {
	if !(py > -1 && py < float64(height) && px > -1 && px < float64(width)) {
		return 0
	}
	y0, x0 := math.Floor(py), math.Floor(px)
	sum := 0.0
	for dy := range 2 {
		for dx := range 2 {
			iy, ix := int(y0)+dy, int(x0)+dx
			if iy >= 0 && iy < height && ix >= 0 && ix < width {
				sum += float64(x[iy*width+ix]) * (1 - math.Abs(py-float64(iy))) * (1 - math.Abs(px-float64(ix)))
			}
		}
	}
	return sum
}

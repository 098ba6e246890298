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

// Workspace implements [Workspacer].
func (o *deformConv) Workspace(in []Fact) int { return 0 }

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

func runDeformConv[T floating](o *deformConv, ctx *Context, out, in []*tensor.Tensor) error {
	f, err := o.geometry(in[0].Shape(), in[1].Shape())
	if err != nil {
		return err
	}
	x, w, offset, y := tensor.Data[T](in[0]), tensor.Data[T](in[1]), tensor.Data[T](in[2]), tensor.Data[T](out[0])
	var bias, mask []T
	if b := given(in, 3); b != nil {
		bias = tensor.Data[T](b)
	}
	if m := given(in, 4); m != nil {
		mask = tensor.Data[T](m)
	}
	a, b := f.ax[0], f.ax[1]
	taps, plane, area := a.kernel*b.kernel, a.out*b.out, a.in*b.in
	c, m := f.c*f.groups, f.o*f.groups
	spread(ctx.Pool, f.n*plane, mulSize(len(y), f.c, taps, 4), func(lo, hi int) {
		values := make([]float64, c*taps)
		for u := lo; u < hi; u++ {
			n, p := u/plane, u%plane
			for ch := range c {
				src := x[(n*c+ch)*area:][:area]
				g := ch / (c / o.offsets)
				for k := range taps {
					t := (n*o.offsets+g)*taps + k
					py := float64(p/b.out*a.stride-a.begin+k/b.kernel*a.dilation) + float64(offset[2*t*plane+p])
					px := float64(p%b.out*b.stride-b.begin+k%b.kernel*b.dilation) + float64(offset[(2*t+1)*plane+p])
					v := zeroPadded(src, a.in, b.in, py, px)
					if mask != nil {
						v *= float64(mask[t*plane+p])
					}
					values[ch*taps+k] = v
				}
			}
			for oc := range m {
				row := w[oc*f.c*taps:][:f.c*taps]
				sum := 0.0
				for i, v := range values[oc/f.o*f.c*taps:][:f.c*taps] {
					sum += v * float64(row[i])
				}
				if bias != nil {
					sum += float64(bias[oc])
				}
				y[(n*m+oc)*plane+p] = T(sum)
			}
		}
	})
	return nil
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

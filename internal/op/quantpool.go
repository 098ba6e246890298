package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// quantPool is QLinearAveragePool and QLinearGlobalAveragePool of com.microsoft: inputs X,
// its scale and zero point, and those of the result. The sum of x − zx over a window is
// exact; it is multiplied by sx / (sy · count) in float32.
type quantPool struct{ pool }

var _ LayoutAware = (*quantPool)(nil)

//go:noinline
func newQLinearAveragePool(global bool) func(a *Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &quantPool{pool{kind: poolAverage, global: global, last: a.Bool("channels_last", false)}}
		if !global {
			o.window = readWindow(a)
			o.ceil, o.includePad = a.Bool("ceil_mode", false), a.Bool("count_include_pad", false)
			a.Require("kernel_shape")
		}
		return o, nil
	}
}

// Infer implements [Op].
func (o *quantPool) Infer(in []Fact) ([]Fact, error) {
	if len(in) < 4 || len(in) > 5 {
		return nil, fmt.Errorf("%d inputs, want 4 or 5", len(in))
	}
	if err := wantType(in, 0, types8); err != nil {
		return nil, err
	}
	for _, i := range []int{1, 3} {
		if err := checkParams(in, i, in[0].DType); err != nil {
			return nil, err
		}
	}
	p := o.pool
	p.types = types8
	return p.Infer(in[:1])
}

// ChannelsLast implements [LayoutAware].
func (o *quantPool) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || len(in[0].Shape) < 3 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	return &v, nhwc, true
}

// Run implements [Op].
func (o *quantPool) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	s, d := in[0].Shape(), in[0].DType()
	if o.last {
		s = toChannelsFirst(s)
	}
	ax, err := o.slideOver(s)
	if err != nil {
		return err
	}
	xp, yp := paramsAt(in, 1), paramsAt(in, 3)
	channels, inPlane, outPlane := s[1], product(s[2:]), 1
	for _, a := range ax {
		outPlane *= a.out
	}
	x, y := in[0].Bytes(), out[0].Bytes()
	spread(ctx.Pool, s[0]*channels, mulSize(copyCost, len(x)), func(lo, hi int) {
		pos := make([]int, len(ax))
		for u := lo; u < hi; u++ {
			first, to, step := u*inPlane, u*outPlane, 1
			if o.last {
				n, c := u/channels, u%channels
				first, to, step = n*inPlane*channels+c, n*outPlane*channels+c, channels
			}
			clear(pos)
			for i := range outPlane {
				sum, count := sumWindow(x[first:], ax, pos, 0, 0, step, d == tensor.Int8)
				sum -= int64(count) * int64(xp.zero)
				if o.includePad {
					count = 1
					for k, p := range pos {
						count *= ax[k].counted(p)
					}
				}
				v := float32(0)
				if count > 0 {
					v = float32(sum) * float32(xp.scale/float32(yp.scale*float32(count)))
				}
				y[to+i*step] = uint8(saturate8(v, yp.zero, d))
				for k := len(pos) - 1; k >= 0; k-- {
					if pos[k]++; pos[k] < ax[k].out {
						break
					}
					pos[k] = 0
				}
			}
		}
	})
	return nil
}

// sumWindow adds up the window at pos over the axes from axis on. count is the number of
// its elements.
func sumWindow(x []uint8, ax []axisWindow, pos []int, axis, off, step int, signed bool) (sum int64, count int) {
	if axis == len(ax) {
		if signed {
			return int64(int8(x[off*step])), 1
		}
		return int64(x[off*step]), 1
	}
	a := ax[axis]
	from, to, first := a.within(pos[axis])
	for k := from; k < to; k++ {
		s, n := sumWindow(x, ax, pos, axis+1, off*a.in+first+k*a.dilation, step, signed)
		sum += s
		count += n
	}
	return sum, count
}

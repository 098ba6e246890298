package gradop

import (
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var poolTable = map[string]constructor{
	"MaxPoolGrad":     newPoolGrad(true),
	"AveragePoolGrad": newPoolGrad(false),
}

// poolGrad is the gradient of MaxPool and AveragePool, and of the global ones (attribute
// global): inputs dy, x. Of equal maxima in a window the first has the gradient.
type poolGrad struct {
	window
	max, global, countPad bool
}

func newPoolGrad(max bool) constructor {
	return func(a *op.Attrs) (op.Op, error) {
		return &poolGrad{readWindow(a), max, a.Bool("global", false), a.Bool("count_include_pad", false)}, nil
	}
}

func (o *poolGrad) axes(dy, x tensor.Shape) ([3]axis, error) {
	var cube [3]axis
	if len(x) < 3 || len(x) > 5 || len(dy) != len(x) || dy[0] != x[0] || dy[1] != x[1] {
		return cube, errShapes
	}
	kernel := tensor.Shape(o.kernel)
	if o.global {
		kernel = x[2:]
	}
	ax, err := o.window.axes(x[2:], dy[2:], kernel)
	if err != nil {
		return cube, err
	}
	lead := 3 - len(ax)
	for i := range lead {
		cube[i] = axis{1, 1, 1, 1, 1, 0}
	}
	copy(cube[lead:], ax)
	return cube, nil
}

func (o *poolGrad) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	if _, err := o.axes(in[0].Shape, in[1].Shape); err != nil {
		return nil, err
	}
	return []op.Fact{like(in[1])}, nil
}

type poolState[T floating] struct {
	spans
	ax        [3]axis
	ends      [3]int
	dx, dy, x []T
}

func (o *poolGrad) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	if out[0].DType() == tensor.Float64 {
		return poolRun[float64](o, ctx, out, in)
	}
	return poolRun[float32](o, ctx, out, in)
}

func poolRun[T floating](o *poolGrad, ctx *op.Context, out, in []*tensor.Tensor) error {
	st := op.StateOf[poolState[T]](ctx)
	if st.f == nil {
		ax, err := o.axes(in[0].Shape(), in[1].Shape())
		if err != nil {
			return err
		}
		st.ax = ax
		lead := 5 - in[1].Rank()
		for i, a := range ax {
			// The padded extent, which bounds what count_include_pad counts.
			st.ends[i] = a.big
			if k := i - lead; k >= 0 {
				st.ends[i] += at(o.pads, len(o.pads)/2+k, 0)
			}
			if o.autoPad == "SAME_UPPER" || o.autoPad == "SAME_LOWER" {
				st.ends[i] = max(a.big, (a.small-1)*a.stride+a.span()-a.begin)
			}
		}
		st.f = func(lo, hi int) {
			for plane := lo; plane < hi; plane++ {
				st.plane(o, plane)
			}
		}
	}
	st.dx, st.dy, st.x = elements[T](out[0]), elements[T](in[0]), elements[T](in[1])
	clear(st.dx)
	planes := in[1].Shape()[0] * in[1].Shape()[1]
	st.run(ctx.Pool, planes, max(1, grain/max(1, len(st.dx)/max(1, planes))))
	return nil
}

// plane spreads the gradients of one channel of one image.
func (st *poolState[T]) plane(o *poolGrad, p int) {
	z, y, x := st.ax[0], st.ax[1], st.ax[2]
	dx := st.dx[p*z.big*y.big*x.big:][:z.big*y.big*x.big]
	src := st.x[p*len(dx):][:len(dx)]
	dy := st.dy[p*z.small*y.small*x.small:]
	i := 0
	for oz := range z.small {
		for oy := range y.small {
			for ox := range x.small {
				g := dy[i]
				i++
				best, count := -1, 0
				for pass := range 2 {
					if pass == 1 && (o.max || count == 0) {
						break
					}
					for kz := range z.kernel {
						iz := oz*z.stride - z.begin + kz*z.dilation
						for ky := range y.kernel {
							iy := oy*y.stride - y.begin + ky*y.dilation
							for kx := range x.kernel {
								ix := ox*x.stride - x.begin + kx*x.dilation
								inside := uint(iz) < uint(z.big) && uint(iy) < uint(y.big) && uint(ix) < uint(x.big)
								at := (iz*y.big+iy)*x.big + ix
								switch {
								case pass == 1:
									if inside {
										dx[at] += g / T(count)
									}
								case o.max:
									if inside && (best < 0 || src[at] > src[best]) {
										best = at
									}
								case inside || o.countPad && iz < st.ends[0] && iy < st.ends[1] && ix < st.ends[2]:
									count++
								}
							}
						}
					}
				}
				if o.max && best >= 0 {
					dx[best] += g
				}
			}
		}
	}
}

package gradop

import (
	"fmt"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// window holds the attributes of a windowed operator, as the forward node gives them.
type window struct {
	kernel, strides, dilations, pads []int
	outputPadding                    []int
	autoPad                          string
	group                            int
	transposed                       bool
	sized                            bool // the forward node has output_shape
}

func readWindow(a *op.Attrs) window {
	return window{
		kernel: a.Ints("kernel_shape"), strides: a.Ints("strides"), dilations: a.Ints("dilations"), pads: a.Ints("pads"),
		outputPadding: a.Ints("output_padding"), sized: a.Ints("output_shape") != nil,
		autoPad: a.OneOf("auto_pad", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
		group:   a.Int("group", 1), transposed: a.Bool("transposed", false),
	}
}

func at(v []int, i, def int) int {
	if i < len(v) {
		return v[i]
	}
	return def
}

// axis relates the positions of a gathered tensor ("big") to those of a windowed one
// ("small"): position p of small covers p·stride - begin + k·dilation of big, for k below
// kernel. A convolution goes from big to small, a transposed one from small to big.
type axis struct{ big, small, kernel, stride, dilation, begin int }

func (a axis) span() int { return (a.kernel-1)*a.dilation + 1 }

// axes returns the relation along each axis for spatial extents that the forward node has
// accepted.
func (w *window) axes(big, small, kernel tensor.Shape) ([]axis, error) {
	n := len(big)
	if len(small) != n || len(kernel) != n {
		return nil, errShapes
	}
	out := make([]axis, n)
	for i := range out {
		a := axis{big: big[i], small: small[i], kernel: kernel[i], stride: at(w.strides, i, 1), dilation: at(w.dilations, i, 1)}
		if a.kernel < 1 || a.stride < 1 || a.dilation < 1 {
			return nil, fmt.Errorf("kernel %d, stride %d, dilation %d", a.kernel, a.stride, a.dilation)
		}
		total := (a.small-1)*a.stride + a.span() - a.big
		if w.transposed {
			total += at(w.outputPadding, i, 0)
		}
		switch {
		case w.autoPad == "SAME_UPPER":
			a.begin = max(0, total/2)
		case w.autoPad == "SAME_LOWER" || w.sized:
			a.begin = max(0, total-total/2)
		case w.autoPad == "NOTSET":
			a.begin = at(w.pads, i, 0)
		}
		out[i] = a
	}
	return out, nil
}

// conv is a convolution or its transposition between big [n, groups·b, …] and small
// [n, groups·s, …] with weights [groups·s, b, …].
type conv struct {
	n, groups, s, b int
	ax              []axis
	cube            [3]axis // ax, after axes of extent 1
}

func (w *window) conv(big, small, weights tensor.Shape) (c conv, err error) {
	if len(big) < 3 || len(big) > 5 || len(small) != len(big) || len(weights) != len(big) || w.group < 1 {
		return c, fmt.Errorf("%w: %v, %v and weights %v", errShapes, big, small, weights)
	}
	c = conv{n: big[0], groups: w.group, s: weights[0] / w.group, b: weights[1]}
	if small[0] != c.n || small[1] != c.groups*c.s || big[1] != c.groups*c.b {
		return c, fmt.Errorf("%w: %v, %v and weights %v in %d groups", errShapes, big, small, weights, w.group)
	}
	if c.ax, err = w.axes(big[2:], small[2:], weights[2:]); err != nil {
		return c, err
	}
	lead := 3 - len(c.ax)
	for i := range lead {
		c.cube[i] = axis{1, 1, 1, 1, 1, 0}
	}
	copy(c.cube[lead:], c.ax)
	return c, nil
}

func (c *conv) taps() int       { return c.cube[0].kernel * c.cube[1].kernel * c.cube[2].kernel }
func (c *conv) bigPlane() int   { return c.cube[0].big * c.cube[1].big * c.cube[2].big }
func (c *conv) smallPlane() int { return c.cube[0].small * c.cube[1].small * c.cube[2].small }

// inverse returns the attributes of the operator that carries gradients the other way: a
// transposed convolution for a convolution, and the reverse.
func (c *conv) inverse(transposed bool) (string, []*onnx.Attribute) {
	n := len(c.ax)
	strides, dilations, pads, extra := make([]int64, n), make([]int64, n), make([]int64, 2*n), make([]int64, n)
	for i, a := range c.ax {
		strides[i], dilations[i], pads[i] = int64(a.stride), int64(a.dilation), int64(a.begin)
		// The far pad makes the positions come out even; what a convolution left over at
		// the far end is output padding.
		rest := (a.small-1)*a.stride + a.span() - a.big - a.begin
		pads[n+i], extra[i] = int64(max(0, rest)), int64(max(0, -rest))
	}
	attrs := []*onnx.Attribute{
		onnx.AttrIs("strides", strides...), onnx.AttrIs("dilations", dilations...), onnx.AttrIs("pads", pads...), onnx.AttrI("group", int64(c.groups)),
	}
	if transposed {
		return "Conv", attrs
	}
	return "ConvTranspose", append(attrs, onnx.AttrIs("output_padding", extra...))
}

// im2col copies, for images first … first+count-1, what every tap of channel ch of group g
// sees: row tap of the result holds count·smallPlane values, and rows are count·smallPlane
// apart.
func im2col[T floating](c *conv, dst, big []T, first, count, g, ch int) {
	plane, positions := c.bigPlane(), c.smallPlane()
	row := count * positions
	z, y, x := c.cube[0], c.cube[1], c.cube[2]
	for i := range count {
		src := big[((first+i)*c.groups*c.b+g*c.b+ch)*plane:][:plane]
		tap := 0
		for kz := range z.kernel {
			for ky := range y.kernel {
				for kx := range x.kernel {
					d := dst[tap*row+i*positions:][:positions]
					tap++
					for oz := range z.small {
						iz := oz*z.stride - z.begin + kz*z.dilation
						for oy := range y.small {
							iy := oy*y.stride - y.begin + ky*y.dilation
							line := d[:x.small]
							d = d[x.small:]
							if uint(iz) >= uint(z.big) || uint(iy) >= uint(y.big) {
								clear(line)
								continue
							}
							gatherLine(line, src[(iz*y.big+iy)*x.big:][:x.big], kx*x.dilation-x.begin, x.stride)
						}
					}
				}
			}
		}
	}
}

// gatherLine sets dst[i] to src[from+i·stride], or 0 where that is outside.
func gatherLine[T floating](dst, src []T, from, stride int) {
	lo, hi := 0, len(dst)
	if from < 0 {
		lo = min(hi, (-from+stride-1)/stride)
	}
	if last := len(src) - 1 - from; last < 0 {
		hi = lo
	} else {
		hi = max(lo, min(hi, last/stride+1))
	}
	clear(dst[:lo])
	clear(dst[hi:])
	if lo >= hi {
		return
	}
	if stride == 1 {
		copy(dst[lo:hi], src[from+lo:])
		return
	}
	at := from + lo*stride
	for i := lo; i < hi; i++ {
		dst[i] = src[at]
		at += stride
	}
}

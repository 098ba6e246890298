package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// maxExtent bounds extents, kernels, strides, dilations and pads of windowed operators, so
// that int64 arithmetic on a few of them cannot overflow.
const maxExtent = 1<<31 - 1

// window holds the attributes that convolutions and pools share, as the node gives them.
type window struct {
	kernel, strides, dilations, pads []int
	autoPad                          string
}

func readWindow(a *Attrs) window {
	return window{
		kernel:    a.Ints("kernel_shape"),
		strides:   a.Ints("strides"),
		dilations: a.Ints("dilations"),
		pads:      a.Ints("pads"),
		autoPad:   a.OneOf("auto_pad", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
	}
}

// axisWindow is how a window slides along one axis. Position o of the output covers the
// input positions o·stride − begin + k·dilation for k in [0, kernel).
type axisWindow struct {
	in, out, kernel, stride, dilation, begin, end int
}

// span returns the distance from the window's first input position to one past its last.
func (a axisWindow) span() int { return (a.kernel-1)*a.dilation + 1 }

func attrPerAxis(name string, v []int, rank, def, least int) ([]int, error) {
	if v == nil {
		v = make([]int, rank)
		for i := range v {
			v[i] = def
		}
		return v, nil
	}
	if len(v) != rank {
		return nil, fmt.Errorf("attribute %q has %d values, want %d", name, len(v), rank)
	}
	for _, x := range v {
		if x < least || x > maxExtent {
			return nil, fmt.Errorf("attribute %q: %v is out of range", name, v)
		}
	}
	return v, nil
}

// axes checks the attributes against spatial extents and a kernel (used where the attribute
// kernel_shape is absent) and returns each axis without pads and output extent.
func (w *window) axes(spatial tensor.Shape, kernel []int) ([]axisWindow, []int, error) {
	n := len(spatial)
	if w.kernel != nil {
		kernel = w.kernel
	}
	if kernel == nil {
		return nil, nil, fmt.Errorf("attribute %q is missing", "kernel_shape")
	}
	kernel, err := attrPerAxis("kernel_shape", kernel, n, 1, 1)
	if err != nil {
		return nil, nil, err
	}
	strides, err := attrPerAxis("strides", w.strides, n, 1, 1)
	if err != nil {
		return nil, nil, err
	}
	dilations, err := attrPerAxis("dilations", w.dilations, n, 1, 1)
	if err != nil {
		return nil, nil, err
	}
	pads, err := attrPerAxis("pads", w.pads, 2*n, 0, 0)
	if err != nil {
		return nil, nil, err
	}
	out := make([]axisWindow, n)
	for i, d := range spatial {
		if d > maxExtent {
			return nil, nil, fmt.Errorf("extent %d is too large", d)
		}
		if span := (int64(kernel[i])-1)*int64(dilations[i]) + 1; span > maxExtent {
			return nil, nil, fmt.Errorf("kernel %d with dilation %d is too large", kernel[i], dilations[i])
		}
		out[i] = axisWindow{in: d, kernel: kernel[i], stride: strides[i], dilation: dilations[i]}
	}
	return out, pads, nil
}

// slide returns the geometry of a convolution or pool over the spatial extents: pads are
// resolved from auto_pad, and ceil rounds the number of positions up, but drops a last one
// that would start beyond the input and its leading pad (ONNX MaxPool, "ceil_mode").
func (w *window) slide(spatial tensor.Shape, kernel []int, ceil bool) ([]axisWindow, error) {
	ax, pads, err := w.axes(spatial, kernel)
	if err != nil {
		return nil, err
	}
	for i := range ax {
		a := &ax[i]
		in, span, stride := int64(a.in), int64(a.span()), int64(a.stride)
		var out int64
		switch w.autoPad {
		case "SAME_UPPER", "SAME_LOWER":
			out = (in + stride - 1) / stride
			total := max(0, (out-1)*stride+span-in)
			a.begin = int(total / 2)
			if w.autoPad == "SAME_LOWER" {
				a.begin = int(total - total/2)
			}
			a.end = int(total) - a.begin
		default:
			if w.autoPad == "NOTSET" {
				a.begin, a.end = pads[i], pads[len(ax)+i]
			}
			room := in + int64(a.begin) + int64(a.end) - span
			if room < 0 {
				return nil, fmt.Errorf("a window that spans %d does not fit extent %d with pads %d and %d", span, in, a.begin, a.end)
			}
			out = room/stride + 1
			if ceil {
				out = (room+stride-1)/stride + 1
				if (out-1)*stride >= in+int64(a.begin) {
					out--
				}
			}
		}
		if out > maxExtent || in+int64(a.begin)+int64(a.end) > maxExtent {
			return nil, fmt.Errorf("extent %d with pads %d and %d is too large", in, a.begin, a.end)
		}
		a.out = int(out)
	}
	return ax, nil
}

// transpose returns the geometry of a transposed convolution: the same relation between
// positions as slide's, with in and out exchanged, so that axisWindow.in is the extent of
// the result and axisWindow.out that of the operand.
func (w *window) transpose(spatial tensor.Shape, kernel, outputPadding, outputShape []int) ([]axisWindow, error) {
	ax, pads, err := w.axes(spatial, kernel)
	if err != nil {
		return nil, err
	}
	n := len(ax)
	extra, err := attrPerAxis("output_padding", outputPadding, n, 0, 0)
	if err != nil {
		return nil, err
	}
	if outputShape != nil {
		if len(outputShape) == n+2 {
			outputShape = outputShape[2:]
		}
		if outputShape, err = attrPerAxis("output_shape", outputShape, n, 0, 1); err != nil {
			return nil, err
		}
	}
	for i := range ax {
		a := &ax[i]
		if a.in < 1 {
			return nil, fmt.Errorf("extent %d is not positive", a.in)
		}
		full := int64(a.stride)*(int64(a.in)-1) + int64(extra[i]) + int64(a.span())
		begin, end := int64(pads[i]), int64(pads[n+i])
		out := full - begin - end
		same := w.autoPad == "SAME_UPPER" || w.autoPad == "SAME_LOWER"
		if outputShape != nil || same {
			if outputShape != nil {
				out = int64(outputShape[i])
			} else {
				out = int64(a.in) * int64(a.stride)
			}
			total := full - out
			begin = total / 2
			if w.autoPad != "SAME_UPPER" {
				begin = total - total/2
			}
			if total < 0 {
				begin = 0
			}
			end = total - begin
		} else if w.autoPad == "VALID" {
			begin, end, out = 0, 0, full
		}
		if out > maxExtent || full > maxExtent {
			return nil, tooLargef("output extent %d is too large", max(out, full))
		}
		if out < 1 {
			return nil, fmt.Errorf("output extent %d is out of range", out)
		}
		a.in, a.out = int(out), a.in
		a.begin, a.end = int(begin), int(end)
	}
	return ax, nil
}

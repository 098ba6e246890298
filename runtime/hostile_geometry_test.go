package runtime_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestHostileGeometry gives every operator that slides a window each extreme value in each
// attribute of its geometry. What has no meaning is an error at the node; what has one and
// is only huge, such as a stride beyond the image, may run, and has one output a channel.
func TestHostileGeometry(t *testing.T) {
	type build = func(b *onnx.Builder, x string, attrs ...*onnx.Attribute) string
	weights := func(op string, shape ...int) build {
		return func(b *onnx.Builder, x string, attrs ...*onnx.Attribute) string {
			return b.Op(op, "", []string{x, b.Initializer("w", float32s(shape...))}, attrs...)
		}
	}
	pool := func(op string) build {
		return func(b *onnx.Builder, x string, attrs ...*onnx.Attribute) string {
			if !slices.ContainsFunc(attrs, func(a *onnx.Attribute) bool { return a.Name == "kernel_shape" }) {
				attrs = append(attrs, onnx.AttrIs("kernel_shape", 3, 3))
			}
			return b.Op(op, "", []string{x}, attrs...)
		}
	}
	quantized := func(op string, in ...string) build {
		return func(b *onnx.Builder, x string, attrs ...*onnx.Attribute) string {
			b.Initializer("s", tensor.Scalar(float32(0.1)))
			b.Initializer("z", tensor.Scalar(uint8(3)))
			b.Initializer("wz", tensor.Scalar(int8(0)))
			b.Initializer("w", tensor.Must(tensor.New(tensor.Int8, 4, 3, 3, 3)))
			b.Op("QuantizeLinear", "q", []string{x, "s", "z"})
			return b.Op(op, "", in, attrs...)
		}
	}
	ops := []struct {
		name  string
		attrs string
		f     build
	}{
		{"Conv", "kernel_shape strides dilations pads group", weights("Conv", 4, 3, 3, 3)},
		{"ConvTranspose", "kernel_shape strides dilations pads group output_padding output_shape", weights("ConvTranspose", 3, 4, 3, 3)},
		{"MaxPool", "kernel_shape strides dilations pads", pool("MaxPool")},
		{"AveragePool", "kernel_shape strides pads", pool("AveragePool")},
		{"LpPool", "kernel_shape strides pads", pool("LpPool")},
		{"QLinearConv", "kernel_shape strides dilations pads group", quantized("QLinearConv", "q", "s", "z", "w", "s", "wz", "s", "z")},
		{"ConvInteger", "kernel_shape strides dilations pads group", quantized("ConvInteger", "q", "w", "z", "wz")},
	}
	values := []int64{0, -1, 1 << 40, math.MaxInt64}
	if !testing.Short() {
		values = append(values, 1<<31, 1<<32+1, math.MinInt64)
	}
	for _, op := range ops {
		for _, name := range strings.Fields(op.attrs) {
			for _, v := range values {
				t.Run(fmt.Sprintf("%s/%s=%d", op.name, name, v), func(t *testing.T) {
					at := onnx.AttrIs(name, v, v)
					switch name {
					case "group":
						at = onnx.AttrI(name, v)
					case "pads":
						at = onnx.AttrIs(name, v, 0, v, 0)
					}
					m := hostileModel(t, 17, []int64{1, 3, 8, 8}, func(b *onnx.Builder, x string) string { return op.f(b, x, at) })
					err := attack(t, m, runtime.Options{})
					sound := name == "strides" && v > 0 || (name == "pads" || name == "output_padding") && v == 0
					switch {
					case err == nil && !sound:
						t.Error("accepted")
					case err != nil && sound && v == 0:
						t.Errorf("%s of zero: %v", name, err)
					case err != nil && !strings.Contains(err.Error(), "node"):
						t.Errorf("%v: does not name the node", err)
					}
				})
			}
		}
	}
	// A stride beyond the image leaves the first window.
	m := hostileModel(t, 17, []int64{1, 3, 8, 8}, func(b *onnx.Builder, x string) string {
		return b.Op("MaxPool", "y", []string{x}, onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 1<<30, 1<<30))
	})
	y := run(t, session(t, m, runtime.Options{}), inputs{"x": random(t, 1, 1, 1, 3, 8, 8)})["y"]
	if !y.Shape().Equal(tensor.Shape{1, 3, 1, 1}) {
		t.Errorf("strides of 2^30: shape %v, want [1 3 1 1]", y.Shape())
	}
}

// TestHostileScales: quantisation with scales that are zero, negative, infinite or not a
// number does not harm, in graphs that run in integers and in those that do not; scales and
// zero points whose number does not fit the axis are refused.
func TestHostileScales(t *testing.T) {
	build := func(scale, zero *tensor.Tensor, attrs ...*onnx.Attribute) *onnx.Model {
		return hostileModel(t, 17, []int64{2, 6}, func(b *onnx.Builder, x string) string {
			s, z := b.Initializer("s", scale), b.Initializer("z", zero)
			q := b.Op("QuantizeLinear", "q", []string{x, s, z}, attrs...)
			d := b.Op("DequantizeLinear", "d", []string{q, s, z}, attrs...)
			w8 := tensor.Must(tensor.New(tensor.Int8, 6, 4))
			w := b.Op("DequantizeLinear", "w", []string{b.Initializer("w8", w8), b.Initializer("ws", tensor.Scalar(float32(0.5))), b.Initializer("wz", tensor.Scalar(int8(0)))})
			h := b.Op("QuantizeLinear", "hq", []string{b.Op("MatMul", "h", []string{d, w}), b.Initializer("hs", tensor.Scalar(float32(0.1))), b.Initializer("hz", tensor.Scalar(uint8(9)))})
			return b.Op("DequantizeLinear", "y", []string{h, "hs", "hz"})
		})
	}
	for _, v := range []float32{0, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.SmallestNonzeroFloat32, math.MaxFloat32} {
		if err := attack(t, build(tensor.Scalar(v), tensor.Scalar(uint8(255))), runtime.Options{}); err != nil {
			t.Logf("scale %g: %v", v, err)
		}
	}
	axis := onnx.AttrI("axis", 1)
	list := func(n int) *tensor.Tensor {
		s := float32s(n)
		for i := range s.Float32s() {
			s.Float32s()[i] = 0.1
		}
		return s
	}
	zeros := func(n int) *tensor.Tensor { return tensor.Must(tensor.New(tensor.Uint8, n)) }
	for _, c := range []struct {
		name        string
		scale, zero *tensor.Tensor
		axis        int64
		ok          bool
	}{
		{"one for each column", list(6), zeros(6), 1, true},
		{"too few scales", list(5), zeros(5), 1, false},
		{"too few zero points", list(6), zeros(5), 1, false},
		{"no scales", list(0), zeros(0), 1, false},
		{"axis 2", list(6), zeros(6), 2, false},
		{"axis 2^40", list(6), zeros(6), 1 << 40, false},
		{"zero points of another type", list(6), float32s(6), 1, false},
	} {
		at := axis
		if c.axis != 1 {
			at = onnx.AttrI("axis", c.axis)
		}
		if err := attack(t, build(c.scale, c.zero, at), runtime.Options{}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestLowestBytes: convolutions of −128 by −128, and of 255 by −128, are exact, padded with the
// zero point or not, in integers and in the QDQ form.
func TestLowestBytes(t *testing.T) {
	const channels, size = 40, 5 // more products than any group that a kernel adds before widening
	w := tensor.Must(tensor.New(tensor.Int8, 3, channels, 3, 3))
	for i := range tensor.Data[int8](w) {
		tensor.Data[int8](w)[i] = -128
	}
	for _, d := range []tensor.DType{tensor.Int8, tensor.Uint8} {
		x := tensor.Must(tensor.New(d, 1, channels, size, size))
		lowest := int64(-128)
		for i := range x.Bytes() {
			x.Bytes()[i] = 0x80 // −128 in int8
		}
		if d == tensor.Uint8 {
			lowest = 255
			for i := range x.Bytes() {
				x.Bytes()[i] = 255
			}
		}
		b := onnx.NewBuilder(17)
		in := b.Input("x", d, onnx.FixedDim(1), onnx.FixedDim(channels), onnx.FixedDim(size), onnx.FixedDim(size))
		wi := b.Initializer("w", w)
		b.Output(b.Op("ConvInteger", "y", []string{in, wi}, onnx.AttrIs("pads", 1, 1, 1, 1)), tensor.Int32)
		zero := tensor.Must(tensor.New(d))
		s, z := b.Initializer("s", tensor.Scalar(float32(1))), b.Initializer("z", zero)
		wd := b.Op("DequantizeLinear", "wd", []string{wi, s, b.Initializer("wz", tensor.Scalar(int8(0)))})
		h := b.Op("Conv", "h", []string{b.Op("DequantizeLinear", "xd", []string{in, s, z}), wd}, onnx.AttrIs("pads", 1, 1, 1, 1))
		wide := b.Initializer("wide", tensor.Scalar(float32(1<<17)))
		b.Output(b.Op("QuantizeLinear", "q", []string{h, wide, z}), d)
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, session(t, m, runtime.Options{}), inputs{"x": x})
		for i, got := range tensor.Data[int32](out["y"]) {
			row, col := i/size%size, i%size
			taps := int64(9)
			if row == 0 || row == size-1 {
				taps = taps / 3 * 2
			}
			if col == 0 || col == size-1 {
				taps = taps / 3 * 2
			}
			want := taps * channels * lowest * -128
			if int64(got) != want {
				t.Fatalf("%v: element %d is %d, want %d", d, i, got, want)
			}
			steps := math.RoundToEven(float64(want) / (1 << 17))
			if d == tensor.Uint8 {
				steps = math.Min(math.Max(steps, 0), 255)
			} else {
				steps = math.Min(math.Max(steps, -128), 127)
			}
			q := float64(out["q"].Bytes()[i])
			if d == tensor.Int8 {
				q = float64(int8(out["q"].Bytes()[i]))
			}
			if q != steps {
				t.Fatalf("%v: quantised element %d is %g, want %g", d, i, q, steps)
			}
		}
	}
}

package golden

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/impl"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var update = flag.Bool("update", false, "write the hashes of this processor to testdata")

const file = "int8.sha256"

// source gives the values of a case. It uses integers only, which are the same everywhere.
type source struct{ *rand.Rand }

func (r source) bytes(d tensor.DType, shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(d, shape...))
	for i := range t.Bytes() {
		switch t.Bytes()[i] = uint8(r.Uint32()); r.IntN(16) {
		case 0: // the extremes of both types
			t.Bytes()[i] = []uint8{0, 127, 128, 255}[r.IntN(4)]
		}
	}
	return t
}

// weights are int8 values of at most the given magnitude.
func (r source) weights(most int, shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Int8, shape...))
	for i := range tensor.Data[int8](t) {
		tensor.Data[int8](t)[i] = int8(r.IntN(2*most+1) - most)
	}
	if most == 127 {
		tensor.Data[int8](t)[0] = -128
	}
	return t
}

func (r source) ints(n int) *tensor.Tensor {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32(r.IntN(1<<14) - 1<<13)
	}
	return tensor.Must(tensor.Of(v, n))
}

// scales are n positive numbers around scale, exact in float32.
func (r source) scales(n int, scale float32) *tensor.Tensor {
	v := make([]float32, n)
	for i := range v {
		v[i] = scale * float32(1024+r.IntN(2048)) / 2048
	}
	if n == 0 {
		return tensor.Scalar(scale)
	}
	return tensor.Must(tensor.Of(v, n))
}

func zero(d tensor.DType, v int) *tensor.Tensor {
	t := tensor.Must(tensor.New(d))
	t.Bytes()[0] = uint8(v)
	return t
}

// build is a model under construction, whose input is 8-bit values.
type build struct {
	*onnx.Builder
	source
	x *tensor.Tensor
	n int
}

func newBuild(seed uint64, d tensor.DType, shape ...int) *build {
	b := &build{Builder: onnx.NewBuilder(21), source: source{rand.New(rand.NewPCG(seed, 5))}}
	b.Opset("com.microsoft", 1)
	b.x = b.bytes(d, shape...)
	var dims []onnx.Dim
	for _, n := range shape {
		dims = append(dims, onnx.FixedDim(int64(n)))
	}
	b.Input("x", d, dims...)
	return b
}

func (b *build) constant(t *tensor.Tensor) string {
	b.n++
	return b.Initializer(fmt.Sprintf("c%d", b.n), t)
}

// node adds a node whose inputs are names or constants.
func (b *build) node(domain, opType string, in []any, attrs ...*onnx.Attribute) string {
	n := &onnx.Node{OpType: opType, Domain: domain, Attrs: attrs}
	for _, v := range in {
		switch v := v.(type) {
		case string:
			n.Inputs = append(n.Inputs, v)
		case *tensor.Tensor:
			n.Inputs = append(n.Inputs, b.constant(v))
		}
	}
	n.Outputs = []string{b.Fresh(opType)}
	return b.Node(n)[0]
}

// run returns the hash of the result.
func (b *build) run(t *testing.T, out string, d tensor.DType) string {
	t.Helper()
	b.Output(out, d)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.New(m, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	y, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": b.x})
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	fmt.Fprintln(h, y[out].DType(), y[out].Shape())
	switch d {
	case tensor.Int32:
		binary.Write(h, binary.LittleEndian, tensor.Data[int32](y[out]))
	case tensor.Float32:
		for _, v := range y[out].Float32s() {
			binary.Write(h, binary.LittleEndian, math.Float32bits(v))
		}
	default:
		h.Write(y[out].Bytes())
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// goldenCase is one model.
type goldenCase struct {
	name string
	run  func(t *testing.T) string
}

const ms = "com.microsoft"

// cases are all models: each kind of product with unsigned and signed left values, weights over the whole range and
// small ones (whose sums of two products fit in 16 bits), and sizes that do and do not fill the tiles.
func cases() []goldenCase {
	var all []goldenCase
	add := func(name string, f func(t *testing.T) string) { all = append(all, goldenCase{name, f}) }
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		for _, most := range []int{127, 32} {
			tag := fmt.Sprintf("%v/w%d", d, most)
			for _, s := range [][3]int{{1, 784, 400}, {1, 20, 37}, {6, 64, 32}, {33, 130, 61}, {5, 3, 16}} {
				m, k, n := s[0], s[1], s[2]
				add(fmt.Sprintf("QGemm/%s/%dx%dx%d", tag, m, k, n), func(t *testing.T) string {
					b := newBuild(uint64(k), d, m, k)
					y := b.node(ms, "QGemm", []any{"x", tensor.Scalar(float32(0.02)), zero(d, 7), b.weights(most, n, k), b.scales(n, 0.01), tensor.Must(tensor.New(tensor.Int8, n)), b.ints(n), tensor.Scalar(float32(float64(most) * math.Sqrt(float64(k)) / 4000)), zero(d, 100)}, onnx.AttrI("transB", 1))
					return b.run(t, y, d)
				})
				add(fmt.Sprintf("MatMulInteger/%s/%dx%dx%d", tag, m, k, n), func(t *testing.T) string {
					b := newBuild(uint64(k), d, m, k)
					return b.run(t, b.node("", "MatMulInteger", []any{"x", b.weights(most, k, n), zero(d, 3), zero(tensor.Int8, 0)}), tensor.Int32)
				})
			}
			type conv struct {
				name            string
				c, o, h, w      int
				group           int
				kernel, strides []int64
				pads, dilations []int64
				transposed      bool
			}
			for _, c := range []conv{
				{name: "first", c: 1, o: 32, h: 13, w: 14, kernel: []int64{3, 3}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}},
				{name: "second", c: 32, o: 20, h: 9, w: 7, kernel: []int64{3, 3}, strides: []int64{1, 1}, pads: []int64{1, 0, 1, 2}},
				{name: "pointwise", c: 12, o: 48, h: 5, w: 6, kernel: []int64{1, 1}, strides: []int64{1, 1}},
				{name: "dilated", c: 5, o: 7, h: 11, w: 11, kernel: []int64{3, 2}, strides: []int64{1, 2}, dilations: []int64{2, 3}},
				{name: "depthwise", c: 24, o: 24, h: 9, w: 10, group: 24, kernel: []int64{3, 3}, strides: []int64{1, 1}, pads: []int64{1, 1, 1, 1}},
				{name: "depthwise 16", c: 16, o: 16, h: 6, w: 7, group: 16, kernel: []int64{3, 3}, strides: []int64{1, 1}, pads: []int64{1, 1, 1, 1}},
				{name: "depthwise 5x5", c: 32, o: 32, h: 11, w: 12, group: 32, kernel: []int64{5, 5}, strides: []int64{2, 2}, pads: []int64{2, 1, 2, 2}},
				{name: "depthwise dilated", c: 48, o: 48, h: 9, w: 11, group: 48, kernel: []int64{4, 2}, strides: []int64{1, 2}, pads: []int64{1, 0, 2, 3}, dilations: []int64{2, 3}},
				{name: "narrow 3", c: 32, o: 3, h: 9, w: 18, kernel: []int64{3, 3}, strides: []int64{1, 1}, pads: []int64{1, 1, 1, 1}},
				{name: "narrow 8", c: 18, o: 8, h: 6, w: 9, kernel: []int64{2, 4}, strides: []int64{2, 1}},
				{name: "grouped", c: 12, o: 8, h: 8, w: 8, group: 4, kernel: []int64{4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}},
				{name: "line", c: 6, o: 9, h: 20, kernel: []int64{5}, strides: []int64{1}, pads: []int64{2, 2}},
				{name: "up", c: 16, o: 32, h: 7, w: 5, kernel: []int64{4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, transposed: true},
				{name: "last", c: 32, o: 1, h: 6, w: 7, kernel: []int64{4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, transposed: true},
				{name: "last 3", c: 24, o: 3, h: 5, w: 11, kernel: []int64{4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, transposed: true},
				{name: "odd", c: 5, o: 3, h: 4, w: 6, kernel: []int64{3, 3}, strides: []int64{2, 3}, transposed: true},
				{name: "grouped", c: 8, o: 16, h: 5, w: 5, group: 2, kernel: []int64{2, 2}, strides: []int64{2, 2}, transposed: true},
				{name: "depthwise", c: 24, o: 24, h: 6, w: 5, group: 24, kernel: []int64{3, 3}, strides: []int64{2, 2}, pads: []int64{1, 0, 1, 1}, transposed: true},
				{name: "depthwise 16", c: 32, o: 32, h: 5, w: 7, group: 32, kernel: []int64{4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, transposed: true},
			} {
				if c.group == 0 {
					c.group = 1
				}
				x, k := []int{2, c.c, c.h}, []int{}
				if c.w > 0 {
					x = append(x, c.w)
				}
				taps := 1
				for _, v := range c.kernel {
					k = append(k, int(v))
					taps *= int(v)
				}
				attrs := []*onnx.Attribute{onnx.AttrIs("strides", c.strides...), onnx.AttrI("group", int64(c.group))}
				if c.pads != nil {
					attrs = append(attrs, onnx.AttrIs("pads", c.pads...))
				}
				if c.dilations != nil {
					attrs = append(attrs, onnx.AttrIs("dilations", c.dilations...))
				}
				sy := float32(float64(most) * math.Sqrt(float64(taps*c.c/c.group)) / 4000)
				if c.transposed {
					add(fmt.Sprintf("ConvTranspose/%s/%s", tag, c.name), func(t *testing.T) string {
						b := newBuild(uint64(c.c), d, x...)
						xf := b.node("", "DequantizeLinear", []any{"x", tensor.Scalar(float32(0.02)), zero(d, 7)})
						w := b.node("", "DequantizeLinear", []any{b.weights(most, append([]int{c.c, c.o / c.group}, k...)...), tensor.Scalar(float32(0.01)), zero(tensor.Int8, 0)})
						bias := b.node("", "DequantizeLinear", []any{b.ints(c.o), tensor.Scalar(float32(float32(0.02) * float32(0.01)))})
						y := b.node("", "ConvTranspose", []any{xf, w, bias}, attrs...)
						return b.run(t, b.node("", "QuantizeLinear", []any{y, tensor.Scalar(sy), zero(d, 100)}), d)
					})
					continue
				}
				add(fmt.Sprintf("QLinearConv/%s/%s", tag, c.name), func(t *testing.T) string {
					b := newBuild(uint64(c.c), d, x...)
					w := b.weights(most, append([]int{c.o, c.c / c.group}, k...)...)
					y := b.node("", "QLinearConv", []any{"x", tensor.Scalar(float32(0.02)), zero(d, 7), w, b.scales(c.o, 0.01), tensor.Must(tensor.New(tensor.Int8, c.o)), tensor.Scalar(sy), zero(d, 100), b.ints(c.o)}, attrs...)
					return b.run(t, y, d)
				})
			}
		}
		elementwise(d, add)
	}
	return all
}

func elementwise(d tensor.DType, add func(string, func(t *testing.T) string)) {
	s := func(v float32) *tensor.Tensor { return tensor.Scalar(v) }
	for _, n := range []int{3, 31, 1000} {
		shape := []int{n}
		tag := fmt.Sprintf("%v/%d", d, n)
		add("Requantise/"+tag, func(t *testing.T) string {
			// Every sum of two bytes, halved: half of the results are exact ties.
			b := newBuild(1, d, n, 2)
			one := tensor.Must(tensor.Of([]int8{1, 1}, 1, 2))
			return b.run(t, b.node(ms, "QGemm", []any{"x", s(0.5), zero(d, 5), one, s(1), zero(tensor.Int8, 0), tensor.Must(tensor.Of([]int32{-3}, 1)), s(1), zero(d, 9)}, onnx.AttrI("transB", 1)), d)
		})
		add("Quantize/"+tag, func(t *testing.T) string {
			b := newBuild(2, d, shape...)
			xf := b.node("", "DequantizeLinear", []any{"x", s(0.25), zero(d, 11)})
			f := b.node("", "Mul", []any{xf, s(2)}) // half of the results are ties
			g := b.node("", "Identity", []any{f})
			return b.run(t, b.node("", "QuantizeLinear", []any{g, s(1), zero(d, 77)}), d)
		})
		add("Dequantize/"+tag, func(t *testing.T) string {
			b := newBuild(3, d, shape...)
			return b.run(t, b.node("", "DequantizeLinear", []any{"x", s(0.0371), zero(d, 11)}), tensor.Float32)
		})
		for _, f := range []string{"Sigmoid", "Tanh", "LeakyRelu", "Relu", "Clip", "Exp", "HardSwish"} {
			add("Table/"+f+"/"+tag, func(t *testing.T) string {
				b := newBuild(4, d, shape...)
				in := []any{b.node("", "DequantizeLinear", []any{"x", s(0.05), zero(d, 30)})}
				if f == "Clip" {
					in = append(in, s(-0.7), s(1.3))
				}
				return b.run(t, b.node("", "QuantizeLinear", []any{b.node("", f, in), s(1.0 / 256), zero(d, 3)}), d)
			})
		}
		for _, f := range []string{"QLinearSigmoid", "QLinearLeakyRelu"} {
			add(f+"/"+tag, func(t *testing.T) string {
				b := newBuild(5, d, shape...)
				return b.run(t, b.node(ms, f, []any{"x", s(0.03), zero(d, 100), s(0.02), zero(d, 10)}), d)
			})
		}
		for _, f := range []string{"QLinearAdd", "QLinearMul"} {
			add(f+"/"+tag, func(t *testing.T) string {
				b := newBuild(6, d, shape...)
				return b.run(t, b.node(ms, f, []any{"x", s(0.03), zero(d, 100), b.bytes(d, shape...), s(0.02), zero(d, 10), s(0.041), zero(d, 50)}), d)
			})
			add(f+"/broadcast/"+tag, func(t *testing.T) string {
				b := newBuild(7, d, 4, n)
				return b.run(t, b.node(ms, f, []any{"x", s(0.03), zero(d, 100), b.bytes(d, 4, 1), s(0.02), zero(d, 10), s(0.041), zero(d, 50)}), d)
			})
		}
		add("QLinearConcat/"+tag, func(t *testing.T) string {
			b := newBuild(8, d, 2, n)
			return b.run(t, b.node(ms, "QLinearConcat", []any{s(0.04), zero(d, 9), "x", s(0.03), zero(d, 100), b.bytes(d, 2, 5), s(0.04), zero(d, 9)}, onnx.AttrI("axis", 1)), d)
		})
	}
	add(fmt.Sprintf("QLinearAveragePool/%v", d), func(t *testing.T) string {
		b := newBuild(9, d, 1, 5, 9, 7)
		return b.run(t, b.node(ms, "QLinearAveragePool", []any{"x", s(0.03), zero(d, 100), s(0.02), zero(d, 10)}, onnx.AttrIs("kernel_shape", 3, 2), onnx.AttrIs("strides", 2, 1), onnx.AttrIs("pads", 1, 0, 1, 0)), d)
	})
	add(fmt.Sprintf("MaxPool/%v", d), func(t *testing.T) string {
		b := newBuild(10, d, 1, 5, 9, 7)
		return b.run(t, b.node("", "MaxPool", []any{"x"}, onnx.AttrIs("kernel_shape", 3, 2), onnx.AttrIs("strides", 2, 1), onnx.AttrIs("pads", 1, 0, 1, 0)), d)
	})
}

// TestHashes compares the hash of every case on every tier with that in testdata, which one processor wrote
// (go test -update) and all others reproduce.
func TestHashes(t *testing.T) {
	path := filepath.Join("testdata", file)
	all := cases()
	if *update {
		var s strings.Builder
		for _, c := range all {
			fmt.Fprintf(&s, "%s  %s\n", c.run(t), c.name)
		}
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(s.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(data)) {
		hash, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || want[name] != "" {
			t.Fatalf("%s: line %q", path, line)
		}
		want[name] = hash
	}
	if len(want) != len(all) {
		t.Errorf("%s has %d hashes, there are %d cases", path, len(want), len(all))
	}
	impl.All(t, "kernel/i8", func(t *testing.T) {
		for _, c := range all {
			if got := c.run(t); got != want[c.name] {
				t.Errorf("%s: %s, want %s", c.name, got, want[c.name])
			}
		}
	})
}

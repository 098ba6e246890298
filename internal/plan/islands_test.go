package plan_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// qdqLayer is one operator between pairs, described so that both the model and its exact
// result can be made from it.
type qdqLayer struct {
	op            string
	x, w          []int
	attrs         []*onnx.Attribute
	axis          int // of the output channels in w
	signed        bool
	perTensor     bool
	noBias        bool
	clipLo        float32 // with clipHi: bounds after the operator, where clipLo < clipHi
	clipHi        float32
	relu          bool
	noBiasIsFloat bool // the bias is a float32 constant without DequantizeLinear
}

func (l qdqLayer) String() string {
	s := fmt.Sprintf("%s x%v w%v signed=%t perTensor=%t bias=%t relu=%t clip=[%v %v]", l.op, l.x, l.w, l.signed, l.perTensor, !l.noBias, l.relu, l.clipLo, l.clipHi)
	for _, a := range l.attrs {
		s += fmt.Sprintf(" %s=%v%d", a.Name, a.Ints, a.Int)
	}
	return s
}

func randomBytes(r *rand.Rand, lo, hi int, shape []int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float64, shape...))
	for i := range tensor.Data[float64](t) {
		tensor.Data[float64](t)[i] = float64(lo + r.IntN(hi-lo+1))
	}
	return t
}

// narrowed returns float64 integers as a type of 8 or 32 bits.
func narrowed(t *tensor.Tensor, d tensor.DType) *tensor.Tensor {
	out := tensor.Must(tensor.New(d, t.Shape()...))
	for i, v := range tensor.Data[float64](t) {
		switch d {
		case tensor.Int8:
			tensor.Data[int8](out)[i] = int8(v)
		case tensor.Uint8:
			tensor.Data[uint8](out)[i] = uint8(v)
		default:
			tensor.Data[int32](out)[i] = int32(v)
		}
	}
	return out
}

func scalar8(d tensor.DType, v int) *tensor.Tensor {
	return narrowed(tensor.Scalar(float64(v)), d)
}

// check builds the layer's model and compares 8-bit results with exact ones.
func (l qdqLayer) check(t *testing.T, r *rand.Rand) {
	t.Helper()
	d, lo, hi := tensor.Uint8, 0, 255
	if l.signed {
		d, lo, hi = tensor.Int8, -128, 127
	}
	x := randomBytes(r, lo, hi, l.x)
	w := randomBytes(r, -128, 127, l.w)
	xz, yz := lo+r.IntN(256), lo+r.IntN(256)
	if l.relu && r.IntN(2) == 0 {
		yz = lo
	}
	xs, ys := 0.01+0.01*r.Float32(), float32(0)
	channels := l.w[l.axis]
	ws := make([]float32, channels)
	for i := range ws {
		ws[i] = 0.001 + 0.003*r.Float32()
		if l.perTensor {
			ws[i] = ws[0]
		}
	}
	bias := randomBytes(r, -5000, 5000, []int{channels})
	terms := float64(x.Elems()) / float64(l.x[0]) // more or less
	ys = float32(0.02 * 0.002 * 60 * math.Sqrt(min(terms, 600)))

	// The exact sums, by the same operator in float64 on integers.
	centred := tensor.Must(tensor.New(tensor.Float64, l.x...))
	for i, v := range tensor.Data[float64](x) {
		tensor.Data[float64](centred)[i] = v - float64(xz)
	}
	fb := onnx.NewBuilder(17)
	ins := []string{fb.Input("x", tensor.Float64), fb.Initializer("w", w)}
	if !l.noBias {
		ins = append(ins, fb.Initializer("b", bias))
	}
	fb.Output(fb.Op(l.op, "y", ins, l.attrs...), tensor.Float64)
	sums := runModel(t, fb, plan.Options{Plain: true}, centred)[0]
	outAxis := 1
	if l.op == "MatMul" {
		outAxis = sums.Rank() - 1
	}
	inner := 1
	for _, n := range sums.Shape()[outAxis+1:] {
		inner *= n
	}
	want := make([]int, sums.Elems())
	for i, v := range tensor.Data[float64](sums) {
		m := float32(float32(xs*ws[i/inner%channels]) / ys)
		q := math.RoundToEven(float64(float32(float32(int32(v))*m))) + float64(yz)
		clamp := func(f float32) float64 {
			return min(max(math.RoundToEven(float64(f/ys))+float64(yz), float64(lo)), float64(hi))
		}
		q = min(max(q, float64(lo)), float64(hi))
		if l.relu {
			q = max(q, clamp(0))
		}
		if l.clipLo < l.clipHi {
			q = min(max(q, clamp(l.clipLo)), clamp(l.clipHi))
		}
		want[i] = int(q)
	}

	b := onnx.NewBuilder(17)
	xq := b.Input("x", d, make([]onnx.Dim, len(l.x))...)
	xScale, xZero := b.Initializer("xs", tensor.Scalar(xs)), b.Initializer("xz", scalar8(d, xz))
	dx := b.Op("DequantizeLinear", "", []string{xq, xScale, xZero})
	wScale := tensor.Must(tensor.Of(ws, channels))
	bScale := tensor.Must(tensor.New(tensor.Float32, channels))
	for i := range ws {
		bScale.Float32s()[i] = xs * ws[i]
	}
	wAttrs := []*onnx.Attribute{onnx.AttrI("axis", int64(l.axis))}
	if l.perTensor {
		wScale, wAttrs = tensor.Scalar(ws[0]), nil
	}
	dw := b.Op("DequantizeLinear", "", []string{b.Initializer("w", narrowed(w, tensor.Int8)), b.Initializer("ws", wScale)}, wAttrs...)
	ins = []string{dx, dw}
	switch {
	case l.noBias:
	case l.noBiasIsFloat:
		f := tensor.Must(tensor.New(tensor.Float32, channels))
		for i, v := range tensor.Data[float64](bias) {
			f.Float32s()[i] = float32(v) * bScale.Float32s()[i]
		}
		ins = append(ins, b.Initializer("b", f))
	default:
		ins = append(ins, b.Op("DequantizeLinear", "", []string{b.Initializer("b", narrowed(bias, tensor.Int32)), b.Initializer("bs", bScale)}, onnx.AttrI("axis", 0)))
	}
	y := b.Op(l.op, "", ins, l.attrs...)
	if l.relu {
		y = b.Op("Relu", "", []string{y})
	}
	if l.clipLo < l.clipHi {
		y = b.Op("Clip", "", []string{y, b.Initializer("lo", tensor.Scalar(l.clipLo)), b.Initializer("hi", tensor.Scalar(l.clipHi))})
	}
	q := b.Op("QuantizeLinear", "", []string{y, b.Initializer("ys", tensor.Scalar(ys)), b.Initializer("yz", scalar8(d, yz))})
	b.Output(q, d)
	for _, pool := range []*parallel.Pool{nil, parallel.New(3)} {
		got := runModel(t, b, plan.Options{Pool: pool}, narrowed(x, d))[0]
		if !got.Shape().Equal(sums.Shape()) {
			t.Fatalf("%v: shape %v, want %v", l, got.Shape(), sums.Shape())
		}
		for i := range want {
			g := int(got.Bytes()[i])
			if l.signed {
				g = int(int8(got.Bytes()[i]))
			}
			if g != want[i] {
				t.Fatalf("%v: element %d of %v: %d, want %d (sum %v)", l, i, got.Shape(), g, want[i], tensor.Data[float64](sums)[i])
			}
		}
		if pool != nil {
			pool.Close()
		}
	}
	for _, s := range steps(t, b, narrowed(x, d)) {
		if strings.Contains(strings.Join(s.Outputs, " "), "float") {
			t.Errorf("%v: step %s gives %v, want integers only", l, s.OpType, s.Outputs)
		}
	}
}

func compile(t *testing.T, b *onnx.Builder) *graph.Graph {
	t.Helper()
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range slices.Concat(m.Graph.Inputs, m.Graph.Outputs) {
		v.Type = onnx.Type{Kind: onnx.KindTensor, Elem: v.Type.Elem}
	}
	g, err := graph.New(m, graph.Config{Set: op.Core, Body: plan.Body})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func runModel(t *testing.T, b *onnx.Builder, o plan.Options, x *tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	return execute(t, compile(t, b), o, x)
}

func steps(t *testing.T, b *onnx.Builder, x *tensor.Tensor) []plan.StepTime {
	t.Helper()
	g := compile(t, b)
	p, err := plan.Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := p.NewState()
	st.Measure()
	if err := p.Run(context.Background(), st, make([]*tensor.Tensor, len(g.Outputs)), []*tensor.Tensor{x}); err != nil {
		t.Fatal(err)
	}
	return st.Times()
}

func TestIslandsAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ints := func(v ...int) []int64 {
		out := make([]int64, len(v))
		for i, x := range v {
			out[i] = int64(x)
		}
		return out
	}
	n := 60
	if testing.Short() {
		n = 15
	}
	for i := range n {
		base := qdqLayer{signed: r.IntN(2) == 0, perTensor: r.IntN(3) == 0, noBias: r.IntN(4) == 0, relu: r.IntN(2) == 0, noBiasIsFloat: r.IntN(4) == 0}
		if r.IntN(4) == 0 {
			base.clipLo, base.clipHi = -0.01, 0.05
		}
		l := base
		m, k, o := 1+r.IntN(9), 1+r.IntN(70), 1+r.IntN(40)
		l.op, l.x, l.w, l.axis = "Gemm", []int{m, k}, []int{k, o}, 1
		if r.IntN(2) == 0 {
			l.w, l.axis, l.attrs = []int{o, k}, 0, []*onnx.Attribute{onnx.AttrI("transB", 1)}
		}
		l.check(t, r)
		l = base
		l.op, l.x, l.w, l.axis, l.noBias = "MatMul", []int{m, k}, []int{k, o}, 1, true
		if i%2 == 0 {
			l.x = []int{2, m, k}
		}
		l.check(t, r)

		rank := 1 + r.IntN(2)
		if i%10 == 9 {
			rank = 3
		}
		c, o := 1+r.IntN(7), 1+r.IntN(20)
		size, kernel, strides, dilations, pads, extra := make([]int, rank), make([]int, rank), make([]int, rank), make([]int, rank), make([]int, 2*rank), make([]int, rank)
		for a := range rank {
			kernel[a], strides[a], dilations[a] = 1+r.IntN(4), 1+r.IntN(3), 1+r.IntN(5)/4
			size[a] = 1 + (kernel[a]-1)*dilations[a] + r.IntN(9)
			pads[a], pads[rank+a] = r.IntN(kernel[a]), r.IntN(kernel[a])
			extra[a] = r.IntN(strides[a])
		}
		l = base
		l.op, l.x, l.w, l.axis = "Conv", append([]int{1 + r.IntN(2), c}, size...), append([]int{o, c}, kernel...), 0
		l.attrs = []*onnx.Attribute{onnx.AttrIs("strides", ints(strides...)...), onnx.AttrIs("dilations", ints(dilations...)...), onnx.AttrIs("pads", ints(pads...)...)}
		l.check(t, r)
		l.op, l.w, l.axis = "ConvTranspose", append([]int{c, o}, kernel...), 1
		l.attrs = append(l.attrs, onnx.AttrIs("output_padding", ints(extra...)...))
		l.check(t, r)
		g := 1 + r.IntN(3)
		l.x[1] = c * g
		l.perTensor, l.noBias = true, true
		l.w = append([]int{c * g, o}, kernel...)
		l.attrs = append(l.attrs, onnx.AttrI("group", int64(g)))
		l.check(t, r)
		l.op, l.w, l.axis = "Conv", append([]int{o * g, c}, kernel...), 0
		l.attrs = slices.DeleteFunc(l.attrs, func(a *onnx.Attribute) bool { return a.Name == "output_padding" })
		l.check(t, r)
	}
}

// TestIslandsOfBatches covers convolutions of several images that go through the same weights together, and
// transposed ones whose channels fill whole panels.
func TestIslandsOfBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		op                     string
		n, c, o, h, w          int
		kernel, strides, begin int
	}{
		{"Conv", 5, 12, 70, 9, 7, 3, 1, 1}, {"Conv", 7, 64, 33, 8, 8, 4, 2, 1}, {"Conv", 3, 5, 32, 6, 6, 1, 1, 0},
		{"Conv", 6, 3, 32, 16, 16, 4, 2, 1}, {"Conv", 2, 32, 3, 17, 40, 3, 1, 1},
		{"ConvTranspose", 5, 24, 32, 7, 7, 4, 2, 1}, {"ConvTranspose", 9, 70, 64, 4, 4, 4, 2, 1}, {"ConvTranspose", 4, 9, 32, 5, 8, 3, 2, 0},
		{"ConvTranspose", 3, 32, 3, 9, 33, 4, 2, 1}, {"ConvTranspose", 6, 32, 1, 14, 14, 4, 2, 1},
	} {
		s, p := int64(c.strides), int64(c.begin)
		l := qdqLayer{op: c.op, x: []int{c.n, c.c, c.h, c.w}, w: []int{c.o, c.c, c.kernel, c.kernel}, signed: r.IntN(2) == 0,
			attrs: []*onnx.Attribute{onnx.AttrIs("strides", s, s), onnx.AttrIs("pads", p, p, p, p)}}
		if c.op == "ConvTranspose" {
			l.w[0], l.w[1], l.axis = c.c, c.o, 1
		}
		l.check(t, r)
	}
}

// TestIslandsOfFewChannels covers convolutions whose results are computed by position.
func TestIslandsOfFewChannels(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 60 {
		l := qdqLayer{op: "Conv", signed: r.IntN(2) == 0, relu: r.IntN(3) == 0, perTensor: r.IntN(2) == 0}
		c, o, h, w := 4*(4+r.IntN(6)), 1+r.IntN(5), 1+r.IntN(20), 6+r.IntN(40)
		l.x, l.w = []int{1 + r.IntN(3), c, h, w}, []int{o, c, 1 + r.IntN(min(h, 4)), 1 + r.IntN(5)}
		strides, dilations := []int64{int64(1 + r.IntN(3)), 1}, []int64{1, int64(1 + r.IntN(2))}
		if i%2 == 1 {
			l.op, l.axis = "ConvTranspose", 1
			l.w[0], l.w[1] = c, o
			strides[1] = int64(1 + r.IntN(3))
		}
		pads := make([]int64, 4)
		for k := range pads {
			pads[k] = int64(r.IntN(l.w[2+k%2]))
		}
		l.attrs = []*onnx.Attribute{onnx.AttrIs("strides", strides...), onnx.AttrIs("dilations", dilations...), onnx.AttrIs("pads", pads...)}
		if l.op == "Conv" && (int64(w)+pads[1]+pads[3] <= int64(l.w[3]-1)*dilations[1]) {
			continue
		}
		l.check(t, r)
	}
}

// island makes x → quantise → dequantise → f → quantise → dequantise, with f given by mid.
func island(d tensor.DType, mid func(b *onnx.Builder, x string) string) *onnx.Builder {
	b := onnx.NewBuilder(17)
	z := 0
	if d == tensor.Uint8 {
		z = 128
	}
	x := b.Input("x", tensor.Float32)
	s, zp := b.Initializer("s", tensor.Scalar(float32(1.0/32))), b.Initializer("z", scalar8(d, z))
	pair := func(v string) string {
		return b.Op("DequantizeLinear", "", []string{b.Op("QuantizeLinear", "", []string{v, s, zp}), s, zp})
	}
	y := mid(b, pair(x))
	s2, zp2 := b.Initializer("s2", tensor.Scalar(float32(1.0/64))), b.Initializer("z2", scalar8(d, z+3))
	q := b.Op("QuantizeLinear", "", []string{y, s2, zp2})
	b.Output(b.Op("DequantizeLinear", "", []string{q, s2, zp2}), tensor.Float32)
	return b
}

func TestIslandsOfOtherOperators(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	one := func(opType string, attrs ...*onnx.Attribute) func(*onnx.Builder, string) string {
		return func(b *onnx.Builder, x string) string { return b.Op(opType, "", []string{x}, attrs...) }
	}
	for _, c := range []struct {
		name  string
		steps []float64 // largest difference from the float32 graph, in steps of the result
		mid   func(b *onnx.Builder, x string) string
	}{
		{"LeakyRelu", nil, one("LeakyRelu", &onnx.Attribute{Name: "alpha", Type: onnx.AttrFloat, Float: 0.2})},
		{"Sigmoid", nil, one("Sigmoid")},
		{"Tanh", nil, one("Tanh")},
		{"Relu", nil, one("Relu")},
		{"Identity", nil, one("Identity")},
		{"Transpose", nil, one("Transpose", onnx.AttrIs("perm", 0, 2, 3, 1))},
		{"Flatten", nil, one("Flatten")},
		{"MaxPool", nil, one("MaxPool", onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 2, 2))},
		{"AveragePool", []float64{1}, one("AveragePool", onnx.AttrIs("kernel_shape", 2, 2))},
		{"GlobalAveragePool", []float64{1}, one("GlobalAveragePool")},
		{"Add", []float64{1}, func(b *onnx.Builder, x string) string { return b.Op("Add", "", []string{x, x}) }},
		{"Mul", []float64{1}, func(b *onnx.Builder, x string) string { return b.Op("Mul", "", []string{x, x}) }},
		{"Concat", nil, func(b *onnx.Builder, x string) string {
			return b.Op("Concat", "", []string{x, x}, onnx.AttrI("axis", 1))
		}},
		{"Transpose, LeakyRelu", nil, func(b *onnx.Builder, x string) string {
			return b.Op("LeakyRelu", "", []string{b.Op("Transpose", "", []string{x}, onnx.AttrIs("perm", 0, 2, 1, 3))})
		}},
	} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			b := island(d, c.mid)
			x := tensor.Must(tensor.New(tensor.Float32, 2, 3, 6, 4))
			for i := range x.Float32s() {
				x.Float32s()[i] = float32(r.NormFloat64())
			}
			got, want := runModel(t, b, plan.Options{}, x)[0], runModel(t, b, plan.Options{Plain: true}, x)[0]
			limit := 0.0
			if c.steps != nil {
				limit = c.steps[0] / 64
			}
			for i, g := range got.Float32s() {
				if w := want.Float32s()[i]; !(math.Abs(float64(g-w)) <= limit) {
					t.Errorf("%s %v: element %d: %v, want %v", c.name, d, i, g, w)
					break
				}
			}
			floats := 0
			var list []string
			for _, s := range steps(t, b, x) {
				if strings.HasPrefix(s.Outputs[0], "float") {
					floats++
				}
				list = append(list, s.OpType)
			}
			if floats != 1 {
				t.Errorf("%s %v: %d steps give float32, want only the last: %v", c.name, d, floats, list)
			}
		}
	}
}

// TestIslandsOfEnlargedPictures covers a QuantizeLinear behind a nearest Resize of float32 values, which quantises the small
// picture, and the layout of a block whose sum is float32: its only conversions are at the ends.
func TestIslandsOfEnlargedPictures(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	conv := func(b *onnx.Builder, x, name string) string {
		w := tensor.Must(tensor.New(tensor.Int8, 8, 8, 3, 3))
		for i := range w.Bytes() {
			w.Bytes()[i] = uint8(r.Uint32())
		}
		s := b.Initializer(name+"s", tensor.Scalar(float32(1.0/1024)))
		return b.Op("Conv", "", []string{x, b.Op("DequantizeLinear", "", []string{b.Initializer(name, w), s})}, onnx.AttrIs("pads", 1, 1, 1, 1))
	}
	b := onnx.NewBuilder(17)
	s, z := b.Initializer("s", tensor.Scalar(float32(1.0/32))), b.Initializer("z", scalar8(tensor.Uint8, 128))
	pair := func(v string) string {
		return b.Op("DequantizeLinear", "", []string{b.Op("QuantizeLinear", "", []string{v, s, z}), s, z})
	}
	x := pair(conv(b, pair(b.Input("x", tensor.Float32)), "w1"))
	sum := b.Op("Relu", "", []string{b.Op("Add", "", []string{pair(conv(b, x, "w2")), x})})
	big := b.Op("Resize", "", []string{sum, "", b.Initializer("scales", tensor.Must(tensor.Of([]float32{1, 1, 2, 2}, 4)))}, onnx.AttrS("mode", "nearest"),
		onnx.AttrS("coordinate_transformation_mode", "asymmetric"), onnx.AttrS("nearest_mode", "floor"))
	b.Output(pair(conv(b, pair(big), "w3")), tensor.Float32)
	in := tensor.Must(tensor.New(tensor.Float32, 2, 8, 6, 5))
	for i := range in.Float32s() {
		in.Float32s()[i] = float32(r.NormFloat64())
	}
	got, want := runModel(t, b, plan.Options{}, in)[0], runModel(t, b, plan.Options{Plain: true}, in)[0]
	for i, g := range got.Float32s() {
		if w := want.Float32s()[i]; !(math.Abs(float64(g-w)) <= 1.0/32) { // sums in another order
			t.Fatalf("element %d: %v, want %v", i, g, w)
		}
	}
	moves, resized := 0, ""
	var list []string
	for _, s := range steps(t, b, in) {
		list = append(list, s.OpType+" "+s.Outputs[0])
		switch s.OpType {
		case "Transpose":
			moves++
		case "Resize":
			resized = s.Outputs[0]
		}
	}
	if moves != 2 || !strings.HasPrefix(resized, "uint8") {
		t.Errorf("%d conversions, resized picture %s, want 2 and uint8: %v", moves, resized, list)
	}
}

// A pair whose parameters are those of the pair before it does nothing.
func TestIslandsEqualPairVanishes(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32)
	s, z := b.Initializer("s", tensor.Scalar(float32(0.05))), b.Initializer("z", tensor.Scalar(uint8(7)))
	for range 3 {
		x = b.Op("DequantizeLinear", "", []string{b.Op("QuantizeLinear", "", []string{x, s, z}), s, z})
	}
	b.Output(x, tensor.Float32)
	in := tensor.Must(tensor.Of([]float32{-1, 0, 0.024, 0.026, 3, 100}, 6))
	if n := len(steps(t, b, in)); n != 2 {
		t.Errorf("%d steps, want 2", n)
	}
	got, want := runModel(t, b, plan.Options{}, in)[0], runModel(t, b, plan.Options{Plain: true}, in)[0]
	if !slices.Equal(got.Float32s(), want.Float32s()) {
		t.Errorf("got %v, want %v", got.Float32s(), want.Float32s())
	}
}

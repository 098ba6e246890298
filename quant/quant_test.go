package quant

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var ctx = context.Background()

// batches is a Source over tensors for the input "image".
type batches struct{ list []*tensor.Tensor }

func (b *batches) Next(context.Context) (map[string]*tensor.Tensor, error) {
	if len(b.list) == 0 {
		return nil, io.EOF
	}
	t := b.list[0]
	b.list = b.list[1:]
	return map[string]*tensor.Tensor{"image": t}, nil
}

func random(label uint64, lo, hi float32, shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float32, shape...))
	d := t.Float32s()
	rng.New(11, label).Uniform(d, 0)
	for i := range d {
		d[i] = lo + (hi-lo)*d[i]
	}
	return t
}

// denseModel is 40-32-8-32-40 with Relu, a linear bottleneck and Sigmoid.
func denseModel(t *testing.T) *onnx.Model {
	b := onnx.NewBuilder(17)
	batch := onnx.NamedDim("batch")
	x := b.Input("image", tensor.Float32, batch, onnx.FixedDim(40))
	widths := []int{40, 32, 8, 32, 40}
	acts := []string{"Relu", "", "LeakyRelu", "Sigmoid"}
	for i := range 4 {
		r := 2 / float32(math.Sqrt(float64(widths[i])))
		w := b.Initializer(fmt.Sprintf("w%d", i), random(uint64(i), -r, r, widths[i], widths[i+1]))
		c := b.Initializer(fmt.Sprintf("b%d", i), random(uint64(10+i), -0.2, 0.2, widths[i+1]))
		x = b.Op("Gemm", fmt.Sprintf("h%d", i), []string{x, w, c})
		if acts[i] != "" {
			x = b.Op(acts[i], fmt.Sprintf("a%d", i), []string{x})
		}
	}
	b.Output(x, tensor.Float32, batch, onnx.FixedDim(40))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// convModel is conv-relu-flatten-dense and back through reshape, convT and sigmoid.
func convModel(t *testing.T) *onnx.Model {
	b := onnx.NewBuilder(17)
	batch := onnx.NamedDim("batch")
	x := b.Input("image", tensor.Float32, batch, onnx.FixedDim(1), onnx.FixedDim(8), onnx.FixedDim(8))
	w := func(i uint64, fan float64, shape ...int) string {
		r := 2 / float32(math.Sqrt(fan))
		return b.Initializer(fmt.Sprintf("w%d", i), random(i, -r, r, shape...))
	}
	x = b.Op("Conv", "c1", []string{x, w(1, 9, 6, 1, 3, 3), w(2, 100, 6)}, onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))
	x = b.Op("Relu", "r1", []string{x})
	x = b.Op("Flatten", "f1", []string{x})
	x = b.Op("Gemm", "z", []string{x, w(3, 96, 96, 10), w(4, 100, 10)})
	x = b.Op("Gemm", "g2", []string{x, w(5, 10, 96, 10), w(6, 100, 96)}, onnx.AttrI("transB", 1))
	x = b.Op("Relu", "r2", []string{x})
	x = b.Op("Reshape", "s2", []string{x, b.Initializer("shape", tensor.Must(tensor.Of([]int64{-1, 6, 4, 4}, 4)))})
	x = b.Op("ConvTranspose", "t1", []string{x, w(7, 24, 6, 1, 4, 4), w(8, 100, 1)}, onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))
	x = b.Op("Sigmoid", "reconstruction", []string{x})
	b.Output(x, tensor.Float32, batch, onnx.FixedDim(1), onnx.FixedDim(8), onnx.FixedDim(8))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func calibrate(t *testing.T, m *onnx.Model, shape ...int) *Calibration {
	t.Helper()
	src := &batches{}
	for i := range 4 {
		src.list = append(src.list, random(uint64(50+i), 0, 1, append([]int{16}, shape...)...))
	}
	c, err := Calibrate(ctx, m, src, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func outputs(t *testing.T, m *onnx.Model, x *tensor.Tensor) []float32 {
	t.Helper()
	s, err := runtime.New(m, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(ctx, map[string]*tensor.Tensor{"image": x})
	if err != nil {
		t.Fatal(err)
	}
	return out[s.Outputs()[0].Name].Float32s()
}

func TestQuantizedIsNearFloat(t *testing.T) {
	tests := []struct {
		name  string
		model *onnx.Model
		shape []int
	}{
		{"dense", denseModel(t), []int{40}},
		{"conv", convModel(t), []int{1, 8, 8}},
	}
	for _, c := range tests {
		cal := calibrate(t, c.model, c.shape...)
		x := random(99, 0, 1, append([]int{20}, c.shape...)...)
		want := outputs(t, c.model, x)
		for _, o := range []Options{{}, {Signed: true}, {ReduceRange: true}, {PerTensor: true}, {Method: Percentile}, {Method: MovingAverage}, {Method: MSE}, {Method: Entropy}} {
			q, report, err := Quantize(c.model, cal, o)
			if err != nil {
				t.Fatalf("%s %+v: %v", c.name, o, err)
			}
			got := outputs(t, q, x)
			signal, noise, mean := 0.0, 0.0, 0.0
			for _, v := range want {
				mean += float64(v) / float64(len(want))
			}
			for i := range want {
				signal += (float64(want[i]) - mean) * (float64(want[i]) - mean)
				noise += float64(got[i]-want[i]) * float64(got[i]-want[i])
			}
			least := 25.0
			if o.Method == Entropy { // it needs more values than there are here
				least = 18
			}
			if db := 10 * math.Log10(signal/noise); db < least {
				t.Errorf("%s %+v: %.1f dB between float and int8 outputs, want at least %g", c.name, o, db, least)
			}
			if len(report.Layers) != 4 {
				t.Errorf("%s: %d layers in the report, want 4", c.name, len(report.Layers))
			}
			for _, l := range report.Layers {
				if l.WeightSQNR < 25 {
					t.Errorf("%s %+v: weights of %s: %.1f dB", c.name, o, l.Node, l.WeightSQNR)
				}
			}
		}
	}
}

// TestPlacement checks where the pairs stand.
func TestPlacement(t *testing.T) {
	m := convModel(t)
	q, _, err := Quantize(m, calibrate(t, m, 1, 8, 8), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var seq []string
	for _, n := range q.Graph.Nodes {
		if n.OpType == "DequantizeLinear" && q.Graph.Initializer(n.Inputs[0]) != nil {
			continue
		}
		switch n.OpType {
		case "QuantizeLinear":
			seq = append(seq, "Q")
		case "DequantizeLinear":
			seq = append(seq, "DQ")
		default:
			seq = append(seq, n.OpType)
		}
	}
	want := []string{"Q", "DQ", "Conv", "Relu", "Q", "DQ", "Flatten", "Q", "DQ", "Gemm", "Q", "DQ", "Gemm", "Relu", "Q", "DQ", "Reshape", "Q", "DQ", "ConvTranspose", "Q", "DQ", "Sigmoid", "Q", "DQ"}
	if !slices.Equal(seq, want) {
		t.Errorf("nodes are\n%v, want\n%v", seq, want)
	}
	if q.Graph.Outputs[0].Name != "reconstruction" {
		t.Errorf("the output is called %q", q.Graph.Outputs[0].Name)
	}
	for _, n := range q.Graph.Nodes {
		if n.OpType == "Conv" || n.OpType == "ConvTranspose" || n.OpType == "Gemm" {
			for _, in := range n.Inputs {
				if i := q.Graph.Initializer(in); i != nil && i.DType == tensor.Float32 {
					t.Errorf("%s reads the float initializer %q", n.Name, in)
				}
			}
		}
	}
}

// TestQOperator checks that the two formats give the same bytes, and that the second has the
// operators that it should have.
func TestQOperator(t *testing.T) {
	tests := []struct {
		name  string
		model *onnx.Model
		shape []int
		ops   []string // that compute
	}{
		{"dense", denseModel(t), []int{40}, []string{"QGemm", "QGemm", "QGemm", "QLinearLeakyRelu", "QGemm", "QLinearSigmoid"}},
		{"conv", convModel(t), []int{1, 8, 8}, []string{"QLinearConv", "Flatten", "QGemm", "QGemm", "Reshape", "ConvTranspose", "QLinearSigmoid"}},
		{"residual", residualModel(t), []int{3, 8, 8}, []string{"QLinearConv", "QLinearConv", "Tanh", "QLinearAdd", "MaxPool", "QLinearConv", "QLinearLeakyRelu", "Flatten", "QLinearMatMul"}},
	}
	for _, c := range tests {
		cal := calibrate(t, c.model, c.shape...)
		x := random(99, 0, 1, append([]int{20}, c.shape...)...)
		for _, signed := range []bool{false, true} {
			a, _, err := Quantize(c.model, cal, Options{Signed: signed})
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := Quantize(c.model, cal, Options{Signed: signed, Format: QOperator})
			if err != nil {
				t.Fatal(err)
			}
			if want, got := outputs(t, a, x), outputs(t, b, x); !slices.Equal(want, got) {
				t.Errorf("%s, signed %t: QDQ and QOperator give different results", c.name, signed)
			}
			var ops []string
			for _, n := range b.Graph.Nodes {
				if n.OpType != "QuantizeLinear" && n.OpType != "DequantizeLinear" {
					ops = append(ops, n.OpType)
				}
			}
			if !slices.Equal(ops, c.ops) {
				t.Errorf("%s, signed %t: operators %v, want %v", c.name, signed, ops, c.ops)
			}
		}
	}
	if _, _, err := Quantize(denseModel(t), calibrate(t, denseModel(t), 40), Options{Format: "tflite"}); err == nil {
		t.Error("an unknown format was accepted")
	}
}

// TestDynamic checks that dynamic quantisation is near the float model.
func TestDynamic(t *testing.T) {
	tests := []struct {
		name  string
		model *onnx.Model
		shape []int
		count map[string]int
	}{
		{"dense", denseModel(t), []int{40}, map[string]int{"MatMulInteger": 4, "DynamicQuantizeLinear": 4}},
		{"conv", convModel(t), []int{1, 8, 8}, map[string]int{"MatMulInteger": 2, "ConvInteger": 1, "ConvTranspose": 1}},
		{"residual", residualModel(t), []int{3, 8, 8}, map[string]int{"MatMulInteger": 1, "ConvInteger": 3}},
	}
	for _, c := range tests {
		q, r, err := Dynamic(c.model, Options{})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		ops := map[string]int{}
		for _, n := range q.Graph.Nodes {
			ops[n.OpType]++
		}
		for op, n := range c.count {
			if ops[op] != n {
				t.Errorf("%s: %d of %s, want %d", c.name, ops[op], op, n)
			}
		}
		for _, i := range q.Graph.Initializers {
			if len(i.Dims) > 1 && i.DType == tensor.Float32 && !strings.HasSuffix(i.Name, "_scale") && i.Value.Elems() > 16 {
				t.Errorf("%s: initializer %q is float32", c.name, i.Name)
			}
		}
		x := random(99, 0, 1, append([]int{20}, c.shape...)...)
		want, got := outputs(t, c.model, x), outputs(t, q, x)
		signal, noise := 0.0, 0.0
		for i, v := range want {
			signal += float64(v) * float64(v)
			noise += float64(got[i]-v) * float64(got[i]-v)
		}
		if db := decibels(signal, noise); db < 30 || db > 100 || len(r.Layers) < 4 {
			t.Errorf("%s: %.1f dB between float and dynamic outputs, want at least 30; %d layers", c.name, db, len(r.Layers))
		}
	}
}

// TestBiasFits has a channel whose weights are far smaller than its bias.
func TestBiasFits(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(2))
	w := b.Initializer("w", tensor.Must(tensor.Of([]float32{1e-12, 1, -1e-12, 0.5}, 2, 2)))
	c := b.Initializer("c", tensor.Must(tensor.Of([]float32{3, 0.25}, 2)))
	b.Output(b.Op("Gemm", "y", []string{x, w, c}), tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(2))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := Quantize(m, calibrate(t, m, 2), Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := random(5, 0, 1, 9, 2)
	want, got := outputs(t, m, in), outputs(t, q, in)
	for i := range want {
		if math.Abs(float64(want[i]-got[i])) > 0.02 {
			t.Errorf("value %d: %v, want %v", i, got[i], want[i])
		}
	}
}

func TestCalibrationRoundTrip(t *testing.T) {
	m := denseModel(t)
	c := calibrate(t, m, 40)
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := ReadCalibration(&b)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := Quantize(m, c, Options{Method: MSE})
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := Quantize(m, back, Options{Method: MSE})
	if err != nil {
		t.Fatal(err)
	}
	x, _ := onnx.Encode(a)
	y, _ := onnx.Encode(d)
	if !bytes.Equal(x, y) {
		t.Error("a calibration read back gives another model")
	}
	other := convModel(t)
	if _, _, err := Quantize(other, c, Options{}); err == nil {
		t.Error("a calibration of another model was accepted")
	}
}

func TestExclude(t *testing.T) {
	m := denseModel(t)
	c := calibrate(t, m, 40)
	_, rep, err := Quantize(m, c, Options{Exclude: func(name string) bool { return name == "h3" }})
	if err != nil {
		t.Fatal(err)
	}
	floats := 0
	for _, l := range rep.Layers {
		if l.Float {
			floats++
		}
	}
	if floats > 1 {
		t.Errorf("%d layers float", floats)
	}
}

func TestHistogram(t *testing.T) {
	h := &histogram{}
	var all []float32
	for i := range 50 {
		xs := random(uint64(i), -1, float32(i), 1000).Float32s()
		all = append(all, xs...)
		if err := h.add(xs); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	n := uint64(0)
	for _, c := range h.Counts {
		n += c
	}
	if n != uint64(len(all)) || h.N != n {
		t.Errorf("%d values counted, %d given", n, len(all))
	}
	if h.Min != float64(all[0]) || h.Max != float64(all[len(all)-1]) {
		t.Errorf("range %v … %v, want %v … %v", h.Min, h.Max, all[0], all[len(all)-1])
	}
	lo, hi := h.percentile(0.98)
	width := h.Limit / histBins
	if want := float64(all[len(all)/100]); math.Abs(lo-want) > 2*width {
		t.Errorf("1st percentile %v, want %v ± %v", lo, want, width)
	}
	if want := float64(all[len(all)-len(all)/100]); math.Abs(hi-want) > 2*width {
		t.Errorf("99th percentile %v, want %v ± %v", hi, want, width)
	}
	if err := h.add([]float32{float32(math.NaN())}); err == nil {
		t.Error("NaN was counted")
	}
}

func TestChooseParams(t *testing.T) {
	tests := []struct {
		lo, hi float64
		d      tensor.DType
	}{{-1, 3, tensor.Uint8}, {0, 5, tensor.Uint8}, {-2, 0, tensor.Uint8}, {-0.3, 0.9, tensor.Int8}, {0, 0, tensor.Uint8}, {-1e-30, 1e30, tensor.Int8}}
	for _, c := range tests {
		p := chooseParams(c.lo, c.hi, c.d)
		qmin, qmax := limits(c.d)
		if p.ZeroPoint < qmin || p.ZeroPoint > qmax || !(p.Scale > 0) {
			t.Errorf("%+v: %+v", c, p)
		}
		for _, x := range []float64{c.lo, c.hi} {
			q := min(float64(qmax), max(float64(qmin), math.RoundToEven(x/float64(p.Scale))+float64(p.ZeroPoint)))
			if back := (q - float64(p.ZeroPoint)) * float64(p.Scale); math.Abs(back-x) > 0.51*float64(p.Scale) {
				t.Errorf("%+v: %v comes back as %v with %+v", c, x, back, p)
			}
		}
	}
}

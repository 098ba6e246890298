package quant

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/ort"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
)

// onnxRuntime returns the backend that results are compared with, or skips the test. If
// exact, its products of unsigned and signed integers are exact also on x86 without VNNI,
// where they saturate by default. What it does for that changes int8 activations, in a way
// that does not know of QOperator and leaves some operators of QDQ to float32; those forms
// are compared without, and QDQ with weights of 7 bits. There int8 activations stay int8: by
// default it makes uint8 of them on x86, which moves one of 10,000 values by a step.
func onnxRuntime(t *testing.T, exact bool) runtime.Backend {
	t.Helper()
	if os.Getenv(ort.LibraryEnv) == "" {
		t.Skipf("%s does not name the library of ONNX Runtime", ort.LibraryEnv)
	}
	config := map[string]string{"session.qdqisint8allowed": "1"}
	if exact {
		config = map[string]string{"session.x64quantprecision": "1"}
	}
	b, err := ort.New(ort.Options{Config: config})
	if errors.Is(err, ort.ErrNoCgo) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func run(t *testing.T, m *onnx.Model, b runtime.Backend, in map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	s, err := runtime.New(m, runtime.Options{Backend: b, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inputsOf returns a batch of inputs for a model: pixels, or labels below 10.
func inputsOf(t *testing.T, m *onnx.Model, label uint64, batch int) map[string]*tensor.Tensor {
	t.Helper()
	in := map[string]*tensor.Tensor{}
	for i, v := range m.Graph.Inputs {
		shape := []int{}
		for _, d := range v.Type.Shape {
			shape = append(shape, int(d.Value))
		}
		for k := range shape {
			if shape[k] < 1 {
				shape[k] = batch
			}
		}
		x := random(label+uint64(1000*i), 0, 1, shape...)
		switch v.Type.Elem {
		case tensor.Float32:
		case tensor.Int64:
			l := tensor.Must(tensor.New(tensor.Int64, shape...))
			for k, f := range x.Float32s() {
				l.Int64s()[k] = int64(10 * f)
			}
			x = l
		default:
			t.Fatalf("input %q of type %v", v.Name, v.Type.Elem)
		}
		in[v.Name] = x
	}
	return in
}

// form is one way to quantise.
type form struct {
	name  string
	make  func(m *onnx.Model, c *Calibration) (*onnx.Model, *Report, error)
	exact bool // its layers are products of integers with 8-bit results
	plain bool // compared with ONNX Runtime as it comes
}

func forms() []form {
	var list []form
	for _, f := range []Format{QDQ, QOperator} {
		for _, signed := range []bool{false, true} {
			list = append(list, form{fmt.Sprintf("%s signed=%t", f, signed), func(m *onnx.Model, c *Calibration) (*onnx.Model, *Report, error) {
				return Quantize(m, c, Options{Format: f, Signed: signed, ReduceRange: f == QDQ && signed})
			}, true, signed})
		}
	}
	list = append(list, form{"qdq reduced", func(m *onnx.Model, c *Calibration) (*onnx.Model, *Report, error) {
		return Quantize(m, c, Options{ReduceRange: true})
	}, true, true})
	// MatMulInteger saturates on x86 without VNNI whatever is asked for.
	for name, f := range map[string]func(*onnx.Model, Options) (*onnx.Model, *Report, error){"dynamic": Dynamic, "weights int8": WeightsInt8, "weights float16": WeightsFloat16} {
		o := Options{ReduceRange: name == "dynamic"}
		list = append(list, form{name, func(m *onnx.Model, _ *Calibration) (*onnx.Model, *Report, error) { return f(m, o) }, false, true})
	}
	return list
}

// TestONNXRuntime holds every form of every preset, and of the models of the tests, against
// ONNX Runtime.
func TestONNXRuntime(t *testing.T) {
	exact, plain := onnxRuntime(t, true), onnxRuntime(t, false)
	models := map[string]*onnx.Model{"dense": denseModel(t), "conv": convModel(t), "residual": residualModel(t)}
	for _, p := range arch.List() {
		m, err := p.Build(p.Config)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		models[p.Name] = m
	}
	for name, m := range models {
		t.Run(name, func(t *testing.T) {
			c, err := Calibrate(ctx, m, Tensors(inputsOf(t, m, 1, 16), inputsOf(t, m, 2, 16)), runtime.Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range forms() {
				q, _, err := f.make(m, c)
				if errors.Is(err, ErrNothing) {
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", f.name, err)
					continue
				}
				b := exact
				if f.plain {
					b = plain
				}
				in := inputsOf(t, m, 3, 8)
				var ties []string
				if f.exact {
					ties = layerByLayer(t, f, q, b, in)
				}
				endToEnd(t, f, q, b, in, ties)
			}
		})
	}
}

// endToEnd compares the outputs of a model in both runtimes: at most 2 quantisation steps
// apart and 99.9 % equal, or close where they are not quantised. Behind ties that the two
// round to different sides, whole rows of sums move: there, 85 % are equal.
func endToEnd(t *testing.T, f form, q *onnx.Model, b runtime.Backend, in map[string]*tensor.Tensor, ties []string) {
	t.Helper()
	ours, theirs := run(t, q, nil, in), run(t, q, b, in)
	for name, x := range ours {
		y := theirs[name]
		if !x.Shape().Equal(y.Shape()) || x.DType() != y.DType() {
			t.Errorf("%s: output %q: %v %v, ONNX Runtime has %v %v", f.name, name, x.DType(), x.Shape(), y.DType(), y.Shape())
			continue
		}
		if x.DType() != tensor.Float32 {
			continue
		}
		step := outputStep(q, name)
		if f.exact && step == 0 {
			t.Logf("%s: output %q is not quantised", f.name, name)
		}
		worst, differ, top := 0.0, 0, 0.0
		for i, v := range x.Float32s() {
			d := math.Abs(float64(v - y.Float32s()[i]))
			worst, top = max(worst, d), max(top, math.Abs(float64(v)))
			if d > 0.5*step {
				differ++
			}
		}
		allowed := 0.001
		if slices.ContainsFunc(ties, func(tie string) bool { return dependsOn(q, name, tie) }) {
			allowed = 0.15
		}
		switch {
		case step == 0:
			// A value that is rounded to the other side moves a sum by one step of many.
			if worst > 1e-4*max(1, top) {
				t.Errorf("%s: output %q: largest difference %g of %g", f.name, name, worst, top)
			}
		case worst > 2.01*step || float64(differ) > allowed*float64(x.Elems()):
			t.Errorf("%s: output %q: largest difference %.2f steps, %d of %d values differ", f.name, name, worst/step, differ, x.Elems())
		}
	}
}

// outputStep returns the scale of the DequantizeLinear that an output comes from, or 0.
func outputStep(m *onnx.Model, name string) float64 {
	for {
		n := producerOf(m, name)
		switch {
		case n == nil:
			return 0
		case n.OpType == "DequantizeLinear":
			if s := m.Graph.Initializer(n.Inputs[1]); s != nil && s.Value.Elems() == 1 {
				return float64(s.Value.Float32s()[0])
			}
			return 0
		case slices.Contains(movers, n.OpType):
			name = n.Inputs[0]
		default:
			return 0
		}
	}
}

// dependsOn reports whether a value is another one, or computed from it.
func dependsOn(m *onnx.Model, name, from string) bool {
	if name == from {
		return true
	}
	n := producerOf(m, name)
	return n != nil && slices.ContainsFunc(n.Inputs, func(in string) bool { return dependsOn(m, in, from) })
}

func producerOf(m *onnx.Model, name string) *onnx.Node {
	for _, n := range m.Graph.Nodes {
		if slices.Contains(n.Outputs, name) {
			return n
		}
	}
	return nil
}

// layerByLayer cuts out every part of a model between two quantised values and gives both
// runtimes the same integers. The results are equal, but where ONNX Runtime computes in
// float32, and it reports the activations of which a value was a tie (see [isTie]).
func layerByLayer(t *testing.T, f form, q *onnx.Model, b runtime.Backend, in map[string]*tensor.Tensor) (ties []string) {
	t.Helper()
	full := *q
	g := *q.Graph
	full.Graph = &g
	g.Outputs = nil
	var names []string
	for _, n := range g.Nodes {
		if n.OpType == "QuantizeLinear" || len(n.OpType) > 1 && n.OpType[0] == 'Q' {
			names = append(names, n.Outputs[0])
			g.Outputs = append(g.Outputs, &onnx.ValueInfo{Name: n.Outputs[0], Type: onnx.Type{Kind: onnx.KindTensor}})
		}
	}
	values := run(t, &full, nil, in)
	for name, x := range in {
		values[name] = x
	}
	compared := 0
	for _, name := range names {
		from, ops := before(q, name, values)
		part, err := onnx.Extract(q, from, []string{name})
		if err != nil {
			t.Fatalf("%s: %q: %v", f.name, name, err)
		}
		declare := func(list []*onnx.ValueInfo) []*onnx.ValueInfo {
			var out []*onnx.ValueInfo
			for _, v := range list {
				out = append(out, &onnx.ValueInfo{Name: v.Name, Type: onnx.Type{Kind: onnx.KindTensor, Elem: values[v.Name].DType()}})
			}
			return out
		}
		pg := *part.Graph
		pg.Inputs, pg.Outputs = declare(pg.Inputs), declare(pg.Outputs)
		pg.ValueInfo = nil
		part.Graph = &pg
		given := map[string]*tensor.Tensor{}
		for _, v := range from {
			given[v] = values[v]
		}
		x, y := run(t, part, nil, given)[name], run(t, part, b, given)[name]
		steps, differ, tied := 0, 0, false
		for i, v := range x.Bytes() {
			d := int(v) - int(y.Bytes()[i])
			if x.DType() == tensor.Int8 {
				d = int(int8(v)) - int(int8(y.Bytes()[i]))
			}
			if (d == 1 || d == -1) && isTie(part, given[from[0]], i) {
				tied = true
				continue
			}
			steps = max(steps, d, -d)
			if d != 0 {
				differ++
			}
		}
		if tied {
			ties = append(ties, name)
		}
		allowed := 0
		for _, o := range ops {
			// Float32 there, with sums in another order; or formulas of each runtime's own.
			if slices.Contains([]string{"ConvTranspose", "Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "Softmax", "QLinearAdd", "QLinearMul"}, o) {
				allowed = 1
			}
		}
		if steps > allowed || differ > max(1, x.Elems()/100) {
			t.Errorf("%s: %v -> %q (%v): %d of %d values differ, by up to %d steps", f.name, from, name, ops, differ, x.Elems(), steps)
		}
		compared++
	}
	if compared < 2 {
		t.Errorf("%s: %d layers compared", f.name, compared)
	}
	return ties
}

// isTie reports whether a model is one Tanh or Sigmoid between DequantizeLinear and QuantizeLinear whose exact result for
// element i of x is as near to the middle between two steps as the two runtimes' functions are to each other: few units in
// the last place of a float32.
func isTie(m *onnx.Model, x *tensor.Tensor, i int) bool {
	n := m.Graph.Nodes
	if len(n) != 3 || n[0].OpType != "DequantizeLinear" || n[2].OpType != "QuantizeLinear" {
		return false
	}
	exact, ok := map[string]func(float64) float64{"Tanh": math.Tanh, "Sigmoid": func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }}[n[1].OpType]
	if !ok {
		return false
	}
	value := func(name string) *tensor.Tensor { return m.Graph.Initializer(name).Value }
	integer := func(t *tensor.Tensor, i int) int {
		if t.DType() == tensor.Int8 {
			return int(int8(t.Bytes()[i]))
		}
		return int(t.Bytes()[i])
	}
	from, to := value(n[0].Inputs[1]).Float32s()[0], value(n[2].Inputs[1]).Float32s()[0]
	steps := math.Abs(exact(float64(float32(integer(x, i)-integer(value(n[0].Inputs[2]), 0))*from)) / float64(to))
	_, part := math.Modf(steps)
	return math.Abs(part-0.5) <= 5e-7*steps
}

// before returns the nearest values before one that are among those known, and the
// operators between.
func before(m *onnx.Model, name string, known map[string]*tensor.Tensor) (from, ops []string) {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(v string) {
		n := producerOf(m, v)
		if n == nil || seen[v] {
			return
		}
		seen[v] = true
		if n.OpType != "QuantizeLinear" && n.OpType != "DequantizeLinear" {
			ops = append(ops, n.OpType)
		}
		for _, in := range n.Inputs {
			if _, ok := known[in]; ok {
				if !slices.Contains(from, in) {
					from = append(from, in)
				}
				continue
			}
			walk(in)
		}
	}
	walk(name)
	return from, ops
}

// residualModel has convolutions with sums, concatenation, pooling, Clip, Tanh and MatMul.
func residualModel(t *testing.T) *onnx.Model {
	b := onnx.NewBuilder(17)
	batch := onnx.NamedDim("batch")
	w := func(i uint64, fan float64, shape ...int) string {
		r := 2 / float32(math.Sqrt(fan))
		return b.Initializer(fmt.Sprintf("w%d", i), random(i, -r, r, shape...))
	}
	pads := onnx.AttrIs("pads", 1, 1, 1, 1)
	x := b.Input("image", tensor.Float32, batch, onnx.FixedDim(3), onnx.FixedDim(8), onnx.FixedDim(8))
	x = b.Op("Conv", "c1", []string{x, w(1, 27, 8, 3, 3, 3), w(2, 100, 8)}, pads)
	x = b.Op("Clip", "k1", []string{x, b.Initializer("zero", tensor.Scalar(float32(0))), b.Initializer("six", tensor.Scalar(float32(0.7)))})
	y := b.Op("Conv", "c2", []string{x, w(3, 36, 8, 4, 3, 3), w(4, 100, 8)}, pads, onnx.AttrI("group", 2))
	y = b.Op("Tanh", "t1", []string{y})
	x = b.Op("Add", "s1", []string{x, y})
	x = b.Op("MaxPool", "p1", []string{x}, onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 2, 2))
	x = b.Op("Conv", "c3", []string{x, w(5, 72, 8, 8, 3, 3)}, pads)
	x = b.Op("LeakyRelu", "l1", []string{x}, onnx.AttrF("alpha", 0.2))
	x = b.Op("Flatten", "f1", []string{x})
	x = b.Op("MatMul", "m1", []string{x, w(6, 128, 128, 12)})
	b.Output(x, tensor.Float32, batch, onnx.FixedDim(12))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

package runtime_test

import (
	"context"
	"encoding/binary"
	"math"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// fuzzLimits keeps one input of a fuzz target small and quick.
var fuzzLimits = runtime.Limits{
	FileBytes: 1 << 20, Nodes: 1 << 8, Tensors: 1 << 8, Elements: 1 << 18, Arena: 16 << 20, MACs: 1 << 24,
}

// What one input may cost: CPU time on the reference machine without the runs, the time of a
// run, which may use all cores, and the bytes allocated in sum.
const (
	fuzzTime  = time.Second
	fuzzRun   = 200 * time.Millisecond
	fuzzBytes = 256 << 20
)

// fuzzModels are small valid models that reach most of the operators autoencoders use.
func fuzzModels(f testing.TB) [][]byte {
	f.Helper()
	var out [][]byte
	add := func(opset int64, dims []onnx.Dim, build func(b *onnx.Builder, x string) string) {
		b := onnx.NewBuilder(opset)
		b.Output(build(b, b.Input("x", tensor.Float32, dims...)), tensor.Float32)
		m, err := b.Model()
		if err != nil {
			f.Fatal(err)
		}
		m.Graph.Outputs[0].Type.HasShape = false
		e, err := onnx.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, e)
	}
	image := []onnx.Dim{onnx.NamedDim("batch"), onnx.FixedDim(2), onnx.FixedDim(6), onnx.FixedDim(5)}
	row := []onnx.Dim{onnx.NamedDim("batch"), onnx.FixedDim(6)}
	weight := func(b *onnx.Builder, name string, shape ...int) string {
		return b.Initializer(name, random(f, uint64(len(name)), 1, shape...))
	}
	add(17, row, func(b *onnx.Builder, x string) string {
		h := b.Op("Gemm", "h", []string{x, weight(b, "w", 6, 3), weight(b, "b", 3)}, onnx.AttrF("alpha", 0.5))
		h = b.Op("LeakyRelu", "a", []string{h}, onnx.AttrF("alpha", 0.1))
		h = b.Op("MatMul", "m", []string{h, weight(b, "v", 3, 6)})
		return b.Op("Sigmoid", "y", []string{b.Op("Add", "s", []string{h, x})})
	})
	add(17, image, func(b *onnx.Builder, x string) string {
		h := b.Op("Conv", "c", []string{x, weight(b, "w", 4, 1, 3, 3), weight(b, "b", 4)},
			onnx.AttrI("group", 2), onnx.AttrIs("pads", 1, 1, 1, 1), onnx.AttrIs("strides", 2, 1), onnx.AttrIs("dilations", 1, 1))
		h = b.Op("BatchNormalization", "n", []string{h, weight(b, "g", 4), weight(b, "be", 4), weight(b, "mu", 4),
			b.Initializer("var", tensor.Must(tensor.Of([]float32{1, 2, 3, 4}, 4)))}, onnx.AttrF("epsilon", 1e-3))
		h = b.Op("Relu", "r", []string{h})
		h = b.Op("MaxPool", "p", []string{h}, onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrI("ceil_mode", 1))
		h = b.Op("ConvTranspose", "t", []string{h, weight(b, "tw", 4, 2, 3, 3)},
			onnx.AttrIs("strides", 2, 2), onnx.AttrIs("output_padding", 1, 0), onnx.AttrS("auto_pad", "NOTSET"))
		return b.Op("Tanh", "y", []string{h})
	})
	add(17, image, func(b *onnx.Builder, x string) string {
		ints := func(name string, v ...int64) string { return b.Initializer(name, int64s(v...)) }
		h := b.Op("Transpose", "t", []string{x}, onnx.AttrIs("perm", 0, 2, 3, 1))
		h = b.Op("Slice", "s", []string{h, ints("from", 0), ints("to", 4), ints("axes", 1), ints("steps", 2)})
		h = b.Op("Reshape", "r", []string{h, ints("shape", 0, -1)})
		h = b.Op("Concat", "c", []string{h, h}, onnx.AttrI("axis", 1))
		h = b.Op("Softmax", "sm", []string{h}, onnx.AttrI("axis", -1))
		h = b.Op("Unsqueeze", "u", []string{h, ints("ua", 1, 2)})
		h = b.Op("Pad", "p", []string{h, ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)}, onnx.AttrS("mode", "edge"))
		h = b.Op("Resize", "rs", []string{h, "", b.Initializer("sc", tensor.Must(tensor.Of([]float32{1, 1, 2, 1.5}, 4)))},
			onnx.AttrS("mode", "linear"), onnx.AttrS("coordinate_transformation_mode", "half_pixel"))
		return b.Op("ReduceMean", "y", []string{h}, onnx.AttrIs("axes", 2, 3), onnx.AttrI("keepdims", 0))
	})
	add(17, row, func(b *onnx.Builder, x string) string {
		s := b.Initializer("scale", tensor.Scalar(float32(0.05)))
		z := b.Initializer("zero", tensor.Scalar(uint8(128)))
		q := b.Op("QuantizeLinear", "q", []string{x, s, z})
		d := b.Op("DequantizeLinear", "d", []string{q, s, z})
		w8 := b.Initializer("w8", tensor.Must(tensor.Of([]int8{-128, 127, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 6, 2)))
		ws := b.Initializer("ws", tensor.Must(tensor.Of([]float32{0.1, 0.2}, 2)))
		wz := b.Initializer("wz", tensor.Must(tensor.Of([]int8{0, 0}, 2)))
		w := b.Op("DequantizeLinear", "dw", []string{w8, ws, wz}, onnx.AttrI("axis", 1))
		h := b.Op("MatMul", "h", []string{d, w})
		return b.Op("DequantizeLinear", "y", []string{b.Op("QuantizeLinear", "hq", []string{h, s, z}), s, z})
	})
	add(17, row, func(b *onnx.Builder, x string) string {
		shape := b.Op("Shape", "shape", []string{x})
		n := b.Op("Gather", "n", []string{shape, b.Initializer("zero", int64s(0))}, onnx.AttrI("axis", 0))
		e := b.Op("ConstantOfShape", "e", []string{b.Op("Concat", "cs", []string{n, b.Initializer("six", int64s(6))}, onnx.AttrI("axis", 0))})
		i := b.Op("NonZero", "nz", []string{b.Op("Greater", "gt", []string{x, e})})
		p := b.Op("Cast", "pf", []string{i}, onnx.AttrI("to", int64(tensor.Float32)))
		return b.Op("Einsum", "y", []string{p, p}, onnx.AttrS("equation", "ij,kj->ik"))
	})
	add(17, row, func(b *onnx.Builder, x string) string {
		body := onnx.NewBuilder(17)
		body.Input("i", tensor.Int64)
		body.Output(body.Op("Identity", "c2", []string{body.Input("c", tensor.Bool)}), tensor.Bool)
		v := body.Input("v", tensor.Float32)
		body.Output(body.Op("Add", "v2", []string{v, v}), tensor.Float32)
		body.Output(body.Op("Relu", "slice", []string{v}), tensor.Float32)
		branch := func(opType string) *onnx.Graph {
			g := onnx.NewBuilder(17)
			g.Output(g.Op(opType, "r", []string{x}), tensor.Float32)
			return g.Graph()
		}
		trips, on := b.Initializer("trips", tensor.Scalar(int64(3))), b.Initializer("on", tensor.Scalar(true))
		loop := node(b, "Loop", []string{"last", "all"}, []string{trips, on, x}, onnx.AttrG("body", body.Graph()))
		either := b.Op("If", "either", []string{on}, onnx.AttrG("then_branch", branch("Relu")), onnx.AttrG("else_branch", branch("Neg")))
		return b.Op("Add", "y", []string{b.Op("Sum", "s", []string{either, loop[0]}), loop[1]})
	})
	add(17, image, func(b *onnx.Builder, x string) string {
		scale, zero := b.Initializer("scale", tensor.Scalar(float32(0.02))), b.Initializer("zero", tensor.Scalar(uint8(127)))
		w8 := tensor.Must(tensor.New(tensor.Int8, 3, 2, 3, 3))
		for i := range tensor.Data[int8](w8) {
			tensor.Data[int8](w8)[i] = int8(i*37 - 128)
		}
		ws, wz := b.Initializer("ws", tensor.Must(tensor.Of([]float32{0.01, 0.02, 0.03}, 3))), b.Initializer("wz", tensor.Must(tensor.New(tensor.Int8, 3)))
		q := b.Op("QuantizeLinear", "q", []string{x, scale, zero})
		h := b.Op("QLinearConv", "qc", []string{q, scale, zero, b.Initializer("w8", w8), ws, wz, scale, zero}, onnx.AttrIs("pads", 1, 1, 1, 1))
		d := b.Op("Flatten", "f", []string{b.Op("DequantizeLinear", "dq", []string{h, scale, zero})})
		y := node(b, "DynamicQuantizeLinear", []string{"dy", "ds", "dz"}, []string{d})
		m := b.Op("MatMulInteger", "mi", []string{y[0], b.Initializer("m8", tensor.Must(tensor.New(tensor.Int8, 90, 4))), y[2]})
		return b.Op("Mul", "y", []string{b.Op("Cast", "c", []string{m}, onnx.AttrI("to", int64(tensor.Float32))), y[1]})
	})
	add(17, row, func(b *onnx.Builder, x string) string {
		seq := b.Op("Unsqueeze", "seq", []string{x, b.Initializer("zero", int64s(0))})
		h := node(b, "LSTM", []string{"ly", "lh"}, []string{seq, weight(b, "lw", 1, 8, 6), weight(b, "lr", 1, 8, 2)}, onnx.AttrI("hidden_size", 2))
		n := b.Op("LayerNormalization", "n", []string{h[1], weight(b, "scale", 2)}, onnx.AttrI("axis", -1))
		top := node(b, "TopK", []string{"tv", "ti"}, []string{n, b.Initializer("k", int64s(1))}, onnx.AttrI("axis", -1))
		c := b.Op("CumSum", "c", []string{b.Op("Concat", "cc", []string{n, top[0]}, onnx.AttrI("axis", -1)), b.Initializer("ax", tensor.Scalar(int64(2)))})
		g := b.Op("GatherElements", "g", []string{c, top[1]}, onnx.AttrI("axis", 2))
		return b.Op("Where", "y", []string{b.Op("Less", "le", []string{g, c}), c, g})
	})
	return out
}

// node adds a node of several outputs.
func node(b *onnx.Builder, opType string, outputs, inputs []string, attrs ...*onnx.Attribute) []string {
	return b.Node(&onnx.Node{OpType: opType, Inputs: inputs, Outputs: outputs, Attrs: attrs})
}

// TestFuzzModels: the models that the fuzz targets start from run.
func TestFuzzModels(t *testing.T) {
	for i, b := range fuzzModels(t) {
		s, err := runtime.Load(b, runtime.Options{Limits: fuzzLimits})
		if err == nil {
			err = runFuzzed(s)
			s.Close()
		}
		if err != nil {
			t.Errorf("model %d: %v", i, err)
		}
	}
}

// FuzzLoadRun decodes, checks, builds, infers, plans and runs arbitrary files: no panic, and
// time and memory within the limits.
func FuzzLoadRun(f *testing.F) {
	for _, m := range fuzzModels(f) {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) { loadRun(t, b) })
}

func loadRun(t *testing.T, b []byte) {
	allowed := time.Duration(float64(fuzzTime)*slowness()) + 2*fuzzRun*time.Duration(goruntime.GOMAXPROCS(0))
	before, start := allocated(), used()
	s, err := runtime.Load(b, runtime.Options{Limits: fuzzLimits, Threads: 2})
	if err == nil {
		err = runFuzzed(s)
		s.Close()
	}
	if err != nil && strings.Contains(err.Error(), "internal error") {
		t.Errorf("%v", err)
	}
	if d := used() - start; d > allowed {
		t.Errorf("took %v, allowed %v", d, allowed)
	}
	if n := allocated() - before; n > fuzzBytes {
		t.Errorf("%d bytes allocated, allowed %d", n, fuzzBytes)
	}
}

func runFuzzed(s *runtime.Session) error {
	c, cancel := context.WithTimeout(ctx, 2*fuzzRun)
	defer cancel()
	for _, batch := range []int{1, 3} {
		in := inputs{}
		total := 0
		for _, v := range s.Inputs() {
			shape := v.Shape.Clone()
			for i, d := range shape {
				if d < 0 {
					shape[i] = batch
				}
			}
			n, ok := shape.Elems()
			if total += n; !ok || n > 1<<16 || total > 1<<18 {
				return nil
			}
			d := v.DType
			if d == tensor.Undefined {
				d = tensor.Float32
			}
			x, err := tensor.New(d, shape...)
			if err != nil {
				return err
			}
			if d == tensor.Float32 {
				for i := range x.Float32s() {
					x.Float32s()[i] = float32(math.Sin(float64(i)))
				}
			}
			in[v.Name] = x
		}
		if _, err := s.Run(c, in); err != nil {
			return err
		}
	}
	return nil
}

// FuzzMutatedModel changes the fields of valid models, so that most inputs get past the
// decoder: each three bytes of script are a change.
func FuzzMutatedModel(f *testing.F) {
	models := fuzzModels(f)
	for i := range models {
		f.Add(uint8(i), []byte{0, 1, 2, 3, 4, 5, 6, 7, 8})
		f.Add(uint8(i), []byte{200, 3, 90, 17, 250, 31})
	}
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		m, err := onnx.Decode(models[int(which)%len(models)], onnx.DecodeOptions{Copy: true})
		if err != nil {
			t.Fatal(err)
		}
		for len(script) >= 3 && len(script) < 64 {
			mutate(m, script[0], script[1], script[2])
			script = script[3:]
		}
		b, err := onnx.Encode(m)
		if err != nil {
			return
		}
		loadRun(t, b)
	})
}

var hostileInts = []int64{0, 1, -1, 2, 3, 5, -2, 16, 255, 1 << 16, 1 << 31, -1 << 31, 1 << 40, math.MaxInt64, math.MinInt64, 7}

var hostileOps = []string{
	"Relu", "Softmax", "Gemm", "MatMul", "Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Pad",
	"Expand", "Tile", "Transpose", "Reshape", "Flatten", "Squeeze", "Split", "Concat", "Gather", "GatherND", "ScatterND", "Slice",
	"ReduceSum", "ArgMax", "TopK", "CumSum", "Where", "Clip", "LayerNormalization", "InstanceNormalization", "LSTM", "GRU", "Einsum",
	"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear",
	"SpaceToDepth", "DepthToSpace", "OneHot", "NonZero", "Range", "ConstantOfShape", "Cast", "Identity", "MaxUnpool",
	"Loop", "If", "Scan", "RNN", "ScatterElements", "GatherElements", "GroupNormalization", "EyeLike", "Compress", "Sum", "Max",
}

// mutate makes one change to the model: what says which, a and b choose place and value.
func mutate(m *onnx.Model, what, a, b byte) {
	g := m.Graph
	if len(g.Nodes) == 0 {
		return
	}
	n := g.Nodes[int(a)%len(g.Nodes)]
	v := hostileInts[int(b)%len(hostileInts)]
	name := func(k byte) string {
		var names []string
		for _, n := range g.Nodes {
			names = append(names, n.Outputs...)
		}
		for _, t := range g.Initializers {
			names = append(names, t.Name)
		}
		names = append(names, "x", "")
		return names[int(k)%len(names)]
	}
	switch what % 10 {
	case 0:
		n.OpType = hostileOps[int(b)%len(hostileOps)]
	case 1:
		n.OpType, n.Attrs = hostileOps[int(b)%len(hostileOps)], nil
	case 2:
		if len(n.Inputs) > 0 {
			n.Inputs[int(b>>4)%len(n.Inputs)] = name(b)
		}
	case 3:
		n.Inputs = append(n.Inputs, name(b))
	case 4:
		for i, at := range n.Attrs {
			if i == int(b>>4)%len(n.Attrs) {
				at.Int = v
				for k := range at.Ints {
					at.Ints[k] = v
				}
				at.Float = float32(v)
			}
		}
	case 5:
		names := []string{"axis", "group", "axes", "keepdims", "pads", "strides", "dilations", "kernel_shape", "to", "perm", "blocksize", "mode", "k", "alpha", "transB", "transA"}
		at := onnx.AttrI(names[int(b>>4)], v)
		if b&8 != 0 {
			at = onnx.AttrIs(names[int(b>>4)], v, 1)
		}
		n.Attrs = append(n.Attrs, at)
	case 6:
		if len(g.Initializers) > 0 {
			t := g.Initializers[int(a)%len(g.Initializers)]
			if t.Value != nil && t.DType == tensor.Int64 {
				for k := range t.Value.Int64s() {
					t.Value.Int64s()[k] = v
				}
			} else if t.Value != nil && len(t.Value.Bytes()) >= 4 {
				binary.NativeEndian.PutUint32(t.Value.Bytes(), math.Float32bits(float32(v)))
			}
		}
	case 7:
		if len(g.Initializers) > 0 {
			t := g.Initializers[int(a)%len(g.Initializers)]
			shapes := [][]int{{}, {0}, {1}, {3}, {2, 3}, {3, 2}, {1, 1, 1, 1}, {2, 2, 3, 3}, {4, 1, 3, 3}, {6, 6}, {1, 6}, {4}, {6}, {2, 1, 0}}
			types := []tensor.DType{tensor.Float32, tensor.Int64, tensor.Int8, tensor.Uint8, tensor.Int32, tensor.Float16, tensor.Float64, tensor.Bool}
			x, err := tensor.New(types[int(b>>4)%len(types)], shapes[int(b)%len(shapes)]...)
			if err == nil {
				*t = *onnx.NewTensor(t.Name, x)
			}
		}
	case 8:
		for _, in := range g.Inputs {
			if k := len(in.Type.Shape); k > 0 {
				in.Type.Shape[int(a)%k] = onnx.Dim{Value: v}
			}
			if b&128 != 0 {
				in.Type.Elem = tensor.DType(b & 15)
			}
		}
	case 9:
		m.Opsets[0].Version = int64(b % 27)
	}
}

package op

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// operatorBench is one operator that is no product, with the shapes of its inputs. An image's shape is given as the
// model has it, N C H W; last also times the form for channels-last storage.
type operatorBench struct {
	node
	shapes []tensor.Shape
	last   bool
	consts []*tensor.Tensor // inputs after those of shapes
}

// operatorBenches are the operators of image autoencoders that move or map elements.
func operatorBenches() []operatorBench {
	type s = tensor.Shape
	ints := attrInts
	floats := func(v ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	axes := func(v ...int64) []*tensor.Tensor { return []*tensor.Tensor{tensor.Must(tensor.Of(v, len(v)))} }
	img, batch, small, rgb := s{1, 64, 64, 64}, s{16, 64, 64, 64}, s{16, 32, 28, 28}, s{1, 3, 256, 256}
	rows := s{256, 784}
	double := []*tensor.Tensor{nil, floats(1, 1, 2, 2)}
	half := []*tensor.Tensor{nil, floats(1, 1, 0.5, 0.5)}
	nearest := []*onnx.Attribute{attrString("coordinate_transformation_mode", "asymmetric"), attrString("nearest_mode", "floor")}
	linear := []*onnx.Attribute{attrString("mode", "linear")}
	pool2 := []*onnx.Attribute{ints("kernel_shape", 2, 2), ints("strides", 2, 2)}
	pool3 := []*onnx.Attribute{ints("kernel_shape", 3, 3), ints("pads", 1, 1, 1, 1)}
	list := []operatorBench{
		{node{typ: "Resize", attrs: nearest}, []s{img}, true, double},
		{node{typ: "Resize", attrs: nearest}, []s{rgb}, true, double},
		{node{typ: "Resize", attrs: linear}, []s{img}, true, double},
		{node{typ: "Resize", attrs: linear}, []s{rgb}, true, half},
		{node{typ: "MaxPool", attrs: pool2}, []s{img}, true, nil},
		{node{typ: "MaxPool", attrs: pool2}, []s{small}, true, nil},
		{node{typ: "MaxPool", attrs: pool3}, []s{img}, true, nil},
		{node{typ: "AveragePool", attrs: pool2}, []s{img}, true, nil},
		{node{typ: "AveragePool", attrs: pool2}, []s{rgb}, true, nil},
		{node{typ: "GlobalAveragePool"}, []s{img}, true, nil},
		{node{typ: "GlobalAveragePool"}, []s{batch}, true, nil},
		{node{typ: "GlobalMaxPool"}, []s{img}, true, nil},
		{node{typ: "InstanceNormalization"}, []s{img, {64}, {64}}, true, nil},
		{node{typ: "GroupNormalization", attrs: []*onnx.Attribute{attrInt("num_groups", 8)}}, []s{img, {64}, {64}}, true, nil},
		{node{typ: "GroupNormalization", attrs: []*onnx.Attribute{attrInt("num_groups", 8)}}, []s{batch, {64}, {64}}, true, nil},
		{node{typ: "BatchNormalization"}, []s{img, {64}, {64}, {64}, {64}}, true, nil},
		{node{typ: "BatchNormalization"}, []s{rgb, {3}, {3}, {3}, {3}}, true, nil},
		{node{typ: "LayerNormalization"}, []s{{256, 784}, {784}, {784}}, false, nil},
		{node{typ: "LayerNormalization"}, []s{{4096, 64}, {64}, {64}}, false, nil},
		{node{typ: "RMSNormalization", opset: 23}, []s{{4096, 64}, {64}}, false, nil},
		{node{typ: "Softmax"}, []s{rows}, false, nil},
		{node{typ: "Softmax"}, []s{{4096, 10}}, false, nil},
		{node{typ: "Softmax", attrs: []*onnx.Attribute{attrInt("axis", 1)}}, []s{img}, false, nil},
		{node{typ: "LogSoftmax"}, []s{rows}, false, nil},
		{node{typ: "ReduceMean"}, []s{img}, false, axes(2, 3)},
		{node{typ: "ReduceMean"}, []s{{1, 64, 64, 64}}, false, axes(1, 2)},
		{node{typ: "ReduceMean"}, []s{rows}, false, axes(-1)},
		{node{typ: "ReduceMean"}, []s{rows}, false, axes(0)},
		{node{typ: "ReduceMax"}, []s{rows}, false, axes(-1)},
		{node{typ: "ReduceL1"}, []s{rows}, false, axes(-1)},
		{node{typ: "ReduceL2"}, []s{rows}, false, axes(-1)},
		{node{typ: "ReduceSum"}, []s{batch}, false, axes(1)},
		{node{typ: "ReduceLogSumExp"}, []s{rows}, false, axes(-1)},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 0, 2, 3, 1)}}, []s{rgb}, false, nil},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 0, 2, 3, 1)}}, []s{img}, false, nil},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 0, 2, 3, 1)}}, []s{small}, false, nil},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 0, 3, 1, 2)}}, []s{{1, 256, 256, 3}}, false, nil},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 0, 3, 1, 2)}}, []s{{1, 64, 64, 64}}, false, nil},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 0, 2, 1, 3)}}, []s{{1, 256, 4, 64}}, false, nil},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 1, 0)}}, []s{{784, 400}}, false, nil},
		{node{typ: "Transpose", attrs: []*onnx.Attribute{ints("perm", 1, 0)}}, []s{{1024, 1024}}, false, nil},
		{node{typ: "PRelu"}, []s{img, {64, 1, 1}}, true, nil},
		{node{typ: "PRelu"}, []s{rows, {784}}, false, nil},
		{node{typ: "Clip"}, []s{img}, false, []*tensor.Tensor{tensor.Scalar(float32(0)), tensor.Scalar(float32(6))}},
		{node{typ: "Pow"}, []s{img}, false, []*tensor.Tensor{tensor.Scalar(float32(2))}},
		{node{typ: "Pow"}, []s{img}, false, []*tensor.Tensor{tensor.Scalar(float32(0.5))}},
		{node{typ: "Sum"}, []s{img, img, img}, true, nil},
		{node{typ: "Mean"}, []s{img, img}, true, nil},
		{node{typ: "Concat", attrs: []*onnx.Attribute{attrInt("axis", 1)}}, []s{img, img}, true, nil},
		{node{typ: "Cast", attrs: []*onnx.Attribute{attrInt("to", 10)}}, []s{img}, false, nil},
	}
	for _, typ := range []string{"Add", "Mul", "Sub", "Div", "Max"} {
		for _, b := range []s{img, {64, 1, 1}, {1, 64, 1, 1}, {}} {
			list = append(list, operatorBench{node{typ: typ}, []s{img, b}, true, nil})
		}
	}
	for _, b := range []s{{784}, {256, 1}} {
		list = append(list, operatorBench{node{typ: "Add"}, []s{rows, b}, false, nil})
	}
	list = append(list,
		operatorBench{node{typ: "Add"}, []s{rgb, {3, 1, 1}}, true, nil},
		operatorBench{node{typ: "Mul"}, []s{batch, {16, 64, 1, 1}}, true, nil},
		operatorBench{node{typ: "Add"}, []s{small, small}, true, nil},
		operatorBench{node{typ: "Add"}, []s{{784}, {784}}, false, nil})
	for _, typ := range []string{"Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Mish", "HardSwish", "Softplus", "Softsign", "Sigmoid",
		"HardSigmoid", "Tanh", "Swish", "Exp", "Log", "Sqrt", "Erf", "Abs", "Neg", "Reciprocal", "Floor", "Round", "Sign", "ThresholdedRelu", "Sin", "Cos"} {
		list = append(list, operatorBench{node{typ: typ, opset: 24}, []s{img}, false, nil})
	}
	list = append(list, operatorBench{node{typ: "Gelu", attrs: []*onnx.Attribute{attrString("approximate", "tanh")}}, []s{img}, false, nil})
	return list
}

func (b *operatorBench) name(last bool) string {
	name := b.typ
	for _, s := range b.shapes {
		name += "/" + s.String()
	}
	for _, a := range b.attrs {
		switch {
		case a.Name == "mode" || a.Name == "approximate":
			name += "/" + string(a.String)
		case a.Name == "perm" || a.Name == "kernel_shape":
			name += fmt.Sprint("/", a.Ints)
		}
	}
	for _, c := range b.consts {
		if c != nil {
			name += "/" + fmt.Sprint(floats64(nil, c))
			if c.DType() == tensor.Int64 {
				name += fmt.Sprint(c.Int64s())
			}
		}
	}
	if last {
		name += "/last"
	}
	return name
}

// BenchmarkOperator times operators on one thread. %copy is the time of copying as many bytes as the operator reads and
// writes, timed just before it, in per cent of its own.
func BenchmarkOperator(b *testing.B) {
	for _, c := range operatorBenches() {
		for _, last := range []bool{false, true}[:1+btoi(c.last)] {
			b.Run(c.name(last), func(b *testing.B) { c.run(b, last) })
		}
	}
}

func btoi(v bool) int {
	if v {
		return 1
	}
	return 0
}

func (c *operatorBench) run(b *testing.B, last bool) {
	inputs := len(c.shapes) + len(c.consts)
	o, err := c.make(inputs)
	if err != nil {
		b.Fatal(err)
	}
	facts := make([]Fact, inputs)
	in := make([]*tensor.Tensor, inputs)
	for i := range in {
		if i < len(c.shapes) {
			in[i] = filled(c.shapes[i])
			facts[i] = Fact{DType: tensor.Float32, Shape: c.shapes[i]}
		} else if in[i] = c.consts[i-len(c.shapes)]; in[i] != nil {
			facts[i] = FactOf(in[i])
		}
	}
	if last {
		v, nhwc, ok := o.(LayoutAware).ChannelsLast(facts)
		if !ok {
			b.Skip("there is no channels-last form")
		}
		o = v
		for i := range c.shapes {
			if nhwc[i] {
				facts[i].Shape = toChannelsLast(facts[i].Shape)
				in[i] = filled(facts[i].Shape)
			}
		}
	}
	res, err := o.Infer(facts)
	if err != nil {
		b.Fatal(err)
	}
	y := tensor.Must(tensor.New(res[0].DType, res[0].Shape...))
	out := []*tensor.Tensor{y}
	ctx := &Context{Pool: parallel.New(1)}
	if w, ok := o.(Workspacer); ok {
		ctx.Scratch = tensor.AlignedBytes(w.Workspace(facts))
	}
	var state any
	ctx.State = &state
	bytes := len(y.Bytes())
	for i := range c.shapes {
		bytes += len(in[i].Bytes())
	}
	f := func() {
		if err := o.Run(ctx, out, in); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		f()
	}
	b.SetBytes(int64(bytes))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e3, "µs")
	b.ReportMetric(100*shareOfCopy(bytes, f), "%copy")
}

// shareOfCopy returns the median over many pairs of the time of copying as many bytes in all to the time of f.
func shareOfCopy(bytes int, f func()) float64 {
	src, dst := make([]byte, bytes/2), make([]byte, bytes/2)
	for i := range src {
		src[i] = 1
	}
	ratios := make([]float64, 21)
	for i := range ratios {
		copy(dst, src)
		t0 := time.Now()
		copy(dst, src)
		d := time.Since(t0)
		f()
		t1 := time.Now()
		f()
		ratios[i] = float64(d) / float64(max(1, time.Since(t1)))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

package plan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func (m *modelMaker) ints(v ...int64) string {
	return m.b.Initializer(m.b.Fresh("ints"), tensor.Must(tensor.Of(v, len(v))))
}

// idiom adds what exporters write for one thing in several nodes.
func (m *modelMaker) idiom(v value, add func(opType string, c, h, w int, in []string, attrs ...*onnx.Attribute) string) {
	extent := func(axis int64) string {
		i := m.b.Op("Gather", "", []string{m.b.Op("Shape", "", []string{v.name}), m.b.Initializer(m.b.Fresh("axis"), tensor.Scalar(axis))})
		return m.b.Op("Unsqueeze", "", []string{i, m.ints(0)})
	}
	c, h, w := int64(v.c), int64(v.h), int64(v.w)
	switch m.IntN(6) {
	case 5:
		m.activation(v, add)
	case 0: // view(x.size(0), -1) and back
		flat := m.b.Op("Reshape", "", []string{v.name, m.b.Op("Concat", "", []string{extent(0), m.ints(-1)}, onnx.AttrI("axis", 0))})
		target := m.b.Op("Concat", "", []string{extent(0), extent(1), m.ints(h), extent(3)}, onnx.AttrI("axis", 0))
		add("Reshape", v.c, v.h, v.w, []string{flat, target})
	case 1: // pixel shuffle, in either order
		const b = 2
		x := m.b.Op("Conv", "", []string{v.name, m.weight(4*v.c, v.c, 1, 1)})
		mid, perm := m.ints(0, b, b, c, h, w), []int64{0, 3, 4, 1, 5, 2}
		if m.IntN(2) == 0 {
			mid, perm = m.ints(-1, c, b, b, h, w), []int64{0, 1, 4, 2, 5, 3}
		}
		if v.h > 40 {
			return
		}
		x = m.b.Op("Reshape", "", []string{x, mid})
		x = m.b.Op("Transpose", "", []string{x}, onnx.AttrIs("perm", perm...))
		add("Reshape", v.c, b*v.h, b*v.w, []string{x, m.ints(-1, c, b*h, b*w)})
	case 2: // the other way round
		if v.h%2 != 0 || v.w%2 != 0 || v.c > 20 {
			return
		}
		x := m.b.Op("Reshape", "", []string{v.name, m.ints(0, c, h/2, 2, w/2, 2)})
		x = m.b.Op("Transpose", "", []string{x}, onnx.AttrIs("perm", 0, 3, 5, 1, 2, 4))
		add("Reshape", 4*v.c, v.h/2, v.w/2, []string{x, m.ints(0, 4*c, h/2, w/2)})
	case 3: // channels-last operators between two transposes
		m.channelsLast(v, add)
	case 4: // nearest upsampling before a convolution
		if v.h > 40 {
			return
		}
		s := 1 + m.IntN(3)
		up := m.b.Op("Resize", "", []string{v.name, "", m.b.Initializer(m.b.Fresh("scales"), tensor.Must(tensor.Of([]float32{1, 1, float32(s), float32(s)}, 4)))},
			onnx.AttrS("mode", "nearest"), onnx.AttrS("coordinate_transformation_mode", []string{"asymmetric", "half_pixel"}[m.IntN(2)]), onnx.AttrS("nearest_mode", []string{"floor", "round_prefer_floor"}[m.IntN(2)]))
		o, k, p := 1+m.IntN(20), 1+m.IntN(3), int64(m.IntN(2))
		k = min(k, s*v.h, s*v.w)
		if int64(k) <= p {
			p = 0
		}
		in := []string{up, m.weight(o, v.c, k, k)}
		if m.IntN(2) == 0 {
			in = append(in, m.weight(o))
		}
		add("Conv", o, s*v.h+2*int(p)-k+1, s*v.w+2*int(p)-k+1, in, onnx.AttrIs("pads", p, p, p, p))
	}
}

// channelsLast adds a chain of operators on a transposed value, and transposes back.
func (m *modelMaker) channelsLast(v value, add func(opType string, c, h, w int, in []string, attrs ...*onnx.Attribute) string) {
	first := m.b.Op("Transpose", "", []string{v.name}, onnx.AttrIs("perm", 0, 2, 3, 1))
	x, c, h, w := first, v.c, v.h, v.w
	for range 1 + m.IntN(4) {
		switch m.IntN(8) {
		case 0:
			x = m.b.Op([]string{"Relu", "Sigmoid", "Identity", "Erf"}[m.IntN(4)], "", []string{x})
		case 1:
			x = m.b.Op("Mul", "", []string{x, m.weight([][]int{{c}, {1, 1, 1, c}, {h, 1, 1}, {}}[m.IntN(4)]...)})
		case 2:
			x, c = m.b.Op("Concat", "", []string{x, x}, onnx.AttrI("axis", 3)), 2*c
		case 3:
			x, h, c = m.b.Op("Pad", "", []string{x, m.ints(0, 1, 0, 0, 0, 1, 0, 2)}), h+2, c+2
		case 4:
			x = m.b.Op("Slice", "", []string{x, m.ints(0, 0), m.ints(1<<40, int64(w)), m.ints(1, -2)})
		case 5:
			if h < 30 {
				x, h = m.b.Op("Resize", "", []string{x, "", m.b.Initializer(m.b.Fresh("scales"), tensor.Must(tensor.Of([]float32{1, 2, 1, 1}, 4)))}, onnx.AttrS("mode", "linear")), 2*h
			}
		case 6:
			x = m.b.Op("Softmax", "", []string{x}, onnx.AttrI("axis", -1))
		case 7:
			x = m.b.Op("Sub", "", []string{x, m.b.Op("ReduceMean", "", []string{x}, onnx.AttrIs("axes", 1, -1))})
		}
		if c > 30 {
			break
		}
	}
	if m.IntN(3) == 0 && h == v.h && w == v.w && c == v.c {
		x = m.b.Op("Add", "", []string{first, x})
	}
	add("Transpose", c, h, w, []string{x}, onnx.AttrIs("perm", 0, 3, 1, 2))
}

// tf2onnxModel is an autoencoder as tf2onnx writes it: every channels-first operator stands
// between two transposes, and what lies between works on channels-last values.
func tf2onnxModel(t *testing.T) *onnx.Model {
	t.Helper()
	m := &modelMaker{Rand: rand.New(rand.NewPCG(1, 2)), b: onnx.NewBuilder(15)}
	nhwc := onnx.AttrIs("perm", 0, 2, 3, 1)
	nchw := onnx.AttrIs("perm", 0, 3, 1, 2)
	first := func(opType string, in []string, attrs ...*onnx.Attribute) string {
		in[0] = m.b.Op("Transpose", "", []string{in[0]}, nchw)
		return m.b.Op("Transpose", "", []string{m.b.Op(opType, "", in, attrs...)}, nhwc)
	}
	conv := func(x string, c, o, stride int) string {
		return first("Conv", []string{x, m.weight(o, c, 3, 3)}, onnx.AttrIs("strides", int64(stride), int64(stride)), onnx.AttrS("auto_pad", "SAME_LOWER"))
	}
	scales := m.b.Initializer("scales", tensor.Must(tensor.Of([]float32{1, 2, 2, 1}, 4)))
	x := m.b.Input("image", tensor.Float32, onnx.NamedDim("unk__1"), onnx.FixedDim(16), onnx.FixedDim(16), onnx.FixedDim(3))
	x = m.b.Op("Mul", "", []string{x, m.b.Initializer("scale", tensor.Scalar(float32(2)))})
	a := conv(x, 3, 8, 2)
	a = m.b.Op("Add", "", []string{a, m.weight(8)})
	a = first("BatchNormalization", []string{a, m.weight(8), m.weight(8), m.weight(8), m.positive(8)})
	a = m.b.Op("Relu", "", []string{a})
	b := conv(a, 8, 8, 1)
	b = m.b.Op("Add", "", []string{a, m.b.Op("LeakyRelu", "", []string{b})})
	b = m.b.Op("Pad", "", []string{b, m.ints(0, 1, 1, 0, 0, 1, 1, 0)})
	b = first("Conv", []string{b, m.weight(8, 8, 3, 3)})
	b = m.b.Op("Concat", "", []string{a, b}, onnx.AttrI("axis", 3))
	b = m.b.Op("Resize", "", []string{b, "", scales}, onnx.AttrS("mode", "nearest"), onnx.AttrS("nearest_mode", "floor"), onnx.AttrS("coordinate_transformation_mode", "asymmetric"))
	b = conv(b, 16, 4, 1)
	s := m.b.Op("Split", "", []string{b}, onnx.AttrI("axis", -1))
	b = m.b.Op("Mul", "", []string{s, m.b.Op("Softmax", "", []string{b}, onnx.AttrI("axis", 3))})
	b = m.b.Op("Sub", "", []string{b, m.b.Op("ReduceMean", "", []string{b}, onnx.AttrIs("axes", 1, 2))})
	b = conv(b, 4, 3, 1)
	b = m.b.Op("Slice", "", []string{b, m.ints(0, 0), m.ints(16, 3), m.ints(1, 3)})
	y := m.b.Op("Sigmoid", "reconstruction", []string{b})
	m.b.Output(y, tensor.Float32, onnx.NamedDim("unk__1"), onnx.FixedDim(16), onnx.FixedDim(16), onnx.FixedDim(3))
	model, err := m.b.Model()
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Check(model); err != nil {
		t.Fatal(err)
	}
	return model
}

func count(g *graph.Graph, opType string) int {
	n := 0
	for _, m := range g.Nodes {
		if m.OpType == opType {
			n++
		}
	}
	return n
}

// TestSandwichesVanish optimises a channels-last model that works through channels-first
// operators: one Transpose stays at its input, and one at its output.
func TestSandwichesVanish(t *testing.T) {
	g, err := graph.New(tf2onnxModel(t), graph.Config{Set: op.Core})
	if err != nil {
		t.Fatal(err)
	}
	x := randomTensor(rand.New(rand.NewPCG(3, 4)), 2, 16, 16, 3)
	want := execute(t, g, plan.Options{Plain: true}, x)
	if err := graph.Optimize(g); err != nil {
		t.Fatal(err)
	}
	sameOutputs(t, "optimised", execute(t, g, plan.Options{Plain: true}, x), want)
	sameOutputs(t, "machine passes", execute(t, g, plan.Options{}, x), want)
	for i, n := range g.Nodes {
		if n.OpType == "Transpose" && i > 1 && i < len(g.Nodes)-1 {
			t.Errorf("node %d of %d is a Transpose of %s", i, len(g.Nodes), g.Value(n.In[0]).Name)
		}
	}
	if n := count(g, "Transpose"); n != 2 {
		t.Errorf("%d transposes are left, want 2", n)
	}
	p, err := plan.Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := p.NewState()
	st.Measure()
	for _, s := range st.Times() {
		if s.OpType == "Transpose" {
			t.Errorf("step %q is a Transpose: values should be channels-last throughout", s.Name)
		}
	}
	if n := count(g, "BatchNormalization") + count(g, "Identity"); n != 0 {
		t.Errorf("%d nodes are left that fold", n)
	}
}

func randomTensor(r *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.Must(tensor.New(tensor.Float32, shape...))
	for i := range x.Float32s() {
		x.Float32s()[i] = r.Float32()*2 - 1
	}
	return x
}

// TestShapesFold checks that shape arithmetic folds as far as it can for a batch and
// extents that are not known, and that the result is right for several of them.
func TestShapesFold(t *testing.T) {
	type axes []onnx.Dim
	n, h, w := onnx.NamedDim("n"), onnx.NamedDim("h"), onnx.NamedDim("w")
	extent := func(m *modelMaker, x string, axis int64) string {
		i := m.b.Op("Gather", "", []string{m.b.Op("Shape", "", []string{x}), m.b.Initializer(m.b.Fresh("axis"), tensor.Scalar(axis))})
		return m.b.Op("Unsqueeze", "", []string{i, m.ints(0)})
	}
	join := func(m *modelMaker, in ...string) string { return m.b.Op("Concat", "", in, onnx.AttrI("axis", 0)) }
	for _, c := range []struct {
		name  string
		input axes
		left  int // nodes after folding
		build func(m *modelMaker) string
	}{
		{"view(size(0), -1)", axes{n, onnx.FixedDim(4), onnx.FixedDim(6), onnx.FixedDim(6)}, 1, func(m *modelMaker) string {
			return m.b.Op("Reshape", "", []string{"x", join(m, extent(m, "x", 0), m.ints(-1))})
		}},
		{"view(size(0), size(1)*36)", axes{n, onnx.FixedDim(4), onnx.FixedDim(6), onnx.FixedDim(6)}, 1, func(m *modelMaker) string {
			return m.b.Op("Reshape", "", []string{"x", join(m, extent(m, "x", 0), m.b.Op("Mul", "", []string{extent(m, "x", 1), m.ints(36)}))})
		}},
		{"view(-1, size(3)) of known extents after a convolution", axes{n, onnx.FixedDim(4), onnx.FixedDim(6), onnx.FixedDim(6)}, 2, func(m *modelMaker) string {
			y := m.b.Op("Conv", "", []string{"x", m.weight(2, 4, 3, 3)}, onnx.AttrIs("strides", 2, 2))
			return m.b.Op("Reshape", "", []string{y, join(m, m.ints(-1), extent(m, y, 3))})
		}},
		{"tokens of any picture", axes{n, onnx.FixedDim(4), h, w}, 2, func(m *modelMaker) string {
			y := m.b.Op("Conv", "", []string{"x", m.weight(8, 4, 3, 3)}, onnx.AttrIs("pads", 1, 1, 1, 1))
			return m.b.Op("Reshape", "", []string{y, join(m, extent(m, y, 0), extent(m, y, 1), m.ints(-1))})
		}},
		{"two free extents that do not stay in place", axes{n, onnx.FixedDim(4), h, w}, 10, func(m *modelMaker) string {
			return m.b.Op("Reshape", "", []string{"x", join(m, extent(m, "x", 3), extent(m, "x", 2), m.ints(-1))})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &modelMaker{Rand: rand.New(rand.NewPCG(5, 6)), b: onnx.NewBuilder(17)}
			m.b.Input("x", tensor.Float32, c.input...)
			m.b.Output(c.build(m), tensor.Float32)
			model, err := m.b.Model()
			if err != nil {
				t.Fatal(err)
			}
			g, err := graph.New(model, graph.Config{Set: op.Core})
			if err != nil {
				t.Fatal(err)
			}
			o := g.Clone()
			if err := graph.Optimize(o); err != nil {
				t.Fatal(err)
			}
			if len(o.Nodes) > c.left {
				var left []string
				for _, n := range o.Nodes {
					left = append(left, n.OpType)
				}
				t.Errorf("%d nodes are left, want %d: %v", len(o.Nodes), c.left, left)
			}
			for i, batch := range []int{1, 3, 5} {
				shape := []int{batch, 4, 6, 6}
				if c.input[2].Value < 0 {
					shape[2], shape[3] = 5+i, 9-i
				}
				x := randomTensor(m.Rand, shape...)
				sameOutputs(t, fmt.Sprint(shape), execute(t, o, plan.Options{}, x), execute(t, g, plan.Options{Plain: true}, x))
			}
		})
	}
}

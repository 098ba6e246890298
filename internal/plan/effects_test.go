package plan_test

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestPassesHaveEffect runs a portable pass, or all of them where they need each other, on a graph
// for which it is made: so many nodes are left, and outputs are the same. Some of the graphs must
// stay as they are.
func TestPassesHaveEffect(t *testing.T) {
	conv := func(m *modelMaker, x string) string { return m.b.Op("Conv", "", []string{x, m.weight(4, 4, 1, 1)}) }
	norm := func(m *modelMaker, x string) string {
		return m.b.Op("BatchNormalization", "", []string{x, m.weight(4), m.weight(4), m.weight(4), m.positive(4)})
	}
	widen := onnx.AttrI("to", int64(tensor.Float32))
	for _, c := range []struct {
		name, pass string
		left       int
		build      func(m *modelMaker, x string) string
	}{
		{"Identity", "remove-identity", 1, func(m *modelMaker, x string) string {
			return m.b.Op("Relu", "", []string{m.b.Op("Identity", "", []string{x})})
		}},
		{"Dropout", "remove-identity", 1, func(m *modelMaker, x string) string {
			return m.b.Op("Relu", "", []string{m.b.Op("Dropout", "", []string{x})})
		}},
		{"constants", "fold-constants", 1, func(m *modelMaker, x string) string {
			return m.b.Op("Add", "", []string{x, m.b.Op("Mul", "", []string{m.weight(4, 1, 1), m.weight(4, 1, 1)})})
		}},
		{"Cast of weights stays", "fold-constants", 2, func(m *modelMaker, x string) string {
			w := tensor.Must(tensor.New(tensor.Float16, 4, 4, 1, 1))
			return m.b.Op("Conv", "", []string{x, m.b.Op("Cast", "", []string{m.b.Initializer("half", w)}, widen)})
		}},
		{"DequantizeLinear of weights stays", "fold-constants", 2, func(m *modelMaker, x string) string {
			w := tensor.Must(tensor.New(tensor.Int8, 4, 4, 1, 1))
			return m.b.Op("Conv", "", []string{x, m.b.Op("DequantizeLinear", "", []string{m.b.Initializer("int8", w), m.positive(4)}, onnx.AttrI("axis", 0))})
		}},
		{"what would grow stays", "fold-constants", 3, func(m *modelMaker, x string) string {
			big := m.b.Op("Expand", "", []string{m.weight(1), m.ints(1000, 1, 4, 5, 6)})
			return m.b.Op("ReduceMax", "", []string{m.b.Op("Add", "", []string{x, big})}, onnx.AttrIs("axes", 0))
		}},
		{"shape", "fold-shapes", 1, func(m *modelMaker, x string) string {
			n := m.b.Op("Gather", "", []string{m.b.Op("Shape", "", []string{x}), m.b.Initializer("first", tensor.Scalar[int64](0))})
			n = m.b.Op("Unsqueeze", "", []string{n, m.ints(0)})
			return m.b.Op("Reshape", "", []string{x, m.b.Op("Concat", "", []string{n, m.ints(-1)}, onnx.AttrI("axis", 0))})
		}},
		{"pixel shuffle", "fuse-shuffles", 1, func(m *modelMaker, x string) string {
			y := m.b.Op("Reshape", "", []string{x, m.ints(-1, 1, 2, 2, 5, 6)})
			y = m.b.Op("Transpose", "", []string{y}, onnx.AttrIs("perm", 0, 1, 4, 2, 5, 3))
			return m.b.Op("Reshape", "", []string{y, m.ints(-1, 1, 10, 12)})
		}},
		{"sandwich", "sink-transposes", 1, func(m *modelMaker, x string) string {
			y := m.b.Op("Relu", "", []string{m.b.Op("Transpose", "", []string{x}, onnx.AttrIs("perm", 0, 2, 3, 1))})
			return m.b.Op("Transpose", "", []string{y}, onnx.AttrIs("perm", 0, 3, 1, 2))
		}},
		{"MatMul and Add", "matmul-to-gemm", 2, func(m *modelMaker, x string) string {
			y := m.b.Op("MatMul", "", []string{m.b.Op("Flatten", "", []string{x}), m.weight(120, 3)})
			return m.b.Op("Add", "", []string{y, m.weight(3)})
		}},
		{"Conv", "fold-batchnorm", 1, func(m *modelMaker, x string) string { return norm(m, conv(m, x)) }},
		{"ConvTranspose", "fold-batchnorm", 1, func(m *modelMaker, x string) string {
			return norm(m, m.b.Op("ConvTranspose", "", []string{x, m.weight(4, 4, 3, 3), m.weight(4)}))
		}},
		{"Gemm", "fold-batchnorm", 2, func(m *modelMaker, x string) string {
			return norm(m, m.b.Op("Gemm", "", []string{m.b.Op("Flatten", "", []string{x}), m.weight(4, 120), m.weight(4)}, onnx.AttrI("transB", 1)))
		}},
		{"Conv that others read stays", "fold-batchnorm", 3, func(m *modelMaker, x string) string {
			y := conv(m, x)
			return m.b.Op("Add", "", []string{y, norm(m, y)})
		}},
		{"equal nodes", "merge-equal", 2, func(m *modelMaker, x string) string {
			return m.b.Op("Add", "", []string{m.b.Op("Exp", "", []string{x}), m.b.Op("Exp", "", []string{x})})
		}},
		{"other attributes stay", "merge-equal", 3, func(m *modelMaker, x string) string {
			return m.b.Op("Add", "", []string{m.b.Op("LeakyRelu", "", []string{x}), m.b.Op("LeakyRelu", "", []string{x}, onnx.AttrF("alpha", 0.5))})
		}},
		{"draws stay", "merge-equal", 3, func(m *modelMaker, x string) string {
			r := func() string { return m.b.Op("RandomNormalLike", "", []string{x}) }
			return m.b.Op("Sub", "", []string{r(), r()})
		}},
		{"unread", "remove-dead", 1, func(m *modelMaker, x string) string {
			m.b.Op("Exp", "", []string{m.b.Op("Neg", "", []string{x})})
			return m.b.Op("Relu", "", []string{x})
		}},
	} {
		t.Run(c.pass+"/"+c.name, func(t *testing.T) {
			m := &modelMaker{Rand: rand.New(rand.NewPCG(7, 8)), b: onnx.NewBuilder(17)}
			x := m.b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(4), onnx.FixedDim(5), onnx.FixedDim(6))
			m.b.Output(m.b.Op("Neg", "", []string{c.build(m, x)}), tensor.Float32)
			model, err := m.b.Model()
			if err != nil {
				t.Fatal(err)
			}
			g, err := graph.New(model, graph.Config{Set: op.Core})
			if err != nil {
				t.Fatal(err)
			}
			in := randomTensor(m.Rand, 2, 4, 5, 6)
			random := count(g, "RandomNormalLike") > 0
			var want []*tensor.Tensor
			if !random {
				want = execute(t, g, plan.Options{Plain: true}, in)
			}
			found := c.pass == "all"
			if found {
				if err := graph.Optimize(g); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range graph.Portable {
				if p.Name != c.pass {
					continue
				}
				found = true
				if _, err := p.Run(g); err != nil {
					t.Fatal(err)
				}
			}
			if !found {
				t.Fatal("there is no such pass")
			}
			g.RemoveDead()
			if n := len(g.Nodes) - 1; n != c.left {
				t.Errorf("%d nodes are left before Neg, want %d", n, c.left)
			}
			if !random {
				sameOutputs(t, "after it", execute(t, g, plan.Options{Plain: true}, in), want)
			}
		})
	}
}

// TestEpilogues: a product applies the bias and the activation that follow it, in one step.
func TestEpilogues(t *testing.T) {
	for _, product := range []string{"Conv", "ConvTranspose", "Gemm", "MatMul"} {
		for _, act := range []string{"Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "Mish", "Clip"} {
			m := &modelMaker{Rand: rand.New(rand.NewPCG(7, 8)), b: onnx.NewBuilder(17)}
			dims := []onnx.Dim{onnx.NamedDim("n"), onnx.FixedDim(20)}
			shape := []int{3, 20}
			w := m.weight(20, 20)
			if product[0] == 'C' {
				dims, shape = append(dims, onnx.FixedDim(5), onnx.FixedDim(6)), append(shape, 5, 6)
				w = m.weight(20, 20, 1, 1)
			}
			x := m.b.Input("x", tensor.Float32, dims...)
			y := m.b.Op(product, "", []string{x, w})
			bias := []int{20}
			if product[0] == 'C' {
				bias = []int{20, 1, 1}
			}
			y = m.b.Op("Add", "", []string{y, m.weight(bias...)})
			in := []string{y}
			if act == "Clip" {
				in = append(in, m.number(-0.3), m.number(0.4))
			}
			m.b.Output(m.b.Op(act, "", in), tensor.Float32)
			g := compile(t, m.b)
			data := randomTensor(m.Rand, shape...)
			want := execute(t, g, plan.Options{Plain: true}, data)
			if err := graph.Optimize(g); err != nil {
				t.Fatal(err)
			}
			p, err := plan.Build(g, []op.Fact{{DType: tensor.Float32, Shape: shape}}, plan.Options{})
			if err != nil {
				t.Fatal(err)
			}
			st := p.NewState()
			st.Measure()
			var steps []string
			for _, s := range st.Times() {
				if s.OpType != "Transpose" { // between the layouts of pictures
					steps = append(steps, s.OpType)
				}
			}
			if len(steps) != 1 {
				t.Errorf("%s, Add, %s are the steps %v", product, act, steps)
			}
			sameOutputs(t, product+" "+act, execute(t, g, plan.Options{}, data), want)
		}
	}
}

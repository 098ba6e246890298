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

func (m *modelMaker) number(v float32, shape ...int) string {
	t := tensor.Must(tensor.New(tensor.Float32, shape...))
	t.Float32s()[0] = v
	return m.b.Initializer(m.b.Fresh("number"), t)
}

// mul is a product in either order.
func (m *modelMaker) mul(a, b string) string {
	if m.IntN(2) == 0 {
		a, b = b, a
	}
	return m.b.Op("Mul", "", []string{a, b})
}

// spelled are the activations that exporters spell out, and the operators that they are.
var spelled = []struct {
	name, as string
	build    func(m *modelMaker, x string) string
}{
	{"SiLU", "Swish", func(m *modelMaker, x string) string { return m.mul(x, m.b.Op("Sigmoid", "", []string{x})) }},
	{"QuickGelu", "Swish", func(m *modelMaker, x string) string {
		return m.mul(x, m.b.Op("Sigmoid", "", []string{m.mul(x, m.number(1.702))}))
	}},
	{"HardSwish", "HardSwish", func(m *modelMaker, x string) string {
		return m.mul(x, m.b.Op("HardSigmoid", "", []string{x}, onnx.AttrF("alpha", 1./6)))
	}},
	{"Mish", "Mish", func(m *modelMaker, x string) string {
		return m.mul(x, m.b.Op("Tanh", "", []string{m.b.Op("Softplus", "", []string{x})}))
	}},
	{"Gelu, divided", "Gelu", func(m *modelMaker, x string) string {
		return m.mul(m.mul(x, m.erfGate(m.b.Op("Div", "", []string{x, m.number(1.4142135)}))), m.number(0.5))
	}},
	{"Gelu, multiplied, half first", "Gelu", func(m *modelMaker, x string) string {
		return m.mul(m.mul(m.number(0.5, 1), x), m.erfGate(m.mul(x, m.number(0.70710677))))
	}},
	{"Gelu, half the gate", "Gelu", func(m *modelMaker, x string) string {
		return m.mul(x, m.mul(m.number(0.5), m.erfGate(m.mul(x, m.number(0.70710677, 1)))))
	}},
	{"other number in Erf", "", func(m *modelMaker, x string) string {
		return m.mul(m.mul(x, m.erfGate(m.mul(x, m.number(0.7)))), m.number(0.5))
	}},
	{"other half", "", func(m *modelMaker, x string) string {
		return m.mul(m.mul(x, m.erfGate(m.mul(x, m.number(0.70710677)))), m.number(0.6))
	}},
	{"gate of something else", "", func(m *modelMaker, x string) string {
		return m.mul(x, m.b.Op("Sigmoid", "", []string{m.b.Op("Abs", "", []string{x})}))
	}},
	{"gate read twice", "", func(m *modelMaker, x string) string {
		s := m.b.Op("Sigmoid", "", []string{x})
		return m.mul(s, m.mul(x, s))
	}},
	{"gate of more axes", "", func(m *modelMaker, x string) string {
		y := m.mul(x, m.b.Op("Sigmoid", "", []string{m.mul(x, m.number(2, 1, 1, 1, 1, 1))}))
		return m.b.Op("Squeeze", "", []string{y, m.ints(0)})
	}},
	{"HardSigmoid of PyTorch's default", "", func(m *modelMaker, x string) string {
		return m.mul(x, m.b.Op("HardSigmoid", "", []string{x}))
	}},
}

func (m *modelMaker) erfGate(x string) string {
	e := m.b.Op("Erf", "", []string{x})
	if m.IntN(2) == 0 {
		return m.b.Op("Add", "", []string{m.number(1), e})
	}
	return m.b.Op("Add", "", []string{e, m.number(1)})
}

// activation adds one of them to a random model.
func (m *modelMaker) activation(v value, add func(opType string, c, h, w int, in []string, attrs ...*onnx.Attribute) string) {
	y := spelled[m.IntN(len(spelled))].build(m, v.name)
	add("Identity", v.c, v.h, v.w, []string{y})
}

// TestFuseActivations checks which products become activations, and that outputs stay the same.
func TestFuseActivations(t *testing.T) {
	for i, c := range spelled {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				m := &modelMaker{Rand: r, b: onnx.NewBuilder(13)}
				x := m.b.Input("x", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(3), onnx.FixedDim(5), onnx.FixedDim(7))
				m.b.Output(m.b.Op("Relu", "", []string{c.build(m, m.b.Op("Neg", "", []string{x}))}), tensor.Float32)
				model, err := m.b.Model()
				if err != nil {
					t.Fatal(err)
				}
				g, err := graph.New(model, graph.Config{Set: op.Core})
				if err != nil {
					t.Fatal(err)
				}
				in := tensor.Must(tensor.New(tensor.Float32, 2, 3, 5, 7))
				for i := range in.Float32s() {
					in.Float32s()[i] = r.Float32()*12 - 6
				}
				want := execute(t, g, plan.Options{Plain: true}, in)
				nodes := len(g.Nodes)
				if err := graph.FuseActivations(g); err != nil {
					t.Fatal(err)
				}
				sameOutputs(t, "fused", execute(t, g, plan.Options{Plain: true}, in), want)
				switch {
				case c.as == "" && len(g.Nodes) != nodes:
					t.Errorf("%d nodes of %d are left", len(g.Nodes), nodes)
				case c.as != "" && (len(g.Nodes) != 3 || count(g, c.as) != 1):
					t.Errorf("%d nodes, %d of them %s", len(g.Nodes), count(g, c.as), c.as)
				}
			})
		}
	}
}

package plan_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// randomModel returns a valid image model with convolutions, normalisation, activations,
// residual connections, constants, copies and repeated work, for inputs of [batch 3 9 8].
func randomModel(t *testing.T, r *rand.Rand) *onnx.Model {
	t.Helper()
	m := &modelMaker{Rand: r, b: onnx.NewBuilder(17)}
	x := m.b.Input("x", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(3), onnx.FixedDim(9), onnx.FixedDim(8))
	m.values = []value{{x, 3, 9, 8}}
	for range 3 + r.IntN(14) {
		m.step()
	}
	last := m.values[len(m.values)-1]
	if r.IntN(2) == 0 {
		flat := m.b.Op("Flatten", "flat", []string{last.name})
		n := last.c * last.h * last.w
		if r.IntN(2) == 0 {
			last.name = m.b.Op("Gemm", "dense", []string{flat, m.weight(n, 5), m.weight(5)})
		} else {
			last.name = m.b.Op("Add", "dense", []string{m.b.Op("MatMul", "", []string{flat, m.weight(n, 5)}), m.weight([][]int{{5}, {1, 5}, {1}, {}}[r.IntN(4)]...)})
			if r.IntN(2) == 0 {
				last.name = m.b.Op("BatchNormalization", "", []string{last.name, m.weight(5), m.weight(5), m.weight(5), m.positive(5)})
			}
		}
		last.name = m.b.Op("Tanh", "", []string{last.name})
	}
	m.b.Output(last.name, tensor.Float32)
	if extra := m.values[r.IntN(len(m.values))]; extra.name != last.name && extra.name != "x" {
		m.b.Output(extra.name, tensor.Float32)
	}
	model, err := m.b.Model()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range model.Graph.Outputs {
		o.Type = onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}
	}
	if err := onnx.Check(model); err != nil {
		t.Fatalf("the random model is not valid: %v", err)
	}
	return model
}

type value struct {
	name    string
	c, h, w int
}

type modelMaker struct {
	*rand.Rand
	b       *onnx.Builder
	values  []value
	weights int
}

func (m *modelMaker) weight(shape ...int) string {
	t := tensor.Must(tensor.New(tensor.Float32, shape...))
	scale := float32(1)
	// Sums of so many terms stay near 1: a dense layer sums over its first axis, a
	// convolution over all but the first.
	if len(shape) > 1 {
		n := 1
		for _, d := range shape[1:] {
			n *= d
		}
		if len(shape) == 2 {
			n = shape[0]
		}
		scale = 1 / float32(math.Sqrt(float64(n)))
	}
	d := t.Float32s()
	for i := range d {
		d[i] = (m.Float32()*2 - 1) * scale
	}
	m.weights++
	return m.b.Initializer(fmt.Sprintf("w%d", m.weights), t)
}

func (m *modelMaker) positive(n int) string {
	t := tensor.Must(tensor.New(tensor.Float32, n))
	for i := range t.Float32s() {
		t.Float32s()[i] = 0.5 + m.Float32()
	}
	m.weights++
	return m.b.Initializer(fmt.Sprintf("w%d", m.weights), t)
}

// step adds one or a few nodes that read values made before.
func (m *modelMaker) step() {
	v := m.values[len(m.values)-1]
	if m.IntN(4) == 0 {
		v = m.values[m.IntN(len(m.values))]
	}
	add := func(opType string, c, h, w int, in []string, attrs ...*onnx.Attribute) string {
		name := m.b.Op(opType, "", in, attrs...)
		m.values = append(m.values, value{name, c, h, w})
		return name
	}
	switch m.IntN(18) {
	case 0, 1, 2:
		o, k := 1+m.IntN(20), 1+2*m.IntN(2)
		in := []string{v.name, m.weight(o, v.c, k, k)}
		if m.IntN(2) == 0 {
			in = append(in, m.weight(o))
		}
		p := int64(k / 2)
		y := add("Conv", o, v.h, v.w, in, onnx.AttrIs("pads", p, p, p, p))
		if m.IntN(2) == 0 {
			y = add("BatchNormalization", o, v.h, v.w, []string{y, m.weight(o), m.weight(o), m.weight(o), m.positive(o)})
		}
		if m.IntN(2) == 0 {
			act := []string{"Relu", "LeakyRelu", "Sigmoid", "Tanh"}[m.IntN(4)]
			add(act, o, v.h, v.w, []string{y})
		}
	case 3:
		if v.h < 40 {
			o := 1 + m.IntN(20)
			add("ConvTranspose", o, 2*v.h, 2*v.w, []string{v.name, m.weight(v.c, o, 4, 4), m.weight(o)},
				onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))
		}
	case 4:
		if v.h > 3 && v.w > 3 {
			add([]string{"MaxPool", "AveragePool"}[m.IntN(2)], v.c, v.h/2, v.w/2, []string{v.name},
				onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 2, 2))
		}
	case 5:
		add("Identity", v.c, v.h, v.w, []string{v.name})
	case 6:
		add("Dropout", v.c, v.h, v.w, []string{v.name})
	case 7:
		for _, u := range m.values {
			if u != v && u.c == v.c && u.h == v.h && u.w == v.w {
				add([]string{"Add", "Mul", "Sub", "Max"}[m.IntN(4)], v.c, v.h, v.w, []string{u.name, v.name})
				break
			}
		}
	case 8:
		for _, u := range m.values {
			if u != v && u.h == v.h && u.w == v.w {
				add("Concat", u.c+v.c, v.h, v.w, []string{v.name, u.name}, onnx.AttrI("axis", 1))
				break
			}
		}
	case 9:
		a := m.b.Op("Relu", "", []string{v.name})
		b := m.b.Op("Relu", "", []string{v.name})
		add("Add", v.c, v.h, v.w, []string{a, b})
	case 10:
		bias := m.b.Op("Reshape", "", []string{m.weight(v.c), m.b.Initializer(m.b.Fresh("shape"), tensor.Must(tensor.Of([]int64{int64(v.c), 1, 1}, 3)))})
		add([]string{"Add", "Mul"}[m.IntN(2)], v.c, v.h, v.w, []string{v.name, bias})
	case 11:
		t := m.b.Op("Transpose", "", []string{v.name}, onnx.AttrIs("perm", 0, 2, 3, 1))
		t = m.b.Op("Relu", "", []string{t})
		add("Transpose", v.c, v.h, v.w, []string{t}, onnx.AttrIs("perm", 0, 3, 1, 2))
	case 12, 13:
		m.idiom(v, add)
	case 14:
		y := add("Conv", v.c, v.h, v.w, []string{v.name, m.weight(v.c, 1, 1, 1)}, onnx.AttrI("group", int64(v.c)))
		for range 1 + m.IntN(3) {
			shape := [][]int{{v.c, 1, 1}, {1, v.c, 1, 1}, {1}, {}}[m.IntN(4)]
			in := []string{y, m.weight(shape...)}
			if m.IntN(3) == 0 {
				in[0], in[1] = in[1], in[0]
			}
			y = add([]string{"Add", "Mul", "Sub"}[m.IntN(3)], v.c, v.h, v.w, in)
		}
	default:
		add([]string{"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Neg"}[m.IntN(5)], v.c, v.h, v.w, []string{v.name})
	}
}

func execute(t *testing.T, g *graph.Graph, o plan.Options, x *tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	p, err := plan.Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, o)
	if err != nil {
		t.Fatal(err)
	}
	outs := make([]*tensor.Tensor, len(g.Outputs))
	st := p.NewState()
	for range 2 { // the second run finds the first one's leftovers in its memory
		clear(outs)
		if err := p.Run(context.Background(), st, outs, []*tensor.Tensor{x}); err != nil {
			t.Fatal(err)
		}
	}
	return outs
}

func sameOutputs(t *testing.T, what string, got, want []*tensor.Tensor) {
	t.Helper()
	for i := range want {
		if !got[i].Shape().Equal(want[i].Shape()) {
			t.Fatalf("%s: output %d is %v, want %v", what, i, got[i], want[i])
		}
		scale := float64(1)
		for _, v := range want[i].Float32s() {
			scale = max(scale, math.Abs(float64(v)))
		}
		for k, v := range got[i].Float32s() {
			if w := want[i].Float32s()[k]; !(math.Abs(float64(v-w)) <= 2e-5*scale) {
				t.Fatalf("%s: output %d, element %d: %v, want %v (largest value %v)", what, i, k, v, w, scale)
			}
		}
	}
}

// TestPassesKeepOutputs runs random models as they are, after each portable pass, after all
// of them, and with the machine passes.
func TestPassesKeepOutputs(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 60
	}
	pool := parallel.New(2)
	defer pool.Close()
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := randomModel(t, r)
		g, err := graph.New(m, graph.Config{Set: op.Core})
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.Must(tensor.New(tensor.Float32, 1+r.IntN(3), 3, 9, 8))
		for i := range x.Float32s() {
			x.Float32s()[i] = r.Float32()*2 - 1
		}
		want := execute(t, g, plan.Options{Plain: true}, x)
		for _, p := range graph.Portable {
			c := g.Clone()
			if _, err := p.Run(c); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, p.Name, err)
			}
			sameOutputs(t, fmt.Sprintf("seed %d: after %s", seed, p.Name), execute(t, c, plan.Options{Plain: true}, x), want)
		}
		for name, pass := range map[string]func(*graph.Graph) error{"fuse-activations": graph.FuseActivations, "join-gemms": graph.JoinGemms} {
			c := g.Clone()
			if err := pass(c); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, name, err)
			}
			sameOutputs(t, fmt.Sprintf("seed %d: after %s", seed, name), execute(t, c, plan.Options{Plain: true}, x), want)
		}
		c := g.Clone()
		if err := graph.Optimize(c); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sameOutputs(t, fmt.Sprintf("seed %d: optimised", seed), execute(t, c, plan.Options{Plain: true}, x), want)
		sameOutputs(t, fmt.Sprintf("seed %d: machine passes", seed), execute(t, g, plan.Options{Pool: pool}, x), want)
		sameOutputs(t, fmt.Sprintf("seed %d: all", seed), execute(t, c, plan.Options{Pool: pool}, x), want)
		if back, err := c.Model(0); err != nil {
			t.Fatalf("seed %d: writing: %v", seed, err)
		} else {
			h, err := graph.New(back, graph.Config{Set: op.Core})
			if err != nil {
				t.Fatalf("seed %d: reading back: %v", seed, err)
			}
			sameOutputs(t, fmt.Sprintf("seed %d: written and read", seed), execute(t, h, plan.Options{Pool: pool}, x), want)
		}
		sameOutputs(t, fmt.Sprintf("seed %d: unchanged original", seed), execute(t, g, plan.Options{Plain: true}, x), want)
	}
}

package onnx_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func opsets() []onnx.OpsetID { return []onnx.OpsetID{{Version: 17}, {Domain: "my", Version: 1}} }

// calling returns a model x → nodes → outputs with functions of the domain "my".
func calling(t *testing.T, outputs string, nodes []*onnx.Node, functions ...*onnx.Function) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	b.Opset("my", 1)
	b.Input("x", tensor.Float32)
	for _, n := range nodes {
		b.Node(n)
	}
	for _, o := range strings.Fields(outputs) {
		b.Output(o, tensor.Float32)
	}
	for _, f := range functions {
		f.Domain, f.Opsets = "my", opsets()
		b.Function(f)
	}
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// listing writes the nodes of a graph as text, sub-graphs in braces.
func listing(g *onnx.Graph) string {
	var s []string
	for _, n := range g.Nodes {
		l := fmt.Sprintf("%s = %s(%s)", strings.Join(n.Outputs, ","), n.OpType, strings.Join(n.Inputs, ","))
		for _, a := range n.Attrs {
			switch a.Type {
			case onnx.AttrGraph:
				l += fmt.Sprintf(" {%s -> %s}", listing(a.Graph), a.Graph.Outputs[0].Name)
			case onnx.AttrFloat:
				l += fmt.Sprintf(" %s=%v", a.Name, a.Float)
			}
		}
		s = append(s, l)
	}
	return strings.Join(s, "; ")
}

func node(op, in, out string, attrs ...*onnx.Attribute) *onnx.Node {
	n := &onnx.Node{OpType: op, Inputs: strings.Fields(in), Outputs: strings.Fields(out), Attrs: attrs}
	for i, s := range n.Inputs {
		n.Inputs[i] = strings.Trim(s, "-")
	}
	if strings.HasPrefix(op, "my.") {
		n.Domain, n.OpType = "my", op[3:]
	}
	return n
}

func TestInline(t *testing.T) {
	elu := func() *onnx.Function {
		return &onnx.Function{Name: "F", Inputs: []string{"a", "b"}, Outputs: []string{"z"}, Attributes: []string{"alpha"}, Defaults: []*onnx.Attribute{onnx.AttrF("slope", 0.5)},
			Nodes: []*onnx.Node{
				node("Elu", "a", "t", onnx.AttrRef("alpha", onnx.AttrFloat, "alpha")),
				node("LeakyRelu", "t", "u", onnx.AttrRef("alpha", onnx.AttrFloat, "slope")),
				node("Clip", "u b", "z"),
			}}
	}
	branch := func(in string) *onnx.Graph {
		return &onnx.Graph{Name: "b", Nodes: []*onnx.Node{node("Neg", in, "t"), node("my.F", "t", "r")}, Outputs: []*onnx.ValueInfo{{Name: "r"}}}
	}
	tests := []struct {
		name, outputs string
		nodes         []*onnx.Node
		functions     []*onnx.Function
		want          string
	}{
		{"attributes and an absent input", "y", []*onnx.Node{node("my.F", "x", "y", onnx.AttrF("alpha", 2))}, []*onnx.Function{elu()},
			"y/t = Elu(x) alpha=2; y/u = LeakyRelu(y/t) alpha=0.5; y = Clip(y/u,)"},
		{"default replaced, absent attribute", "y", []*onnx.Node{node("my.F", "x x", "y", onnx.AttrF("slope", 3))}, []*onnx.Function{elu()},
			"y/t = Elu(x); y/u = LeakyRelu(y/t) alpha=3; y = Clip(y/u,x)"},
		{"twice", "y q", []*onnx.Node{node("my.F", "x", "y"), node("my.F", "y", "q")}, []*onnx.Function{elu()},
			"y/t = Elu(x); y/u = LeakyRelu(y/t) alpha=0.5; y = Clip(y/u,); q/t = Elu(y); q/u = LeakyRelu(q/t) alpha=0.5; q = Clip(q/u,)"},
		{"name taken outside", "y", []*onnx.Node{node("Relu", "x", "y/t"), node("my.F", "y/t", "y")}, []*onnx.Function{elu()},
			"y/t = Relu(x); y/t_1 = Elu(y/t); y/u = LeakyRelu(y/t_1) alpha=0.5; y = Clip(y/u,)"},
		{"nested", "y", []*onnx.Node{node("my.G", "x", "y")},
			[]*onnx.Function{elu(), {Name: "G", Inputs: []string{"a"}, Outputs: []string{"z"}, Nodes: []*onnx.Node{node("my.F", "a a", "t"), node("Exp", "t", "z")}}},
			"y/t/t = Elu(x); y/t/u = LeakyRelu(y/t/t) alpha=0.5; y/t = Clip(y/t/u,x); y = Exp(y/t)"},
		{"input handed through", "y", []*onnx.Node{node("my.H", "x", "y")},
			[]*onnx.Function{{Name: "H", Inputs: []string{"a"}, Outputs: []string{"a"}}}, "y = Identity(x)"},
		{"same value twice, one unwanted", "y z", []*onnx.Node{node("my.H", "x", "y z")},
			[]*onnx.Function{{Name: "H", Inputs: []string{"a"}, Outputs: []string{"b", "b", "c"}, Nodes: []*onnx.Node{node("Exp", "a", "b"), node("Log", "a", "c")}}},
			"y = Exp(x); y/c = Log(x); z = Identity(y)"},
		{"in a branch", "y", []*onnx.Node{node("If", "x", "y", onnx.AttrG("then_branch", branch("x")))}, []*onnx.Function{elu()},
			"y = If(x) {t = Neg(x); r/t = Elu(t); r/u = LeakyRelu(r/t) alpha=0.5; r = Clip(r/u,) -> r}"},
		{"branch in a function", "y q", []*onnx.Node{node("my.K", "x", "y"), node("my.K", "y", "q")},
			[]*onnx.Function{{Name: "K", Inputs: []string{"a"}, Outputs: []string{"z"}, Nodes: []*onnx.Node{node("If", "a", "z", onnx.AttrG("then_branch",
				&onnx.Graph{Name: "b", Nodes: []*onnx.Node{node("Neg", "a", "z")}, Outputs: []*onnx.ValueInfo{{Name: "z"}}}))}}},
			"y = If(x) {y/z = Neg(x) -> y/z}; q = If(y) {q/z = Neg(y) -> q/z}"},
	}
	for _, c := range tests {
		m := calling(t, c.outputs, c.nodes, c.functions...)
		before := encode(t, m)
		got, err := onnx.Inline(m, 0)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s := listing(got.Graph); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
		if err := onnx.Check(got); err != nil || len(got.Functions) != 0 {
			t.Errorf("%s: %v, %d functions left", c.name, err, len(got.Functions))
		}
		if !slices.Equal(encode(t, m), before) {
			t.Errorf("%s: the argument was changed", c.name)
		}
	}
}

func TestInlineErrors(t *testing.T) {
	f := func(name string, nodes ...*onnx.Node) *onnx.Function {
		return &onnx.Function{Name: name, Inputs: []string{"a"}, Outputs: []string{"z"}, Nodes: nodes}
	}
	doubling := []*onnx.Function{f("F0", node("Exp", "a", "z"))}
	empty := []*onnx.Function{{Name: "F0", Inputs: []string{"a"}, Outputs: []string{"a"}}}
	chain := []*onnx.Function{f("F0", node("Exp", "a", "z"))}
	for i := 1; i < 200; i++ {
		prev := fmt.Sprintf("my.F%d", i-1)
		name := fmt.Sprintf("F%d", i)
		if i < 40 {
			doubling = append(doubling, f(name, node(prev, "a", "t"), node(prev, "t", "z")))
			empty = append(empty, f(name, node(prev, "a", "t"), node(prev, "t", "z")))
		}
		chain = append(chain, f(name, node(prev, "a", "z")))
	}
	tests := []struct {
		name, want string
		node       *onnx.Node
		functions  []*onnx.Function
	}{
		{"itself", "calls itself", node("my.F", "x", "y"), []*onnx.Function{f("F", node("my.F", "a", "z"))}},
		{"each other", "calls itself", node("my.F", "x", "y"), []*onnx.Function{f("F", node("my.G", "a", "z")), f("G", node("my.F", "a", "z"))}},
		{"too many inputs", "2 inputs", node("my.F", "x x", "y"), []*onnx.Function{f("F", node("Exp", "a", "z"))}},
		{"unknown attribute", `no attribute "beta"`, node("my.F", "x", "y", onnx.AttrF("beta", 1)), []*onnx.Function{f("F", node("Exp", "a", "z"))}},
		{"attribute of another type", "type INT", node("my.F", "x", "y", onnx.AttrI("alpha", 1)),
			[]*onnx.Function{{Name: "F", Inputs: []string{"a"}, Outputs: []string{"z"}, Attributes: []string{"alpha"}, Nodes: []*onnx.Node{node("Elu", "a", "z", onnx.AttrRef("alpha", onnx.AttrFloat, "alpha"))}}}},
		{"2^40 nodes", "more than 4096 nodes", node("my.F39", "x", "y"), doubling},
		{"2^40 empty calls", "more than 4096 nodes", node("my.F39", "x", "y"), empty},
		{"deep", "functions inside one another", node("my.F199", "x", "y"), chain},
	}
	for _, c := range tests {
		m := calling(t, "y", []*onnx.Node{c.node}, c.functions...)
		if _, err := onnx.Inline(m, 4096); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

// TestInlineOpsets inlines functions that import other versions of operators than the model, and
// operators that it does not import.
func TestInlineOpsets(t *testing.T) {
	inner := &onnx.Function{Name: "G", Inputs: []string{"a"}, Outputs: []string{"z"}, Nodes: []*onnx.Node{node("Exp", "a", "z")}}
	branch := &onnx.Graph{Name: "b", Nodes: []*onnx.Node{node("Neg", "t", "r")}, Outputs: []*onnx.ValueInfo{{Name: "r"}}}
	outer := &onnx.Function{Name: "F", Inputs: []string{"a"}, Outputs: []string{"z"}, Nodes: []*onnx.Node{
		node("my.G", "a", "t"), node("If", "t", "u", onnx.AttrG("then_branch", branch)), {OpType: "Gelu", Domain: "com.microsoft", Inputs: []string{"u"}, Outputs: []string{"z"}},
	}}
	m := calling(t, "y", []*onnx.Node{node("Relu", "x", "h"), node("my.F", "h", "y")})
	outer.Domain, inner.Domain = "my", "my"
	outer.Opsets = []onnx.OpsetID{{Domain: "ai.onnx", Version: 12}, {Domain: "my", Version: 1}, {Domain: "com.microsoft", Version: 1}}
	inner.Opsets = []onnx.OpsetID{{Version: 17}}
	m.Functions = []*onnx.Function{outer, inner}
	got, err := onnx.Inline(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"Relu": 0, "Exp": 0, "If": 12, "Gelu": 0}
	for _, n := range got.Graph.Nodes {
		if v, ok := want[n.OpType]; !ok || n.Opset != v {
			t.Errorf("%s has version %d, want %d", n.OpType, n.Opset, v)
		}
		if n.OpType == "If" {
			if neg := n.Attr("then_branch").Graph.Nodes[0]; neg.Opset != 12 {
				t.Errorf("Neg in a branch has version %d, want 12", neg.Opset)
			}
		}
	}
	if len(got.Graph.Nodes) != len(want) || got.Opset("com.microsoft") != 1 || got.Opset("") != 17 {
		t.Errorf("%d nodes, imports %v", len(got.Graph.Nodes), got.Opsets)
	}
	if err := onnx.Check(got); err != nil {
		t.Error(err)
	}
	if _, err := onnx.Encode(got); err == nil || !strings.Contains(err.Error(), "version 12") {
		t.Errorf("the result was written: %v", err)
	}
}

// TestInlineOverloads calls functions of one name and different overloads, and passes attributes
// through by reference.
func TestInlineOverloads(t *testing.T) {
	leaf := func(overload, op string) *onnx.Function {
		return &onnx.Function{Name: "F", Overload: overload, Inputs: []string{"a"}, Outputs: []string{"z"}, Attributes: []string{"alpha"},
			Nodes: []*onnx.Node{node(op, "a", "z", onnx.AttrRef("alpha", onnx.AttrFloat, "alpha"))}}
	}
	call := node("my.F", "a", "z", onnx.AttrRef("alpha", onnx.AttrFloat, "beta"))
	call.Overload = "second"
	through := &onnx.Function{Name: "G", Inputs: []string{"a"}, Outputs: []string{"z"}, Defaults: []*onnx.Attribute{onnx.AttrF("beta", 0.25)}, Nodes: []*onnx.Node{call}}
	m := calling(t, "y", []*onnx.Node{
		node("my.F", "x", "h", onnx.AttrF("alpha", 2)), node("my.G", "h", "k"), node("my.G", "k", "y", onnx.AttrF("beta", 3)),
	}, leaf("", "Elu"), leaf("second", "LeakyRelu"), through)
	m.IRVersion = 10
	m, err := onnx.Decode(encode(t, m), onnx.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := onnx.Inline(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s, want := listing(got.Graph), "h = Elu(x) alpha=2; k = LeakyRelu(h) alpha=0.25; y = LeakyRelu(k) alpha=3"; s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
	m.Graph.Nodes[0].Overload = "third"
	if got, err = onnx.Inline(m, 0); err != nil || got.Graph.Nodes[0].OpType != "F" {
		t.Errorf("an overload that is not there was inlined: %v, %v", got, err)
	}
}

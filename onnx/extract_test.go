package onnx_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func nodeOutputs(g *onnx.Graph) []string {
	var s []string
	for _, n := range g.Nodes {
		s = append(s, n.Outputs...)
	}
	return s
}

func valueNames(vs []*onnx.ValueInfo) []string {
	var s []string
	for _, v := range vs {
		s = append(s, v.Name)
	}
	return s
}

func initNames(g *onnx.Graph) []string {
	var s []string
	for _, v := range g.Initializers {
		s = append(s, v.Name)
	}
	return s
}

func TestExtract(t *testing.T) {
	tests := []struct {
		in, out      string
		nodes, inits string
		inputType    int // extents of the first input's shape, -1 for no type
	}{
		{"x", "y", "h s y", "w b", 2},
		{"x", "y p", "h s y p", "w b", 2},
		{"x", "h", "h", "w", 2},
		{"s", "y", "y", "", 2},
		{"s", "p y", "y p", "", 2},
		{"h", "y", "s y", "b", -1},
		{"x w", "h", "h", "", 2},
		{"s", "s", "", "", 2},
		{"x s", "y", "y", "", 2},
		{"", "b", "", "b", 0},
	}
	for _, c := range tests {
		m := small(t)
		before := encode(t, m)
		sub, err := onnx.Extract(m, strings.Fields(c.in), strings.Fields(c.out))
		if err != nil {
			t.Errorf("Extract(%q, %q): %v", c.in, c.out, err)
			continue
		}
		if err := onnx.Check(sub); err != nil {
			t.Errorf("Extract(%q, %q): %v", c.in, c.out, err)
		}
		g := sub.Graph
		if got := nodeOutputs(g); !slices.Equal(got, strings.Fields(c.nodes)) {
			t.Errorf("Extract(%q, %q): nodes of %q, want %q", c.in, c.out, got, c.nodes)
		}
		if got := initNames(g); !slices.Equal(got, strings.Fields(c.inits)) {
			t.Errorf("Extract(%q, %q): initializers %q, want %q", c.in, c.out, got, c.inits)
		}
		if got := valueNames(g.Inputs); !slices.Equal(got, strings.Fields(c.in)) {
			t.Errorf("Extract(%q, %q): inputs %q", c.in, c.out, got)
		}
		if got := valueNames(g.Outputs); !slices.Equal(got, strings.Fields(c.out)) {
			t.Errorf("Extract(%q, %q): outputs %q", c.in, c.out, got)
		}
		if len(g.Inputs) > 0 {
			typ := g.Inputs[0].Type
			if typ.HasShape != (c.inputType >= 0) || typ.HasShape && len(typ.Shape) != c.inputType {
				t.Errorf("Extract(%q, %q): input type %+v", c.in, c.out, typ)
			}
		}
		if len(sub.Metadata) != 1 || len(sub.Opsets) != 1 {
			t.Errorf("Extract(%q, %q): metadata %v, opsets %v", c.in, c.out, sub.Metadata, sub.Opsets)
		}
		if !slices.Equal(encode(t, m), before) {
			t.Errorf("Extract(%q, %q) changed its argument", c.in, c.out)
		}
	}
}

func TestExtractErrors(t *testing.T) {
	tests := []struct{ in, out, want string }{
		{"", "y", `depend on graph inputs that are not among the inputs: "x" (through "h")`},
		{"s", "h", `"x"`},
		{"x", "nowhere", `no value "nowhere"`},
		{"nowhere", "y", `no value "nowhere"`},
		{"x x", "y", "given twice"},
		{"x", "y y", "given twice"},
		{"x", "", "no outputs"},
		{"x", "S", "(there is s)"},
	}
	for _, c := range tests {
		_, err := onnx.Extract(small(t), strings.Fields(c.in), strings.Fields(c.out))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Extract(%q, %q): error %v, want %q in it", c.in, c.out, err, c.want)
		}
	}
}

func TestExtractFollowsSubgraphs(t *testing.T) {
	branch := func(op, in string) *onnx.Graph {
		return &onnx.Graph{
			Name:    op,
			Nodes:   []*onnx.Node{{OpType: op, Inputs: []string{in}, Outputs: []string{"r"}}},
			Outputs: []*onnx.ValueInfo{{Name: "r"}},
		}
	}
	b := onnx.NewBuilder(17)
	b.Input("c", tensor.Bool)
	b.Input("x", tensor.Float32)
	b.Op("Relu", "u", []string{"x"})
	b.Op("Abs", "v", []string{"x"})
	b.Op("Neg", "unused", []string{"x"})
	b.Op("If", "y", []string{"c"}, onnx.AttrG("then_branch", branch("Exp", "u")), onnx.AttrG("else_branch", branch("Log", "v")))
	b.Output("y", tensor.Float32)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	sub, err := onnx.Extract(m, []string{"c", "x"}, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	if got := nodeOutputs(sub.Graph); !slices.Equal(got, []string{"u", "v", "y"}) {
		t.Errorf("nodes of %q", got)
	}
	if _, err := onnx.Extract(m, []string{"c", "u"}, []string{"y"}); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("a branch needs x: %v", err)
	}
}

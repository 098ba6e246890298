package onnx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestCheckFindsMistakes(t *testing.T) {
	one := tensor.Must(tensor.Of([]float32{1}, 1))
	idx := func(v ...int64) *onnx.Tensor { return onnx.NewTensor("", tensor.Must(tensor.Of(v, len(v)))) }
	pos := func(dims []int, v ...int64) *onnx.Tensor {
		return onnx.NewTensor("", tensor.Must(tensor.Of(v, dims...)))
	}
	sparse := func(i *onnx.Tensor, dims ...int64) *onnx.SparseTensor {
		return &onnx.SparseTensor{Values: onnx.NewTensor("sp", tensor.Must(tensor.Of([]float32{1, 2}, 2))), Indices: i, Dims: dims}
	}
	add := func(n *onnx.Node) func(*onnx.Model) {
		return func(m *onnx.Model) { m.Graph.Nodes = append(m.Graph.Nodes, n) }
	}
	attr := func(a *onnx.Attribute) func(*onnx.Model) {
		return func(m *onnx.Model) { m.Graph.Nodes[0].Attrs = []*onnx.Attribute{a} }
	}
	body := func(nodes ...*onnx.Node) *onnx.Attribute {
		return onnx.AttrG("then_branch", &onnx.Graph{Name: "b", Nodes: nodes, Outputs: []*onnx.ValueInfo{{Name: "r"}}})
	}
	function := func(f *onnx.Function) func(*onnx.Model) {
		if f.Opsets == nil {
			f.Opsets = []onnx.OpsetID{{Version: 17}}
		}
		return func(m *onnx.Model) { m.Functions = append(m.Functions, f) }
	}
	tests := []struct {
		name, want string // want "" where the model stays valid
		change     func(m *onnx.Model)
	}{
		{"untouched", "", func(*onnx.Model) {}},
		{"IR version", "ir_version 2 is not between 3 and 14", func(m *onnx.Model) { m.IRVersion = 2 }},
		{"IR version 3 without inputs", `initializer "w" is not a graph input`, func(m *onnx.Model) { m.IRVersion = 3 }},
		{"no opset", "no operator set is imported", func(m *onnx.Model) { m.Opsets = nil }},
		{"opset twice", `domain "ai.onnx" is imported twice`, func(m *onnx.Model) { m.Opsets = append(m.Opsets, onnx.OpsetID{Domain: "ai.onnx", Version: 17}) }},
		{"opset 0", "version 0", func(m *onnx.Model) { m.Opsets[0].Version = 0 }},
		{"metadata twice", `key "kind" occurs twice`, func(m *onnx.Model) { m.Metadata = append(m.Metadata, m.Metadata[0]) }},
		{"no graph", "no graph", func(m *onnx.Model) { m.Graph = nil }},
		{"graph without name", "the graph has no name", func(m *onnx.Model) { m.Graph.Name = "" }},
		{"input twice", `graph input "x": the name is already defined`, func(m *onnx.Model) { m.Graph.Inputs = append(m.Graph.Inputs, m.Graph.Inputs[0]) }},
		{"initializer that is an input", "", func(m *onnx.Model) {
			m.Graph.Inputs = append(m.Graph.Inputs, onnx.NewValueInfo("w", tensor.Float32))
		}},
		{"initializer twice", `initializer "w" is defined twice`, func(m *onnx.Model) { m.Graph.Initializers = append(m.Graph.Initializers, m.Graph.Initializers[0]) }},
		{"initializer without name", "initializer without a name", func(m *onnx.Model) { m.Graph.Initializers[0].Name = "" }},
		{"initializer without data", `initializer "w": shape [2 3]`, func(m *onnx.Model) { m.Graph.Initializers[0].Value = nil }},
		{"initializer of another shape", `initializer "w": the value is float32[2 3]`, func(m *onnx.Model) { m.Graph.Initializers[0].Dims = []int64{6} }},
		{"external without location", "without a location", func(m *onnx.Model) {
			m.Graph.Initializers[0].Value, m.Graph.Initializers[0].External = nil, []onnx.StringPair{}
		}},
		{"external", "", func(m *onnx.Model) {
			m.Graph.Initializers[0].Value, m.Graph.Initializers[0].External = nil, []onnx.StringPair{pair("location", "w")}
		}},
		{"value twice", `node "again" (Relu): output "h": the name is already defined`, add(&onnx.Node{Name: "again", OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"h"}})},
		{"value named as an input", `output "x": the name is already defined`, add(node("Relu", "h", "x"))},
		{"value named as an initializer", `output "w": the name is already defined`, add(node("Relu", "h", "w"))},
		{"undefined input", `node of "q" (Relu): input "nowhere" is not defined`, add(node("Relu", "nowhere", "q"))},
		{"omitted input and output", "", add(node("Clip", "h - x", "q"))},
		{"no op_type", ": no op_type", add(node("", "h", "q"))},
		{"unknown domain", `domain "my" is not imported`, add(node("my.Op", "h", "q"))},
		{"domain ai.onnx", "", add(&onnx.Node{OpType: "Relu", Domain: "ai.onnx", Inputs: []string{"h"}, Outputs: []string{"q"}})},
		{"order", `node "h" (MatMul): input "later" is produced by a later node`, func(m *onnx.Model) {
			m.Graph.Nodes[0].Inputs[0] = "later"
			add(node("Relu", "x", "later"))(m)
		}},
		{"cycle of one", `node "h" (MatMul): input "h" depends on the node itself (cycle)`, func(m *onnx.Model) { m.Graph.Nodes[0].Inputs[0] = "h" }},
		{"cycle of three", `node "h" (MatMul): input "y" depends on the node itself (cycle)`, func(m *onnx.Model) { m.Graph.Nodes[0].Inputs[0] = "y" }},
		{"output not produced", `nothing produces graph output "q"`, func(m *onnx.Model) { m.Graph.Outputs[0] = &onnx.ValueInfo{Name: "q"} }},
		{"output twice", `graph output "y" is listed twice`, func(m *onnx.Model) { m.Graph.Outputs[1] = m.Graph.Outputs[0] }},
		{"nil node", "node 4 is nil", add(nil)},
		{"nil input", "a graph input is nil", func(m *onnx.Model) { m.Graph.Inputs[0] = nil }},
		{"value_info without name", "value_info without a name", func(m *onnx.Model) { m.Graph.ValueInfo[0].Name = "" }},
		{"value of unknown type", "element type 200", func(m *onnx.Model) { m.Graph.ValueInfo[0].Type.Elem = 200 }},
		{"dimension", "dimension 0 is", func(m *onnx.Model) { m.Graph.ValueInfo[0].Type.Shape[0] = onnx.Dim{Value: -7} }},

		{"attribute twice", `attribute "alpha" occurs twice`, func(m *onnx.Model) {
			m.Graph.Nodes[2].Attrs = append(m.Graph.Nodes[2].Attrs, onnx.AttrI("alpha", 1))
		}},
		{"attribute without name", ": no name", attr(onnx.AttrI("", 1))},
		{"attribute without type", "no valid type (0)", attr(&onnx.Attribute{Name: "a", Int: 1})},
		{"attribute of another type", `attribute "a": it is of type INT and has a value of type FLOAT`, attr(&onnx.Attribute{Name: "a", Type: onnx.AttrInt, Float: 1})},
		{"attribute without value", `attribute "a": it is of type TENSOR and has no value`, attr(&onnx.Attribute{Name: "a", Type: onnx.AttrTensor})},
		{"attribute of zero", "", attr(onnx.AttrI("a", 0))},
		{"reference outside of a function", `refers to attribute "b" outside of a function`, attr(onnx.AttrRef("a", onnx.AttrInt, "b"))},
		{"attribute tensor", `attribute "a": shape [1] of float32 takes 4 bytes`, attr(&onnx.Attribute{Name: "a", Type: onnx.AttrTensor, Tensor: &onnx.Tensor{DType: tensor.Float32, Dims: []int64{1}}})},
		{"attribute tensors", "", attr(&onnx.Attribute{Name: "a", Type: onnx.AttrTensors, Tensors: []*onnx.Tensor{onnx.NewTensor("", one)}})},

		{"body sees outer values", "", attr(body(node("Relu", "x", "r")))},
		{"body does not see later values", `attribute "then_branch": node of "r" (Relu): input "y" is not defined`, attr(body(node("Relu", "y", "r")))},
		{"body output", `nothing produces graph output "r"`, attr(body())},
		{"values of a body stay inside", `input "inner" is not defined`, func(m *onnx.Model) {
			attr(body(node("Relu", "x", "inner"), node("Relu", "inner", "r")))(m)
			add(node("Relu", "inner", "q"))(m)
		}},
		{"body in a body", `attribute "then_branch": node of "r" (If): attribute "then_branch": node of "r" (Relu): input "nowhere"`,
			attr(body(node("If", "x", "r", body(node("Relu", "nowhere", "r")))))},

		{"sparse", "", func(m *onnx.Model) {
			m.Graph.Sparse = []*onnx.SparseTensor{sparse(pos([]int{2, 2}, 0, 1, 1, 0), 2, 2)}
		}},
		{"sparse flat", "", func(m *onnx.Model) { m.Graph.Sparse = []*onnx.SparseTensor{sparse(idx(0, 3), 2, 2)} }},
		{"sparse out of shape", "out of order or out of shape", func(m *onnx.Model) { m.Graph.Sparse = []*onnx.SparseTensor{sparse(idx(0, 4), 2, 2)} }},
		{"sparse out of order", "out of order", func(m *onnx.Model) { m.Graph.Sparse = []*onnx.SparseTensor{sparse(idx(3, 0), 2, 2)} }},
		{"sparse twice", "out of order", func(m *onnx.Model) { m.Graph.Sparse = []*onnx.SparseTensor{sparse(idx(1, 1), 2, 2)} }},
		{"sparse coordinate", "index 2 of element 1", func(m *onnx.Model) {
			m.Graph.Sparse = []*onnx.SparseTensor{sparse(pos([]int{2, 2}, 0, 1, 1, 2), 2, 2)}
		}},
		{"sparse indices", "do not fit", func(m *onnx.Model) { m.Graph.Sparse = []*onnx.SparseTensor{sparse(idx(0, 1, 2), 2, 2)} }},
		{"sparse overflow", "shape", func(m *onnx.Model) { m.Graph.Sparse = []*onnx.SparseTensor{sparse(idx(0, 1), 1<<40, 1<<40)} }},

		{"function", "", function(&onnx.Function{Name: "F", Inputs: []string{"a"}, Outputs: []string{"b"}, Attributes: []string{"k"},
			Nodes: []*onnx.Node{node("Elu", "a", "b", onnx.AttrRef("alpha", onnx.AttrFloat, "k"))}})},
		{"function reference", `attribute "j", which the function does not have`, function(&onnx.Function{Name: "F", Inputs: []string{"a"}, Outputs: []string{"b"},
			Nodes: []*onnx.Node{node("Elu", "a", "b", onnx.AttrRef("alpha", onnx.AttrFloat, "j"))}})},
		{"function output", `function "F": nothing produces output "b"`, function(&onnx.Function{Name: "F", Outputs: []string{"b"}})},
		{"function sees no graph values", `function "F": node of "b" (Exp): input "x" is not defined`, function(&onnx.Function{Name: "F", Outputs: []string{"b"}, Nodes: []*onnx.Node{node("Exp", "x", "b")}})},
		{"function without name", "a function has no name", function(&onnx.Function{})},
		{"function imports", `function "F": no operator set is imported`, function(&onnx.Function{Name: "F", Opsets: []onnx.OpsetID{}})},
		{"function twice", `function "F" is defined twice`, func(m *onnx.Model) {
			for range 2 {
				function(&onnx.Function{Name: "F"})(m)
			}
		}},
	}
	for _, c := range tests {
		m := small(t)
		c.change(m)
		err := onnx.Check(m)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestCheckStopsCounting(t *testing.T) {
	m := small(t)
	for i := range 20000 {
		m.Graph.Nodes = append(m.Graph.Nodes, node("Relu", fmt.Sprintf("q%d", i+1), fmt.Sprintf("q%d", i)))
	}
	err := onnx.Check(m)
	if err == nil || !strings.HasSuffix(err.Error(), "and 19980 more") || strings.Count(err.Error(), "\n") > 21 {
		t.Errorf("20000 mistakes: %.3000v", err)
	}
	loop := &onnx.Graph{Name: "g"}
	loop.Nodes = []*onnx.Node{{OpType: "If", Attrs: []*onnx.Attribute{onnx.AttrG("then_branch", loop)}}}
	if err := onnx.Check(&onnx.Model{IRVersion: 8, Opsets: m.Opsets, Graph: loop}); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("a graph inside itself: %.200v", err)
	}
}

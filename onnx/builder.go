package onnx

import (
	"errors"
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// Builder makes a model node by node. Mistakes are remembered and reported by
// [Builder.Model]. A Builder is for one goroutine.
//
//	b := onnx.NewBuilder(17)
//	x := b.Input("x", tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(784))
//	w := b.Initializer("w", weights)
//	y := b.Op("MatMul", "y", []string{x, w})
//	b.Output(y, tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(32))
//	m, err := b.Model()
type Builder struct {
	model *Model
	used  map[string]bool // names of values
	nodes map[string]bool // names of nodes
	errs  []error
}

// NewBuilder starts a model of the given version of the standard operators, in the IR
// version that came with it.
func NewBuilder(opset int64) *Builder {
	return &Builder{
		model: &Model{IRVersion: IRVersionFor(opset), Opsets: []OpsetID{{Version: opset}}, Graph: &Graph{Name: "graph"}},
		used:  map[string]bool{},
		nodes: map[string]bool{},
	}
}

// IRVersionFor returns the IR version of the ONNX release that introduced a version of the
// standard operators (https://github.com/onnx/onnx/blob/main/docs/Versioning.md), at least
// 4, the first with initializers that are not inputs.
func IRVersionFor(opset int64) int64 {
	first := []struct{ opset, ir int64 }{{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7}, {11, 6}, {10, 5}}
	for _, f := range first {
		if opset >= f.opset {
			return f.ir
		}
	}
	return 4
}

func (b *Builder) define(name, what string) {
	if name == "" {
		b.errs = append(b.errs, errorf("%s without a name", what))
	} else if b.used[name] {
		b.errs = append(b.errs, errorf("%s %q: the name is taken", what, name))
	}
	b.used[name] = true
}

// Fresh returns a name of a value that is not taken: base itself, or base with a number.
// The name counts as taken only once it is defined.
func (b *Builder) Fresh(base string) string { return fresh(base, b.used) }

func fresh(base string, used map[string]bool) string {
	name := base
	for i := 1; name == "" || used[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	return name
}

// Name sets the graph's name.
func (b *Builder) Name(name string) { b.model.Graph.Name = name }

// Opset imports a domain's operators.
func (b *Builder) Opset(domain string, version int64) {
	b.model.Opsets = append(b.model.Opsets, OpsetID{domain, version})
}

// Metadata appends to the model's metadata_props.
func (b *Builder) Metadata(key, value string) {
	b.model.Metadata = append(b.model.Metadata, StringPair{key, value})
}

// Input declares a graph input and returns its name.
func (b *Builder) Input(name string, dtype tensor.DType, dims ...Dim) string {
	b.define(name, "input")
	b.model.Graph.Inputs = append(b.model.Graph.Inputs, NewValueInfo(name, dtype, dims...))
	return name
}

// Output makes a value a graph output. The value may be defined before or after.
func (b *Builder) Output(name string, dtype tensor.DType, dims ...Dim) {
	b.model.Graph.Outputs = append(b.model.Graph.Outputs, NewValueInfo(name, dtype, dims...))
}

// Value declares the type of a value inside the graph.
func (b *Builder) Value(name string, dtype tensor.DType, dims ...Dim) {
	b.model.Graph.ValueInfo = append(b.model.Graph.ValueInfo, NewValueInfo(name, dtype, dims...))
}

// Initializer adds a constant, which shares v's memory, and returns its name.
func (b *Builder) Initializer(name string, v *tensor.Tensor) string {
	b.define(name, "initializer")
	if v == nil {
		b.errs = append(b.errs, errorf("initializer %q has no value", name))
		return name
	}
	b.model.Graph.Initializers = append(b.model.Graph.Initializers, NewTensor(name, v))
	return name
}

// Op adds a node of the standard domain with one output and returns the output's name.
// An empty output name is replaced by a fresh one. The node is named after its output.
func (b *Builder) Op(opType, output string, inputs []string, attrs ...*Attribute) string {
	if output == "" {
		output = b.Fresh(opType + "_out")
	}
	b.Node(&Node{OpType: opType, Inputs: inputs, Outputs: []string{output}, Attrs: attrs})
	return output
}

// Node adds a node and returns its outputs. A node without a name is named after its first
// output, or its operator.
func (b *Builder) Node(n *Node) []string {
	for _, o := range n.Outputs {
		if o != "" {
			b.define(o, fmt.Sprintf("output of %s", n.OpType))
		}
	}
	if n.Name == "" {
		base := n.OpType
		if len(n.Outputs) > 0 && n.Outputs[0] != "" {
			base = n.Outputs[0]
		}
		n.Name = fresh(base, b.nodes)
	}
	b.nodes[n.Name] = true
	b.model.Graph.Nodes = append(b.model.Graph.Nodes, n)
	return n.Outputs
}

// Function adds a function to the model.
func (b *Builder) Function(f *Function) { b.model.Functions = append(b.model.Functions, f) }

// Graph returns the graph built so far, for use as the body of If, Loop or Scan in another
// builder; it is not checked.
func (b *Builder) Graph() *Graph { return b.model.Graph }

// Model returns the finished model, checked by [Check]. The builder must not be used
// afterwards.
func (b *Builder) Model() (*Model, error) {
	if err := errors.Join(b.errs...); err != nil {
		return nil, errorf("onnx: build: %w", err)
	}
	if err := Check(b.model); err != nil {
		return nil, err
	}
	return b.model, nil
}

// NewTensor returns a TensorProto that shares v's memory.
func NewTensor(name string, v *tensor.Tensor) *Tensor {
	t := &Tensor{Name: name, DType: v.DType(), Value: v}
	for _, d := range v.Shape() {
		t.Dims = append(t.Dims, int64(d))
	}
	return t
}

// NewValueInfo describes a tensor value. Without dims it is a scalar.
func NewValueInfo(name string, dtype tensor.DType, dims ...Dim) *ValueInfo {
	return &ValueInfo{Name: name, Type: Type{Kind: KindTensor, Elem: dtype, HasShape: true, Shape: dims}}
}

// AttrI returns an attribute of type INT.
func AttrI(name string, v int64) *Attribute { return &Attribute{Name: name, Type: AttrInt, Int: v} }

// AttrF returns an attribute of type FLOAT.
func AttrF(name string, v float32) *Attribute {
	return &Attribute{Name: name, Type: AttrFloat, Float: v}
}

// AttrS returns an attribute of type STRING.
func AttrS(name, v string) *Attribute {
	return &Attribute{Name: name, Type: AttrString, String: []byte(v)}
}

// AttrIs returns an attribute of type INTS.
func AttrIs(name string, v ...int64) *Attribute {
	return &Attribute{Name: name, Type: AttrInts, Ints: v}
}

// AttrFs returns an attribute of type FLOATS.
func AttrFs(name string, v ...float32) *Attribute {
	return &Attribute{Name: name, Type: AttrFloats, Floats: v}
}

// AttrSs returns an attribute of type STRINGS.
func AttrSs(name string, v ...string) *Attribute {
	a := &Attribute{Name: name, Type: AttrStrings}
	for _, s := range v {
		a.Strings = append(a.Strings, []byte(s))
	}
	return a
}

// AttrT returns an attribute of type TENSOR that shares v's memory.
func AttrT(name string, v *tensor.Tensor) *Attribute {
	return &Attribute{Name: name, Type: AttrTensor, Tensor: NewTensor("", v)}
}

// AttrG returns an attribute of type GRAPH.
func AttrG(name string, v *Graph) *Attribute {
	return &Attribute{Name: name, Type: AttrGraph, Graph: v}
}

// AttrRef returns, for a node in a function's body, an attribute whose value is that of the
// function's attribute ref.
func AttrRef(name string, t AttrType, ref string) *Attribute {
	return &Attribute{Name: name, Type: t, RefName: ref}
}

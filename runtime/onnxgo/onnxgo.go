// Package onnxgo runs models of programs written for github.com/owulveryck/onnx-go on this
// module's kernels. Such a program changes one line:
//
//	backend := onnxgo.New() // was: gorgonnx.NewGraph()
//	model := onnx.NewModel(backend)
//	err := model.UnmarshalBinary(b)
//	err = model.SetInput(0, x)
//	err = backend.Run()
//	outputs, err := model.GetOutputTensors()
//
// Run may be called any number of times, with other inputs and other shapes between; it
// depends on nothing but the inputs, and earlier outputs stay as they were.
//
// onnx-go does not tell its backends the version of the operators that a file uses. Unless
// [Opset] says so, the lowest version from 9 (that of onnx-go's own tests) upwards under
// which every operator of the model is valid is taken, then those below 9. Where operators
// changed their meaning and not their form (Softmax in version 13), only Opset is right.
package onnxgo

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	onnxgo "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/iterator"
	gorgonia "gorgonia.org/tensor"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Graph is a computation backend of onnx-go. It is not safe for concurrent use.
type Graph struct {
	nodes   []*node // by ID
	ops     []*operation
	opset   int64 // 0: find out
	options runtime.Options

	plan *compiled // nil before the first Run, and after a change
	ran  bool
}

var _ backend.ComputationBackend = (*Graph)(nil)

// Option configures a Graph.
type Option func(*Graph)

// Opset says which version of the standard operators the model uses.
func Opset(version int64) Option { return func(g *Graph) { g.opset = version } }

// Options sets the options of the sessions that run the model: threads, limits and others.
func Options(o runtime.Options) Option { return func(g *Graph) { g.options = o } }

// New returns an empty graph, for onnx.NewModel of onnx-go.
func New(options ...Option) *Graph {
	g := &Graph{}
	for _, o := range options {
		o(g)
	}
	return g
}

// operation is one operator with the values that it reads and gives.
type operation struct {
	op      onnxgo.Operation
	inputs  []*node // nil: omitted
	outputs []*node
}

// node is a value of the graph. It is the DataCarrier and Namer of onnx-go.
type node struct {
	g     *Graph
	id    int64
	name  string
	value gorgonia.Tensor
	// declared is the element type that the file declares, Undefined if it does not.
	declared tensor.DType
	// inputs are those of the operation that gives this value, by position.
	inputs map[int]*node
	op     *operation // nil for inputs and constants
	used   bool       // some operation reads the value
	input  bool       // set after the graph was built: not a constant
	stale  bool       // value is from before the last run
}

func (n *node) ID() int64           { return n.id }
func (n *node) SetName(name string) { n.name = name }
func (n *node) GetName() string     { return n.name }
func (n *node) produced() bool      { return n.op != nil }

// omitted reports whether the node stands for optional inputs that are left out.
func (n *node) omitted() bool { return n.name == "" && n.op == nil && n.value == nil }

// placeholder reports whether onnx-go made the node up as the input of an operator that has
// none.
func (n *node) placeholder() bool {
	return n.op == nil && n.value == nil && strings.HasSuffix(n.name, "/input")
}

// SetTensor gives the node a value. The tensor is read when the graph runs. An input may
// have another element type than the file declares, if that type can hold all its elements.
func (n *node) SetTensor(t gorgonia.Tensor) error {
	if t == nil {
		return errors.New("onnxgo: nil tensor")
	}
	if n.produced() {
		n.value = t
		return nil
	}
	if len(n.g.ops) > 0 && !n.input {
		n.input = true
		n.g.plan = nil
	}
	if len(n.g.ops) == 0 {
		n.declared = dtypeOf(t.Dtype())
	}
	n.value = t
	return nil
}

// GetTensor returns the node's value: after a run, what it computed. Values that no output
// of the graph needs are computed here. It is nil for a value that cannot be computed.
func (n *node) GetTensor() gorgonia.Tensor {
	if n.stale {
		if err := n.g.compute(n); err != nil {
			return nil
		}
	}
	return n.value
}

// NewNode returns a node that is not part of the graph yet.
func (g *Graph) NewNode() graph.Node { return &node{g: g, id: int64(len(g.nodes))} }

// AddNode adds a node that NewNode returned. It panics, as package gonum/graph demands, if
// the graph has a node with that ID.
func (g *Graph) AddNode(n graph.Node) {
	v, ok := n.(*node)
	if !ok || v.g != g || v.id != int64(len(g.nodes)) {
		panic("onnxgo: AddNode of a node that NewNode of this graph did not just return")
	}
	g.nodes = append(g.nodes, v)
	g.plan = nil
}

// node returns the node with an ID, or nil.
func (g *Graph) node(id int64) *node {
	if id < 0 || id >= int64(len(g.nodes)) {
		return nil
	}
	return g.nodes[id]
}

// Node returns the node with an ID, or nil.
func (g *Graph) Node(id int64) graph.Node {
	if n := g.node(id); n != nil {
		return n
	}
	return nil
}

// Nodes returns all nodes, in the order of their IDs.
func (g *Graph) Nodes() graph.Nodes { return list(g.nodes) }

func list(nodes []*node) graph.Nodes {
	if len(nodes) == 0 {
		return graph.Empty
	}
	out := make([]graph.Node, len(nodes))
	for i, n := range nodes {
		out[i] = n
	}
	return iterator.NewOrderedNodes(out)
}

// edge runs from a value to one that it is computed from, as onnx-go has it; the weight is
// the position among the inputs.
type edge struct {
	from, to graph.Node
	weight   float64
}

func (e edge) From() graph.Node         { return e.from }
func (e edge) To() graph.Node           { return e.to }
func (e edge) Weight() float64          { return e.weight }
func (e edge) ReversedEdge() graph.Edge { return edge{e.to, e.from, e.weight} }

// NewWeightedEdge returns an edge that is not part of the graph yet.
func (g *Graph) NewWeightedEdge(from, to graph.Node, w float64) graph.WeightedEdge {
	return edge{from, to, w}
}

// SetWeightedEdge makes e.To() the input of e.From() at the position that the weight is.
func (g *Graph) SetWeightedEdge(e graph.WeightedEdge) {
	from, to := g.node(e.From().ID()), g.node(e.To().ID())
	w := e.Weight()
	if from == nil || to == nil || !(w >= 0 && w < math.MaxInt32) || w != math.Trunc(w) {
		panic(fmt.Sprintf("onnxgo: edge from %v to %v with weight %v", e.From(), e.To(), w))
	}
	if from.inputs == nil {
		from.inputs = map[int]*node{}
	}
	from.inputs[int(w)] = to
	to.used = true
	g.plan = nil
}

// From returns the values that a value is computed from.
func (g *Graph) From(id int64) graph.Nodes {
	n := g.node(id)
	if n == nil {
		return graph.Empty
	}
	var out []*node
	for _, k := range positions(n) {
		if in := n.inputs[k]; !slices.Contains(out, in) {
			out = append(out, in)
		}
	}
	return list(out)
}

// positions returns the positions of n's inputs in ascending order.
func positions(n *node) []int {
	var ks []int
	for k := range n.inputs {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// To returns the values that are computed from a value.
func (g *Graph) To(id int64) graph.Nodes {
	var out []*node
	for _, n := range g.nodes {
		if g.HasEdgeFromTo(n.id, id) {
			out = append(out, n)
		}
	}
	return list(out)
}

// HasEdgeBetween reports whether one of two values is computed from the other.
func (g *Graph) HasEdgeBetween(x, y int64) bool {
	return g.HasEdgeFromTo(x, y) || g.HasEdgeFromTo(y, x)
}

// HasEdgeFromTo reports whether u is computed from v.
func (g *Graph) HasEdgeFromTo(u, v int64) bool { return g.Edge(u, v) != nil }

// Edge returns the edge from u to v, or nil. Where v is several inputs of u, it is the first.
func (g *Graph) Edge(u, v int64) graph.Edge {
	n := g.node(u)
	if n == nil {
		return nil
	}
	for _, k := range positions(n) {
		if n.inputs[k].id == v {
			return edge{n, n.inputs[k], float64(k)}
		}
	}
	return nil
}

// ApplyOperation makes an operator compute the nodes from the inputs that the edges of each
// say.
func (g *Graph) ApplyOperation(o onnxgo.Operation, ns ...graph.Node) error {
	if len(ns) == 0 {
		return fmt.Errorf("onnxgo: operator %s without outputs", o.Name)
	}
	op := &operation{op: o}
	for _, gn := range ns {
		n := g.node(gn.ID())
		if n == nil {
			return fmt.Errorf("onnxgo: operator %s: output is not a node of the graph", o.Name)
		}
		if n.op != nil {
			return fmt.Errorf("onnxgo: value %q is computed twice", n.name)
		}
		op.outputs = append(op.outputs, n)
	}
	first := op.outputs[0]
	for _, k := range positions(first) {
		for len(op.inputs) <= k {
			op.inputs = append(op.inputs, nil)
		}
		if in := first.inputs[k]; !in.omitted() {
			op.inputs[k] = in
		}
	}
	// For an operator without inputs onnx-go makes up one, which never gets a value.
	if len(op.inputs) == 1 && op.inputs[0] != nil && op.inputs[0].placeholder() {
		op.inputs = nil
	}
	for _, n := range op.outputs {
		n.op = op
	}
	g.ops = append(g.ops, op)
	g.plan = nil
	return nil
}

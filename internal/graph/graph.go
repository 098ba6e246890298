// Package graph is the typed, indexed form of an ONNX graph that passes rewrite, that
// training differentiates, and from which plans are built.
//
// Values are numbered; each has at most one producer. Nodes are in topological order and
// hold their operator with its attributes parsed. Old forms of operators have been brought
// to the newest one that this module knows, so that nothing behind this package looks at
// opset versions.
//
// A Graph is not safe for concurrent modification.
package graph

import (
	"errors"
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// ValueID is the index of a value in [Graph.Values].
type ValueID int32

// None stands for an omitted input or an unwanted output.
const None ValueID = -1

// Kind says where a value comes from and who may change it.
type Kind uint8

// Kinds of values.
const (
	Activation Kind = iota // computed by a node
	Input                  // given by the caller
	Constant               // never changes: may be folded and packed
	Variable               // a parameter being trained: read from Data in each run, never folded
	State                  // carried from step to step: read from Data, replaced by a Commit
)

func (k Kind) String() string {
	return [...]string{"activation", "input", "constant", "variable", "state"}[k]
}

// Value is one value of the graph.
type Value struct {
	Name string
	Kind Kind
	Type onnx.Type      // as declared in the model; may be empty for activations
	Data *tensor.Tensor // of constants, variables and state
	// Origin is the name of the initializer that Data was made from, through folds and
	// transposes; empty where there is no single one.
	Origin string
}

// Node is one application of an operator.
type Node struct {
	Name   string
	Domain string
	OpType string
	Attrs  []*onnx.Attribute
	Op     op.Op
	In     []ValueID
	Out    []ValueID
	// Opset is the version of the domain in whose terms Attrs are written.
	Opset int
	// Bodies are the sub-graphs of control-flow nodes, by attribute name. Values that they
	// capture are the last of In, in the order of each body's Captured.
	Bodies map[string]*Graph
}

// Commit says that a state takes the value that From has at the end of a step.
type Commit struct{ State, From ValueID }

// Graph is a typed graph.
type Graph struct {
	Name     string
	Values   []*Value
	Nodes    []*Node
	Inputs   []ValueID
	Outputs  []ValueID
	Commits  []Commit
	Opsets   map[string]int
	Set      op.Set
	Captured []string // of a body: names of outer values, which are its last inputs

	body BodyFunc
	// legacy lists, while the graph is built, nodes that align what they broadcast.
	legacy []alignment
	names  map[string]ValueID
	fresh  int

	folding *op.FoldBudget // nil until something is folded
	late    bool
}

// BodyFunc compiles the body of a control-flow operator. [plan.Body] is one.
type BodyFunc func(g *Graph) (op.Body, error)

// Config says how a graph is built.
type Config struct {
	Set  op.Set
	Body BodyFunc // nil: models with control flow are refused
	// Late is for graphs whose constants are mostly packed, and do not change: large weights
	// that passes scale or transpose are computed when they are read. See package late.
	Late bool
}

// Value returns the value with that id.
func (g *Graph) Value(id ValueID) *Value { return g.Values[id] }

// Lookup returns the value of that name, or None.
func (g *Graph) Lookup(name string) ValueID {
	if id, ok := g.names[name]; ok {
		return id
	}
	return None
}

// AddValue adds a value and returns its id. An empty name, or one that is taken, is
// replaced by a new one derived from it.
func (g *Graph) AddValue(v Value) ValueID {
	if g.names == nil {
		g.names = map[string]ValueID{}
	}
	base := v.Name
	if base == "" {
		base = "value"
	}
	_, taken := g.names[v.Name]
	for v.Name == "" || taken {
		g.fresh++
		v.Name = fmt.Sprintf("%s_%d", base, g.fresh)
		_, taken = g.names[v.Name]
	}
	id := ValueID(len(g.Values))
	g.Values = append(g.Values, &v)
	g.names[v.Name] = id
	return id
}

// Rename gives a value another name, which must be free.
func (g *Graph) Rename(id ValueID, name string) error {
	if other, ok := g.names[name]; ok && other != id {
		return errorf("graph: the name %q is taken", name)
	}
	delete(g.names, g.Values[id].Name)
	g.Values[id].Name = name
	g.names[name] = id
	return nil
}

// AddConst adds a constant.
func (g *Graph) AddConst(name string, t *tensor.Tensor) ValueID {
	return g.AddValue(Value{Name: name, Kind: Constant, Data: t, Type: TypeOf(t)})
}

// AddInput adds a graph input.
func (g *Graph) AddInput(name string, dtype tensor.DType, dims ...onnx.Dim) ValueID {
	id := g.AddValue(Value{Name: name, Kind: Input, Type: onnx.Type{Kind: onnx.KindTensor, Elem: dtype, HasShape: true, Shape: dims}})
	g.Inputs = append(g.Inputs, id)
	return id
}

// TypeOf returns the ONNX type of a tensor.
func TypeOf(t *tensor.Tensor) onnx.Type {
	ty := onnx.Type{Kind: onnx.KindTensor, Elem: t.DType(), HasShape: true}
	for _, d := range t.Shape() {
		ty.Shape = append(ty.Shape, onnx.FixedDim(int64(d)))
	}
	return ty
}

// Spec describes a node to add.
type Spec struct {
	Name    string
	Domain  string
	OpType  string
	Attrs   []*onnx.Attribute
	In      []ValueID
	Out     []ValueID // existing values to produce; nil makes Outputs new ones
	Outputs int       // number of new outputs where Out is nil; 0 means 1
	OutName string    // name of the first new output
	// Opset is the version of the domain in whose terms Attrs are written; 0 means that of
	// the graph.
	Opset int
}

// Make returns the node that a Spec describes, without adding it to g.Nodes. New output
// values are added to g.
func (g *Graph) Make(s Spec) (*Node, error) {
	opset, ok := g.Opsets[s.Domain]
	if !ok {
		opset = NewestOpset(g.Set, s.Domain)
		g.Opsets[s.Domain] = opset
	}
	if s.Opset != 0 {
		opset = s.Opset
	}
	out := s.Out
	if out == nil {
		for i := range max(1, s.Outputs) {
			name := ""
			if i == 0 {
				name = s.OutName
			}
			if name == "" {
				name = s.OpType + "_out"
			}
			out = append(out, g.AddValue(Value{Name: name}))
		}
	}
	n := &Node{Name: s.Name, Domain: s.Domain, OpType: s.OpType, Attrs: s.Attrs, In: s.In, Out: out, Opset: opset}
	if err := g.makeOp(n, nil); err != nil {
		return nil, errorf("node %q (%s): %w", s.Name, s.OpType, err)
	}
	return n, nil
}

// Add makes a node and appends it. Its inputs must be produced by nodes that are already
// there.
func (g *Graph) Add(s Spec) (*Node, error) {
	n, err := g.Make(s)
	if err != nil {
		return nil, err
	}
	g.Nodes = append(g.Nodes, n)
	return n, nil
}

// makeOp sets n.Op from n's attributes, in the terms of n.Opset.
func (g *Graph) makeOp(n *Node, bodies map[string]op.Body) error {
	on := &onnx.Node{Name: n.Name, Domain: n.Domain, OpType: n.OpType, Attrs: n.Attrs}
	for _, id := range n.In {
		on.Inputs = append(on.Inputs, g.nameOf(id))
	}
	for _, id := range n.Out {
		on.Outputs = append(on.Outputs, g.nameOf(id))
	}
	o, err := g.Set.Make(op.NewAttrs(on, n.Opset, bodies))
	if err != nil {
		return err
	}
	n.Op = o
	return nil
}

func (g *Graph) nameOf(id ValueID) string {
	if id == None {
		return ""
	}
	return g.Values[id].Name
}

// NewestOpset returns the highest version at which an operator of the domain changed.
func NewestOpset(s op.Set, domain string) int {
	v := 1
	for k, vs := range s {
		if k.Domain == domain && len(vs) > 0 {
			v = max(v, vs[len(vs)-1].Since)
		}
	}
	return v
}

// Producers returns, for each value, the index of the node that produces it, or -1.
func (g *Graph) Producers() []int {
	p := make([]int, len(g.Values))
	for i := range p {
		p[i] = -1
	}
	for i, n := range g.Nodes {
		for _, o := range n.Out {
			if o != None {
				p[o] = i
			}
		}
	}
	return p
}

// Uses returns, for each value, how often it is read: by nodes, as a graph output and by
// commits.
func (g *Graph) Uses() []int {
	u := make([]int, len(g.Values))
	for _, n := range g.Nodes {
		for _, i := range n.In {
			if i != None {
				u[i]++
			}
		}
	}
	for _, o := range g.Outputs {
		u[o]++
	}
	for _, c := range g.Commits {
		u[c.From]++
	}
	return u
}

// Replace makes every reader of old, graph outputs included, read new. Where old is a
// graph output, the caller has to see to the output's name.
func (g *Graph) Replace(old, new ValueID) {
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if v == old {
				n.In[i] = new
			}
		}
	}
	for i, v := range g.Outputs {
		if v == old {
			g.Outputs[i] = new
		}
	}
	for i, c := range g.Commits {
		if c.From == old {
			g.Commits[i].From = new
		}
	}
}

// Clone returns a graph that can be changed without changing g. Operators, attributes and
// data are shared: passes replace them, they do not change them.
func (g *Graph) Clone() *Graph {
	c := *g
	if g.folding != nil {
		left := *g.folding
		c.folding = &left
	}
	c.Values = make([]*Value, len(g.Values))
	c.names = make(map[string]ValueID, len(g.names))
	for i, v := range g.Values {
		w := *v
		c.Values[i] = &w
		c.names[w.Name] = ValueID(i)
	}
	c.Nodes = make([]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		m := *n
		m.In, m.Out = slices.Clone(n.In), slices.Clone(n.Out)
		c.Nodes[i] = &m
	}
	c.Inputs, c.Outputs = slices.Clone(g.Inputs), slices.Clone(g.Outputs)
	c.Commits = slices.Clone(g.Commits)
	c.Opsets = make(map[string]int, len(g.Opsets))
	for k, v := range g.Opsets {
		c.Opsets[k] = v
	}
	return &c
}

// Sort brings the nodes into topological order, keeping the present order where it can.
func (g *Graph) Sort() error {
	prod := g.Producers()
	const (
		unseen = iota
		open
		done
	)
	mark := make([]byte, len(g.Nodes))
	order := make([]*Node, 0, len(g.Nodes))
	type frame struct{ node, next int }
	for root := range g.Nodes {
		if mark[root] != unseen {
			continue
		}
		stack := []frame{{root, 0}}
		mark[root] = open
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			n := g.Nodes[f.node]
			if f.next == len(n.In) {
				mark[f.node] = done
				order = append(order, n)
				stack = stack[:len(stack)-1]
				continue
			}
			in := n.In[f.next]
			f.next++
			if in == None || prod[in] < 0 {
				continue
			}
			switch p := prod[in]; mark[p] {
			case open:
				return errorf("graph: node %q is part of a cycle", g.Nodes[p].Name)
			case unseen:
				mark[p] = open
				stack = append(stack, frame{p, 0})
			}
		}
	}
	g.Nodes = order
	return nil
}

// RemoveDead removes the nodes that no output and no commit depends on.
func (g *Graph) RemoveDead() {
	live := make([]bool, len(g.Values))
	for _, o := range g.Outputs {
		live[o] = true
	}
	for _, c := range g.Commits {
		live[c.From] = true
	}
	kept := make([]*Node, 0, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if !slices.ContainsFunc(n.Out, func(o ValueID) bool { return o != None && live[o] }) {
			continue
		}
		for _, in := range n.In {
			if in != None {
				live[in] = true
			}
		}
		kept = append(kept, n)
	}
	slices.Reverse(kept)
	g.Nodes = kept
}

// ErrNotConstant is returned where a value is needed while the graph is being rewritten
// and it is not a constant.
var ErrNotConstant = errors.New("graph: value is not a constant")

// ConstOf returns the data of a constant.
func (g *Graph) ConstOf(id ValueID) (*tensor.Tensor, error) {
	if id == None || g.Values[id].Kind != Constant || g.Values[id].Data == nil {
		return nil, ErrNotConstant
	}
	return g.Values[id].Data, nil
}

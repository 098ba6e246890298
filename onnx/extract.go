package onnx

import (
	"fmt"
	"slices"
	"strings"
)

// Extract returns the sub-model that computes the values named outputs from the values named
// inputs, in these orders. An input may be any value of the graph: a graph input, the output
// of a node, or an initializer, whose constant it then replaces. Nodes and initializers that
// the outputs do not need are left out; names, opsets, functions and the model's metadata
// are kept. The types of new inputs and outputs are those that the model declares, none
// where it declares none.
//
// It fails if a name is unknown or given twice, or if an output depends on a graph input
// that is not among inputs. The result shares nodes and tensors with m, which must pass
// [Check].
func Extract(m *Model, inputs, outputs []string) (*Model, error) {
	if m.Graph == nil {
		return nil, errorf("onnx: extract: the model has no graph")
	}
	x := &extraction{g: m.Graph, producer: producers(m.Graph.Nodes), types: map[string]*ValueInfo{}, consts: map[string]bool{}, cut: map[string]bool{}, need: map[string]bool{}}
	x.index()
	if len(outputs) == 0 {
		return nil, errorf("onnx: extract: no outputs")
	}
	for _, in := range inputs {
		if err := x.known(in); err != nil {
			return nil, err
		}
		if x.cut[in] {
			return nil, errorf("onnx: extract: input %q is given twice", in)
		}
		x.cut[in] = true
	}
	seen := map[string]bool{}
	for _, out := range outputs {
		if err := x.known(out); err != nil {
			return nil, err
		}
		if seen[out] {
			return nil, errorf("onnx: extract: output %q is given twice", out)
		}
		seen[out] = true
	}
	keep, err := x.walk(outputs)
	if err != nil {
		return nil, err
	}
	res := *m
	res.Metadata = slices.Clone(m.Metadata)
	res.Graph = x.build(keep, inputs, outputs)
	return &res, nil
}

type extraction struct {
	g        *Graph
	producer map[string]int        // value → node
	types    map[string]*ValueInfo // declared types
	consts   map[string]bool       // initializers
	inputs   map[string]bool       // graph inputs without an initializer
	cut      map[string]bool       // inputs of the sub-model
	need     map[string]bool       // values that the outputs depend on
}

func (x *extraction) index() {
	g := x.g
	for _, t := range g.Initializers {
		x.consts[t.Name] = true
		x.types[t.Name] = initializerType(t.Name, t, t.Dims)
	}
	for _, s := range g.Sparse {
		x.consts[s.Values.Name] = true
		x.types[s.Values.Name] = initializerType(s.Values.Name, s.Values, s.Dims)
	}
	for _, vs := range [][]*ValueInfo{g.ValueInfo, g.Outputs, g.Inputs} {
		for _, v := range vs {
			if v.Type.Kind != KindNone || x.types[v.Name] == nil {
				x.types[v.Name] = v
			}
		}
	}
	x.inputs = map[string]bool{}
	for _, v := range g.Inputs {
		if !x.consts[v.Name] {
			x.inputs[v.Name] = true
		}
	}
}

func initializerType(name string, t *Tensor, dims []int64) *ValueInfo {
	v := NewValueInfo(name, t.DType)
	for _, d := range dims {
		v.Type.Shape = append(v.Type.Shape, FixedDim(d))
	}
	return v
}

func (x *extraction) known(name string) error {
	_, produced := x.producer[name]
	if name == "" || !produced && !x.consts[name] && !x.inputs[name] {
		return errorf("onnx: extract: the graph has no value %q%s", name, x.similar(name))
	}
	return nil
}

// similar suggests names that differ only in case or contain the name.
func (x *extraction) similar(name string) string {
	var s []string
	for v := range x.producer {
		if v != "" && name != "" && strings.Contains(strings.ToLower(v), strings.ToLower(name)) {
			s = append(s, v)
		}
	}
	slices.Sort(s)
	if len(s) == 0 || len(s) > 5 {
		return ""
	}
	return fmt.Sprintf(" (there is %s)", strings.Join(s, ", "))
}

// walk follows the outputs back to the cut and returns which nodes are needed.
func (x *extraction) walk(outputs []string) ([]bool, error) {
	keep := make([]bool, len(x.g.Nodes))
	missing := map[string]string{} // graph input → a value that needs it
	type edge struct{ name, user string }
	var todo []edge
	for _, o := range outputs {
		todo = append(todo, edge{o, o})
	}
	for len(todo) > 0 {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if e.name == "" || x.need[e.name] {
			continue
		}
		x.need[e.name] = true
		if x.cut[e.name] {
			continue
		}
		i, ok := x.producer[e.name]
		if !ok {
			if x.inputs[e.name] {
				missing[e.name] = e.user
			}
			continue
		}
		if keep[i] {
			continue
		}
		keep[i] = true
		n := x.g.Nodes[i]
		for _, in := range n.Inputs {
			todo = append(todo, edge{in, e.name})
		}
		for name := range captures(n) {
			todo = append(todo, edge{name, e.name})
		}
	}
	if len(missing) == 0 {
		return keep, nil
	}
	var s []string
	for in, user := range missing {
		s = append(s, fmt.Sprintf("%q (through %q)", in, user))
	}
	slices.Sort(s)
	return nil, errorf("onnx: extract: the outputs depend on graph inputs that are not among the inputs: %s", strings.Join(s, ", "))
}

// captures returns the names that the sub-graphs of a node take from the graphs round them.
func captures(n *Node) map[string]bool {
	found := map[string]bool{}
	for _, a := range n.Attrs {
		if a.Graph != nil {
			captureGraph(a.Graph, nil, found)
		}
		for _, g := range a.Graphs {
			captureGraph(g, nil, found)
		}
	}
	return found
}

func captureGraph(g *Graph, outer *scope, found map[string]bool) {
	s := &scope{outer, map[string]bool{}}
	for _, v := range g.Inputs {
		s.names[v.Name] = true
	}
	for _, t := range g.Initializers {
		s.names[t.Name] = true
	}
	for _, t := range g.Sparse {
		s.names[t.Values.Name] = true
	}
	use := func(name string) {
		if name != "" && !s.has(name) {
			found[name] = true
		}
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			use(in)
		}
		for _, a := range n.Attrs {
			if a.Graph != nil {
				captureGraph(a.Graph, s, found)
			}
			for _, b := range a.Graphs {
				captureGraph(b, s, found)
			}
		}
		for _, out := range n.Outputs {
			s.names[out] = true
		}
	}
	for _, v := range g.Outputs {
		use(v.Name)
	}
}

func (x *extraction) build(keep []bool, inputs, outputs []string) *Graph {
	g := x.g
	sub := &Graph{Name: g.Name, DocString: g.DocString, Metadata: slices.Clone(g.Metadata)}
	have := map[string]bool{}
	for i, n := range g.Nodes {
		if !keep[i] {
			continue
		}
		c := *n
		c.Outputs = slices.Clone(n.Outputs)
		for j, o := range c.Outputs {
			// A node can be needed for one output while another is cut.
			if x.cut[o] {
				c.Outputs[j] = ""
			}
			have[c.Outputs[j]] = true
		}
		sub.Nodes = append(sub.Nodes, &c)
	}
	constant := func(name string) bool { return x.need[name] && !x.cut[name] && x.consts[name] }
	for _, t := range g.Initializers {
		if constant(t.Name) {
			sub.Initializers = append(sub.Initializers, t)
			have[t.Name] = true
		}
	}
	for _, s := range g.Sparse {
		if constant(s.Values.Name) {
			sub.Sparse = append(sub.Sparse, s)
			have[s.Values.Name] = true
		}
	}
	declared := map[string]bool{}
	for _, name := range inputs {
		sub.Inputs = append(sub.Inputs, x.info(name))
		declared[name] = true
	}
	// Initializers that are also graph inputs (all of them in IR version 3) stay inputs.
	for _, v := range g.Inputs {
		if constant(v.Name) {
			sub.Inputs = append(sub.Inputs, v)
			declared[v.Name] = true
		}
	}
	for _, name := range outputs {
		sub.Outputs = append(sub.Outputs, x.info(name))
		declared[name] = true
	}
	for _, vs := range [][]*ValueInfo{g.ValueInfo, g.Outputs} {
		for _, v := range vs {
			if have[v.Name] && !declared[v.Name] {
				sub.ValueInfo = append(sub.ValueInfo, v)
				declared[v.Name] = true
			}
		}
	}
	return sub
}

func (x *extraction) info(name string) *ValueInfo {
	if v := x.types[name]; v != nil {
		return v
	}
	return &ValueInfo{Name: name}
}

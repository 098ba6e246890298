package onnx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aekit/aekit/tensor"
)

// maxCheckErrors is the number of mistakes that Check reports.
const maxCheckErrors = 20

// Check verifies the structure of a model, as onnx.checker does: names are unique and
// defined before their use (in a sub-graph also by the graphs round it), nodes are in
// topological order without cycles, graph outputs are produced, the operators' domains are
// imported, attributes hold the type they declare, tensors have the data that their shapes
// ask for. It knows no operator: whether a node's inputs and attributes are right is not
// its business. Unlike onnx.checker it accepts values without type or shape.
//
// The result joins up to 20 errors (see [errors.Join]), each of which names the place.
func Check(m *Model) error {
	c := &checker{m: m}
	c.model()
	if len(c.errs) == 0 {
		return nil
	}
	if c.more > 0 {
		c.errs = append(c.errs, fmt.Errorf("and %d more", c.more))
	}
	return fmt.Errorf("onnx: invalid model: %w", errors.Join(c.errs...))
}

type checker struct {
	m      *Model
	opsets []OpsetID // imports in force
	errs   []error
	more   int
	depth  int
	inFunc bool
	refs   map[string]bool // attributes of the function whose body is checked
}

func (c *checker) errorf(format string, args ...any) {
	if len(c.errs) == maxCheckErrors {
		c.more++
		return
	}
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// scope is the names that a graph defines, and the scope round it.
type scope struct {
	outer *scope
	names map[string]bool
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if s.names[name] {
			return true
		}
	}
	return false
}

func (c *checker) model() {
	m := c.m
	if m.IRVersion < MinIRVersion || m.IRVersion > MaxIRVersion {
		c.errorf("ir_version %d is not between %d and %d", m.IRVersion, MinIRVersion, MaxIRVersion)
	}
	c.imports("the model", m.Opsets)
	seen := map[string]bool{}
	for _, p := range m.Metadata {
		if seen[p.Key] {
			c.errorf("metadata key %q occurs twice", p.Key)
		}
		seen[p.Key] = true
	}
	c.functions()
	if m.Graph == nil {
		c.errorf("the model has no graph")
		return
	}
	c.opsets = m.Opsets
	if m.Graph.Name == "" {
		c.errorf("the graph has no name")
	}
	c.graph(m.Graph, nil, "")
}

func (c *checker) imports(where string, opsets []OpsetID) {
	if len(opsets) == 0 {
		c.errorf("%s imports no operator set", where)
	}
	seen := map[string]bool{}
	for _, o := range opsets {
		if d := domain(o.Domain); seen[d] {
			c.errorf("%s imports domain %q twice", where, o.Domain)
		} else {
			seen[d] = true
		}
		if o.Version < 1 {
			c.errorf("%s imports version %d of domain %q", where, o.Version, o.Domain)
		}
	}
}

func (c *checker) functions() {
	type key struct{ domain, name, overload string }
	seen := map[key]bool{}
	c.inFunc = true
	defer func() { c.inFunc = false }()
	for _, f := range c.m.Functions {
		where := fmt.Sprintf("function %q", f.Name)
		if f.Name == "" {
			c.errorf("a function has no name")
		}
		k := key{domain(f.Domain), f.Name, f.Overload}
		if seen[k] {
			c.errorf("%s is defined twice", where)
		}
		seen[k] = true
		c.imports(where, f.Opsets)
		c.opsets = f.Opsets
		s := &scope{names: map[string]bool{}}
		for _, in := range f.Inputs {
			c.define(s, in, where+": input")
		}
		c.refs = map[string]bool{}
		for _, a := range f.Attributes {
			if c.refs[a] {
				c.errorf("%s: attribute %q is declared twice", where, a)
			}
			c.refs[a] = true
		}
		for _, a := range f.Defaults {
			if a == nil {
				c.errorf("%s has a nil attribute", where)
				continue
			}
			if c.refs[a.Name] {
				c.errorf("%s: attribute %q is declared twice", where, a.Name)
			}
			c.refs[a.Name] = true
			c.attribute(a, s, where)
		}
		c.nodes(f.Nodes, s, where+": ")
		for _, out := range f.Outputs {
			if !s.has(out) {
				c.errorf("%s: nothing produces output %q", where, out)
			}
		}
	}
	c.refs = nil
}

func (c *checker) define(s *scope, name, what string) {
	switch {
	case name == "":
		c.errorf("%s has no name", what)
	case s.names[name]:
		c.errorf("%s %q: the name is already defined", what, name)
	}
	s.names[name] = true
}

func (c *checker) graph(g *Graph, outer *scope, where string) {
	c.depth++
	defer func() { c.depth-- }()
	if c.depth > maxDepth {
		c.errorf("%sgraphs are nested more than %d deep", where, maxDepth)
		return
	}
	s := &scope{outer, make(map[string]bool, len(g.Nodes)+len(g.Initializers)+len(g.Inputs))}
	for _, v := range g.Inputs {
		if v == nil {
			c.errorf("%sa graph input is nil", where)
			continue
		}
		c.define(s, v.Name, where+"graph input")
		c.valueType(v, where)
	}
	inits := make(map[string]bool, len(g.Initializers))
	initializer := func(name string) {
		switch {
		case name == "":
			c.errorf("%san initializer has no name", where)
		case inits[name]:
			c.errorf("%sinitializer %q is defined twice", where, name)
		case c.m.IRVersion < 4 && outer == nil && !s.names[name]:
			c.errorf("%sinitializer %q is not a graph input, as IR version %d asks", where, name, c.m.IRVersion)
		}
		inits[name] = true
	}
	for _, t := range g.Initializers {
		if t == nil {
			c.errorf("%san initializer is nil", where)
			continue
		}
		initializer(t.Name)
		c.tensor(t, fmt.Sprintf("%sinitializer %q", where, t.Name))
	}
	for _, t := range g.Sparse {
		if t == nil || t.Values == nil {
			c.errorf("%sa sparse initializer is nil", where)
			continue
		}
		initializer(t.Values.Name)
		c.sparse(t, fmt.Sprintf("%ssparse initializer %q", where, t.Values.Name))
	}
	for name := range inits {
		s.names[name] = true
	}
	c.nodes(g.Nodes, s, where)
	outs := map[string]bool{}
	for _, v := range g.Outputs {
		switch {
		case v == nil:
			c.errorf("%sa graph output is nil", where)
			continue
		case v.Name == "":
			c.errorf("%sa graph output has no name", where)
		case outs[v.Name]:
			c.errorf("%sgraph output %q is listed twice", where, v.Name)
		case !s.has(v.Name):
			c.errorf("%snothing produces graph output %q", where, v.Name)
		}
		outs[v.Name] = true
		c.valueType(v, where)
	}
	for _, v := range g.ValueInfo {
		if v == nil || v.Name == "" {
			c.errorf("%sa value_info has no name", where)
			continue
		}
		c.valueType(v, where)
	}
}

// nodeName describes a node for people: its name where it has one, else its first output.
func nodeName(n *Node) string {
	op := n.OpType
	if n.Domain != "" {
		op = n.Domain + "." + op
	}
	if n.Name != "" {
		return fmt.Sprintf("node %q (%s)", n.Name, op)
	}
	for _, o := range n.Outputs {
		if o != "" {
			return fmt.Sprintf("node of %q (%s)", o, op)
		}
	}
	return fmt.Sprintf("node without name (%s)", op)
}

func (c *checker) nodes(nodes []*Node, s *scope, where string) {
	var producer map[string]int // built when an input is not defined in time
	for i, n := range nodes {
		if n == nil {
			c.errorf("%snode %d is nil", where, i)
			continue
		}
		at := where + nodeName(n)
		if n.OpType == "" {
			c.errorf("%s has no op_type", at)
		}
		if !imports(c.opsets, n.Domain) {
			c.errorf("%s: domain %q is not imported", at, n.Domain)
		}
		for _, in := range n.Inputs {
			if in == "" || s.has(in) {
				continue
			}
			if len(c.errs) == maxCheckErrors {
				c.more++
				continue
			}
			if producer == nil {
				producer = producers(nodes)
			}
			j, later := producer[in]
			switch {
			case !later:
				c.errorf("%s: input %q is not defined", at, in)
			case reaches(nodes, producer, j, i):
				c.errorf("%s: input %q depends on the node itself (cycle)", at, in)
			default:
				c.errorf("%s: input %q is produced by a later node: not in topological order", at, in)
			}
		}
		attrs := make(map[string]bool, len(n.Attrs))
		for _, a := range n.Attrs {
			if a == nil {
				c.errorf("%s has a nil attribute", at)
				continue
			}
			if attrs[a.Name] {
				c.errorf("%s: attribute %q occurs twice", at, a.Name)
			}
			attrs[a.Name] = true
			c.attribute(a, s, at)
		}
		for _, out := range n.Outputs {
			if out != "" {
				c.define(s, out, at+": output")
			}
		}
	}
}

func imports(opsets []OpsetID, dom string) bool {
	for _, o := range opsets {
		if domain(o.Domain) == domain(dom) {
			return true
		}
	}
	return false
}

func producers(nodes []*Node) map[string]int {
	p := make(map[string]int, len(nodes))
	for i, n := range nodes {
		if n == nil {
			continue
		}
		for _, o := range n.Outputs {
			p[o] = i
		}
	}
	return p
}

// reaches reports whether node from depends, through any number of nodes, on node to.
func reaches(nodes []*Node, producer map[string]int, from, to int) bool {
	seen := map[int]bool{}
	todo := []int{from}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if i == to {
			return true
		}
		if seen[i] || nodes[i] == nil {
			continue
		}
		seen[i] = true
		for _, in := range nodes[i].Inputs {
			if j, ok := producer[in]; ok && in != "" {
				todo = append(todo, j)
			}
		}
	}
	return false
}

func (c *checker) attribute(a *Attribute, s *scope, at string) {
	at = fmt.Sprintf("%s: attribute %q", at, a.Name)
	if a.Name == "" {
		c.errorf("%s has no name", at)
	}
	if a.Type <= AttrUndefined || a.Type > AttrTypes {
		c.errorf("%s has no valid type (%d)", at, a.Type)
		return
	}
	set := []struct {
		t  AttrType
		is bool
	}{
		{AttrFloat, a.Float != 0}, {AttrInt, a.Int != 0}, {AttrString, len(a.String) > 0}, {AttrTensor, a.Tensor != nil},
		{AttrGraph, a.Graph != nil}, {AttrFloats, len(a.Floats) > 0}, {AttrInts, len(a.Ints) > 0},
		{AttrStrings, len(a.Strings) > 0}, {AttrTensors, len(a.Tensors) > 0}, {AttrGraphs, len(a.Graphs) > 0},
		{AttrSparse, a.Sparse != nil}, {AttrSparses, len(a.Sparses) > 0}, {AttrTypeProto, a.TypeProto != nil},
		{AttrTypes, len(a.Types) > 0},
	}
	for _, f := range set {
		switch {
		case f.is && a.RefName != "":
			c.errorf("%s has both a value and a reference", at)
		case f.is && f.t != a.Type:
			c.errorf("%s is of type %v and has a value of type %v", at, a.Type, f.t)
		case !f.is && f.t == a.Type && a.RefName == "" &&
			(f.t == AttrTensor || f.t == AttrGraph || f.t == AttrSparse || f.t == AttrTypeProto):
			c.errorf("%s is of type %v and has no value", at, a.Type)
		}
	}
	if a.RefName != "" {
		if !c.inFunc {
			c.errorf("%s refers to attribute %q outside of a function", at, a.RefName)
		} else if !c.refs[a.RefName] {
			c.errorf("%s refers to attribute %q, which the function does not have", at, a.RefName)
		}
	}
	for _, t := range append(a.Tensors[:len(a.Tensors):len(a.Tensors)], a.Tensor) {
		if t != nil {
			c.tensor(t, at)
		}
	}
	for _, t := range append(a.Sparses[:len(a.Sparses):len(a.Sparses)], a.Sparse) {
		if t != nil {
			c.sparse(t, at)
		}
	}
	for _, g := range append(a.Graphs[:len(a.Graphs):len(a.Graphs)], a.Graph) {
		if g != nil {
			c.graph(g, s, at+": ")
		}
	}
}

func (c *checker) valueType(v *ValueInfo, where string) {
	t := &v.Type
	if t.Kind != KindTensor {
		return
	}
	if t.Elem > Int2 {
		c.errorf("%svalue %q has element type %d, which does not exist", where, v.Name, t.Elem)
	}
	for i, d := range t.Shape {
		if d.Value < -1 || d.Param != "" && d.Value > 0 {
			c.errorf("%svalue %q: dimension %d is %+v", where, v.Name, i, d)
		}
	}
}

func (c *checker) tensor(t *Tensor, at string) {
	e := &encoder{}
	if _, external := e.tensorBytes(t); e.err != nil {
		c.errorf("%s: %s", at, strings.TrimPrefix(e.err.Error(), fmt.Sprintf("tensor %q: ", t.Name)))
	} else if external {
		if entry(t.External, "location") == "" {
			c.errorf("%s: external data without a location", at)
		}
	}
}

func entry(s []StringPair, key string) string {
	for _, p := range s {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

// sparse checks a sparse tensor: ascending indices within its dimensions.
func (c *checker) sparse(s *SparseTensor, at string) {
	if s.Values == nil || s.Indices == nil {
		c.errorf("%s has no values or no indices", at)
		return
	}
	before := len(c.errs) + c.more
	c.tensor(s.Values, at+": values")
	c.tensor(s.Indices, at+": indices")
	total, ok := elems(s.Dims)
	if !ok || len(s.Dims) == 0 {
		c.errorf("%s: shape %v", at, s.Dims)
	}
	if len(c.errs)+c.more > before {
		return
	}
	n := int64(-1)
	if len(s.Values.Dims) == 1 {
		n = s.Values.Dims[0]
	}
	idx, rank := s.Indices, len(s.Dims)
	flat := len(idx.Dims) == 1 && idx.Dims[0] == n
	if n < 0 || idx.DType != tensor.Int64 || idx.Value == nil ||
		!flat && (len(idx.Dims) != 2 || idx.Dims[0] != n || idx.Dims[1] != int64(rank)) {
		c.errorf("%s: values %v and indices %v %v do not fit shape %v", at, s.Values.Dims, idx.DType, idx.Dims, s.Dims)
		return
	}
	last := int64(-1)
	v := idx.Value.Int64s()
	for i := range int(n) {
		pos := int64(0)
		if flat {
			pos = v[i]
		} else {
			for j, d := range s.Dims {
				k := v[i*rank+j]
				if k < 0 || k >= d {
					c.errorf("%s: index %d of element %d is out of shape %v", at, k, i, s.Dims)
					return
				}
				pos = pos*d + k
			}
		}
		if pos <= last || pos >= total {
			c.errorf("%s: element %d at position %d is out of order or out of shape %v", at, i, pos, s.Dims)
			return
		}
		last = pos
	}
}

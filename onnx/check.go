package onnx

import (
	"errors"
	"fmt"
	"strings"
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
		c.errs = append(c.errs, errorf("and %d more", c.more))
	}
	return errorf("onnx: invalid model: %w", errors.Join(c.errs...))
}

type checker struct {
	m      *Model
	opsets []OpsetID // imports in force
	errs   []error
	more   int
	depth  int
	inFunc bool
	refs   map[string]bool // attributes of the function whose body is checked
	path   []place         // where the check is, from the outside in
}

// place is a part of the model; one field is set. Its text is made only for an error.
type place struct {
	node     *Node
	attr     *Attribute
	function *Function
	init     string
}

func (p place) String() string {
	switch {
	case p.node != nil:
		return nodeName(p.node)
	case p.attr != nil:
		return fmt.Sprintf("attribute %q", p.attr.Name)
	case p.function != nil:
		return fmt.Sprintf("function %q", p.function.Name)
	}
	return fmt.Sprintf("initializer %q", p.init)
}

func (c *checker) enter(p place) { c.path = append(c.path, p) }
func (c *checker) leave()        { c.path = c.path[:len(c.path)-1] }

// errorf reports a mistake at the present place.
func (c *checker) errorf(format string, args ...any) {
	if len(c.errs) == maxCheckErrors {
		c.more++
		return
	}
	var b strings.Builder
	for _, p := range c.path {
		b.WriteString(p.String() + ": ")
	}
	fmt.Fprintf(&b, format, args...)
	c.errs = append(c.errs, errors.New(b.String()))
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
	c.imports(m.Opsets)
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
	c.graph(m.Graph, nil)
}

func (c *checker) imports(opsets []OpsetID) {
	if len(opsets) == 0 {
		c.errorf("no operator set is imported")
	}
	seen := map[string]bool{}
	for _, o := range opsets {
		if d := domain(o.Domain); seen[d] {
			c.errorf("domain %q is imported twice", o.Domain)
		} else {
			seen[d] = true
		}
		if o.Version < 1 {
			c.errorf("version %d of domain %q is imported", o.Version, o.Domain)
		}
	}
}

func (c *checker) functions() {
	type key struct{ domain, name, overload string }
	seen := map[key]bool{}
	c.inFunc = true
	defer func() { c.inFunc, c.refs = false, nil }()
	for _, f := range c.m.Functions {
		if f == nil {
			c.errorf("a function is nil")
			continue
		}
		if f.Name == "" {
			c.errorf("a function has no name")
		}
		k := key{domain(f.Domain), f.Name, f.Overload}
		if seen[k] {
			c.errorf("function %q is defined twice", f.Name)
		}
		seen[k] = true
		c.enter(place{function: f})
		c.function(f)
		c.leave()
	}
}

func (c *checker) function(f *Function) {
	c.imports(f.Opsets)
	c.opsets = f.Opsets
	s := &scope{names: map[string]bool{}}
	for _, in := range f.Inputs {
		c.define(s, in, "input")
	}
	c.refs = map[string]bool{}
	declare := func(name string) {
		if c.refs[name] {
			c.errorf("attribute %q is declared twice", name)
		}
		c.refs[name] = true
	}
	for _, a := range f.Attributes {
		declare(a)
	}
	for _, a := range f.Defaults {
		if a == nil {
			c.errorf("an attribute is nil")
			continue
		}
		declare(a.Name)
		c.attribute(a, s)
	}
	c.nodes(f.Nodes, s)
	for _, out := range f.Outputs {
		if !s.has(out) {
			c.errorf("nothing produces output %q", out)
		}
	}
}

func (c *checker) define(s *scope, name, what string) {
	switch {
	case name == "":
		c.errorf("%s without a name", what)
	case s.names[name]:
		c.errorf("%s %q: the name is already defined", what, name)
	}
	s.names[name] = true
}

func (c *checker) graph(g *Graph, outer *scope) {
	c.depth++
	defer func() { c.depth-- }()
	if c.depth > maxDepth {
		c.errorf("graphs are nested more than %d deep", maxDepth)
		return
	}
	s := &scope{outer, make(map[string]bool, len(g.Nodes)+len(g.Initializers)+len(g.Inputs))}
	for _, v := range g.Inputs {
		if v == nil {
			c.errorf("a graph input is nil")
			continue
		}
		c.define(s, v.Name, "graph input")
		c.valueType(v)
	}
	c.initializers(g, s)
	c.nodes(g.Nodes, s)
	outs := make(map[string]bool, len(g.Outputs))
	for _, v := range g.Outputs {
		switch {
		case v == nil:
			c.errorf("a graph output is nil")
			continue
		case v.Name == "":
			c.errorf("graph output without a name")
		case outs[v.Name]:
			c.errorf("graph output %q is listed twice", v.Name)
		case !s.has(v.Name):
			c.errorf("nothing produces graph output %q", v.Name)
		}
		outs[v.Name] = true
		c.valueType(v)
	}
	for _, v := range g.ValueInfo {
		if v == nil || v.Name == "" {
			c.errorf("value_info without a name")
			continue
		}
		c.valueType(v)
	}
}

// initializers checks the constants of a graph whose inputs are in s, and adds them.
func (c *checker) initializers(g *Graph, s *scope) {
	inits := make(map[string]bool, len(g.Initializers))
	define := func(name string) {
		switch {
		case name == "":
			c.errorf("initializer without a name")
		case inits[name]:
			c.errorf("initializer %q is defined twice", name)
		case c.m.IRVersion < 4 && s.outer == nil && !s.names[name]:
			c.errorf("initializer %q is not a graph input, as IR version %d asks", name, c.m.IRVersion)
		}
		inits[name] = true
	}
	for _, t := range g.Initializers {
		if t == nil {
			c.errorf("an initializer is nil")
			continue
		}
		define(t.Name)
		c.enter(place{init: t.Name})
		c.tensor(t)
		c.leave()
	}
	for _, t := range g.Sparse {
		if t == nil || t.Values == nil {
			c.errorf("a sparse initializer is nil")
			continue
		}
		define(t.Values.Name)
		c.enter(place{init: t.Values.Name})
		c.sparse(t)
		c.leave()
	}
	for name := range inits {
		s.names[name] = true
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

func (c *checker) nodes(nodes []*Node, s *scope) {
	var producer map[string]int // built when an input is not defined in time
	for i, n := range nodes {
		if n == nil {
			c.errorf("node %d is nil", i)
			continue
		}
		c.enter(place{node: n})
		if n.OpType == "" {
			c.errorf("no op_type")
		}
		if !imports(c.opsets, n.Domain) {
			c.errorf("domain %q is not imported", n.Domain)
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
				c.errorf("input %q is not defined", in)
			case reaches(nodes, producer, j, i):
				c.errorf("input %q depends on the node itself (cycle)", in)
			default:
				c.errorf("input %q is produced by a later node: not in topological order", in)
			}
		}
		attrs := make(map[string]bool, len(n.Attrs))
		for _, a := range n.Attrs {
			if a == nil {
				c.errorf("an attribute is nil")
				continue
			}
			if attrs[a.Name] {
				c.errorf("attribute %q occurs twice", a.Name)
			}
			attrs[a.Name] = true
			c.attribute(a, s)
		}
		for _, out := range n.Outputs {
			if out != "" {
				c.define(s, out, "output")
			}
		}
		c.leave()
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

package onnx

import (
	"fmt"
	"slices"
)

// Inline returns the model with every call of one of its functions replaced by the
// function's nodes, in sub-graphs too, and without functions. References to attributes take
// the call's value, else the function's default; an attribute that has neither is absent
// (IR specification, "Functions"). Names inside are made unique, with the name of the call, or
// of its first output, in front. A model without functions is returned as it is; the result shares
// tensors, and nodes that call no function, with m, which must pass [Check].
//
// It fails for functions that call themselves, directly or not, for calls with more inputs,
// outputs or attributes than the function has, and for more than maxNodes nodes and calls in
// all (0: the default of [Limits]). Nodes of a function that imports another version of an operator
// set than the model say so in [Node.Opset].
func Inline(m *Model, maxNodes int) (*Model, error) {
	if len(m.Functions) == 0 || m.Graph == nil {
		return m, nil
	}
	in := &inliner{functions: map[funcKey]*Function{}, active: map[funcKey]bool{}, used: map[string]bool{}, next: map[string]int{}, limit: Limits{Nodes: maxNodes}.withDefaults().Nodes}
	in.opsets = slices.Clone(m.Opsets)
	for _, f := range m.Functions {
		in.functions[funcKey{domain(f.Domain), f.Name, f.Overload}] = f
	}
	collectNames(m.Graph, in.used)
	g, err := in.graph(m.Graph, nil)
	if err != nil {
		return nil, errorf("onnx: inline: %w", err)
	}
	res := *m
	res.Graph, res.Functions, res.Opsets = g, nil, in.opsets
	return &res, nil
}

type funcKey struct{ domain, name, overload string }

type inliner struct {
	functions map[funcKey]*Function
	active    map[funcKey]bool // functions being expanded, for recursion
	used      map[string]bool  // names of values anywhere
	next      map[string]int   // base name → number to try next
	opsets    []OpsetID
	nodes     int // nodes and calls so far
	limit     int
	bytes     int // of names made so far
}

// maxCallDepth bounds the nesting of calls, and maxNameBytes the memory of the names made:
// both could grow far beyond the model otherwise.
const (
	maxCallDepth = 64
	maxNameBytes = 256 << 20
)

// call is the environment of a function's body.
type call struct {
	prefix string
	attrs  map[string]*Attribute // attributes of the function
	names  *rename
	opsets map[string]int64 // by domain, versions that are not those of the model
}

// rename maps names of a body to names of the result, scope by scope.
type rename struct {
	outer *rename
	to    map[string]string
}

func (r *rename) get(name string) string {
	for s := r; s != nil; s = s.outer {
		if n, ok := s.to[name]; ok {
			return n
		}
	}
	return name
}

func collectNames(g *Graph, used map[string]bool) {
	for _, v := range g.Inputs {
		used[v.Name] = true
	}
	for _, t := range g.Initializers {
		used[t.Name] = true
	}
	for _, s := range g.Sparse {
		used[s.Values.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			used[o] = true
		}
		for _, a := range n.Attrs {
			for _, b := range a.Graphs {
				collectNames(b, used)
			}
			if a.Graph != nil {
				collectNames(a.Graph, used)
			}
		}
	}
}

func (in *inliner) fresh(base string) string {
	name := base
	for in.used[name] {
		in.next[base]++
		name = fmt.Sprintf("%s_%d", base, in.next[base])
	}
	in.used[name] = true
	in.bytes += len(name)
	return name
}

// graph returns g with its calls expanded; c is nil outside of function bodies.
func (in *inliner) graph(g *Graph, c *call) (*Graph, error) {
	res := *g
	if c != nil {
		c = &call{c.prefix, c.attrs, &rename{c.names, map[string]string{}}, c.opsets}
		define := func(name string) {
			if name != "" {
				c.names.to[name] = in.fresh(c.prefix + name)
			}
		}
		for _, v := range g.Inputs {
			define(v.Name)
		}
		res.Initializers = slices.Clone(g.Initializers)
		for i, t := range g.Initializers {
			if _, isInput := c.names.to[t.Name]; !isInput {
				define(t.Name)
			}
			u := *t
			u.Name = c.names.get(t.Name)
			res.Initializers[i] = &u
		}
		res.Sparse = slices.Clone(g.Sparse)
		for i, s := range g.Sparse {
			define(s.Values.Name)
			v, u := *s.Values, *s
			v.Name = c.names.get(v.Name)
			u.Values = &v
			res.Sparse[i] = &u
		}
	}
	nodes, err := in.body(g.Nodes, c)
	if err != nil {
		return nil, err
	}
	res.Nodes = nodes
	if c != nil {
		infos := func(vs []*ValueInfo) []*ValueInfo {
			out := slices.Clone(vs)
			for i, v := range vs {
				u := *v
				u.Name = c.names.get(v.Name)
				out[i] = &u
			}
			return out
		}
		res.Inputs, res.Outputs, res.ValueInfo = infos(g.Inputs), infos(g.Outputs), infos(g.ValueInfo)
	}
	return &res, nil
}

func (in *inliner) body(nodes []*Node, c *call) ([]*Node, error) {
	var out []*Node
	for _, n := range nodes {
		n, err := in.node(n, c)
		if err != nil {
			return nil, err
		}
		if in.nodes++; in.nodes > in.limit {
			return nil, &LimitError{"nodes", int64(in.limit)}
		}
		if in.bytes > maxNameBytes {
			return nil, &LimitError{"bytes of names", maxNameBytes}
		}
		key := funcKey{domain(n.Domain), n.OpType, n.Overload}
		f := in.functions[key]
		if f == nil {
			out = append(out, n)
			continue
		}
		if in.active[key] {
			return nil, errorf("%s: function %q calls itself", nodeName(n), f.Name)
		}
		if len(in.active) >= maxCallDepth {
			return nil, &LimitError{"functions inside one another", maxCallDepth}
		}
		in.active[key] = true
		expanded, err := in.expand(n, f)
		delete(in.active, key)
		if err != nil {
			return nil, errorf("%s: %w", nodeName(n), err)
		}
		out = append(out, expanded...)
	}
	return out, nil
}

// node returns n as it stands in the result: names and attribute references resolved, and
// calls inside its sub-graphs expanded.
func (in *inliner) node(n *Node, c *call) (*Node, error) {
	hasGraph := slices.ContainsFunc(n.Attrs, func(a *Attribute) bool { return a.Graph != nil || len(a.Graphs) > 0 })
	if c == nil && !hasGraph {
		return n, nil
	}
	res := *n
	res.Attrs = nil
	if c != nil {
		res.Opset = c.opsets[domain(n.Domain)]
		if n.Name != "" {
			res.Name = c.prefix + n.Name
			in.bytes += len(res.Name)
		}
		res.Inputs = slices.Clone(n.Inputs)
		for i, name := range n.Inputs {
			if name != "" {
				res.Inputs[i] = c.names.get(name)
			}
		}
	}
	for _, a := range n.Attrs {
		if a.RefName != "" {
			if c == nil || c.attrs[a.RefName] == nil {
				continue
			}
			b := *c.attrs[a.RefName]
			if a.Type != AttrUndefined && b.Type != a.Type {
				return nil, errorf("%s: attribute %q of type %v refers to %q of type %v", nodeName(n), a.Name, a.Type, a.RefName, b.Type)
			}
			b.Name = a.Name
			res.Attrs = append(res.Attrs, &b)
			continue
		}
		b := *a
		var err error
		if a.Graph != nil {
			if b.Graph, err = in.graph(a.Graph, c); err != nil {
				return nil, err
			}
		}
		b.Graphs = slices.Clone(a.Graphs)
		for i, g := range a.Graphs {
			if b.Graphs[i], err = in.graph(g, c); err != nil {
				return nil, err
			}
		}
		res.Attrs = append(res.Attrs, &b)
	}
	if c != nil {
		res.Outputs = slices.Clone(n.Outputs)
		for i, name := range n.Outputs {
			if name == "" {
				continue
			}
			// The function's outputs already have the names that the caller gave them.
			if _, ok := c.names.to[name]; !ok {
				c.names.to[name] = in.fresh(c.prefix + name)
			}
			res.Outputs[i] = c.names.to[name]
		}
	}
	return &res, nil
}

// expand returns the body of f for the call n, whose own names are those of the result.
func (in *inliner) expand(n *Node, f *Function) ([]*Node, error) {
	if len(n.Inputs) > len(f.Inputs) || len(n.Outputs) > len(f.Outputs) {
		return nil, errorf("%d inputs and %d outputs, the function has %d and %d", len(n.Inputs), len(n.Outputs), len(f.Inputs), len(f.Outputs))
	}
	base := n.Name
	for _, o := range n.Outputs {
		if base == "" {
			base = o
		}
	}
	if base == "" {
		base = f.Name
	}
	c := &call{prefix: base + "/", attrs: map[string]*Attribute{}, names: &rename{to: map[string]string{}}, opsets: in.imports(f)}
	for _, a := range f.Defaults {
		c.attrs[a.Name] = a
	}
	for _, a := range n.Attrs {
		if c.attrs[a.Name] == nil && !slices.Contains(f.Attributes, a.Name) {
			return nil, errorf("the function has no attribute %q", a.Name)
		}
		c.attrs[a.Name] = a
	}
	for i, name := range f.Inputs {
		c.names.to[name] = ""
		if i < len(n.Inputs) {
			c.names.to[name] = n.Inputs[i]
		}
	}
	var copies []*Node
	for i, name := range f.Outputs {
		want := ""
		if i < len(n.Outputs) {
			want = n.Outputs[i]
		}
		if _, taken := c.names.to[name]; !taken {
			if want == "" {
				want = in.fresh(c.prefix + name)
			}
			c.names.to[name] = want
			continue
		}
		// An input handed through, or a value that is two outputs.
		if want != "" {
			copies = append(copies, &Node{Name: want + "/copy", OpType: "Identity", Inputs: []string{c.names.to[name]}, Outputs: []string{want}})
		}
	}
	nodes, err := in.body(f.Nodes, c)
	if err != nil {
		return nil, err
	}
	for _, n := range copies {
		if n.Inputs[0] == "" {
			return nil, errorf("output %q is an input that is absent", n.Outputs[0])
		}
		if !imports(in.opsets, "") {
			in.opsets = append(in.opsets, OpsetID{Version: 1})
		}
	}
	return append(nodes, copies...), nil
}

// imports makes the result import what the function imports, and returns the versions that differ
// from the result's.
func (in *inliner) imports(f *Function) map[string]int64 {
	var other map[string]int64
	for _, o := range f.Opsets {
		d := domain(o.Domain)
		i := slices.IndexFunc(in.opsets, func(p OpsetID) bool { return domain(p.Domain) == d })
		switch {
		case i < 0:
			in.opsets = append(in.opsets, o)
		case in.opsets[i].Version != o.Version:
			if other == nil {
				other = map[string]int64{}
			}
			other[d] = o.Version
		}
	}
	return other
}

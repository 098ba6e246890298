package onnxgo

import (
	"context"
	"errors"
	"fmt"

	onnxgo "github.com/owulveryck/onnx-go"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// compiled is the graph as a session.
type compiled struct {
	session *runtime.Session
	inputs  []*node
	outputs []*node
	names   map[*node]string
	extra   map[*node]*runtime.Session // for values that are not outputs
	dtypes  map[*node]tensor.DType
	last    map[string]*tensor.Tensor // inputs of the last run
}

func (c *compiled) close() {
	if c == nil {
		return
	}
	for _, s := range c.extra {
		s.Close()
	}
	c.session.Close()
}

// Run computes the outputs. A model with an operator that this module lacks gives a
// *onnx.ErrNotImplemented of onnx-go.
func (g *Graph) Run() error {
	in := map[*node]*tensor.Tensor{}
	for _, n := range g.nodes {
		if n.input && !n.produced() {
			t, err := fromGorgonia(n.value)
			if err == nil {
				t, err = exact(t, n.declared)
			}
			if err != nil {
				return fmt.Errorf("input %q: %w", n.name, err)
			}
			in[n] = t
			if g.plan != nil && g.plan.dtypes[n] != t.DType() {
				g.release()
			}
		}
	}
	if g.plan == nil {
		if err := g.compile(in); err != nil {
			return err
		}
	}
	p := g.plan
	p.last = map[string]*tensor.Tensor{}
	for _, n := range p.inputs {
		p.last[p.names[n]] = in[n]
	}
	out, err := p.session.Run(context.Background(), p.last)
	if err != nil {
		return err
	}
	for _, n := range g.nodes {
		n.stale = n.produced()
	}
	for _, n := range p.outputs {
		if n.value, err = toGorgonia(out[p.names[n]]); err != nil {
			return fmt.Errorf("output %q: %w", n.name, err)
		}
		n.stale = false
	}
	return nil
}

// Close releases what Run has prepared. The graph can be run again.
func (g *Graph) Close() error {
	g.release()
	return nil
}

func (g *Graph) release() {
	g.plan.close()
	g.plan = nil
}

// compute finds the value that a node had in the last run.
func (g *Graph) compute(n *node) error {
	p := g.plan
	if p == nil {
		return errors.New("onnxgo: the graph has changed since it ran")
	}
	s := p.extra[n]
	if s == nil {
		var ins []string
		for _, in := range p.inputs {
			ins = append(ins, p.names[in])
		}
		var err error
		if s, err = p.session.Sub(ins, []string{p.names[n]}); err != nil {
			return err
		}
		p.extra[n] = s
	}
	out, err := s.Run(context.Background(), p.last)
	if err != nil {
		return err
	}
	v, err := toGorgonia(out[p.names[n]])
	if err != nil {
		return err
	}
	n.value, n.stale = v, false
	return nil
}

// candidates are the versions of the standard operators that are tried in this order.
var candidates = []int64{9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 8, 7, 6, 5, 4, 3, 2, 1}

// compile makes a session of the graph for inputs of these types.
func (g *Graph) compile(in map[*node]*tensor.Tensor) error {
	versions := candidates
	if g.opset != 0 {
		versions = []int64{g.opset}
	}
	var first error
	for _, v := range versions {
		p, err := g.build(v, in)
		if err == nil {
			g.plan = p
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if missing, ok := errors.AsType[*runtime.UnsupportedError](first); ok {
		return &onnxgo.ErrNotImplemented{Operator: g.firstOperator(missing), Message: missing.Error()}
	}
	return first
}

// firstOperator names an operator that is missing.
func (g *Graph) firstOperator(e *runtime.UnsupportedError) string {
	if len(e.Missing) > 0 {
		return e.Missing[0].OpType
	}
	return ""
}

// build makes a session under one version of the operators.
func (g *Graph) build(opset int64, in map[*node]*tensor.Tensor) (*compiled, error) {
	p := &compiled{names: map[*node]string{}, extra: map[*node]*runtime.Session{}, dtypes: map[*node]tensor.DType{}}
	for _, n := range g.nodes {
		// Names in the file may be missing; IDs are unique.
		p.names[n] = fmt.Sprintf("%d:%s", n.id, n.name)
	}
	m := &onnx.Model{IRVersion: max(4, onnx.IRVersionFor(opset)), Opsets: []onnx.OpsetID{{Version: opset}}, Graph: &onnx.Graph{Name: "onnx-go"}}
	for _, o := range g.ops {
		attrs, err := attributes(o.op.Attributes)
		if err != nil {
			return nil, fmt.Errorf("operator %s: %w", o.op.Name, err)
		}
		nd := &onnx.Node{Name: p.names[o.outputs[0]], OpType: o.op.Name, Attrs: attrs}
		for _, v := range o.inputs {
			name := ""
			if v != nil {
				name = p.names[v]
			}
			nd.Inputs = append(nd.Inputs, name)
		}
		for _, v := range o.outputs {
			name := p.names[v]
			if v.name == "" {
				name = ""
			}
			nd.Outputs = append(nd.Outputs, name)
			if !v.used && name != "" {
				p.outputs = append(p.outputs, v)
			}
		}
		m.Graph.Nodes = append(m.Graph.Nodes, nd)
	}
	for _, n := range g.nodes {
		switch {
		case n.produced() || !n.used || n.omitted() || n.placeholder():
		case in[n] != nil:
			p.inputs = append(p.inputs, n)
			p.dtypes[n] = in[n].DType()
			m.Graph.Inputs = append(m.Graph.Inputs, &onnx.ValueInfo{Name: p.names[n], Type: onnx.Type{Kind: onnx.KindTensor, Elem: in[n].DType()}})
		case n.value == nil:
			return nil, fmt.Errorf("onnxgo: value %q is not set", n.name)
		default:
			t, err := fromGorgonia(n.value)
			if err != nil {
				return nil, fmt.Errorf("constant %q: %w", n.name, err)
			}
			m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor(p.names[n], t))
		}
	}
	if len(p.outputs) == 0 {
		return nil, errors.New("onnxgo: the graph computes nothing")
	}
	for _, n := range p.outputs {
		m.Graph.Outputs = append(m.Graph.Outputs, &onnx.ValueInfo{Name: p.names[n]})
	}
	var err error
	p.session, err = runtime.New(m, g.options)
	return p, err
}

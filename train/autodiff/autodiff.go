// Package autodiff differentiates graphs: it appends, to a graph that computes a loss,
// nodes that compute the loss's gradient (reverse mode). Each operator has a rule; the
// rules are in tables, one for each family of operators.
package autodiff

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/gradop"
)

// A rule appends the nodes that compute the gradients of n's inputs from those of its
// outputs, and hands the results to d.add. dy[i] is None if output i does not influence
// the loss; at least one is not. Only inputs for which d.needs is true matter.
type rule func(d *differ, n *graph.Node, dy []graph.ValueID) error

// Error says that an operator between a parameter and the loss has no gradient.
type Error struct {
	Node   string
	OpType string
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("no gradient through node %q (%s): %v", e.Node, e.OpType, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var errNoRule = errors.New("the operator cannot be differentiated")

// rules is the table of all operators that have a gradient.
var rules = merge(linearRules, elementwiseRules, reduceRules, shapeRules, softmaxRules, lossRules, convRules, layerRules, windowRules, attentionRules, fakeQuantRules, sparseRules)

// flat lists the operators whose derivative is zero wherever it exists, or whose output is
// not a real number: gradients end there.
var flat = keys("", "Shape", "Size", "Constant", "ConstantOfShape", "Floor", "Ceil", "Round", "Sign", "Not", "And", "Or", "Xor",
	"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "IsNaN", "IsInf", "ArgMax", "ArgMin", "NonZero", "Range",
	"EyeLike", "OneHot", "Hardmax", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")

func keys(domain string, types ...string) map[op.Key]bool {
	m := map[op.Key]bool{}
	for _, t := range types {
		m[op.Key{Domain: domain, Type: t}] = true
	}
	m[op.Key{Domain: gradop.Domain, Type: "FillLike"}] = true
	return m
}

func merge(tables ...map[op.Key]rule) map[op.Key]rule {
	out := map[op.Key]rule{}
	for _, t := range tables {
		for k, r := range t {
			out[k] = r
		}
	}
	return out
}

// Operators returns the operators that have a gradient rule, sorted.
func Operators() []op.Key {
	var out []op.Key
	for k := range rules {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b op.Key) int {
		return strings.Compare(a.Domain+"\x00"+a.Type, b.Domain+"\x00"+b.Type)
	})
	return out
}

// Differentiate appends to g the gradients of loss, which has a single element, with
// regard to params, and returns them in the same order; each has its parameter's shape and
// type. A parameter that the loss does not depend on has the gradient None. g's operator
// set must include gradop.Set.
func Differentiate(g *graph.Graph, loss graph.ValueID, params []graph.ValueID) ([]graph.ValueID, error) {
	d := &differ{g: g, grads: map[graph.ValueID][]graph.ValueID{}}
	d.findNeeded(params)
	out := make([]graph.ValueID, len(params))
	for i := range out {
		out[i] = graph.None
	}
	if !d.needed[loss] {
		return out, nil
	}
	d.at = "loss"
	one := d.grad("FillLike", []graph.ValueID{loss}, onnx.AttrF("alpha", 1))
	d.grads[loss] = []graph.ValueID{one}
	forward := g.Nodes[: len(g.Nodes)-1 : len(g.Nodes)-1]
	for i := len(forward) - 1; i >= 0; i-- {
		if err := d.back(forward[i]); err != nil {
			return nil, err
		}
	}
	for i, p := range params {
		d.at = g.Value(p).Name
		out[i] = d.total(p)
	}
	return out, d.err
}

// differ is the state of one differentiation.
type differ struct {
	g      *graph.Graph
	needed []bool // by value: it depends on a parameter
	grads  map[graph.ValueID][]graph.ValueID
	at     string // name for new nodes
	count  int
	err    error
}

// findNeeded marks what depends on a parameter through operators that pass gradients on.
func (d *differ) findNeeded(params []graph.ValueID) {
	d.needed = make([]bool, len(d.g.Values))
	for _, p := range params {
		d.needed[p] = true
	}
	for _, n := range d.g.Nodes {
		if flat[op.Key{Domain: n.Domain, Type: n.OpType}] || castsToInteger(n) {
			continue
		}
		for _, in := range n.In {
			if in != graph.None && d.needed[in] {
				for _, o := range n.Out {
					if o != graph.None {
						d.needed[o] = true
					}
				}
				break
			}
		}
	}
}

func castsToInteger(n *graph.Node) bool {
	if n.Domain != "" || n.OpType != "Cast" {
		return false
	}
	for _, a := range n.Attrs {
		if a.Name == "to" {
			return a.Int < 0 || a.Int > 255 || !tensor.DType(a.Int).IsFloat()
		}
	}
	return false
}

// back applies the rule of one node.
func (d *differ) back(n *graph.Node) error {
	wanted := false
	for _, in := range n.In {
		wanted = wanted || d.needs(in)
	}
	if !wanted {
		return nil
	}
	d.at = n.Name
	dy := make([]graph.ValueID, len(n.Out))
	any := false
	for i, o := range n.Out {
		dy[i] = graph.None
		if o != graph.None && d.needed[o] {
			dy[i] = d.total(o)
			any = any || dy[i] != graph.None
		}
	}
	if !any {
		return d.err
	}
	r := rules[op.Key{Domain: n.Domain, Type: n.OpType}]
	if r == nil || len(n.Bodies) > 0 {
		return &Error{n.Name, n.OpType, errNoRule}
	}
	if err := r(d, n, dy); err != nil {
		return &Error{n.Name, n.OpType, err}
	}
	return d.err
}

// needs reports whether the gradient of a value is wanted.
func (d *differ) needs(id graph.ValueID) bool {
	return id != graph.None && int(id) < len(d.needed) && d.needed[id]
}

// add contributes dx to the gradient of a value.
func (d *differ) add(id, dx graph.ValueID) {
	if d.needs(id) && dx != graph.None {
		d.grads[id] = append(d.grads[id], dx)
	}
}

// total returns the sum of what has been contributed to a value's gradient, or None.
func (d *differ) total(id graph.ValueID) graph.ValueID {
	parts := d.grads[id]
	if len(parts) == 0 {
		return graph.None
	}
	s := parts[0]
	for _, p := range parts[1:] {
		s = d.op("Add", []graph.ValueID{s, p})
	}
	d.grads[id] = []graph.ValueID{s}
	return s
}

// op appends a standard operator with one output. After a failure, which d.err keeps, it
// returns None.
func (d *differ) op(opType string, in []graph.ValueID, attrs ...*onnx.Attribute) graph.ValueID {
	out := d.node("", opType, 1, in, attrs...)
	return out[0]
}

// node18 appends a standard operator in the terms of opset 18, in which reductions take
// their axes as an input.
func (d *differ) node18(opType string, in []graph.ValueID, attrs ...*onnx.Attribute) graph.ValueID {
	if d.err != nil {
		return graph.None
	}
	d.count++
	name := fmt.Sprintf("%s:grad%d/%s", d.at, d.count, opType)
	n, err := d.g.Add(graph.Spec{Name: name, OpType: opType, Attrs: attrs, In: in, OutName: name, Opset: 18})
	if err != nil {
		d.err = err
		return graph.None
	}
	return n.Out[0]
}

func int64s(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

// grad appends an operator of package gradop with one output.
func (d *differ) grad(opType string, in []graph.ValueID, attrs ...*onnx.Attribute) graph.ValueID {
	return d.node(gradop.Domain, opType, 1, in, attrs...)[0]
}

func (d *differ) node(domain, opType string, outs int, in []graph.ValueID, attrs ...*onnx.Attribute) []graph.ValueID {
	none := slices.Repeat([]graph.ValueID{graph.None}, outs)
	if d.err != nil {
		return none
	}
	d.count++
	name := fmt.Sprintf("%s:grad%d/%s", d.at, d.count, opType)
	n, err := d.g.Add(graph.Spec{Name: name, Domain: domain, OpType: opType, Attrs: attrs, In: in, Outputs: outs, OutName: name})
	if err != nil {
		d.err = err
		return none
	}
	return n.Out
}

// scale multiplies by a number; a factor of 1 adds no node.
func (d *differ) scale(v graph.ValueID, by float32) graph.ValueID {
	if by == 1 {
		return v
	}
	return d.grad("Scale", []graph.ValueID{v}, onnx.AttrF("alpha", by))
}

// reduceTo sums v to the shape of like.
func (d *differ) reduceTo(v, like graph.ValueID) graph.ValueID {
	return d.grad("ReduceTo", []graph.ValueID{v, like})
}

// Attributes of a forward node. The node's operator has already been made from them, so
// their types are right.

func attr(n *graph.Node, name string) *onnx.Attribute {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

func attrInt(n *graph.Node, name string, def int64) int64 {
	if a := attr(n, name); a != nil {
		return a.Int
	}
	return def
}

func attrFloat(n *graph.Node, name string, def float32) float32 {
	if a := attr(n, name); a != nil {
		return a.Float
	}
	return def
}

func attrString(n *graph.Node, name, def string) string {
	if a := attr(n, name); a != nil {
		return string(a.String)
	}
	return def
}

// input returns input i of a node, or None.
func input(n *graph.Node, i int) graph.ValueID {
	if i < len(n.In) {
		return n.In[i]
	}
	return graph.None
}

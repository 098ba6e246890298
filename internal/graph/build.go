package graph

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Missing is one operator that a model uses and that the set does not have.
type Missing struct {
	Domain string
	OpType string
	Opset  int
	Nodes  []string // names of the nodes that use it
}

// UnsupportedError lists every operator of a model that is missing.
type UnsupportedError struct{ Missing []Missing }

func (e *UnsupportedError) Error() string {
	var b strings.Builder
	b.WriteString("operators not supported: ")
	for i, m := range e.Missing {
		if i > 0 {
			b.WriteString(", ")
		}
		if m.Domain != "" {
			b.WriteString(m.Domain + ".")
		}
		fmt.Fprintf(&b, "%s (opset %d; node %q", m.OpType, m.Opset, m.Nodes[0])
		if n := len(m.Nodes) - 1; n > 0 {
			fmt.Fprintf(&b, " and %d more", n)
		}
		if op.LeftOut(m.Domain, m.OpType) {
			b.WriteString("; left out of this program by the build tag aekit_core")
		}
		b.WriteString(")")
	}
	return b.String()
}

// New builds the typed graph of a model that has passed onnx.Check. Functions of the model
// must have been inlined. Initializers become constants, whether or not they are also
// listed as inputs.
func New(m *onnx.Model, cfg Config) (*Graph, error) {
	if m.Graph == nil {
		return nil, errors.New("the model has no graph")
	}
	opsets := map[string]int{}
	for _, o := range m.Opsets {
		d := o.Domain
		if d == "ai.onnx" {
			d = ""
		}
		if o.Version < 1 || o.Version > maxOpset {
			return nil, errorf("opset version %d of domain %q out of range", o.Version, o.Domain)
		}
		opsets[d] = int(o.Version)
	}
	top := m.Graph
	if op.Complete {
		top = sequences(top, opsets[""])
	}
	if missing := findMissing(top, opsets, cfg.Set, map[string]int{}, nil, 0); len(missing) > 0 {
		sort.SliceStable(missing, func(i, j int) bool { return missing[i].OpType < missing[j].OpType })
		return nil, &UnsupportedError{missing}
	}
	return build(top, opsets, cfg, nil, 0)
}

// maxOpset is the highest version of operators that a model may import.
const maxOpset = 1 << 20

// maxDepth limits how deep control-flow bodies nest.
const maxDepth = 32

func findMissing(g *onnx.Graph, opsets map[string]int, set op.Set, index map[string]int, out []Missing, depth int) []Missing {
	if depth > maxDepth {
		return out
	}
	for i, n := range g.Nodes {
		d := domainOf(n)
		version := versionOf(n, opsets)
		if _, ok := set.Find(d, n.OpType, version); !ok {
			key := fmt.Sprintf("%s\x00%s\x00%d", d, n.OpType, version)
			k, seen := index[key]
			if !seen {
				k = len(out)
				index[key] = k
				out = append(out, Missing{Domain: d, OpType: n.OpType, Opset: version})
			}
			out[k].Nodes = append(out[k].Nodes, nodeName(n, i))
		}
		for _, a := range n.Attrs {
			if a.Graph != nil {
				out = findMissing(a.Graph, opsets, set, index, out, depth+1)
			}
		}
	}
	return out
}

// versionOf returns the version of its domain's operators that a node is written in.
func versionOf(n *onnx.Node, opsets map[string]int) int {
	if n.Opset > 0 && n.Opset <= maxOpset {
		return int(n.Opset)
	}
	return opsets[domainOf(n)]
}

func domainOf(n *onnx.Node) string {
	if n.Domain == "ai.onnx" {
		return ""
	}
	return n.Domain
}

func nodeName(n *onnx.Node, i int) string {
	if n.Name != "" {
		return n.Name
	}
	if len(n.Outputs) > 0 && n.Outputs[0] != "" {
		return n.Outputs[0]
	}
	return fmt.Sprintf("#%d", i)
}

// build makes the graph of g. outer lists the names that a body may capture.
func build(og *onnx.Graph, opsets map[string]int, cfg Config, outer map[string]bool, depth int) (*Graph, error) {
	if depth > maxDepth {
		return nil, errorf("sub-graphs nest deeper than %d", maxDepth)
	}
	g := &Graph{Name: og.Name, Set: cfg.Set, late: cfg.Late && depth == 0, Opsets: map[string]int{}, body: cfg.Body, names: map[string]ValueID{}}
	for k, v := range opsets {
		g.Opsets[k] = v
	}
	for _, s := range og.Sparse {
		name := ""
		if s.Values != nil {
			name = s.Values.Name
		}
		return nil, errorf("sparse initializer %q: sparse tensors are not supported", name)
	}
	for _, t := range og.Initializers {
		if t.Value == nil {
			if len(t.External) > 0 {
				return nil, errorf("initializer %q: its data is in another file, which was not loaded", t.Name)
			}
			return nil, errorf("initializer %q: element type %v is not supported", t.Name, t.DType)
		}
		if g.Lookup(t.Name) != None {
			return nil, errorf("initializer %q: the name is used twice", t.Name)
		}
		g.AddValue(Value{Name: t.Name, Kind: Constant, Data: t.Value, Type: TypeOf(t.Value), Origin: t.Name})
	}
	for _, in := range og.Inputs {
		if id := g.Lookup(in.Name); id != None {
			if g.Values[id].Kind == Constant {
				continue
			}
			return nil, errorf("input %q: the name is used twice", in.Name)
		}
		if in.Name == "" {
			return nil, errors.New("an input has no name")
		}
		if in.Type.Kind != onnx.KindTensor && in.Type.Kind != onnx.KindNone {
			return nil, errorf("input %q: only tensors are supported", in.Name)
		}
		id := g.AddValue(Value{Name: in.Name, Kind: Input, Type: in.Type})
		g.Inputs = append(g.Inputs, id)
	}
	types := map[string]onnx.Type{}
	for _, list := range [][]*onnx.ValueInfo{og.ValueInfo, og.Outputs} {
		for _, v := range list {
			types[v.Name] = v.Type
		}
	}
	visible := map[string]bool{}
	for name := range outer {
		visible[name] = true
	}
	for i, n := range og.Nodes {
		if op.Complete {
			if t := constantOf(n, og.Outputs); t != nil && g.Lookup(n.Outputs[0]) == None {
				g.AddValue(Value{Name: n.Outputs[0], Kind: Constant, Data: t, Type: TypeOf(t)})
				visible[n.Outputs[0]] = true
				continue
			}
		}
		if err := g.addNode(n, i, cfg, types, outer, visible, depth); err != nil {
			return nil, errorf("node %q (%s): %w", nodeName(n, i), n.OpType, err)
		}
	}
	if err := g.align(g.legacy); err != nil {
		return nil, err
	}
	g.legacy = nil
	for _, o := range og.Outputs {
		id, err := g.resolve(o.Name, outer)
		if err != nil {
			return nil, errorf("output %q: %w", o.Name, err)
		}
		g.Outputs = append(g.Outputs, id)
	}
	for _, name := range g.Captured {
		g.Inputs = append(g.Inputs, g.Lookup(name))
	}
	return g, nil
}

// constantOf returns the value of a Constant that holds a tensor, unless it is an output: the
// tensor itself is the value then, as that of an initializer is.
func constantOf(n *onnx.Node, outputs []*onnx.ValueInfo) *tensor.Tensor {
	if n.OpType != "Constant" || domainOf(n) != "" || len(n.Inputs) > 0 || len(n.Outputs) != 1 || n.Outputs[0] == "" || len(n.Attrs) != 1 {
		return nil
	}
	a := n.Attrs[0]
	if a.Name != "value" || a.Type != onnx.AttrTensor || a.Tensor == nil || slices.ContainsFunc(outputs, func(o *onnx.ValueInfo) bool { return o.Name == n.Outputs[0] }) {
		return nil
	}
	return a.Tensor.Value
}

// resolve returns the value of that name; in a body, a name of the surrounding graph
// becomes a captured input.
func (g *Graph) resolve(name string, outer map[string]bool) (ValueID, error) {
	if id := g.Lookup(name); id != None {
		return id, nil
	}
	if !outer[name] {
		return None, errorf("value %q is not defined", name)
	}
	g.Captured = append(g.Captured, name)
	return g.AddValue(Value{Name: name, Kind: Input}), nil
}

func (g *Graph) addNode(on *onnx.Node, index int, cfg Config, types map[string]onnx.Type, outer, visible map[string]bool, depth int) error {
	n := &Node{Name: nodeName(on, index), Domain: domainOf(on), OpType: on.OpType, Attrs: on.Attrs}
	n.Opset = versionOf(on, g.Opsets)
	if err := g.replaceType(n); err != nil {
		return err
	}
	for _, name := range on.Inputs {
		if name == "" {
			n.In = append(n.In, None)
			continue
		}
		id, err := g.resolve(name, outer)
		if err != nil {
			return err
		}
		n.In = append(n.In, id)
	}
	bodies, err := g.addBodies(n, cfg, outer, depth)
	if err != nil {
		return err
	}
	for _, name := range on.Outputs {
		if name == "" {
			n.Out = append(n.Out, None)
			continue
		}
		if g.Lookup(name) != None {
			return errorf("value %q is defined twice", name)
		}
		id := g.AddValue(Value{Name: name, Type: types[name]})
		n.Out = append(n.Out, id)
		visible[name] = true
	}
	if err := g.lift(n); err != nil {
		return err
	}
	if a, ok := g.takeAlignment(n); ok {
		g.legacy = append(g.legacy, a)
	}
	if err := g.makeOp(n, bodies); err != nil {
		return err
	}
	g.Nodes = append(g.Nodes, n)
	return nil
}

// replaceType follows Version.As: an operator that another one replaced is read as that.
func (g *Graph) replaceType(n *Node) error {
	v, ok := g.Set.Find(n.Domain, n.OpType, n.Opset)
	if !ok {
		return &UnsupportedError{[]Missing{{n.Domain, n.OpType, n.Opset, []string{n.Name}}}}
	}
	if v.As == "" {
		return nil
	}
	lifts := v.Lift
	if v.AsStandard {
		n.Domain = ""
	}
	n.OpType, n.Opset = v.As, max(v.AsOpset, n.Opset)
	return g.liftAttrs(n, lifts)
}

// lift turns attributes that later versions take as inputs into constants.
func (g *Graph) lift(n *Node) error {
	v, ok := g.Set.Find(n.Domain, n.OpType, n.Opset)
	if !ok {
		return errorf("operator %q is not supported at opset %d", n.OpType, n.Opset)
	}
	return g.liftAttrs(n, v.Lift)
}

func (g *Graph) liftAttrs(n *Node, lifts []op.Lift) error {
	for _, l := range lifts {
		i := slices.IndexFunc(n.Attrs, func(a *onnx.Attribute) bool { return a.Name == l.Attr })
		if i < 0 {
			continue
		}
		t, err := g.liftedConst(n, n.Attrs[i], l)
		if err != nil {
			return errorf("attribute %q: %w", l.Attr, err)
		}
		n.Attrs = slices.Delete(slices.Clone(n.Attrs), i, i+1)
		for len(n.In) <= l.Input {
			n.In = append(n.In, None)
		}
		if n.In[l.Input] != None {
			return errorf("attribute %q is given as an input too", l.Attr)
		}
		n.In[l.Input] = g.AddConst(n.Name+"_"+l.Attr, t)
	}
	return nil
}

func (g *Graph) liftedConst(n *Node, a *onnx.Attribute, l op.Lift) (*tensor.Tensor, error) {
	var ints []int64
	var floats []float32
	switch a.Type {
	case onnx.AttrInt:
		ints = []int64{a.Int}
	case onnx.AttrInts:
		ints = append([]int64{}, a.Ints...)
	case onnx.AttrFloat:
		floats = []float32{a.Float}
	case onnx.AttrFloats:
		floats = append([]float32{}, a.Floats...)
	default:
		return nil, errors.New("has the wrong type")
	}
	shape := []int{max(len(ints), len(floats))}
	if l.Scalar {
		if shape[0] != 1 {
			return nil, errors.New("must be a single value")
		}
		shape = nil
	}
	dtype := l.DType
	if dtype == tensor.Undefined && len(n.In) > 0 && n.In[0] != None {
		dtype = g.Values[n.In[0]].Type.Elem
	}
	if ints != nil {
		if dtype == tensor.Int64 || dtype == tensor.Undefined {
			return tensor.Of(ints, shape...)
		}
		return nil, errorf("integers cannot become %v", dtype)
	}
	switch dtype {
	case tensor.Float64:
		return convert(floats, func(f float32) float64 { return float64(f) }, shape)
	case tensor.Float16:
		return convert(floats, tensor.ToF16, shape)
	case tensor.BFloat16:
		return convert(floats, tensor.ToBF16, shape)
	}
	return tensor.Of(floats, shape...)
}

func convert[T tensor.Element](in []float32, f func(float32) T, shape []int) (*tensor.Tensor, error) {
	out := make([]T, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return tensor.Of(out, shape...)
}

// addBodies builds and compiles the sub-graphs of a control-flow node, and appends the
// values that they capture to its inputs, in the order of the attributes' names.
func (g *Graph) addBodies(n *Node, cfg Config, outer map[string]bool, depth int) (map[string]op.Body, error) {
	var bodies map[string]op.Body
	attrs := slices.Clone(n.Attrs)
	slices.SortFunc(attrs, func(a, b *onnx.Attribute) int { return strings.Compare(a.Name, b.Name) })
	for _, a := range attrs {
		if a.Type != onnx.AttrGraph || a.Graph == nil {
			continue
		}
		if cfg.Body == nil {
			return nil, errors.New("control flow is not supported here")
		}
		scope := map[string]bool{}
		for name := range outer {
			scope[name] = true
		}
		for name := range g.names {
			scope[name] = true
		}
		sub, err := build(a.Graph, g.Opsets, cfg, scope, depth+1)
		if err != nil {
			return nil, errorf("attribute %q: %w", a.Name, err)
		}
		b, err := cfg.Body(sub)
		if err != nil {
			return nil, errorf("attribute %q: %w", a.Name, err)
		}
		if bodies == nil {
			bodies = map[string]op.Body{}
			n.Bodies = map[string]*Graph{}
		}
		bodies[a.Name], n.Bodies[a.Name] = b, sub
		for _, name := range sub.Captured {
			id, err := g.resolve(name, outer)
			if err != nil {
				return nil, err
			}
			n.In = append(n.In, id)
		}
	}
	return bodies, nil
}

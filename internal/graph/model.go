package graph

import (
	"errors"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Model writes g as an ONNX model for an opset of the standard domain; 0 means the lowest
// one, not below that of the model that g was built from, at which every node exists.
// Constants, variables and state become initializers; those that nothing reads are left
// out. The caller sets producer, metadata and IR version. The model shares g's tensors.
//
// Model fails if a node cannot be expressed at that opset, or has meanings that differ
// between the opset it was written for and this one.
func (g *Graph) Model(opset int) (*onnx.Model, error) {
	if len(g.Commits) > 0 {
		return nil, errors.New("graph: a graph with training state cannot be written")
	}
	if opset == 0 {
		opset = g.Opsets[""]
		for _, n := range g.Nodes {
			if n.Domain == "" {
				opset = max(opset, n.Opset)
			}
		}
	}
	og := &onnx.Graph{Name: g.Name}
	m := &onnx.Model{Graph: og, Opsets: []onnx.OpsetID{{Domain: "", Version: int64(opset)}}}
	domains := map[string]bool{"": true}
	read := make([]bool, len(g.Values))
	for _, n := range g.Nodes {
		target := opset
		if n.Domain != "" {
			target = n.Opset
		}
		if !domains[n.Domain] {
			domains[n.Domain] = true
			m.Opsets = append(m.Opsets, onnx.OpsetID{Domain: n.Domain, Version: int64(target)})
		}
		on, err := g.writeNode(n, target)
		if err != nil {
			return nil, errorf("node %q (%s): %w", n.Name, n.OpType, err)
		}
		for _, name := range on.Inputs {
			if name != "" {
				read[g.Lookup(name)] = true
			}
		}
		og.Nodes = append(og.Nodes, on)
	}
	for _, id := range g.Outputs {
		read[id] = true
		v := g.Values[id]
		og.Outputs = append(og.Outputs, &onnx.ValueInfo{Name: v.Name, Type: v.Type})
	}
	for i, v := range g.Values {
		switch {
		case v.Kind == Input:
		case v.Data != nil && read[i]:
			og.Initializers = append(og.Initializers, initializer(v.Name, v.Data))
		case v.Kind == Activation && v.Type.Kind == onnx.KindTensor && !slices.Contains(g.Outputs, ValueID(i)) && read[i]:
			og.ValueInfo = append(og.ValueInfo, &onnx.ValueInfo{Name: v.Name, Type: v.Type})
		}
	}
	for _, id := range g.Inputs {
		v := g.Values[id]
		og.Inputs = append(og.Inputs, &onnx.ValueInfo{Name: v.Name, Type: v.Type})
	}
	return m, nil
}

func initializer(name string, t *tensor.Tensor) *onnx.Tensor {
	it := &onnx.Tensor{Name: name, DType: t.DType(), Value: t}
	for _, d := range t.Shape() {
		it.Dims = append(it.Dims, int64(d))
	}
	return it
}

// writeNode expresses n at an opset: inputs that were attributes there become attributes
// again.
func (g *Graph) writeNode(n *Node, opset int) (*onnx.Node, error) {
	now, ok := g.Set.Find(n.Domain, n.OpType, n.Opset)
	if !ok {
		return nil, errorf("is not known at opset %d", n.Opset)
	}
	then, ok := g.Set.Find(n.Domain, n.OpType, opset)
	if !ok {
		return nil, errorf("does not exist at opset %d", opset)
	}
	on := &onnx.Node{Name: n.Name, Domain: n.Domain, OpType: n.OpType, Attrs: n.Attrs}
	for _, id := range n.In {
		on.Inputs = append(on.Inputs, g.nameOf(id))
	}
	for _, id := range n.Out {
		on.Outputs = append(on.Outputs, g.nameOf(id))
	}
	if then.Since != now.Since && len(then.Lift) == 0 && len(now.Lift) == 0 {
		return nil, errorf("was written for opset %d and means something else at opset %d", n.Opset, opset)
	}
	for _, l := range then.Lift {
		if l.Input >= len(n.In) || n.In[l.Input] == None {
			continue
		}
		data, err := g.ConstOf(n.In[l.Input])
		if err != nil {
			return nil, errorf("opset %d wants %q as an attribute: %w", opset, l.Attr, err)
		}
		a, err := attrOf(l.Attr, data, l.Scalar)
		if err != nil {
			return nil, err
		}
		on.Attrs = append(slices.Clone(on.Attrs), a)
		on.Inputs[l.Input] = ""
	}
	for len(on.Inputs) > 0 && on.Inputs[len(on.Inputs)-1] == "" {
		on.Inputs = on.Inputs[:len(on.Inputs)-1]
	}
	return on, nil
}

func attrOf(name string, t *tensor.Tensor, scalar bool) (*onnx.Attribute, error) {
	a := &onnx.Attribute{Name: name}
	switch t.DType() {
	case tensor.Int64:
		a.Type, a.Ints = onnx.AttrInts, slices.Clone(t.Int64s())
		if scalar {
			a.Type, a.Ints, a.Int = onnx.AttrInt, nil, t.Int64s()[0]
		}
	case tensor.Float32:
		a.Type, a.Floats = onnx.AttrFloats, slices.Clone(t.Float32s())
		if scalar {
			a.Type, a.Floats, a.Float = onnx.AttrFloat, nil, t.Float32s()[0]
		}
	default:
		return nil, errorf("%v cannot become attribute %q", t, name)
	}
	return a, nil
}

package onnx

import (
	"fmt"
	"strings"

	"github.com/aekit/aekit/tensor"
)

func (c *checker) attribute(a *Attribute, s *scope) {
	c.enter(place{attr: a})
	defer c.leave()
	if a.Name == "" {
		c.errorf("no name")
	}
	if a.Type <= AttrUndefined || a.Type > AttrTypes {
		c.errorf("no valid type (%d)", a.Type)
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
			c.errorf("it has both a value and a reference")
		case f.is && f.t != a.Type:
			c.errorf("it is of type %v and has a value of type %v", a.Type, f.t)
		case !f.is && f.t == a.Type && a.RefName == "" &&
			(f.t == AttrTensor || f.t == AttrGraph || f.t == AttrSparse || f.t == AttrTypeProto):
			c.errorf("it is of type %v and has no value", a.Type)
		}
	}
	if a.RefName != "" {
		if !c.inFunc {
			c.errorf("it refers to attribute %q outside of a function", a.RefName)
		} else if !c.refs[a.RefName] {
			c.errorf("it refers to attribute %q, which the function does not have", a.RefName)
		}
	}
	for _, t := range append(a.Tensors[:len(a.Tensors):len(a.Tensors)], a.Tensor) {
		if t != nil {
			c.tensor(t)
		}
	}
	for _, t := range append(a.Sparses[:len(a.Sparses):len(a.Sparses)], a.Sparse) {
		if t != nil {
			c.sparse(t)
		}
	}
	for _, g := range append(a.Graphs[:len(a.Graphs):len(a.Graphs)], a.Graph) {
		if g != nil {
			c.graph(g, s)
		}
	}
}

func (c *checker) valueType(v *ValueInfo) {
	t := &v.Type
	if t.Kind != KindTensor {
		return
	}
	if t.Elem > tensor.Int2 {
		c.errorf("value %q has element type %d, which does not exist", v.Name, t.Elem)
	}
	for i, d := range t.Shape {
		if d.Value < -1 || d.Param != "" && d.Value > 0 {
			c.errorf("value %q: dimension %d is %+v", v.Name, i, d)
		}
	}
}

func (c *checker) tensor(t *Tensor) {
	e := &encoder{}
	if _, external := e.tensorBytes(t); e.err != nil {
		c.errorf("%s", strings.TrimPrefix(e.err.Error(), fmt.Sprintf("tensor %q: ", t.Name)))
	} else if external {
		if entry(t.External, "location") == "" {
			c.errorf("external data without a location")
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
func (c *checker) sparse(s *SparseTensor) {
	if s.Values == nil || s.Indices == nil {
		c.errorf("a sparse tensor has no values or no indices")
		return
	}
	before := len(c.errs) + c.more
	c.tensor(s.Values)
	c.tensor(s.Indices)
	total, ok := elems(s.Dims)
	if !ok || len(s.Dims) == 0 {
		c.errorf("sparse tensor of shape %v", s.Dims)
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
		c.errorf("values %v and indices %v %v do not fit shape %v", s.Values.Dims, idx.DType, idx.Dims, s.Dims)
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
					c.errorf("index %d of element %d is out of shape %v", k, i, s.Dims)
					return
				}
				pos = pos*d + k
			}
		}
		if pos <= last || pos >= total {
			c.errorf("element %d at position %d is out of order or out of shape %v", i, pos, s.Dims)
			return
		}
		last = pos
	}
}

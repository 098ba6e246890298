package onnx

import "github.com/aekit/aekit/tensor"

func (e *encoder) model(m *Model) {
	if m.Graph == nil {
		e.fail("the model has no graph")
		return
	}
	e.int(1, m.IRVersion)
	e.optStr(2, m.ProducerName)
	e.optStr(3, m.ProducerVersion)
	e.optStr(4, m.Domain)
	e.optInt(5, m.ModelVersion)
	e.optStr(6, m.DocString)
	e.message(7, func() { e.graph(m.Graph) })
	e.opsets(8, m.Opsets)
	e.pairs(14, m.Metadata)
	messages(e, 25, m.Functions, e.function)
}

func (e *encoder) graph(g *Graph) {
	e.depth++
	defer func() { e.depth-- }()
	if e.depth > maxDepth {
		e.fail("graphs are nested more than %d deep", maxDepth)
		return
	}
	messages(e, 1, g.Nodes, e.node)
	e.optStr(2, g.Name)
	messages(e, 5, g.Initializers, e.tensor)
	e.optStr(10, g.DocString)
	messages(e, 11, g.Inputs, e.valueInfo)
	messages(e, 12, g.Outputs, e.valueInfo)
	messages(e, 13, g.ValueInfo, e.valueInfo)
	messages(e, 15, g.Sparse, e.sparse)
	e.pairs(16, g.Metadata)
}

func (e *encoder) node(n *Node) {
	if n.Opset != 0 {
		e.fail("%s is of version %d of its operators, which the model does not import", nodeName(n), n.Opset)
		return
	}
	e.strs(1, n.Inputs)
	e.strs(2, n.Outputs)
	e.optStr(3, n.Name)
	e.optStr(4, n.OpType)
	messages(e, 5, n.Attrs, e.attribute)
	e.optStr(6, n.DocString)
	e.optStr(7, n.Domain)
	e.optStr(8, n.Overload)
	e.pairs(9, n.Metadata)
}

func (e *encoder) attribute(a *Attribute) {
	e.str(1, a.Name)
	value := func(t AttrType) bool { return a.Type == t && a.RefName == "" }
	switch {
	case a.RefName != "":
	case value(AttrFloat):
		e.float(2, a.Float)
	case value(AttrInt):
		e.int(3, a.Int)
	case value(AttrString):
		e.bytes(4, a.String)
	case value(AttrTensor) && a.Tensor != nil:
		e.message(5, func() { e.tensor(a.Tensor) })
	case value(AttrGraph) && a.Graph != nil:
		e.message(6, func() { e.graph(a.Graph) })
	case value(AttrFloats):
		for _, v := range a.Floats {
			e.float(7, v)
		}
	case value(AttrInts):
		e.ints(8, a.Ints)
	case value(AttrStrings):
		for _, v := range a.Strings {
			e.bytes(9, v)
		}
	case value(AttrTensors):
		messages(e, 10, a.Tensors, e.tensor)
	case value(AttrGraphs):
		messages(e, 11, a.Graphs, e.graph)
	case value(AttrTypeProto) && a.TypeProto != nil:
	case value(AttrTypes):
	case value(AttrSparse) && a.Sparse != nil:
	case value(AttrSparses):
	default:
		e.fail("attribute %q of type %v has no value", a.Name, a.Type)
	}
	e.optStr(13, a.DocString)
	switch {
	case value(AttrTypeProto):
		e.message(14, func() { e.typ(a.TypeProto) })
	case value(AttrTypes):
		messages(e, 15, a.Types, e.typ)
	}
	e.int(20, int64(a.Type))
	e.optStr(21, a.RefName)
	switch {
	case value(AttrSparse):
		e.message(22, func() { e.sparse(a.Sparse) })
	case value(AttrSparses):
		messages(e, 23, a.Sparses, e.sparse)
	}
}

func (e *encoder) tensor(t *Tensor) {
	if t == nil {
		e.fail("%w", errNilPart)
		return
	}
	raw, external := e.tensorBytes(t)
	e.ints(1, t.Dims)
	e.int(2, int64(t.DType))
	for _, s := range t.Strings {
		e.bytes(6, s)
	}
	e.optStr(8, t.Name)
	if len(raw) > 0 {
		e.rawData(t.DType, raw)
	}
	e.optStr(12, t.DocString)
	if external {
		e.pairs(13, t.External)
		e.int(14, 1)
	}
	e.pairs(16, t.Metadata)
}

// tensorBytes checks t and returns its elements, or that they are in another file.
func (e *encoder) tensorBytes(t *Tensor) (raw []byte, external bool) {
	n, ok := t.Elems()
	size, ok2 := rawSize(t.DType, n)
	switch {
	case !ok || !ok2 || t.DType == tensor.Undefined || t.DType > tensor.Int2:
		e.fail("tensor %q: type %v with shape %v cannot be written", t.Name, t.DType, t.Dims)
	case t.Value != nil:
		shape, ok := intDims(t.Dims)
		if t.Value.DType() != t.DType || !ok || !t.Value.Shape().Equal(shape) {
			e.fail("tensor %q: the value is %v, the declared type %v%v", t.Name, t.Value, t.DType, t.Dims)
		}
		return packBits(t.DType, t.Value.Bytes()), false
	case t.External != nil:
		return nil, true
	case t.DType == tensor.String:
		if int64(len(t.Strings)) != n {
			e.fail("tensor %q: shape %v with %d strings", t.Name, t.Dims, len(t.Strings))
		}
	case len(t.Raw) != size || size > 0 && t.DType.Size() > 0:
		e.fail("tensor %q: shape %v of %v takes %d bytes, the value has %d", t.Name, t.Dims, t.DType, size, len(t.Raw))
	default:
		return t.Raw, false
	}
	return nil, false
}

// rawData writes elements, in the machine's byte order, as raw_data.
func (e *encoder) rawData(t tensor.DType, data []byte) {
	if tensor.HostLittleEndian || t.Size() < 2 || e.w == nil {
		e.bytes(9, data)
		return
	}
	e.tag(9, 2)
	e.raw(uint64(len(data)))
	var part [4096]byte
	for len(data) > 0 {
		n := copy(part[:], data)
		tensor.SwapBytes(part[:n], t.Size())
		e.write(part[:n])
		data = data[n:]
	}
}

func (e *encoder) sparse(s *SparseTensor) {
	if s.Values == nil || s.Indices == nil {
		e.fail("%w", errNilPart)
		return
	}
	e.message(1, func() { e.tensor(s.Values) })
	e.message(2, func() { e.tensor(s.Indices) })
	e.ints(3, s.Dims)
}

func (e *encoder) valueInfo(v *ValueInfo) {
	e.str(1, v.Name)
	if v.Type.Kind != KindNone || v.Type.Denotation != "" {
		e.message(2, func() { e.typ(&v.Type) })
	}
	e.optStr(3, v.DocString)
	e.pairs(4, v.Metadata)
}

func (e *encoder) typ(t *Type) {
	switch t.Kind {
	case KindNone:
		e.optStr(6, t.Denotation)
	case KindTensor:
		e.message(1, func() {
			e.int(1, int64(t.Elem))
			if t.HasShape {
				e.message(2, func() {
					for _, d := range t.Shape {
						e.message(1, func() { e.dim(d) })
					}
				})
			}
		})
		e.optStr(6, t.Denotation)
	default:
		if len(t.Raw) == 0 {
			e.fail("a type other than a tensor has no encoded form")
		}
		e.write(t.Raw)
	}
}

func (e *encoder) dim(d Dim) {
	switch {
	case d.Param != "":
		e.str(2, d.Param)
	case d.Value >= 0:
		e.int(1, d.Value)
	}
	e.optStr(3, d.Denotation)
}

func (e *encoder) function(f *Function) {
	e.optStr(1, f.Name)
	e.strs(4, f.Inputs)
	e.strs(5, f.Outputs)
	e.strs(6, f.Attributes)
	messages(e, 7, f.Nodes, e.node)
	e.optStr(8, f.DocString)
	e.opsets(9, f.Opsets)
	e.optStr(10, f.Domain)
	messages(e, 11, f.Defaults, e.attribute)
	messages(e, 12, f.ValueInfo, e.valueInfo)
	e.optStr(13, f.Overload)
	e.pairs(14, f.Metadata)
}

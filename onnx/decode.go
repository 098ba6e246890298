package onnx

import (
	"bytes"
	"io"
	"os"

	"github.com/aekit/aekit/tensor"
)

// Oldest and newest version of the IR that Decode reads.
const (
	MinIRVersion = 3
	MaxIRVersion = 14
)

// DecodeOptions says how a model is read. The zero value is good.
type DecodeOptions struct {
	Limits Limits
	// Copy makes every tensor own its memory. Otherwise tensors whose raw_data happens to
	// lie aligned in the input are views of it (on little-endian machines), so that the
	// input must outlive the model and must not change.
	Copy bool
	// Unaligned extends views to raw_data at any address, on processors that read unaligned
	// memory as well as other memory, for tensors of [UnalignedBytes] and more; smaller ones
	// are copied. Such a tensor breaks the rule of package tensor that memory is aligned to
	// the element size: it is meant to be read once, into another form. Copy has precedence.
	Unaligned bool
}

// UnalignedBytes is the size from which [DecodeOptions.Unaligned] makes views.
const UnalignedBytes = 4 << 10

// Decode reads a model from its encoded form. Errors are of type *[FormatError],
// [UnsupportedError] or *[LimitError].
//
// The result is well-formed but not checked: see [Check]. Tensors whose data lie in the
// file have the number of elements that their shape says. The domain "ai.onnx" is read as
// "". External data is not touched: see [LoadExternal].
func Decode(b []byte, opts DecodeOptions) (*Model, error) {
	d := newDecoder(b, opts)
	m := d.model(reader{decoder: d, end: len(b)})
	if d.err != nil {
		return nil, d.err
	}
	return m, nil
}

// DecodeTensor reads one encoded TensorProto, such as the files input_0.pb of the ONNX
// backend tests. Errors are those of [Decode].
func DecodeTensor(b []byte, opts DecodeOptions) (*Tensor, error) {
	d := newDecoder(b, opts)
	t := d.tensor(reader{decoder: d, end: len(b)})
	if d.err != nil {
		return nil, d.err
	}
	return t, nil
}

// Read decodes a model from r, of which it reads at most Limits.Bytes and one more.
func Read(r io.Reader, opts DecodeOptions) (*Model, error) {
	b, err := readLimited(r, 0, opts.Limits.withDefaults().Bytes)
	if err != nil {
		return nil, err
	}
	return Decode(b, opts)
}

// ReadFile decodes the model in a file. Errors name the file.
func ReadFile(path string, opts DecodeOptions) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var size int64
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		size = st.Size()
	}
	limit := opts.Limits.withDefaults().Bytes
	if size > limit {
		return nil, errorf("%s: %w", path, &LimitError{"bytes", limit})
	}
	b, err := readLimited(f, size, limit)
	if err != nil {
		return nil, errorf("%s: %w", path, err)
	}
	m, err := Decode(b, opts)
	if err != nil {
		return nil, errorf("%s: %w", path, err)
	}
	return m, nil
}

// readLimited reads all of r, which is expected to hold size bytes.
func readLimited(r io.Reader, size, limit int64) ([]byte, error) {
	if size > 0 && int64(int(size)) == size {
		b := tensor.AlignedBytes(int(size))
		n, err := io.ReadFull(r, b)
		if err == io.ErrUnexpectedEOF || err == io.EOF {
			return b[:n], nil
		}
		return b, err
	}
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = &LimitError{"bytes", limit}
	}
	return buf.Bytes(), err
}

// once reports a singular message field that occurs a second time. Protocol buffers would
// merge the two; no writer of models produces that, and readers disagree about it.
func once(r *reader, seen bool, what string) {
	if seen {
		r.fail(r.at, "%s occurs twice", what)
	}
}

func (d *decoder) model(r reader) *Model {
	m := &Model{}
	for r.next() {
		switch r.num {
		case 1:
			m.IRVersion = r.int64()
		case 2:
			m.ProducerName = r.str()
		case 3:
			m.ProducerVersion = r.str()
		case 4:
			m.Domain = r.str()
		case 5:
			m.ModelVersion = r.int64()
		case 6:
			m.DocString = r.str()
		case 7:
			once(&r, m.Graph != nil, "graph")
			m.Graph = d.graph(r.message())
		case 8:
			d.charge(24)
			m.Opsets = append(m.Opsets, d.opset(r.message()))
		case 14:
			m.Metadata = d.pair(m.Metadata, r.message())
		case 25:
			m.Functions = append(m.Functions, d.function(r.message()))
		default:
			r.skip()
		}
	}
	switch {
	case d.err != nil:
	case m.IRVersion == 0:
		d.fail(0, "no ir_version: not an ONNX model")
	case m.IRVersion < 0:
		d.fail(0, "ir_version %d", m.IRVersion)
	case m.IRVersion < MinIRVersion:
		d.unsupported("IR version %d; the oldest that is read is %d (convert the model with onnx.version_converter)", m.IRVersion, MinIRVersion)
	case m.IRVersion > MaxIRVersion:
		d.unsupported("IR version %d; the newest that is read is %d", m.IRVersion, MaxIRVersion)
	case m.Graph == nil:
		d.fail(len(d.buf), "the model has no graph")
	}
	return m
}

func domain(s string) string {
	if s == "ai.onnx" {
		return ""
	}
	return s
}

func (d *decoder) opset(r reader) OpsetID {
	var o OpsetID
	for r.next() {
		switch r.num {
		case 1:
			o.Domain = domain(r.str())
		case 2:
			o.Version = r.int64()
		default:
			r.skip()
		}
	}
	return o
}

func (d *decoder) pair(s []StringPair, r reader) []StringPair {
	var p StringPair
	d.charge(32)
	for r.next() {
		switch r.num {
		case 1:
			p.Key = r.str()
		case 2:
			p.Value = r.str()
		default:
			r.skip()
		}
	}
	return append(s, p)
}

func (d *decoder) graph(r reader) *Graph {
	g := alloc[Graph](d)
	d.depth++
	defer func() { d.depth-- }()
	if d.err == nil && d.depth > d.opts.Limits.Depth {
		d.err = &LimitError{"graphs inside one another", int64(d.opts.Limits.Depth)}
	}
	for r.next() {
		switch r.num {
		case 1:
			g.Nodes = append(g.Nodes, d.node(r.message()))
		case 2:
			g.Name = r.str()
		case 5:
			g.Initializers = append(g.Initializers, d.tensor(r.message()))
		case 10:
			g.DocString = r.str()
		case 11:
			g.Inputs = append(g.Inputs, d.valueInfo(r.message()))
		case 12:
			g.Outputs = append(g.Outputs, d.valueInfo(r.message()))
		case 13:
			g.ValueInfo = append(g.ValueInfo, d.valueInfo(r.message()))
		case 15:
			g.Sparse = append(g.Sparse, d.sparse(r.message()))
		case 16:
			g.Metadata = d.pair(g.Metadata, r.message())
		default:
			r.skip()
		}
	}
	return g
}

func (d *decoder) node(r reader) *Node {
	n := alloc[Node](d)
	if d.nodes++; d.nodes > d.opts.Limits.Nodes && d.err == nil {
		d.err = &LimitError{"nodes", int64(d.opts.Limits.Nodes)}
	}
	for r.next() {
		switch r.num {
		case 1:
			n.Inputs = r.strs(n.Inputs)
		case 2:
			n.Outputs = r.strs(n.Outputs)
		case 3:
			n.Name = r.str()
		case 4:
			n.OpType = r.str()
		case 5:
			n.Attrs = append(n.Attrs, d.attribute(r.message()))
		case 6:
			n.DocString = r.str()
		case 7:
			n.Domain = domain(r.str())
		case 8:
			n.Overload = r.str()
		case 9:
			n.Metadata = d.pair(n.Metadata, r.message())
		default:
			r.skip()
		}
	}
	return n
}

func (d *decoder) attribute(r reader) *Attribute {
	a := alloc[Attribute](d)
	var seen uint32 // bit t: a value field of type t is present
	start := r.pos
	mark := func(t AttrType) { seen |= 1 << t }
	for r.next() {
		switch r.num {
		case 1:
			a.Name = r.str()
		case 2:
			mark(AttrFloat)
			a.Float = float32from(r.fixed32())
		case 3:
			mark(AttrInt)
			a.Int = r.int64()
		case 4:
			mark(AttrString)
			a.String = r.blob()
		case 5:
			mark(AttrTensor)
			once(&r, a.Tensor != nil, "the attribute's tensor")
			a.Tensor = d.tensor(r.message())
		case 6:
			mark(AttrGraph)
			once(&r, a.Graph != nil, "the attribute's graph")
			a.Graph = d.graph(r.message())
		case 7:
			mark(AttrFloats)
			a.Floats = r.floats(a.Floats)
		case 8:
			mark(AttrInts)
			a.Ints = r.varints(a.Ints)
		case 9:
			mark(AttrStrings)
			d.charge(24)
			a.Strings = append(a.Strings, r.blob())
		case 10:
			mark(AttrTensors)
			a.Tensors = append(a.Tensors, d.tensor(r.message()))
		case 11:
			mark(AttrGraphs)
			a.Graphs = append(a.Graphs, d.graph(r.message()))
		case 13:
			a.DocString = r.str()
		case 14:
			mark(AttrTypeProto)
			once(&r, a.TypeProto != nil, "the attribute's type")
			a.TypeProto = alloc[Type](d)
			*a.TypeProto = d.typ(r.message())
		case 15:
			mark(AttrTypes)
			t := alloc[Type](d)
			*t = d.typ(r.message())
			a.Types = append(a.Types, t)
		case 20:
			a.Type = AttrType(r.enum())
		case 21:
			a.RefName = r.str()
		case 22:
			mark(AttrSparse)
			once(&r, a.Sparse != nil, "the attribute's sparse tensor")
			a.Sparse = d.sparse(r.message())
		case 23:
			mark(AttrSparses)
			a.Sparses = append(a.Sparses, d.sparse(r.message()))
		default:
			r.skip()
		}
	}
	d.attributeType(a, seen, start)
	return a
}

// attributeType settles which field holds the value. A missing type is that of the one
// field present; a field that is absent has its zero value, except for messages.
func (d *decoder) attributeType(a *Attribute, seen uint32, at int) {
	if a.Type == AttrUndefined && a.RefName == "" {
		for t := AttrFloat; t <= AttrTypes; t++ {
			if seen == 1<<t {
				a.Type = t
			}
		}
	}
	if a.Type == AttrString && a.String == nil {
		a.String = []byte{}
	}
	switch {
	case a.Type < 0 || a.Type > AttrTypes:
		d.fail(at, "attribute %q has type %d, which does not exist", a.Name, a.Type)
	case a.RefName != "":
		if seen != 0 {
			d.fail(at, "attribute %q has both a value and a reference", a.Name)
		}
	case a.Type == AttrUndefined:
		d.fail(at, "attribute %q does not say which of its fields is the value", a.Name)
	case seen&^(1<<a.Type) != 0:
		d.fail(at, "attribute %q is of type %v and has a value of another type", a.Name, a.Type)
	case seen == 0 && (a.Type == AttrTensor || a.Type == AttrGraph || a.Type == AttrSparse || a.Type == AttrTypeProto):
		d.fail(at, "attribute %q is of type %v and has no value", a.Name, a.Type)
	}
}

func (d *decoder) function(r reader) *Function {
	f := alloc[Function](d)
	for r.next() {
		switch r.num {
		case 1:
			f.Name = r.str()
		case 4:
			f.Inputs = r.strs(f.Inputs)
		case 5:
			f.Outputs = r.strs(f.Outputs)
		case 6:
			f.Attributes = r.strs(f.Attributes)
		case 7:
			f.Nodes = append(f.Nodes, d.node(r.message()))
		case 8:
			f.DocString = r.str()
		case 9:
			d.charge(24)
			f.Opsets = append(f.Opsets, d.opset(r.message()))
		case 10:
			f.Domain = domain(r.str())
		case 11:
			f.Defaults = append(f.Defaults, d.attribute(r.message()))
		case 12:
			f.ValueInfo = append(f.ValueInfo, d.valueInfo(r.message()))
		case 13:
			f.Overload = r.str()
		case 14:
			f.Metadata = d.pair(f.Metadata, r.message())
		default:
			r.skip()
		}
	}
	return f
}

// Package onnx is the ONNX intermediate representation in Go: models, graphs, nodes,
// attributes, tensors and types as plain structs, with a decoder, an encoder, a structural
// checker, a builder and sub-graph extraction. It knows the file format and no operator.
//
// The format is that of the ONNX IR specification (onnx.proto, IR versions 3 to 14),
// https://github.com/onnx/onnx/blob/main/docs/IR.md. Field names follow the specification.
//
// Training information, device configurations and quantization annotations of a file are
// skipped, and so are fields that this package does not know; nothing of them is written.
//
// # Security Considerations
//
// [Decode] is meant for files that nobody vouches for: it does not read outside its input,
// checks each length before it allocates, and holds the memory it uses for a file without
// external data to a small multiple of the file's size; see [Limits]. It reads no other
// file; [LoadExternal] does, and only below the folder it is given.
//
// Structs may be read from several goroutines at once; changing them is the caller's to
// synchronise.
package onnx

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// Model is a ModelProto.
type Model struct {
	IRVersion       int64
	ProducerName    string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	DocString       string
	Opsets          []OpsetID
	Metadata        []StringPair // metadata_props, in file order
	Graph           *Graph
	Functions       []*Function
}

// OpsetID says which version of a domain's operator set a model uses. The domain "" is
// the standard one; "ai.onnx" is read as "".
type OpsetID struct {
	Domain  string
	Version int64
}

// StringPair is a StringStringEntryProto.
type StringPair struct{ Key, Value string }

// Graph is a GraphProto. Nodes are in topological order in every model that passes Check.
type Graph struct {
	Name         string
	DocString    string
	Nodes        []*Node
	Initializers []*Tensor
	Sparse       []*SparseTensor // sparse_initializer
	Inputs       []*ValueInfo
	Outputs      []*ValueInfo
	ValueInfo    []*ValueInfo
	Metadata     []StringPair
}

// Node is a NodeProto. An empty string among Inputs is an omitted optional input, among
// Outputs an output that is not wanted.
type Node struct {
	Name      string
	OpType    string
	Domain    string
	Overload  string
	DocString string
	Inputs    []string
	Outputs   []string
	Attrs     []*Attribute
	Metadata  []StringPair
	// Opset is the version of Domain's operators that the node is written in, where it is not the
	// one that the model imports, else 0. [Inline] sets it; files cannot hold it.
	Opset int64
}

// AttrType is AttributeProto.AttributeType.
type AttrType int32

// Attribute types.
const (
	AttrUndefined AttrType = 0
	AttrFloat     AttrType = 1
	AttrInt       AttrType = 2
	AttrString    AttrType = 3
	AttrTensor    AttrType = 4
	AttrGraph     AttrType = 5
	AttrFloats    AttrType = 6
	AttrInts      AttrType = 7
	AttrStrings   AttrType = 8
	AttrTensors   AttrType = 9
	AttrGraphs    AttrType = 10
	AttrSparse    AttrType = 11
	AttrSparses   AttrType = 12
	AttrTypeProto AttrType = 13
	AttrTypes     AttrType = 14
)

var attrTypeNames = [...]string{"UNDEFINED", "FLOAT", "INT", "STRING", "TENSOR", "GRAPH", "FLOATS", "INTS", "STRINGS",
	"TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"}

// String returns the name in the specification, for example "INTS".
func (t AttrType) String() string {
	if t >= 0 && int(t) < len(attrTypeNames) {
		return attrTypeNames[t]
	}
	return fmt.Sprintf("attribute type %d", int32(t))
}

// Attribute is an AttributeProto; the field that Type names holds the value.
type Attribute struct {
	Name      string
	Type      AttrType
	RefName   string // in a function body: the function's attribute that gives the value
	DocString string
	Float     float32
	Int       int64
	String    []byte
	Tensor    *Tensor
	Graph     *Graph
	Floats    []float32
	Ints      []int64
	Strings   [][]byte
	Tensors   []*Tensor
	Graphs    []*Graph
	Sparse    *SparseTensor
	Sparses   []*SparseTensor
	TypeProto *Type
	Types     []*Type
}

// SparseTensor is a SparseTensorProto: the non-zero elements of a tensor. Indices is int64,
// either [n] positions in the flattened tensor or [n, rank] coordinates, in ascending order.
type SparseTensor struct {
	Values  *Tensor // [n]; its Name is the name of a sparse initializer
	Indices *Tensor
	Dims    []int64
}

// Tensor is a TensorProto: an initializer, or the value of an attribute.
//
// Value holds the elements, in the machine's byte order, for every type that package
// tensor can represent and whose data is in the file. It is nil for strings (see Strings),
// for other types, and for external data that has not been loaded (see External).
type Tensor struct {
	Name      string
	DType     tensor.DType // element type; numbers beyond tensor.Int2 are those of newer files
	Dims      []int64
	Value     *tensor.Tensor
	Strings   [][]byte
	External  []StringPair // location, offset, length …: data_location EXTERNAL
	Raw       []byte       // raw_data of types that package tensor does not represent
	DocString string
	Metadata  []StringPair
}

// ValueInfo is a ValueInfoProto: the name and type of a graph input, output or value.
type ValueInfo struct {
	Name      string
	Type      Type
	DocString string
	Metadata  []StringPair
}

// Type is a TypeProto. Only tensor types are described; Kind names the others.
type Type struct {
	Kind       TypeKind
	Elem       tensor.DType
	HasShape   bool // false: the rank is unknown
	Shape      []Dim
	Denotation string // what the value stands for, for example "IMAGE"
	Raw        []byte // the encoded TypeProto of kinds other than KindTensor and KindNone
}

// TypeKind is which of TypeProto's alternatives is present.
type TypeKind uint8

// Type kinds.
const (
	KindNone TypeKind = iota
	KindTensor
	KindSequence
	KindMap
	KindOptional
	KindSparse
	KindOpaque
)

// Dim is one dimension of a declared shape: a value, a name, or neither (unknown).
type Dim struct {
	Value      int64 // -1 where the dimension has a name or is unknown
	Param      string
	Denotation string // what the axis stands for, for example "DATA_BATCH"
}

// FixedDim returns a dimension with a value.
func FixedDim(v int64) Dim { return Dim{Value: v} }

// NamedDim returns a dimension with a name, for example "batch".
func NamedDim(name string) Dim { return Dim{Value: -1, Param: name} }

// Function is a FunctionProto: an operator defined by other operators.
type Function struct {
	Name       string
	Domain     string
	Overload   string
	DocString  string
	Inputs     []string
	Outputs    []string
	Attributes []string     // names without a default
	Defaults   []*Attribute // attribute_proto
	Nodes      []*Node
	Opsets     []OpsetID
	ValueInfo  []*ValueInfo
	Metadata   []StringPair
}

// Attr returns the attribute of that name, or nil.
func (n *Node) Attr(name string) *Attribute {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Initializer returns the initializer of that name, or nil.
func (g *Graph) Initializer(name string) *Tensor {
	for _, t := range g.Initializers {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Opset returns the version of a domain's operator set that m imports, or 0.
func (m *Model) Opset(domain string) int64 {
	if domain == "ai.onnx" {
		domain = ""
	}
	for _, o := range m.Opsets {
		if o.Domain == domain || domain == "" && o.Domain == "ai.onnx" {
			return o.Version
		}
	}
	return 0
}

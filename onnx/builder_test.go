package onnx_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// small returns x → MatMul w → h → Add b → s → Relu → y, and s → Sigmoid → p.
func small(t testing.TB) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(2))
	w := b.Initializer("w", tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3)))
	c := b.Initializer("b", tensor.Must(tensor.Of([]float32{-1, 0, 1}, 3)))
	h := b.Op("MatMul", "h", []string{x, w})
	s := b.Op("Add", "s", []string{h, c})
	y := b.Op("LeakyRelu", "y", []string{s}, onnx.AttrF("alpha", 0.25))
	p := b.Op("Sigmoid", "p", []string{s})
	b.Value("s", tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(3))
	b.Output(y, tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(3))
	b.Output(p, tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(3))
	b.Metadata("kind", "test")
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func encode(t testing.TB, m *onnx.Model) []byte {
	t.Helper()
	e, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// all returns a model that uses every field and every kind of attribute.
func all(t testing.TB) *onnx.Model {
	t.Helper()
	body := func() *onnx.Graph {
		return &onnx.Graph{
			Name:    "then",
			Nodes:   []*onnx.Node{{OpType: "Identity", Inputs: []string{"x"}, Outputs: []string{"inner"}}},
			Outputs: []*onnx.ValueInfo{{Name: "inner"}},
		}
	}
	sparse := func(name string) *onnx.SparseTensor {
		return &onnx.SparseTensor{
			Values:  onnx.NewTensor(name, tensor.Must(tensor.Of([]float32{1, 2}, 2))),
			Indices: onnx.NewTensor("", tensor.Must(tensor.Of([]int64{0, 5}, 2))),
			Dims:    []int64{2, 3},
		}
	}
	typ := &onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Int8}
	seq := onnx.Type{Kind: onnx.KindSequence, Raw: []byte{0x22, 0x02, 0x0a, 0x00}}
	ten := onnx.NewTensor("t", tensor.Scalar(float32(7)))
	attrs := []*onnx.Attribute{
		onnx.AttrF("f", -1.5), onnx.AttrF("f0", 0), onnx.AttrI("i", -3), onnx.AttrI("i0", 0), onnx.AttrS("s", "text"), onnx.AttrS("s0", ""),
		onnx.AttrFs("fs", 1, 2, 3), onnx.AttrFs("fs0"), onnx.AttrIs("is", -1, 1<<40), onnx.AttrSs("ss", "a", ""),
		onnx.AttrT("t", tensor.Must(tensor.Of([]int64{1, 2}, 2))), onnx.AttrG("g", body()),
		{Name: "ts", Type: onnx.AttrTensors, Tensors: []*onnx.Tensor{ten, ten}},
		{Name: "gs", Type: onnx.AttrGraphs, Graphs: []*onnx.Graph{body(), body()}},
		{Name: "sp", Type: onnx.AttrSparse, Sparse: sparse("")},
		{Name: "sps", Type: onnx.AttrSparses, Sparses: []*onnx.SparseTensor{sparse("")}},
		{Name: "tp", Type: onnx.AttrTypeProto, TypeProto: typ, DocString: "attribute"},
		{Name: "tps", Type: onnx.AttrTypes, Types: []*onnx.Type{typ, typ}},
	}
	pairs := []onnx.StringPair{{Key: "k", Value: "v"}, {Key: "empty"}}
	str := &onnx.Tensor{Name: "str", DType: tensor.String, Dims: []int64{2}, Strings: [][]byte{[]byte("a"), {}}}
	int4 := onnx.NewTensor("int4", tensor.Must(tensor.FromBytes(tensor.Int4, []byte{1, 0xfe, 3}, 3)))
	ext := &onnx.Tensor{Name: "ext", DType: tensor.Float32, Dims: []int64{3}, External: []onnx.StringPair{{Key: "location", Value: "w.bin"}}}
	doc := onnx.NewTensor("doc", tensor.Must(tensor.Of([]bool{true, false}, 2)))
	doc.DocString, doc.Metadata = "tensor", pairs
	return &onnx.Model{
		IRVersion: 13, ProducerName: "p", ProducerVersion: "1", Domain: "d", ModelVersion: 5, DocString: "model",
		Opsets: []onnx.OpsetID{{Domain: "", Version: 25}, {Domain: "my", Version: 1}}, Metadata: pairs,
		Graph: &onnx.Graph{
			Name: "g", DocString: "graph", Metadata: pairs,
			Inputs: []*onnx.ValueInfo{
				{Name: "x", DocString: "value", Metadata: pairs, Type: onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32, HasShape: true, Denotation: "IMAGE",
					Shape: []onnx.Dim{onnx.FixedDim(0), onnx.NamedDim("N"), {Value: -1}, {Value: 4, Denotation: "DATA_CHANNEL"}}}},
				{Name: "seq", Type: seq}, {Name: "untyped"},
				{Name: "scalar", Type: onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32, HasShape: true}},
			},
			Nodes: []*onnx.Node{
				{Name: "n", OpType: "Op", Domain: "my", Overload: "o", DocString: "node", Inputs: []string{"x", "", "str"}, Outputs: []string{"", "y"}, Attrs: attrs, Metadata: pairs},
			},
			Outputs:      []*onnx.ValueInfo{{Name: "y"}},
			ValueInfo:    []*onnx.ValueInfo{onnx.NewValueInfo("y", tensor.Float32)},
			Initializers: []*onnx.Tensor{str, int4, ext, doc},
			Sparse:       []*onnx.SparseTensor{sparse("sparse")},
		},
		Functions: []*onnx.Function{{
			Name: "Op", Domain: "my", Overload: "o", DocString: "function", Inputs: []string{"a", "b", "c"}, Outputs: []string{"z", "z2"},
			Attributes: []string{"alpha"}, Defaults: []*onnx.Attribute{onnx.AttrF("beta", 2)}, Opsets: []onnx.OpsetID{{Version: 25}}, Metadata: pairs,
			Nodes: []*onnx.Node{
				{OpType: "Elu", Inputs: []string{"a"}, Outputs: []string{"z"}, Attrs: []*onnx.Attribute{onnx.AttrRef("alpha", onnx.AttrFloat, "alpha")}},
				{OpType: "Elu", Inputs: []string{"z"}, Outputs: []string{"z2"}, Attrs: []*onnx.Attribute{onnx.AttrRef("alpha", onnx.AttrFloat, "beta")}},
			},
			ValueInfo: []*onnx.ValueInfo{onnx.NewValueInfo("z", tensor.Float32)},
		}},
	}
}

func TestEveryFieldRoundTrips(t *testing.T) {
	for name, m := range map[string]*onnx.Model{"small": small(t), "all": all(t)} {
		if err := onnx.Check(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b := encode(t, m)
		for _, c := range []bool{false, true} {
			got, err := onnx.Decode(b, onnx.DecodeOptions{Copy: c})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !reflect.DeepEqual(got, m) {
				t.Errorf("%s: copy=%v: decoded model differs:\n%+v\n%+v", name, c, got, m)
			}
			if !bytes.Equal(encode(t, got), b) {
				t.Errorf("%s: the encoding of the decoded model differs", name)
			}
		}
	}
}

func TestBuilderReportsMistakes(t *testing.T) {
	tests := []struct {
		name, want string
		build      func(b *onnx.Builder)
	}{
		{"taken", `"x": the name is taken`, func(b *onnx.Builder) { b.Op("Relu", "x", []string{"x"}) }},
		{"no name", "without a name", func(b *onnx.Builder) { b.Input("", tensor.Float32) }},
		{"no value", "has no value", func(b *onnx.Builder) { b.Initializer("w", nil) }},
		{"undefined", `input "nowhere" is not defined`, func(b *onnx.Builder) { b.Op("Relu", "y", []string{"nowhere"}) }},
		{"no output", `nothing produces graph output "q"`, func(b *onnx.Builder) { b.Output("q", tensor.Float32) }},
		{"no import", `domain "my" is not imported`, func(b *onnx.Builder) {
			b.Node(&onnx.Node{OpType: "Op", Domain: "my", Outputs: []string{"y"}})
		}},
	}
	for _, c := range tests {
		b := onnx.NewBuilder(17)
		b.Input("x", tensor.Float32)
		c.build(b)
		if _, err := b.Model(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32)
	y, z := b.Op("Relu", "", []string{x}), b.Op("Relu", "", []string{x})
	if y == z || y == "" {
		t.Errorf("fresh names %q and %q", y, z)
	}
	if m, err := b.Model(); err != nil || m.Graph.Nodes[0].Name == m.Graph.Nodes[1].Name {
		t.Errorf("two nodes: %v", err)
	}
}

func TestIRVersionFor(t *testing.T) {
	// Release table of https://github.com/onnx/onnx/blob/main/docs/Versioning.md.
	for opset, want := range map[int64]int64{9: 4, 10: 5, 11: 6, 13: 7, 14: 7, 15: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13} {
		if got := onnx.IRVersionFor(opset); got != want {
			t.Errorf("IRVersionFor(%d) = %d, want %d", opset, got, want)
		}
	}
}

func TestEncodeRejects(t *testing.T) {
	loop := &onnx.Graph{Name: "g"}
	loop.Nodes = []*onnx.Node{{OpType: "If", Attrs: []*onnx.Attribute{onnx.AttrG("then_branch", loop)}}}
	v := tensor.Must(tensor.Of([]float32{1, 2}, 2))
	tests := map[string]*onnx.Graph{
		"no graph":      nil,
		"recursive":     loop,
		"nil node":      {Nodes: []*onnx.Node{nil}},
		"nil tensor":    {Initializers: []*onnx.Tensor{nil}},
		"wrong dims":    {Initializers: []*onnx.Tensor{{DType: tensor.Float32, Dims: []int64{3}, Value: v}}},
		"wrong type":    {Initializers: []*onnx.Tensor{{DType: tensor.Int32, Dims: []int64{2}, Value: v}}},
		"no data":       {Initializers: []*onnx.Tensor{{DType: tensor.Float32, Dims: []int64{2}}}},
		"raw float":     {Initializers: []*onnx.Tensor{{DType: tensor.Float32, Dims: []int64{1}, Raw: []byte{0, 0, 0, 0}}}},
		"raw too short": {Initializers: []*onnx.Tensor{{DType: tensor.Complex64, Dims: []int64{3}, Raw: []byte{0}}}},
		"no type":       {Initializers: []*onnx.Tensor{{}}},
		"empty attr":    {Nodes: []*onnx.Node{{OpType: "X", Attrs: []*onnx.Attribute{{Name: "a"}}}}},
		"nil attr":      {Nodes: []*onnx.Node{{OpType: "X", Attrs: []*onnx.Attribute{{Name: "a", Type: onnx.AttrTensor}}}}},
	}
	for name, g := range tests {
		if b, err := onnx.Encode(&onnx.Model{IRVersion: 8, Graph: g}); err == nil {
			t.Errorf("%s: encoded as %x", name, b)
		}
	}
}

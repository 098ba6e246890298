package op

import (
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestMACs compares counts of multiply-adds with what the definitions of the operators give.
func TestMACs(t *testing.T) {
	f, u8, s8 := tensor.Float32, tensor.Uint8, tensor.Int8
	hidden := attrInt("hidden_size", 5)
	for _, c := range []struct {
		node
		types  []tensor.DType // of the inputs; the last one holds for the others too
		shapes []tensor.Shape
		want   int64
	}{
		{node{typ: "Gemm"}, []tensor.DType{f}, []tensor.Shape{{2, 3}, {3, 7}}, 2 * 3 * 7},
		{node{typ: "MatMul"}, []tensor.DType{f}, []tensor.Shape{{4, 2, 3}, {3, 7}}, 4 * 2 * 3 * 7},
		{node{typ: "MatMulInteger"}, []tensor.DType{u8, s8}, []tensor.Shape{{2, 3}, {3, 7}}, 2 * 3 * 7},
		{node{typ: "Conv", attrs: []*onnx.Attribute{onnx.AttrIs("strides", 2, 2)}}, []tensor.DType{f}, []tensor.Shape{{2, 3, 9, 9}, {6, 3, 3, 3}}, 2 * 6 * 4 * 4 * 3 * 3 * 3},
		{node{typ: "Conv", attrs: []*onnx.Attribute{attrInt("group", 3)}}, []tensor.DType{f}, []tensor.Shape{{1, 3, 5, 5}, {6, 1, 3, 3}}, 6 * 3 * 3 * 3 * 3},
		{node{typ: "ConvInteger"}, []tensor.DType{u8, s8}, []tensor.Shape{{1, 3, 5, 5}, {6, 3, 3, 3}}, 6 * 3 * 3 * 3 * 3 * 3},
		{node{typ: "ConvTranspose", attrs: []*onnx.Attribute{onnx.AttrIs("strides", 2, 2)}}, []tensor.DType{f}, []tensor.Shape{{2, 3, 4, 4}, {3, 6, 2, 2}}, 2 * 3 * 4 * 4 * 6 * 2 * 2},
		{node{typ: "DeformConv"}, []tensor.DType{f}, []tensor.Shape{{1, 3, 5, 5}, {6, 3, 3, 3}, {1, 18, 3, 3}}, 6 * 3 * 3 * 3 * 3 * 3},
		{node{typ: "RNN", attrs: []*onnx.Attribute{hidden}}, []tensor.DType{f}, []tensor.Shape{{7, 2, 3}, {1, 5, 3}, {1, 5, 5}}, 7 * 2 * 5 * (3 + 5)},
		{node{typ: "GRU", attrs: []*onnx.Attribute{hidden}}, []tensor.DType{f}, []tensor.Shape{{7, 2, 3}, {1, 15, 3}, {1, 15, 5}}, 7 * 2 * 15 * (3 + 5)},
		{node{typ: "LSTM", attrs: []*onnx.Attribute{hidden, attrString("direction", "bidirectional")}}, []tensor.DType{f}, []tensor.Shape{{7, 2, 3}, {2, 20, 3}, {2, 20, 5}}, 2 * 7 * 2 * 20 * (3 + 5)},
		{node{typ: "Einsum", attrs: []*onnx.Attribute{attrString("equation", "bij,bjk->bik")}}, []tensor.DType{f}, []tensor.Shape{{4, 2, 3}, {4, 3, 7}}, 4 * 2 * 3 * 7},
		{node{typ: "Einsum", attrs: []*onnx.Attribute{attrString("equation", "ij,jk,kl->il")}}, []tensor.DType{f}, []tensor.Shape{{2, 3}, {3, 5}, {5, 7}}, 2*3*5 + 2*5*7},
		{node{typ: "Einsum", attrs: []*onnx.Attribute{attrString("equation", "ii->i")}}, []tensor.DType{f}, []tensor.Shape{{4, 4}}, 0},
		{node{typ: "Einsum", attrs: []*onnx.Attribute{attrString("equation", "a,b,c->abc")}}, []tensor.DType{f}, []tensor.Shape{{1 << 30}, {1 << 30}, {1 << 30}}, -1},
		{node{typ: "Attention"}, []tensor.DType{f}, []tensor.Shape{{1, 2, 4, 8}, {1, 2, 6, 8}, {1, 2, 6, 10}}, 2 * 4 * 6 * (8 + 10)},
	} {
		if c.typ == "Attention" {
			c.opset = 23
		}
		o, err := c.make(len(c.shapes))
		if err != nil {
			t.Errorf("%s: %v", c.typ, err)
			continue
		}
		in := make([]Fact, len(c.shapes))
		for i, s := range c.shapes {
			in[i] = Fact{DType: c.types[min(i, len(c.types)-1)], Shape: s}
		}
		coster, ok := o.(Coster)
		if !ok {
			t.Errorf("%s counts no multiply-adds", c.typ)
			continue
		}
		var out []Fact
		if c.want >= 0 {
			if out, err = o.Infer(in); err != nil {
				t.Errorf("%s: %v", c.typ, err)
				continue
			}
		}
		if got := coster.MACs(in, out); got != c.want {
			t.Errorf("%s of %v: %d multiply-adds, want %d", c.typ, c.shapes, got, c.want)
		}
	}
}

package runtime_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestSequences runs models in which tensors are split into sequences and joined from them, as
// PyTorch's exporters write.
func TestSequences(t *testing.T) {
	const rows, cols = 2, 7
	x := tensor.Must(tensor.New(tensor.Float32, rows, cols))
	for i := range x.Float32s() {
		x.Float32s()[i] = float32(i)
	}
	ints := func(b *onnx.Builder, v ...int64) string {
		return b.Initializer(b.Fresh("ints"), tensor.Must(tensor.Of(v, len(v))))
	}
	number := func(b *onnx.Builder, v int64) string {
		return b.Op("Constant", "", nil, onnx.AttrT("value", tensor.Scalar(v)))
	}
	at := func(b *onnx.Builder, seq string, i int64) string {
		return b.Op("SequenceAt", "y", []string{seq, number(b, i)})
	}
	split := func(b *onnx.Builder, in []string, keep int64) string {
		return b.Op("SplitToSequence", "", in, onnx.AttrI("axis", 1), onnx.AttrI("keepdims", keep))
	}
	tests := map[string]struct {
		body  func(b *onnx.Builder, x string) string
		shape tensor.Shape
		want  []float32
	}{
		"lengths": {func(b *onnx.Builder, x string) string { return at(b, split(b, []string{x, ints(b, 2, 3, 2)}, 1), 1) },
			tensor.Shape{2, 3}, []float32{2, 3, 4, 9, 10, 11}},
		"lengths, from the end": {func(b *onnx.Builder, x string) string { return at(b, split(b, []string{x, ints(b, 2, 3, 2)}, 0), -1) },
			tensor.Shape{2, 2}, []float32{5, 6, 12, 13}},
		"chunks": {func(b *onnx.Builder, x string) string { return at(b, split(b, []string{x, number(b, 3)}, 1), 1) },
			tensor.Shape{2, 3}, []float32{3, 4, 5, 10, 11, 12}},
		"last chunk": {func(b *onnx.Builder, x string) string { return at(b, split(b, []string{x, number(b, 3)}, 1), 2) },
			tensor.Shape{2, 1}, []float32{6, 13}},
		"columns":              {func(b *onnx.Builder, x string) string { return at(b, split(b, []string{x}, 1), -2) }, tensor.Shape{2, 1}, []float32{5, 12}},
		"columns without axis": {func(b *onnx.Builder, x string) string { return at(b, split(b, []string{x}, 0), 4) }, tensor.Shape{2}, []float32{4, 11}},
		"concatenated": {func(b *onnx.Builder, x string) string {
			s := b.Op("SequenceConstruct", "", []string{x, b.Op("Neg", "", []string{x})})
			return b.Op("ConcatFromSequence", "y", []string{s}, onnx.AttrI("axis", 0))
		}, tensor.Shape{4, 7}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13}},
		"stacked": {func(b *onnx.Builder, x string) string {
			s := b.Op("SequenceConstruct", "", []string{x, b.Op("Neg", "", []string{x})})
			return b.Op("ConcatFromSequence", "y", []string{s}, onnx.AttrI("axis", -1), onnx.AttrI("new_axis", 1))
		}, tensor.Shape{2, 7, 2}, []float32{0, 0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8, -8, 9, -9, 10, -10, 11, -11, 12, -12, 13, -13}},
		"taken from those joined": {func(b *onnx.Builder, x string) string {
			s := b.Op("SequenceConstruct", "", []string{x, b.Op("ReduceMax", "", []string{x}, onnx.AttrI("keepdims", 0))})
			return at(b, s, -1)
		}, tensor.Shape{}, []float32{13}},
		"two of one": {func(b *onnx.Builder, x string) string {
			s := split(b, []string{x, ints(b, 3, 4)}, 1)
			first := b.Op("SequenceAt", "", []string{s, number(b, 0)})
			return b.Op("Concat", "y", []string{first, b.Op("SequenceAt", "", []string{s, number(b, 0)})}, onnx.AttrI("axis", 1))
		}, tensor.Shape{2, 6}, []float32{0, 1, 2, 0, 1, 2, 7, 8, 9, 7, 8, 9}},
	}
	for name, c := range tests {
		for _, opset := range []int64{11, 13, 17} {
			b := onnx.NewBuilder(opset)
			b.Output(c.body(b, b.Input("x", tensor.Float32, onnx.FixedDim(rows), onnx.FixedDim(cols))), tensor.Float32)
			m, err := b.Model()
			if err != nil {
				t.Fatal(err)
			}
			nodes := len(m.Graph.Nodes)
			s, err := runtime.New(m, runtime.Options{})
			if err != nil {
				t.Errorf("%s, opset %d: %v", name, opset, err)
				continue
			}
			out, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": x})
			if err != nil {
				t.Errorf("%s, opset %d: %v", name, opset, err)
			} else if y := out["y"]; !y.Shape().Equal(c.shape) || !slices.Equal(y.Float32s(), c.want) {
				t.Errorf("%s, opset %d: %v %v, want %v %v", name, opset, y.Shape(), y.Float32s(), c.shape, c.want)
			}
			if len(m.Graph.Nodes) != nodes {
				t.Errorf("%s: the caller's model has changed", name)
			}
			s.Close()
		}
	}
}

// TestSequencesUnknown checks that sequences whose parts are not known are reported.
func TestSequencesUnknown(t *testing.T) {
	b := onnx.NewBuilder(13)
	x, i := b.Input("x", tensor.Float32, onnx.FixedDim(4)), b.Input("i", tensor.Int64)
	b.Output(b.Op("SequenceAt", "y", []string{b.Op("SplitToSequence", "", []string{x}), i}), tensor.Float32)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	_, err = runtime.New(m, runtime.Options{})
	missing, ok := errors.AsType[*runtime.UnsupportedError](err)
	if !ok || len(missing.Missing) != 2 || missing.Missing[0].OpType != "SequenceAt" || missing.Missing[1].OpType != "SplitToSequence" {
		t.Errorf("error %v", err)
	}
}

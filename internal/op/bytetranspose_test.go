package op

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestTransposeOfBytes compares transposes of bytes, some of which are transposes of
// matrices, with those of int32.
func TestTransposeOfBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	shape := []int{2, 9, 3, 10}
	for _, perm := range [][]int64{{0, 3, 1, 2}, {0, 2, 3, 1}, {2, 3, 0, 1}, {0, 1, 2, 3}, {1, 0, 2, 3}, {3, 2, 1, 0}, {0, 1, 3, 2}, {0, 3, 2, 1}} {
		x := rand8(r, tensor.Uint8, shape...)
		wide := tensor.Must(tensor.New(tensor.Int32, shape...))
		for i, v := range x.Bytes() {
			tensor.Data[int32](wide)[i] = int32(v)
		}
		o, err := newTranspose(NewAttrs(&onnx.Node{OpType: "Transpose", Attrs: []*onnx.Attribute{onnx.AttrIs("perm", perm...)}}, 13, nil))
		if err != nil {
			t.Fatal(err)
		}
		o.(*transpose).types = typesOf(tensor.Uint8, tensor.Int32)
		got, want := runOp(t, o, nil, false, x)[0], runOp(t, o, nil, false, wide)[0]
		for i, v := range tensor.Data[int32](want) {
			if int32(got.Bytes()[i]) != v {
				t.Fatalf("perm %v: element %d is %d, want %d", perm, i, got.Bytes()[i], v)
			}
		}
	}
}

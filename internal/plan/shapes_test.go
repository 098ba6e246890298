package plan

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// anySize returns a convolutional model for any batch and any even height and width.
func anySize(t *testing.T) *graph.Graph {
	t.Helper()
	r := rand.New(rand.NewPCG(21, 22))
	b := onnx.NewBuilder(17)
	weight := func(shape ...int) string {
		w := tensor.Must(tensor.New(tensor.Float32, shape...))
		for i := range w.Float32s() {
			w.Float32s()[i] = r.Float32()*0.2 - 0.1
		}
		return b.Initializer(b.Fresh("w"), w)
	}
	x := b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(3), onnx.NamedDim("h"), onnx.NamedDim("w"))
	y := b.Op("Relu", "", []string{b.Op("Conv", "", []string{x, weight(24, 3, 3, 3), weight(24)}, onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))})
	z := b.Op("Sigmoid", "", []string{b.Op("Conv", "", []string{y, weight(24, 24, 3, 3)}, onnx.AttrIs("pads", 1, 1, 1, 1))})
	y = b.Op("Mul", "", []string{y, z})
	y = b.Op("ConvTranspose", "", []string{y, weight(24, 3, 4, 4)}, onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))
	b.Output(y, tensor.Float32)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.New(m, graph.Config{Set: op.Core})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestShapesShareWeights makes plans for several batches and sizes of pictures: weights are
// packed for the first one only, and each plan gives what a plan of its own would.
func TestShapesShareWeights(t *testing.T) {
	g := anySize(t)
	packs := 0
	w := NewWeights()
	w.Packed = func([]byte) { packs++ }
	r := rand.New(rand.NewPCG(23, 24))
	first, bytes := 0, 0
	for i, s := range [][3]int{{1, 8, 8}, {5, 8, 8}, {1, 12, 6}, {2, 6, 20}, {3, 8, 8}} {
		x := tensor.Must(tensor.New(tensor.Float32, s[0], 3, s[1], s[2]))
		for k := range x.Float32s() {
			x.Float32s()[k] = r.Float32()
		}
		var outs [2]*tensor.Tensor
		for k, o := range []Options{{Weights: w}, {Plain: true}} {
			p, err := Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, o)
			if err != nil {
				t.Fatal(err)
			}
			out := make([]*tensor.Tensor, 1)
			if err := p.Run(context.Background(), p.NewState(), out, []*tensor.Tensor{x}); err != nil {
				t.Fatal(err)
			}
			outs[k] = out[0]
		}
		for k, v := range outs[0].Float32s() {
			if d := v - outs[1].Float32s()[k]; d > 1e-5 || d < -1e-5 {
				t.Fatalf("%v: element %d is %v, want %v", s, k, v, outs[1].Float32s()[k])
			}
		}
		if i == 0 {
			first, bytes = packs, w.Bytes()
		}
		if packs != first || w.Bytes() != bytes {
			t.Errorf("%v: %d weights packed to %d bytes, want the %d and %d of the first plan", s, packs, w.Bytes(), first, bytes)
		}
	}
	if first == 0 {
		t.Error("nothing was packed")
	}
}

// TestArenaIsWhatIsUsed checks that a state has as much memory as its plan reports, that
// every value and all scratch memory of a step lies in it, and that they reach to its end.
func TestArenaIsWhatIsUsed(t *testing.T) {
	g := anySize(t)
	for _, s := range [][]int{{1, 3, 8, 8}, {4, 3, 6, 10}} {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			p, err := Build(g, []op.Fact{{DType: tensor.Float32, Shape: s}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			st := p.NewState()
			if len(st.arena) != p.Stats().Arena {
				t.Fatalf("the arena has %d bytes, the plan reports %d", len(st.arena), p.Stats().Arena)
			}
			base := uintptr(unsafe.Pointer(unsafe.SliceData(st.arena)))
			end := 0
			for i := range p.steps {
				end = max(end, p.steps[i].scratch+p.steps[i].nwork)
				for _, k := range append(append([]int{}, p.steps[i].in...), p.steps[i].out...) {
					if k < 0 || p.slots[p.slots[k].root].kind != slotArena {
						continue
					}
					data := st.tensors[k].Bytes()
					at := int(uintptr(unsafe.Pointer(unsafe.SliceData(data))) - base)
					if at < 0 || at+len(data) > len(st.arena) {
						t.Errorf("step %d: value %d lies at %d to %d of %d bytes", i, k, at, at+len(data), len(st.arena))
					}
					end = max(end, at+len(data))
				}
			}
			if roundUp(end) != len(st.arena) {
				t.Errorf("%d of %d bytes are used", end, len(st.arena))
			}
		})
	}
}

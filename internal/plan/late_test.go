package plan

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestLateWeights compares models whose weights passes scale or transpose with the same ones where
// that is done when they are read: the results have the same bits for every batch, and weights
// of which slices are packed never exist as a whole.
func TestLateWeights(t *testing.T) {
	if !op.Complete {
		t.Skip("weights are not computed when they are read")
	}
	r := rand.New(rand.NewPCG(61, 62))
	random := func(lo, hi float32, shape ...int) *tensor.Tensor {
		w := tensor.Must(tensor.New(tensor.Float32, shape...))
		for i := range w.Float32s() {
			w.Float32s()[i] = lo + (hi-lo)*r.Float32()
		}
		return w
	}
	weights := func(b *onnx.Builder, shape ...int) string {
		return b.Initializer(b.Fresh("w"), random(-1, 1, shape...))
	}
	norm := func(b *onnx.Builder, x string, c int) string {
		in := []string{x}
		for _, lo := range []float32{0.5, -0.5, -0.5, 0.5} {
			in = append(in, b.Initializer(b.Fresh("v"), random(lo, lo+1, c)))
		}
		return b.Op("BatchNormalization", "", in)
	}
	turned := func(b *onnx.Builder, shape ...int) string {
		return b.Op("Transpose", "", []string{weights(b, shape...)}, onnx.AttrIs("perm", 1, 0))
	}
	pads, two := onnx.AttrIs("pads", 1, 1, 1, 1), onnx.AttrI("group", 2)
	for _, c := range []struct {
		name  string
		in    tensor.Shape // without the batch
		whole bool         // the weights are read as a whole
		body  func(b *onnx.Builder, x string) string
	}{
		{"convolution", tensor.Shape{96, 5, 5}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("Conv", "", []string{x, weights(b, 200, 96, 3, 3)}, pads), 200)
		}},
		{"strides and groups", tensor.Shape{96, 9, 9}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("Conv", "", []string{x, weights(b, 140, 48, 3, 3)}, pads, two, onnx.AttrIs("strides", 2, 2)), 140)
		}},
		{"tiles", tensor.Shape{64, 24, 24}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("Conv", "", []string{x, weights(b, 72, 64, 3, 3)}, pads), 72)
		}},
		{"normalized and scaled", tensor.Shape{64, 7, 7}, false, func(b *onnx.Builder, x string) string {
			y := norm(b, b.Op("Conv", "", []string{x, weights(b, 80, 64, 5, 5)}), 80)
			return b.Op("Mul", "", []string{y, b.Initializer(b.Fresh("s"), random(0.5, 2, 80, 1, 1))})
		}},
		{"pointwise", tensor.Shape{256, 4, 4}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("Conv", "", []string{x, weights(b, 200, 256, 1, 1)}), 200)
		}},
		{"transposed convolution", tensor.Shape{64, 6, 6}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("ConvTranspose", "", []string{x, weights(b, 64, 48, 5, 5)}, onnx.AttrIs("strides", 2, 2)), 48)
		}},
		{"transposed convolution of groups", tensor.Shape{64, 6, 6}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("ConvTranspose", "", []string{x, weights(b, 64, 24, 5, 5)}, two), 48)
		}},
		{"dense", tensor.Shape{300}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("Gemm", "", []string{x, weights(b, 300, 170)}), 170)
		}},
		{"dense with rows of weights", tensor.Shape{300}, false, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("Gemm", "", []string{x, weights(b, 170, 300)}, onnx.AttrI("transB", 1)), 170)
		}},
		{"transposed matrix", tensor.Shape{300}, false, func(b *onnx.Builder, x string) string {
			return b.Op("MatMul", "", []string{x, turned(b, 170, 300)})
		}},
		{"transposed matrix for rows of weights", tensor.Shape{300}, false, func(b *onnx.Builder, x string) string {
			return b.Op("Gemm", "", []string{x, turned(b, 300, 170)}, onnx.AttrI("transB", 1), onnx.AttrF("alpha", 0.3))
		}},
		{"reshaped matrix", tensor.Shape{200}, true, func(b *onnx.Builder, x string) string {
			w := b.Op("Reshape", "", []string{turned(b, 160, 400), b.Initializer("shape", tensor.Must(tensor.Of([]int64{200, 320}, 2)))})
			return b.Op("MatMul", "", []string{x, w})
		}},
		{"normalized product with a transposed matrix", tensor.Shape{300}, true, func(b *onnx.Builder, x string) string {
			return norm(b, b.Op("MatMul", "", []string{x, turned(b, 170, 300)}), 170)
		}},
		{"added matrix", tensor.Shape{200, 150}, true, func(b *onnx.Builder, x string) string {
			return b.Op("Add", "", []string{x, turned(b, 150, 200)})
		}},
	} {
		b := onnx.NewBuilder(17)
		dims := []onnx.Dim{onnx.NamedDim("n")}
		for _, d := range c.in {
			dims = append(dims, onnx.FixedDim(int64(d)))
		}
		b.Output(c.body(b, b.Input("x", tensor.Float32, dims...)), tensor.Float32)
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		pool := parallel.New(3)
		var want [][]byte
		for _, late := range []bool{false, true} {
			g, err := graph.New(m, graph.Config{Set: op.Core, Late: late})
			if err != nil {
				t.Fatal(err)
			}
			if err := graph.Optimize(g); err != nil {
				t.Fatal(err)
			}
			o := Options{Weights: NewWeights()}
			if late {
				o.Pool = pool
			}
			for i, batch := range []int{1, 3} {
				in := slices.Concat(tensor.Shape{batch}, c.in)
				x := tensor.Must(tensor.New(tensor.Float32, in...))
				for k := range x.Float32s() {
					x.Float32s()[k] = float32(k*k%31-15) / 8
				}
				p, err := Build(g, []op.Fact{{DType: tensor.Float32, Shape: in}}, o)
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				out := []*tensor.Tensor{nil}
				if err := p.Run(context.Background(), p.NewState(), out, []*tensor.Tensor{x}); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				if !late {
					want = append(want, out[0].Bytes())
				} else if !bytes.Equal(out[0].Bytes(), want[i]) {
					t.Errorf("%s, batch %d: other results where weights are computed when they are read", c.name, batch)
				}
			}
			found, whole := false, false
			for _, n := range g.Nodes {
				for _, id := range n.In {
					if v := g.Value(id); v.Data != nil && v.Data.Late() != nil {
						found = true
						whole = whole || v.Data.Late().Known() != nil
					}
				}
			}
			if found != late && !(c.whole && late) || whole && !c.whole {
				t.Errorf("%s, late %t: some weights are so: %t; as a whole: %t", c.name, late, found, whole)
			}
		}
		pool.Close()
	}
}

package plan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// heads adds Gemms of the given widths on one value of 150 columns, and returns their outputs.
func heads(r *rand.Rand, b *onnx.Builder, x string, transB, bias bool, widths ...int) []string {
	const k = 150
	var out []string
	for _, n := range widths {
		shape := []int{k, n}
		var attrs []*onnx.Attribute
		if transB {
			shape = []int{n, k}
			attrs = append(attrs, onnx.AttrI("transB", 1))
		}
		in := []string{x, constant(b, randomTensor(r, shape...))}
		if bias {
			in = append(in, constant(b, randomTensor(r, [][]int{{n}, {1, n}}[r.IntN(2)]...)))
		}
		out = append(out, b.Op("Gemm", "", in, attrs...))
	}
	return out
}

// TestJoinGemms checks that outputs are the same and of how many Gemms, Splits and Concats a graph is.
func TestJoinGemms(t *testing.T) {
	concat := func(axis int64, order ...int) func(*onnx.Builder, []string) {
		return func(b *onnx.Builder, y []string) {
			var in []string
			for _, i := range order {
				in = append(in, y[i])
			}
			b.Output(b.Op("Concat", "", in, onnx.AttrI("axis", axis)), tensor.Float32)
		}
	}
	outputs := func(b *onnx.Builder, y []string) {
		for _, y := range y {
			b.Output(y, tensor.Float32)
		}
	}
	for _, c := range []struct {
		name                  string
		widths                []int
		end                   func(b *onnx.Builder, y []string)
		gemms, splits, concat int
	}{
		{"side by side", []int{20, 20}, concat(1, 0, 1), 1, 0, 0},
		{"in another order", []int{20, 3, 7}, concat(-1, 2, 0, 1), 1, 0, 0},
		{"one below the other", []int{6, 6}, concat(0, 0, 1), 2, 0, 1},
		{"twice", []int{5, 5}, concat(1, 0, 1, 0), 2, 0, 1},
		{"outputs", []int{20, 20}, outputs, 1, 1, 0},
		{"outputs without padding", []int{32, 16}, outputs, 2, 0, 0},
		{"no padding, side by side", []int{32, 16}, concat(1, 0, 1), 1, 0, 0},
		{"outputs that others read", []int{20, 20}, func(b *onnx.Builder, y []string) {
			outputs(b, y)
			b.Output(b.Op("Exp", "", y[1:]), tensor.Float32)
		}, 1, 1, 0},
		{"activations", []int{20, 20}, func(b *onnx.Builder, y []string) {
			outputs(b, []string{b.Op("Relu", "", y[:1]), b.Op("Relu", "", y[1:])})
		}, 2, 0, 0},
		{"one output", []int{20}, outputs, 1, 0, 0},
	} {
		for variant := range 4 {
			for _, opset := range []int64{11, 13, 18} {
				what := fmt.Sprintf("%s, transB %t, bias %t, opset %d", c.name, variant&1 == 1, variant&2 == 2, opset)
				r := rand.New(rand.NewPCG(uint64(variant), 5))
				b := onnx.NewBuilder(opset)
				b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(150))
				c.end(b, heads(r, b, "x", variant&1 == 1, variant&2 == 2, c.widths...))
				g := compile(t, b)
				for _, rows := range []int{1, 9} {
					x := randomTensor(r, rows, 150)
					want := execute(t, g.Clone(), plan.Options{}, x)
					joined := g.Clone()
					if err := graph.JoinGemms(joined); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					if a, b, d := count(joined, "Gemm"), count(joined, "Split"), count(joined, "Concat"); a != c.gemms || b != c.splits || d != c.concat {
						t.Errorf("%s: %d Gemm, %d Split, %d Concat, want %d, %d, %d", what, a, b, d, c.gemms, c.splits, c.concat)
					}
					sameOutputs(t, what, execute(t, joined, plan.Options{}, x), want)
				}
			}
		}
	}
}

// TestJoinGemmsKeepsOthers has products that differ in what must agree.
func TestJoinGemmsKeepsOthers(t *testing.T) {
	for name, add := range map[string]func(r *rand.Rand, b *onnx.Builder) []string{
		"other weights are transposed": func(r *rand.Rand, b *onnx.Builder) []string {
			return append(heads(r, b, "x", true, true, 20), heads(r, b, "x", false, true, 20)...)
		},
		"one has a bias": func(r *rand.Rand, b *onnx.Builder) []string {
			return append(heads(r, b, "x", false, true, 20), heads(r, b, "x", false, false, 20)...)
		},
		"a column of biases": func(r *rand.Rand, b *onnx.Builder) []string {
			w, c := constant(b, randomTensor(r, 150, 20)), constant(b, randomTensor(r, 7, 1))
			return append(heads(r, b, "x", false, true, 20), b.Op("Gemm", "", []string{"x", w, c}))
		},
		"a scaled product": func(r *rand.Rand, b *onnx.Builder) []string {
			w := constant(b, randomTensor(r, 150, 20))
			return append(heads(r, b, "x", false, false, 20), b.Op("Gemm", "", []string{"x", w}, onnx.AttrF("alpha", 2)))
		},
		"weights that are computed": func(r *rand.Rand, b *onnx.Builder) []string {
			w := b.Op("Transpose", "", []string{b.Op("Slice", "", []string{"x", constant(b, tensor.Must(tensor.Of([]int64{0}, 1))), constant(b, tensor.Must(tensor.Of([]int64{4}, 1)))})})
			return append(heads(r, b, "x", false, false, 20), b.Op("Gemm", "", []string{"x", w}))
		},
	} {
		r := rand.New(rand.NewPCG(8, 5))
		b := onnx.NewBuilder(17)
		b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(150))
		for _, y := range add(r, b) {
			b.Output(y, tensor.Float32)
		}
		g := compile(t, b)
		if err := graph.JoinGemms(g); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := count(g, "Gemm"); n != 2 {
			t.Errorf("%s: %d Gemm are left of 2", name, n)
		}
		execute(t, g, plan.Options{}, randomTensor(r, 7, 150))
	}
}

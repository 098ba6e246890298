package plan_test

import (
	"context"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestOutputsThroughViews runs models whose outputs are views of what a step computes, of an
// input, and of one another. The plan has memory of its own only for what is no output.
func TestOutputsThroughViews(t *testing.T) {
	x := tensor.Must(tensor.New(tensor.Float32, 2, 3))
	copy(x.Float32s(), []float32{1, -2, 3, -4, 5, -6})
	plus, minus, absolute := []float32{1, -2, 3, -4, 5, -6}, []float32{-1, 2, -3, 4, -5, 6}, []float32{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		name  string
		build func(op func(kind string, x ...string) string) []string
		want  [][]float32
		arena bool
	}{
		{"renamed", func(op func(string, ...string) string) []string {
			return []string{op("Identity", op("Neg", "x"))}
		}, [][]float32{minus}, false},
		{"view of a view", func(op func(string, ...string) string) []string {
			return []string{op("Identity", op("Flatten", op("Neg", "x")))}
		}, [][]float32{minus}, false},
		{"in place", func(op func(string, ...string) string) []string {
			return []string{op("Flatten", op("Abs", op("Neg", "x")))}
		}, [][]float32{absolute}, false},
		{"input", func(op func(string, ...string) string) []string {
			return []string{op("Flatten", "x")}
		}, [][]float32{plus}, false},
		{"two views", func(op func(string, ...string) string) []string {
			y := op("Neg", "x")
			return []string{op("Identity", y), op("Flatten", y)}
		}, [][]float32{minus, minus}, false},
		{"value and view", func(op func(string, ...string) string) []string {
			y := op("Neg", "x")
			return []string{y, op("Flatten", y)}
		}, [][]float32{minus, minus}, false},
		{"read later", func(op func(string, ...string) string) []string {
			y := op("Neg", "x")
			z := op("Identity", y)
			return []string{z, op("Neg", op("Concat", y, y))}
		}, [][]float32{minus, slices.Concat(plus, plus)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := onnx.NewBuilder(17)
			b.Input("x", tensor.Float32)
			for _, y := range c.build(func(kind string, x ...string) string {
				if kind == "Concat" {
					return b.Op(kind, "", x, onnx.AttrI("axis", 0))
				}
				return b.Op(kind, "", x)
			}) {
				b.Output(y, tensor.Float32)
			}
			p, err := plan.Build(compile(t, b), []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, plan.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if s := p.Stats(); s.Arena > 0 != c.arena {
				t.Errorf("%d bytes for values that are no outputs", s.Arena)
			}
			st := p.NewState()
			for range 2 {
				outs := make([]*tensor.Tensor, len(c.want))
				for i := range outs {
					f, _ := p.Output(i)
					outs[i] = tensor.Must(tensor.New(f.DType, f.Shape...))
				}
				if err := p.Run(context.Background(), st, outs, []*tensor.Tensor{x}); err != nil {
					t.Fatal(err)
				}
				for i, y := range outs {
					if !slices.Equal(y.Float32s(), c.want[i]) {
						t.Errorf("output %d is %v, want %v", i, y.Float32s(), c.want[i])
					}
				}
			}
			if !slices.Equal(x.Float32s(), plus) {
				t.Errorf("the input has become %v", x.Float32s())
			}
		})
	}
}

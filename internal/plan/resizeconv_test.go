package plan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// resizeConv returns a model that enlarges a picture of c channels, convolves it in groups to o
// channels and ends in a Relu.
func resizeConv(t testing.TB, c, o, groups, scale, kernel, pad int, transform string) *graph.Graph {
	t.Helper()
	m := &modelMaker{Rand: rand.New(rand.NewPCG(7, 8)), b: onnx.NewBuilder(17)}
	m.b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(int64(c)), onnx.NamedDim("h"), onnx.NamedDim("w"))
	scales := m.b.Initializer("scales", tensor.Must(tensor.Of([]float32{1, 1, float32(scale), float32(scale)}, 4)))
	y := m.b.Op("Resize", "", []string{"x", "", scales}, onnx.AttrS("mode", "nearest"), onnx.AttrS("nearest_mode", "floor"), onnx.AttrS("coordinate_transformation_mode", transform))
	p := int64(pad)
	y = m.b.Op("Conv", "", []string{y, m.weight(o, c/groups, kernel, kernel), m.weight(o)}, onnx.AttrIs("pads", p, p, p, p), onnx.AttrI("group", int64(groups)))
	m.b.Output(m.b.Op("Relu", "", []string{y}), tensor.Float32)
	model, err := m.b.Model()
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.New(model, graph.Config{Set: op.Core})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// stepTypes returns the operators of a plan.
func stepTypes(t testing.TB, g *graph.Graph, x *tensor.Tensor) []string {
	t.Helper()
	p, err := plan.Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := p.NewState()
	st.Measure()
	var out []string
	for _, s := range st.Times() {
		out = append(out, s.OpType)
	}
	return out
}

// TestResizeJoinsConv checks results, and that the enlarged picture is not made where that
// saves work.
func TestResizeJoinsConv(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct {
		scale, kernel, pad int
		transform          string
		joined             bool
	}{
		{2, 3, 1, "asymmetric", true},
		{2, 3, 1, "half_pixel", false}, // rounding down takes a neighbour
		{2, 3, 0, "asymmetric", true},
		{2, 5, 2, "asymmetric", true},
		{3, 3, 1, "asymmetric", true},
		{4, 4, 2, "asymmetric", true},
		{2, 2, 0, "asymmetric", true},
		{2, 1, 0, "asymmetric", false}, // nothing to save
		{1, 3, 1, "asymmetric", false},
		{2, 2, 2, "asymmetric", false}, // more padding than the kernel reaches
	} {
		for _, d := range []struct{ in, out, groups int }{{5, 3, 1}, {5, 24, 1}, {6, 6, 6}, {40, 40, 40}, {6, 12, 6}, {6, 4, 2}} {
			what := fmt.Sprintf("scale %d, kernel %d, pad %d, %s, %d channels in %d groups", c.scale, c.kernel, c.pad, c.transform, d.out, d.groups)
			g := resizeConv(t, d.in, d.out, d.groups, c.scale, c.kernel, c.pad, c.transform)
			x := randomTensor(r, 2, d.in, 6, 4)
			want := c.joined && (d.groups == 1 || d.groups == d.out)
			if got := !slices.Contains(stepTypes(t, g, x), "Resize"); got != want {
				t.Errorf("%s: joined %t, want %t", what, got, want)
			}
			sameOutputs(t, what, execute(t, g, plan.Options{}, x), execute(t, g, plan.Options{Plain: true}, x))
		}
	}
}

// BenchmarkResizeConv compares doubling before a 3×3 convolution as one operator with the
// same as two: with half_pixel and rounding down the elements that are repeated are others.
func BenchmarkResizeConv(b *testing.B) {
	for _, c := range [][3]int{{64, 64, 32}, {32, 16, 32}, {32, 3, 32}, {128, 64, 8}} {
		for name, transform := range map[string]string{"joined": "asymmetric", "apart": "half_pixel"} {
			b.Run(fmt.Sprintf("%d to %d channels, %d×%d/%s", c[0], c[1], c[2], c[2], name), func(b *testing.B) {
				g := resizeConv(b, c[0], c[1], 1, 2, 3, 1, transform)
				x := randomTensor(rand.New(rand.NewPCG(1, 1)), 1, c[0], c[2], c[2])
				p, err := plan.Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, plan.Options{})
				if err != nil {
					b.Fatal(err)
				}
				st, outs := p.NewState(), make([]*tensor.Tensor, 1)
				for b.Loop() {
					if err := p.Run(context.Background(), st, outs, []*tensor.Tensor{x}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

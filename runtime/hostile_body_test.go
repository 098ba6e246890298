package runtime_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// identityBody is a body that gives back each of its n inputs, of float32 and any shape.
func identityBody(n int) *onnx.Graph {
	b := onnx.NewBuilder(17)
	names := []string{"p", "q", "r", "s", "t", "u"}
	for i := range n {
		b.Output(b.Op("Identity", names[i]+"2", []string{b.Input(names[i], tensor.Float32)}), tensor.Float32)
	}
	return b.Graph()
}

// TestHostileBodies: branches and bodies that do not fit their node.
func TestHostileBodies(t *testing.T) {
	scan := func(body *onnx.Graph, outputs int, attrs ...*onnx.Attribute) func(b *onnx.Builder, x string) string {
		return func(b *onnx.Builder, x string) string {
			names := []string{"y", "y2", "y3", "y4"}[:outputs]
			return node(b, "Scan", names, []string{b.Initializer("state", float32s(8)), x}, append(attrs, onnx.AttrG("body", body))...)[0]
		}
	}
	scans := func(n int64) *onnx.Attribute { return onnx.AttrI("num_scan_inputs", n) }
	either := func(cond *tensor.Tensor, attrs ...*onnx.Attribute) func(b *onnx.Builder, x string) string {
		return func(b *onnx.Builder, x string) string {
			return b.Op("If", "", []string{b.Initializer("cond", cond)}, attrs...)
		}
	}
	branch := func(outputs int) *onnx.Graph {
		b := onnx.NewBuilder(17)
		for i := range outputs {
			b.Output(b.Op("Relu", []string{"k", "l", "m"}[i], []string{"x"}), tensor.Float32)
		}
		return b.Graph()
	}
	shadow := onnx.NewBuilder(17)
	shadow.Output(shadow.Op("Relu", "x", []string{"x"}), tensor.Float32)
	on, two := tensor.Scalar(true), tensor.Must(tensor.Of([]bool{true, false}, 2))
	loop := func(trips *tensor.Tensor, body *onnx.Graph) func(b *onnx.Builder, x string) string {
		return func(b *onnx.Builder, x string) string {
			return node(b, "Loop", []string{"y"}, []string{b.Initializer("trips", trips), b.Initializer("on", on), x}, onnx.AttrG("body", body))[0]
		}
	}
	loopBody := func(cond tensor.DType) *onnx.Graph {
		b := onnx.NewBuilder(17)
		b.Input("i", tensor.Int64)
		b.Output(b.Op("Cast", "c2", []string{b.Input("c", tensor.Bool)}, onnx.AttrI("to", int64(cond))), cond)
		b.Output(b.Op("Identity", "v2", []string{b.Input("v", tensor.Float32)}), tensor.Float32)
		return b.Graph()
	}
	for _, c := range []struct {
		name string
		f    func(b *onnx.Builder, x string) string
	}{
		{"scan without a body", func(b *onnx.Builder, x string) string {
			return b.Op("Scan", "", []string{x}, scans(1))
		}},
		{"no scan inputs", scan(identityBody(2), 2, scans(0))},
		{"scan inputs below zero", scan(identityBody(2), 2, scans(-1))},
		{"more scan inputs than inputs", scan(identityBody(2), 2, scans(3))},
		{"2^40 scan inputs", scan(identityBody(2), 2, scans(1<<40))},
		{"least number of scan inputs", scan(identityBody(2), 2, scans(math.MinInt64))},
		{"body with fewer inputs", scan(identityBody(1), 2, scans(1))},
		{"body with more inputs", scan(identityBody(3), 2, scans(1))},
		{"more outputs than the body has", scan(identityBody(2), 4, scans(1))},
		{"scan axis beyond the rank", scan(identityBody(2), 2, scans(1), onnx.AttrIs("scan_input_axes", 9))},
		{"scan axis max", scan(identityBody(2), 2, scans(1), onnx.AttrIs("scan_input_axes", math.MaxInt64))},
		{"scan axis min", scan(identityBody(2), 2, scans(1), onnx.AttrIs("scan_input_axes", math.MinInt64))},
		{"too many scan axes", scan(identityBody(2), 2, scans(1), onnx.AttrIs("scan_input_axes", 0, 0, 0))},
		{"output axis beyond the rank", scan(identityBody(2), 2, scans(1), onnx.AttrIs("scan_output_axes", 1<<40))},
		{"too many directions", scan(identityBody(2), 2, scans(1), onnx.AttrIs("scan_input_directions", 0, 1, 0))},
		{"direction 2^40", scan(identityBody(2), 2, scans(1), onnx.AttrIs("scan_input_directions", 1<<40))},
		{"scan inputs of different lengths", func(b *onnx.Builder, x string) string {
			return node(b, "Scan", []string{"y", "z"}, []string{x, b.Initializer("w", float32s(5, 3))}, scans(2), onnx.AttrG("body", identityBody(2)))[0]
		}},
		{"a condition of two values", either(two, onnx.AttrG("then_branch", branch(1)), onnx.AttrG("else_branch", branch(1)))},
		{"a condition of another type", either(tensor.Scalar(float32(1)), onnx.AttrG("then_branch", branch(1)), onnx.AttrG("else_branch", branch(1)))},
		{"no else", either(on, onnx.AttrG("then_branch", branch(1)))},
		{"branches with different numbers of outputs", either(on, onnx.AttrG("then_branch", branch(1)), onnx.AttrG("else_branch", branch(2)))},
		{"branches without outputs", either(on, onnx.AttrG("then_branch", branch(0)), onnx.AttrG("else_branch", branch(0)))},
		{"a branch with inputs", either(on, onnx.AttrG("then_branch", identityBody(1)), onnx.AttrG("else_branch", branch(1)))},
		{"a branch that names its value as one outside", either(on, onnx.AttrG("then_branch", shadow.Graph()), onnx.AttrG("else_branch", branch(1)))},
		{"a trip count of two values", loop(int64s(1, 2), loopBody(tensor.Bool))},
		{"a trip count of another type", loop(float32s(1), loopBody(tensor.Bool))},
		{"a loop whose condition is no truth value", loop(tensor.Scalar(int64(2)), loopBody(tensor.Float32))},
		{"a loop body with one input", loop(tensor.Scalar(int64(2)), identityBody(1))},
		{"a loop body with six inputs", loop(tensor.Scalar(int64(2)), identityBody(6))},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := attack(t, hostileModel(t, 17, []int64{3, 8}, c.f), runtime.Options{})
			if err == nil {
				t.Error("accepted")
			} else if !strings.Contains(err.Error(), "node") {
				t.Errorf("%v: does not name the node", err)
			}
		})
	}
}

// TestHostileCapture: a branch that reads what nobody made, and one that reads what its own
// node makes.
func TestHostileCapture(t *testing.T) {
	for _, name := range []string{"nowhere", "y", "k"} {
		var then *onnx.Graph
		m := hostileModel(t, 17, []int64{3, 8}, func(b *onnx.Builder, x string) string {
			branch := func() *onnx.Graph {
				g := onnx.NewBuilder(17)
				g.Output(g.Op("Relu", "k", []string{x}), tensor.Float32)
				return g.Graph()
			}
			then = branch()
			return b.Op("If", "y", []string{b.Initializer("cond", tensor.Scalar(true))}, onnx.AttrG("then_branch", then), onnx.AttrG("else_branch", branch()))
		})
		then.Nodes[0].Inputs[0] = name
		if err := attack(t, m, runtime.Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a branch that reads %q: %v", name, err)
		}
	}
}

// TestHostileGrowth: a state that doubles in each iteration of a scan.
func TestHostileGrowth(t *testing.T) {
	body := onnx.NewBuilder(17)
	s := body.Input("s", tensor.Float32)
	body.Input("row", tensor.Float32)
	body.Output(body.Op("Concat", "s2", []string{s, s}, onnx.AttrI("axis", 0)), tensor.Float32)
	m := hostileModel(t, 17, []int64{64, 8}, func(b *onnx.Builder, x string) string {
		return node(b, "Scan", []string{"y"}, []string{b.Initializer("state", float32s(8)), x}, onnx.AttrI("num_scan_inputs", 1), onnx.AttrG("body", body.Graph()))[0]
	})
	if err := attack(t, m, runtime.Options{Limits: runtime.Limits{Arena: 1 << 20}}); err == nil {
		t.Error("a state of 2^64 rows was accepted")
	} else if !errors.Is(err, runtime.ErrLimit) && !strings.Contains(err.Error(), "shape") {
		t.Errorf("%v, want ErrLimit or an error of the state's shape", err)
	}
}

package plan_test

import (
	"fmt"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestNoIterations runs loops and scans that collect nothing: their outputs are empty, of
// the rank and extents that one iteration would give.
func TestNoIterations(t *testing.T) {
	for _, c := range []struct {
		rows int
		on   bool
		trip int64
	}{{0, true, 0}, {0, false, 3}, {2, true, 2}, {2, true, 0}} {
		t.Run(fmt.Sprintf("%d rows, %d iterations, %t", c.rows, c.trip, c.on), func(t *testing.T) {
			b := onnx.NewBuilder(17)
			x := b.Input("x", tensor.Float32, onnx.FixedDim(int64(c.rows)), onnx.FixedDim(3))
			start := b.Initializer("start", tensor.Must(tensor.Of([]float32{1, 2, 3}, 3)))

			scan := onnx.NewBuilder(17)
			scan.Input("s", tensor.Float32, onnx.FixedDim(3))
			scan.Input("row", tensor.Float32, onnx.FixedDim(3))
			next := scan.Op("Add", "next", []string{"s", "row"})
			scan.Output(next, tensor.Float32, onnx.FixedDim(3))
			scan.Output(scan.Op("Concat", "wide", []string{"s", "row"}, onnx.AttrI("axis", 0)), tensor.Float32, onnx.FixedDim(6))
			outs := b.Node(&onnx.Node{OpType: "Scan", Inputs: []string{start, x}, Outputs: []string{"sum", "collected"},
				Attrs: []*onnx.Attribute{onnx.AttrI("num_scan_inputs", 1), onnx.AttrG("body", scan.Graph())}})

			loop := onnx.NewBuilder(17)
			loop.Input("i", tensor.Int64)
			loop.Input("cond", tensor.Bool)
			loop.Input("v", tensor.Float32, onnx.FixedDim(3))
			loop.Output(loop.Op("Identity", "go", []string{"cond"}), tensor.Bool)
			loop.Output(loop.Op("Neg", "w", []string{"v"}), tensor.Float32, onnx.FixedDim(3))
			loop.Output(loop.Op("Concat", "twice", []string{"v", "v"}, onnx.AttrI("axis", 0)), tensor.Float32, onnx.FixedDim(6))
			outs = append(outs, b.Node(&onnx.Node{OpType: "Loop",
				Inputs:  []string{b.Initializer("trip", tensor.Scalar(c.trip)), b.Initializer("on", tensor.Scalar(c.on)), start},
				Outputs: []string{"last", "all"}, Attrs: []*onnx.Attribute{onnx.AttrG("body", loop.Graph())}})...)
			for _, o := range outs {
				b.Output(o, tensor.Float32)
			}
			m, err := b.Model()
			if err != nil {
				t.Fatal(err)
			}
			g, err := graph.New(m, graph.Config{Set: op.Core, Body: plan.Body})
			if err != nil {
				t.Fatal(err)
			}
			got := execute(t, g, plan.Options{}, tensor.Must(tensor.New(tensor.Float32, c.rows, 3)))
			trips := int(c.trip)
			if !c.on {
				trips = 0
			}
			for i, want := range []tensor.Shape{{3}, {c.rows, 6}, {3}, {trips, 6}} {
				if !got[i].Shape().Equal(want) {
					t.Errorf("output %q is %v, want shape %v", outs[i], got[i], want)
				}
			}
		})
	}
}

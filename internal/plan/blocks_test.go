package plan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// constant adds an initializer under a name of its own.
func constant(b *onnx.Builder, t *tensor.Tensor) string {
	constants++
	return b.Initializer(fmt.Sprintf("c%d", constants), t)
}

var constants int

// blockModel is convolutions of [N 8 48 48] with an operator in between, which middle adds. Its activations do not fit in a
// cache for a few rows.
func blockModel(t *testing.T, middle func(b *onnx.Builder, y string) string) *graph.Graph {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(8), onnx.FixedDim(48), onnx.FixedDim(48))
	conv := func(y string, o, i int) string {
		w := constant(b, randomTensor(r, o, i, 3, 3))
		return b.Op("Conv", "", []string{y, w}, onnx.AttrIs("pads", 1, 1, 1, 1))
	}
	y := conv(x, 16, 8)
	if middle != nil {
		y = middle(b, y)
	}
	y = b.Op("Relu", "y", []string{conv(y, 4, 16)})
	b.Output(y, tensor.Float32)
	return compile(t, b)
}

// TestBlocks compares plans for blocks with the graph's nodes one by one, for numbers of rows with and without a smaller
// last block, and with several threads.
func TestBlocks(t *testing.T) {
	ints := func(b *onnx.Builder, v ...int64) string { return constant(b, tensor.Must(tensor.Of(v, len(v)))) }
	for name, middle := range map[string]func(b *onnx.Builder, y string) string{
		"convolutions": nil,
		"flatten": func(b *onnx.Builder, y string) string {
			return b.Op("Reshape", "", []string{b.Op("Flatten", "", []string{y}), ints(b, 0, 16, 48, 48)})
		},
		"shape of the batch": func(b *onnx.Builder, y string) string {
			n := b.Op("Gather", "", []string{b.Op("Shape", "", []string{y}), ints(b, 0)})
			flat := b.Op("Reshape", "", []string{y, b.Op("Concat", "", []string{n, ints(b, -1)}, onnx.AttrI("axis", 0))})
			return b.Op("Reshape", "", []string{flat, b.Op("Concat", "", []string{n, ints(b, 16, 48, 48)}, onnx.AttrI("axis", 0))})
		},
		"elementwise": func(b *onnx.Builder, y string) string {
			c := constant(b, randomTensor(rand.New(rand.NewPCG(5, 6)), 16, 1, 1))
			return b.Op("Mul", "", []string{b.Op("Add", "", []string{y, c}), b.Op("Sigmoid", "", []string{y})})
		},
		"softmax": func(b *onnx.Builder, y string) string { return b.Op("Softmax", "", []string{y}, onnx.AttrI("axis", 1)) },
		"transpose": func(b *onnx.Builder, y string) string {
			return b.Op("Transpose", "", []string{y}, onnx.AttrIs("perm", 0, 1, 3, 2))
		},
		"concat": func(b *onnx.Builder, y string) string {
			return b.Op("MaxPool", "", []string{b.Op("Concat", "", []string{y, y}, onnx.AttrI("axis", 2))}, onnx.AttrIs("kernel_shape", 2, 1), onnx.AttrIs("strides", 2, 1))
		},
		"resize to sizes": func(b *onnx.Builder, y string) string {
			small := b.Op("AveragePool", "", []string{y}, onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 2, 2))
			return b.Op("Resize", "", []string{small, "", "", b.Op("Shape", "", []string{y})}, onnx.AttrS("mode", "nearest"))
		},
		"integers": func(b *onnx.Builder, y string) string {
			s := constant(b, tensor.Scalar(float32(0.02)))
			return b.Op("DequantizeLinear", "", []string{b.Op("QuantizeLinear", "", []string{y, s}), s})
		},
	} {
		g := blockModel(t, middle)
		for _, rows := range []int{2, 16, 29} {
			x := randomTensor(rand.New(rand.NewPCG(7, uint64(rows))), rows, 8, 48, 48)
			want := execute(t, g, plan.Options{Plain: true}, x)
			p := blockPlan(t, g, x, nil)
			if rows > 2 && !isBlocked(p) {
				t.Errorf("%s: a batch of %d is not divided", name, rows)
			}
			one := execute(t, g, plan.Options{}, x)
			if name == "integers" {
				// Sums that are rounded differently may round to neighbouring integers: compare with the same kernels.
				want = []*tensor.Tensor{rowByRow(t, g, x)}
			}
			sameOutputs(t, name, one, want)
			for _, threads := range []int{2, 3} {
				pool := parallel.New(threads)
				got := execute(t, g, plan.Options{Pool: pool}, x)
				pool.Close()
				if string(got[0].Bytes()) != string(one[0].Bytes()) {
					t.Errorf("%s: %d rows on %d threads give other bytes", name, rows, threads)
				}
			}
		}
	}
}

// rowByRow runs a model for each row by itself.
func rowByRow(t *testing.T, g *graph.Graph, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	var data []byte
	shape := x.Shape().Clone()
	rows, size := shape[0], len(x.Bytes())/shape[0]
	shape[0] = 1
	for r := range rows {
		var row tensor.Tensor
		row.Set(x.DType(), x.Bytes()[r*size:][:size], shape)
		out := execute(t, g, plan.Options{}, &row)[0]
		data = append(data, out.Bytes()...)
		if r == rows-1 {
			whole := out.Shape().Clone()
			whole[0] = rows
			y := tensor.Must(tensor.New(out.DType(), whole...))
			copy(y.Bytes(), data)
			return y
		}
	}
	return nil
}

func blockPlan(t *testing.T, g *graph.Graph, x *tensor.Tensor, limits *plan.Limits) *plan.Plan {
	t.Helper()
	o := plan.Options{}
	if limits != nil {
		o.Limits = *limits
	}
	p, err := plan.Build(g, []op.Fact{{DType: x.DType(), Shape: x.Shape()}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// isBlocked reports whether steps of a plan are for fewer rows than its output has.
func isBlocked(p *plan.Plan) bool {
	out, _ := p.Output(0)
	return p.BlockRows() < out.Shape[0]
}

// TestBlocksNeedRows checks that a batch is not divided where its rows depend on each other or on their number.
func TestBlocksNeedRows(t *testing.T) {
	for name, middle := range map[string]func(b *onnx.Builder, y string) string{
		"mean of the batch": func(b *onnx.Builder, y string) string {
			return b.Op("Sub", "", []string{y, b.Op("ReduceMean", "", []string{y}, onnx.AttrIs("axes", 0))})
		},
		"number of rows": func(b *onnx.Builder, y string) string {
			n := b.Op("Cast", "", []string{b.Op("Gather", "", []string{b.Op("Shape", "", []string{y}), constant(b, tensor.Scalar(int64(0)))})}, onnx.AttrI("to", int64(tensor.Float32)))
			return b.Op("Div", "", []string{y, n})
		},
		"softmax over rows": func(b *onnx.Builder, y string) string { return b.Op("Softmax", "", []string{y}, onnx.AttrI("axis", 0)) },
		"rows exchanged": func(b *onnx.Builder, y string) string {
			// 16 rows and 16 channels.
			return b.Op("Transpose", "", []string{y}, onnx.AttrIs("perm", 1, 0, 2, 3))
		},
		"rows joined": func(b *onnx.Builder, y string) string {
			s := constant(b, tensor.Must(tensor.Of([]int64{16, 16, 48, 48}, 4)))
			return b.Op("Reshape", "", []string{b.Op("Transpose", "", []string{b.Op("Reshape", "", []string{y, constant(b, tensor.Must(tensor.Of([]int64{-1, 48}, 2)))})}, onnx.AttrIs("perm", 1, 0)), s})
		},
		"a constant row for each": func(b *onnx.Builder, y string) string {
			return b.Op("Add", "", []string{y, constant(b, randomTensor(rand.New(rand.NewPCG(1, 2)), 16, 1, 1, 1))})
		},
		"noise": func(b *onnx.Builder, y string) string {
			return b.Op("Add", "", []string{y, b.Op("Mul", "", []string{b.Op("RandomNormalLike", "", []string{y}), constant(b, tensor.Scalar(float32(0)))})})
		},
	} {
		g := blockModel(t, middle)
		x := randomTensor(rand.New(rand.NewPCG(7, 8)), 16, 8, 48, 48)
		if isBlocked(blockPlan(t, g, x, nil)) {
			t.Errorf("%s: the batch was divided", name)
		}
		sameOutputs(t, name, execute(t, g, plan.Options{}, x), execute(t, g, plan.Options{Plain: true}, x))
	}
}

// TestBlocksOfPlan checks what a plan for blocks says of itself.
func TestBlocksOfPlan(t *testing.T) {
	g := blockModel(t, nil)
	x := randomTensor(rand.New(rand.NewPCG(7, 8)), 29, 8, 48, 48)
	p := blockPlan(t, g, x, nil)
	one := blockPlan(t, g, randomTensor(rand.New(rand.NewPCG(7, 8)), 1, 8, 48, 48), nil)
	if got, want := p.Stats().MACs, 29*one.Stats().MACs; got != want {
		t.Errorf("%d multiply-adds, want %d", got, want)
	}
	if got, most := p.Stats().Arena, 16*one.Stats().Arena; got > most {
		t.Errorf("an arena of %d bytes for blocks of a batch of 29, one row takes %d", got, one.Stats().Arena)
	}
	st := p.NewState()
	st.Measure()
	outs := []*tensor.Tensor{nil}
	if err := p.Run(context.Background(), st, outs, []*tensor.Tensor{x}); err != nil {
		t.Fatal(err)
	}
	var macs int64
	for _, s := range st.Times() {
		macs += s.MACs
	}
	if macs != p.Stats().MACs {
		t.Errorf("the steps count %d multiply-adds, the plan %d", macs, p.Stats().MACs)
	}
	for _, bad := range []*tensor.Tensor{nil, tensor.Must(tensor.New(tensor.Float32, 28, 8, 48, 48))} {
		if err := p.Run(context.Background(), st, outs, []*tensor.Tensor{bad}); err == nil || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("input %v: error %v", bad, err)
		}
	}
	if err := p.Run(context.Background(), st, []*tensor.Tensor{tensor.Must(tensor.New(tensor.Float32, 28, 4, 48, 48))}, []*tensor.Tensor{x}); err == nil {
		t.Error("an output of another shape gave no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Run(ctx, st, outs, []*tensor.Tensor{x}); err != context.Canceled {
		t.Errorf("a cancelled run: %v", err)
	}
	ins := []*tensor.Tensor{x}
	if n := testing.AllocsPerRun(3, func() { _ = p.Run(context.Background(), st, outs, ins) }); n > 0 {
		t.Errorf("a run allocates %v times", n)
	}
}

// TestBlocksOfEightBits checks that values which will have 8 bits count as bytes, so that more rows fit.
func TestBlocksOfEightBits(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	rows := func(pairs bool) int {
		b := onnx.NewBuilder(17)
		x := b.Input("x", tensor.Float32)
		s, z := constant(b, tensor.Scalar(float32(0.05))), constant(b, tensor.Scalar(uint8(128)))
		pair := func(v string) string {
			if !pairs {
				return v
			}
			return b.Op("DequantizeLinear", "", []string{b.Op("QuantizeLinear", "", []string{v, s, z}), s, z})
		}
		for _, c := range []int{2, 8} {
			w := constant(b, randomTensor(r, 8, c, 3, 3))
			if pairs {
				q := tensor.Must(tensor.New(tensor.Int8, 8, c, 3, 3))
				for i := range q.Bytes() {
					q.Bytes()[i] = uint8(r.Uint32())
				}
				w = b.Op("DequantizeLinear", "", []string{constant(b, q), constant(b, tensor.Scalar(float32(0.01)))})
			}
			x = pair(b.Op("Relu", "", []string{b.Op("Conv", "", []string{pair(x), w}, onnx.AttrIs("pads", 1, 1, 1, 1))}))
		}
		b.Output(b.Op("GlobalAveragePool", "", []string{x}), tensor.Float32)
		return blockPlan(t, compile(t, b), randomTensor(r, 64, 2, 48, 48), nil).BlockRows()
	}
	if f, q := rows(false), rows(true); q < 2*f || q >= 64 {
		t.Errorf("blocks of %d rows in float32 and of %d in 8 bits", f, q)
	}
}

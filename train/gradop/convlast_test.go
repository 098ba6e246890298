package gradop

import (
	"fmt"
	"math"
	"testing"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// draw returns normally distributed values.
func draw(seed uint64, shape tensor.Shape) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float32, shape...))
	rng.New(seed).Normal(t.Float32s(), 0)
	return t
}

func widened(t *tensor.Tensor) *tensor.Tensor {
	w := tensor.Must(tensor.New(tensor.Float64, t.Shape()...))
	for i, v := range t.Float32s() {
		tensor.Data[float64](w)[i] = float64(v)
	}
	return w
}

// permuted reorders the elements of a logical tensor channels-last.
func permuted(t *tensor.Tensor) *tensor.Tensor {
	s := t.Shape()
	plane := product(s[2:])
	p := tensor.Must(tensor.New(tensor.Float32, channelsLast(s)...))
	for i, v := range t.Float32s() {
		n, c, k := i/(s[1]*plane), i/plane%s[1], i%plane
		p.Float32s()[(n*plane+k)*s[1]+c] = v
	}
	return p
}

// lastAgainstFirst runs an operator in float64 and its channels-last variant in float32, with one thread and with two, and
// compares. Output i may differ by tol times its greatest value.
func lastAgainstFirst(t *testing.T, o op.Op, in []*tensor.Tensor, tol float64) {
	t.Helper()
	facts := func(in []*tensor.Tensor) (f []op.Fact) {
		for _, x := range in {
			f = append(f, op.Fact{DType: x.DType(), Shape: x.Shape()})
		}
		return f
	}
	run := func(o op.Op, threads int, in []*tensor.Tensor) []*tensor.Tensor {
		t.Helper()
		f, err := o.Infer(facts(in))
		if err != nil {
			t.Fatalf("%v: %v", facts(in), err)
		}
		var out []*tensor.Tensor
		for _, f := range f {
			out = append(out, tensor.Must(tensor.New(f.DType, f.Shape...)))
		}
		pool := parallel.New(threads)
		defer pool.Close()
		var state any
		ctx := op.Context{Pool: pool, State: &state}
		if w, ok := o.(op.Workspacer); ok {
			ctx.Scratch = tensor.Must(tensor.New(tensor.Float32, w.Workspace(facts(in))/4)).Bytes()
		}
		// The second run finds the state of the first.
		for range 2 {
			if err := o.Run(&ctx, out, in); err != nil {
				t.Fatalf("%v: %v", facts(in), err)
			}
		}
		return out
	}
	var wide []*tensor.Tensor
	for _, x := range in {
		wide = append(wide, widened(x))
	}
	want := run(o, 1, wide)
	last, nhwc, ok := o.(op.LayoutAware).ChannelsLast(facts(in))
	if !ok {
		t.Fatalf("%v: no channels-last variant", facts(in))
	}
	moved := make([]*tensor.Tensor, len(in))
	for i, x := range in {
		if moved[i] = x; nhwc[i] {
			moved[i] = permuted(x)
		}
	}
	outsLast := []bool{true}
	if m, ok := last.(op.MixedLayout); ok {
		outsLast = m.OutputsLast()
	}
	got, again := run(last, 1, moved), run(last, 2, moved)
	for i := range want {
		w := tensor.Must(tensor.New(tensor.Float32, want[i].Shape()...))
		greatest := 0.0
		for k, v := range tensor.Data[float64](want[i]) {
			w.Float32s()[k] = float32(v)
			greatest = max(greatest, math.Abs(v))
		}
		if i < len(outsLast) && outsLast[i] {
			w = permuted(w)
		}
		if !got[i].Shape().Equal(w.Shape()) {
			t.Fatalf("%v: output %d has shape %v, want %v", facts(in), i, got[i].Shape(), w.Shape())
		}
		for k, v := range got[i].Float32s() {
			if d := math.Abs(float64(v) - float64(w.Float32s()[k])); !(d <= tol*max(greatest, 1e-3)) {
				t.Fatalf("%v: output %d, element %d is %g, want %g (greatest %g)", facts(in), i, k, v, w.Float32s()[k], greatest)
			}
			if a := again[i].Float32s()[k]; math.Float32bits(a) != math.Float32bits(v) {
				t.Fatalf("%v: output %d, element %d is %g with one thread, %g with two", facts(in), i, k, v, a)
			}
		}
	}
}

func TestConvGradChannelsLast(t *testing.T) {
	for _, c := range []struct {
		big, small, weights tensor.Shape
		strides, dilations  []int64
		pads                []int64
		group               int64
	}{
		{big: tensor.Shape{2, 3, 9, 7}, small: tensor.Shape{2, 5, 5, 4}, weights: tensor.Shape{5, 3, 3, 3}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, group: 1},
		{big: tensor.Shape{3, 16, 8, 8}, small: tensor.Shape{3, 24, 4, 4}, weights: tensor.Shape{24, 16, 4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, group: 1},
		{big: tensor.Shape{1, 4, 6, 6}, small: tensor.Shape{1, 6, 6, 6}, weights: tensor.Shape{6, 2, 3, 3}, strides: []int64{1, 1}, pads: []int64{1, 1, 1, 1}, group: 2},
		{big: tensor.Shape{2, 1, 12, 12}, small: tensor.Shape{2, 40, 6, 6}, weights: tensor.Shape{40, 1, 3, 3}, strides: []int64{2, 2}, pads: []int64{1, 1, 0, 0}, group: 1},
		{big: tensor.Shape{2, 2, 11, 10}, small: tensor.Shape{2, 3, 7, 6}, weights: tensor.Shape{3, 2, 3, 3}, strides: []int64{1, 1}, dilations: []int64{2, 2}, pads: []int64{0, 0, 0, 0}, group: 1},
		{big: tensor.Shape{40, 3, 32, 32}, small: tensor.Shape{40, 8, 16, 16}, weights: tensor.Shape{8, 3, 4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, group: 1},
		{big: tensor.Shape{5, 33, 16, 15}, small: tensor.Shape{5, 17, 8, 7}, weights: tensor.Shape{17, 33, 4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, group: 1},
		{big: tensor.Shape{20, 40, 9, 10}, small: tensor.Shape{20, 72, 5, 5}, weights: tensor.Shape{72, 20, 4, 4}, strides: []int64{2, 2}, pads: []int64{2, 1, 1, 1}, group: 2},
		{big: tensor.Shape{70, 70, 4, 5}, small: tensor.Shape{70, 64, 2, 2}, weights: tensor.Shape{64, 70, 4, 4}, strides: []int64{2, 2}, pads: []int64{1, 1, 1, 1}, group: 1},
		{big: tensor.Shape{2, 3, 15}, small: tensor.Shape{2, 4, 5}, weights: tensor.Shape{4, 3, 3}, strides: []int64{3}, pads: []int64{0, 0}, group: 1},
		{big: tensor.Shape{1, 2, 5, 6, 4}, small: tensor.Shape{1, 3, 3, 3, 2}, weights: tensor.Shape{3, 2, 2, 3, 2}, strides: []int64{2, 2, 2}, pads: []int64{1, 1, 0, 0, 1, 0}, group: 1},
	} {
		for _, transposed := range []int64{0, 1} {
			attrs := []*onnx.Attribute{onnx.AttrIs("strides", c.strides...), onnx.AttrIs("pads", c.pads...), onnx.AttrI("group", c.group), onnx.AttrI("transposed", transposed)}
			if c.dilations != nil {
				attrs = append(attrs, onnx.AttrIs("dilations", c.dilations...))
			}
			x, dy := draw(1, c.big), draw(2, c.small)
			if transposed == 1 {
				x, dy = dy, x
			}
			w := draw(3, c.weights)
			t.Run(fmt.Sprintf("big=%v small=%v transposed=%d", c.big, c.small, transposed), func(t *testing.T) {
				lastAgainstFirst(t, made(t, "ConvWeightGrad", attrs...), []*tensor.Tensor{dy, x, w}, 1e-5)
				lastAgainstFirst(t, made(t, "ConvInputGrad", attrs...), []*tensor.Tensor{dy, w, x}, 1e-5)
			})
		}
	}
}

func made(t *testing.T, opType string, attrs ...*onnx.Attribute) op.Op {
	t.Helper()
	o, err := Set.Make(op.NewAttrs(&onnx.Node{Domain: Domain, OpType: opType, Inputs: []string{"a", "b", "c"}, Outputs: []string{"y"}, Attrs: attrs}, 1, nil))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNormGradChannelsLast(t *testing.T) {
	for _, s := range []tensor.Shape{{2, 3, 4, 5}, {3, 32, 9, 9}, {2, 700, 3, 2}, {1, 1, 5, 5}, {40, 17, 8, 11}, {2, 1500, 1, 2}} {
		c := tensor.Shape{s[1]}
		x, v := draw(5, s), draw(6, c)
		for i, e := range v.Float32s() {
			v.Float32s()[i] = 0.5 + e*e
		}
		// Channels with other means and deviations.
		plane := product(s[2:])
		for i := range x.Float32s() {
			k := i / plane % s[1]
			x.Float32s()[i] = x.Float32s()[i]*(0.5+float32(k%3)) + float32(k%5)
		}
		for _, training := range []int64{0, 1} {
			o := made(t, "BatchNormGrad", onnx.AttrI("training_mode", training))
			lastAgainstFirst(t, o, []*tensor.Tensor{draw(7, s), x, draw(8, c), draw(9, c), v}, 2e-5)
		}
		lastAgainstFirst(t, made(t, "ChannelSum"), []*tensor.Tensor{x, v}, 1e-6)
	}
}

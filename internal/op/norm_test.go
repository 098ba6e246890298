package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// meanVar returns mean and variance of the elements that keep selects.
func meanVar(x *tensor.Tensor, keep func(i int) bool) (mean, variance float64) {
	n := 0.0
	for i, v := range x.Float32s() {
		if keep(i) {
			mean += float64(v)
			n++
		}
	}
	mean /= n
	for i, v := range x.Float32s() {
		if keep(i) {
			variance += (float64(v) - mean) * (float64(v) - mean)
		}
	}
	return mean, variance / n
}

func TestBatchNorm(t *testing.T) {
	pool := parallel.New(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 3))
	for _, shape := range []tensor.Shape{{3, 4, 5, 6}, {2, 4}, {2, 4, 7}} {
		x, gamma, beta, mean, variance := randTensor(r, shape...), randTensor(r, 4), randTensor(r, 4), randTensor(r, 4), randTensor(r, 4)
		for i, v := range variance.Float32s() {
			variance.Float32s()[i] = v*v + 0.1
		}
		inner := product(shape[2:])
		channel := func(i int) int { return i / inner % 4 }
		in := []*tensor.Tensor{x, gamma, beta, mean, variance}
		expect := func(mean, variance func(c int) float64) []float32 {
			var y []float32
			for i, v := range x.Float32s() {
				c := channel(i)
				y = append(y, float32((float64(v)-mean(c))/math.Sqrt(variance(c)+1e-3)*float64(gamma.Float32s()[c])+float64(beta.Float32s()[c])))
			}
			return y
		}
		given := func(t *tensor.Tensor) func(int) float64 {
			return func(c int) float64 { return float64(t.Float32s()[c]) }
		}
		want := expect(given(mean), given(variance))
		o, err := makeOp(t, newBatchNorm, "BatchNormalization", 15, attrFloat("epsilon", 1e-3))
		if err != nil {
			t.Fatal(err)
		}
		run := newOpRun(t, o, pool, false, in...)
		run.run(t)
		wantClose(t, run.out[0].Float32s(), want, 1e-6)
		if n := testing.AllocsPerRun(5, func() { run.run(t) }); n != 0 {
			t.Errorf("%v: %v allocations", shape, n)
		}
		if len(shape) > 2 {
			v, _, ok := o.(LayoutAware).ChannelsLast([]Fact{FactOf(x)})
			if !ok {
				t.Fatal("no channels-last form")
			}
			last := append([]*tensor.Tensor{channelsLast(x)}, in[1:]...)
			wantClose(t, channelsFirst(runOp(t, v, pool, false, last...)[0]).Float32s(), want, 1e-6)
		}
		relu := *o.(*batchNorm)
		relu.act.Act = kernel.ActRelu
		for i, v := range runOp(t, &relu, pool, false, in...)[0].Float32s() {
			if w := max(run.out[0].Float32s()[i], 0); v != w {
				t.Fatalf("with Relu, element %d is %v, want %v", i, v, w)
			}
		}

		train, err := makeOp(t, newBatchNorm, "BatchNormalization", 15, attrFloat("epsilon", 1e-3), attrFloat("momentum", 0.75), attrInt("training_mode", 1))
		if err != nil {
			t.Fatal(err)
		}
		out := runOp(t, train, pool, false, in...)
		var m, s [4]float64
		for c := range 4 {
			m[c], s[c] = meanVar(x, func(i int) bool { return channel(i) == c })
			if got, want := float64(out[1].Float32s()[c]), 0.75*float64(mean.Float32s()[c])+0.25*m[c]; math.Abs(got-want) > 1e-6 {
				t.Errorf("running mean of channel %d: %v, want %v", c, got, want)
			}
			if got, want := float64(out[2].Float32s()[c]), 0.75*float64(variance.Float32s()[c])+0.25*s[c]; math.Abs(got-want) > 1e-6 {
				t.Errorf("running variance of channel %d: %v, want %v", c, got, want)
			}
		}
		wantClose(t, out[0].Float32s(), expect(func(c int) float64 { return m[c] }, func(c int) float64 { return s[c] }), 1e-5)
	}
}

func TestGroupNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	x := randTensor(r, 2, 6, 3, 5)
	const plane = 15
	for _, c := range []struct {
		make      func(*Attrs) (Op, error)
		opset     int
		groups    int
		perGroup  bool
		attribute bool
	}{{newInstanceNorm, 6, 6, false, false}, {newGroupNorm, 18, 3, true, true}, {newGroupNorm, 21, 3, false, true}, {newGroupNorm, 21, 1, false, true}} {
		n := 6
		if c.perGroup {
			n = c.groups
		}
		attrs := []*onnx.Attribute{attrFloat("epsilon", 1e-4)}
		if c.attribute {
			attrs = append(attrs, attrInt("num_groups", int64(c.groups)))
		}
		o, err := makeOp(t, c.make, "", c.opset, attrs...)
		if err != nil {
			t.Fatal(err)
		}
		scale, bias := randTensor(r, n), randTensor(r, n)
		want := make([]float32, x.Elems())
		for i, v := range x.Float32s() {
			size := 6 / c.groups * plane
			mean, variance := meanVar(x, func(k int) bool { return k/size == i/size })
			p := i / plane % 6
			if c.perGroup {
				p /= 6 / c.groups
			}
			want[i] = float32((float64(v)-mean)/math.Sqrt(variance+1e-4)*float64(scale.Float32s()[p]) + float64(bias.Float32s()[p]))
		}
		wantClose(t, runOp(t, o, nil, false, x, scale, bias)[0].Float32s(), want, 1e-5)
		v, _, _ := o.(LayoutAware).ChannelsLast([]Fact{FactOf(x)})
		wantClose(t, channelsFirst(runOp(t, v, nil, false, channelsLast(x), scale, bias)[0]).Float32s(), want, 1e-5)
	}
}

func TestLayerNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	x := randTensor(r, 2, 3, 4, 5)
	for _, c := range []struct {
		axis        int64
		scale, bias tensor.Shape
	}{{-1, tensor.Shape{5}, nil}, {2, tensor.Shape{4, 5}, tensor.Shape{4, 5}}, {1, tensor.Shape{5}, tensor.Shape{3, 1, 1}}, {3, tensor.Shape{2, 1, 1, 5}, tensor.Shape{1}}} {
		for _, rms := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%v", c.axis, rms), func(t *testing.T) {
				o, err := makeOp(t, newLayerNorm(rms), "", 23, attrInt("axis", c.axis))
				if err != nil {
					t.Fatal(err)
				}
				in := []*tensor.Tensor{x, randTensor(r, c.scale...)}
				if c.bias != nil && !rms {
					in = append(in, randTensor(r, c.bias...))
				}
				axis, _ := tensor.Axis(int(c.axis), 4)
				size := product(x.Shape()[axis:])
				want := make([]float32, x.Elems())
				forEach(x.Shape(), func(p []int, i int) {
					mean, variance := meanVar(x, func(k int) bool { return k/size == i/size })
					v := float64(x.Float32s()[i])
					if rms {
						v /= math.Sqrt(variance + mean*mean + 1e-5)
					} else {
						v = (v - mean) / math.Sqrt(variance+1e-5)
					}
					at := func(t *tensor.Tensor) float64 {
						k, s := 0, t.Shape()
						for d, n := range s {
							q := p[4-len(s)+d]
							if n == 1 {
								q = 0
							}
							k = k*n + q
						}
						return float64(t.Float32s()[k])
					}
					v *= at(in[1])
					if len(in) > 2 {
						v += at(in[2])
					}
					want[i] = float32(v)
				})
				out := runOp(t, o, nil, false, in...)
				wantClose(t, out[0].Float32s(), want, 1e-5)
				if !rms {
					mean, variance := meanVar(x, func(k int) bool { return k/size == 0 })
					if d := float64(out[1].Float32s()[0]) - mean; math.Abs(d) > 1e-6 {
						t.Errorf("mean %v, want %v", out[1].Float32s()[0], mean)
					}
					if d := float64(out[2].Float32s()[0])*math.Sqrt(variance+1e-5) - 1; math.Abs(d) > 1e-5 {
						t.Errorf("inverse deviation %v, want %v", out[2].Float32s()[0], 1/math.Sqrt(variance+1e-5))
					}
				}
			})
		}
	}
}

func TestLRN(t *testing.T) {
	x := of(t, []float32{1, 2, 3, 4}, 1, 4, 1)
	o, err := makeOp(t, newLRN, "LRN", 13, attrInt("size", 3), attrFloat("alpha", 3), attrFloat("beta", 1), attrFloat("bias", 2))
	if err != nil {
		t.Fatal(err)
	}
	// 2 plus the squares of the channel and its neighbours.
	want := []float32{1. / 7, 2. / 16, 3. / 31, 4. / 27}
	wantClose(t, runOp(t, o, nil, false, x)[0].Float32s(), want, 1e-6)
}

func TestNormRejects(t *testing.T) {
	f := func(s ...int) Fact { return Fact{DType: tensor.Float32, Shape: s} }
	for name, c := range map[string]struct {
		make  func(*Attrs) (Op, error)
		attrs []*onnx.Attribute
		in    []Fact
	}{
		"batch channels":  {newBatchNorm, nil, []Fact{f(1, 4, 2), f(4), f(4), f(3), f(4)}},
		"batch scalar":    {newBatchNorm, nil, []Fact{f(), f(1), f(1), f(1), f(1)}},
		"empty training":  {newBatchNorm, []*onnx.Attribute{attrInt("training_mode", 1)}, []Fact{f(0, 4, 2), f(4), f(4), f(4), f(4)}},
		"groups":          {newGroupNorm, []*onnx.Attribute{attrInt("num_groups", 3)}, []Fact{f(1, 4, 2), f(4), f(4)}},
		"no groups":       {newGroupNorm, []*onnx.Attribute{attrInt("num_groups", 0)}, []Fact{f(1, 4, 2), f(4), f(4)}},
		"instance rank":   {newInstanceNorm, nil, []Fact{f(1, 4), f(4), f(4)}},
		"layer axis":      {newLayerNorm(false), []*onnx.Attribute{attrInt("axis", 3)}, []Fact{f(1, 4, 2), f(2)}},
		"layer scale":     {newLayerNorm(false), nil, []Fact{f(1, 4, 2), f(3)}},
		"scale is larger": {newLayerNorm(false), nil, []Fact{f(1, 4, 2), f(2, 4, 2)}},
		"LRN size":        {newLRN, []*onnx.Attribute{attrInt("size", 0)}, []Fact{f(1, 4, 2)}},
	} {
		o, err := makeOp(t, c.make, "", 21, c.attrs...)
		if err == nil {
			_, err = o.Infer(c.in)
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestNormLargeMean normalises values that are near each other and far from zero.
func TestNormLargeMean(t *testing.T) {
	const c, h, w = 6, 37, 41
	x := tensor.Must(tensor.New(tensor.Float32, 2, c, h, w))
	for i := range x.Float32s() {
		x.Float32s()[i] = 100 + float32(i*7919%2003)/1001.5
	}
	one, zero := of(t, []float32{1, 1, 1, 1, 1, 1}), of(t, make([]float32, c))
	o := &groupNorm{groups: 2, epsilon: 1e-5, types: typesFloat}
	last := *o
	last.last = true
	mean, variance := make([]float64, 4), make([]float64, 4)
	for g := range mean {
		v := x.Float32s()[g*c/2*h*w:][:c/2*h*w]
		for _, f := range v {
			mean[g] += float64(f) / float64(len(v))
		}
		for _, f := range v {
			variance[g] += (float64(f) - mean[g]) * (float64(f) - mean[g]) / float64(len(v))
		}
	}
	want := make([]float32, x.Elems())
	for i, f := range x.Float32s() {
		g := i / (c / 2 * h * w)
		want[i] = float32((float64(f) - mean[g]) / math.Sqrt(variance[g]+1e-5))
	}
	wantClose(t, runOp(t, o, nil, false, x, one, zero)[0].Float32s(), want, 1e-6)
	wantClose(t, channelsFirst(runOp(t, &last, nil, false, channelsLast(x), one, zero)[0]).Float32s(), want, 4e-5)
	gamma := of(t, slices.Repeat([]float32{1}, c/2*h*w), c/2*h*w)
	rows, err := tensor.Of(x.Float32s(), 4, c/2*h*w)
	if err != nil {
		t.Fatal(err)
	}
	l := &layerNorm{axis: -1, epsilon: 1e-5, stash: tensor.Float32, types: typesFloat}
	wantClose(t, runOp(t, l, nil, false, rows, gamma)[0].Float32s(), want, 1e-6)
}

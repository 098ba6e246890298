package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// halvingCases have all kinds of borders, odd and even numbers of results along either axis, and
// extents that leave positions at the far end over.
func halvingCases() []convCase {
	var cases []convCase
	for _, transposed := range []bool{false, true} {
		for _, c := range []convCase{
			{n: 4, c: 16, o: 16, groups: 1, in: []int{16, 16}, pads: []int{1, 1, 1, 1}, bias: true},
			{n: 8, c: 17, o: 33, groups: 1, in: []int{11, 13}, pads: []int{1, 1, 1, 1}, bias: true},
			{n: 12, c: 40, o: 21, groups: 1, in: []int{12, 15}, pads: []int{0, 0, 0, 0}},
			{n: 20, c: 24, o: 20, groups: 1, in: []int{9, 10}, pads: []int{0, 1, 2, 3}, bias: true},
			{n: 64, c: 33, o: 18, groups: 1, in: []int{5, 4}, pads: []int{2, 1, 1, 2}, bias: true},
			{n: 8, c: 48, o: 36, groups: 2, in: []int{14, 9}, pads: []int{1, 1, 1, 1}, bias: true},
			{n: 64, c: 66, o: 50, groups: 1, in: []int{4, 4}, pads: []int{1, 1, 1, 1}, bias: true},
		} {
			c.transposed, c.kernel, c.strides = transposed, []int{4, 4}, []int{2, 2}
			cases = append(cases, c)
			if transposed {
				c.outputPadding = []int{1, 0}
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// variableWeights prepares a run of a channels-last convolution whose weights are not constant.
func variableWeights(t testing.TB, o *conv, pool *parallel.Pool, in ...*tensor.Tensor) *opRun {
	t.Helper()
	var facts []Fact
	for _, x := range in {
		facts = append(facts, Fact{DType: tensor.Float32, Shape: x.Shape()})
	}
	if f, err := o.facts(facts); err != nil || !f.halving {
		t.Fatalf("the convolution is not computed in tiles: %+v, %v", f, err)
	}
	of, err := o.Infer(facts)
	if err != nil {
		t.Fatal(err)
	}
	r := &opRun{o: o, in: in, out: []*tensor.Tensor{tensor.Must(tensor.New(tensor.Float32, of[0].Shape...))}}
	r.ctx = &Context{Pool: pool, State: &r.state, Scratch: tensor.AlignedBytes(o.Workspace(facts))}
	for i := range r.ctx.Scratch {
		r.ctx.Scratch[i] = 0xff // not a number
	}
	return r
}

// TestConvHalving compares with float64, to a millionth of the largest result, and the bits of
// several numbers of threads, one of them larger than the number of blocks in work.
func TestConvHalving(t *testing.T) {
	if !kernel.HalvingIsFast() {
		t.Skip("the transforms are not vector code here")
	}
	var pools []*parallel.Pool
	for _, n := range []int{2, 3, 16} {
		p := parallel.New(n)
		defer p.Close()
		pools = append(pools, p)
	}
	acts := []kernel.Epilogue{{}, {Act: kernel.ActLeakyRelu, Alpha: 0.25}, {Act: kernel.ActTanh}}
	for _, c := range halvingCases() {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			x, w := randTensor(r, append([]int{c.n, c.c}, c.in...)...), randTensor(r, c.weightShape()...)
			in := []*tensor.Tensor{channelsLast(x), w}
			var bias []float32
			if c.bias {
				b := randTensor(r, c.o)
				in, bias = append(in, b), b.Float32s()
			}
			o := c.op(t)
			o.last = true
			f, err := o.facts([]Fact{{DType: tensor.Float32, Shape: in[0].Shape()}, {DType: tensor.Float32, Shape: w.Shape()}})
			if err != nil {
				t.Fatal(err)
			}
			plain, scale := c.expected(&f, x, w, bias)
			for _, act := range acts {
				a := *o
				a.act = act
				want := make([]float32, len(plain))
				kernel.ActivateF32(want, plain, &act)
				one := variableWeights(t, &a, nil, in...)
				one.run(t)
				first := one.out[0]
				for i, v := range channelsFirst(first).Float32s() {
					if d := math.Abs(float64(v) - float64(want[i])); !(d <= 1e-6*scale) {
						t.Fatalf("act %d: result %d is %v, want %v ± %v", act.Act, i, v, want[i], 1e-6*scale)
					}
				}
				for _, p := range pools {
					got := variableWeights(t, &a, p, in...)
					got.run(t)
					if !slices.Equal(got.out[0].Float32s(), first.Float32s()) {
						t.Fatalf("act %d: %d threads give other bits than one", act.Act, p.Threads())
					}
				}
			}
		})
	}
}

// TestConvHalvingConstant compares constant weights with float64, to a millionth of the largest result, and the bits of several
// numbers of threads, of which some share the channels of a block.
func TestConvHalvingConstant(t *testing.T) {
	if !kernel.HalvingIsFast() {
		t.Skip("the transforms are not vector code here")
	}
	var pools []*parallel.Pool
	for _, n := range []int{2, 3, 16} {
		p := parallel.New(n)
		defer p.Close()
		pools = append(pools, p)
	}
	cases := append(halvingCases(), convCase{n: 1, c: 20, o: 200, groups: 1, in: []int{16, 16}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true},
		convCase{n: 1, c: 16, o: 130, groups: 2, in: []int{12, 8}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}},
		convCase{n: 5, c: 64, o: 70, groups: 1, in: []int{8, 8}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}},
		convCase{n: 3, c: 64, o: 96, groups: 1, in: []int{4, 4}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, transposed: true, bias: true})
	tiled := 0
	for _, c := range cases {
		r := rand.New(rand.NewPCG(1, 2))
		x, w := randTensor(r, append([]int{c.n, c.c}, c.in...)...), randTensor(r, c.weightShape()...)
		in := []*tensor.Tensor{channelsLast(x), w}
		var bias []float32
		if c.bias {
			b := randTensor(r, c.o)
			in, bias = append(in, b), b.Float32s()
		}
		o := c.op(t)
		o.last, o.act = true, kernel.Epilogue{Act: kernel.ActLeakyRelu, Alpha: 0.25}
		run := newOpRun(t, o, nil, true, in...)
		if _, ok := run.ctx.Packed[1].(*packedHalving); !ok {
			continue
		}
		tiled++
		f, err := o.facts([]Fact{{DType: tensor.Float32, Shape: in[0].Shape()}, FactOf(w)})
		if err != nil {
			t.Fatal(err)
		}
		want, scale := c.expected(&f, x, w, bias)
		kernel.ActivateF32(want, want, &o.act)
		run.run(t)
		for i, v := range channelsFirst(run.out[0]).Float32s() {
			if d := math.Abs(float64(v) - float64(want[i])); !(d <= 1e-6*scale) {
				t.Fatalf("%+v: result %d is %v, want %v ± %v", c, i, v, want[i], 1e-6*scale)
			}
		}
		for _, p := range pools {
			if got := runOp(t, o, p, true, in...)[0]; !slices.Equal(got.Float32s(), run.out[0].Float32s()) {
				t.Fatalf("%+v: %d threads give other bits than one", c, p.Threads())
			}
		}
	}
	if tiled < 12 {
		t.Errorf("%d of %d convolutions are computed in tiles", tiled, len(cases))
	}
}

// TestConvHalvingInfiniteWeights checks that constant weights that are not finite are multiplied directly.
func TestConvHalvingInfiniteWeights(t *testing.T) {
	if !kernel.HalvingIsFast() {
		t.Skip("the transforms are not vector code here")
	}
	r := rand.New(rand.NewPCG(3, 4))
	c := halvingCases()[0]
	x, w := randTensor(r, 1, 16, 16, 16), randTensor(r, c.weightShape()...)
	for i := range x.Float32s() {
		x.Float32s()[i] += 2
	}
	w.Float32s()[(3*16+2)*halvingTaps+5] = float32(math.Inf(1)) // channel 2 to 3, a tap that no window has outside
	o := c.op(t)
	o.last = true
	run := newOpRun(t, o, nil, true, x, w)
	if _, ok := run.ctx.Packed[1].(*packedHalving); ok {
		t.Fatal("an infinity was transformed")
	}
	run.run(t)
	for i, v := range run.out[0].Float32s() {
		if math.IsInf(float64(v), 1) != (i%16 == 3) {
			t.Fatalf("result %d of an infinite weight to channel 3 is %v", i, v)
		}
	}
}

// TestConvHalvingKeeps checks what has too few tiles or channels.
func TestConvHalvingKeeps(t *testing.T) {
	for _, c := range []convCase{
		{n: 1, c: 16, o: 16, groups: 1, in: []int{30, 30}},
		{n: 64, c: 16, o: 15, groups: 1, in: []int{16, 16}},
		{n: 64, c: 15, o: 16, groups: 1, in: []int{16, 16}},
	} {
		c.kernel, c.strides = []int{4, 4}, []int{2, 2}
		o := c.op(t)
		o.last = true
		x := Fact{DType: tensor.Float32, Shape: tensor.Shape{c.n, c.in[0], c.in[1], c.c}}
		if f, err := o.facts([]Fact{x, {DType: tensor.Float32, Shape: c.weightShape()}}); err != nil || f.halving {
			t.Errorf("%+v is computed in tiles, %v", c, err)
		}
	}
	for _, c := range []convCase{
		{n: 64, c: 16, o: 16, groups: 1, in: []int{2, 2}, transposed: true, pads: []int{1, 1, 1, 1}},
		{n: 64, c: 64, o: 64, groups: 1, in: []int{7, 7}, transposed: true, pads: []int{1, 1, 1, 1}},
		{n: 64, c: 63, o: 64, groups: 1, in: []int{4, 4}, transposed: true, pads: []int{1, 1, 1, 1}},
		{n: 64, c: 513, o: 64, groups: 1, in: []int{4, 4}, transposed: true, pads: []int{1, 1, 1, 1}},
	} {
		c.kernel, c.strides = []int{4, 4}, []int{2, 2}
		o := c.op(t)
		o.last = true
		w := FactOf(tensor.Must(tensor.New(tensor.Float32, c.weightShape()...)))
		if f, err := o.facts([]Fact{{DType: tensor.Float32, Shape: tensor.Shape{c.n, c.in[0], c.in[1], c.c}}, w}); err != nil || f.halving {
			t.Errorf("%+v with constant weights is computed in tiles, %v", c, err)
		}
	}
}

func TestConvHalvingDoesNotAllocate(t *testing.T) {
	if !kernel.HalvingIsFast() {
		t.Skip("the transforms are not vector code here")
	}
	pool := parallel.New(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 2))
	o := halvingCases()[1].op(t)
	o.last = true
	run := variableWeights(t, o, pool, randTensor(r, 8, 11, 13, 17), randTensor(r, 33, 17, 4, 4), randTensor(r, 33))
	run.run(t)
	if n := testing.AllocsPerRun(10, func() { run.run(t) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

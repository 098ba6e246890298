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

// winogradCases have all kinds of borders: none, one side, both; odd and even extents; tiles
// that are nothing but border.
var winogradCases = []convCase{
	{n: 1, c: 16, o: 16, groups: 1, in: []int{12, 12}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{12, 12}},
	{n: 2, c: 17, o: 33, groups: 1, in: []int{11, 13}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{11, 13}},
	{n: 1, c: 24, o: 20, groups: 1, in: []int{14, 17}, kernel: []int{3, 3}, wantShape: []int{12, 15}},
	{n: 1, c: 16, o: 40, groups: 1, in: []int{9, 30}, kernel: []int{3, 3}, pads: []int{0, 1, 2, 0}, bias: true, wantShape: []int{9, 29}},
	{n: 3, c: 40, o: 130, groups: 1, in: []int{8, 8}, kernel: []int{3, 3}, pads: []int{2, 2, 2, 2}, bias: true, wantShape: []int{10, 10}},
	{n: 1, c: 64, o: 64, groups: 1, in: []int{32, 33}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{32, 33}},
	{n: 2, c: 48, o: 36, groups: 2, in: []int{10, 7}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{10, 7}},
	{n: 5, c: 16, o: 16, groups: 1, in: []int{1, 32}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, wantShape: []int{1, 32}},
	{n: 1, c: 16, o: 16, groups: 1, in: []int{70, 70}, kernel: []int{3, 3}, pads: []int{1, 0, 1, 0}, wantShape: []int{70, 68}},
}

// TestConvWinograd compares with float64, to a millionth of the largest result, and the bits of
// several numbers of threads, one of them larger than the number of blocks in work.
func TestConvWinograd(t *testing.T) {
	var pools []*parallel.Pool
	for _, n := range []int{2, 3, 16} {
		p := parallel.New(n)
		defer p.Close()
		pools = append(pools, p)
	}
	acts := []kernel.Epilogue{{}, {Act: kernel.ActRelu}, {Act: kernel.ActLeakyRelu, Alpha: 0.25}, {Act: kernel.ActTanh}}
	for _, c := range winogradCases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			x, w := randTensor(r, append([]int{c.n, c.c}, c.in...)...), randTensor(r, c.weightShape()...)
			in := []*tensor.Tensor{channelsLast(x), w}
			var bias []float32
			if c.bias {
				b := randTensor(r, c.o)
				in, bias = append(in, b), b.Float32s()
			}
			v, _, ok := c.op(t).ChannelsLast([]Fact{FactOf(x), FactOf(w)})
			if !ok {
				t.Fatal("no channels-last form")
			}
			o := v.(*conv)
			facts := []Fact{{DType: tensor.Float32, Shape: in[0].Shape()}, FactOf(w)}
			if p, err := o.Prepack(1, facts, Slices{}); err != nil {
				t.Fatal(err)
			} else if _, ok := p.(*packedWinograd); !ok {
				t.Fatalf("weights became %T", p)
			}
			f, err := o.facts(facts)
			if err != nil {
				t.Fatal(err)
			}
			plain, scale := c.expected(&f, x, w, bias)
			for _, act := range acts {
				a := *o
				a.act = act
				want := make([]float32, len(plain))
				kernel.ActivateF32(want, plain, &act)
				first := runOp(t, &a, nil, true, in...)[0]
				for i, v := range channelsFirst(first).Float32s() {
					if d := math.Abs(float64(v) - float64(want[i])); !(d <= 1e-6*scale) {
						t.Fatalf("act %d: result %d is %v, want %v ± %v", act.Act, i, v, want[i], 1e-6*scale)
					}
				}
				for _, p := range pools {
					if got := runOp(t, &a, p, true, in...)[0]; !slices.Equal(got.Float32s(), first.Float32s()) {
						t.Fatalf("act %d: %d threads give other bits than one", act.Act, p.Threads())
					}
				}
			}
		})
	}
}

// TestConvWinogradNonFinite pins what becomes of values and weights that are not finite: results
// whose windows hold such a value are not finite, others are what they were, and infinite weights
// are multiplied directly.
func TestConvWinogradNonFinite(t *testing.T) {
	c := winogradCases[0]
	r := rand.New(rand.NewPCG(3, 4))
	x, w := randTensor(r, 1, 12, 12, 16), randTensor(r, c.weightShape()...)
	o := c.op(t)
	o.last = true
	clean := runOp(t, o, nil, true, x, w)[0].Float32s()
	for _, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
		const row, col = 4, 7
		y := tensor.Must(tensor.Of(slices.Clone(x.Float32s()), x.Shape()...))
		y.Float32s()[(row*12+col)*16+5] = float32(bad)
		for i, v := range runOp(t, o, nil, true, y, w)[0].Float32s() {
			inside := max(i/16/12-row, row-i/16/12, i/16%12-col, col-i/16%12) <= 1
			if inside == (v-v == 0) || inside && bad != bad && v == v || !inside && v != clean[i] {
				t.Fatalf("%v at (%d,%d): result %d is %v, otherwise %v", bad, row, col, i, v, clean[i])
			}
		}
	}
	w.Float32s()[9*16*3+4] = float32(math.Inf(1)) // centre of channel 0 to 3
	for i := range x.Float32s() {
		x.Float32s()[i] += 2
	}
	run := newOpRun(t, o, nil, true, x, w)
	if _, ok := run.ctx.Packed[1].(*packedConv); !ok {
		t.Fatalf("weights with an infinity became %T", run.ctx.Packed[1])
	}
	run.run(t)
	for i, v := range run.out[0].Float32s() {
		if math.IsInf(float64(v), 1) != (i%16 == 3) {
			t.Fatalf("result %d of an infinite weight to channel 3 is %v", i, v)
		}
	}
}

// TestConvWinogradBatch checks that a result does not depend on the other images of a batch.
func TestConvWinogradBatch(t *testing.T) {
	const image, out = 9 * 8 * 16, 9 * 8 * 20
	r := rand.New(rand.NewPCG(5, 6))
	x, w := randTensor(r, 7, 9, 8, 16), randTensor(r, 20, 16, 3, 3)
	o := convCase{n: 1, c: 16, o: 20, groups: 1, pads: []int{1, 1, 1, 1}}.op(t)
	o.last = true
	all := runOp(t, o, nil, true, x, w)[0].Float32s()
	for i := range 7 {
		one := tensor.Must(tensor.Of(x.Float32s()[i*image:][:image], 1, 9, 8, 16))
		if got := runOp(t, o, nil, true, one, w)[0].Float32s(); !slices.Equal(got, all[i*out:][:out]) {
			t.Fatalf("image %d by itself and in a batch of 7 gives other bits", i)
		}
	}
}

func TestConvWinogradDoesNotAllocate(t *testing.T) {
	pool := parallel.New(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 2))
	o := winogradCases[1].op(t)
	o.last = true
	run := newOpRun(t, o, pool, true, randTensor(r, 2, 11, 13, 17), randTensor(r, 33, 17, 3, 3), randTensor(r, 33))
	run.run(t)
	if n := testing.AllocsPerRun(10, func() { run.run(t) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package op

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// TestQuantOverlap computes transposed convolutions to one channel and to three by taps where they are of 4×4 and stride 2, on
// one thread and on three, and compares with the same one channels-first, which is not computed so.
func TestQuantOverlap(t *testing.T) {
	pool := parallel.New(3)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		x         tensor.DType
		o, stride int
		in        []int
	}{{tensor.Uint8, 1, 2, []int{5, 6}}, {tensor.Int8, 1, 2, []int{14, 14}}, {tensor.Uint8, 1, 2, []int{70, 45}}, {tensor.Uint8, 1, 1, []int{14, 14}},
		{tensor.Uint8, 3, 2, []int{32, 32}}, {tensor.Int8, 3, 2, []int{5, 20}}, {tensor.Uint8, 3, 2, []int{64, 40}}} {
		g := convCase{n: 3, c: 32, o: c.o, groups: 1, in: c.in, kernel: []int{4, 4}, strides: []int{c.stride, c.stride}, pads: []int{1, 1, 1, 1}, transposed: true}
		q := newQuantConvTranspose(g.op(t))
		in := []*tensor.Tensor{rand8(r, c.x, 3, 32, c.in[0], c.in[1]), of(t, []float32{0.02}), scalar8(c.x, 3), rand8(r, tensor.Int8, g.weightShape()...),
			of(t, []float32{0.01, 0.02, 0.03}[:c.o]), scalar8(tensor.Int8, 0), of(t, []float32{1.7}), scalar8(tensor.Uint8, 100)}
		var facts []Fact
		for _, v := range in {
			facts = append(facts, FactOf(v))
		}
		want := runOp(t, q, nil, true, in...)[0]
		v, _, ok := q.ChannelsLast(facts)
		if !ok {
			t.Fatal("no channels-last form")
		}
		in[0] = channelsLast(in[0])
		for _, p := range []*parallel.Pool{nil, pool} {
			run := newOpRun(t, v, p, true, in...)
			for range 2 {
				run.run(t)
				got := run.out[0]
				if c.o == 1 || !kernel.HasOverlapQ8() { // else the result is planes
					got = channelsFirst(got)
				}
				if !got.Shape().Equal(want.Shape()) || !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("%v to %d, stride %d, %v: other values channels-last", c.x, c.o, c.stride, c.in)
				}
			}
			if s, is := StateOf[cellState](run.ctx), kernel.HasOverlapQ8() && c.stride == 2; (s.overlap.table != nil || s.overlap.of != nil) != is {
				t.Errorf("stride %d: computed by taps: %t, want %t", c.stride, !is, is)
			}
		}
	}
}

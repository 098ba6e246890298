package op

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// TestConvGather runs convolutions large enough that threads share blocks, blocks share
// threads and, with more threads than slots, blocks go in waves. All give the same bits.
func TestConvGather(t *testing.T) {
	for _, c := range []convCase{
		{n: 1, c: 32, o: 96, groups: 1, in: []int{16, 16}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true},
		{n: 2, c: 3, o: 32, groups: 1, in: []int{64, 64}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true},
		{n: 1, c: 32, o: 64, groups: 2, in: []int{15, 17}, kernel: []int{3, 3}, strides: []int{1, 2}, pads: []int{1, 1, 1, 1}},
		{transposed: true, n: 1, c: 64, o: 80, groups: 1, in: []int{5, 7}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true},
		{transposed: true, n: 2, c: 32, o: 64, groups: 1, in: []int{8, 8}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			o := c.op(t)
			in := []*tensor.Tensor{randTensor(r, append([]int{c.n, c.c}, c.in...)...), randTensor(r, c.weightShape()...)}
			var bias []float32
			if c.bias {
				in = append(in, randTensor(r, c.o))
				bias = in[2].Float32s()
			}
			f, err := o.geometry(in[0].Shape(), in[1].Shape())
			if err != nil {
				t.Fatal(err)
			}
			var begin []int
			for _, a := range f.ax {
				begin = append(begin, a.begin)
			}
			want := c.reference(in[0], in[1], bias, begin, f.out)
			last, _, ok := o.ChannelsLast([]Fact{FactOf(in[0]), FactOf(in[1])})
			if !ok {
				t.Fatal("no channels-last form")
			}
			if f, err := last.(*conv).facts([]Fact{FactOf(channelsLast(in[0])), FactOf(in[1])}); err != nil || !f.gather {
				t.Fatalf("windows are not gathered (error %v)", err)
			}
			in[0] = channelsLast(in[0])
			var first []float32
			for _, threads := range []int{1, 2, 4, 12} {
				pool := parallel.New(threads)
				got := runOp(t, last, pool, true, in...)[0]
				pool.Close()
				if first == nil {
					first = got.Float32s()
					wantClose(t, channelsFirst(got).Float32s(), want, 1e-5)
				} else if !slices.Equal(got.Float32s(), first) {
					t.Fatalf("%d threads give other bits than one", threads)
				}
			}
		})
	}
}

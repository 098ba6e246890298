package op

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestQuantBands computes 8-bit convolutions that are divided into several bands of an image, or into several groups of
// whole images, and compares some of the results with sums by definition.
func TestQuantBands(t *testing.T) {
	twos, ones := []int{2, 2}, []int{1, 1, 1, 1}
	for _, c := range []convCase{
		{n: 1, c: 64, o: 33, groups: 1, in: []int{20, 260}, kernel: []int{3, 3}, pads: ones},
		{n: 2, c: 32, o: 32, groups: 2, in: []int{33, 200}, kernel: []int{3, 3}, pads: ones},
		{n: 70, c: 32, o: 64, groups: 1, in: []int{14, 14}, kernel: []int{3, 3}, strides: twos, pads: ones},
		{n: 130, c: 1, o: 32, groups: 1, in: []int{28, 28}, kernel: []int{3, 3}, strides: twos, pads: []int{1, 2, 0, 1}},
		{n: 70, c: 64, o: 32, groups: 1, in: []int{7, 7}, kernel: []int{4, 4}, strides: twos, pads: ones, transposed: true},
		{n: 3, c: 16, o: 1, groups: 1, in: []int{14, 14}, kernel: []int{4, 4}, strides: twos, pads: ones, transposed: true},
		{n: 1, c: 32, o: 16, groups: 1, in: []int{14, 14}, kernel: []int{3, 3}, strides: twos, pads: ones, transposed: true},
		{n: 1, c: 64, o: 3, groups: 1, in: []int{40, 100}, kernel: []int{3, 3}, pads: ones},
		{n: 1, c: 128, o: 128, groups: 128, in: []int{33, 40}, kernel: []int{3, 3}, pads: ones},
		{n: 3, c: 64, o: 64, groups: 8, in: []int{33, 200}, kernel: []int{1, 1}, pads: []int{0, 0, 0, 0}},
		{n: 70, c: 24, o: 48, groups: 2, in: []int{14, 14}, kernel: []int{1, 1}, pads: ones},
		{n: 2, c: 64, o: 64, groups: 16, in: []int{33, 100}, kernel: []int{3, 3}, pads: ones},
		{n: 3, c: 64, o: 64, groups: 64, in: []int{31, 40}, kernel: []int{5, 5}, strides: twos, pads: ones},
	} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(fmt.Sprintf("%v %v", c, d), func(t *testing.T) { testQuantBands(t, c, d) })
		}
	}
}

func testQuantBands(t *testing.T, c convCase, d tensor.DType) {
	r := rand.New(rand.NewPCG(3, 4))
	a := NewAttrs(&onnx.Node{Attrs: c.attrs()}, 13, nil)
	q, err := newQLinearConv(a)
	if c.transposed {
		var o Op
		if o, err = newConvTranspose(a); err == nil {
			q = newQuantConvTranspose(o.(*conv))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	const sx, sw, sy, zx, zy = 0.02, 0.01, 0.9, 77, 90
	x, w := rand8(r, d, append([]int{c.n, c.c}, c.in...)...), rand8(r, tensor.Int8, c.weightShape()...)
	if c.transposed && c.kernel[0] == 3 {
		// Likewise parts of the results: the tap in the middle is alone in one.
		for i, v := range w.Bytes() {
			if i%9 != 4 {
				w.Bytes()[i] = uint8(int8(v) / 4)
			}
		}
	}
	if c.groups > 1 {
		// Where there is a kernel for pairs that fit in 16 bits, half of the groups have it and half have not.
		for i, v := range w.Bytes()[:w.Elems()/2] {
			w.Bytes()[i] = uint8(int8(v) / 4)
		}
	}
	in := []*tensor.Tensor{x, of(t, []float32{sx}), scalar8(d, zx), w, of(t, []float32{sw}), scalar8(tensor.Int8, 0), of(t, []float32{sy}), scalar8(d, zy)}
	var facts []Fact
	for _, v := range in {
		facts = append(facts, FactOf(v))
	}
	v, _, ok := q.(LayoutAware).ChannelsLast(facts)
	if !ok {
		t.Fatal("no channels-last form")
	}
	in[0] = channelsLast(x)
	y := channelsFirst(runOp(t, v, nil, true, in...)[0])
	for _, threads := range []int{2, 4, 6} {
		pool := parallel.New(threads)
		defer pool.Close()
		if got := channelsFirst(runOp(t, v, pool, true, in...)[0]); !bytes.Equal(got.Bytes(), y.Bytes()) {
			t.Fatalf("%d threads give other results than one", threads)
		}
	}
	value := func(v *tensor.Tensor, i int) int64 {
		if v.DType() == tensor.Int8 {
			return int64(int8(v.Bytes()[i]))
		}
		return int64(v.Bytes()[i])
	}
	height, width := y.Shape()[2], y.Shape()[3]
	stride := 1
	if c.strides != nil {
		stride = c.strides[0]
	}
	cg, og := c.c/c.groups, c.o/c.groups
	for range 3000 {
		n, o, oh, ow := r.IntN(c.n), r.IntN(c.o), r.IntN(height), r.IntN(width)
		if r.IntN(3) == 0 {
			ow = []int{0, width - 1}[r.IntN(2)]
		}
		sum := int64(0)
		for k := range c.kernel[0] * c.kernel[1] {
			kh, kw := k/c.kernel[1], k%c.kernel[1]
			ih, iw := oh*stride-c.pads[0]+kh, ow*stride-c.pads[1]+kw
			if c.transposed {
				ih, iw = oh+c.pads[0]-kh, ow+c.pads[1]-kw
				if ih%stride != 0 || iw%stride != 0 {
					continue
				}
				ih, iw = ih/stride, iw/stride
			}
			if ih < 0 || ih >= c.in[0] || iw < 0 || iw >= c.in[1] {
				continue
			}
			for ci := range cg {
				at := (o*cg+ci)*c.kernel[0]*c.kernel[1] + k
				if c.transposed {
					at = (ci*og+o)*c.kernel[0]*c.kernel[1] + k
				}
				sum += (value(x, ((n*c.c+o/og*cg+ci)*c.in[0]+ih)*c.in[1]+iw) - zx) * value(w, at)
			}
		}
		want := requantized(sum, sx, sw, sy, zy, d)
		if got := value(y, ((n*c.o+o)*height+oh)*width+ow); got != int64(want) {
			t.Fatalf("result %d,%d,%d,%d is %d, want %d", n, o, oh, ow, got, want)
		}
	}
}

package op

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/impl"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// TestDepthPhases compares transposed depthwise convolutions of 8-bit values with sums of products over all pixels and taps.
func TestDepthPhases(t *testing.T) {
	if !Complete {
		t.Skip("built with the tag aekit_core")
	}
	r := rand.New(rand.NewPCG(31, 32))
	pool := parallel.New(3)
	defer pool.Close()
	cases := 0
	impl.All(t, "kernel/i8", func(t *testing.T) {
		for _, c := range []struct {
			n, c, h, w, kh, kw, sh, sw int
			pads                       []int
			outPad                     []int
		}{
			{1, 16, 5, 7, 4, 4, 2, 2, []int{1, 1, 1, 1}, nil},
			{2, 64, 20, 9, 4, 4, 2, 2, []int{1, 1, 1, 1}, nil},
			{3, 24, 6, 5, 3, 3, 2, 2, []int{1, 1, 1, 1}, []int{1, 1}},
			{1, 32, 7, 8, 3, 3, 2, 2, []int{0, 0, 0, 0}, nil},
			{2, 16, 6, 8, 2, 2, 2, 2, []int{0, 1, 0, 1}, nil},
			{1, 48, 9, 6, 5, 3, 1, 1, []int{2, 1, 2, 1}, nil},
			{1, 16, 4, 13, 7, 6, 2, 3, []int{3, 2, 1, 4}, nil},
			{1, 16, 3, 17, 9, 2, 2, 1, []int{4, 0, 4, 1}, nil},
			{2, 8, 2, 3, 4, 4, 2, 2, []int{3, 3, 2, 2}, nil},
		} {
			for variant := range 4 {
				x8, y8 := tensor.Uint8, tensor.Int8
				if variant&1 == 1 {
					x8, y8 = y8, x8
				}
				o := newQuantConvTranspose(&conv{window: window{strides: []int{c.sh, c.sw}, pads: c.pads, autoPad: "NOTSET"}, group: c.c, transposed: true, outputPadding: c.outPad})
				o.last = true
				x, w := tensor.Must(tensor.New(x8, c.n, c.h, c.w, c.c)), tensor.Must(tensor.New(tensor.Int8, c.c, 1, c.kh, c.kw))
				for _, v := range []*tensor.Tensor{x, w} {
					for i := range v.Bytes() {
						v.Bytes()[i] = uint8(r.Uint32())
					}
				}
				xZero, yZero := uint8(r.Uint32()), uint8(r.Uint32())
				scales, bias := make([]float32, c.c), make([]int32, c.c)
				for i := range scales {
					scales[i], bias[i] = r.Float32()*0.01, int32(r.IntN(1<<14)-1<<13)
				}
				byteOf := func(d tensor.DType, b uint8) *tensor.Tensor {
					v := tensor.Must(tensor.New(d))
					v.Bytes()[0] = b
					return v
				}
				in := []*tensor.Tensor{x, tensor.Scalar(float32(0.5)), byteOf(x8, xZero), w, tensor.Must(tensor.Of(scales, c.c)), tensor.Must(tensor.New(tensor.Int8, c.c)),
					tensor.Scalar(float32(0.25)), byteOf(y8, yZero), tensor.Must(tensor.Of(bias, c.c))}
				facts := make([]Fact, len(in))
				for i, v := range in {
					facts[i] = Fact{DType: v.DType(), Shape: v.Shape(), Const: v}
				}
				facts[0].Const = nil
				if variant&2 == 2 {
					facts[4].Const, facts[8].Const = nil, nil
				}
				out, err := o.Infer(facts)
				if err != nil {
					t.Fatal(err)
				}
				f, err := o.extents(x.Shape(), w.Shape())
				if err != nil {
					t.Fatal(err)
				}
				if o.form(facts, &f.shape) != transposedPhases {
					t.Fatalf("%+v is not computed by phases", c)
				}
				cases++
				ctx := &Context{Pool: pool, Packed: make([]Packed, len(in)), Scratch: tensor.AlignedBytes(o.Workspace(facts))}
				var state any
				ctx.State = &state
				given := slices.Clone(in)
				for i := range in {
					if _, ok := o.PackKey(i, facts); ok {
						if ctx.Packed[i], err = o.Prepack(i, facts, Slices{}); err != nil {
							t.Fatal(err)
						}
						given[i] = nil
					}
				}
				y := tensor.Must(tensor.New(y8, out[0].Shape...))
				for range 2 { // the second run finds the state of the first
					if err := o.Run(ctx, []*tensor.Tensor{y}, given); err != nil {
						t.Fatal(err)
					}
				}
				value := func(d tensor.DType, b uint8) int32 {
					if d == tensor.Int8 {
						return int32(int8(b))
					}
					return int32(b)
				}
				h, width := y.Shape()[1], y.Shape()[2]
				sums := make([]int32, y.Elems())
				for i := range sums {
					sums[i] = bias[i%c.c]
				}
				for i, b := range x.Bytes() {
					k, p := i%c.c, i/c.c
					n, sy, sx := p/c.w/c.h, p/c.w%c.h, p%c.w
					for tap := range c.kh * c.kw {
						row, col := sy*c.sh+tap/c.kw-c.pads[0], sx*c.sw+tap%c.kw-c.pads[1]
						if row >= 0 && row < h && col >= 0 && col < width {
							sums[((n*h+row)*width+col)*c.c+k] += (value(x8, b) - value(x8, xZero)) * int32(tensor.Data[int8](w)[k*c.kh*c.kw+tap])
						}
					}
				}
				factors := factorsOf(nil, 0.5, scales, in[6], c.c, 1)
				for i, got := range y.Bytes() {
					lo, hi := 0, 255
					if y8 == tensor.Int8 {
						lo, hi = -128, 127
					}
					v := float64(float32(sums[i]) * factors[i%c.c])
					want := uint8(min(max(int(math.RoundToEven(v))+int(value(y8, yZero)), lo), hi))
					if got != want {
						t.Fatalf("%+v, variant %d: result %d is %d, want %d", c, variant, i, got, want)
					}
				}
			}
		}
	})
	if cases == 0 {
		t.Error("nothing was compared")
	}
}

package gradop

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// channelSum adds up, for each channel of input 0, [N, C, …], all its values: the gradient
// of a bias, which is input 1.
type channelSum struct {
	last bool // input 0 is channels-last
}

func (o channelSum) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if o.last {
		s = channelsFirst(s)
	}
	if len(s) < 2 || len(in[1].Shape) != 1 || s[1] != in[1].Shape[0] {
		return nil, errShapes
	}
	return []op.Fact{like(in[1])}, nil
}

// ChannelsLast implements [op.LayoutAware].
func (o channelSum) ChannelsLast(in []op.Fact) (op.Op, []bool, bool) {
	return channelSum{last: true}, []bool{true, false}, in[0].DType == tensor.Float32 && len(in[0].Shape) > 2
}

// OutputsLast implements [op.MixedLayout].
func (o channelSum) OutputsLast() []bool { return nil }

type channelState struct {
	spans
	dst, src []float32
	n, plane int
	sums     []float64 // by block and channel
}

func (o channelSum) Run(ctx *op.Context, out, in []*tensor.Tensor) error {
	s := in[0].Shape()
	if out[0].DType() == tensor.Float64 {
		channelSums(tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), s[0], product(s[2:]), 0, s[1])
		return nil
	}
	st := op.StateOf[channelState](ctx)
	st.dst, st.src = out[0].Float32s(), in[0].Float32s()
	if o.last {
		st.rows(ctx)
		return nil
	}
	st.n, st.plane = s[0], product(s[2:])
	if st.f == nil {
		st.f = func(lo, hi int) { channelSums(st.dst, st.src, st.n, st.plane, lo, hi) }
	}
	st.run(ctx.Pool, s[1], max(1, grain/max(1, st.n*st.plane)))
	return nil
}

// rows adds up the rows of a channels-last tensor, block by block.
func (st *channelState) rows(ctx *op.Context) {
	c := len(st.dst)
	if c == 0 {
		return
	}
	per := rowsOf(c) * c
	blocks := (len(st.src) + per - 1) / per
	if len(st.sums) != blocks*c {
		st.sums = make([]float64, blocks*c)
	}
	if st.f == nil {
		st.f = func(lo, hi int) {
			c := len(st.dst)
			per := rowsOf(c) * c
			for i := lo; i < hi; i++ {
				sums := st.sums[i*c:][:c]
				clear(sums)
				kernel.ChannelSumF32(sums, st.src[i*per:min(len(st.src), (i+1)*per)])
			}
		}
	}
	st.run(ctx.Pool, blocks, 1)
	for k := range st.dst {
		s := 0.0
		for i := range blocks {
			s += st.sums[i*c+k]
		}
		st.dst[k] = float32(s)
	}
}

func channelSums[T floating](dst, src []T, n, plane, lo, hi int) {
	c := len(dst)
	for ch := lo; ch < hi; ch++ {
		s := 0.0
		for i := range n {
			s += float64(sum(src[(i*c+ch)*plane:][:plane]))
		}
		dst[ch] = T(s)
	}
}

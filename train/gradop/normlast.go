package gradop

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// channelBlock is how many elements of a channels-last tensor make a block of sums: two
// tensors of that size stay in the second-level cache.
const channelBlock = 24 << 10

// rowsOf returns how many rows of c channels make a block.
func rowsOf(c int) int { return max(1, channelBlock/max(1, c)) }

// normLast is the state of a batchNormGrad of channels-last tensors.
type normLast struct {
	take, mix        spans
	blocks           []kernel.ChannelSums
	dx, dy, x        []float32
	mean, variance   []float64
	g, gx            []float64 // Σ dy, Σ dy·(x - mean)
	onDy, onX, shift []float32 // dx = dy·onDy + x·onX + shift
	unwanted         []float32
	c                int
}

func (st *normLast) init(c, rows int) {
	per := rowsOf(c)
	if n := (rows + per - 1) / per; len(st.blocks) != n {
		st.blocks = make([]kernel.ChannelSums, n)
	}
	if st.c != c {
		v := make([]float64, 4*c)
		st.mean, st.variance, st.g, st.gx = v[:c], v[c:2*c], v[2*c:3*c], v[3*c:]
		f := make([]float32, 4*c)
		st.onDy, st.onX, st.shift, st.unwanted = f[:c], f[c:2*c], f[2*c:3*c], f[3*c:]
		st.c = c
	}
	if st.take.f == nil {
		st.take.f = st.takeBlocks
		st.mix.f = func(lo, hi int) {
			lo, hi = lo*st.c, hi*st.c
			kernel.ChannelMixF32(st.dx[lo:hi], st.dy[lo:hi], st.x[lo:hi], st.onDy, st.onX, st.shift)
		}
	}
}

func (st *normLast) takeBlocks(lo, hi int) {
	per := rowsOf(st.c) * st.c
	for i := lo; i < hi; i++ {
		b := &st.blocks[i]
		b.Reset(st.c)
		end := min(len(st.x), (i+1)*per)
		kernel.ChannelSumsF32(b, st.x[i*per:end], st.dy[i*per:end])
	}
}

// wanted returns the elements of output i, or scratch memory in its place.
func wanted(out []*tensor.Tensor, i int, scratch []float32) []float32 {
	if i < len(out) && out[i] != nil {
		return out[i].Float32s()
	}
	return scratch
}

func batchNormLast(o *batchNormGrad, ctx *op.Context, out, in []*tensor.Tensor) {
	st := op.StateOf[normLast](ctx)
	s := in[1].Shape()
	c := s[len(s)-1]
	rows := product(s[:len(s)-1])
	if c == 0 || rows == 0 {
		return
	}
	st.init(c, rows)
	st.dy, st.x = in[0].Float32s(), in[1].Float32s()
	st.take.run(ctx.Pool, len(st.blocks), 1)
	kernel.ChannelMoments(st.blocks, st.mean, st.variance, st.g, st.gx)
	scale, dscale, dbias := in[2].Float32s(), wanted(out, 1, st.unwanted), wanted(out, 2, st.unwanted)
	m := float64(rows)
	for k := range c {
		if !o.training {
			mean := float64(in[3].Float32s()[k])
			st.gx[k] += (st.mean[k] - mean) * st.g[k]
			st.mean[k], st.variance[k] = mean, float64(in[4].Float32s()[k])
		}
		inv := 1 / math.Sqrt(st.variance[k]+o.epsilon)
		dbias[k] = float32(st.g[k])
		dscale[k] = float32(st.gx[k] * inv)
		a := float64(scale[k]) * inv
		st.onDy[k], st.onX[k], st.shift[k] = float32(a), 0, 0
		if o.training {
			// dx = a·(dy - Σdy/m - (x - mean)·Σdy·(x - mean)·inv²/m)
			b := a * st.gx[k] * inv * inv / m
			st.onX[k] = float32(-b)
			st.shift[k] = float32(b*st.mean[k] - a*st.g[k]/m)
		}
	}
	if len(out) > 0 && out[0] != nil {
		st.dx = out[0].Float32s()
		st.mix.run(ctx.Pool, rows, rowsOf(c))
	}
	st.dx, st.dy, st.x = nil, nil, nil
}

package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// statsBlock is how many elements of channels-last images make a block of statistics: it
// stays in the second-level cache.
const statsBlock = 32 << 10

// statisticsLast sets mean and vars to those of channels-last images x of c channels.
func (t *batchNormTask[T]) statisticsLast(pool *parallel.Pool, x []float32, c int) {
	rows := len(x) / c
	per := max(1, statsBlock/c)
	n := (rows + per - 1) / per
	if len(t.blocks) != n {
		t.blocks = make([]kernel.ChannelSums, n)
	}
	if t.taking.f == nil {
		t.taking.f = func(lo, hi int) { t.takeBlocks(lo, hi) }
	}
	t.taking.run(pool, n, 4*len(x))
	t.mean, t.vars = resizeFloats(t.mean, c), resizeFloats(t.vars, c)
	kernel.ChannelMoments(t.blocks, t.mean, t.vars, nil, nil)
}

func (t *batchNormTask[T]) takeBlocks(lo, hi int) {
	x := any(t.x).([]float32)
	c := len(t.params[0])
	per := max(1, statsBlock/c) * c
	for i := lo; i < hi; i++ {
		b := &t.blocks[i]
		b.Reset(c)
		kernel.ChannelSumsF32(b, x[i*per:min(len(x), (i+1)*per)], nil)
	}
}

// rowsLast normalises rows of channels and activates them, piece by piece.
func (t *batchNormTask[T]) rowsLast(y, x, scale, shift []float32) {
	c := len(scale)
	per := max(1, statsBlock/4/c) * c
	for at := 0; at < len(x); at += per {
		n := min(per, len(x)-at)
		kernel.ChannelAffineF32(y[at:at+n], x[at:at+n], scale, shift)
		if t.o.act.Act != kernel.ActNone {
			kernel.ActivateF32(y[at:at+n], y[at:at+n], &t.o.act)
		}
	}
}

// resizeFloats returns n elements of unspecified values, in the memory of s if it suffices.
func resizeFloats(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	return s[:n]
}

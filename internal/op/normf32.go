package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// normBlock is how many float32 values are summed in float32 before their sum is added to one in float64.
const normBlock = 4096

// moments32 returns the mean and 1/sqrt(variance + epsilon) of values, which divides by their number. Both are taken of
// deviations from a value near the mean.
func moments32(x []float32, epsilon float32) (mean, scale float64) {
	for i := 0; i < len(x); i += normBlock {
		mean += float64(kernel.SumF32(x[i:min(i+normBlock, len(x))]))
	}
	mean /= float64(len(x))
	ref := float32(mean)
	sum, sq := 0.0, 0.0
	for i := 0; i < len(x); i += normBlock {
		s, q := kernel.DeviationsF32(x[i:min(i+normBlock, len(x))], ref)
		sum, sq = sum+float64(s), sq+float64(q)
	}
	d := sum / float64(len(x))
	return float64(ref) + d, 1 / math.Sqrt(max(0, sq/float64(len(x))-d*d)+float64(epsilon))
}

// parameters returns the factor and the summand of channel c of group g.
func (o *groupNorm) parameters(scale, bias []float32, c, g int, mean, rstd float64) (k, b float32) {
	p := c
	if o.perGroup {
		p = g
	}
	s := rstd * float64(scale[p])
	return float32(s), float32(float64(bias[p]) - mean*s)
}

// groupNormFirst computes one group of one image, which is one run of memory.
func groupNormFirst(t *groupNormTask[float32], u int) {
	g := u % t.groups
	size := t.per * t.plane
	x, y := t.x[u*size:][:size], t.y[u*size:][:size]
	mean, rstd := moments32(x, t.o.epsilon)
	ref := float32(mean)
	for i := range t.per {
		k, b := t.o.parameters(t.scale, t.bias, g*t.per+i, g, mean-float64(ref), rstd)
		kernel.CenterF32(y[i*t.plane:][:t.plane], x[i*t.plane:][:t.plane], ref, k, b)
	}
}

// groupNormLast is the work on float32 images whose channels are innermost: statistics of blocks of rows, those of the
// groups, and then the result.
type groupNormLast struct {
	taking, giving    spreader
	t                 *groupNormTask[float32]
	rows, perImage    int                  // rows of a block, blocks of an image
	blocks            []kernel.ChannelSums // by image and block
	mean, variance    []float64            // of one image, by channel
	factors, summands []float32            // by image and channel
}

func (l *groupNormLast) run(pool *parallel.Pool, t *groupNormTask[float32], images int) {
	if l.taking.f == nil {
		l.taking.f, l.giving.f = l.take, l.give
	}
	l.t = t
	l.rows = max(1, 4*normBlock/t.c)
	l.perImage = (t.plane + l.rows - 1) / l.rows
	for len(l.blocks) < images*l.perImage {
		l.blocks = append(l.blocks, kernel.ChannelSums{})
	}
	l.mean, l.variance = resize(l.mean, t.c), resize(l.variance, t.c)
	l.factors, l.summands = resize(l.factors, images*t.c), resize(l.summands, images*t.c)
	l.taking.run(pool, images*l.perImage, mulSize(copyCost/2, len(t.x)))
	for n := range images {
		l.parameters(n)
	}
	l.giving.run(pool, images*l.perImage, mulSize(copyCost/2, len(t.x)))
	l.t = nil
}

// block returns the elements of block u.
func (l *groupNormLast) block(x []float32, u int) []float32 {
	n, r := u/l.perImage, u%l.perImage*l.rows
	return x[(n*l.t.plane+r)*l.t.c:][:min(l.rows, l.t.plane-r)*l.t.c]
}

func (l *groupNormLast) take(lo, hi int) {
	for u := lo; u < hi; u++ {
		l.blocks[u].Reset(l.t.c)
		kernel.ChannelSumsF32(&l.blocks[u], l.block(l.t.x, u), nil)
	}
}

func (l *groupNormLast) give(lo, hi int) {
	for u := lo; u < hi; u++ {
		n := u / l.perImage * l.t.c
		kernel.ChannelAffineF32(l.block(l.t.y, u), l.block(l.t.x, u), l.factors[n:][:l.t.c], l.summands[n:][:l.t.c])
	}
}

// parameters sets the factors and summands of one image.
func (l *groupNormLast) parameters(n int) {
	t := l.t
	kernel.ChannelMoments(l.blocks[n*l.perImage:][:l.perImage], l.mean, l.variance, nil, nil)
	for g := range t.groups {
		mean, variance := 0.0, 0.0
		first := g * t.per
		for c := first; c < first+t.per; c++ {
			mean += l.mean[c]
		}
		mean /= float64(t.per)
		for c := first; c < first+t.per; c++ {
			d := l.mean[c] - mean
			variance += l.variance[c] + d*d
		}
		rstd := 1 / math.Sqrt(variance/float64(t.per)+float64(t.o.epsilon))
		for c := first; c < first+t.per; c++ {
			l.factors[n*t.c+c], l.summands[n*t.c+c] = t.o.parameters(t.scale, t.bias, c, g, mean, rstd)
		}
	}
}

// row32 computes one row and returns its statistics.
func (o *layerNorm) row32(y, x, gamma, beta []float32) (mean, scale float64) {
	if o.rms {
		sq := 0.0
		for i := 0; i < len(x); i += normBlock {
			sq += float64(kernel.SumSqF32(x[i:min(i+normBlock, len(x))]))
		}
		scale = 1 / math.Sqrt(sq/float64(len(x))+float64(o.epsilon))
		kernel.MulScalarF32(y, x, float32(scale))
	} else {
		mean, scale = moments32(x, o.epsilon)
		ref := float32(mean)
		kernel.CenterF32(y, x, ref, float32(scale), float32((float64(ref)-mean)*scale))
	}
	if beta == nil {
		kernel.MulF32(y, y, gamma)
	} else {
		kernel.AffinesF32(y, y, gamma, beta)
	}
	return mean, scale
}

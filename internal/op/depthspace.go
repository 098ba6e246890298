package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// depthSpace is DepthToSpace and, with inverse, SpaceToDepth, of 4-D tensors: each pixel's
// channels become a block of block×block pixels, or the other way round. In DCR order the
// channel is (row, column, depth), in CRD order (depth, row, column). SpaceToDepth is the
// inverse of the former; from opset 28 on it has the choice too.
type depthSpace struct {
	block        int
	crd, inverse bool
	types        Types
	last         bool
}

var _ LayoutAware = (*depthSpace)(nil)

//go:noinline
func newDepthSpace(inverse bool) func(a *Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		a.Require("blocksize")
		o := &depthSpace{block: a.Int("blocksize", 1), inverse: inverse, types: a.Types()}
		if o.block < 1 || o.block > 1<<15 {
			a.Fail("attribute %q: value %d is out of range", "blocksize", o.block)
		}
		if !inverse || a.Opset() >= 28 {
			o.crd = a.OneOf("mode", "DCR", "CRD") == "CRD"
		}
		return o, nil
	}
}

// Infer implements [Op].
func (o *depthSpace) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if len(x) != 4 {
		return nil, fmt.Errorf("input %v, want 4 axes", x)
	}
	if o.last {
		x = toChannelsFirst(x)
	}
	b, y := o.block, x.Clone()
	if o.inverse {
		if x[2]%b != 0 || x[3]%b != 0 {
			return nil, fmt.Errorf("extents %d and %d are not multiples of %d", x[2], x[3], b)
		}
		if x[1] > math.MaxInt/(b*b) {
			return nil, fmt.Errorf("%d channels are too many", x[1])
		}
		y[1], y[2], y[3] = x[1]*b*b, x[2]/b, x[3]/b
	} else {
		if x[1]%(b*b) != 0 {
			return nil, fmt.Errorf("%d channels are not a multiple of %d", x[1], b*b)
		}
		if x[2] > math.MaxInt/b || x[3] > math.MaxInt/b {
			return nil, fmt.Errorf("extents %d and %d are too large", x[2], x[3])
		}
		y[1], y[2], y[3] = x[1]/(b*b), x[2]*b, x[3]*b
	}
	if o.last {
		y = toChannelsLast(y)
	}
	return outFact(in[0].DType, y)
}

// ChannelsLast implements [LayoutAware].
func (o *depthSpace) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || len(in[0].Shape) != 4 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	return &v, []bool{true}, true
}

// Run implements [Op].
func (o *depthSpace) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	// n, the extents of the small picture, and the channels of the large one.
	small, large := in[0].Shape(), out[0].Shape()
	if o.inverse {
		small, large = large, small
	}
	if o.last {
		small, large = toChannelsFirst(small), toChannelsFirst(large)
	}
	b, n, c, h, w := o.block, small[0], large[1], small[2], small[3]
	// Steps of each index in the small and in the large picture.
	type index struct{ n, small, large int }
	var idx [26]index
	sDepth, lDepth, sPixel, lPixel, sImage, lImage := h*w, h*b*w*b, 1, 1, c*b*b*h*w, c*b*b*h*w
	if o.last {
		sDepth, lDepth, sPixel, lPixel = 1, 1, c*b*b, c
	}
	row, col, deep := b*c*sDepth, c*sDepth, sDepth
	if o.crd {
		deep, row, col = b*b*sDepth, b*sDepth, sDepth
	}
	idx['n'-'a'] = index{n, sImage, lImage}
	idx['c'-'a'] = index{c, deep, lDepth}
	idx['h'-'a'] = index{h, w * sPixel, b * w * b * lPixel}
	idx['w'-'a'] = index{w, sPixel, b * lPixel}
	idx['r'-'a'] = index{b, row, w * b * lPixel}
	idx['q'-'a'] = index{b, col, lPixel}
	// The result is written in its own order.
	order := "nchrwq"
	switch {
	case o.inverse && o.last && o.crd:
		order = "nhwcrq"
	case o.inverse && o.last:
		order = "nhwrqc"
	case o.inverse && o.crd:
		order = "ncrqhw"
	case o.inverse:
		order = "nrqchw"
	case o.last:
		order = "nhrwqc"
	}
	m := StateOf[mover](ctx)
	m.reset()
	for i := range len(order) {
		x := idx[order[i]-'a']
		step := x.small
		if o.inverse {
			step = x.large
		}
		m.axis(x.n, step)
	}
	m.run(ctx, out[0], in[0])
	return nil
}

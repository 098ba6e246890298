package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// A 3×3 convolution with stride 1 takes 16 products for four results in place of 36 (see
// [kernel.WinogradF32]). Blocks of tiles are transformed, multiplied and transformed back
// while they are in the second-level cache.
//
// Rounding errors stay below a millionth of the largest result. A result whose window holds a
// value that is infinite, or so large that a difference of two overflows, may be NaN where the
// direct sum is infinite; other results do not depend on that value. Weights that are not finite
// are multiplied directly.

const (
	// winogradMinChannels is the least number of channels, of either side, for which the
	// transforms cost less than the products that they save.
	winogradMinChannels = 16
	// winogradMinTiles is the least number of tiles of an image: weights have grown by 16/9 and
	// are read once for a block of tiles. That it does not count images makes results the
	// same in every batch.
	winogradMinTiles = 16
	// winogradFloats is how many values the matrices of a block aim at.
	winogradFloats = 64 << 10
	// winogradRows is a multiple of the rows of the kernels' tiles.
	winogradRows = 12
	// winogradMaxRows bounds the tiles of a block.
	winogradMaxRows = 96
	// winogradGap keeps the matrices of a block from beginning at the same lines of the cache.
	winogradGap = 16
	// winogradSlots is how many blocks are in work at most at the same time.
	winogradSlots = 8
)

// usesWinograd reports whether a convolution is better computed in tiles.
func usesWinograd(s *convShape) bool {
	return hasWinograd(s) && mulSize(ceilDiv(s.dst[1], 2), ceilDiv(s.dst[2], 2)) >= winogradMinTiles
}

// hasWinograd reports whether pictures of some size are better computed in tiles.
func hasWinograd(s *convShape) bool { return isPlain3x3(s, winogradMinChannels) }

// isPlain3x3 reports whether a convolution of images has 3×3 kernels, stride and dilation 1, and so many channels on either
// side.
func isPlain3x3(s *convShape, channels int) bool {
	if s.transposed || s.rank != 2 || s.c < channels || s.o < channels {
		return false
	}
	for _, a := range s.cube[1:] {
		if a.kernel != 3 || a.stride != 1 || a.dilation != 1 {
			return false
		}
	}
	return true
}

// Growth returns how many bytes more than its constant weights the packed form of o takes, where
// products are saved in that way, and those weights; or 0 where the operand and the result of a
// single picture take more.
func Growth(o Op, in []Fact) (int, *tensor.Tensor) {
	switch o := o.(type) {
	case *conv:
		if o.direct || o.tapsOnly || !o.last || len(in) < 2 || in[0].DType != tensor.Float32 || in[1].Const == nil {
			return 0, nil
		}
		f, err := o.facts(in)
		switch {
		case err != nil || !f.engine || f.scatter:
		case Complete && f.halving:
			return beyondPicture(&f.shape, 4*(4*kernel.HalvingTaps-16)*f.groups*f.c*f.o, 4), in[1].Const
		case hasWinograd(&f.shape):
			return beyondPicture(&f.shape, 4*(kernel.WinogradTaps-9)*f.groups*f.c*f.o, 4), in[1].Const
		}
	case *fusedConv:
		return Growth(&o.conv, in[:min(3, len(in))])
	case *resizedConv:
		if in[1].Const != nil {
			facts := o.inner(in)
			n, _ := facts[1].Shape.Elems()
			if f, err := o.facts(facts); err == nil && f.engine {
				return beyondPicture(&f.shape, 4*n-4*in[1].Const.Elems(), 4), in[1].Const
			}
		}
	case *quantConv:
		if Complete {
			return o.growth(in)
		}
	}
	return 0, nil
}

// beyondPicture returns n, or 0 if the operand and the result of one picture, of values of size bytes, take as many.
func beyondPicture(s *convShape, n, size int) int {
	if n <= mulSize(size, s.groups, mulSize(s.c, mulSize(s.src[:]...))+mulSize(s.o, mulSize(s.dst[:]...))) {
		return 0
	}
	return n
}

// Compact returns an operator that computes what o does with weights that do not grow, and false
// if there is none.
func Compact(o Op) (Op, bool) {
	switch o := o.(type) {
	case *conv:
		c := *o
		c.direct = true
		return &c, true
	case *fusedConv:
		c := *o
		c.conv.direct = true
		return &c, true
	case *quantConv:
		c := *o
		c.direct = true
		return &c, true
	}
	return nil, false
}

// packedWinograd is the transformed weights of each group.
type packedWinograd struct {
	groups []*kernel.WinogradF32
	zeros  []float32 // in place of a bias
	shape  tensor.Shape
	bytes  int
}

// Bytes implements [Packed].
func (p *packedWinograd) Bytes() int { return p.bytes }

// packWinograd packs weights, or returns nil if they have no transform.
func packWinograd(s *convShape, w *tensor.Tensor, sl Slices) *packedWinograd {
	p := &packedWinograd{shape: w.Shape().Clone(), zeros: make([]float32, s.o)}
	for range s.groups {
		m := kernel.NewWinogradF32(s.c, s.o)
		p.groups = append(p.groups, m)
		p.bytes += m.Bytes()
	}
	if !Complete {
		for g, m := range p.groups {
			for i := range m.Parts() {
				first, _ := m.Part(i)
				if !m.Pack(i, w.Float32s()[9*m.C*(g*m.O+first):]) {
					return nil
				}
			}
		}
		return p
	}
	t := &slicedWinograd{p: p, w: w, s: sl, parts: p.groups[0].Parts(), bufs: make([][]float32, max(1, sl.Pool.Threads()))}
	sl.Pool.Run(s.groups*t.parts, t)
	if t.failed.Load() {
		return nil
	}
	return p
}

func winogradKey(groups int) string { return fmt.Sprintf("winograd g%d", groups) }

// gridOf divides the results of all images into tiles of side×side: tiles of a row, of an image's height, and of all images.
func gridOf(s *convShape, side int) (across, down, tiles int) {
	down, across = ceilDiv(s.dst[1], side), ceilDiv(s.dst[2], side)
	return across, down, mulSize(s.n, down, across)
}

// segments calls f for the tiles [t0, t1) row by row, where a row has across tiles and an image down rows: at counts from t0, the
// first tile is tile tx of row ty of an image, and run tiles follow.
func segments(across, down, t0, t1 int, f func(at, image, ty, tx, run int)) {
	for i := t0; i < t1; {
		tx, r := i%across, i/across
		run := min(across-tx, t1-i)
		f(i-t0, r/down, r%down, tx, run)
		i += run
	}
}

// winogradPlan is the division of a run into blocks of tiles, and the memory of one.
type winogradPlan struct {
	convShape
	across, down, tiles      int // tiles of a row, of an image's height, and of all images
	size, blocks             int // tiles of a block; blocks of a group
	units, slots             int
	inLen, outLen, borderLen int // elements of a slot
}

// lay divides the work.
func (p *winogradPlan) lay(s *convShape) {
	p.convShape = *s
	p.across, p.down, p.tiles = gridOf(s, 2)
	cols := kernel.WinogradCols(s.o)
	per := mulSize(kernel.WinogradTaps, s.c+cols)
	p.size = max(winogradRows, min(winogradFloats/per/winogradRows*winogradRows, winogradMaxRows))
	p.blocks = ceilDiv(p.tiles, p.size)
	p.units = mulSize(p.blocks, s.groups)
	p.slots = min(p.units, winogradSlots)
	p.inLen = mulSize(kernel.WinogradTaps, mulSize(p.size, s.c)+winogradGap)
	p.outLen = mulSize(kernel.WinogradTaps, mulSize(p.size, cols)+winogradGap)
	p.borderLen = mulSize(16, max(s.c, cols))
}

func (p *winogradPlan) workspace() int {
	return scratchBytes(mulSize(p.slots, p.inLen), mulSize(p.slots, p.outLen), mulSize(p.slots, p.borderLen))
}

// winogradState is the task of a run.
type winogradState struct {
	winogradPlan
	task               slotTask
	x, y, bias         []float32
	ins, outs, borders []float32
	act                kernel.Epilogue
	packed             *packedWinograd
}

// execute computes the convolution of the channels-last operand x. bias may be nil.
func (t *winogradState) execute(pool *parallel.Pool, packed *packedWinograd, x, y, bias []float32, act kernel.Epilogue, scratch []byte) {
	t.packed, t.x, t.y, t.bias, t.act = packed, x, y, bias, act
	t.ins, scratch = floatsOf(scratch, t.slots*t.inLen)
	t.outs, scratch = floatsOf(scratch, t.slots*t.outLen)
	t.borders, _ = floatsOf(scratch, t.slots*t.borderLen)
	if t.task.f == nil {
		t.task.f = t.unit
	}
	t.task.run(pool, t.units, t.slots, mulSize(t.units, t.size, kernel.WinogradTaps, t.c, t.o))
	t.packed, t.x, t.y, t.bias, t.ins, t.outs, t.borders = nil, nil, nil, nil, nil, nil, nil
}

// unit computes a block of tiles of one group.
func (t *winogradState) unit(u, slot int) {
	in, out, border := t.ins[slot*t.inLen:][:t.inLen], t.outs[slot*t.outLen:][:t.outLen], t.borders[slot*t.borderLen:][:t.borderLen]
	g, b := u/t.blocks, u%t.blocks
	t0, t1 := chunkRange(t.tiles, t.blocks, b)
	n := t1 - t0
	ldi := n*t.c + winogradGap
	segments(t.across, t.down, t0, t1, func(at, image, ty, tx, run int) { t.input(in[at*t.c:], ldi, g, image, ty, tx, run, border) })
	w := t.packed.groups[g]
	for part := range w.Parts() {
		first, cols := w.Part(part)
		bias := t.packed.zeros[:cols]
		if t.bias != nil {
			bias = t.bias[g*t.o+first:][:cols]
		}
		ldo := n*cols + winogradGap
		w.Multiply(part, n, out, ldo, in, ldi)
		segments(t.across, t.down, t0, t1, func(at, image, ty, tx, run int) {
			t.output(out[at*cols:], ldo, g*t.o+first, cols, image, ty, tx, run, bias, border)
		})
	}
}

// input transforms tiles of a row.
func (t *winogradState) input(dst []float32, ld, g, image, ty, tx, run int, border []float32) {
	c, all, h, w := t.c, t.c*t.groups, t.src[1], t.src[2]
	x := t.x[image*h*w*all+g*c:]
	y0, x0 := 2*ty-t.before[1], 2*tx-t.before[2]
	// Tiles [a, b) lie inside.
	a, b := 0, 0
	if y0 >= 0 && y0+4 <= h {
		if x0 < 0 {
			a = min(run, ceilDiv(-x0, 2))
		}
		if room := w - 4 - x0; room >= 0 {
			b = max(a, min(run, room/2+1))
		} else {
			b = a
		}
	}
	if a < b {
		kernel.WinogradInputF32(dst[a*c:], ld, x[(y0*w+x0+2*a)*all:], w*all, all, b-a, c)
	}
	for i := range run {
		if a <= i && i < b {
			continue
		}
		tile := border[:16*c]
		for r := range 4 {
			for k := range 4 {
				to := tile[(4*r+k)*c:][:c]
				if yy, xx := y0+r, x0+2*i+k; yy < 0 || yy >= h || xx < 0 || xx >= w {
					clear(to)
				} else {
					copy(to, x[(yy*w+xx)*all:])
				}
			}
		}
		kernel.WinogradInputF32(dst[i*c:], ld, tile, 4*c, c, 1, c)
	}
}

// output transforms products of a row of tiles to results, of cols channels from first on.
func (t *winogradState) output(src []float32, ld, first, cols, image, ty, tx, run int, bias, border []float32) {
	all, h, w := t.o*t.groups, t.dst[1], t.dst[2]
	y := t.y[image*h*w*all+first:]
	y0, x0 := 2*ty, 2*tx
	whole := 0
	if y0+2 <= h {
		whole = min(run, (w-x0)/2)
		if whole > 0 {
			kernel.WinogradOutputF32(y[(y0*w+x0)*all:], w*all, all, src, ld, whole, cols, bias, &t.act)
		}
	}
	for i := whole; i < run; i++ {
		tile := border[:4*cols]
		kernel.WinogradOutputF32(tile, 2*cols, cols, src[i*cols:], ld, 1, cols, bias, &t.act)
		for r := range min(2, h-y0) {
			for k := range min(2, w-x0-2*i) {
				copy(y[((y0+r)*w+x0+2*i+k)*all:][:cols], tile[(2*r+k)*cols:])
			}
		}
	}
}

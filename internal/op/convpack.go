package op

import (
	"sync/atomic"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/late"
	"github.com/aekit/aekit/tensor"
)

// slicedConv fills the matrices of a convolution's packed weights. It reads the weights once
// and in order, a slice of the leading axis at a time, so that their pages can be dropped one
// after the other. A chunk is a slice.
type slicedConv struct {
	shape    convShape
	matrices [][]slicedMatrix // by group
	// rows returns the weights at [from, to) of the leading axis: output channels, or input
	// channels of a transposed convolution. It may use buf, of the length that they have.
	rows  func(buf []float32, from, to int) []float32
	w     *tensor.Tensor // of which slices are reported; nil: rows makes them
	s     Slices
	lead  int // extent of the leading axis in a group
	inner int // weights of one position there
	per   int // positions of a slice
	bufs  [][2][]float32
}

// slicedMatrix is the product of the channels at some kernel positions: its rows are those of
// position 0, then of position 1.
type slicedMatrix struct {
	p         *kernel.PackedF32
	positions []int
}

func newSlicedConv(s *convShape, w *tensor.Tensor, sl Slices) *slicedConv {
	c := &slicedConv{shape: *s, matrices: make([][]slicedMatrix, s.groups), w: w, s: sl, lead: s.o, inner: s.c * s.taps()}
	if s.transposed {
		c.lead, c.inner = s.c, s.o*s.taps()
	}
	if w != nil {
		c.rows = func(buf []float32, from, to int) []float32 { return late.Read(w, buf, from*c.inner, to*c.inner) }
	}
	return c
}

// matrix returns a matrix of a group that [slicedConv.run] will fill.
func (c *slicedConv) matrix(group, k int, positions []int) *kernel.PackedF32 {
	p := kernel.NewPackedF32(k, c.shape.o)
	c.matrices[group] = append(c.matrices[group], slicedMatrix{p, positions})
	return p
}

func (c *slicedConv) run() {
	c.per = max(1, packSlice/(8*c.inner)) // the slice is copied in another order
	if !c.shape.transposed {
		unit := 1
		for _, g := range c.matrices {
			for _, m := range g {
				unit = m.p.NR
			}
		}
		c.per = ceilDiv(c.per, unit) * unit
	}
	c.per = min(c.per, c.lead)
	c.bufs = make([][2][]float32, max(1, c.s.Pool.Threads()))
	c.s.Pool.Run(c.shape.groups*ceilDiv(c.lead, c.per), c)
}

// computed reports whether rows needs memory for what it returns.
func (c *slicedConv) computed() bool { return c.w == nil || late.Pieces(c.w) }

// Do implements [parallel.Task].
func (c *slicedConv) Do(chunk, worker int) {
	if !Complete {
		return // not called, though the linker cannot know
	}
	if c.s.Enter != nil {
		defer c.s.Enter()()
	}
	each := ceilDiv(c.lead, c.per)
	g, from := chunk/each, chunk%each*c.per
	to := min(from+c.per, c.lead)
	b := &c.bufs[worker]
	if b[0] == nil {
		b[0] = make([]float32, c.per*c.inner)
		if c.computed() {
			b[1] = make([]float32, c.per*c.inner)
		}
	}
	first := g * c.lead
	var space []float32
	if c.computed() {
		space = b[1][:(to-from)*c.inner]
	}
	w := c.rows(space, first+from, first+to)
	for _, m := range c.matrices[g] {
		if c.shape.transposed {
			c.inputs(m, b[0], w, from, to)
		} else {
			c.outputs(m, b[0], w, from, to)
		}
	}
	if c.w != nil {
		c.s.packed(c.w, (first+from)*c.inner, (first+to)*c.inner)
	}
}

// outputs packs columns [from, to) of a matrix.
func (c *slicedConv) outputs(m slicedMatrix, buf, w []float32, from, to int) {
	channels, taps, k := c.shape.c, c.shape.taps(), m.p.K
	for o := range to - from {
		src := w[o*c.inner:][:c.inner]
		for i, at := range m.positions {
			dst := buf[o*k+i*channels:][:channels]
			for j := range dst {
				dst[j] = src[at]
				at += taps
			}
		}
	}
	m.p.PackPart(buf[:(to-from)*k], k, true, from, to)
}

// inputs packs the rows of input channels [from, to).
func (c *slicedConv) inputs(m slicedMatrix, buf, w []float32, from, to int) {
	taps, n := c.shape.taps(), m.p.N
	for i, first := range m.positions {
		for j := range to - from {
			src, dst, at := w[j*c.inner:][:c.inner], buf[j*n:][:n], first
			for o := range dst {
				dst[o] = src[at]
				at += taps
			}
		}
		row := i*c.shape.c + from
		m.p.PackPart(buf[:(to-from)*n], n, false, row, row+to-from)
	}
}

// gatherSlices is [packGather] slice by slice.
func (c *slicedConv) gatherSlices() *packedGather {
	p := packGather(&packedGather{slices: c}, &c.shape, nil)
	p.slices = nil
	c.run()
	return p
}

// tapSlices is [packTaps] slice by slice, for convolutions that are not depthwise.
func (c *slicedConv) tapSlices() *packedConv {
	p := &packedConv{}
	p.work = &tapPacker{packedConv: p, slices: c}
	packTaps(p, &c.shape, nil)
	p.work = nil
	c.run()
	return p
}

// slicedWinograd packs transformed weights part by part. A chunk is a part of a group.
type slicedWinograd struct {
	p      *packedWinograd
	w      *tensor.Tensor
	s      Slices
	parts  int // of a group
	bufs   [][]float32
	failed atomic.Bool
}

// Do implements [parallel.Task].
func (t *slicedWinograd) Do(chunk, worker int) {
	if t.s.Enter != nil {
		defer t.s.Enter()()
	}
	m := t.p.groups[chunk/t.parts]
	first, cols := m.Part(chunk % t.parts)
	each := 9 * m.C
	from := (chunk/t.parts*m.O + first) * each
	var buf []float32
	if late.Pieces(t.w) {
		b := &t.bufs[worker]
		if *b == nil {
			_, cols := m.Part(0) // the widest
			*b = make([]float32, cols*each)
		}
		buf = *b
	}
	if !m.Pack(chunk%t.parts, late.Read(t.w, buf, from, from+cols*each)) {
		t.failed.Store(true)
	}
	t.s.packed(t.w, from, from+cols*each)
}

package op

import (
	"math"
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A 3×3 convolution of 8-bit values with stride 1 takes 36 products of 16-bit values for sixteen
// results in place of 144 of 8-bit ones, and gives the same bytes (see [kernel.WinogradQ8]). Blocks
// of tiles are transformed, multiplied and transformed back while they are in the second-level
// cache.

const (
	// winogradQ8MinResults is the least number of results of an image and a channel, and winogradQ8MostWeights the most weights
	// for so many: they have grown eightfold and are read once for a block of tiles. That images are not counted keeps one
	// form of weights for every batch.
	winogradQ8MinResults, winogradQ8MostWeights = 64, 9 * 256 * 256
	// winogradQ8Block is what the values and the sums of a block may take of the second-level cache, in bytes.
	winogradQ8Block = 448 << 10
	// winogradQ8Stage is what the 16-bit values of some tiles of a row may take of the first-level cache, in bytes.
	winogradQ8Stage = 24 << 10
	// winogradQ8Tiles and winogradQ8Least bound the tiles of a block: multiples of half the rows that kernels take at a time.
	winogradQ8Tiles, winogradQ8Least = 42, 7
)

// tiled reports whether a convolution that closed accepts is computed in tiles.
func (o *quantConv) tiled(in []Fact, s *convShape) bool {
	if o.direct || !o.last || !kernel.HasWinogradQ8() || !s.isPlain3x3(1) || !kernel.WinogradQ8Pays(s.c, s.o, s.dst[1], s.dst[2]) {
		return false
	}
	if results := s.dst[1] * s.dst[2]; results < winogradQ8MinResults || results < winogradQ8MinResults*(9*s.c*s.o/winogradQ8MostWeights) {
		return false
	}
	low, high := int32(255), int32(255)
	if !present(in, o.xZero) {
		low, high = rangeBelow(in[0].DType, 0)
	} else if z := in[o.xZero].Const; z != nil {
		low, high = rangeBelow(in[0].DType, zeroOf(z))
	}
	return kernel.WinogradQ8Fits(signed8(in[o.w].Const), s.c, s.o*s.groups, low, high)
}

// rangeBelow returns how far values of an 8-bit type lie below and above zero.
func rangeBelow(d tensor.DType, zero int32) (low, high int32) {
	lo, hi := rangeOf(d)
	return zero - lo, hi - zero
}

// growth is what [Growth] returns.
func (o *quantConv) growth(in []Fact) (int, *tensor.Tensor) {
	if o.integer || len(in) <= o.w || in[o.w].Const == nil {
		return 0, nil
	}
	f, err := o.facts(in)
	if err != nil {
		return 0, nil
	}
	closed := o.closed(in, &f.shape)
	if _, ok := o.few(closed, &f.shape); ok || !closed || !o.tiled(in, &f.shape) {
		return 0, nil
	}
	n := kernel.WinogradQ8Bytes(f.c, f.o) - 9*f.c*f.o
	return f.shape.beyondPicture(n*f.groups, 1), in[o.w].Const
}

// packedWinogradQ8 is the transformed weights of each group.
type packedWinogradQ8 struct {
	groups []*kernel.WinogradQ8
	shape  tensor.Shape
}

// Bytes implements [Packed].
func (p *packedWinogradQ8) Bytes() int {
	n := 0
	for _, g := range p.groups {
		n += g.Bytes()
	}
	return n
}

func (p *packedWinogradQ8) weightShape() tensor.Shape { return p.shape }

func packWinogradQ8(s *convShape, w *tensor.Tensor) *packedWinogradQ8 {
	p, v := &packedWinogradQ8{shape: w.Shape().Clone()}, signed8(w)
	for g := range s.groups {
		p.groups = append(p.groups, kernel.PackWinogradQ8(s.c, s.o, v[9*s.c*s.o*g:]))
	}
	return p
}

// winogradQ8Plan is the division of a run into blocks of tiles, and the memory of one.
type winogradQ8Plan struct {
	convShape
	tileGrid
	size                                int // tiles of a block
	staged                              int // tiles that are converted at a time
	stride                              int // values between tiles of a transformed operand
	blocks, units, slots                int // blocks of a group
	stageLen, inLen, outLen, bordersLen int // values, sums and bytes of a slot
	slot                                int // bytes
}

// lay divides the work into blocks of up to size tiles.
func (p *winogradQ8Plan) lay(s *convShape, size int) {
	p.convShape, p.tileGrid = *s, gridOf(s, kernel.WinogradQ8Tile)
	width := kernel.WinogradQ8Width(s.o)
	p.stride = mulSize(ceilDiv(s.c, 2), 2)
	p.size = size
	p.blocks = ceilDiv(p.tiles, p.size)
	p.units = mulSize(p.blocks, s.groups)
	p.slots = min(p.units, winogradSlots)
	p.staged = max(1, min(p.size, p.across, winogradQ8Stage/mulSize(48, s.c)))
	p.stageLen = addSize(mulSize(6, 4*p.staged+2, s.c), kernel.WinogradQ8Slack)
	p.inLen = mulSize(kernel.WinogradQ8Taps, addSize(mulSize(p.size, p.stride), kernel.WinogradQ8Slack))
	p.outLen = mulSize(kernel.WinogradQ8Taps, mulSize(p.size, width)+winogradGap)
	p.bordersLen = 16 * width
	p.slot = scratchBytes(ceilDiv(p.stageLen, 2), ceilDiv(p.inLen, 2), p.outLen, kernel.WinogradQ8Temp, p.bordersLen/4)
}

// winogradQ8Size returns the most tiles of a block.
func winogradQ8Size(s *convShape) int {
	per := mulSize(kernel.WinogradQ8Taps, addSize(mulSize(2, s.c), 4*kernel.WinogradQ8Width(s.o)))
	n := winogradQ8Block / per / (2 * winogradQ8Least) * (2 * winogradQ8Least)
	return max(2*winogradQ8Least, min(n, winogradQ8Tiles))
}

// winogradQ8Bytes is the scratch memory of a convolution, however many threads compute it.
func winogradQ8Bytes(s *convShape) int {
	most := 0
	for size := winogradQ8Least; size <= winogradQ8Size(s); size++ {
		var p winogradQ8Plan
		p.lay(s, size)
		if p.tiles == math.MaxInt {
			return math.MaxInt
		}
		most = max(most, mulSize(p.slots, p.slot))
	}
	return most
}

// winogradQ8State is one run of a convolution in tiles. Kept in the node's state.
type winogradQ8State struct {
	winogradQ8Plan
	shape   convShape
	threads int // that the plan is for
	task    slotTask
	packed  *packedWinogradQ8
	table   *kernel.Table8
	signed  bool
	zero    int32
	columns columnsQ8
	bias    []int32 // of each group, and zeros up to whole vectors
	scale   []float32
	padded  int // columns of a group
	requant kernel.RequantQ8
	x, y    []uint8
	scratch []byte
}

func newWinogradQ8State(s *convShape) *winogradQ8State {
	t := &winogradQ8State{shape: *s, padded: ceilDiv(s.o, 16) * 16}
	t.bias, t.scale = make([]int32, t.padded*s.groups), make([]float32, t.padded*s.groups)
	t.task.f = t.unit
	return t
}

// divide sets the plan for a number of threads.
func (t *winogradQ8State) divide(threads int) {
	if t.threads == threads {
		return
	}
	size := winogradQ8Size(&t.shape)
	t.threads = threads
	t.lay(&t.shape, size)
	// A few blocks are made as many as there are threads, or a multiple.
	if t.units < 4*threads && threads > 1 {
		blocks := ceilDiv(ceilDiv(t.units, threads)*threads, t.groups)
		t.lay(&t.shape, min(size, max(winogradQ8Least, ceilDiv(t.tiles, blocks))))
	}
}

// runTiles is Run for weights packed by packWinogradQ8.
func (o *quantConv) runTiles(ctx *Context, t *winogradQ8State, w *packedWinogradQ8, out, in []*tensor.Tensor) {
	t.divide(ctx.Pool.Threads())
	t.packed, t.table, t.signed, t.zero = w, o.table, in[0].DType() == tensor.Int8, 0
	if z := optional(in, o.xZero); z != nil {
		t.zero = zeroOf(z)
	}
	_, scale := t.columns.factorsAt(ctx, o.inputsQ8(), 1, t.o*t.groups, in)
	_, bias := biasAt(ctx, o.bias, in)
	for g := range t.groups {
		copy(t.scale[g*t.padded:][:t.o], scale[g*t.o:])
		if bias != nil {
			copy(t.bias[g*t.padded:][:t.o], bias[g*t.o:])
		} else {
			clear(t.bias)
		}
	}
	t.requant.Zero = zeroOf(in[o.yZero])
	t.requant.Lo, t.requant.Hi = rangeOf(out[0].DType())
	t.x, t.y, t.scratch = bytes8(in[0]), out[0].Bytes(), ctx.Scratch
	t.task.run(ctx.Pool, t.units, t.slots, mulSize(t.units, t.size, kernel.WinogradQ8Taps, t.c, t.o))
	t.packed, t.x, t.y, t.scratch = nil, nil, nil, nil
}

// winogradQ8Memory is the memory of a slot.
type winogradQ8Memory struct {
	stage, in []int16
	out, temp []int32
	border    []uint8
}

func (t *winogradQ8State) memory(slot int) (m winogradQ8Memory) {
	mem := t.scratch[slot*t.slot:][:t.slot]
	halves := func(n int) []int16 {
		var f []float32
		f, mem = floatsOf(mem, ceilDiv(n, 2))
		return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(f))), n)
	}
	words := func(n int) []int32 {
		var f []float32
		f, mem = floatsOf(mem, n)
		return intsIn(f)
	}
	m.stage, m.in = halves(t.stageLen), halves(t.inLen)
	m.out, m.temp = words(t.outLen), words(kernel.WinogradQ8Temp)
	m.border = mem[:t.bordersLen]
	return m
}

// unit computes a block of tiles of one group.
func (t *winogradQ8State) unit(u, slot int) {
	m := t.memory(slot)
	g, b := u/t.blocks, u%t.blocks
	t0, t1 := chunkRange(t.tiles, t.blocks, b)
	n := t1 - t0
	w := t.packed.groups[g]
	ldi := n*t.stride + kernel.WinogradQ8Slack
	t.segments(t0, t1, func(at, image, ty, tx, run int) {
		for done := 0; done < run; done += t.staged {
			some := min(t.staged, run-done)
			pix := t.stage(m.stage, g, image, ty, tx+done, some)
			w.Input(m.in[(at+done)*t.stride:], ldi, t.stride, m.stage, pix*t.c, t.c, some, m.temp)
		}
	})
	for part := range w.Parts() {
		first, cols, width := w.Part(part)
		ldo := n*width + winogradGap
		w.Multiply(part, n, m.out, ldo, m.in, ldi, t.stride)
		r := t.requant
		r.Bias, r.Scale = t.bias[g*t.padded+first:], t.scale[g*t.padded+first:]
		t.segments(t0, t1, func(at, image, ty, tx, run int) {
			t.output(w, m.out[at*width:], ldo, width, g*t.o+first, cols, image, ty, tx, run, &r, &m)
		})
	}
}

// stage converts what tiles of a row cover to 16-bit values less the zero point, with zeros outside the image. It returns how
// many positions a row has.
func (t *winogradQ8State) stage(dst []int16, g, image, ty, tx, run int) int {
	const side = kernel.WinogradQ8Tile
	c, all, h, w := t.c, t.c*t.groups, t.src[1], t.src[2]
	x := t.x[image*h*w*all+g*c:]
	y0, x0, width := side*ty-t.before[1], side*tx-t.before[2], side*run+2
	from := min(max(0, -x0), width)
	to := max(from, min(width, w-x0))
	for r := range side + 2 {
		row := dst[r*width*c:][:width*c]
		y := y0 + r
		if y < 0 || y >= h {
			clear(row)
			continue
		}
		clear(row[:from*c])
		clear(row[to*c:])
		switch {
		case from == to:
		case t.groups == 1:
			kernel.CentreI16(row[from*c:to*c], x[(y*w+x0+from)*c:][:(to-from)*c], t.zero, t.signed)
		default:
			for i := from; i < to; i++ {
				kernel.CentreI16(row[i*c:][:c], x[(y*w+x0+i)*all:][:c], t.zero, t.signed)
			}
		}
	}
	return width
}

// output transforms sums of a row of tiles to results, of cols channels from first on.
func (t *winogradQ8State) output(p *kernel.WinogradQ8, src []int32, ld, width, first, cols, image, ty, tx, run int, r *kernel.RequantQ8, m *winogradQ8Memory) {
	const side = kernel.WinogradQ8Tile
	all, h, w := t.o*t.groups, t.dst[1], t.dst[2]
	y := t.y[image*h*w*all+first:]
	y0, x0 := side*ty, side*tx
	whole := 0
	if y0+side <= h && p.Whole(cols) {
		whole = min(run, (w-x0)/side)
		if whole > 0 {
			p.Output(y[(y0*w+x0)*all:], w*all, all, src, ld, width, whole, cols, r, m.temp)
		}
	}
	for i := whole; i < run; i++ {
		p.Output(m.border, side*width, width, src[i*width:], ld, width, 1, cols, r, m.temp)
		for j := range min(side, h-y0) {
			for k := range min(side, w-x0-side*i) {
				copy(y[((y0+j)*w+x0+side*i+k)*all:][:cols], m.border[(side*j+k)*width:])
			}
		}
	}
	if t.table == nil {
		return
	}
	for j := range min(side, h-y0) {
		row := y[((y0+j)*w+x0)*all:]
		n := min(side*run, w-x0)
		if cols == all {
			t.table.Map(row[:n*all], row[:n*all])
			continue
		}
		for k := range n {
			t.table.Map(row[k*all:][:cols], row[k*all:][:cols])
		}
	}
}

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
	// winogradQ8Block is what the values and the sums of a block may take of the second-level cache, in bytes.
	winogradQ8Block = 448 << 10
	// winogradQ8Border is what the values of border tiles side by side may take of the first-level cache, in bytes.
	winogradQ8Border = 16 << 10
	// winogradQ8Tiles and winogradQ8Least bound the tiles of a block; products of fewer than winogradQ8Good take longer for each.
	winogradQ8Tiles, winogradQ8Good, winogradQ8Least = 42, 7, 4
)

// tiled reports whether a convolution is computed in tiles.
func (o *quantConv) tiled(in []Fact, s *convShape) bool {
	if o.direct || !o.last || !isPlain3x3(s, 1) || !o.flat(in, s) || !kernel.WinogradQ8Pays(s.c, s.o, s.dst[1], s.dst[2]) {
		return false
	}
	low, high := int32(255), int32(255)
	if !present(in, o.xZero) {
		low, high = rangeBelow(in[0].DType, 0)
	} else if z := in[o.xZero].Const; z != nil {
		low, high = rangeBelow(in[0].DType, zeroOf(z))
	}
	var bias []int32
	if present(in, o.bias) {
		if in[o.bias].Const == nil {
			return false
		}
		bias = tensor.Data[int32](in[o.bias].Const)
	}
	return kernel.WinogradQ8Fits(signed8(in[o.w].Const), s.c, s.o*s.groups, low, high, bias)
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
	if o.form(in, &f.shape) != convTiles {
		return 0, nil
	}
	n := kernel.WinogradQ8Bytes(f.c, f.o) - 9*f.c*f.o
	return beyondPicture(&f.shape, n*f.groups, 1), in[o.w].Const
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
	across, down, tiles      int // tiles of a row, of an image's height, and of all images
	size                     int // tiles of a block
	beside                   int // border tiles that are copied at a time
	stride                   int // values between tiles of a transformed operand
	blocks, units, slots     int // blocks of a group
	inLen, outLen, borderLen int // values, sums and bytes of a slot
	slot                     int // bytes
}

// lay divides the work into blocks of up to size tiles.
func (p *winogradQ8Plan) lay(s *convShape, size int) {
	p.convShape = *s
	p.across, p.down, p.tiles = gridOf(s, kernel.WinogradQ8Tile)
	width := kernel.WinogradQ8Width(s.o)
	p.stride = mulSize(ceilDiv(s.c, 2), 2)
	p.size = size
	p.blocks = ceilDiv(p.tiles, p.size)
	p.units = mulSize(p.blocks, s.groups)
	p.slots = min(p.units, winogradSlots)
	p.inLen = mulSize(kernel.WinogradQ8Taps, addSize(mulSize(p.size, p.stride), kernel.WinogradQ8Slack))
	p.outLen = mulSize(kernel.WinogradQ8Taps, mulSize(p.size, width)+winogradGap)
	p.beside = max(1, min(p.size, p.across, winogradQ8Border/mulSize(24, s.c)))
	p.borderLen = max(16*width, addSize(mulSize(6, 4*p.beside+2, s.c), kernel.WinogradQ8Slack))
	p.slot = scratchBytes(ceilDiv(p.inLen, 2), p.outLen, kernel.WinogradQ8Temp, ceilDiv(p.borderLen, 4))
}

// winogradQ8Size returns the most tiles of a block: a multiple of the rows of the kernel's tiles.
func winogradQ8Size(s *convShape) int {
	per := mulSize(kernel.WinogradQ8Taps, addSize(mulSize(2, s.c), 4*kernel.WinogradQ8Width(s.o)))
	rows := kernel.WinogradQ8Rows()
	return max(2*winogradQ8Good, min(winogradQ8Block/per, winogradQ8Tiles)) / rows * rows
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
	columns columnsQ8          // finds the factors
	results []kernel.ResultsQ8 // of each group
	from    resultsFrom
	x, y    []uint8
	scratch []byte
}

// resultsFrom is what results were set from, as far as it cannot change.
type resultsFrom struct {
	packed  *packedWinogradQ8
	factors *packedFactors
	bias    *packedInts
	zero    int32
	d       tensor.DType
}

func newWinogradQ8State(s *convShape) *winogradQ8State {
	t := &winogradQ8State{shape: *s, results: make([]kernel.ResultsQ8, s.groups)}
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
	// A few blocks are made four for each thread, since threads begin at different times, or as many for each as have enough tiles.
	if t.units < 4*threads && threads > 1 {
		each := min(4, mulSize(t.tiles, t.groups)/(winogradQ8Good*threads))
		each = max(1, each, ceilDiv(t.units, threads))
		t.lay(&t.shape, min(size, max(winogradQ8Least, ceilDiv(t.tiles, ceilDiv(each*threads, t.groups)))))
	}
}

// runTiles is Run for weights packed by packWinogradQ8.
func (o *quantConv) runTiles(ctx *Context, t *winogradQ8State, w *packedWinogradQ8, out, in []*tensor.Tensor) {
	t.divide(ctx.Pool.Threads())
	t.packed, t.table, t.signed, t.zero = w, o.table, in[0].DType() == tensor.Int8, 0
	if z := optional(in, o.xZero); z != nil {
		t.zero = zeroOf(z)
	}
	from := resultsFrom{packed: w, zero: zeroOf(in[o.yZero]), d: out[0].DType()}
	var scale []float32
	var bias []int32
	from.factors, scale = t.columns.factorsAt(ctx, o.inputsQ8(), 1, t.o*t.groups, in)
	from.bias, bias = biasAt(ctx, o.bias, in)
	if from.factors == nil || from.bias == nil && bias != nil || from != t.from {
		t.from = from
		for g := range t.results {
			var b []int32
			if bias != nil {
				b = bias[g*t.o:][:t.o]
			}
			t.results[g].Set(w.groups[g], b, scale[g*t.o:], from.zero, from.d == tensor.Int8)
		}
	}
	t.x, t.y, t.scratch = bytes8(in[0]), out[0].Bytes(), ctx.Scratch
	t.task.run(ctx.Pool, t.units, t.slots, mulSize(t.units, t.size, kernel.WinogradQ8Taps, t.c, t.o))
	t.packed, t.x, t.y, t.scratch = nil, nil, nil, nil
}

// winogradQ8Memory is the memory of a slot.
type winogradQ8Memory struct {
	in        []int16
	out, temp []int32
	border    []uint8
}

func (t *winogradQ8State) memory(slot int) (m winogradQ8Memory) {
	in, mem := floatsOf(t.scratch[slot*t.slot:][:t.slot], ceilDiv(t.inLen, 2))
	m.in = unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(in))), t.inLen)
	out, mem := floatsOf(mem, t.outLen)
	temp, mem := floatsOf(mem, kernel.WinogradQ8Temp)
	m.out, m.temp, m.border = intsIn(out), intsIn(temp), mem[:t.borderLen]
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
	segments(t.across, t.down, t0, t1, func(at, image, ty, tx, run int) { t.input(w, m.in[at*t.stride:], ldi, g, image, ty, tx, run, &m) })
	for part := range w.Parts() {
		_, _, width := w.Part(part)
		ldo := n*width + winogradGap
		w.Multiply(part, n, m.out, ldo, m.in, ldi, t.stride)
		segments(t.across, t.down, t0, t1, func(at, image, ty, tx, run int) { t.output(w, part, m.out[at*width:], ldo, g, image, ty, tx, run, &m) })
	}
}

// input transforms tiles of a row.
func (t *winogradQ8State) input(p *kernel.WinogradQ8, dst []int16, ld, g, image, ty, tx, run int, m *winogradQ8Memory) {
	const side = kernel.WinogradQ8Tile
	all, h, w := t.c*t.groups, t.src[1], t.src[2]
	x := t.x[image*h*w*all+g*t.c:]
	y0, x0 := side*ty-t.before[1], side*tx-t.before[2]
	// Tiles [a, b) lie inside, with what the kernel reads beyond their channels.
	a, b := 0, 0
	if y0 >= 0 && y0+side+2 <= h {
		if x0 < 0 {
			a = min(run, ceilDiv(-x0, side))
		}
		b = a
		if room := w - side - 2 - x0; room >= 0 {
			b = max(a, min(run, room/side+1))
		}
		for b > a && (y0*w+x0+side*a)*all+p.InputBytes(w*all, all, b-a) > len(x) {
			b--
		}
	}
	// In order, since what is written behind the channels of a tile is the next one's.
	t.border(p, dst, ld, x, y0, x0, 0, a, m)
	if a < b {
		p.Input(dst[a*t.stride:], ld, t.stride, x[(y0*w+x0+side*a)*all:], w*all, all, b-a, t.signed, t.zero, m.temp)
	}
	t.border(p, dst, ld, x, y0, x0, b, run, m)
}

// border transforms tiles [from, to) of a row that begins at row y0 and column x0 of the image x, of which a part lies outside.
func (t *winogradQ8State) border(p *kernel.WinogradQ8, dst []int16, ld int, x []uint8, y0, x0, from, to int, m *winogradQ8Memory) {
	const side = kernel.WinogradQ8Tile
	c, all, h, w := t.c, t.c*t.groups, t.src[1], t.src[2]
	for from < to {
		n := min(t.beside, to-from)
		left, width := x0+side*from, side*n+2
		lead := min(max(0, -left), width)
		end := max(lead, min(width, w-left))
		kernel.FillU8(m.border[:(side+2)*width*c], uint8(t.zero))
		for r := max(0, -y0); r < min(side+2, h-y0) && lead < end; r++ {
			row, at := m.border[r*width*c:][:width*c], (y0+r)*w+left
			if t.groups == 1 {
				copy(row[lead*c:end*c], x[(at+lead)*c:])
				continue
			}
			for k := lead; k < end; k++ {
				copy(row[k*c:][:c], x[(at+k)*all:])
			}
		}
		p.Input(dst[from*t.stride:], ld, t.stride, m.border, width*c, c, n, t.signed, t.zero, m.temp)
		from += n
	}
}

// output transforms sums of a row of tiles to the results of a part.
func (t *winogradQ8State) output(p *kernel.WinogradQ8, part int, src []int32, ld, g, image, ty, tx, run int, m *winogradQ8Memory) {
	const side = kernel.WinogradQ8Tile
	first, cols, width := p.Part(part)
	all, h, w := t.o*t.groups, t.dst[1], t.dst[2]
	y, r := t.y[image*h*w*all+g*t.o+first:], &t.results[g]
	y0, x0 := side*ty, side*tx
	whole := 0
	if y0+side <= h && p.Whole(cols) {
		if whole = min(run, (w-x0)/side); whole > 0 {
			p.Output(part, y[(y0*w+x0)*all:], w*all, all, src, ld, width, whole, r, m.temp)
		}
	}
	for i := whole; i < run; i++ {
		p.Output(part, m.border, side*width, width, src[i*width:], ld, width, 1, r, m.temp)
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

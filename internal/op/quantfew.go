package op

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// A convolution to few channels, as the last of a decoder, has too few columns for a vector.
// Its lanes are positions instead: a band of the image becomes words of four channels, with
// the words of positions side by side next to each other, and each phase of the result, that
// is each residue of its position by the stride of a transposed convolution, is a product whose
// left rows are runs of sixteen positions. Results come by channel and phase, and are then interleaved.

// fewColumns is the most output channels of such a convolution.
const fewColumns = 4

// fewTap is a tap of a product: the image row and column that it reads for the first position, and its place in the weights
// for each of the phases of columns that the product computes, or -1.
type fewTap struct {
	row, col int
	taps     [fewColumns]int
}

// fewGeometry says which taps the products of a convolution have.
type fewGeometry struct {
	ph, pw                   int // phases of rows and of columns
	step                     int // image rows between those of results of a phase that follow each other
	top, bottom, left, right int // least and largest row and column of any tap
	joined                   int // phases of columns of a product
	products                 [][]fewTap
}

// geometryOfFew returns the geometry of a convolution whose results are computed by position, if it is one.
func geometryOfFew(s *convShape) (fewGeometry, bool) {
	g := fewGeometry{ph: 1, pw: 1, step: s.cube[1].stride}
	if s.groups != 1 || s.o < 1 || s.o > fewColumns || !kernel.HasPixelsQ8(s.o) || s.c%4 != 0 || s.c < 16 ||
		s.cube[0].kernel != 1 || s.cube[0].stride != 1 || s.src[0] != 1 || s.dst[0] != 1 {
		return g, false
	}
	h, w := s.cube[1], s.cube[2]
	if s.transposed {
		g.ph, g.pw, g.step = h.stride, w.stride, 1
	} else if w.stride != 1 {
		return g, false
	}
	if s.dst[2]%g.pw != 0 || s.dst[2]/g.pw < 12 || s.src[1] == 0 || s.src[2] == 0 || !kernel.HasInterleave8(g.pw*s.o) || mulSize(g.ph, g.pw) > 16 {
		return g, false
	}
	// at returns the source position of a tap for the first result of a phase.
	at := func(stride, begin, dilation, phase, k int) (int, bool) {
		if !s.transposed {
			return k*dilation - begin, true
		}
		d := phase + begin - k*dilation
		return floorDiv(d, stride), floorDiv(d, stride)*stride == d
	}
	// With one channel a product has fewer multiplications than values to read. Phases of columns read much the same ones.
	if g.joined = 1; s.o == 1 && g.pw <= fewColumns && kernel.HasPixelsQ8(g.pw) {
		g.joined = g.pw
	}
	first := true
	for i := range g.ph * g.pw / g.joined {
		var taps []fewTap
		for b := range g.joined {
			found := false
			for k := range h.kernel * w.kernel {
				y, okY := at(h.stride, h.begin, h.dilation, i*g.joined/g.pw, k/w.kernel)
				x, okX := at(w.stride, w.begin, w.dilation, i*g.joined%g.pw+b, k%w.kernel)
				if !okY || !okX {
					continue
				}
				n := slices.IndexFunc(taps, func(t fewTap) bool { return t.row == y && t.col == x && t.taps[b] < 0 })
				if n < 0 {
					n = len(taps)
					taps = append(taps, fewTap{y, x, [fewColumns]int{-1, -1, -1, -1}})
				}
				taps[n].taps[b], found = k, true
				if first {
					g.top, g.bottom, g.left, g.right, first = y, y, x, x, false
				}
				g.top, g.bottom, g.left, g.right = min(g.top, y), max(g.bottom, y), min(g.left, x), max(g.right, x)
			}
			if !found {
				return g, false
			}
		}
		g.products = append(g.products, taps)
	}
	// A band is not much wider than the image, which it reaches.
	cells := s.dst[2] / g.pw
	ok := g.left <= 0 && g.left > -cells && g.right >= 0 && g.right < cells && s.src[2]+g.left <= cells+g.right &&
		g.bottom-g.top < 64 && mulSize(4, s.c, s.dst[1], s.dst[2]+64) < 1<<28
	return g, ok
}

// few returns the geometry of the shape if a run, which closed says is of [kernel.PackedQ8], is computed by position.
func (o *quantConv) few(closed bool, s *convShape) (fewGeometry, bool) {
	if !closed || !o.last {
		return fewGeometry{}, false
	}
	return geometryOfFew(s)
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// packedFew is the weights of each product.
type packedFew struct{ packedQ8 }

// keyOfFew is the key of weights that packFew packs.
func keyOfFew(s *convShape) string {
	h, w := s.cube[1], s.cube[2]
	return fmt.Sprintf("few-q8 %v s%d,%d d%d,%d b%d,%d", s.transposed, h.stride, w.stride, h.dilation, w.dilation, h.begin, w.begin)
}

// packFew packs constant weights for the products of a geometry.
func packFew(s *convShape, g *fewGeometry, w *tensor.Tensor) *packedFew {
	v, taps := signed8(w), s.taps()
	p := &packedFew{packedQ8{shape: w.Shape().Clone()}}
	columns := g.joined * s.o
	for _, product := range g.products {
		var m []int8
		for _, t := range product {
			for c := range s.c {
				for j := range columns {
					tap, o := t.taps[j/s.o], j%s.o
					at := (o*s.c+c)*taps + tap
					if s.transposed {
						at = (c*s.o+o)*taps + tap
					}
					if tap < 0 {
						m = append(m, 0)
					} else {
						m = append(m, v[at])
					}
				}
			}
		}
		p.w = append(p.w, kernel.PackPixelsQ8(len(product)*s.c, columns, m, columns))
	}
	return p
}

// fewPlan is the division of a run into units, which are bands of rows of each phase, and the scratch memory of a chunk.
type fewPlan struct {
	rows, bands   int // rows of a band; bands of an image
	units, chunks int
	lanes, pitch  int // positions that are computed of a row, and words of a row of one quad of channels
	plane         int // bytes of the results of one channel and phase of columns
	words, result int // bytes of a chunk: the band, and results
	line          int // bytes of a chunk: interleaved results of the rows of a band, with those of lanes beyond
}

// planFew divides a run.
func planFew(s *convShape, g *fewGeometry, by sharing) fewPlan {
	var p fewPlan
	cells := ceilDiv(s.dst[1], g.ph)
	p.lanes = (s.dst[2]/g.pw + 15) &^ 15
	p.pitch = p.lanes + g.right - g.left
	inRows := func(rows int) int { return (rows-1)*g.step + g.bottom - g.top + 1 }
	rowWords := p.pitch * s.c / 4
	for p.rows = cells; p.rows > 4 && inRows(p.rows)*rowWords > bandBytes/4; {
		p.rows = (p.rows + 1) / 2
	}
	work := mulSize(s.n, s.dst[1], s.dst[2], len(g.products[0]), s.c, s.o)
	p.rows = by.band(p.rows, cells, s.n, work)
	p.bands = ceilDiv(cells, p.rows)
	p.units = mulSize(s.n, p.bands)
	p.chunks = by.split(p.units, work)
	p.plane = p.rows * g.ph * p.lanes
	p.words = scratchBytes(inRows(p.rows) * rowWords)
	p.result = scratchBytes((p.plane*g.pw*s.o + 64) / 4)
	p.line = p.result
	return p
}

func fewScratch(p fewPlan) scratch8 {
	return scratch8{0, addSize(p.words, addSize(p.result, p.line)), p.chunks}
}

// fewBytes is the scratch memory of a run for a number of threads.
//
//go:noinline
func fewBytes(s *convShape, g *fewGeometry, threads int) (size, first int) {
	return bytesFor(threads, func(by sharing) scratch8 { return fewScratch(planFew(s, g, by)) })
}

// fewRun is one run. Kept in the node's state.
type fewRun struct {
	fewPlan
	plans [sharings]fewPlan
	chunkMemory
	convShape
	fewGeometry
	steps     []*kernel.PixelSteps // by product
	interlace *kernel.Interleaver8
	packed    *packedFew
	columns   columnsQ8
	table     *kernel.Table8
	signed    bool
	zero      int32
	x, y      []uint8 // channels-last
	scratch   []byte
}

// prepare sets the division for a shape.
func (t *fewRun) prepare(s *convShape) {
	g, _ := geometryOfFew(s)
	t.convShape, t.fewGeometry = *s, g
	t.plans = plansFor(func(by sharing) fewPlan { return planFew(s, &g, by) })
	t.interlace, t.steps = kernel.NewInterleaver8(g.pw*s.o), nil
	quads, pitch := s.c/4, t.plans[0].pitch
	for _, product := range g.products {
		var offs []int
		for _, tap := range product {
			for q := range quads {
				offs = append(offs, ((tap.row-g.top)*quads+q)*pitch+tap.col-g.left)
			}
		}
		t.steps = append(t.steps, kernel.NewPixelSteps(offs))
	}
}

// runFew is Run for weights that packFew packed.
func (o *quantConv) runFew(ctx *Context, t *fewRun, w *packedFew, out, in []*tensor.Tensor) {
	keep(&t.packed, w)
	keep(&t.signed, in[0].DType() == tensor.Int8)
	keep(&t.table, o.table)
	keep(&t.zero, t.columns.find(ctx, o.inputsQ8(), 1, &t.packed.packedQ8, 1, t.o, out, in))
	keepSlice(&t.x, in[0].Bytes())
	keepSlice(&t.y, out[0].Bytes())
	keepSlice(&t.scratch, ctx.Scratch)
	keep(&t.fewPlan, t.plans[sharingOf(ctx.Pool)])
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
}

// Do implements [parallel.Task]: one chunk of bands.
func (t *fewRun) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.words+t.result+t.line, chunk, worker)
	f, mem := floatsOf(mem, t.words/4)
	result, line := mem[:t.result], mem[t.result:]
	words, quads, cells := intsIn(f), t.c/4, ceilDiv(t.dst[1], t.ph)
	var lines [64]kernel.LineQ8
	for u := lo; u < hi; u++ {
		n, first := u/t.bands, u%t.bands*t.rows
		rows := min(t.rows, cells-first)
		t.fill(words, f, n, first*t.step+t.top, (rows-1)*t.step+t.bottom-t.top+1, u == lo || t.bands > 1)
		for i := range t.steps {
			p, cols, count := t.packed.w[i], t.columns.list[i], 0
			row, plane := i*t.joined/t.pw, i*t.joined%t.pw*t.o
			for j := range rows {
				for x := 0; x < t.lanes; x += 16 {
					lines[count] = kernel.LineQ8{A: j*t.step*quads*t.pitch + x, Dst: plane*t.plane + (j*t.ph+row)*t.lanes + x}
					if count++; count == len(lines) {
						p.RunPixels(lines[:], words, t.steps[i], cols, result, t.plane)
						count = 0
					}
				}
			}
			p.RunPixels(lines[:count], words, t.steps[i], cols, result, t.plane)
		}
		t.place(result, line, n, first*t.ph, min(rows*t.ph, t.dst[1]-first*t.ph))
	}
}

// fill makes words of image rows [y, y+rows), which may lie outside the image. What lies outside is written if border is set.
// f is the same memory as words.
func (t *fewRun) fill(words []int32, f []float32, n, y, rows int, border bool) {
	quads, lead, w := t.c/4, -t.left, t.src[2]
	size := quads * t.pitch
	to := min(t.dst[2]/t.pw+t.right, w) // image columns that are read
	if border {
		t.border(words, y, rows, to)
	}
	for r := max(0, -y); r < min(rows, t.src[1]-y); r++ {
		row := words[r*size:][:size]
		src := t.x[(n*t.src[1]+y+r)*w*t.c:][:w*t.c]
		if p := unsafe.Pointer(unsafe.SliceData(src)); uintptr(p)%4 == 0 {
			kernel.TransposeF32(f[r*size+lead:(r+1)*size], t.pitch, unsafe.Slice((*float32)(p), w*quads), quads, to, quads)
		} else {
			for i := range to * quads {
				b := src[4*i:][:4]
				row[lead+i%quads*t.pitch+i/quads] = int32(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
			}
		}
		if t.signed {
			for at := lead; at < size; at += t.pitch {
				part := row[at:][:to]
				for i := range part {
					part[i] ^= topBits
				}
			}
		}
	}
}

// topBits are those of four bytes, in which unsigned values differ from signed ones.
const topBits = -0x7f7f7f80

// border fills the words outside the image of image rows [y, y+rows), of which columns before to are read.
func (t *fewRun) border(words []int32, y, rows, to int) {
	size, lead := t.c/4*t.pitch, -t.left
	end := lead + t.dst[2]/t.pw + t.right
	outside := int32(uint32(uint8(t.zero)) * 0x01010101)
	if t.signed {
		outside ^= topBits
	}
	for r := range rows {
		row := words[r*size:][:size]
		if y+r < 0 || y+r >= t.src[1] {
			for i := range row {
				row[i] = outside
			}
			continue
		}
		for at := 0; at < size; at += t.pitch {
			for i := at; i < at+lead; i++ {
				row[i] = outside
			}
			for i := at + lead + to; i < at+end; i++ {
				row[i] = outside
			}
		}
	}
}

// place interleaves the results of a band of rows of the result from first on.
func (t *fewRun) place(result, line []byte, n, first, rows int) {
	width, size := t.dst[2]/t.pw, t.dst[2]*t.o
	y := t.y[(n*t.dst[1]+first)*size:][:rows*size]
	if width == t.lanes {
		t.interlace.Run(y, result, t.plane, rows*width)
	} else {
		each := t.lanes * t.pw * t.o
		t.interlace.Run(line, result, t.plane, rows*t.lanes)
		for r := range rows {
			copy(y[r*size:][:size], line[r*each:])
		}
	}
	if t.table != nil {
		t.table.Map(y, y)
	}
}

package kernel

import (
	"fmt"
	"unsafe"
)

// pixelsQ8 are the arguments of products for four runs of sixteen positions of an image, with 8-bit results by column.
// Assembly reads the fields by offset; TestPixelsQ8Layout keeps the two in step.
type pixelsQ8 struct {
	x      [4]unsafe.Pointer // of the words of a run at offset 0
	dst    [4]*uint8         // 16 results of each column
	plane  int               // bytes between the results of columns
	offs   *int32            // of the words of each step, in bytes
	w      unsafe.Pointer    // [steps][columns][4] int8
	steps  int               // at least 1
	init   *int32            // by column, as scale
	scale  *float32
	lo, hi float32
	words  int32 // this and what follows as in tileQ8
	flip   uint32
	fits   int
}

// pixelKernels are the kernels of [PackPixelsQ8], best first; nr is the number of columns.
var pixelKernels = archPixelsQ8()

func pixelKernel(n int) *gemmQ8 {
	for i := range pixelKernels {
		if g := &pixelKernels[i]; g.nr == n && *g.use {
			return g
		}
	}
	return nil
}

// HasPixelsQ8 reports whether the processor has kernels for [PackPixelsQ8] with n columns.
func HasPixelsQ8(n int) bool { return pixelKernel(n) != nil }

// PackPixelsQ8 is [PackQ8] for one segment of k values, a multiple of 4, and for [PackedQ8.RunPixels] instead of Run.
// [HasPixelsQ8] must hold for n.
func PackPixelsQ8(k, n int, b []int8, ldb int) *PackedQ8 {
	checkMatrix("b", k, n, len(b), ldb)
	g := pixelKernel(n)
	if g == nil || k == 0 || k%4 != 0 {
		panic(fmt.Sprintf("kernel: PackPixelsQ8 of %d rows and %d columns", k, n))
	}
	p := &PackedQ8{Segs: 1, N: n, segK: k, kern: g}
	p.pack(b, ldb, 1)
	return p
}

// PixelSteps says where the left values of a product lie: four of each position in a word, sixteen positions side by side. It
// is immutable.
type PixelSteps struct {
	offs  []int32 // bytes
	reach int     // words from the first position of a run to behind the last one of any step
}

// NewPixelSteps returns the steps whose words lie so many words behind the first position of a run. None is negative.
func NewPixelSteps(offs []int) *PixelSteps {
	s := &PixelSteps{}
	for _, v := range offs {
		if v < 0 || v > 1<<28 {
			panic(fmt.Sprintf("kernel: a step %d words away", v))
		}
		s.offs, s.reach = append(s.offs, int32(4*v)), max(s.reach, v+16)
	}
	return s
}

// RunPixels computes products of sixteen positions for each line, whose words begin at A of x. Result i of column j of a line
// goes to dst[Dst+j*plane+i]. Lines may overlap; those of the results that do must have equal values. c are the constants
// of the columns.
func (p *PackedQ8) RunPixels(lines []LineQ8, x []int32, steps *PixelSteps, c *ColumnsQ8, dst []uint8, plane int) {
	if len(steps.offs) != p.groups || plane < 0 {
		panic(fmt.Sprintf("kernel: %d steps of %d, %d bytes apart", len(steps.offs), p.groups, plane))
	}
	var t pixelsQ8
	t.plane, t.offs, t.steps = plane, &steps.offs[0], p.groups
	t.w, t.init, t.scale = unsafe.Pointer(&p.panels[0]), &c.init[0], &c.scale[0]
	t.lo, t.hi, t.fits = float32(c.lo-c.zero), float32(c.hi-c.zero), c.fits
	if t.words = c.zero; c.signed {
		t.words, t.flip = c.zero+128, 0x80808080
	}
	room := (p.N-1)*plane + 16
	for i := 0; i < len(lines); i += 4 {
		for k := range t.x {
			l := lines[min(i+k, len(lines)-1)]
			if l.A < 0 || l.A > len(x)-steps.reach || l.Dst < 0 || l.Dst > len(dst)-room {
				panic(fmt.Sprintf("kernel: line %+v in %d words and %d results", l, len(x), len(dst)))
			}
			t.x[k], t.dst[k] = unsafe.Pointer(&x[l.A]), &dst[l.Dst]
		}
		runPixelsQ8(p.kern, &t)
	}
}

// Interleaver8 makes one run of bytes of n planes. It is immutable.
type Interleaver8 struct {
	n     int
	table []uint8 // for each vector of 64 results, their places in the planes, and a mask for each plane
}

// NewInterleaver8 returns one for n planes.
func NewInterleaver8(n int) *Interleaver8 {
	v := &Interleaver8{n: n}
	for i := range n {
		masks := make([]uint8, 8*n)
		for k := range 64 {
			at := 64*i + k
			v.table = append(v.table, uint8(at/n))
			masks[at%n*8+k/8] |= 1 << (k % 8)
		}
		v.table = append(v.table, masks...)
	}
	return v
}

// Run sets dst[i*n+k] to src[k*plane+i] for i < count and k < n. It may read up to 64 bytes of each plane behind that, as far
// as src goes.
func (v *Interleaver8) Run(dst, src []uint8, plane, count int) {
	n := v.n
	if count == 0 {
		return
	}
	checkMatrix("dst", count, n, len(dst), n)
	checkRows("src", n, count, len(src), plane)
	if n == 1 {
		copy(dst, src[:count])
		return
	}
	if v.run(dst, src, plane, count) {
		return
	}
	for k := range n {
		for i, b := range src[k*plane:][:count] {
			dst[i*n+k] = b
		}
	}
}

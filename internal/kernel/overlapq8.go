package kernel

import (
	"fmt"
	"unsafe"
)

// overlapQ8 are the arguments of a transposed convolution of 4×4 and stride 2 to one channel, for rows of up to sixteen
// pixels. Assembly reads the fields by offset; TestOverlapQ8Layout keeps the two in step.
type overlapQ8 struct {
	x        unsafe.Pointer // the first pixel; those of a row lie px bytes apart, rows row bytes
	w        unsafe.Pointer // [quads][16 taps][4] int8
	init     *int32         // 16 values that products of a pixel are added to
	edge     *int32         // 16 values in place of a pixel outside the image
	left     unsafe.Pointer // 16 int32 of each row: what the pixel before the first one gives
	last     unsafe.Pointer // likewise, where what the sixteenth pixel gives is written
	dst      *uint8
	xAt      int // bytes of x, left and last before the row; the kernel counts, since the garbage collector must see no pointer behind an object
	leftAt   int
	lastAt   int
	at       int // from dst to the first result of the first row, which may lie before dst
	leftStep int // bytes
	pitch    int // bytes between rows of results
	row, px  int
	quads    int       // of four channels, at least 1
	rows     int       // of pixels, at least 1; each gives two rows of results, with the one before it
	pixels   int       // 0 to 16; those to the right are edges
	bottom   int       // 1: after the rows comes one of edges, of which only the first row of results is wanted
	first    [2]uint32 // which of 32 results of either row of results are wanted, for the first row
	masks    [2]uint32 // and for the others
	scale    float32
	lo, hi   float32
	words    int32 // this and what follows as in tileQ8
	flip     uint32
	fits     int
	carry    [4][16]int32 // what the row before gives; afterwards, what the last one does
}

// overlapTaps are the taps of a kernel, overlapPixels the pixels of a row that are multiplied together.
const overlapTaps, overlapPixels = 16, 16

// overlapKernels are the kernels of [PackOverlapQ8], best first. Their columns are the phases of a result.
var overlapKernels = archOverlapQ8()

func overlapKernel() *gemmQ8 {
	for i := range overlapKernels {
		if g := &overlapKernels[i]; *g.use {
			return g
		}
	}
	return nil
}

// HasOverlapQ8 reports whether the processor has a kernel for [PackOverlapQ8].
func HasOverlapQ8() bool { return overlapKernel() != nil }

// PackOverlapQ8 packs the weights of a transposed convolution of c channels, a multiple of 4, to one, with kernels of 4×4
// taps and stride 2: tap 4·i+j of channel k is w[k*16+4*i+j]. It is for [PackedQ8.RunOverlap]. [HasOverlapQ8] must hold.
func PackOverlapQ8(c int, w []int8) *PackedQ8 {
	g := overlapKernel()
	if g == nil || c < 4 || c%4 != 0 || len(w) != c*overlapTaps {
		panic(fmt.Sprintf("kernel: PackOverlapQ8 of %d channels and %d weights", c, len(w)))
	}
	p := &PackedQ8{Segs: 1, N: 4, NR: 4, segK: 4 * c, groups: c, kern: g, size: len(w), count: 1, colSum: make([]int32, 4),
		panels: make([]int8, len(w)), tapSum: make([]int32, overlapTaps)}
	for k := range c {
		for tap := range overlapTaps {
			v := w[k*overlapTaps+tap]
			p.panels[(k/4*overlapTaps+tap)*4+k%4] = v
			p.tapSum[tap] += int32(v)
			p.colSum[overlapPhase(tap)] += int32(v)
		}
	}
	return p
}

// overlapCall bounds the products of pixels with quads of channels of one call, which cannot be interrupted: they take some 50 µs.
const overlapCall = 400e3

// overlapPhase is the column of a tap's results: the parities of its row and its column.
func overlapPhase(tap int) int { return tap/4%2*2 + tap%2 }

// OverlapQ8 says what is made of the sums of a transposed convolution. It is immutable.
type OverlapQ8 struct {
	columns    *ColumnsQ8
	init, edge [overlapTaps]int32
	above      [16]int32 // what a row of edges leaves for the next one
	outside    []uint8   // a pixel outside the image
}

// Overlap returns the constants for an image whose pixels outside are border, in the kernel's form, with those of the
// columns, which are the same for all phases but for what the zero point takes off.
func (p *PackedQ8) Overlap(c *ColumnsQ8, border uint8) *OverlapQ8 {
	o := &OverlapQ8{columns: c, outside: make([]uint8, p.groups)}
	FillU8(o.outside, border)
	for tap := range overlapTaps {
		if tap/4 < 2 && tap%4 < 2 { // each result has one such tap
			o.init[tap] = c.init[overlapPhase(tap)]
		}
		o.edge[tap] = o.init[tap] + int32(border)*p.tapSum[tap]
	}
	for i := range o.above {
		tap := 8 + i%8/4*4 // row 2 or 3 of the taps
		o.above[i] = o.edge[tap+i%2] + o.edge[tap+2+i%2]
	}
	return o
}

// OverlapScratch is how many int32 [PackedQ8.RunOverlap] needs for so many rows of w pixels.
func OverlapScratch(rows, w int) int { return max((rows+2)*overlapTaps, overlapStripsScratch(w)) }

// RunOverlap computes the results that rows [y0, y1) of an image of h×w pixels complete: rows 2·y0-1 to 2·y1-2, without row
// -1, and the last one, 2·h-1, where y1 is h. x are the pixels in the kernel's form, channels-last. Result (r, c) is
//
//	Σ x(y, x)·w(r+1-2·y, c+1-2·x)
//
// over all pixels for which there is a tap, requantised; it goes to dst[(r-base)*pitch+c]. Only results are written.
func (p *PackedQ8) RunOverlap(x []uint8, h, w, y0, y1 int, o *OverlapQ8, dst []uint8, base, pitch int, scratch []int32) {
	c := p.groups
	from, to := max(0, 2*y0-1), 2*y1-1
	if y1 == h {
		to++
	}
	if y0 < 0 || y1 > h || y0 >= y1 || w < 1 || len(x) < h*w*c || from < base || pitch < 2*w || len(dst) < (to-1-base)*pitch+2*w ||
		len(scratch) < OverlapScratch(y1-y0, w) {
		panic(fmt.Sprintf("kernel: RunOverlap of rows [%d,%d) of %d×%d pixels, %d bytes, to %d bytes from row %d on, %d apart", y0, y1, h, w, len(x), len(dst), base, pitch))
	}
	if p.kern.mr < overlapPixels {
		p.runOverlapStrips(x, h, w, y0, y1, o, dst, base, pitch, scratch)
		return
	}
	var t overlapQ8
	t.w, t.init, t.edge = unsafe.Pointer(&p.panels[0]), &o.init[0], &o.edge[0]
	t.pitch, t.row, t.px, t.quads = pitch, w*c, c, c/4
	k := o.columns
	t.scale, t.lo, t.hi, t.fits = k.scale[0], float32(k.lo-k.zero), float32(k.hi-k.zero), k.fits
	if t.words = k.zero; k.signed {
		t.words, t.flip = k.zero+128, 0x80808080
	}
	// The row before the first one is computed again, for what it gives to this one.
	first := max(0, y0-1)
	rows := y1 - first
	t.dst = &dst[0]
	t.last = unsafe.Pointer(&scratch[0])
	for x0 := 0; x0 <= w; x0 += overlapPixels {
		t.pixels = min(w-x0, overlapPixels)
		// Results 2·x0-1 and on, of which the first block has no first one.
		wanted := ^uint32(0) >> max(0, 32-(2*w-2*x0+1))
		if x0 == 0 {
			wanted &^= 1
		}
		t.masks, t.first = [2]uint32{wanted, wanted}, [2]uint32{}
		if y0 == 0 {
			t.first[1] = wanted
		}
		t.x = unsafe.Pointer(&x[(first*w+min(x0, w-1))*c])
		t.left, t.leftStep = unsafe.Pointer(&o.edge[0]), 0
		if x0 > 0 {
			t.left, t.leftStep = unsafe.Pointer(&scratch[0]), 4*overlapTaps
		}
		if t.pixels == overlapPixels {
			copy(scratch[rows*overlapTaps:], o.edge[:])
		}
		t.xAt, t.leftAt, t.lastAt = 0, 0, 0
		for i := range t.carry {
			t.carry[i] = o.above
		}
		t.at = (2*first-1-base)*pitch + 2*x0 - 1
		for done := 0; done < rows; done += t.rows {
			t.rows, t.bottom = min(rows-done, max(1, overlapCall/(t.quads*overlapPixels))), 0
			if done+t.rows == rows && y1 == h {
				t.bottom = 1
			}
			runOverlapQ8(&t)
			t.first, t.at = t.masks, t.at+2*t.rows*pitch
		}
	}
}

//go:build !noasm && !gccgo

package kernel

import "unsafe"

// overlapStrips are the arguments of a transposed convolution of 4×4 and stride 2 to one channel, for rows of pixels that are
// cut into strips of four. Assembly reads and changes the fields by offset; TestOverlapStripsLayout keeps the two in step.
type overlapStrips struct {
	x          *uint8 // the first pixel; those of a row lie px bytes apart, rows row bytes
	w          *int8  // [quads][16 taps][4]
	init       *int32 // 16 values that products of a pixel are added to
	edge       *int32 // 16 values in place of a pixel outside the image
	carry      *int32 // [full+1][16]: what the row before gives; afterwards, what the last one does
	dst        *uint8 // two rows of 8*(full+1) results for each row of pixels, the first of which lie before the first pixel's
	row, px    int
	quads      int // of four channels, at least 1
	rows       int // of pixels, at least 1
	full, rest int // strips of four pixels, and pixels in the last strip, 0 to 3; behind these are edges
	pitch      int // bytes between rows of results
	scale      float32
	lo, hi     float32
	words      int32 // this and what follows as in tileQ8
	flip       uint32
	fits       int
	at, y      int       // bytes of x and dst before the row; the kernel counts, since the garbage collector must see no pointer behind an object
	left       [16]int32 // for the kernel
}

// stripPixels are the pixels of a strip, stripRows the most rows of a call.
const stripPixels, stripRows = 4, 8

// overlapStripsScratch is how many int32 runOverlapStrips needs.
func overlapStripsScratch(w int) int {
	strips := w/stripPixels + 1
	return strips*overlapTaps + 2*stripRows*2*stripPixels*strips/4
}

// runOverlapStrips is [PackedQ8.RunOverlap]. Results go to scratch memory first, since strips write some outside the image.
func (p *PackedQ8) runOverlapStrips(x []uint8, h, w, y0, y1 int, o *OverlapQ8, dst []uint8, base, pitch int, scratch []int32) {
	c := p.groups
	strips := w/stripPixels + 1
	carry := scratch[:strips*overlapTaps]
	for i := range carry {
		carry[i] = o.above[i%8]
	}
	width := 2 * stripPixels * strips
	results := unsafe.Slice((*uint8)(unsafe.Pointer(&scratch[len(carry)])), 2*stripRows*width)
	k := o.columns
	t := overlapStrips{w: &p.panels[0], init: &o.init[0], edge: &o.edge[0], carry: &carry[0], dst: &results[0], row: w * c, px: c, quads: c / 4,
		full: w / stripPixels, rest: w % stripPixels, pitch: width, scale: k.scale[0], lo: float32(k.lo - k.zero), hi: float32(k.hi - k.zero), fits: k.fits}
	if t.words = k.zero; k.signed {
		t.words, t.flip = k.zero+128, 0x80808080
	}
	most := min(stripRows, max(1, overlapCall/(t.quads*stripPixels*strips)))
	// The row before the first one is computed again, for what it gives to this one; what rows outside give is above.
	y := max(0, y0-1)
	for y < y1 || y == h {
		t.at, t.y = 0, 0
		if y < h {
			t.x, t.rows = &x[y*w*c], min(most, y1-y)
		} else {
			t.x, t.rows, t.row, t.px = &o.outside[0], 1, 0, 0
		}
		if p.kern.id == tileAVXVNNI {
			overlapStripsAVXVNNI(&t)
		} else {
			overlapStripsAVX2(&t)
		}
		// Row 2·y0-1 is the first that is wanted, and row 2·y1-2 the last one but for that of the image.
		for i := max(0, 2*y0-2*y); i < 2*t.rows; i++ {
			if r := 2*y - 1 + i; r >= 0 && r < 2*h {
				copy(dst[(r-base)*pitch:][:2*w], results[i*width+1:])
			}
		}
		y += t.rows
	}
}

// overlapStripsAVXVNNI is, with taps(x) the 16 sums init[k] + Σ x·w[k] of pixel x of a row, for x < 4*full+rest, edge for the
// pixel before those and for the others,
//
//	for range rows {
//		for x := range 4*(full+1) {
//			u := columns 0 and 1 of taps(x) + columns 2 and 3 of taps(x-1)
//			v := rows 0 and 1 of u + carry[x]
//			carry[x] = rows 2 and 3 of u
//			results (0, 2·x), (0, 2·x+1), (1, 2·x), (1, 2·x+1) of the row are v requantised
//		}
//	}
//
// where carry[x] are two values of each of the two halves of a vector of eight. It changes at and y.
//
//go:noescape
func overlapStripsAVXVNNI(t *overlapStrips)

// overlapStripsAVX2 is overlapStripsAVXVNNI. It changes left too.
//
//go:noescape
func overlapStripsAVX2(t *overlapStrips)

package kernel

import "fmt"

// F(4×4, 3×3) computes sixteen results of a 3×3 convolution of 8-bit values with thirty-six
// products of 16-bit values in place of 144 of 8-bit ones, and gives the same bits as the direct
// sum: y = Aᵀ[(G·g·Gᵀ) ∘ (Bᵀ·d·B)]A of Lavin and Gray (Fast Algorithms for Convolutional Neural
// Networks, CVPR 2016), whose matrices are, with a diagonal matrix of factors S moved from G to A,
//
//	     4  0 -5  0  1  0        6  0  0
//	     0 -4 -4  1  1  0        1  1  1         1 -4 -4  1  1  0         24
//	Bᵀ = 0  4 -4 -1  1  0    G = 1 -1  1    Aᵀ = 0 -2  2  1 -1  0    S =    12
//	     0 -2 -1  2  1  0        1  2  4         0 -1 -1  1  1  0               6
//	     0  2 -1 -2  1  0        1 -2  4         0 -1  1  2 -2  1                 6
//	     0  4  0 -5  0  1        0  0  6
//
// so that Aᵀ[…]A = S·y·S holds in the integers.
//
//   - Magnitudes in a row of Bᵀ have a sum of at most 10: values d in [-255, 255], which are 8-bit
//     values less their zero point or 0 in the border, become at most 25,500. Those of G have at
//     most 7: weights become at most 49·128 = 6,272. Both fit in 16 bits.
//   - Products and their sums over channels, and Aᵀ[…]A, are computed modulo 2³². Each element of the
//     latter is s·y, where s is one of 9·2², …, 9·2⁶ and y the exact sum. 9 is odd and has an inverse
//     modulo 2³², with which the product becomes 2ᵖ·y modulo 2³², 2 ≤ p ≤ 6.
//   - That a bias is added to y at all sixteen places is 36 times as much at one position of the products: Aᵀ[…]A of -6·-6 in the
//     second row and column, and 0 elsewhere, is S·S.
//   - Where |y| < 2²⁵, 2ᵖ·y lies in [-2³¹, 2³¹), so that it is what the 32 bits hold as a signed
//     number. Converted to float32 it is rounded as y is, and the factor that makes 8 bits of y is divided by 2ᵖ without
//     rounding. [WinogradQ8Fits] bounds y.

const (
	// WinogradQ8Taps is the number of matrices that a 3×3 kernel becomes.
	WinogradQ8Taps = 36
	// WinogradQ8Tile is the number of results of a tile along an axis; it covers two values more.
	WinogradQ8Tile = 4
	// WinogradQ8Slack is the number of values that are written behind the last one of each tap's matrix.
	WinogradQ8Slack = 32
	// WinogradQ8Temp is the number of values that a transform keeps in memory.
	WinogradQ8Temp = 36 * 16

	// winogradQ8Columns is how many columns one matrix of weights has at most, so that the sums of a block of tiles stay in the
	// second-level cache until they are transformed back.
	winogradQ8Columns = 64
	// winogradQ8Bound is what sums must stay below.
	winogradQ8Bound = 1 << 25
)

// gemmI16 is one implementation of products of 16-bit matrices, with sums modulo 2³².
type gemmI16 struct {
	name   string
	id     tileID
	use    *bool
	mr, nr int
	kr     int // channels that are packed side by side
	lanes  int // columns that the transform of results writes at a time
	call   int // channels of tiles that are transformed in a call, and a 256th of its multiply-adds: below 100 µs
	// From so many channels on either side and results of a channel, of which weights of more than 256 to 256 channels need
	// more in proportion, and where so many hundredths of the results of tiles are wanted, tiles take less time than direct sums.
	channels, results, wanted int
}

// genericGemmI16 is for processors without one of gemmI16Kernels. That list, for dispatch and tests, best first, is a variable of its
// own on each architecture, without code that programs would hold which use none of it.
var genericGemmI16 = gemmI16{
	name: "generic-4x4", id: tileGeneric, use: &always, mr: 4, nr: 4, kr: 1, lanes: 1, call: 1 << 10, channels: 16, results: 49, wanted: 50,
}

// bestGemmI16 returns the kernel in force.
func bestGemmI16() *gemmI16 {
	for i := range gemmI16Kernels {
		if *gemmI16Kernels[i].use {
			return &gemmI16Kernels[i]
		}
	}
	return &genericGemmI16
}

func (g *gemmI16) tile(t *tileI16) {
	if g.id == tileGeneric {
		tileI16Generic4x4(t)
		return
	}
	archTileI16(g.id, t)
}

// WinogradQ8Rows returns how many rows the kernel multiplies at a time: products of a multiple of them take the least time for a
// row.
func WinogradQ8Rows() int { return bestGemmI16().mr }

// WinogradQ8Pays reports whether a convolution from c to o channels with h×w results takes less time in tiles than directly,
// whose weights are an eighth as large. That images are not counted keeps one form of weights for every batch.
func WinogradQ8Pays(c, o, h, w int) bool {
	g := bestGemmI16()
	const side = WinogradQ8Tile
	return c >= g.channels && o >= g.channels && h*w >= g.results*max(1, c*o/(256*256)) && 100*h*w >= g.wanted*(roundUp(h, side)*roundUp(w, side))
}

// WinogradQ8Fits reports whether every sum of c·9 products of the weights [o, c, 3, 3] and values between -low and high, both
// of 0 to 255, plus its bias is small enough to be computed in tiles. bias has o values, or none.
func WinogradQ8Fits(w []int8, c, o int, low, high int32, bias []int32) bool {
	for j := range o {
		least, most := -int64(9*c)*128*int64(max(low, high)), int64(9*c)*128*int64(max(low, high))
		if most >= winogradQ8Bound {
			positive, negative := int64(0), int64(0)
			for _, v := range w[9*c*j:][:9*c] {
				positive += int64(max(v, 0))
				negative -= int64(min(v, 0))
			}
			least, most = -positive*int64(low)-negative*int64(high), positive*int64(high)+negative*int64(low)
		}
		b := int64(0)
		if len(bias) > 0 {
			b = int64(bias[j])
		}
		if least+b <= -winogradQ8Bound || most+b >= winogradQ8Bound {
			return false
		}
	}
	return true
}

// WinogradQ8 holds the weights of a 3×3 convolution from C to O channels, transformed and packed. It is immutable and safe
// for concurrent use.
type WinogradQ8 struct {
	C, O  int
	kern  *gemmI16
	steps int // of kr channels
	parts [][]int16
}

// PackWinogradQ8 transforms and packs the weights w, [o, c, 3, 3].
func PackWinogradQ8(c, o int, w []int8) *WinogradQ8 {
	g := bestGemmI16()
	if c < 1 || o < 1 || len(w) < 9*c*o {
		panic(fmt.Sprintf("kernel: PackWinogradQ8 from %d to %d channels of %d weights", c, o, len(w)))
	}
	p := &WinogradQ8{C: c, O: o, kern: g, steps: (c + g.kr - 1) / g.kr}
	panel := p.steps * g.kr * g.nr
	for first := 0; first < o; first += winogradQ8Columns {
		part := make([]int16, WinogradQ8Taps*p.panels(len(p.parts))*panel)
		for from := 0; from < winogradQ8Columns && first+from < o; from += g.nr {
			to := part[from/g.nr*panel:]
			tap := p.panels(len(p.parts)) * panel
			for i := range c {
				for j := range min(g.nr, o-first-from) {
					u := winogradQ8Weights((*[9]int8)(w[((first+from+j)*c+i)*9:]))
					at := i/g.kr*g.kr*g.nr + g.kr*j + i%g.kr
					for _, v := range u {
						to[at] = v
						at += tap
					}
				}
			}
		}
		p.parts = append(p.parts, part)
	}
	return p
}

// winogradQ8Weights returns G·g·Gᵀ by rows.
func winogradQ8Weights(g *[9]int8) (u [WinogradQ8Taps]int16) {
	row := func(a, b, c int16) [6]int16 {
		return [6]int16{6 * a, a + b + c, a - b + c, a + 2*b + 4*c, a - 2*b + 4*c, 6 * c}
	}
	var h [3][6]int16
	for j := range h {
		h[j] = row(int16(g[j]), int16(g[3+j]), int16(g[6+j]))
	}
	for i := range 6 {
		r := row(h[0][i], h[1][i], h[2][i])
		copy(u[6*i:], r[:])
	}
	return u
}

// panels returns the number of panels of a part.
func (p *WinogradQ8) panels(part int) int {
	return (min(winogradQ8Columns, p.O-part*winogradQ8Columns) + p.kern.nr - 1) / p.kern.nr
}

// Bytes returns the memory that the weights take.
func (p *WinogradQ8) Bytes() int {
	n := 0
	for _, part := range p.parts {
		n += 2 * len(part)
	}
	return n
}

// WinogradQ8Bytes is the memory that packed weights from c to o channels take, which kernels may round up.
func WinogradQ8Bytes(c, o int) int { return 2 * WinogradQ8Taps * c * o }

// Kernel returns the name of the kernel.
func (p *WinogradQ8) Kernel() string { return p.kern.name }

// Parts returns the number of parts that output channels are divided into.
func (p *WinogradQ8) Parts() int { return len(p.parts) }

// Part returns the output channels of a part, cols from first on, and how many values a row of its sums has.
func (p *WinogradQ8) Part(i int) (first, cols, width int) {
	first = i * winogradQ8Columns
	return first, min(winogradQ8Columns, p.O-first), p.panels(i) * p.kern.nr
}

// WinogradQ8Width is the most values that a row of the sums of a part has, for o output channels and any kernel.
func WinogradQ8Width(o int) int { return min(roundUp(o, 32), winogradQ8Columns) }

// Whole reports whether columns come in the vectors that [WinogradQ8.Output] writes.
func (p *WinogradQ8) Whole(cols int) bool { return cols%p.kern.lanes == 0 }

// tileI16 are the arguments of the products of some rows for all taps of a part. Assembly reads and changes the fields by
// offset; TestWinogradQ8Layout keeps the two in step.
type tileI16 struct {
	a          *int16 // rows of the first tap
	b          *int16 // [taps][panels][k][nr][kr]
	c          *int32
	k          int // steps of kr channels
	rows       int // 1 to mr
	panels     int // at least 1
	taps       int // likewise
	rs, cs     int // bytes between rows of a and of c
	tapA, tapC int // bytes between the taps of a, and from the end of a row of c to the next tap
}

// Multiply computes, for each position f, the n×width matrix at dst[f*ldd] as the product of the n×C matrix at src[f*lds],
// whose rows are an even number of values apart, stride, and the weights of a part. Where C is odd, the value behind a row
// has no effect.
func (p *WinogradQ8) Multiply(part, n int, dst []int32, ldd int, src []int16, lds, stride int) {
	panels := p.panels(part)
	width := panels * p.kern.nr
	if n < 1 || stride < p.C || stride%2 != 0 {
		panic(fmt.Sprintf("kernel: Multiply of %d rows of %d channels, %d apart", n, p.C, stride))
	}
	checkMatrix("dst", WinogradQ8Taps, n*width, len(dst), ldd)
	checkMatrix("src", WinogradQ8Taps, n*stride, len(src), lds)
	t := tileI16{k: p.steps, panels: panels, rs: 2 * stride, cs: 4 * width, tapA: 2 * lds, tapC: 4 * (ldd - width)}
	weights := p.parts[part]
	size := len(weights) / WinogradQ8Taps
	for i, left := 0, (n+p.kern.mr-1)/p.kern.mr; i < n; left-- {
		t.rows = (n - i + left - 1) / left
		taps := max(1, 256*p.kern.call/(t.rows*size))
		for f := 0; f < WinogradQ8Taps; f += taps {
			t.taps = min(taps, WinogradQ8Taps-f)
			t.a, t.b, t.c = &src[f*lds+i*stride], &weights[f*size], &dst[f*ldd+i*width]
			p.kern.tile(&t)
		}
		i += t.rows
	}
}

// winogradIn8 are the arguments of the transform of values. Assembly reads and changes the fields by offset;
// TestWinogradQ8Layout keeps the two in step.
type winogradIn8 struct {
	dst      *int16
	src      *uint8
	temp     *int32
	row, pix int
	ldf, lds int
	n, c     int    // at least 1
	zero     uint32 // what Bᵀ·d·B is for zero points d at its one position that is not 0, twice
}

// InputBytes returns how many bytes [WinogradQ8.Input] reads of n tiles from their first one on.
func (p *WinogradQ8) InputBytes(row, pix, n int) int {
	return 5*row + (WinogradQ8Tile*n+1)*pix + roundUp(p.C, 2*p.kern.lanes)
}

// Input sets, for n tiles of 6×6 positions and C channels, dst[f*ldf+t*lds+i] to element f of Bᵀ·d·B, where d are the values
// src[(t*4+x)*pix+y*row+i], int8 if signed, less zero of tile t in column x and row y. Tiles overlap by two columns. lds is at
// least C. Of src, [WinogradQ8.InputBytes] are read. Up to [WinogradQ8Slack] values more are written behind each
// row of channels, which belong to the next tile or lie behind the last one: ldf is at least (n-1)*lds+C+WinogradQ8Slack.
// temp has [WinogradQ8Temp] values.
func (p *WinogradQ8) Input(dst []int16, ldf, lds int, src []uint8, row, pix, n int, signed bool, zero int32, temp []int32) {
	if n < 1 {
		return
	}
	if lds < p.C || len(temp) < WinogradQ8Temp {
		panic(fmt.Sprintf("kernel: tiles of %d channels, %d apart, with %d values to keep", p.C, lds, len(temp)))
	}
	checkMatrix("dst", WinogradQ8Taps, (n-1)*lds+p.C+WinogradQ8Slack, len(dst), ldf)
	if row < 0 || pix < 0 || p.InputBytes(row, pix, n) > len(src) {
		panic(fmt.Sprintf("kernel: %d tiles of %d channels, %d and %d apart, in %d values", n, p.C, row, pix, len(src)))
	}
	some := max(1, p.kern.call/p.C)
	for i := 0; i < n; i += some {
		t := winogradIn8{dst: &dst[i*lds], src: &src[i*WinogradQ8Tile*pix], temp: &temp[0], row: row, pix: pix, ldf: ldf, lds: lds, n: min(some, n-i), c: p.C}
		t.zero = uint32(36*zero)&0xffff | uint32(36*zero)<<16
		if p.kern.id == tileGeneric {
			winogradInput8Generic(&t, signed)
		} else {
			archWinogradInput8(p.kern.id, &t, signed)
		}
	}
}

// ResultsQ8 says what is made of sums. The zero value is to be set; then it is safe for concurrent use.
type ResultsQ8 struct {
	init   []int32   // 36 times the bias: at one position of the products it is the bias of all results
	scale  []float32 // factors, and zeros up to whole vectors
	shifts []float32 // factors by 2⁻², …, 2⁻⁶ of each vector
	lanes  int       // of a vector
	zero   int32
	signed bool
	fits   bool // all factors are so small that their products with sums fit in 32 bits, and remain exact when divided by 2⁶
}

// Set has sums become clamp(int(roundHalfEven(float32(sum+bias[j]) * scale[j])) + zero), as those of [RequantU8], or of
// [RequantI8] if signed, within the bounds of the type. bias may be nil; bias and scale have O values, which are copied.
func (r *ResultsQ8) Set(p *WinogradQ8, bias []int32, scale []float32, zero int32, signed bool) {
	n := roundUp(p.O, winogradQ8Columns)
	if len(r.scale) != n || r.lanes != p.kern.lanes {
		r.init, r.scale, r.shifts, r.lanes = make([]int32, n), make([]float32, n), make([]float32, 5*n), p.kern.lanes
	}
	clear(r.init)
	for j, v := range bias {
		r.init[j] = 36 * v
	}
	copy(r.scale, scale[:p.O])
	r.zero, r.signed, r.fits = zero, signed, true
	for j, v := range r.scale {
		if !(abs1(v) < 32) || abs1(v) < 0x1p-100 && v != 0 {
			r.fits = false
		}
		for i := range 5 {
			v /= 2
			if i == 0 {
				v /= 2
			}
			r.shifts[j/r.lanes*5*r.lanes+i*r.lanes+j%r.lanes] = v
		}
	}
}

// winogradOutQ8 are the arguments of the transform to results. Assembly reads and changes the fields by offset;
// TestWinogradQ8Layout keeps the two in step.
type winogradOutQ8 struct {
	dst      *uint8
	src      *int32
	temp     *int32
	init     *int32
	scale    *float32 // five vectors for each vector of columns
	row, pix int      // of dst
	ldf, lds int
	n, c     int    // at least 1; c is a multiple of the kernel's lanes
	words    uint32 // the zero point, plus 128 where results are signed, twice
	flip     uint32 // 0x80808080 where results are signed
}

// Output sets, for n tiles of 4×4 results and the channels of a part, dst[(t*4+x)*pix+y*row+j] to the result in column x and row y: element
// (y, x) of Aᵀ·m·A, as a sum, of which r makes 8 bits, where element f of m is src[f*ldf+t*lds+j]. It writes a multiple of the
// columns of a vector, to which those of the part are rounded up (see [WinogradQ8.Whole]). temp has [WinogradQ8Temp] values.
func (p *WinogradQ8) Output(part int, dst []uint8, row, pix int, src []int32, ldf, lds, n int, r *ResultsQ8, temp []int32) {
	if n < 1 {
		return
	}
	first, c, _ := p.Part(part)
	c = roundUp(c, p.kern.lanes)
	if len(r.scale) < p.O || r.lanes != p.kern.lanes || lds < c || len(temp) < WinogradQ8Temp {
		panic(fmt.Sprintf("kernel: tiles of %d channels, %d apart, with %d factors and %d values to keep", c, lds, len(r.scale), len(temp)))
	}
	checkMatrix("src", WinogradQ8Taps, (n-1)*lds+c, len(src), ldf)
	if last := 3*row + (4*n-1)*pix + c; row < 0 || pix < 0 || last > len(dst) {
		panic(fmt.Sprintf("kernel: %d tiles of %d channels, %d and %d apart, in %d values", n, c, row, pix, len(dst)))
	}
	words, flip := r.zero, uint32(0)
	if r.signed {
		words, flip = r.zero+128, 0x80808080
	}
	some := max(1, p.kern.call/c)
	for i := 0; i < n; i += some {
		t := winogradOutQ8{
			dst: &dst[i*WinogradQ8Tile*pix], src: &src[i*lds], temp: &temp[0], init: &r.init[first], scale: &r.shifts[5*first], row: row, pix: pix,
			ldf: ldf, lds: lds, n: min(some, n-i), c: c, words: uint32(words)&0xffff | uint32(words)<<16, flip: flip,
		}
		if r.fits && p.kern.id != tileGeneric {
			archWinogradOutputQ8(p.kern.id, &t)
		} else {
			winogradOutputQ8Generic(&t, r.scale[first:])
		}
	}
}

package kernel

import "fmt"

// Winograd's minimal filtering F(2×2, 3×3) computes four neighbouring results of a 3×3
// convolution with sixteen products in place of thirty-six: y = Aᵀ[(G·g·Gᵀ) ∘ (Bᵀ·d·B)]A, where
// d are the 4×4 values that the four windows cover, with
//
//	     1  0 -1  0         1    0    0          1  1  1  0
//	Bᵀ = 0  1  1  0     G = 1/2  1/2  1/2   Aᵀ = 0  1 -1 -1
//	     0 -1  1  0         1/2 -1/2  1/2
//	     0  1  0 -1         0    0    1
//
// (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016). For each of
// the sixteen positions, the products of all tiles and channels are one matrix product.

// WinogradTaps is the number of matrices that a 3×3 kernel becomes.
const WinogradTaps = 16

// winogradColumns is how many columns one matrix of weights aims to have at most, so that the
// products of a block of tiles stay in the second-level cache until they are transformed back.
const winogradColumns = 96

// WinogradF32 holds the weights of a 3×3 convolution from C to O channels, transformed and
// packed. Once packed it is immutable and safe for concurrent use.
type WinogradF32 struct {
	C, O  int
	parts []winogradPart
	bytes int
}

type winogradPart struct {
	first, cols int // output channels
	taps        [WinogradTaps]*PackedF32
}

// NewWinogradF32 returns packed weights of zeros, of which [WinogradF32.Pack] is to fill every part.
func NewWinogradF32(c, o int) *WinogradF32 {
	if c < 1 || o < 1 {
		panic(fmt.Sprintf("kernel: 3×3 convolutions from %d to %d channels", c, o))
	}
	p := &WinogradF32{C: c, O: o}
	width := WinogradCols(o)
	for first := 0; first < o; first += width {
		part := winogradPart{first: first, cols: min(width, o-first)}
		for f := range part.taps {
			part.taps[f] = NewPackedF32(c, part.cols)
			p.bytes += part.taps[f].Bytes()
		}
		p.parts = append(p.parts, part)
	}
	return p
}

// winogradBuf is how many transformed values are made before they are packed.
const winogradBuf = 64 << 10

// Pack fills a part with the weights of its output channels, [cols, C, 3, 3], with which w
// begins. The transform is computed in float64 and rounded once. It reports whether all transformed
// weights are finite: direct convolution keeps an infinite weight, and NaN, to the results that
// they belong to. Calls for different parts may run concurrently.
func (p *WinogradF32) Pack(part int, w []float32) bool {
	t := &p.parts[part]
	rows := min(p.C, max(1, winogradBuf/(WinogradTaps*t.cols)))
	buf := make([]float32, WinogradTaps*rows*t.cols)
	for from := 0; from < p.C; from += rows {
		n := min(rows, p.C-from)
		size := n * t.cols
		for j := range t.cols {
			for i := range n {
				u := winogradWeights((*[9]float32)(w[(j*p.C+from+i)*9:]))
				for f, v := range u {
					x := float32(v)
					if x-x != 0 {
						return false
					}
					buf[f*size+i*t.cols+j] = x
				}
			}
		}
		for f, m := range t.taps {
			m.PackPart(buf[f*size:][:size], t.cols, false, from, from+n)
		}
	}
	return true
}

// WinogradCols returns the number of columns of the largest part of weights with o output channels.
func WinogradCols(o int) int {
	nr := bestGemmF32().nr
	return min(o, evenBlock((o+nr-1)/nr, max(1, winogradColumns/nr))*nr)
}

// winogradWeights returns G·g·Gᵀ by rows.
func winogradWeights(g *[9]float32) (u [WinogradTaps]float64) {
	var h [4][3]float64
	for j := range 3 {
		a, b, c := float64(g[j]), float64(g[3+j]), float64(g[6+j])
		h[0][j], h[1][j], h[2][j], h[3][j] = a, (a+b+c)/2, (a-b+c)/2, c
	}
	for i := range h {
		a, b, c := h[i][0], h[i][1], h[i][2]
		u[4*i], u[4*i+1], u[4*i+2], u[4*i+3] = a, (a+b+c)/2, (a-b+c)/2, c
	}
	return u
}

// Bytes returns the memory that the weights take.
func (p *WinogradF32) Bytes() int { return p.bytes }

// Parts returns the number of parts that output channels are divided into.
func (p *WinogradF32) Parts() int { return len(p.parts) }

// Part returns the output channels of a part: cols from first on, at most [WinogradCols].
func (p *WinogradF32) Part(i int) (first, cols int) { return p.parts[i].first, p.parts[i].cols }

// Multiply computes, for each position f, the n×cols matrix at dst[f*ldd] with rows of cols
// values as the product of the n×C matrix at src[f*lds] and the weights of a part.
func (p *WinogradF32) Multiply(part, n int, dst []float32, ldd int, src []float32, lds int) {
	w := &p.parts[part]
	for f, t := range w.taps {
		GemmPackedF32(n, src[f*lds:], p.C, t, 0, t.Panels(), dst[f*ldd:], w.cols, false, nil)
	}
}

// WinogradInputF32 sets, for n tiles of 4×4 positions and c channels, dst[f*ldf+t*c+i] to
// element f of Bᵀ·d·B, where d are the values src[(t*2+x)*pix+y*row+i] of tile t in column x and
// row y. Tiles overlap by half.
func WinogradInputF32(dst []float32, ldf int, src []float32, row, pix, n, c int) {
	if n < 1 || c < 1 {
		return
	}
	checkMatrix("dst", WinogradTaps, n*c, len(dst), ldf)
	if last := 3*row + (2*n+1)*pix + c; row < 0 || pix < 0 || last > len(src) {
		panic(fmt.Sprintf("kernel: %d tiles of %d channels, %d and %d apart, in %d values", n, c, row, pix, len(src)))
	}
	winogradInputF32(&dst[0], ldf, &src[0], row, pix, n, c)
}

// winogradOut are the arguments of winogradOutputF32. Assembly reads the fields by offset;
// TestWinogradLayout keeps the two in step.
type winogradOut struct {
	dst      *float32 // tile t, row y, column x, channel i at dst[y*row+(t*2+x)*pix+i]
	src      *float32 // position f of tile t, channel i at src[f*ldf+t*lds+i]
	bias     *float32 // c values
	row, pix int
	ldf, lds int
	n, c     int // at least 1
	act      int // 0 for none; any other is min(max(v < 0 ? alpha*v : v, lo), hi)
	alpha    float32
	lo, hi   float32
}

// WinogradOutputF32 sets, for n tiles of 2×2 results and c channels, dst[y*row+(t*2+x)*pix+i] to
// the element of Aᵀ·m·A in column x and row y plus bias[i], activated as ep says, where element f
// of m is src[f*ldf+t*c+i]. bias has c values; ep.Bias is not used.
func WinogradOutputF32(dst []float32, row, pix int, src []float32, ldf, n, c int, bias []float32, ep *Epilogue) {
	if n < 1 || c < 1 {
		return
	}
	checkMatrix("src", WinogradTaps, n*c, len(src), ldf)
	if last := row + (2*n-1)*pix + c; row < 0 || pix < 0 || last > len(dst) || len(bias) < c {
		panic(fmt.Sprintf("kernel: %d tiles of %d channels, %d and %d apart, in %d values, bias of %d", n, c, row, pix, len(dst), len(bias)))
	}
	t := winogradOut{dst: &dst[0], src: &src[0], bias: &bias[0], row: row, pix: pix, ldf: ldf, lds: c, n: n, c: c}
	if inRegisters(ep.Act) {
		t.act = int(ep.Act)
		t.alpha, t.lo, t.hi = ep.parameters()
	}
	winogradOutputF32(&t)
	if inRegisters(ep.Act) {
		return
	}
	for y := range 2 {
		for x := range 2 * n {
			r := dst[y*row+x*pix:][:c]
			ActivateF32(r, r, ep)
		}
	}
}

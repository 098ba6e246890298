package kernel

import "fmt"

// Winograd's minimal filtering F(2×2, 2×2) computes four neighbouring results of a 2×2
// convolution with nine products in place of sixteen: y = Aᵀ[(G·g·Gᵀ) ∘ (Bᵀ·d·B)]A, where d are
// the 3×3 values that the four windows cover, with
//
//	     1 -1  0        1  0
//	Bᵀ = 0  1  0    G = 1  1    Aᵀ = 1  1  0
//	     0 -1  1        0  1         0  1  1
//
// A 4×4 convolution with stride 2 is the sum of four such, one for each residue of rows and
// columns, and the transposed one is four of them side by side. The gradient of the weights has
// the same form, with d the operand, g the gradients of the results and y the gradient.

// HalvingTaps is the number of matrices that a 2×2 kernel becomes.
const HalvingTaps = 9

// halving are the arguments of the transforms. Assembly reads the fields by offset;
// TestHalvingLayout keeps the two in step.
type halving struct {
	wide     *float32 // in row y and column x of tile t, channel i at wide[y*row+(t*2+x)*pix+i]
	tall     *float32 // position f of tile t, channel i at tall[f*ldf+t*lds+i]
	bias     *float32 // c values, of the output transform
	row, pix int
	ldf, lds int
	n, c     int // at least 1
	act      int // as in winogradOut
	alpha    float32
	lo, hi   float32
}

// checkHalving panics unless n tiles of side×side positions and c channels fit.
func checkHalving(side, wide, row, pix, tall, ldf, lds, n, c int) {
	if last := (side-1)*row + (2*n+side-3)*pix + c; row < 0 || pix < 0 || last > wide {
		panic(fmt.Sprintf("kernel: %d tiles of %d channels, %d and %d apart, in %d values", n, c, row, pix, wide))
	}
	if last := (HalvingTaps-1)*ldf + (n-1)*lds + c; ldf < 0 || lds < 0 || last > tall {
		panic(fmt.Sprintf("kernel: %d transformed tiles of %d channels, %d and %d apart, in %d values", n, c, ldf, lds, tall))
	}
}

// HalvingInputF32 sets, for n tiles of 3×3 positions and c channels, dst[f*ldf+t*lds+i] to
// element f of Bᵀ·d·B, where d are the values src[(t*2+x)*pix+y*row+i] of tile t in column x and
// row y.
func HalvingInputF32(dst []float32, ldf, lds int, src []float32, row, pix, n, c int) {
	if n < 1 || c < 1 {
		return
	}
	checkHalving(3, len(src), row, pix, len(dst), ldf, lds, n, c)
	halvingInputF32(&halving{wide: &src[0], tall: &dst[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c})
}

// HalvingFilterF32 sets, for n tiles of 2×2 positions and c channels, dst[f*ldf+t*lds+i] to
// element f of G·g·Gᵀ, where g are the values src[(t*2+x)*pix+y*row+i] of tile t in column x and
// row y.
func HalvingFilterF32(dst []float32, ldf, lds int, src []float32, row, pix, n, c int) {
	if n < 1 || c < 1 {
		return
	}
	checkHalving(2, len(src), row, pix, len(dst), ldf, lds, n, c)
	halvingFilterF32(&halving{wide: &src[0], tall: &dst[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c})
}

// HalvingOutputF32 sets, for n tiles of 2×2 results and c channels, dst[y*row+(t*2+x)*pix+i] to
// the element of Aᵀ·m·A in column x and row y plus bias[i], activated as ep says, where element f
// of m is src[f*ldf+t*lds+i]. bias has c values; ep.Bias is not used.
func HalvingOutputF32(dst []float32, row, pix int, src []float32, ldf, lds, n, c int, bias []float32, ep *Epilogue) {
	if n < 1 || c < 1 {
		return
	}
	checkHalving(2, len(dst), row, pix, len(src), ldf, lds, n, c)
	if len(bias) < c {
		panic(fmt.Sprintf("kernel: %d values of bias for %d channels", len(bias), c))
	}
	t := halving{wide: &dst[0], tall: &src[0], bias: &bias[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c}
	if inRegisters(ep.Act) {
		t.act = int(ep.Act)
		t.alpha, t.lo, t.hi = ep.parameters()
	}
	halvingOutputF32(&t)
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

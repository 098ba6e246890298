//go:build !noasm && !gccgo

package kernel

func archOverlapQ8() []gemmQ8 {
	return []gemmQ8{
		{name: "vnni-16x16", id: tileVNNI, use: &useVNNI, mr: overlapPixels, nr: 4, kr: 4, a: leftU8},
		{name: "avxvnni-4x16", id: tileAVXVNNI, use: &useAVXVNNI, mr: stripPixels, nr: 4, kr: 4, a: leftU8},
		{name: "avx2-4x16", id: tileWide, use: &useAVX2I8, mr: stripPixels, nr: 4, kr: 4, a: leftU8},
	}
}

func runOverlapQ8(t *overlapQ8) { overlapQ8VNNI(t) }

// overlapQ8VNNI is, with taps(y, x) the 16 sums init[k] + Σ x(y, x)·w[k] of a pixel, edge to the right of the last pixel, and
// left before the first one,
//
//	for y := range rows {
//		for x := range 16 {
//			u := columns 0 and 1 of taps(y, x) + columns 2 and 3 of taps(y, x-1)
//			v := rows 0 and 1 of u + rows 2 and 3 of the u before, which is carry for the first row
//			results (2·y, 2·x), (2·y, 2·x+1), (2·y+1, 2·x), (2·y+1, 2·x+1) are v requantised, where first or masks say so
//		}
//	}
//
// It changes xAt, leftAt, lastAt, bottom and carry.
//
//go:noescape
func overlapQ8VNNI(t *overlapQ8)

//go:build !noasm && !gccgo

package kernel

import "unsafe"

// rowsOf is the slice that holds rows of cols elements, stride apart, from p on.
func rowsOf[T any](p *T, rows, stride, cols int) []T {
	return unsafe.Slice(p, (rows-1)*stride+cols)
}

// copyRows copies rows of cols elements from src to dst, whose rows are ss and ds elements apart.
func copyRows[T any](dst []T, ds int, src []T, ss, rows, cols int) {
	for i := range rows {
		d, s := dst[i*ds:][:cols], src[i*ss:][:cols]
		for j := range d {
			d[j] = s[j]
		}
	}
}

//go:build !noasm && !gccgo

package kernel

import "unsafe"

// copyRows copies rows of cols elements from src to dst, whose rows are ss and ds elements apart.
func copyRows[T any](dst *T, ds int, src *T, ss, rows, cols int) {
	d := unsafe.Slice(dst, (rows-1)*ds+cols)
	s := unsafe.Slice(src, (rows-1)*ss+cols)
	for i := range rows {
		to, from := d[i*ds:][:cols], s[i*ss:][:cols]
		for j := range to {
			to[j] = from[j]
		}
	}
}

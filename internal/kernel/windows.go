package kernel

import "fmt"

// windowLanes is how many values SumWindowsF32 reads and writes at a time.
const windowLanes = 8

// WindowSlack is how many values beyond what it computes SumWindowsF32 may overwrite, and beyond what it adds may read.
const WindowSlack = windowLanes - 1

// windowSum are the arguments of SumWindowsF32. Assembly reads the fields by offset; TestTileLayout keeps the two in step.
type windowSum struct {
	dst, first, src *float32
	at              *int
	n               int // of at
	rows, parts     int
	step, lds       int
}

// SumWindowsF32 adds up rows of src, which are windows of dst that begin step apart and overlap: row i of parts·step values
// belongs to dst[i*step:]. There are len(at) of such rows for each i, those of number t at src[at[t]+i*lds:]. Together with
// first,
//
//	dst[i*step+j] = first[i*step+j] + Σ src[at[t] + (i-p)*lds + p*step + j]
//
// for i < rows+parts-1 and j < step, where the sum runs over t, and within it over the p < parts with 0 ≤ i-p < rows. All
// three slices have WindowSlack values more than that; those of dst are overwritten.
func SumWindowsF32(dst, first []float32, step int, src []float32, at []int, lds, rows, parts int) {
	if step < 1 || rows < 1 || parts < 1 || lds < parts*step {
		panic(fmt.Sprintf("kernel: %d windows of %d parts of %d values, %d apart", rows, parts, step, lds))
	}
	n, need := (rows+parts-1)*step+WindowSlack, (rows-1)*lds+parts*step+WindowSlack
	for _, a := range at {
		if a < 0 || need > len(src)-a {
			panic(fmt.Sprintf("kernel: windows at %d need %d of %d values", a, need, len(src)))
		}
	}
	if n > len(dst) || n > len(first) {
		panic(fmt.Sprintf("kernel: %d windows, %d apart, do not fit in %d values", rows, step, min(len(dst), len(first))))
	}
	if len(at) == 0 {
		copy(dst[:n], first)
		return
	}
	sumWindowsF32(dst, first, step, src, at, lds, rows, parts)
}

func sumWindowsF32Generic(dst, first []float32, step int, src []float32, at []int, lds, rows, parts int) {
	for i := range rows + parts - 1 {
		d := dst[i*step:][:step]
		copy(d, first[i*step:])
		for _, a := range at {
			for p := max(0, i-rows+1); p <= min(parts-1, i); p++ {
				for j, v := range src[a+(i-p)*lds+p*step:][:step] {
					d[j] += v
				}
			}
		}
	}
}

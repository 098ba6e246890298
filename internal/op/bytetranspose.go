package op

import (
	endian "encoding/binary"

	"github.com/aekit/aekit/internal/parallel"
)

// transposeBytes sets dst, a cols×rows matrix, to the transpose of the rows×cols matrix src.
func transposeBytes(dst, src []uint8, rows, cols int) {
	i := 0
	for ; i+8 <= rows; i += 8 {
		j := 0
		for ; j+8 <= cols; j += 8 {
			transposeBlock(dst[j*rows+i:], rows, src[i*cols+j:], cols)
		}
		for ; j < cols; j++ {
			for k := i; k < i+8; k++ {
				dst[j*rows+k] = src[k*cols+j]
			}
		}
	}
	for ; i < rows; i++ {
		at := i
		for _, v := range src[i*cols:][:cols] {
			dst[at] = v
			at += rows
		}
	}
}

// transposeBlock transposes eight rows of eight bytes, by exchanging quarters, then quarters
// of those, and so on.
func transposeBlock(dst []uint8, ldd int, src []uint8, lds int) {
	var x [8]uint64
	for i := range x {
		x[i] = endian.LittleEndian.Uint64(src[i*lds:])
	}
	for i := range 4 {
		x[i], x[i+4] = exchange(x[i], x[i+4], 32, 0x00000000ffffffff)
	}
	for _, i := range [4]int{0, 1, 4, 5} {
		x[i], x[i+2] = exchange(x[i], x[i+2], 16, 0x0000ffff0000ffff)
	}
	for i := 0; i < 8; i += 2 {
		x[i], x[i+1] = exchange(x[i], x[i+1], 8, 0x00ff00ff00ff00ff)
	}
	for i, v := range x {
		endian.LittleEndian.PutUint64(dst[i*ldd:], v)
	}
}

// exchange swaps the bits of a that lie shift above mask with those of b in mask.
func exchange(a, b uint64, shift uint, mask uint64) (uint64, uint64) {
	t := (a>>shift ^ b) & mask
	return a ^ t<<shift, b ^ t
}

// rotation reports whether a permutation of the axes from lead on, up to which axes stay
// where they are, moves axes from split on before the others.
func rotation(perm []int) (lead, split int, ok bool) {
	n := len(perm)
	for lead < n && perm[lead] == lead {
		lead++
	}
	if lead == n {
		return lead, n, false
	}
	split = perm[lead]
	for i := lead; i < n; i++ {
		want := split + i - lead
		if want >= n {
			want += lead - n
		}
		if perm[i] != want {
			return lead, split, false
		}
	}
	return lead, split, true
}

// byteTransposes is one run that transposes byte matrices. Kept in a node's state.
type byteTransposes struct {
	spreader
	dst, src   []uint8
	rows, cols int
}

// transposeAll transposes n matrices.
func (t *byteTransposes) transposeAll(pool *parallel.Pool, n, rows, cols int, dst, src []uint8) {
	if t.f == nil {
		t.f = t.matrices
	}
	t.dst, t.src, t.rows, t.cols = dst, src, rows, cols
	t.run(pool, n, mulSize(copyCost, len(src)))
	t.dst, t.src = nil, nil
}

func (t *byteTransposes) matrices(lo, hi int) {
	size := t.rows * t.cols
	for i := lo; i < hi; i++ {
		transposeBytes(t.dst[i*size:], t.src[i*size:][:size], t.rows, t.cols)
	}
}

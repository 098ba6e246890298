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
	load := func(i int) uint64 { return endian.LittleEndian.Uint64(src[i*lds:]) }
	x0, x1, x2, x3 := load(0), load(1), load(2), load(3)
	x4, x5, x6, x7 := load(4), load(5), load(6), load(7)
	x0, x4 = exchange(x0, x4, 32, 0x00000000ffffffff)
	x1, x5 = exchange(x1, x5, 32, 0x00000000ffffffff)
	x2, x6 = exchange(x2, x6, 32, 0x00000000ffffffff)
	x3, x7 = exchange(x3, x7, 32, 0x00000000ffffffff)
	x0, x2 = exchange(x0, x2, 16, 0x0000ffff0000ffff)
	x1, x3 = exchange(x1, x3, 16, 0x0000ffff0000ffff)
	x4, x6 = exchange(x4, x6, 16, 0x0000ffff0000ffff)
	x5, x7 = exchange(x5, x7, 16, 0x0000ffff0000ffff)
	x0, x1 = exchange(x0, x1, 8, 0x00ff00ff00ff00ff)
	x2, x3 = exchange(x2, x3, 8, 0x00ff00ff00ff00ff)
	x4, x5 = exchange(x4, x5, 8, 0x00ff00ff00ff00ff)
	x6, x7 = exchange(x6, x7, 8, 0x00ff00ff00ff00ff)
	endian.LittleEndian.PutUint64(dst, x0)
	endian.LittleEndian.PutUint64(dst[1*ldd:], x1)
	endian.LittleEndian.PutUint64(dst[2*ldd:], x2)
	endian.LittleEndian.PutUint64(dst[3*ldd:], x3)
	endian.LittleEndian.PutUint64(dst[4*ldd:], x4)
	endian.LittleEndian.PutUint64(dst[5*ldd:], x5)
	endian.LittleEndian.PutUint64(dst[6*ldd:], x6)
	endian.LittleEndian.PutUint64(dst[7*ldd:], x7)
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

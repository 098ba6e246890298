package kernel

import (
	"encoding/binary"
	"fmt"
)

// FillU8 sets every byte of dst to v.
func FillU8(dst []uint8, v uint8) {
	if v == 0 {
		clear(dst)
		return
	}
	words, n := uint64(v)*0x0101010101010101, 0
	for ; n+8 <= min(len(dst), 64); n += 8 {
		binary.LittleEndian.PutUint64(dst[n:], words)
	}
	if n < 64 {
		for ; n < len(dst); n++ {
			dst[n] = v
		}
		return
	}
	for ; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// TransposeU8 sets dst, a cols×rows matrix, to the transpose of the rows×cols matrix src. They do not overlap.
func TransposeU8(dst, src []uint8, rows, cols int) {
	if n := rows * cols; len(dst) < n || len(src) < n {
		panic(fmt.Sprintf("kernel: transpose of %d×%d in %d and %d bytes", rows, cols, len(src), len(dst)))
	}
	if !transposeU8(dst, src, rows, cols) {
		transposeU8Generic(dst, src, rows, cols)
	}
}

func transposeU8Generic(dst, src []uint8, rows, cols int) {
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
	load := func(i int) uint64 { return binary.LittleEndian.Uint64(src[i*lds:]) }
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
	binary.LittleEndian.PutUint64(dst, x0)
	binary.LittleEndian.PutUint64(dst[1*ldd:], x1)
	binary.LittleEndian.PutUint64(dst[2*ldd:], x2)
	binary.LittleEndian.PutUint64(dst[3*ldd:], x3)
	binary.LittleEndian.PutUint64(dst[4*ldd:], x4)
	binary.LittleEndian.PutUint64(dst[5*ldd:], x5)
	binary.LittleEndian.PutUint64(dst[6*ldd:], x6)
	binary.LittleEndian.PutUint64(dst[7*ldd:], x7)
}

// exchange swaps the bits of a that lie shift above mask with those of b in mask.
func exchange(a, b uint64, shift uint, mask uint64) (uint64, uint64) {
	t := (a>>shift ^ b) & mask
	return a ^ t<<shift, b ^ t
}

// JoinRunsU8 sets dst[i*n:][:n] to src[i*lds:][:n] for i < rows: runs of bytes that lie apart come to lie side by side.
// dst and src do not overlap.
func JoinRunsU8(dst, src []uint8, lds, rows, n int) {
	if rows == 0 || n == 0 {
		return
	}
	checkMatrix("dst", rows, n, len(dst), n)
	checkRows("src", rows, n, len(src), lds)
	done := joinRunsU8(dst, src, lds, rows, n)
	for i := done; i < rows; i++ {
		d, s := dst[i*n:][:n], src[i*lds:][:n]
		for j, v := range s {
			d[j] = v
		}
	}
}

// CopyRowsU8 sets dst[i*ldd+j] to src[i*lds+j] with the bits of flip inverted, for i < rows and j < n. dst and src do not
// overlap.
func CopyRowsU8(dst []uint8, ldd int, src []uint8, lds, rows, n int, flip uint8) {
	if rows == 0 || n == 0 {
		return
	}
	checkMatrix("dst", rows, n, len(dst), ldd)
	checkRows("src", rows, n, len(src), lds)
	if copyRowsU8(dst, ldd, src, lds, rows, n, flip) {
		return
	}
	for i := range rows {
		if d, s := dst[i*ldd:][:n], src[i*lds:][:n]; flip == 0 {
			copy(d, s)
		} else {
			flipBytes(d, s, flip)
		}
	}
}

package op

import (
	"slices"
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// strided describes a read of src in an order that is not its own: element
// (i0, i1, …) of the result is src[off + i0*st[0] + i1*st[1] + …]. Steps may be zero
// (broadcast) or negative.
type strided struct {
	dims, st []int
	off      int
}

// reset empties s and keeps its memory.
func (s *strided) reset() { s.dims, s.st, s.off = s.dims[:0], s.st[:0], 0 }

// axis appends an axis, outermost first. It drops an extent of 1 and merges with the axis
// before it where the two are one run of memory.
//
//go:noinline
func (s *strided) axis(dim, step int) {
	if dim == 1 {
		return
	}
	if n := len(s.dims); n > 0 && s.st[n-1] == step*dim {
		s.dims[n-1] *= dim
		s.st[n-1] = step
		return
	}
	s.dims = append(s.dims, dim)
	s.st = append(s.st, step)
}

// moveGrain is how many bytes a chunk of a movement writes.
const moveGrain = 256 << 10

// From moveShare bytes on, the pixels of a single picture that changes between planes and channels-last, moveLeast or more to a
// thread, are shared out: threads then read and write what is theirs in the operators beside.
const (
	moveShare = 32 << 10
	moveLeast = 256
)

// mover is the task of a strided copy. It lives in the node's state.
type mover struct {
	strided
	dst, src *tensor.Tensor
	rows     int // indices of the outermost axis in one chunk
	parts    int // if not 0, chunks are so many shares of the columns of a transpose
}

// run copies to all of dst the elements of src that m's axes select.
func (m *mover) run(ctx *Context, dst, src *tensor.Tensor) {
	if dst.Elems() == 0 {
		return
	}
	m.dst, m.src = dst, src
	if len(m.dims) == 0 {
		m.dims, m.st = append(m.dims, 1), append(m.st, 1)
	}
	row := len(dst.Bytes()) / m.dims[0]
	least := 1
	if len(m.dims) == 2 && m.st[0] == 1 {
		least = 8 // a transpose reads neighbouring elements together
	}
	m.rows, m.parts = min(max(least, moveGrain/max(row, 1)), m.dims[0]), 0
	chunks := (m.dims[0] + m.rows - 1) / m.rows
	if n := ctx.Pool.Threads(); Complete && n > 1 && chunks == 1 && len(dst.Bytes()) >= moveShare && m.transposes32() {
		switch {
		case m.dims[0] >= n*moveLeast:
			m.rows = ceilDiv(ceilDiv(m.dims[0], n), cacheLine) * cacheLine
			chunks = ceilDiv(m.dims[0], m.rows)
		case m.dims[1] >= n*moveLeast:
			m.parts, chunks = n, n
		}
	}
	ctx.Pool.Run(chunks, m)
	m.dst, m.src = nil, nil
}

// transposes32 reports whether the copy is the transpose of a matrix of 32-bit values.
func (m *mover) transposes32() bool {
	return m.dst.DType().Size() == 4 && len(m.dims) == 2 && m.st[0] == 1 && m.st[1] >= m.dims[0]
}

// Do implements [parallel.Task].
func (m *mover) Do(chunk, _ int) {
	if Complete && m.parts > 0 {
		rows, cols := m.dims[0], m.dims[1]
		lo, hi := chunkRange(cols, m.parts, chunk)
		dst, src := asFloats(words[uint32](m.dst)), asFloats(words[uint32](m.src))
		kernel.TransposeF32(dst[lo:], cols, src[m.off+lo*m.st[1]:], m.st[1], hi-lo, rows)
		return
	}
	switch m.dst.DType().Size() {
	case 1:
		moveChunk[uint8](m, chunk)
	case 2:
		moveChunk[uint16](m, chunk)
	case 4:
		moveChunk[uint32](m, chunk)
	case 8:
		moveChunk[uint64](m, chunk)
	}
}

var _ parallel.Task = (*mover)(nil)

func moveChunk[T word](m *mover, chunk int) {
	lo := chunk * m.rows
	n := min(m.rows, m.dims[0]-lo)
	row := product(m.dims[1:])
	dst := words[T](m.dst)[lo*row : (lo+n)*row]
	gather(dst, words[T](m.src), m.off+lo*m.st[0], n, m.dims, m.st)
}

// gather fills dst, whose axes are n, dims[1], dims[2] …, from src.
func gather[T word](dst, src []T, off, n int, dims, st []int) {
	switch len(dims) {
	case 1:
		gather1(dst, src, off, n, st[0])
		return
	case 2:
		if st[1] != 1 && (st[0] == 1 || st[0] == -1) {
			transpose2(dst, src, off, n, dims[1], st[0], st[1])
			return
		}
		for range n {
			gather1(dst[:dims[1]], src, off, dims[1], st[1])
			dst = dst[dims[1]:]
			off += st[0]
		}
		return
	}
	row := product(dims[1:])
	for range n {
		gather(dst[:row], src, off, dims[1], dims[1:], st[1:])
		dst = dst[row:]
		off += st[0]
	}
}

func gather1[T word](dst, src []T, off, n, step int) {
	switch step {
	case 1:
		copy(dst[:n], src[off:off+n])
	case 0:
		v := src[off]
		for i := range dst[:n] {
			dst[i] = v
		}
	default:
		for i := range dst[:n] {
			dst[i] = src[off]
			off += step
		}
	}
}

// transpose2 is gather for two axes of which the outer one is contiguous in src. It works
// in square blocks, so that each cache line of either side is visited once.
func transpose2[T word](dst, src []T, off, rows, cols, st0, st1 int) {
	if unsafe.Sizeof(dst[0]) == 4 && st0 == 1 && st1 >= rows {
		kernel.TransposeF32(asFloats(dst), cols, asFloats(src[off:]), st1, cols, rows)
		return
	}
	const block = 16
	for i := 0; i < rows; i += block {
		ib := min(block, rows-i)
		for j := 0; j < cols; j += block {
			jb := min(block, cols-j)
			for ii := i; ii < i+ib; ii++ {
				o := off + ii*st0 + j*st1
				d := dst[ii*cols+j : ii*cols+j+jb]
				for jj := range d {
					d[jj] = src[o]
					o += st1
				}
			}
		}
	}
}

// asFloats returns the elements, which have 32 bits, as float32 values.
func asFloats[T word](s []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// rowMajor appends to st[:0] the row-major steps of a shape.
//
//go:noinline
func rowMajor(st []int, s tensor.Shape) []int {
	st = slices.Grow(st[:0], len(s))[:len(s)]
	n := 1
	for i := len(s) - 1; i >= 0; i-- {
		st[i] = n
		n *= s[i]
	}
	return st
}

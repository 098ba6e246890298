package op

import (
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// indexMap moves elements whose source index along each axis is a function of the index
// along that axis of the result alone: padding and nearest-neighbour resizing. It works on
// bytes, so on any element type. Kept in a node's state, it does not allocate.
type indexMap struct {
	task     spreader
	axes     []indexAxis
	block    int // bytes that one index of the last axis stands for
	row      int // bytes of one row: all of the last axis
	dst, src []byte
	outside  []byte // one element, for source index -1
}

// indexAxis is one axis: at[i] is the source index of index i of the result, or -1. From
// index run to index run+copied, source indices are consecutive.
type indexAxis struct {
	at          []int
	in          int
	run, copied int
	doubled     bool // at[i] is i/2
	pitch       int  // bytes between neighbours in the source
}

// reset prepares for an axis list that ends in whole blocks of the given bytes.
func (m *indexMap) reset(block int) {
	m.axes, m.block = m.axes[:0], block
}

// axis appends an axis, outermost first, and returns its table for the caller to fill.
//
//go:noinline
func (m *indexMap) axis(in, out int) []int {
	if n := len(m.axes); n < cap(m.axes) {
		m.axes = m.axes[:n+1]
	} else {
		m.axes = append(m.axes, indexAxis{})
	}
	a := &m.axes[len(m.axes)-1]
	a.in = in
	if cap(a.at) < out {
		a.at = make([]int, out)
	}
	a.at = a.at[:out]
	return a.at
}

// move fills dst from src. fill is one element.
func (m *indexMap) move(pool *parallel.Pool, dst, src, fill []byte) {
	if len(dst) == 0 {
		return
	}
	if len(m.axes) == 0 {
		m.axis(1, 1)[0] = 0
	}
	if m.task.f == nil {
		m.task.f = m.rows
	}
	pitch := m.block
	for i := len(m.axes) - 1; i >= 0; i-- {
		a := &m.axes[i]
		a.pitch = pitch
		pitch *= a.in
		a.longestRun()
	}
	m.row = m.block * len(m.axes[len(m.axes)-1].at)
	m.dst, m.src, m.outside = dst, src, fill
	m.task.run(pool, len(dst)/m.row, 4*len(dst))
	m.dst, m.src, m.outside = nil, nil, nil
}

// longestRun sets run, copied and doubled.
func (a *indexAxis) longestRun() {
	a.run, a.copied, a.doubled = 0, 0, len(a.at) == 2*a.in
	for i, p := range a.at {
		a.doubled = a.doubled && p == i/2
	}
	for i := 0; i < len(a.at); {
		j := i + 1
		if a.at[i] >= 0 {
			for j < len(a.at) && a.at[j] == a.at[j-1]+1 {
				j++
			}
			if j-i > a.copied {
				a.run, a.copied = i, j-i
			}
		}
		i = j
	}
}

func (m *indexMap) rows(lo, hi int) {
	outer, last := m.axes[:len(m.axes)-1], &m.axes[len(m.axes)-1]
	before := -1 // the source of the row before
	for u := lo; u < hi; u++ {
		dst := m.dst[u*m.row:][:m.row]
		off, rest, outside := 0, u, false
		for i := len(outer) - 1; i >= 0; i-- {
			a := &outer[i]
			p := a.at[rest%len(a.at)]
			rest /= len(a.at)
			outside = outside || p < 0
			off += p * a.pitch
		}
		if outside {
			fillBytes(dst, m.outside)
			before = -1
			continue
		}
		if off == before {
			copy(dst, m.dst[(u-1)*m.row:])
			continue
		}
		before = off
		src := m.src[off:]
		if last.doubled && m.block == 4 {
			s := asFloats(wordsAt(src)[:last.in])
			kernel.InterleaveF32(asFloats(wordsAt(dst)), s, s)
			continue
		}
		m.pick(dst, src, last, 0, last.run)
		if last.copied > 0 {
			copy(dst[last.run*m.block:][:last.copied*m.block], src[last.at[last.run]*m.block:])
		}
		m.pick(dst, src, last, last.run+last.copied, len(last.at))
	}
}

// pick moves the blocks [from, to) of a row one by one.
func (m *indexMap) pick(dst, src []byte, a *indexAxis, from, to int) {
	if from == to {
		return
	}
	switch m.block {
	case 4:
		pickBlocks[[1]uint32](m, dst, src, a.at, from, to)
		return
	case 8:
		pickBlocks[[2]uint32](m, dst, src, a.at, from, to)
		return
	case 12:
		pickBlocks[[3]uint32](m, dst, src, a.at, from, to)
		return
	case 16:
		pickBlocks[[4]uint32](m, dst, src, a.at, from, to)
		return
	}
	for i := from; i < to; i++ {
		to := dst[i*m.block:][:m.block]
		if p := a.at[i]; p >= 0 {
			copy(to, src[p*m.block:])
		} else {
			fillBytes(to, m.outside)
		}
	}
}

// pickBlocks is pick for blocks of the size of T. It fills runs of one source index from a variable.
func pickBlocks[T [1]uint32 | [2]uint32 | [3]uint32 | [4]uint32](m *indexMap, dst, src []byte, at []int, from, to int) {
	var outside T
	size := unsafe.Sizeof(outside)
	fillBytes(unsafe.Slice((*byte)(unsafe.Pointer(&outside)), size), m.outside)
	d := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(len(dst))/size)
	s := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(src))), uintptr(len(src))/size)
	at, d = at[from:to], d[from:to]
	for i := 0; i < len(at); {
		p, v := at[i], outside
		if p >= 0 {
			v = s[p]
		}
		for ; i < len(at) && at[i] == p; i++ {
			d[i] = v
		}
	}
}

// wordsAt returns bytes, whose address is a multiple of 4, as words.
func wordsAt(b []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// fillBytes repeats an element over dst.
func fillBytes(dst, element []byte) {
	n := copy(dst, element)
	for n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}

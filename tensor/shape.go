package tensor

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Shape is the extent of each axis, outermost first. An empty Shape is a scalar.
// Extents are zero or positive in every Shape that a [Tensor] has.
type Shape []int

// Elems returns the number of elements, and false if an extent is negative or the
// product does not fit an int.
//
//go:noinline
func (s Shape) Elems() (int, bool) {
	n := 1
	for _, d := range s {
		if d < 0 {
			return 0, false
		}
	}
	for _, d := range s {
		if d == 0 {
			return 0, true
		}
		if n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Equal reports whether s and t have the same rank and extents.
//
//go:noinline
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// Clone returns a copy; the copy of an empty Shape is not nil.
//
//go:noinline
func (s Shape) Clone() Shape { return append(Shape{}, s...) }

// shownAxes bounds the text of a shape: one from a hostile file may have millions of axes.
const shownAxes = 64

// String formats s as "[2 3 4]", and a scalar as "[]". Of more than 64 axes it shows the first
// 64, and their number.
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range s {
		if i > 0 {
			b.WriteByte(' ')
		}
		if i == shownAxes {
			fmt.Fprintf(&b, "... %d axes", len(s))
			break
		}
		fmt.Fprint(&b, d)
	}
	b.WriteByte(']')
	return b.String()
}

// Strides returns the row-major distance, in elements, between neighbours along each axis.
func (s Shape) Strides() []int {
	st := make([]int, len(s))
	n := 1
	for i := len(s) - 1; i >= 0; i-- {
		st[i] = n
		n *= s[i]
	}
	return st
}

// Axis turns an ONNX axis, which may be negative (counted from the end), into an index
// below rank.
func Axis(axis, rank int) (int, error) {
	a := axis
	if a < 0 {
		a += rank
	}
	if a < 0 || a >= rank {
		return 0, fmt.Errorf("axis %d out of range for rank %d", axis, rank)
	}
	return a, nil
}

// Broadcast returns the shape that shapes broadcast to (ONNX "Multidirectional
// Broadcasting": axes are aligned at the end, an extent of 1 stretches).
func Broadcast(shapes ...Shape) (Shape, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make(Shape, rank)
	for i := range out {
		out[i] = 1
	}
	for _, s := range shapes {
		off := rank - len(s)
		for i, d := range s {
			switch o := out[off+i]; {
			case d == o || d == 1:
			case o == 1:
				out[off+i] = d
			default:
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes)
			}
		}
	}
	return out, nil
}

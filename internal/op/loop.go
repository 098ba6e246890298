package op

import (
	"github.com/aekit/aekit/tensor"
)

// loop walks over up to three operands that are broadcast to one shape. Axes over which
// all operands run on are merged; the innermost axis is left to the caller, as a run of
// elements with one step for each operand.
type loop struct {
	dims []int
	st   [3][]int // steps of each operand by axis; 0 where it is broadcast
	idx  []int
	pos  [3]int // where the current run begins in each operand
	at   int    // where the current run begins in the output
	left int    // runs that are still to come
	n    int
}

// init prepares a walk over an output of shape to, with operands of the given shapes.
func (l *loop) init(to tensor.Shape, a, b, c tensor.Shape) {
	l.dims = l.dims[:0]
	for k := range l.st {
		l.st[k] = l.st[k][:0]
	}
	from := [3]tensor.Shape{a, b, c}
	var step [3]int // row-major step of the next axis, going inwards out
	step = [3]int{1, 1, 1}
	// Axes are collected innermost first and turned round at the end.
	for i := len(to) - 1; i >= 0; i-- {
		var st [3]int
		for k, s := range from {
			j := i - len(to) + len(s)
			if j >= 0 && s[j] != 1 {
				st[k] = step[k]
				step[k] *= s[j]
			}
		}
		d := to[i]
		if d == 1 {
			continue
		}
		if n := len(l.dims); n > 0 && l.merges(n-1, st) {
			l.dims[n-1] *= d
			continue
		}
		l.dims = append(l.dims, d)
		for k := range st {
			l.st[k] = append(l.st[k], st[k])
		}
	}
	if len(l.dims) == 0 {
		l.dims = append(l.dims, 1)
		for k := range l.st {
			l.st[k] = append(l.st[k], 0)
		}
	}
	l.idx = append(l.idx[:0], l.dims...)
	clear(l.idx)
	l.pos = [3]int{}
	l.n = l.dims[0]
	l.left = 1
	for _, d := range l.dims {
		if d == 0 {
			l.left = 0
		}
	}
	if l.left == 1 {
		l.left = product(l.dims[1:])
	}
	l.at = -l.n
}

// merges reports whether an axis with steps st continues axis k, which is inside it.
func (l *loop) merges(k int, st [3]int) bool {
	for o := range st {
		if st[o] != l.st[o][k]*l.dims[k] {
			return false
		}
	}
	return true
}

// inner returns the length of a run and the step of each operand along it.
func (l *loop) inner() (n, a, b, c int) { return l.n, l.st[0][0], l.st[1][0], l.st[2][0] }

// next goes to the next run and reports whether there is one.
func (l *loop) next() bool {
	if l.left == 0 {
		return false
	}
	l.left--
	l.at += l.n
	if l.at == 0 {
		return true
	}
	for a := 1; a < len(l.dims); a++ {
		l.idx[a]++
		for k := range l.pos {
			l.pos[k] += l.st[k][a]
		}
		if l.idx[a] < l.dims[a] {
			return true
		}
		for k := range l.pos {
			l.pos[k] -= l.idx[a] * l.st[k][a]
		}
		l.idx[a] = 0
	}
	return true
}

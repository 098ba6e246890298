package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

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
		kernel.TransposeU8(t.dst[i*size:], t.src[i*size:][:size], t.rows, t.cols)
	}
}

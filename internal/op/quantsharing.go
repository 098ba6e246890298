package op

import "github.com/aekit/aekit/internal/parallel"

// chunk8Work is chunkWork for kernels that requantise in registers, which take a fraction of the time.
const chunk8Work = chunkWork / 2

// sharing is for how many threads work of 8-bit values is divided. Bands that overlap read their common rows twice, and
// panels of weights go through fewer rows where there are more of them: there are no more than threads can use.
type sharing int

const (
	alone sharing = iota // one thread: nothing is shared
	pair
	few // three or four
	many
	sharings
)

func sharingOf(pool *parallel.Pool) sharing { return sharingFor(pool.Threads()) }

func sharingFor(threads int) sharing {
	switch n := threads; {
	case n == 1:
		return alone
	case n == 2:
		return pair
	case n <= 4:
		return few
	}
	return many
}

// pairWork is the work up to which two threads get a chunk each. What takes longer is cut into more, since one of them may be
// interrupted.
const pairWork = 128 * chunk8Work

// chunks returns into how many chunks an amount of work is to be cut, at most.
func (s sharing) chunks(work int) int {
	n := 1
	switch {
	case s == many:
		n = maxChunks
	case s == few:
		n = 12
	case s == pair && work <= pairWork:
		n = 2
	case s == pair:
		n = 8
	}
	return min(work/chunk8Work, n)
}

// band returns how many of the rows that a band may have it is to have, where each of n images has cells of them.
func (s sharing) band(rows, cells, n, work int) int {
	switch want := s.chunks(work) / max(1, n); {
	case want == 2:
		return max(1, min(rows, ceilDiv(cells, 2))) // not a third band of what is left
	case want > 1:
		return max(1, min(rows, cells/want))
	}
	return rows
}

// split returns into how many chunks units of the given total work are cut.
func (s sharing) split(units, work int) int {
	if s == alone {
		return 1
	}
	return max(1, min(units, work/chunk8Work, maxChunks))
}

// plansFor returns a plan for each number of threads.
func plansFor[P any](plan func(sharing) P) (plans [sharings]P) {
	for by := range sharings {
		plans[by] = plan(by)
	}
	return plans
}

// scratch8 is the scratch memory of a run: what all threads read, and a part for each chunk or, of several for a thread, for each thread.
type scratch8 struct{ common, part, parts int }

func (s scratch8) bytes() int { return addSize(s.common, slotBytes(s.parts, s.part)) }

// of returns the memory for a number of threads, and how much of it lies before that of the second.
func (s scratch8) of(threads int) (size, first int) {
	s.parts = min(s.parts, threads)
	if s.parts < 2 {
		return s.bytes(), 0
	}
	return s.bytes(), s.common + s.part + slotGap/2
}

// bytesFor returns the scratch memory of a run for a number of threads, or if that is maxSize for any, as WorkspaceFor does.
func bytesFor(threads int, scratch func(sharing) scratch8) (size, first int) {
	if threads < maxSize {
		return scratch(sharingFor(threads)).of(threads)
	}
	for by := range sharings {
		size = max(size, scratch(by).bytes())
	}
	return size, 0
}

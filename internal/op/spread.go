package op

import "github.com/aekit/aekit/internal/parallel"

// spreader runs a loop over units on a pool. Kept in a node's state with f set once, it
// does not allocate.
type spreader struct {
	f         func(lo, hi int)
	n, chunks int
}

// Do implements [parallel.Task].
func (s *spreader) Do(chunk, _ int) { s.f(chunkRange(s.n, s.chunks, chunk)) }

// run calls f for consecutive ranges of [0, units). work is the total work, in units of
// one multiply-add; the ranges depend on units and work only.
func (s *spreader) run(pool *parallel.Pool, units, work int) {
	if units <= 0 {
		return
	}
	s.n, s.chunks = units, chunksFor(units, work)
	pool.Run(s.chunks, s)
}

// spread is spreader.run for a function that is made for the occasion.
func spread(pool *parallel.Pool, units, work int, f func(lo, hi int)) {
	s := &spreader{f: f}
	s.run(pool, units, work)
}

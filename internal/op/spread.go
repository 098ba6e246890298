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
	keep(&s.n, units)
	keep(&s.chunks, chunksFor(units, work))
	pool.Run(s.chunks, s)
}

// spread is spreader.run for a function that is made for the occasion.
//
//go:noinline
func spread(pool *parallel.Pool, units, work int, f func(lo, hi int)) {
	s := &spreader{f: f}
	s.run(pool, units, work)
}

// slotTask runs units of which each needs a slot of scratch memory. Kept in a node's state with f set once, it does not
// allocate.
type slotTask struct {
	f                   func(u, slot int)
	first, wave, chunks int
	bySlot              bool // units of a wave have slots of their own; else workers have
}

// Do implements [parallel.Task].
func (s *slotTask) Do(chunk, worker int) {
	lo, hi := chunkRange(s.wave, s.chunks, chunk)
	for u := lo; u < hi; u++ {
		slot := worker
		if s.bySlot {
			slot = u
		}
		s.f(s.first+u, slot)
	}
}

// run calls f for each of the units, no two of the same slot at the same time. Where there are more threads than slots,
// as many units as slots at a time. work is the total work, in units of one multiply-add.
func (s *slotTask) run(pool *parallel.Pool, units, slots, work int) {
	wave := units
	keep(&s.bySlot, pool.Threads() > slots)
	if s.bySlot {
		wave = slots
	}
	for first := 0; first < units; first += wave {
		keep(&s.first, first)
		keep(&s.wave, min(wave, units-first))
		keep(&s.chunks, chunksFor(s.wave, work/units*s.wave))
		pool.Run(s.chunks, s)
	}
}

package parallel

import (
	goruntime "runtime"
	"sync/atomic"
)

// sleeper is where one thread at a time sleeps until others wake it.
type sleeper struct {
	state  atomic.Uint32
	signal chan struct{}
	place  place
}

// States of a sleeper.
const (
	awake     = iota
	parked    // the goroutine waits for the signal
	suspended // the thread waits in the kernel, and keeps its P for a while
	waking    // the same, while it is being woken
)

func newSleeper() sleeper { return sleeper{signal: make(chan struct{}, 1)} }

// sleep returns when ready is true or the sleeper has been woken. threads is how many threads work together: if not all of
// them can run at the same time, those that sleep must leave their P at once.
func (s *sleeper) sleep(threads int, ready func() bool) {
	if threads <= goruntime.GOMAXPROCS(0) && s.suspend(ready) {
		return
	}
	s.state.Store(parked)
	if !ready() || !s.state.CompareAndSwap(parked, awake) {
		<-s.signal
	}
}

// wake ends the sleep. It costs a load if nobody sleeps.
func (s *sleeper) wake() {
	switch s.state.Load() {
	case parked:
		if s.state.CompareAndSwap(parked, awake) {
			s.signal <- struct{}{}
		}
	case suspended:
		if s.state.CompareAndSwap(suspended, waking) {
			s.resume()
		}
	}
}

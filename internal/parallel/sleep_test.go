package parallel

import (
	goruntime "runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestSleepAndWake lets two threads wake each other in turn, asleep in the kernel and as goroutines.
func TestSleepAndWake(t *testing.T) {
	for _, threads := range []int{2, goruntime.GOMAXPROCS(0) + 1} {
		var turn atomic.Int64
		a, b := newSleeper(), newSleeper()
		const rounds = 2000
		player := func(self, other *sleeper, parity int64) {
			for {
				mine := func() bool { return turn.Load()%2 == parity }
				for !mine() {
					self.sleep(threads, mine)
				}
				n := turn.Add(1)
				other.wake()
				if n >= rounds {
					return
				}
			}
		}
		done := make(chan struct{})
		go func() {
			player(&b, &a, 1)
			close(done)
		}()
		player(&a, &b, 0)
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%d threads: a thread was not woken", threads)
		}
		if a.state.Load() != awake || b.state.Load() != awake {
			t.Errorf("%d threads: a sleeper is left in state %d, %d", threads, a.state.Load(), b.state.Load())
		}
	}
}

func TestSleepNotWhenReady(t *testing.T) {
	for _, threads := range []int{1, goruntime.GOMAXPROCS(0) + 1} {
		s := newSleeper()
		s.sleep(threads, func() bool { return true })
		s.wake()
		if s.state.Load() != awake || len(s.signal) != 0 {
			t.Errorf("%d threads: state %d and %d signals after no sleep", threads, s.state.Load(), len(s.signal))
		}
	}
}

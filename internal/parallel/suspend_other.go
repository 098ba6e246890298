//go:build !linux

package parallel

// place is how a thread wakes up on a processor of its own, which is left to the system.
type place struct{}

func (s *sleeper) suspend(func() bool) bool { return false }

func (s *sleeper) resume() {}

package parallel

import (
	"math/bits"
	goruntime "runtime"
	"syscall"
	"unsafe"
)

// cpuSet is a set of logical processors. Where there are more than it can hold, threads are not placed.
type cpuSet [1024 / bits.UintSize]uintptr

// place is what it takes to let a thread wake up on another processor than the one that wakes it. Kernels put a thread that
// another has woken beside that one, expecting it to go to sleep; some leave it there for milliseconds.
//
// Both sets are read when the thread is woken, and the first is restored only if nobody has replaced the second meanwhile: what
// others say about where the thread may run holds, unless they say it between two system calls that follow each other.
type place struct {
	tid   uintptr
	cpus  cpuSet  // where the thread may run
	fewer cpuSet  // where it may run until it has woken up
	size  uintptr // bytes of the sets that the kernel has
	moved bool    // until it has woken up, it may not run everywhere
}

// allowed sets c to where a thread may run, 0 being this one, and returns how many bytes of it the kernel has, or 0.
func (c *cpuSet) allowed(tid uintptr) uintptr {
	n, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, tid, unsafe.Sizeof(*c), uintptr(unsafe.Pointer(c)))
	if errno != 0 {
		return 0
	}
	return n
}

// Operations of the futex system call.
const (
	futexWait = 0 | 128 // of this process only
	futexWake = 1 | 128
)

// suspend is sleep in the kernel.
func (s *sleeper) suspend(ready func() bool) bool {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	p := &s.place
	p.tid, _, _ = syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	s.state.Store(suspended)
	if ready() && s.state.CompareAndSwap(suspended, awake) {
		return true
	}
	for {
		state := s.state.Load()
		if state == awake {
			break
		}
		_, _, errno := syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&s.state)), futexWait, uintptr(state), 0, 0, 0)
		if errno == syscall.ENOSYS || errno == syscall.EPERM {
			goruntime.Gosched()
		}
	}
	if p.moved {
		p.moved = false
		var now cpuSet
		if now.allowed(0) == p.size && now == p.fewer {
			syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, p.size, uintptr(unsafe.Pointer(&p.cpus)))
		}
	}
	return true
}

// resume wakes the thread that waits in the kernel, on another processor than this one if there is one.
func (s *sleeper) resume() {
	p := &s.place
	var cpu uint32
	_, _, errno := syscall.RawSyscall(sysGetcpu, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	p.cpus = cpuSet{}
	if p.size = p.cpus.allowed(p.tid); p.size > 0 && errno == 0 {
		var ok bool
		if p.fewer, ok = p.cpus.without(cpu); ok {
			_, _, errno = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, p.tid, p.size, uintptr(unsafe.Pointer(&p.fewer)))
			p.moved = errno == 0
		}
	}
	s.state.Store(awake)
	syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&s.state)), futexWake, 1, 0, 0, 0)
}

// without returns the set without a processor, and false if it is not in the set or alone.
func (c cpuSet) without(cpu uint32) (cpuSet, bool) {
	i, bit := cpu/bits.UintSize, uintptr(1)<<(cpu%bits.UintSize)
	if int(i) >= len(c) || c[i]&bit == 0 {
		return c, false
	}
	c[i] &^= bit
	return c, c != cpuSet{}
}

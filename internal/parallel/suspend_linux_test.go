package parallel

import (
	"math/bits"
	goruntime "runtime"
	"syscall"
	"testing"
	"unsafe"
)

func affinity(t *testing.T) (c cpuSet) {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(c), uintptr(unsafe.Pointer(&c))); errno != 0 {
		t.Skip("no sets of processors here: ", errno)
	}
	return c
}

func processor() (cpu uint32) {
	syscall.RawSyscall(sysGetcpu, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return cpu
}

// TestPlaceKeeps changes where a thread may run while it sleeps, and again after it has been moved: the changes hold.
func TestPlaceKeeps(t *testing.T) {
	if goruntime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor")
	}
	all := affinity(t)
	here := processor()
	one := cpuSet{}
	one[here/bits.UintSize] = 1 << (here % bits.UintSize)
	for _, late := range []bool{false, true} {
		s := newSleeper()
		sets := make(chan cpuSet)
		go func() {
			goruntime.LockOSThread() // and end the thread, whose set is changed, with the goroutine
			s.sleep(2, func() bool { return false })
			sets <- affinity(t)
		}()
		for s.state.Load() != suspended {
			goruntime.Gosched()
		}
		p := &s.place
		if late {
			// As if it had been woken, moved, and then placed by somebody else before it ran.
			p.size, p.cpus, p.moved = p.cpus.allowed(p.tid), all, true
			p.fewer, _ = all.without(here)
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, p.tid, unsafe.Sizeof(one), uintptr(unsafe.Pointer(&one))); errno != 0 {
			s.wake()
			<-sets
			t.Skip("threads cannot be placed here: ", errno)
		}
		if late {
			s.state.Store(awake)
			syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&s.state)), futexWake, 1, 0, 0, 0)
		} else {
			s.wake()
		}
		if got := <-sets; got != one {
			t.Errorf("moved %t: a thread that may run on %x may run on %x after waking up", late, one, got)
		}
	}
}

// TestPlace wakes a thread: it wakes up on another processor than that of the waker, and may run everywhere again afterwards.
func TestPlace(t *testing.T) {
	if goruntime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor")
	}
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	all := affinity(t)
	type report struct {
		set   cpuSet
		moved bool
		cpu   uint32
	}
	s := newSleeper()
	reports := make(chan report)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		s.sleep(2, func() bool { return false })
		reports <- report{affinity(t), s.place.moved, processor()}
	}()
	for s.state.Load() != suspended {
		goruntime.Gosched()
	}
	// On one processor while it wakes the other.
	here := processor()
	one := cpuSet{}
	one[here/bits.UintSize] = 1 << (here % bits.UintSize)
	set := func(c cpuSet) syscall.Errno {
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(c), uintptr(unsafe.Pointer(&c)))
		return errno
	}
	if errno := set(one); errno != 0 {
		s.wake()
		<-reports
		t.Skip("threads cannot be placed here: ", errno)
	}
	s.wake()
	r := <-reports
	set(all)
	if r.moved || r.set != all {
		t.Errorf("after waking up a thread may run on %x, before on %x", r.set, all)
	}
	if s.place.size == 0 {
		t.Error("the processors of the sleeping thread were not known")
	}
	t.Logf("woken by processor %d, woke up on %d", here, r.cpu)
}

func TestWithout(t *testing.T) {
	set := func(cpus ...uint32) (c cpuSet) {
		for _, cpu := range cpus {
			c[cpu/bits.UintSize] |= 1 << (cpu % bits.UintSize)
		}
		return c
	}
	tests := []struct {
		from cpuSet
		cpu  uint32
		want cpuSet
		ok   bool
	}{
		{set(0, 1), 0, set(1), true},
		{set(3, 70, 1000), 70, set(3, 1000), true},
		{set(5), 5, set(), false},
		{set(0, 1), 2, set(0, 1), false},
		{set(0, 1), 5000, set(0, 1), false},
	}
	for _, tt := range tests {
		if got, ok := tt.from.without(tt.cpu); got != tt.want || ok != tt.ok {
			t.Errorf("%x without %d is %x, %t; want %x, %t", tt.from, tt.cpu, got, ok, tt.want, tt.ok)
		}
	}
}

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

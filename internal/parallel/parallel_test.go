package parallel

import (
	"fmt"
	"math"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type countTask struct {
	counts  []atomic.Int32
	workers [8]atomic.Int32
	overlap atomic.Bool
}

func (c *countTask) Do(chunk, worker int) {
	if c.workers[worker].Add(1) != 1 {
		c.overlap.Store(true)
	}
	c.counts[chunk].Add(1)
	c.workers[worker].Add(-1)
}

func TestRunCallsEachChunkOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 4, 8} {
		p := New(threads)
		for _, chunks := range []int{0, 1, 2, 3, 7, 64, 1000} {
			for range 50 {
				task := &countTask{counts: make([]atomic.Int32, chunks)}
				p.Run(chunks, task)
				for i := range task.counts {
					if n := task.counts[i].Load(); n != 1 {
						t.Fatalf("threads %d, chunks %d: chunk %d ran %d times", threads, chunks, i, n)
					}
				}
				if task.overlap.Load() {
					t.Fatalf("threads %d, chunks %d: one worker number ran two chunks at once", threads, chunks)
				}
			}
		}
		p.Close()
	}
}

func TestRunFromManyGoroutines(t *testing.T) {
	p := New(4)
	defer p.Close()
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 200 {
				task := &countTask{counts: make([]atomic.Int32, 1+(g+i)%9)}
				p.Run(len(task.counts), task)
				for c := range task.counts {
					if n := task.counts[c].Load(); n != 1 {
						t.Errorf("chunk %d ran %d times", c, n)
					}
				}
			}
		}()
	}
	wg.Wait()
}

type panicTask struct{ ran atomic.Int32 }

func (p *panicTask) Do(chunk, _ int) {
	p.ran.Add(1)
	if chunk == 3 {
		panic(fmt.Sprintf("chunk %d", chunk))
	}
}

func TestPanicReachesCaller(t *testing.T) {
	p := New(4)
	defer p.Close()
	task := new(panicTask)
	func() {
		defer func() {
			if v := recover(); v != "chunk 3" {
				t.Errorf("recovered %v", v)
			}
		}()
		p.Run(8, task)
	}()
	if n := task.ran.Load(); n != 8 {
		t.Errorf("%d of 8 chunks ran", n)
	}
	ok := &countTask{counts: make([]atomic.Int32, 8)}
	p.Run(8, ok)
	for i := range ok.counts {
		if ok.counts[i].Load() != 1 {
			t.Fatal("the pool does not work after a panic")
		}
	}
}

func TestCloseEndsWorkers(t *testing.T) {
	before := goruntime.NumGoroutine()
	for range 20 {
		p := New(8)
		p.Run(64, &countTask{counts: make([]atomic.Int32, 64)})
		p.Close()
		p.Run(8, &countTask{counts: make([]atomic.Int32, 8)})
	}
	deadline := time.Now().Add(5 * time.Second)
	for goruntime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", goruntime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

// slowTask has one chunk that takes long.
type slowTask struct {
	countTask
	slow int
}

func (s *slowTask) Do(chunk, worker int) {
	if chunk == s.slow {
		time.Sleep(5 * time.Millisecond)
	}
	s.countTask.Do(chunk, worker)
}

// TestSlowChunks lets one chunk hold up its thread: the others run all that is left, and whoever
// waits for it gives up polling.
func TestSlowChunks(t *testing.T) {
	for _, threads := range []int{2, 3} {
		p := New(threads)
		for slow := range 12 {
			task := &slowTask{countTask{counts: make([]atomic.Int32, 12)}, slow}
			p.Run(12, task)
			for i := range task.counts {
				if n := task.counts[i].Load(); n != 1 {
					t.Fatalf("%d threads, slow chunk %d: chunk %d ran %d times", threads, slow, i, n)
				}
			}
			if task.overlap.Load() {
				t.Fatalf("%d threads, slow chunk %d: one worker number ran two chunks at once", threads, slow)
			}
		}
		p.Close()
	}
}

func TestShare(t *testing.T) {
	for shares := 1; shares <= 9; shares++ {
		for _, chunks := range []int{shares, shares + 1, 2*shares - 1, 37 * shares, math.MaxInt32} {
			if share(0, shares, chunks) != 0 || share(shares, shares, chunks) != chunks {
				t.Fatalf("%d shares of %d chunks do not cover them", shares, chunks)
			}
			first, last := share(1, shares, chunks), chunks-share(shares-1, shares, chunks)
			for i := range shares {
				if n := share(i+1, shares, chunks) - share(i, shares, chunks); n < first || n > last || last > first+1 {
					t.Errorf("share %d of %d has %d of %d chunks, the first %d and the last %d", i, shares, n, chunks, first, last)
				}
			}
		}
	}
}

type nopTask struct{}

func (nopTask) Do(int, int) {}

func TestRunDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	var task Task = nopTask{}
	p.Run(8, task)
	if n := testing.AllocsPerRun(100, func() { p.Run(8, task) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkForkJoin is what handing out chunks that do nothing costs.
func BenchmarkForkJoin(b *testing.B) {
	for _, chunks := range []int{2, 8, 64} {
		b.Run(fmt.Sprint(chunks), func(b *testing.B) {
			p := New(2)
			defer p.Close()
			var task Task = nopTask{}
			for b.Loop() {
				p.Run(chunks, task)
			}
		})
	}
}

// spinTask has chunks that take some time and touch no memory but what they read of the task.
type spinTask struct {
	rounds int
	sink   [2]struct {
		sum float64
		_   line
	}
}

func (s *spinTask) Do(_, worker int) {
	x := 1.0
	for range s.rounds {
		x = x*0.5 + 1
	}
	s.sink[worker].sum = x
}

// BenchmarkStep is what it costs to divide a step of a few microseconds: how much longer two threads take than half of
// what one does.
func BenchmarkStep(b *testing.B) {
	for _, chunks := range []int{2, 8} {
		b.Run(fmt.Sprint(chunks), func(b *testing.B) {
			p := New(2)
			defer p.Close()
			task := &spinTask{rounds: 4000 / chunks}
			alone := time.Duration(1 << 62)
			for range 200 {
				start := time.Now()
				for range chunks {
					task.Do(0, 0)
				}
				alone = min(alone, time.Since(start))
			}
			var t Task = task
			var times []time.Duration
			for b.Loop() {
				const runs = 20
				start := time.Now()
				for range runs {
					p.Run(chunks, t)
				}
				times = append(times, time.Since(start)/runs)
			}
			slices.Sort(times)
			b.ReportMetric(float64((times[len(times)/2] - alone/2).Nanoseconds()), "ns/step")
		})
	}
}

// Package parallel divides an operator's work among goroutines.
//
// Work is cut into chunks by the caller, from the shape of the problem alone, so that the
// result does not depend on the number of threads or on which thread ran which chunk. Each
// thread begins with a share of its own, the same one in each run of a task, so that the
// weights it reads are still in its core's cache, and then helps the others. The calling
// goroutine works too. Workers wait for the next piece of work by polling for at most
// [spin], then park: an idle process uses no CPU.
package parallel

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spin bounds how long a goroutine polls before it parks. Waking a parked thread takes
// about as long, so polling longer than this cannot pay.
const spin = 50 * time.Microsecond

// Task is work in numbered chunks. Do is called once for each chunk, from any goroutine,
// several at once; worker is below the pool's Threads and differs between concurrent calls.
type Task interface {
	Do(chunk, worker int)
}

// Pool runs tasks on a fixed number of threads. It is safe for concurrent use: while one
// Run occupies the workers, others run all their chunks on their own goroutine.
type Pool struct {
	threads int
	busy    sync.Mutex
	workers []*worker
	closed  atomic.Bool

	// lanes are the shares of the threads. A lane's state is generation<<32 | next chunk.
	// Between tasks the lower half is closedNext, so that a worker that still holds an old
	// state can neither claim nor be misled by an end that has already been replaced.
	lanes   []lane
	extent  atomic.Uint64 // lanes that have chunks<<32 | chunks
	current atomic.Uint32 // generation of the newest task; set when its lanes are open
	task    Task
	pending atomic.Int32
	waiting atomic.Bool
	done    chan struct{}
	failure atomic.Pointer[failure]
}

type failure struct{ value any }

// lane has a cache line to itself, of 64 bytes or 128.
type lane struct {
	state atomic.Uint64
	_     [120]byte
}

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
	seen   uint32 // the newest task that it has worked on
}

const closedNext = 1<<32 - 1

// New returns a pool of the given number of threads, the caller's included. Zero or less
// means GOMAXPROCS, which follows CPU affinity and cgroup quotas. Worker goroutines start
// with the first task that needs them.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	return &Pool{threads: threads, done: make(chan struct{}, 1)}
}

// Threads returns the number of goroutines that may work at once. A nil Pool has one.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return p.threads
}

// Close lets the workers end. A task that is running completes; later ones run on their
// caller's goroutine.
func (p *Pool) Close() {
	if p == nil || p.closed.Swap(true) {
		return
	}
	p.busy.Lock()
	defer p.busy.Unlock()
	p.wakeAll()
}

// Run calls t.Do for every chunk in [0, chunks) and returns when all have returned. A
// panic in a chunk is raised again in the caller, after the other chunks have ended. Run
// does not allocate once the workers exist.
func (p *Pool) Run(chunks int, t Task) {
	if chunks <= 0 {
		return
	}
	if chunks == 1 || p == nil || p.threads == 1 || p.closed.Load() || uint64(chunks) >= closedNext || !p.busy.TryLock() {
		for i := range chunks {
			t.Do(i, 0)
		}
		return
	}
	defer p.busy.Unlock()
	if p.workers == nil {
		p.begin()
	}
	p.task = t
	p.failure.Store(nil)
	p.pending.Store(int32(chunks))
	gen := p.open(chunks)
	p.wakeSome(chunks - 1)
	p.work(0)
	p.wait()
	for i := range p.lanes {
		p.lanes[i].state.Store(gen<<32 | closedNext)
	}
	p.task = nil
	if f := p.failure.Swap(nil); f != nil {
		panic(f.value)
	}
}

// open lets the workers claim chunks of a new task and returns its generation.
func (p *Pool) open(chunks int) uint64 {
	shares := min(chunks, p.threads)
	p.extent.Store(uint64(shares)<<32 | uint64(chunks))
	gen := p.current.Load() + 1
	for i := range shares {
		p.lanes[i].state.Store(uint64(gen)<<32 | uint64(i)*uint64(chunks)/uint64(shares))
	}
	p.current.Store(gen)
	return uint64(gen)
}

func (p *Pool) begin() {
	p.lanes = make([]lane, p.threads)
	for i := range p.lanes {
		p.lanes[i].state.Store(closedNext)
	}
	p.workers = make([]*worker, p.threads-1)
	for i := range p.workers {
		p.workers[i] = &worker{wake: make(chan struct{}, 1)}
	}
	for i := range p.workers {
		go p.serve(p.workers[i], i+1)
	}
}

// claim returns the next chunk of a lane, or false. The extent is read after the lane's
// state: if it is that of a later task, the state has changed too.
func (p *Pool) claim(i int) (int, bool) {
	l := &p.lanes[i]
	for {
		s := l.state.Load()
		extent := p.extent.Load()
		shares, chunks := extent>>32, extent&closedNext
		next := s & closedNext
		if next >= uint64(i+1)*chunks/shares {
			return 0, false
		}
		if l.state.CompareAndSwap(s, s+1) {
			return int(next), true
		}
	}
}

// work runs chunks until none is left, those of the worker's own lane first.
func (p *Pool) work(worker int) {
	for i := range p.lanes {
		lane := worker + i
		if lane >= len(p.lanes) {
			lane -= len(p.lanes)
		}
		for {
			chunk, ok := p.claim(lane)
			if !ok {
				break
			}
			p.do(chunk, worker)
		}
	}
}

func (p *Pool) do(chunk, worker int) {
	defer func() {
		if v := recover(); v != nil {
			p.failure.CompareAndSwap(nil, &failure{v})
		}
		if p.pending.Add(-1) == 0 && p.waiting.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}()
	p.task.Do(chunk, worker)
}

// wait returns once every chunk has ended.
func (p *Pool) wait() {
	if poll(func() bool { return p.pending.Load() == 0 }) {
		return
	}
	p.waiting.Store(true)
	if p.pending.Load() == 0 && p.waiting.CompareAndSwap(true, false) {
		return
	}
	<-p.done
}

func (p *Pool) serve(w *worker, id int) {
	ready := func() bool { return p.closed.Load() || p.current.Load() != w.seen }
	for !p.closed.Load() {
		if poll(ready) {
			w.seen = p.current.Load()
			p.work(id)
			continue
		}
		w.parked.Store(true)
		if ready() && w.parked.CompareAndSwap(true, false) {
			continue
		}
		<-w.wake
	}
}

// wakeSome wakes at most n parked workers.
func (p *Pool) wakeSome(n int) {
	for _, w := range p.workers {
		if n <= 0 {
			return
		}
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
		n--
	}
}

func (p *Pool) wakeAll() { p.wakeSome(len(p.workers)) }

// poll calls ready until it returns true or the time for polling is over.
func poll(ready func() bool) bool {
	var start time.Time
	for i := 0; ; i++ {
		if ready() {
			return true
		}
		if i&63 != 63 {
			continue
		}
		if start.IsZero() {
			start = time.Now()
		} else if time.Since(start) > spin {
			return false
		}
	}
}

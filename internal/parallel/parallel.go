// Package parallel divides an operator's work among goroutines.
//
// Work is cut into chunks by the caller, from the shape of the problem alone where sums round, so that
// the result does not depend on the number of threads or on which thread ran which chunk. Each
// thread begins with a share of its own, the same one in each run of a task, so that the
// weights it reads are still in its core's cache, and then helps the others. The calling
// goroutine works too. Workers wait for the next piece of work by polling for at most
// [spin], then sleep: an idle process uses no CPU. On Linux they sleep in the kernel, and
// are woken on another processor than that of the thread that wakes them; their Go
// processor is free for other goroutines once the Go runtime notices, after up to 10 ms.
package parallel

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spin bounds how long a goroutine polls before it sleeps. Waking a thread takes about as
// long, so polling longer than this cannot pay.
const spin = 50 * time.Microsecond

// moment is how often a thread that has nothing left to do looks for others to finish, or to bring more work, before it looks
// at what is left of their shares: about a microsecond. Looking makes whoever changes a line next ask for it again, and a chunk
// that is taken from its thread takes along what that has in its cache.
const moment = 1000

// Task is work in numbered chunks. Do is called once for each chunk, from any goroutine,
// several at once; worker is below the pool's Threads and differs between concurrent calls.
type Task interface {
	Do(chunk, worker int)
}

// Pool runs tasks on a fixed number of threads. It is safe for concurrent use: while one
// Run occupies the workers, others run all their chunks on their own goroutine.
//
// Where two cores are far apart it takes a quarter of a microsecond until one sees what the
// other has written. What different threads write therefore lies in different lines; a task
// reaches a worker in one, which the worker owns while it waits; and nothing is written
// where others have looked unless they need to know.
type Pool struct {
	threads int
	workers []*worker // but the caller, from the first task on
	closed  atomic.Bool
	failure atomic.Pointer[failure]
	caller  sleeper
	_       line

	own lane // the share of the caller
	_   line

	busy sync.Mutex
	past uint64 // chunks that the workers had finished before this task
	_    line
}

type failure struct{ value any }

// line keeps what is before and after it out of one cache line, of 64 bytes or 128.
type line [128]byte

// lane is what is left of one thread's share of a task. Its owner takes chunks from the
// front, who helps from the back.
type lane struct {
	state atomic.Uint64 // next chunk<<32 | end
	task  Task          // valid while there are chunks
}

type worker struct {
	lane
	_        line
	finished atomic.Uint64 // chunks, of all tasks, that this worker has run
	_        line
	sleeper
	_ line
}

// maxChunks is the most chunks that a lane's state can count.
const maxChunks = 1<<32 - 1

// New returns a pool of the given number of threads, the caller's included. Zero or less
// means GOMAXPROCS, which follows CPU affinity and cgroup quotas. Worker goroutines start
// with the first task that needs them.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	return &Pool{threads: threads, caller: newSleeper()}
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
	for _, w := range p.workers {
		w.wake()
	}
}

// Run calls t.Do for every chunk in [0, chunks) and returns when all have returned. A
// panic in a chunk is raised again in the caller, after the other chunks have ended. Run
// does not allocate once the workers exist.
func (p *Pool) Run(chunks int, t Task) {
	if chunks <= 0 {
		return
	}
	if chunks == 1 || p == nil || p.threads == 1 || p.closed.Load() || uint64(chunks) > maxChunks || !p.busy.TryLock() {
		for i := range chunks {
			t.Do(i, 0)
		}
		return
	}
	defer p.busy.Unlock()
	if p.workers == nil {
		p.begin()
	}
	shares := min(chunks, p.threads)
	for i := 1; i < shares; i++ {
		w := p.workers[i-1]
		w.open(t, share(i, shares, chunks), share(i+1, shares, chunks))
		w.wake()
	}
	// The first chunk is taken already. Where it is the whole share, there is nothing for others to look at.
	own := share(1, shares, chunks)
	if own > 1 {
		p.own.open(t, 1, own)
	}
	p.first(t)
	n := 1
	if own > 1 {
		n += p.drain(&p.own, 0, true)
	}
	if !p.soon(uint64(chunks - n)) {
		n += p.help(0)
	}
	p.wait(uint64(chunks - n))
	if f := p.failure.Load(); f != nil {
		p.failure.Store(nil)
		panic(f.value)
	}
}

// share returns where share i of a task's chunks begins. Later ones may have one more, since the last chunk is often a smaller one.
func share(i, shares, chunks int) int {
	return int(uint64(i) * uint64(chunks) / uint64(shares))
}

// open lets threads claim chunks of a task, from one up to another.
func (l *lane) open(t Task, from, to int) {
	l.task = t
	l.state.Store(uint64(from)<<32 | uint64(to))
}

// await is left, by the owner that polls. It takes the cache line over, so that the owner need not ask for it again to claim
// a chunk.
func (l *lane) await() bool {
	s := l.state.Add(0)
	return s>>32 < s&maxChunks
}

// left reports whether there are chunks to claim.
func (l *lane) left() bool {
	s := l.state.Load()
	return s>>32 < s&maxChunks
}

// claim returns the next chunk for the owner of the lane, or the last one for another
// thread, or false. That a state may have been replaced by one of a later task that looks
// the same does no harm: the task is read after the claim, which keeps it.
func (l *lane) claim(owner bool) (int, bool) {
	for {
		s := l.state.Load()
		next, end := s>>32, s&maxChunks
		if next >= end {
			return 0, false
		}
		if owner {
			if l.state.CompareAndSwap(s, s+1<<32) {
				return int(next), true
			}
		} else if l.state.CompareAndSwap(s, s-1) {
			return int(end - 1), true
		}
	}
}

// more reports whether chunks come in a moment.
func (l *lane) more() bool {
	for range moment / 4 { // of slower looks
		if l.await() {
			return true
		}
	}
	return false
}

func (p *Pool) begin() {
	p.workers = make([]*worker, p.threads-1)
	for i := range p.workers {
		p.workers[i] = &worker{sleeper: newSleeper()}
	}
	for i := range p.workers {
		go p.serve(p.workers[i], i+1)
	}
}

// drain runs chunks of a lane until none is left and returns how many.
func (p *Pool) drain(l *lane, worker int, owner bool) int {
	n := 0
	for l.left() {
		p.some(l, worker, owner, &n)
	}
	return n
}

// first runs the first chunk of a task for the caller.
func (p *Pool) first(t Task) {
	defer p.caught()
	t.Do(0, 0)
}

// caught keeps a panic for the caller of Run.
func (p *Pool) caught() {
	if v := recover(); v != nil {
		p.failure.CompareAndSwap(nil, &failure{v})
	}
}

// some runs chunks of a lane until none is left or one panics.
func (p *Pool) some(l *lane, worker int, owner bool, n *int) {
	defer p.caught()
	for {
		chunk, ok := l.claim(owner)
		if !ok {
			return
		}
		*n++
		l.task.Do(chunk, worker)
	}
}

// help runs chunks of the other threads' lanes and returns how many.
func (p *Pool) help(worker int) int {
	n := 0
	for i := 1; i < p.threads; i++ {
		k := worker + i
		switch {
		case k == p.threads:
			n += p.drain(&p.own, worker, false)
		case k > p.threads:
			n += p.drain(&p.workers[k-p.threads-1].lane, worker, false)
		default:
			n += p.drain(&p.workers[k-1].lane, worker, false)
		}
	}
	return n
}

// soon reports whether the workers finish n chunks of this task in a moment.
func (p *Pool) soon(n uint64) bool {
	for range moment {
		if p.done(n) {
			return true
		}
	}
	return false
}

// done reports whether the workers have finished n chunks of this task.
func (p *Pool) done(n uint64) bool {
	var sum uint64
	for _, w := range p.workers {
		sum += w.finished.Load()
	}
	return sum-p.past == n
}

// wait returns once the workers have finished n chunks of this task.
func (p *Pool) wait(n uint64) {
	ready := func() bool { return p.done(n) }
	for !poll(ready) {
		p.caller.sleep(p.threads, ready)
	}
	p.past += n
}

// finish tells the caller that the worker has run n chunks more.
func (p *Pool) finish(w *worker, n int) {
	if n == 0 {
		return
	}
	w.finished.Add(uint64(n))
	p.caller.wake()
}

func (p *Pool) serve(w *worker, id int) {
	ready := func() bool { return w.await() || p.closed.Load() }
	for !p.closed.Load() {
		if !poll(ready) {
			w.sleep(p.threads, ready)
		}
		p.finish(w, p.drain(&w.lane, id, true))
		if !w.more() {
			p.finish(w, p.help(id))
		}
	}
}

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

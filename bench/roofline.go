package main

import (
	"slices"
	"sync"
	"time"

	"github.com/aekit/aekit/internal/hugepage"
	"github.com/aekit/aekit/internal/kernel"
)

// roofline measures what the machine can do at most with a number of threads.
type roofline struct {
	threads      int
	tier         string
	flops        int
	fma          func()
	read         []func([]float32)
	fmas         []float64 // samples in FLOP/s
	float, bytes stream    // the data of one run, as float32 and as 8-bit integers
	flopN        float64   // of one run
}

// stream is data that threads read.
type stream struct {
	size    float64     // bytes
	buffers [][]float32 // one for each thread, together of that size
	reads   [][]float64 // samples in bytes/s of each loop
	release []func()    // what gives buffers back
}

func newStream(threads int, size float64) stream {
	s := stream{size: size}
	const unit = 128
	each := max(unit, int(size/4)/threads/unit*unit)
	for range threads {
		b, release := hugepage.Make[float32](each)
		for i := range b {
			b[i] = 1
		}
		s.buffers = append(s.buffers, b)
		if release != nil {
			s.release = append(s.release, release)
		}
	}
	return s
}

// newRoofline is for runs of so many operations over so many bytes of float32 data.
func newRoofline(threads int, flops, bytes float64) *roofline {
	r := &roofline{threads: threads, flopN: flops, float: newStream(threads, bytes), bytes: newStream(threads, bytes/4)}
	r.tier, r.flops, r.fma, r.read = kernel.Peak()
	for _, s := range []*stream{&r.float, &r.bytes} {
		s.reads = make([][]float64, len(r.read))
	}
	return r
}

// close gives the data back.
func (r *roofline) close() {
	for _, f := range slices.Concat(r.float.release, r.bytes.release) {
		f()
	}
}

// sample measures the rates once, for a fraction of a millisecond each.
func (r *roofline) sample() {
	if r.fma == nil {
		return
	}
	const calls = 24
	d := r.all(func(int) {
		for range calls {
			r.fma()
		}
	})
	r.fmas = append(r.fmas, float64(r.threads*calls*r.flops)/d.Seconds())
	for _, s := range []*stream{&r.float, &r.bytes} {
		size := float64(4 * len(s.buffers[0]))
		reads := max(2, int(10e6/size))
		for k, read := range r.read {
			d = r.all(func(i int) {
				for range reads {
					read(s.buffers[i])
				}
			})
			s.reads[k] = append(s.reads[k], float64(r.threads)*size*float64(reads)/d.Seconds())
		}
	}
}

// all runs f on every thread at once and returns the time of the slowest. Threads wait for
// each other before they begin.
func (r *roofline) all(f func(thread int)) time.Duration {
	if r.threads == 1 {
		f(0)
		start := time.Now()
		f(0)
		return time.Since(start)
	}
	var ready, done sync.WaitGroup
	times := make([]time.Duration, r.threads)
	ready.Add(r.threads)
	for i := range r.threads {
		done.Go(func() {
			f(i)
			ready.Done()
			ready.Wait()
			start := time.Now()
			f(i)
			times[i] = time.Since(start)
		})
	}
	done.Wait()
	return slices.Max(times)
}

// limits returns the peak in FLOP/s, the bandwidth in bytes/s and the least time in seconds
// that a run of that precision can take: the greater of its arithmetic at the peak and its
// data at the bandwidth. Zero if the machine's limits are not measured.
func (r *roofline) limits(int8 bool) (peak, bandwidth, least float64) {
	if len(r.fmas) == 0 {
		return 0, 0, 0
	}
	peak = median(r.fmas)
	data := &r.float
	if int8 {
		peak *= intFactor(kernel.Features())
		data = &r.bytes
	}
	for _, samples := range data.reads {
		bandwidth = max(bandwidth, median(samples))
	}
	return peak, bandwidth, max(r.flopN/peak, data.size/bandwidth)
}

// intFactor is how many times as many 8-bit multiply-adds as float32 ones a processor with these features can do in
// vectors of the same width: the dot products of VNNI multiply four bytes where a float32 has one lane; AVX2 needs two
// instructions more for each.
func intFactor(features []string) float64 {
	if slices.Contains(features, "vnni") || slices.Contains(features, "avxvnni") && !slices.Contains(features, "avx512") {
		return 4
	}
	return 2
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

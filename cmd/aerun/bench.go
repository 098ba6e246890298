package main

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
)

// benchResult is one measurement, and what `bench --json` prints an array of.
type benchResult struct {
	Model      string   `json:"model"`
	Backend    string   `json:"backend"`
	Batch      int      `json:"batch"`
	Threads    int      `json:"threads"`
	Runs       int      `json:"runs"`
	MedianUS   float64  `json:"median_us"`
	P99US      float64  `json:"p99_us"`
	ImagesPerS float64  `json:"images_per_s"`
	GFLOPS     *float64 `json:"gflops"` // two for a multiply-add; null where the native backend cannot count them
	Ratio      *float64 `json:"ratio"`  // median time of this backend by that of the first one
	MaxDiff    *float64 `json:"max_abs_diff,omitempty"`
}

type benchFlags struct {
	modelFlags
	shapes   shapeFlags
	batches  []int
	threads  []int
	backends []string
	part     string
	seconds  float64
	runs     int
	json     bool
	profile  bool
	trace    string
}

func runBench(a *app, args []string) error {
	var f benchFlags
	all, fs := a.flags()
	fs.IntSliceVar(&f.batches, "batch", []int{1}, "batch sizes")
	fs.IntSliceVar(&f.threads, "threads", []int{1}, "numbers of threads")
	fs.StringSliceVar(&f.backends, "backend", []string{"native"}, "what to compare: native, ort")
	fs.StringVar(&f.part, "part", "full", "what to run: full, encoder or decoder")
	cli.Choices(fs, "part", "full", "encoder", "decoder")
	fs.Float64Var(&f.seconds, "seconds", 1, "time for each measurement")
	fs.IntVar(&f.runs, "runs", 0, "runs for each measurement, instead of a time")
	fs.BoolVar(&f.json, "json", false, "print a JSON array")
	fs.BoolVar(&f.profile, "profile", false, "also print the time of each node (native)")
	fs.StringVar(&f.trace, "trace", "", "`FILE` to write the nodes of one run to, for chrome://tracing or Perfetto (native)")
	f.addNames(all)
	f.shapes.add(all)
	f.addShared(all)
	f.o.Fit = "stretch"
	rest, err := a.parse(all, args, 1, 1)
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	if f.trace != "" {
		if err := checkFolder("--trace", f.trace); err != nil {
			return err
		}
	}
	return a.bench(&f, rest[0])
}

func (f *benchFlags) check() error {
	for _, b := range f.batches {
		if b < 1 || b > 1<<20 {
			return usagef("bench: --batch %d, want 1 to %d", b, 1<<20)
		}
	}
	for _, t := range f.threads {
		if t < 1 || t > 1<<10 {
			return usagef("bench: --threads %d, want 1 to %d", t, 1<<10)
		}
	}
	if len(f.batches) == 0 || len(f.threads) == 0 || len(f.backends) == 0 {
		return usagef("bench: an empty list of batches, threads or backends")
	}
	for i, b := range f.backends {
		if b != "native" && b != "ort" {
			return usagef("bench: unknown backend %q, want native or ort", b)
		}
		if slices.Contains(f.backends[:i], b) {
			return usagef("bench: backend %q is named twice", b)
		}
	}
	if !slices.Contains([]string{"full", "encoder", "decoder"}, f.part) {
		return usagef("bench: --part %q, want full, encoder or decoder", f.part)
	}
	if !(f.seconds > 0 && f.seconds <= 3600) || f.runs < 0 || f.runs > 1<<24 {
		return usagef("bench: --seconds %g --runs %d: want a time up to an hour, and at most %d runs", f.seconds, f.runs, 1<<24)
	}
	if f.trace == "-" {
		return usagef("bench: --trace -: the figures go to standard output; name a file")
	}
	if (f.profile || f.trace != "") && !slices.Contains(f.backends, "native") {
		return usagef("bench: --profile and --trace need the backend native")
	}
	return nil
}

// subject is a model on one backend, ready to be timed.
type subject struct {
	backend string
	session *runtime.Session
	in, out map[string]*tensor.Tensor
	times   []time.Duration
}

func (a *app) bench(f *benchFlags, path string) error {
	var results []benchResult
	var native *runtime.Session
	var inputs map[string]*tensor.Tensor
	for _, threads := range f.threads {
		subjects, shapesOf, closeAll, err := f.open(path, threads)
		if err != nil {
			return err
		}
		defer closeAll()
		for _, batch := range f.batches {
			in, err := shapesOf(batch)
			if err != nil {
				return err
			}
			rs, err := a.measure(f, subjects, in, batch)
			if err != nil {
				return named(path, err)
			}
			if !f.json && len(results) == 0 {
				fmt.Fprintf(a.stdout, "%-24s %-8s %6s %8s %8s %12s %12s %12s %9s %7s\n", "model", "backend", "batch", "threads", "runs", "median µs", "p99 µs", "images/s", "GFLOP/s", "ratio")
			}
			for i := range rs {
				rs[i].Model, rs[i].Threads = filepath.Base(path), threads
				if !f.json {
					rs[i].print(a)
				}
			}
			results = append(results, rs...)
			if !f.json {
				// A long series shows each line as it is measured.
				if err := a.stdout.Flush(); err != nil {
					return err
				}
			}
			for _, s := range subjects {
				if s.backend == "native" && native == nil {
					native, inputs = s.session, s.in
				}
			}
		}
	}
	if f.json {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(results); err != nil {
			return err
		}
	}
	if !f.profile && f.trace == "" {
		return nil
	}
	return a.profile(f, native, inputs)
}

// open loads the model on every backend. The function it returns gives the inputs for a batch.
func (f *benchFlags) open(path string, threads int) ([]*subject, func(int) (map[string]*tensor.Tensor, error), func(), error) {
	ao, err := f.options()
	if err != nil {
		return nil, nil, nil, err
	}
	var closers []func() error
	closeAll := func() {
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}
	fail := func(err error) ([]*subject, func(int) (map[string]*tensor.Tensor, error), func(), error) {
		closeAll()
		return nil, nil, nil, err
	}
	var subjects []*subject
	var model *autoencoder.Model
	for _, backend := range f.backends {
		ro, done, err := f.sessionFlags.options(backend, filepath.Dir(path), threads)
		if err != nil {
			return fail(err)
		}
		closers = append(closers, func() error { done(); return nil })
		s, err := f.openSession(path, ro)
		if err != nil {
			return fail(err)
		}
		closers = append(closers, s.Close)
		m, err := autoencoder.New(s, ao)
		if err != nil && f.part != "full" {
			return fail(named(path, err))
		}
		if err == nil {
			closers = append(closers, m.Close)
		} else {
			m = nil
		}
		if f.part != "full" {
			info := m.Info()
			from, to := info.Input, info.Latent
			if f.part == "decoder" {
				from, to = info.Latent, info.Output
			}
			if from == "" || to == "" {
				return fail(fmt.Errorf("%s: the model has no %s", path, f.part))
			}
			if s, err = s.Sub([]string{from}, []string{to}); err != nil {
				return fail(named(path, err))
			}
			closers = append(closers, s.Close)
		}
		subjects = append(subjects, &subject{backend: backend, session: s})
		model = m
	}
	shapesOf := func(batch int) (map[string]*tensor.Tensor, error) {
		shapes, err := f.shapes.inputs(subjects[0].session, batch, model)
		if err != nil {
			return nil, err
		}
		return randomInputs(subjects[0].session, shapes)
	}
	return subjects, shapesOf, closeAll, nil
}

// randomInputs returns numbers in [0, 1) for floating-point inputs and zeros for others.
func randomInputs(s *runtime.Session, shapes map[string]tensor.Shape) (map[string]*tensor.Tensor, error) {
	in := map[string]*tensor.Tensor{}
	for i, v := range s.Inputs() {
		dtype := v.DType
		if dtype == tensor.Undefined {
			dtype = tensor.Float32
		}
		t, err := tensor.New(dtype, shapes[v.Name]...)
		if err != nil {
			return nil, err
		}
		u := make([]float32, t.Elems())
		rng.New(1, uint64(i)).Uniform(u, 0)
		switch dtype {
		case tensor.Float32:
			copy(t.Float32s(), u)
		case tensor.Float64:
			for k, x := range u {
				tensor.Data[float64](t)[k] = float64(x)
			}
		case tensor.Float16:
			for k, x := range u {
				tensor.Data[tensor.F16](t)[k] = tensor.ToF16(x)
			}
		case tensor.Uint8:
			for k, x := range u {
				tensor.Data[uint8](t)[k] = uint8(x * 256)
			}
		case tensor.Int8:
			for k, x := range u {
				tensor.Data[int8](t)[k] = int8(x*256 - 128)
			}
		}
		in[v.Name] = t
	}
	return in, nil
}

// measure times all subjects on the same inputs, taking turns, so that whatever else the
// machine does hits them alike.
func (a *app) measure(f *benchFlags, subjects []*subject, in map[string]*tensor.Tensor, batch int) ([]benchResult, error) {
	reps := make([]int, len(subjects))
	for i, s := range subjects {
		out, err := s.session.Run(a.ctx, in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.backend, err)
		}
		s.in, s.out, s.times = in, out, s.times[:0]
		// Warm up, and find out how many runs make a turn of about 5 ms.
		start, n := time.Now(), 0
		for ; n < 3 || time.Since(start) < 20*time.Millisecond; n++ {
			if err := s.session.RunInto(a.ctx, s.out, s.in); err != nil {
				return nil, fmt.Errorf("%s: %w", s.backend, err)
			}
		}
		one := max(time.Since(start)/time.Duration(n), time.Microsecond)
		reps[i] = int(max(1, 5*time.Millisecond/one))
		if f.runs > 0 {
			reps[i] = min(reps[i], f.runs)
			s.times = slices.Grow(s.times, f.runs)
		} else {
			s.times = slices.Grow(s.times, int(f.seconds*2*float64(time.Second)/float64(one))+16)
		}
	}
	budget := time.Duration(f.seconds * float64(time.Second))
	spent := make([]time.Duration, len(subjects))
	for busy := true; busy; {
		busy = false
		for i, s := range subjects {
			n := reps[i]
			if f.runs > 0 {
				n = min(n, f.runs-len(s.times))
			} else if spent[i] >= budget && len(s.times) >= 5 {
				n = 0
			}
			for range n {
				start := time.Now()
				if err := s.session.RunInto(a.ctx, s.out, s.in); err != nil {
					return nil, fmt.Errorf("%s: %w", s.backend, err)
				}
				d := time.Since(start)
				s.times = append(s.times, d)
				spent[i] += d
				busy = true
			}
		}
	}
	return summarise(subjects, batch)
}

func summarise(subjects []*subject, batch int) ([]benchResult, error) {
	var flops *float64
	for _, s := range subjects {
		if s.backend != "native" {
			continue
		}
		shapes := map[string]tensor.Shape{}
		for name, t := range s.in {
			shapes[name] = t.Shape()
		}
		st, err := s.session.Stats(shapes)
		if err != nil {
			return nil, err
		}
		v := 2 * float64(st.MACs)
		flops = &v
	}
	var out []benchResult
	for i, s := range subjects {
		slices.Sort(s.times)
		us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
		median := us(quantile(s.times, 0.5))
		r := benchResult{Backend: s.backend, Batch: batch, Runs: len(s.times), MedianUS: median, P99US: us(quantile(s.times, 0.99)),
			ImagesPerS: float64(batch) / median * 1e6}
		if flops != nil {
			v := *flops / median / 1e3
			r.GFLOPS = &v
		}
		v := 1.0
		if i > 0 {
			v = median / out[0].MedianUS
			d, err := largestDifference(s.out, subjects[0].out)
			if err != nil {
				return nil, err
			}
			r.MaxDiff = finite(d)
		}
		r.Ratio = &v
		out = append(out, r)
	}
	return out, nil
}

// quantile returns the smallest of the sorted times that at least the share q does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(len(sorted)-1, max(0, i))]
}

// largestDifference compares the outputs that were timed.
func largestDifference(got, want map[string]*tensor.Tensor) (float64, error) {
	worst := 0.0
	for name, w := range want {
		g := got[name]
		if g == nil || g.DType() != w.DType() || !g.Shape().Equal(w.Shape()) {
			return 0, fmt.Errorf("output %q is %v on one backend and %v on another", name, w, g)
		}
		if w.DType() != tensor.Float32 {
			continue
		}
		x := g.Float32s()
		for i, y := range w.Float32s() {
			d := math.Abs(float64(x[i]) - float64(y))
			if x[i] == y || x[i] != x[i] && y != y {
				d = 0
			}
			if math.IsNaN(d) {
				d = math.Inf(1)
			}
			worst = max(worst, d)
		}
	}
	return worst, nil
}

func (r *benchResult) print(a *app) {
	gflops := "-"
	if r.GFLOPS != nil {
		gflops = strconv.FormatFloat(*r.GFLOPS, 'f', 2, 64)
	}
	name := cli.OneLine(r.Model)
	if rs := []rune(name); len(rs) > 24 {
		name = string(rs[:23]) + "…"
	}
	note := ""
	if r.MaxDiff != nil {
		note = fmt.Sprintf("  max abs difference %.2g", *r.MaxDiff)
	}
	fmt.Fprintf(a.stdout, "%-24s %-8s %6d %8d %8d %12.2f %12.2f %12.0f %9s %7.2f%s\n",
		name, r.Backend, r.Batch, r.Threads, r.Runs, r.MedianUS, r.P99US, r.ImagesPerS, gflops, *r.Ratio, note)
}

// profile prints or writes where the time of the first native measurement goes.
func (a *app) profile(f *benchFlags, s *runtime.Session, in map[string]*tensor.Tensor) error {
	once, err := s.Profile(a.ctx, in, 1)
	if err != nil {
		return err
	}
	runs := int(min(100000, max(10, time.Duration(f.seconds*float64(time.Second))/max(once.Total, time.Microsecond))))
	p, err := s.Profile(a.ctx, in, runs)
	if err != nil {
		return err
	}
	if f.trace != "" {
		if err := a.write(f.trace, false, p.WriteTrace); err != nil {
			return err
		}
	}
	if !f.profile {
		return nil
	}
	w := a.stdout
	if f.json {
		// Standard output holds the JSON array.
		fmt.Fprint(a.stderr, profileTable(p))
		return nil
	}
	_, err = w.WriteString(profileTable(p))
	return err
}

// profileTable is one line for each node, in the order of execution.
func profileTable(p *runtime.Profile) string {
	var b strings.Builder
	var sum time.Duration
	for _, n := range p.Nodes {
		sum += n.Time
	}
	fmt.Fprintf(&b, "\n%-32s %-18s %10s %7s %9s  %s\n", "node", "operator", "µs", "share", "GFLOP/s", "outputs")
	for _, n := range p.Nodes {
		us := float64(n.Time) / float64(p.Runs) / float64(time.Microsecond)
		gflops := "-"
		if n.MACs > 0 && us > 0 {
			gflops = strconv.FormatFloat(2*float64(n.MACs)/us/1e3, 'f', 2, 64)
		}
		share := 0.0
		if sum > 0 {
			share = 100 * float64(n.Time) / float64(sum)
		}
		fmt.Fprintf(&b, "%-32s %-18s %10.2f %6.1f%% %9s  %s\n", cli.OneLine(n.Name), cli.OneLine(n.OpType), us, share, gflops, strings.Join(n.Outputs, " "))
	}
	total := float64(p.Total) / float64(p.Runs) / float64(time.Microsecond)
	inNodes := float64(sum) / float64(p.Runs) / float64(time.Microsecond)
	fmt.Fprintf(&b, "%-32s %-18s %10.2f  (%.2f in nodes, %d runs)\n", "total", "", total, inNodes, p.Runs)
	return b.String()
}

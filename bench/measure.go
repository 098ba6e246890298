package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aekit/aekit/bench/models"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// result is one measurement.
type result struct {
	Model      string  `json:"model"`
	Batch      int     `json:"batch"`
	Threads    int     `json:"threads"`
	Runtime    string  `json:"runtime"` // aekit or ort
	Form       string  `json:"form"`
	Runs       int     `json:"runs"`
	MedianUS   float64 `json:"median_us"`
	P99US      float64 `json:"p99_us"`
	ImagesPerS float64 `json:"images_per_s"`
	GFLOPS     float64 `json:"gflops"`           // unpadded; two operations for a multiply-add
	Roofline   float64 `json:"roofline_percent"` // least possible time by median time
	PeakGFLOPS float64 `json:"peak_gflops"`
	ReadGBps   float64 `json:"read_gb_per_s"` // of data of this size
	// Ratio is the median over the turns of the time of ONNX Runtime with the same form by
	// the time of this runtime; 0 where there is none.
	Ratio float64 `json:"ratio_same_form,omitempty"`
	// RatioBest is the same against the fastest form of ONNX Runtime.
	RatioBest float64 `json:"ratio_best_form,omitempty"`
	// RatioFloat is the time of our float32 by the time of our integer form.
	RatioFloat float64 `json:"ratio_own_float32,omitempty"`
}

// options say what to measure.
type options struct {
	batches, threads []int
	seconds          float64
	turn             time.Duration
	forms            []string
	ort              runtime.Backend // nil: only ours
	progress         func(string, ...any)
}

// measureModel times every form of a model at every batch and number of threads.
func measureModel(ctx context.Context, r *models.Reference, o *options) ([]result, error) {
	built, err := formsOf(ctx, r, o.forms)
	if err != nil {
		return nil, err
	}
	var all []result
	for _, threads := range o.threads {
		rs, err := measureThreads(ctx, r, built, threads, o)
		if err != nil {
			return nil, err
		}
		all = append(all, rs...)
	}
	return all, nil
}

func measureThreads(ctx context.Context, r *models.Reference, built map[string]*onnx.Model, threads int, o *options) ([]result, error) {
	var subjects []*subject
	defer func() {
		for _, s := range subjects {
			s.session.Close()
		}
	}()
	open := func(name string, f form, backend runtime.Backend) error {
		s, err := runtime.New(built[f.name], runtime.Options{Threads: threads, Backend: backend})
		if err != nil {
			return fmt.Errorf("%s %s: %w", name, f.name, err)
		}
		subjects = append(subjects, &subject{runtime: name, form: f.name, session: s})
		return nil
	}
	for _, f := range forms {
		if built[f.name] == nil {
			continue
		}
		if f.ours {
			if err := open("aekit", f.form, nil); err != nil {
				return nil, err
			}
		}
		if o.ort != nil {
			if err := open("ort", f.form, o.ort); err != nil {
				return nil, err
			}
		}
	}
	var all []result
	for _, batch := range o.batches {
		rs, err := measureBatch(ctx, r, subjects, batch, threads, o)
		if err != nil {
			return nil, fmt.Errorf("%s, batch %d, %d threads: %w", r.Name, batch, threads, err)
		}
		all = append(all, rs...)
	}
	return all, nil
}

// measureBatch lets the subjects take turns, so that whatever else happens on the machine
// hits them alike, and checks the outputs of the runs that were timed.
func measureBatch(ctx context.Context, r *models.Reference, subjects []*subject, batch, threads int, o *options) ([]result, error) {
	x, err := r.Input(batch, 1)
	if err != nil {
		return nil, err
	}
	stats, err := subjects[0].session.Stats(map[string]tensor.Shape{"x": x.Shape()})
	if err != nil {
		return nil, err
	}
	for _, s := range subjects {
		if err := s.prepare(ctx, x, o.turn); err != nil {
			return nil, err
		}
		quiesce()
	}
	bytes := 4 * (float64(stats.Parameters) + float64(x.Elems()) + float64(subjects[0].out["y"].Elems()))
	limit := newRoofline(threads, 2*float64(stats.MACs), bytes)
	defer limit.close()
	for round := 0; ; round++ {
		limit.sample()
		busy := false
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			if s.spent.Seconds() >= o.seconds && len(s.turns) >= minTurns {
				continue
			}
			busy = true
			if err := s.turn(ctx); err != nil {
				return nil, err
			}
			if threads > 1 {
				quiesce()
			}
		}
		if !busy {
			break
		}
	}
	for _, f := range forms {
		if err := compareForm(subjects, f.form); err != nil {
			return nil, err
		}
	}
	var rs []result
	for _, s := range subjects {
		rs = append(rs, s.result(r.Name, batch, threads, limit))
	}
	addRatios(rs, subjects)
	for _, v := range rs {
		o.progress("%s", v.line())
	}
	return rs, nil
}

// minTurns is the least number of turns of each subject.
const minTurns = 5

// compareForm checks the outputs of a form on both runtimes against each other.
func compareForm(subjects []*subject, f form) error {
	ours, theirs := find(subjects, "aekit", f.name), find(subjects, "ort", f.name)
	if f.name == "qoperator" {
		ours = find(subjects, "aekit", "qdq") // the same arithmetic, written differently
	}
	if ours == nil || theirs == nil {
		return nil
	}
	var float *subject
	if f.int8 {
		if float = find(subjects, "ort", "float32"); float == nil {
			return nil
		}
	}
	if err := ours.compare(theirs, float); err != nil {
		return fmt.Errorf("%s: aekit and ONNX Runtime: %w", f.name, err)
	}
	return nil
}

func find(subjects []*subject, runtime, form string) *subject {
	for _, s := range subjects {
		if s.runtime == runtime && s.form == form {
			return s
		}
	}
	return nil
}

func (s *subject) result(model string, batch, threads int, limit *roofline) result {
	sorted := slices.Clone(s.times)
	slices.Sort(sorted)
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	v := result{Model: model, Batch: batch, Threads: threads, Runtime: s.runtime, Form: s.form, Runs: len(sorted),
		MedianUS: us(sorted[len(sorted)/2]), P99US: us(sorted[min(len(sorted)-1, int(math.Ceil(0.99*float64(len(sorted)))))])}
	v.ImagesPerS = float64(batch) / v.MedianUS * 1e6
	v.GFLOPS = limit.flopN / v.MedianUS / 1e3
	peak, bandwidth, least := limit.limits(s.form != "float32")
	v.PeakGFLOPS, v.ReadGBps = peak/1e9, bandwidth/1e9
	v.Roofline = 100 * least * 1e6 / v.MedianUS
	return v
}

// addRatios fills in the ratios of the results, which belong to the subjects in order.
func addRatios(rs []result, subjects []*subject) {
	var best *subject
	for i, s := range subjects {
		if s.runtime == "ort" && (best == nil || rs[i].MedianUS < rs[slices.Index(subjects, best)].MedianUS) {
			best = s
		}
	}
	for i, s := range subjects {
		if s.runtime != "aekit" {
			continue
		}
		rs[i].Ratio = ratio(find(subjects, "ort", s.form), s)
		rs[i].RatioBest = ratio(best, s)
		if s.form != "float32" {
			rs[i].RatioFloat = ratio(find(subjects, "aekit", "float32"), s)
		}
	}
}

// ratio is the median over the turns that both took of the time of a by the time of b.
func ratio(a, b *subject) float64 {
	if a == nil || b == nil {
		return 0
	}
	var v []float64
	for i := range min(len(a.turns), len(b.turns)) {
		v = append(v, float64(a.turns[i])/float64(b.turns[i]))
	}
	return median(v)
}

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
)

func (v *result) line() string {
	s := fmt.Sprintf("%-13s %4d %2dT %-6s %-10s %11.1f %11.1f %10.0f/s %7.1f GFLOP/s %4.0f%%", v.Model, v.Batch, v.Threads, v.Runtime, v.Form,
		v.MedianUS, v.P99US, v.ImagesPerS, v.GFLOPS, v.Roofline)
	if v.Ratio > 0 {
		s += fmt.Sprintf("  ×%.2f", v.Ratio)
	}
	if v.RatioBest > 0 {
		s += fmt.Sprintf("  best ×%.2f", v.RatioBest)
	}
	if v.RatioFloat > 0 {
		s += fmt.Sprintf("  own float32 ×%.2f", v.RatioFloat)
	}
	return s
}

// table writes results as Markdown: one row for each model, batch and number of threads.
func table(w io.Writer, rs []result) {
	type key struct {
		model          string
		batch, threads int
	}
	var keys []key
	by := map[key]map[string]result{}
	for _, v := range rs {
		k := key{v.Model, v.Batch, v.Threads}
		if by[k] == nil {
			by[k] = map[string]result{}
			keys = append(keys, k)
		}
		by[k][v.Runtime+" "+v.Form] = v
	}
	slices.SortStableFunc(keys, func(a, b key) int { return a.threads - b.threads })
	fmt.Fprintln(w, "| model | batch | threads | float32: median / p99 µs | images/s | roofline | ONNX Runtime µs | ratio | int8: median / p99 µs | images/s | roofline | ONNX Runtime int8 µs | ratio to its fastest | ratio to own float32 |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, k := range keys {
		f, q := by[k]["aekit float32"], by[k]["aekit qdq"]
		of := by[k]["ort float32"]
		oq := result{}
		for _, v := range by[k] {
			if v.Runtime == "ort" && v.Form != "float32" && (oq.Form == "" || v.MedianUS < oq.MedianUS) {
				oq = v
			}
		}
		fmt.Fprintf(w, "| %s | %d | %d | %s / %s | %.0f | %.0f %% | %s | %s | %s / %s | %.0f | %.0f %% | %s %s | %s | %s |\n", k.model, k.batch, k.threads,
			us(f.MedianUS), us(f.P99US), f.ImagesPerS, f.Roofline, us(of.MedianUS), times(f.Ratio),
			us(q.MedianUS), us(q.P99US), q.ImagesPerS, q.Roofline, us(oq.MedianUS), oq.Form, times(q.RatioBest), times(q.RatioFloat))
	}
	fmt.Fprintln(w)
	summary(w, rs)
}

// summary writes the geometric means of the ratios and the worst ones.
func summary(w io.Writer, rs []result) {
	fmt.Fprintln(w, "| ratio | batch | threads | geometric mean | worst |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	kinds := []struct {
		name string
		of   func(v *result) float64
	}{
		{"float32 to ONNX Runtime's float32", func(v *result) float64 { return v.Ratio * is(v, "float32") }},
		{"int8 to ONNX Runtime's fastest form", func(v *result) float64 { return v.RatioBest * is(v, "qdq") }},
		{"int8 to ONNX Runtime's same form", func(v *result) float64 { return v.Ratio * is(v, "qdq") }},
		{"int8 to own float32", func(v *result) float64 { return v.RatioFloat }},
	}
	type key struct{ threads, batch int }
	var keys []key
	for _, v := range rs {
		if k := (key{v.Threads, v.Batch}); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		if a.threads != b.threads {
			return a.threads - b.threads
		}
		return a.batch - b.batch
	})
	for _, kind := range kinds {
		for _, k := range keys {
			n, sum, worst, name := 0, 0.0, math.Inf(1), ""
			for i := range rs {
				v := &rs[i]
				r := kind.of(v)
				if v.Threads != k.threads || v.Batch != k.batch || r <= 0 {
					continue
				}
				n++
				sum += math.Log(r)
				if r < worst {
					worst, name = r, v.Model
				}
			}
			if n > 0 {
				fmt.Fprintf(w, "| %s | %d | %d | %.2f over %d models | %.2f %s |\n", kind.name, k.batch, k.threads, math.Exp(sum/float64(n)), n, worst, name)
			}
		}
	}
	scaling(w, rs)
}

// is returns 1 for results of that form of this runtime, else 0.
func is(v *result, form string) float64 {
	if v.Runtime == "aekit" && v.Form == form {
		return 1
	}
	return 0
}

// scaling writes how much faster two threads are than one, for runs of 40 µs or more.
func scaling(w io.Writer, rs []result) {
	for _, form := range []string{"float32", "qdq"} {
		n, sum, worst, name := 0, 0.0, math.Inf(1), ""
		for _, one := range rs {
			if one.Threads != 1 || one.MedianUS < 40 || is(&one, form) == 0 {
				continue
			}
			for _, two := range rs {
				if two.Threads == 2 && two.Model == one.Model && two.Batch == one.Batch && is(&two, form) == 1 {
					r := one.MedianUS / two.MedianUS
					n++
					sum += math.Log(r)
					if r < worst {
						worst, name = r, fmt.Sprintf("%s %d", one.Model, one.Batch)
					}
				}
			}
		}
		if n > 0 {
			fmt.Fprintf(w, "| %s: two threads to one, runs of 40 µs or more | all | 2 | %.2f over %d | %.2f %s |\n", form, math.Exp(sum/float64(n)), n, worst, name)
		}
	}
}

func us(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func times(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

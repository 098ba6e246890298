package main

import (
	"path/filepath"
	goruntime "runtime"
	"testing"
)

// TestPeak holds the largest resident set of processes that run a model once: 8 MB and 1.3 times
// the weights where they open a file, 2.3 times where they hold its bytes.
func TestPeak(t *testing.T) {
	if goruntime.GOOS != "linux" || goruntime.GOARCH != "amd64" && goruntime.GOARCH != "arm64" {
		t.Skip("reads /proc/self/status, and knows the size of processes of two kinds")
	}
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	programs, err := build(dir, "")
	if err != nil {
		t.Skip(err)
	}
	models, err := examples(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		values, weights, err := describe(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			factor := map[string]float64{"aekit file": 1.3, "aekit bytes": 2.3}[p.name]
			if factor == 0 {
				continue
			}
			least := int64(0) // of a few, as other work on the machine delays the collection of garbage
			for range 3 {
				_, peak, err := p.run(m, values)
				if err != nil {
					t.Fatal(err)
				}
				if least == 0 || peak < least {
					least = peak
				}
			}
			most := 8e6 + factor*float64(weights)
			t.Logf("%s, %s: %.1f MB for %.1f MB of weights, at most %.1f", filepath.Base(m), p.name, float64(least)/1e6, float64(weights)/1e6, most/1e6)
			if float64(least) > most {
				t.Errorf("%s, %s: %.1f MB for %.1f MB of weights, want at most %.1f", filepath.Base(m), p.name, float64(least)/1e6, float64(weights)/1e6, most/1e6)
			}
		}
	}
}

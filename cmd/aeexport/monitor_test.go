package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/cli"
)

func readEvents(t *testing.T, path string) []event {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []event
	for line := range bytes.Lines(b) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		e.Seconds, e.ImagesPerSecond = 0, 0
		out = append(out, e)
	}
	return out
}

// TestMetricsOfResumedRun: the metrics of a run that was stopped between two lines and
// resumed are those of one that was not.
func TestMetricsOfResumedRun(t *testing.T) {
	dir := t.TempDir()
	args := []string{"--quiet", "--no-picture", "--images", "250", "--epochs", "3", "--hidden", "8", "--latent", "2", "--batch", "25",
		"--val-fraction", "0.2", "--log-every", "3"}
	do := func(more ...string) {
		t.Helper()
		var out bytes.Buffer
		if status := run(t.Context(), append(slices.Clone(args), more...), &out, &out); status != cli.OK {
			t.Fatalf("%q: status %d: %s", more, status, &out)
		}
	}
	calm, torn := filepath.Join(dir, "calm.jsonl"), filepath.Join(dir, "torn.jsonl")
	do("--metrics", calm, filepath.Join(dir, "a.onnx"))
	state := filepath.Join(dir, "state")
	do("--metrics", torn, "--checkpoint", state, "--steps", "13", filepath.Join(dir, "b.onnx"))
	// What a killed process may have written after its last checkpoint.
	f, err := os.OpenFile(torn, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"event":"step","step":15,"epoch":2,"losses":{"loss":1}}` + "\n" + `{"event":"st`)
	f.Close()
	do("--metrics", torn, "--checkpoint", state, "--resume", "--tensorboard", filepath.Join(dir, "tb"), filepath.Join(dir, "b.onnx"))
	want, got := readEvents(t, calm), readEvents(t, torn)
	// The line of the test set after 13 steps is of the run that ended there.
	got = slices.DeleteFunc(got, func(e event) bool { return e.Event == "test" && e.Step == 13 })
	if len(got) != len(want) || len(want) != 8+3+1 {
		t.Fatalf("%d lines, want the %d of an undisturbed run: %+v", len(got), len(want), got)
	}
	for i := range want {
		a, _ := json.Marshal(want[i])
		b, _ := json.Marshal(got[i])
		if !bytes.Equal(a, b) {
			t.Errorf("line %d is %s, want %s", i+1, b, a)
		}
	}
	if last := want[len(want)-1]; last.Event != "test" || last.Step != 24 || last.Losses["loss"] == 0 {
		t.Errorf("last line %+v, want the test set after 24 steps", last)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "tb", "events.out.tfevents.*")); len(files) != 1 {
		t.Errorf("event files %q, want one", files)
	}
}

func TestTimeLimit(t *testing.T) {
	dir := t.TempDir()
	for limit := 300 * time.Millisecond; ; limit *= 4 {
		var out bytes.Buffer
		start := time.Now()
		status := run(t.Context(), []string{"--images", "500", "--epochs", "1000000", "--hidden", "8", "--latent", "2", "--val-fraction", "0.2", "--time-limit", limit.String(), filepath.Join(dir, "m.onnx")}, &out, &out)
		if status != cli.OK || !strings.Contains(out.String(), "time limit of "+limit.String()) || time.Since(start) > limit+time.Minute {
			t.Fatalf("status %d after %v: %.500s", status, time.Since(start), &out)
		}
		if strings.Contains(out.String(), "the best on validation images") {
			break
		}
		// A slow machine may have no whole epoch, and so nothing to choose from.
		if limit > 30*time.Second || !strings.Contains(out.String(), "in epoch 1,") {
			t.Fatalf("after %v: %.500s", limit, &out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "m.onnx")); err != nil {
		t.Error(err)
	}
}

func TestFindRate(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"--find-lr", "--json", "--images", "500", "--hidden", "32", "--latent", "4", filepath.Join(dir, "m.onnx")}, &out, &errs)
	if status != cli.OK {
		t.Fatalf("status %d: %s", status, &errs)
	}
	var found struct{ LR float64 }
	if err := json.Unmarshal(out.Bytes(), &found); err != nil || found.LR < 1e-5 || found.LR > 0.5 {
		t.Errorf("%s: %v, want a rate between 1e-5 and 0.5", &out, err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 || list[0].Name() != "m.lr.png" {
		t.Errorf("files %v (%v), want m.lr.png only", list, err)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/ort"
	"github.com/aekit/aekit/tensor"
)

// TestRun measures one small model, with ONNX Runtime where it is there, and reads the
// results back.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.json")
	var out bytes.Buffer
	args := []string{"--models", "seed-ae", "--batch", "1,3", "--threads", "1,2", "--seconds", "0.001", "--turn", "0.2", "--json", file}
	if err := run(context.Background(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rep report
	if err := json.Unmarshal(b, &rep); err != nil {
		t.Fatal(err)
	}
	forms := 0
	for _, f := range subjectsOfForms() {
		forms += f
	}
	if want := 4 * forms; len(rep.Results) != want {
		t.Errorf("%d results, want %d", len(rep.Results), want)
	}
	for _, r := range rep.Results {
		if r.Runs < minTurns || r.MedianUS <= 0 || r.P99US < r.MedianUS || r.ImagesPerS <= 0 {
			t.Errorf("implausible result %+v", r)
		}
	}
	if !strings.Contains(out.String(), "| seed-ae | 3 | 2 |") {
		t.Errorf("the table has no row for batch 3 on 2 threads:\n%s", &out)
	}
	var again bytes.Buffer
	if err := run(context.Background(), []string{"--from", file}, &again, io.Discard); err != nil || !strings.HasSuffix(out.String(), again.String()) {
		t.Errorf("--from gives another table (error %v):\n%s", err, &again)
	}
}

// subjectsOfForms is how many subjects each form has.
func subjectsOfForms() []int {
	var n []int
	for _, f := range forms {
		k := 0
		if f.ours {
			k++
		}
		if os.Getenv(ort.LibraryEnv) != "" {
			k++
		}
		n = append(n, k)
	}
	return n
}

// TestCompare checks that wrong outputs are seen.
func TestCompare(t *testing.T) {
	of := func(v ...float32) *subject {
		x, err := tensor.Of(v, len(v))
		if err != nil {
			t.Fatal(err)
		}
		return &subject{out: map[string]*tensor.Tensor{"y": x}}
	}
	nan := float32(math.NaN())
	want, float := of(0, 1, 255, 3), of(1, 3, 253, 2)
	for _, c := range []struct {
		name       string
		got, float *subject
		ok         bool
	}{
		{"equal", of(0, 1, 255, 3), nil, true},
		{"rounding", of(0, 1.001, 255, 3), nil, true},
		{"one value off", of(0, 1.1, 255, 3), nil, false},
		{"not a number", of(0, nan, 255, 3), nil, false},
		{"too short", of(0, 1, 255), nil, false},
		{"integers, equal", of(0, 1, 255, 3), float, true},
		{"integers, one step", of(1, 1, 255, 3), float, true},
		{"integers, as far as float32", of(1, 3, 253, 2), float, false},
		{"integers, one far off", of(0, 1, 255, 9), float, false},
	} {
		if err := c.got.compare(want, c.float); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestTurnWritesOutputs checks that a run which leaves an output alone cannot pass.
func TestTurnWritesOutputs(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(4))
	b.Output(b.Op("Relu", "y", []string{x}), tensor.Float32, onnx.NamedDim("N"), onnx.FixedDim(4))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.New(m, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, err := tensor.Of([]float32{-1, 0, 1, 2}, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	sub := &subject{session: s}
	if err := sub.prepare(context.Background(), in, time.Microsecond); err != nil {
		t.Fatal(err)
	}
	sub.out["y"].Float32s()[0] = 7
	if err := sub.turn(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := sub.out["y"].Float32s(); got[0] != 0 || got[3] != 2 {
		t.Errorf("outputs after a turn: %v", got)
	}
}

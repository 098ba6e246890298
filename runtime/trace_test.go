package runtime_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aekit/aekit/runtime"
)

func TestWriteTrace(t *testing.T) {
	p := &runtime.Profile{Runs: 2, Nodes: []runtime.NodeTime{
		{Name: "a\"\\\n\x01é\xff", OpType: "Gemm", Outputs: []string{"float32[1 2]", "x"}, MACs: 500, Time: 4 * time.Microsecond},
		{Name: "b", OpType: "Relu", Time: 3 * time.Microsecond},
	}}
	for _, p := range []*runtime.Profile{p, {}} {
		var b bytes.Buffer
		if err := p.WriteTrace(&b); err != nil {
			t.Fatal(err)
		}
		var got struct {
			TraceEvents []struct {
				Name, Cat, Ph string
				TS, Dur       float64
				PID, TID      int
				Args          struct {
					Node    string
					Outputs []string
					MACs    int64
					GFLOPS  float64
				}
			}
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", &b, err)
		}
		if len(got.TraceEvents) != len(p.Nodes) {
			t.Fatalf("%s: %d events of %d nodes", &b, len(got.TraceEvents), len(p.Nodes))
		}
		if len(p.Nodes) == 0 {
			continue
		}
		e, f := got.TraceEvents[0], got.TraceEvents[1]
		if e.Name != "Gemm" || e.Ph != "X" || e.TS != 0 || e.Dur != 2 || e.Args.Node != "a\"\\\n\x01é\uFFFD" || len(e.Args.Outputs) != 2 || e.Args.MACs != 500 || e.Args.GFLOPS != 0.5 {
			t.Errorf("first event %+v of %s", e, &b)
		}
		if f.Name != "Relu" || f.TS != 2 || f.Dur != 1.5 || f.Args.Node != "b" {
			t.Errorf("second event %+v of %s", f, &b)
		}
	}
}

// TestLogger hands a *slog.Logger to a session.
func TestLogger(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := session(t, dense(t, 50, 8, 50), runtime.Options{Logger: log})
	run(t, s, inputs{"image": random(t, 1, 1, 3, 50)})
	for _, want := range []string{"level=DEBUG", `msg="model loaded"`, "backend=native", `msg="plan built"`, "[[3 50]]", "arena_bytes="} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, &b)
		}
	}
}

package runtime

import (
	"encoding/json"
	"io"
	"time"
)

// WriteTrace writes the profile in the trace event format that chrome://tracing and
// Perfetto read: one run, in which each node takes its mean time.
func (p *Profile) WriteTrace(w io.Writer) error {
	type event struct {
		Name  string         `json:"name"`
		Cat   string         `json:"cat"`
		Phase string         `json:"ph"`
		TS    float64        `json:"ts"`  // µs
		Dur   float64        `json:"dur"` // µs
		PID   int            `json:"pid"`
		TID   int            `json:"tid"`
		Args  map[string]any `json:"args"`
	}
	events := make([]event, 0, len(p.Nodes))
	at := 0.0
	for _, n := range p.Nodes {
		us := float64(n.Time) / float64(max(1, p.Runs)) / float64(time.Microsecond)
		args := map[string]any{"node": n.Name, "outputs": n.Outputs}
		if n.MACs > 0 {
			args["macs"] = n.MACs
			if us > 0 {
				args["gflops"] = 2 * float64(n.MACs) / us / 1e3
			}
		}
		events = append(events, event{Name: n.OpType, Cat: "node", Phase: "X", TS: at, Dur: us, PID: 1, TID: 1, Args: args})
		at += us
	}
	return json.NewEncoder(w).Encode(map[string]any{"traceEvents": events, "displayTimeUnit": "ns"})
}

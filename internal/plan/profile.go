package plan

import (
	"time"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// StepTime is the time that one step of a plan took.
type StepTime struct {
	Name    string   // of the node; of the first one where several became one step
	OpType  string   // likewise
	Outputs []string // types and shapes
	MACs    int64    // multiply-accumulate operations, 0 where they are not counted
	Time    time.Duration
}

// Measure makes the following runs add up the time of each step.
func (st *State) Measure() {
	if st.blocks != nil {
		for _, b := range st.blocks.states() {
			b.Measure()
		}
		return
	}
	st.times = make([]time.Duration, len(st.plan.steps))
}

// Times returns the time that each step has taken since Measure, and ends measuring.
func (st *State) Times() []StepTime {
	if st.blocks != nil {
		return st.blocks.times()
	}
	out := make([]StepTime, len(st.times))
	for i, d := range st.times {
		s := &st.plan.steps[i]
		out[i] = StepTime{Name: s.node.Name, OpType: s.node.OpType, MACs: s.macs, Time: d}
		for _, t := range st.outs[i] {
			if t != nil {
				out[i].Outputs = append(out[i].Outputs, op.FactOf(t).String())
			}
		}
	}
	st.times = nil
	return out
}

// Inspect makes the following runs call f after each step with the node that the step began
// with and its outputs, which are valid during the call only. An error of f ends the run
// before anything is committed to states. A nil f ends inspecting.
func (st *State) Inspect(f func(n *graph.Node, outs []*tensor.Tensor) error) {
	if st.blocks != nil {
		for _, b := range st.blocks.states() {
			b.Inspect(f)
		}
		return
	}
	st.inspect = f
}

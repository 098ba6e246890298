package runtime

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Stats describes what a model costs at given input shapes.
type Stats struct {
	Parameters int64 // elements of the model's tensors: initializers and constants
	Weights    int64 // bytes of those tensors
	Packed     int   // bytes of weights in the form that the kernels read
	Arena      int   // bytes of activations and scratch memory of one run: what it uses, where no shape depends on values
	MACs       int64 // multiply-accumulate operations of one run, where no shape depends on values
	Steps      int   // operator calls of one run
	IntSteps   int   // of these, the ones that compute with 8-bit values
	FloatSteps int   // and the ones that compute in floating point: neither move data nor quantise
}

// FullyInteger reports whether all arithmetic between quantising the inputs and
// dequantising the outputs is exact arithmetic on integers, with the same results on every
// processor.
func (s Stats) FullyInteger() bool { return s.IntSteps > 0 && s.FloatSteps == 0 }

// Profile is where the time of a model goes.
type Profile struct {
	Runs  int           // that were measured
	Total time.Duration // of all runs, as the caller sees it
	Nodes []NodeTime    // in the order of execution
}

// NodeTime is the time of one step of the execution, over all runs.
type NodeTime struct {
	Name    string        // of the node; of the first one where several were fused
	OpType  string        // likewise
	Outputs []string      // types and shapes, for example "float32[1 784]"
	MACs    int64         // multiply-accumulate operations of one run
	Time    time.Duration // of all runs together
}

// Stats returns what the model costs for inputs of these shapes, given by name, without running
// it. Inputs whose type the model leaves open are taken as float32. Where the backend is not this
// module's, the fields that the model alone gives are set and the error is ErrNotNative.
func (s *Session) Stats(shapes map[string]tensor.Shape) (Stats, error) {
	var st Stats
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return st, ErrClosed
	}
	onnx.Tensors(s.model, func(t *onnx.Tensor) {
		if t.Value != nil {
			st.Parameters += int64(t.Value.Elems())
			st.Weights += int64(len(t.Value.Bytes()))
		}
	})
	n, ok := s.exec.(*native)
	if !ok {
		return st, ErrNotNative
	}
	sh := make([]tensor.Shape, len(n.ins))
	dt := make([]tensor.DType, len(n.ins))
	for i, v := range n.ins {
		given, ok := shapes[v.Name]
		if !ok {
			return st, &InputError{v.Name, fmt.Sprintf("no shape is given for input %q; want %v", v.Name, &v)}
		}
		sh[i], dt[i] = given, v.DType
		if v.DType == tensor.Undefined {
			dt[i] = tensor.Float32
		}
		if !v.accepts(dt[i], given) {
			return st, &InputError{v.Name, fmt.Sprintf("shape %v is given for input %q, want %v", given, v.Name, &v)}
		}
	}
	p, err := n.planForShapes(sh, dt)
	if err != nil {
		return st, public(err)
	}
	ps := p.plan.Stats()
	st.Packed, st.Arena, st.MACs, st.Steps = ps.Packed, ps.Arena, ps.MACs, ps.Steps
	st.IntSteps, st.FloatSteps = ps.Ints, ps.Floats
	return st, nil
}

func (n *native) planForShapes(shapes []tensor.Shape, dtypes []tensor.DType) (*prepared, error) {
	n.mu.Lock()
	for _, p := range n.plans {
		if slices.Equal(p.dtypes, dtypes) && slices.EqualFunc(p.shapes, shapes, tensor.Shape.Equal) {
			n.mu.Unlock()
			return p, nil
		}
	}
	n.mu.Unlock()
	return n.build(context.Background(), shapes, dtypes, nil)
}

// Profile runs the model once to warm up and then a number of times, at least once, and reports
// the time of each node. Measuring adds about 0.1 µs to each node. Inputs are those of
// [Session.Run]. With another backend than this module's the error is ErrNotNative.
func (s *Session) Profile(ctx context.Context, inputs map[string]*tensor.Tensor, runs int) (*Profile, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	n, ok := s.exec.(*native)
	if !ok {
		return nil, ErrNotNative
	}
	ins := make([]*tensor.Tensor, len(s.ins))
	for i := range s.ins {
		ins[i] = inputs[s.ins[i].Name]
		if err := s.ins[i].check(ins[i]); err != nil {
			return nil, err
		}
	}
	p, err := n.planFor(ctx, ins)
	if err != nil {
		return nil, public(err)
	}
	st := p.plan.NewState()
	outs := make([]*tensor.Tensor, len(s.outs))
	if err := p.plan.Run(ctx, st, outs, ins); err != nil {
		return nil, public(err)
	}
	st.Measure()
	prof := &Profile{Runs: max(1, runs)}
	start := time.Now()
	for range prof.Runs {
		if err := p.plan.Run(ctx, st, outs, ins); err != nil {
			return nil, public(err)
		}
	}
	prof.Total = time.Since(start)
	for _, t := range st.Times() {
		prof.Nodes = append(prof.Nodes, NodeTime(t))
	}
	return prof, nil
}

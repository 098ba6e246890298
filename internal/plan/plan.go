// Package plan turns a graph and the shapes of its inputs into a list of steps over one
// block of memory, and executes it.
//
// Build infers every type and shape, folds what is constant, lets operators absorb their
// neighbours (machine passes, see passes.go), packs weights, and assigns memory so that
// values whose lifetimes do not overlap share it. A Plan is immutable; what one execution
// needs is in a [State], of which each concurrent execution has its own.
package plan

import (
	"errors"
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// Limits bounds what a plan may ask for. Zero fields are unlimited.
type Limits struct {
	Elements int   // of one tensor
	Arena    int   // bytes of activations and scratch memory of one execution
	MACs     int64 // multiply-accumulate operations of one run, where shapes are known
}

// LimitError says that a plan exceeds a limit.
type LimitError struct {
	What  string // what is limited, for example "elements of one tensor"
	Value string // what the model asks for
	Limit string // what is allowed
	Node  string // where; empty for the plan as a whole
}

func (e *LimitError) Error() string {
	s := fmt.Sprintf("limit exceeded: %s: %s, allowed %s", e.What, e.Value, e.Limit)
	if e.Node != "" {
		s += fmt.Sprintf(" (node %q)", e.Node)
	}
	return s
}

// Options says how to build a plan.
type Options struct {
	Pool    *parallel.Pool // nil: one thread
	Weights *Weights       // shared packed weights; nil: the plan's own
	Limits  Limits
	// Reserve, if not nil, is called before weights are packed, with the bytes that this
	// will take and those of the plan's arena. Its error ends the building.
	Reserve func(packed, arena int) error
	// Folding is what computing constants in advance may use, over several plans; nil: what the
	// graph's own passes have left, for this plan.
	Folding *op.FoldBudget
	// Plain turns off every machine pass, so that steps are the graph's nodes. Tests
	// compare against it.
	Plain bool
}

// slot is where a value lives during a run.
type slot struct {
	kind  slotKind
	fact  op.Fact // DType and Shape; for dynamic slots empty
	root  int     // the slot whose memory this one uses; itself unless a view
	off   int     // in the arena
	index int     // of an input or output
	data  *tensor.Tensor
}

type slotKind uint8

const (
	slotArena   slotKind = iota // off in the arena
	slotInput                   // the caller's tensor
	slotOutput                  // the caller's output tensor index, written directly
	slotData                    // a constant, variable or state: data
	slotDynamic                 // made during the run
)

// step is one operator call.
type step struct {
	node    *graph.Node
	op      op.Op
	in      []int // slots, -1 for omitted
	out     []int
	packed  []op.Packed
	scratch int // offset in the arena
	nwork   int // bytes of scratch
	view    bool
	dynamic bool // shapes are found during the run
	macs    int64
}

// Plan is an executable graph for given input shapes.
type Plan struct {
	graph   *graph.Graph
	pool    *parallel.Pool
	limits  Limits
	weights *Weights
	slots   []slot
	steps   []step
	inputs  []int // slots
	outputs []int
	commits [][2]int // state slot, from slot
	arena   int      // bytes
	macs    int64
	blocks  *blockPlan // if not nil, what executes the plan; it then has no slots and no steps
}

// Stats describes a plan.
type Stats struct {
	Steps  int
	MACs   int64 // of the steps whose shapes are known
	Arena  int   // bytes of memory for activations and scratch, per concurrent execution
	Packed int   // bytes of packed weights that the plan refers to
	Ints   int   // steps that compute 8-bit values
	Floats int   // steps that compute in floating point: neither move data nor quantise
}

// Stats returns figures about the plan.
func (p *Plan) Stats() Stats {
	if p.blocks != nil {
		s := p.blocks.plan.Stats()
		s.MACs, s.Arena = p.macs, p.arena
		return s
	}
	s := Stats{Steps: len(p.steps), MACs: p.macs, Arena: p.arena}
	seen := map[op.Packed]bool{}
	for i, st := range p.steps {
		switch p.arithmetic(i) {
		case arithInt:
			s.Ints++
		case arithFloat:
			s.Floats++
		}
		for _, w := range st.packed {
			if w != nil && !seen[w] {
				seen[w] = true
				s.Packed += w.Bytes()
			}
		}
	}
	return s
}

// Plain calls f with every constant that steps read as it is, not packed.
func (p *Plan) Plain(f func(t *tensor.Tensor)) {
	if p.blocks != nil {
		p.blocks.plan.Plain(f)
		return
	}
	used := p.used()
	for i := range p.slots {
		if s := &p.slots[i]; used[i] && s.kind == slotData {
			f(s.data)
		}
	}
}

// used reports of each slot whether steps or outputs read it, itself or through views.
func (p *Plan) used() []bool {
	used := make([]bool, len(p.slots))
	for i := range p.steps {
		for _, in := range p.steps[i].in {
			if in >= 0 {
				used[p.slots[in].root] = true
			}
		}
	}
	for _, o := range p.outputs {
		used[p.slots[o].root] = true
	}
	return used
}

// Output returns the type and shape of output i, and false if they are not known before
// the run.
func (p *Plan) Output(i int) (op.Fact, bool) {
	if p.blocks != nil {
		return p.blocks.out[i], true
	}
	s := p.slots[p.outputs[i]]
	return op.Fact{DType: s.fact.DType, Shape: s.fact.Shape}, s.kind != slotDynamic
}

// BufferError says that the caller's tensor for an output has another type or shape.
type BufferError struct {
	Name string // of the output
	text string
}

func (e *BufferError) Error() string { return e.text }

func bufferError(name string, want fmt.Stringer, given *tensor.Tensor) error {
	return &BufferError{name, fmt.Sprintf("the buffer for output %q is %v, want %v", name, given, want)}
}

// NodeError is an error of one node, with what the node was given.
type NodeError struct {
	Name   string
	OpType string
	Inputs []string // types and shapes, for example "float32[1 784]"
	Err    error
}

func (e *NodeError) Error() string {
	s := fmt.Sprintf("node %q (%s)", e.Name, e.OpType)
	if len(e.Inputs) > 0 {
		s += fmt.Sprintf(" with inputs %v", e.Inputs)
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *NodeError) Unwrap() error { return e.Err }

func nodeError(n *graph.Node, in []op.Fact, err error) error {
	var inner *NodeError
	if errors.As(err, &inner) && inner.Name == n.Name {
		return err
	}
	e := &NodeError{Name: n.Name, OpType: n.OpType, Err: err}
	for _, f := range in {
		e.Inputs = append(e.Inputs, f.String())
	}
	return e
}

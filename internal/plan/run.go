package plan

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/hugepage"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// State is the memory of one execution of a Plan: arena, tensor headers and what operators
// keep between runs. It serves one Run at a time.
type State struct {
	plan    *Plan
	arena   []byte
	tensors []tensor.Tensor // by slot
	ins     [][]*tensor.Tensor
	outs    [][]*tensor.Tensor
	states  []any
	ctx     op.Context
	rebind  []int // view slots whose memory differs from run to run
	extra   int   // bytes allocated during the run
	at      int   // the step that runs
	times   []time.Duration
	inspect func(*graph.Node, []*tensor.Tensor) error
	blocks  *blockState
}

var seeds atomic.Uint64

// newArena returns memory for the activations of one execution.
func newArena(n int) []byte {
	b := tensor.AlignedBytes(n)
	hugepage.Advise(b)
	return b
}

// NewState allocates what one execution needs.
func (p *Plan) NewState() *State {
	if p.blocks != nil {
		return &State{plan: p, blocks: p.newBlockState()}
	}
	st := &State{
		plan:    p,
		arena:   newArena(p.arena),
		tensors: make([]tensor.Tensor, len(p.slots)),
		ins:     make([][]*tensor.Tensor, len(p.steps)),
		outs:    make([][]*tensor.Tensor, len(p.steps)),
		states:  make([]any, len(p.steps)),
	}
	st.ctx.Account = st.account
	st.ctx.Pool = p.pool
	st.ctx.Limits = op.BodyLimits(p.limits)
	var used []bool
	if op.Complete {
		used = p.used()
	}
	for i := range p.slots {
		s := &p.slots[i]
		root := &p.slots[s.root]
		if s.kind != slotDynamic {
			st.tensors[i].Set(s.fact.DType, nil, s.fact.Shape)
		}
		switch {
		case s.kind == slotDynamic:
		case root.kind == slotArena:
			if n, err := tensor.ByteSize(s.fact.DType, s.fact.Shape); err == nil && root.off+n <= len(st.arena) {
				st.tensors[i].Set(s.fact.DType, st.arena[root.off:root.off+n], s.fact.Shape)
			}
		case root.kind == slotData && op.Complete && root.data.Late() != nil && !used[s.root]:
			// Only its packed form is read.
		case root.kind == slotData:
			st.tensors[i].Set(s.fact.DType, root.data.Bytes(), s.fact.Shape)
		case s.root != i:
			st.rebind = append(st.rebind, i)
		}
	}
	for i := range p.steps {
		s := &p.steps[i]
		st.ins[i] = make([]*tensor.Tensor, len(s.in))
		st.outs[i] = make([]*tensor.Tensor, len(s.out))
		for k, in := range s.in {
			if in >= 0 {
				st.ins[i][k] = &st.tensors[in]
			}
		}
		for k, out := range s.out {
			if out >= 0 {
				st.outs[i][k] = &st.tensors[out]
			}
		}
	}
	return st
}

func (st *State) account(n int) error {
	st.extra += n
	if m := st.plan.limits.Arena; m > 0 && (st.extra < 0 || st.plan.arena+st.extra > m) {
		return &LimitError{"bytes of activations", fmt.Sprint(st.plan.arena + st.extra), fmt.Sprint(m), ""}
	}
	return nil
}

// Run executes the plan. ins are the inputs, of the types and shapes that the plan was
// built for. outs are where the outputs go: tensors of their type and shape, which must not
// overlap the inputs or each other; a nil output is allocated and stored in outs. It stops
// between steps when ctx is done. A failure inside an operator is a [NodeError].
func (p *Plan) Run(ctx context.Context, st *State, outs, ins []*tensor.Tensor) (err error) {
	if len(ins) != len(p.graph.Inputs) || len(outs) != len(p.graph.Outputs) {
		return fmt.Errorf("plan: %d inputs and %d outputs given, want %d and %d", len(ins), len(outs), len(p.graph.Inputs), len(p.graph.Outputs))
	}
	if p.blocks != nil {
		return p.runBlocks(ctx, st, outs, ins)
	}
	st.at, st.extra = -1, 0
	defer func() {
		if v := recover(); v != nil {
			err = p.panicked(st, v)
		}
	}()
	if err := p.bind(st, outs, ins); err != nil {
		return err
	}
	st.ctx.Ctx = ctx
	st.ctx.Seed = seeds.Add(1)
	done := ctx.Done()
	for i := range p.steps {
		if done != nil {
			select {
			case <-done:
				return context.Cause(ctx)
			default:
			}
		}
		if st.times == nil {
			err = p.runStep(st, i)
		} else {
			start := time.Now()
			err = p.runStep(st, i)
			st.times[i] += time.Since(start)
		}
		if err == nil && st.inspect != nil {
			err = st.inspect(p.steps[i].node, st.outs[i])
		}
		if err != nil {
			return err
		}
	}
	for _, c := range p.commits {
		if err := p.slots[c[0]].data.CopyFrom(&st.tensors[c[1]]); err != nil {
			return err
		}
	}
	return p.finish(st, outs)
}

func (p *Plan) panicked(st *State, v any) error {
	cause, ok := v.(error)
	if !ok {
		cause = fmt.Errorf("%v", v)
	}
	err := fmt.Errorf("internal error: %w", cause)
	if st.at >= 0 && st.at < len(p.steps) {
		n := p.steps[st.at].node
		return &NodeError{Name: n.Name, OpType: n.OpType, Err: err}
	}
	return err
}

// bind points the tensor headers at the caller's memory.
func (p *Plan) bind(st *State, outs, ins []*tensor.Tensor) error {
	for i, slot := range p.inputs {
		f := &p.slots[slot].fact
		if ins[i] == nil || ins[i].DType() != f.DType || !ins[i].Shape().Equal(f.Shape) {
			return fmt.Errorf("plan: input %q is %v, the plan is for %v", p.graph.Values[slot].Name, ins[i], f)
		}
		st.tensors[slot].Set(f.DType, ins[i].Bytes(), f.Shape)
	}
	for i, slot := range p.outputs {
		s := &p.slots[slot]
		if s.kind == slotDynamic {
			continue
		}
		if outs[i] == nil {
			t, err := tensor.New(s.fact.DType, s.fact.Shape...)
			if err != nil {
				return err
			}
			outs[i] = t
		}
		if outs[i].DType() != s.fact.DType || !outs[i].Shape().Equal(s.fact.Shape) {
			return bufferError(p.graph.Values[slot].Name, s.fact, outs[i])
		}
		if r := &p.slots[s.root]; r.kind == slotOutput && r.index == i {
			st.tensors[s.root].Set(r.fact.DType, outs[i].Bytes(), r.fact.Shape)
		}
	}
	for _, v := range st.rebind {
		s := &p.slots[v]
		st.tensors[v].Set(s.fact.DType, st.tensors[s.root].Bytes(), s.fact.Shape)
	}
	return nil
}

func (p *Plan) runStep(st *State, i int) error {
	s := &p.steps[i]
	st.at = i
	if s.dynamic {
		return p.runDynamic(st, i)
	}
	if s.view {
		return nil
	}
	st.ctx.Packed = s.packed
	st.ctx.State = &st.states[i]
	st.ctx.Scratch = nil
	if s.nwork > 0 {
		st.ctx.Scratch = st.arena[s.scratch : s.scratch+s.nwork]
	}
	if err := s.op.Run(&st.ctx, st.outs[i], st.ins[i]); err != nil {
		return nodeError(s.node, factsOf(st.ins[i]), err)
	}
	return nil
}

func factsOf(ts []*tensor.Tensor) []op.Fact {
	f := make([]op.Fact, len(ts))
	for i, t := range ts {
		f[i] = op.FactOf(t)
	}
	return f
}

// runDynamic runs a step whose output shapes were not known when the plan was built.
func (p *Plan) runDynamic(st *State, i int) error {
	s := &p.steps[i]
	st.ctx.Packed, st.ctx.State, st.ctx.Scratch = nil, &st.states[i], nil
	in := factsOf(st.ins[i])
	facts, err := s.op.Infer(in)
	if a, ok := s.op.(op.Allocator); ok && errors.Is(err, op.ErrDeferred) {
		outs, err := a.RunAlloc(&st.ctx, st.ins[i])
		if err != nil {
			return nodeError(s.node, in, err)
		}
		if len(outs) < len(s.out) {
			return nodeError(s.node, in, fmt.Errorf("gave %d outputs, the node names %d", len(outs), len(s.out)))
		}
		for k, o := range s.out {
			if o >= 0 {
				st.tensors[o].Set(outs[k].DType(), outs[k].Bytes(), outs[k].Shape())
			}
		}
		return nil
	}
	if err != nil {
		return nodeError(s.node, in, err)
	}
	if len(facts) < len(s.out) {
		return nodeError(s.node, in, fmt.Errorf("has %d outputs, the node names %d", len(facts), len(s.out)))
	}
	for k, o := range s.out {
		if o < 0 {
			continue
		}
		if err := p.checkDynamic(facts[k], s); err != nil {
			return err
		}
		t, err := st.ctx.New(facts[k].DType, facts[k].Shape)
		if err != nil {
			return nodeError(s.node, in, err)
		}
		st.tensors[o].Set(t.DType(), t.Bytes(), t.Shape())
	}
	if w, ok := s.op.(op.Workspacer); ok {
		n := w.Workspace(in)
		if err := st.account(n); err != nil {
			return nodeError(s.node, in, err)
		}
		st.ctx.Scratch = tensor.AlignedBytes(n)
	}
	if err := s.op.Run(&st.ctx, st.outs[i], st.ins[i]); err != nil {
		return nodeError(s.node, in, err)
	}
	return nil
}

func (p *Plan) checkDynamic(f op.Fact, s *step) error {
	n, ok := f.Shape.Elems()
	if m := p.limits.Elements; !ok || m > 0 && n > m {
		return &LimitError{"elements of one tensor", f.Shape.String(), fmt.Sprint(m), s.node.Name}
	}
	return nil
}

// finish copies the outputs that were not computed in the caller's memory.
func (p *Plan) finish(st *State, outs []*tensor.Tensor) error {
	st.ctx.Ctx = nil
	for i, slot := range p.outputs {
		if r := &p.slots[p.slots[slot].root]; r.kind == slotOutput && r.index == i {
			continue
		}
		t := &st.tensors[slot]
		if outs[i] == nil {
			outs[i] = t.Clone()
			continue
		}
		if outs[i].DType() != t.DType() || !outs[i].Shape().Equal(t.Shape()) {
			return bufferError(p.graph.Values[slot].Name, t, outs[i])
		}
		if err := outs[i].CopyFrom(t); err != nil {
			return err
		}
	}
	return nil
}

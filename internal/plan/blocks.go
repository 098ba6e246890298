package plan

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// A batch whose activations do not fit in a cache is executed block by block, if every
// operator treats its rows one by one: all steps for some images, then all steps for the next.
// What a step leaves is then still in cache for the following one, the arena is that of a
// block, and threads take blocks of their own in place of sharing out each operator.

const (
	// blockBytes is how many bytes of input and output of the largest step a block aims at.
	blockBytes = 1 << 20
	// blockWeights bounds how often weights are read: a block has at least one image for each
	// so many multiply-accumulate operations that an image takes per byte of weights.
	blockWeights = 16
)

// blockPlan is a plan for blocks of a batch.
type blockPlan struct {
	plan, last *Plan // of whole blocks, and of a last one that is smaller; nil if there is none
	rows       int   // of a block
	count      int   // whole blocks
	lastRows   int
	inputs     []bool // which inputs have rows; the others are the same for all blocks
	in, out    []op.Fact
}

// batch returns the number of rows if inputs and outputs have rows of one batch, of at least two.
func (b *builder) batch() int {
	rows := 0
	for _, id := range b.g.Outputs {
		s := b.facts[id].Shape
		if len(s) == 0 || b.dynamic[id] || rows != 0 && s[0] != rows {
			return 0
		}
		rows = s[0]
	}
	return rows
}

// rowWise returns which values have rows of a batch, and false unless each row of the outputs
// follows from the same rows of the inputs.
func (b *builder) rowWise(rows int) ([]bool, bool) {
	if len(b.g.Commits) > 0 {
		return nil, false
	}
	batched := make([]bool, len(b.facts))
	has := func(id graph.ValueID) bool {
		s := b.facts[id].Shape
		return len(s) > 0 && s[0] == rows
	}
	for _, id := range b.g.Inputs {
		batched[id] = has(id)
	}
	for _, n := range b.g.Nodes {
		if b.allConst(n) {
			continue
		}
		_, impure := n.Op.(op.Impure)
		if impure || b.isDynamic(n) || len(n.Bodies) > 0 {
			return nil, false
		}
		in := make([]bool, len(n.In))
		for i, id := range n.In {
			in[i] = id != graph.None && batched[id]
		}
		if !slices.Contains(in, true) {
			continue // the same for all rows
		}
		out := make([]op.Fact, len(n.Out))
		for i, id := range n.Out {
			if id == graph.None || b.dynamic[id] || !has(id) {
				return nil, false
			}
			out[i] = b.facts[id]
			batched[id] = true
		}
		if o, ok := n.Op.(op.RowWise); !ok || !o.RowWise(b.inFacts(n), out, in) {
			return nil, false
		}
	}
	for _, id := range b.g.Outputs {
		if !batched[id] {
			return nil, false
		}
	}
	return batched, true
}

// sameRows reports whether the graph of c, which was inferred for other numbers of rows, does with a row what that of b does.
func (b *builder) sameRows(c *builder, batched, batchedC []bool) bool {
	if len(b.g.Nodes) != len(c.g.Nodes) {
		return false
	}
	for i, n := range b.g.Nodes {
		m := c.g.Nodes[i]
		// Both are copies of one graph, in which an output belongs to one node.
		if !slices.Equal(n.In, m.In) || !slices.Equal(n.Out, m.Out) || b.allConst(n) != c.allConst(m) {
			return false
		}
		if b.allConst(n) {
			continue
		}
		for k, id := range n.In {
			if id == graph.None {
				continue
			}
			x, y := b.facts[id].Const, c.facts[id].Const
			if (x == nil) != (y == nil) {
				return false
			}
			if x != nil && x != y && !op.ShapesOnly(n.Op, k) && !(x.DType() == y.DType() && x.Shape().Equal(y.Shape()) && bytes.Equal(x.Bytes(), y.Bytes())) {
				return false
			}
		}
		for _, id := range n.Out {
			if id == graph.None {
				continue
			}
			x, y := b.facts[id].Shape, c.facts[id].Shape
			if batched[id] {
				x, y = x[1:], y[1:]
			}
			if batched[id] != batchedC[id] || !x.Equal(y) {
				return false
			}
		}
	}
	return true
}

// narrow returns the values that islands will hold in 8 bits: what is dequantised, and what is quantised, perhaps behind
// operators on single elements.
func (b *builder) narrow() map[graph.ValueID]bool {
	narrow := map[graph.ValueID]bool{}
	if !op.Complete {
		return narrow
	}
	for _, n := range slices.Backward(b.g.Nodes) {
		switch {
		case n.OpType == "DequantizeLinear":
			narrow[n.Out[0]] = true
		case n.OpType == "QuantizeLinear" || op.Elementwise(n.Op) && len(n.Out) == 1 && narrow[n.Out[0]]:
			if n.In[0] != graph.None && !slices.Contains(b.g.Inputs, n.In[0]) {
				narrow[n.In[0]] = true
			}
		}
	}
	return narrow
}

// blockRows returns into blocks of how many rows the batch is best divided, or 0 if it is not.
func (b *builder) blockRows(rows int, batched []bool) int {
	narrow := b.narrow()
	bytesOf := func(id graph.ValueID) int {
		d := b.facts[id].DType
		if narrow[id] {
			d = tensor.Uint8
		}
		n, _ := tensor.ByteSize(d, b.facts[id].Shape)
		return n
	}
	var macs int64
	weights, largest := 0, 0
	for _, n := range b.g.Nodes {
		if b.allConst(n) {
			continue
		}
		moved := 0
		for _, id := range n.In {
			switch {
			case id == graph.None:
			case batched[id]:
				moved += bytesOf(id)
			default:
				weights += bytesOf(id)
			}
		}
		out := make([]op.Fact, len(n.Out))
		for i, id := range n.Out {
			if id != graph.None {
				moved += bytesOf(id)
				out[i] = b.facts[id]
			}
		}
		largest = max(largest, moved)
		if c, ok := n.Op.(op.Coster); ok {
			macs = addMACs(macs, c.MACs(b.inFacts(n), out))
		}
	}
	each := macs / int64(rows)
	// Where a weight is used less than a few times for an image, reading weights again costs what is saved.
	if largest <= blockBytes || each < int64(weights) {
		return 0
	}
	per := max(largest/rows, 1)
	size := max(1, blockBytes/per, int(int64(blockWeights)*int64(weights)/each))
	if rows <= size {
		return 0
	}
	blocks := (rows + size - 1) / size
	return (rows + blocks - 1) / blocks
}

// blocks returns a plan for blocks, or nil where the batch is not divided.
func (b *builder) blocks(g *graph.Graph, inputs []op.Fact) *Plan {
	rows := b.batch()
	if rows < 2 {
		return nil
	}
	batched, ok := b.rowWise(rows)
	if !ok {
		return nil
	}
	size := b.blockRows(rows, batched)
	if size == 0 {
		return nil
	}
	p := &blockPlan{rows: size, count: rows / size, lastRows: rows % size}
	for i, id := range b.g.Inputs {
		p.inputs = append(p.inputs, batched[id])
		p.in = append(p.in, op.Fact{DType: inputs[i].DType, Shape: inputs[i].Shape.Clone()})
	}
	for _, id := range b.g.Outputs {
		p.out = append(p.out, op.Fact{DType: b.facts[id].DType, Shape: b.facts[id].Shape})
	}
	if p.plan = b.block(g, p, batched, size); p.plan == nil {
		return nil
	}
	if p.lastRows > 0 {
		if p.last = b.block(g, p, batched, p.lastRows); p.last == nil {
			return nil
		}
	}
	whole := &Plan{graph: b.g, pool: b.opts.Pool, limits: b.opts.Limits, weights: b.plan.weights, blocks: p}
	whole.arena = p.plan.arena * whole.workers()
	whole.macs = p.plan.macs * int64(p.count)
	if p.last != nil {
		whole.arena += p.last.arena
		whole.macs = addMACs(whole.macs, p.last.macs)
	}
	m := b.opts.Limits
	if m.Arena > 0 && whole.arena > m.Arena || m.MACs > 0 && (whole.macs > m.MACs || whole.macs < 0) {
		return nil
	}
	return whole
}

// block builds the plan of a block. It returns nil if there is none, or if it would not compute the same.
func (b *builder) block(g *graph.Graph, p *blockPlan, batched []bool, rows int) *Plan {
	in := make([]op.Fact, len(p.in))
	for i, f := range p.in {
		in[i] = op.Fact{DType: f.DType, Shape: f.Shape.Clone()}
		if p.inputs[i] {
			in[i].Shape[0] = rows
		}
	}
	opts := b.opts
	opts.Weights = b.plan.weights
	if reserve := opts.Reserve; reserve != nil {
		opts.Reserve = func(packed, arena int) error {
			return reserve(packed, arena*min(opts.Pool.Threads(), p.count))
		}
	}
	c, err := newBuilder(g, in, opts)
	if err != nil {
		return nil
	}
	also, ok := c.rowWise(rows)
	if !ok || !b.sameRows(c, batched, also) {
		return nil
	}
	plan, err := c.finish()
	if err != nil {
		return nil
	}
	return plan
}

// workers is how many blocks are executed at the same time.
func (p *Plan) workers() int { return min(p.pool.Threads(), p.blocks.count) }

// blockState is the memory of the blocks that are executed at the same time.
type blockState struct {
	workers []*State // by worker
	last    *State
	ins     [][]*tensor.Tensor // by worker
	outs    [][]*tensor.Tensor
	heads   []tensor.Tensor

	// of a run
	plan *Plan
	ctx  context.Context
	from []*tensor.Tensor
	to   []*tensor.Tensor
	mu   sync.Mutex
	err  error
}

func (p *Plan) newBlockState() *blockState {
	b := p.blocks
	n, m := len(b.in), len(b.out)
	s := &blockState{plan: p, heads: make([]tensor.Tensor, p.workers()*(n+m))}
	for w := range p.workers() {
		s.workers = append(s.workers, b.plan.NewState())
		heads := s.heads[w*(n+m):]
		var list []*tensor.Tensor
		for i := range n + m {
			list = append(list, &heads[i])
		}
		s.ins, s.outs = append(s.ins, list[:n]), append(s.outs, list[n:])
	}
	if b.last != nil {
		s.last = b.last.NewState()
	}
	return s
}

// slice points the headers of a worker at the rows of block i, of which the plan has so many.
func (s *blockState) slice(worker, i, rows int) {
	b := s.plan.blocks
	cut := func(head, whole *tensor.Tensor, batched bool, f op.Fact) {
		if !batched {
			head.Set(f.DType, whole.Bytes(), f.Shape)
			return
		}
		data := whole.Bytes()
		row := len(data) / whole.Shape()[0]
		head.Set(f.DType, data[i*b.rows*row:][:rows*row], f.Shape)
	}
	plan := b.plan
	if rows != b.rows {
		plan = b.last
	}
	for k, t := range s.ins[worker] {
		cut(t, s.from[k], b.inputs[k], plan.slots[plan.inputs[k]].fact)
	}
	for k, t := range s.outs[worker] {
		cut(t, s.to[k], true, plan.slots[plan.outputs[k]].fact)
	}
}

// Do implements [parallel.Task]: it executes one block on one thread.
func (s *blockState) Do(chunk, worker int) {
	b := s.plan.blocks
	if len(s.workers) < s.plan.pool.Threads() {
		worker = chunk // as many blocks as states
	}
	s.slice(worker, chunk, b.rows)
	s.workers[worker].ctx.Pool = nil
	s.run(b.plan, s.workers[worker], worker)
}

// run executes a block and keeps the first error.
func (s *blockState) run(p *Plan, st *State, worker int) {
	s.mu.Lock()
	stop := s.err != nil
	s.mu.Unlock()
	if stop {
		return
	}
	if err := p.Run(s.ctx, st, s.outs[worker], s.ins[worker]); err != nil {
		s.mu.Lock()
		if s.err == nil {
			s.err = err
		}
		s.mu.Unlock()
	}
}

// runBlocks is Run of a plan for blocks. As many blocks as there are threads go together; of
// what is left, threads share the operators.
func (p *Plan) runBlocks(ctx context.Context, st *State, outs, ins []*tensor.Tensor) error {
	b, s := p.blocks, st.blocks
	if err := p.checkBlocks(outs, ins); err != nil {
		return err
	}
	s.ctx, s.from, s.to, s.err = ctx, ins, outs, nil
	together := b.count / len(s.workers) * len(s.workers)
	if len(s.workers) == 1 {
		together = 0
	}
	p.pool.Run(together, s)
	for i := together; i < b.count; i++ {
		s.slice(0, i, b.rows)
		s.workers[0].ctx.Pool = p.pool
		s.run(b.plan, s.workers[0], 0)
	}
	if b.last != nil {
		s.slice(0, b.count, b.lastRows)
		s.run(b.last, s.last, 0)
	}
	s.ctx, s.from, s.to = nil, nil, nil
	for i := range s.heads {
		s.heads[i].Set(s.heads[i].DType(), nil, nil)
	}
	return s.err
}

// checkBlocks checks inputs and outputs, and allocates the outputs that are nil.
func (p *Plan) checkBlocks(outs, ins []*tensor.Tensor) error {
	for i, id := range p.graph.Inputs {
		f := &p.blocks.in[i]
		if ins[i] == nil || ins[i].DType() != f.DType || !ins[i].Shape().Equal(f.Shape) {
			return fmt.Errorf("plan: input %q is %v, the plan is for %v", p.graph.Value(id).Name, ins[i], f)
		}
	}
	for i, id := range p.graph.Outputs {
		f := &p.blocks.out[i]
		if outs[i] == nil {
			t, err := tensor.New(f.DType, f.Shape...)
			if err != nil {
				return err
			}
			outs[i] = t
		}
		if outs[i].DType() != f.DType || !outs[i].Shape().Equal(f.Shape) {
			return bufferError(p.graph.Value(id).Name, f, outs[i])
		}
	}
	return nil
}

// states returns the states of all blocks.
func (s *blockState) states() []*State {
	if s.last == nil {
		return s.workers
	}
	return append(slices.Clip(s.workers), s.last)
}

// times adds up the times of all blocks. Steps that only the smaller last one has come at the end.
func (s *blockState) times() []StepTime {
	b := s.plan.blocks
	out := s.workers[0].Times()
	for i := range out {
		out[i].MACs *= int64(b.count)
	}
	for _, st := range s.workers[1:] {
		for i, t := range st.Times() {
			out[i].Time += t.Time
		}
	}
	if s.last == nil {
		return out
	}
	steps, from := len(out), 0
	for _, t := range s.last.Times() {
		k := slices.IndexFunc(out[from:steps], func(o StepTime) bool { return o.Name == t.Name && o.OpType == t.OpType })
		if k < 0 {
			out = append(out, t)
			continue
		}
		from += k + 1
		out[from-1].MACs += t.MACs
		out[from-1].Time += t.Time
	}
	return out
}

// BlockRows returns the number of rows that are executed together: those of the batch, which is the first extent of
// output 0, unless the plan is for blocks of it.
func (p *Plan) BlockRows() int {
	if p.blocks != nil {
		return p.blocks.rows
	}
	if f, ok := p.Output(0); ok && len(f.Shape) > 0 {
		return f.Shape[0]
	}
	return 1
}

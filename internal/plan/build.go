package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// Build makes a plan for inputs of the given types and shapes, in the order of g.Inputs.
// It does not change g.
func Build(g *graph.Graph, inputs []op.Fact, opts Options) (*Plan, error) {
	b, err := newBuilder(g, inputs, opts)
	if err != nil {
		return nil, err
	}
	if op.Complete && !opts.Plain {
		if p := b.blocks(g, inputs); p != nil {
			return p, nil
		}
	}
	return b.finish()
}

// newBuilder infers the facts of a graph.
func newBuilder(g *graph.Graph, inputs []op.Fact, opts Options) (*builder, error) {
	if len(inputs) != len(g.Inputs) {
		return nil, fmt.Errorf("plan: %d inputs given, the graph has %d", len(inputs), len(g.Inputs))
	}
	b := &builder{
		g:    g.Clone(),
		opts: opts,
		plan: &Plan{pool: opts.Pool, limits: opts.Limits, weights: opts.Weights},
	}
	if b.plan.weights == nil {
		b.plan.weights = NewWeights()
	}
	b.plan.graph = b.g
	if b.folding = opts.Folding; b.folding == nil {
		b.folding = b.g.FoldBudget()
	}
	if err := b.infer(inputs); err != nil {
		return nil, err
	}
	b.g.RemoveDead()
	return b, nil
}

// finish makes the plan.
func (b *builder) finish() (*Plan, error) {
	opts := b.opts
	if !opts.Plain {
		if err := b.machinePasses(); err != nil {
			return nil, err
		}
	}
	b.makeSteps()
	if m, macs := opts.Limits.MACs, b.plan.macs; m > 0 && (macs > m || macs < 0) {
		return nil, &LimitError{"multiply-accumulate operations of one run", macCount(macs), fmt.Sprint(m), ""}
	}
	jobs := b.choosePacked()
	if err := b.place(); err != nil {
		return nil, err
	}
	if opts.Reserve != nil {
		if err := opts.Reserve(b.plan.unpacked(jobs), b.plan.arena); err != nil {
			return nil, err
		}
	}
	if err := b.pack(jobs); err != nil {
		return nil, err
	}
	if op.Complete {
		// Errors of reading what a constant is computed from belong here, not to the run.
		b.plan.Plain(func(t *tensor.Tensor) { t.Bytes() })
	}
	return b.plan, nil
}

type builder struct {
	g       *graph.Graph
	opts    Options
	plan    *Plan
	facts   []op.Fact // by value
	dynamic []bool    // by value: the fact is not known before the run
	folding *op.FoldBudget
	grown   map[*tensor.Tensor]bool // constants whose packed form may be larger
	growth  int                     // bytes that packed forms may still grow
}

// fact returns what is known of a value; None gives the zero Fact.
//
//go:noinline
func (b *builder) fact(id graph.ValueID) op.Fact {
	if id == graph.None {
		return op.Fact{}
	}
	return b.facts[id]
}

//go:noinline
func (b *builder) inFacts(n *graph.Node) []op.Fact {
	f := make([]op.Fact, len(n.In))
	for i, id := range n.In {
		f[i] = b.fact(id)
	}
	return f
}

//go:noinline
func (b *builder) isDynamic(n *graph.Node) bool {
	return slices.ContainsFunc(n.In, func(id graph.ValueID) bool { return id != graph.None && b.dynamic[id] })
}

func (b *builder) setFact(id graph.ValueID, f op.Fact) {
	for int(id) >= len(b.facts) {
		b.facts = append(b.facts, op.Fact{})
		b.dynamic = append(b.dynamic, false)
	}
	b.facts[id] = f
}

// infer finds the type and shape of every value, and turns values that depend on constants
// alone into constants.
func (b *builder) infer(inputs []op.Fact) error {
	g := b.g
	b.facts = make([]op.Fact, len(g.Values))
	b.dynamic = make([]bool, len(g.Values))
	for i, v := range g.Values {
		switch v.Kind {
		case graph.Constant:
			b.facts[i] = op.FactOf(v.Data)
		case graph.Variable, graph.State:
			b.facts[i] = op.Fact{DType: v.Data.DType(), Shape: v.Data.Shape()}
		}
	}
	for i, id := range g.Inputs {
		f := inputs[i]
		if err := b.checkElements(f, ""); err != nil {
			return err
		}
		b.facts[id] = op.Fact{DType: f.DType, Shape: f.Shape.Clone()}
	}
	for _, n := range g.Nodes {
		in := b.inFacts(n)
		if b.isDynamic(n) {
			b.markDynamic(n)
			continue
		}
		out, err := n.Op.Infer(in)
		if errors.Is(err, op.ErrDeferred) {
			b.markDynamic(n)
			continue
		}
		if err != nil {
			return nodeError(n, in, err)
		}
		if len(out) < len(n.Out) {
			return nodeError(n, in, fmt.Errorf("has %d outputs, the node names %d", len(out), len(n.Out)))
		}
		for i, id := range n.Out {
			if id == graph.None {
				continue
			}
			if err := b.checkElements(out[i], n.Name); err != nil {
				return err
			}
			b.facts[id] = out[i]
			if c := out[i].Const; c != nil {
				b.makeConst(id, c)
			}
		}
		if err := b.fold(n, in, out); err != nil {
			return nodeError(n, in, err)
		}
	}
	return nil
}

func (b *builder) markDynamic(n *graph.Node) {
	for _, id := range n.Out {
		if id != graph.None {
			b.dynamic[id] = true
		}
	}
}

func (b *builder) makeConst(id graph.ValueID, t *tensor.Tensor) {
	v := b.g.Value(id)
	v.Kind, v.Data = graph.Constant, t
	b.facts[id] = op.FactOf(t)
}

func (b *builder) checkElements(f op.Fact, node string) error {
	n, ok := f.Shape.Elems()
	if !ok {
		return &LimitError{"elements of one tensor", f.Shape.String(), "what an int counts", node}
	}
	if m := b.opts.Limits.Elements; m > 0 && n > m {
		return &LimitError{"elements of one tensor", fmt.Sprint(n), fmt.Sprint(m), node}
	}
	return nil
}

// foldGrowth bounds how many bytes folding a node may add to what its inputs have, so that
// a file cannot make memory out of nothing and small weights stay small.
const foldGrowth = 1 << 16

// fold computes a node all of whose inputs are constants, unless it expands weights.
func (b *builder) fold(n *graph.Node, in, out []op.Fact) error {
	if b.expandsWeights(n) {
		return nil
	}
	return b.foldNode(n, in, out)
}

// foldNode computes a node all of whose inputs are constants.
func (b *builder) foldNode(n *graph.Node, in, out []op.Fact) error {
	if len(n.Bodies) > 0 || b.opts.Plain {
		return nil
	}
	if _, ok := n.Op.(op.Impure); ok {
		return nil
	}
	have := 0
	for _, f := range in {
		if !f.Present() {
			continue
		}
		if f.Const == nil {
			return nil
		}
		have += op.SizeOf(f.Const)
	}
	need, done := 0, true
	for i, id := range n.Out {
		size, err := tensor.ByteSize(out[i].DType, out[i].Shape)
		if err != nil || size > have+foldGrowth-need {
			return nil
		}
		need += size
		done = done && (id == graph.None || out[i].Const != nil)
	}
	if done {
		return nil
	}
	if !b.folding.Take(n.Op, in, out[:len(n.Out)]) {
		return nil
	}
	ts, err := b.folding.Eval(n.Op, in, out[:len(n.Out)])
	if errors.Is(err, op.ErrFoldBudget) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, id := range n.Out {
		if id != graph.None {
			b.makeConst(id, ts[i])
		}
	}
	return nil
}

// makeSteps turns the remaining nodes into steps with slots numbered as the values are.
func (b *builder) makeSteps() {
	p := b.plan
	for _, n := range b.g.Nodes {
		if b.allConst(n) {
			continue
		}
		s := step{node: n, op: n.Op, scratch: -1, dynamic: b.isDynamic(n)}
		for _, id := range n.In {
			s.in = append(s.in, int(id))
		}
		for _, id := range n.Out {
			s.out = append(s.out, int(id))
			s.dynamic = s.dynamic || id != graph.None && b.dynamic[id]
		}
		if c, ok := n.Op.(op.Coster); ok && !s.dynamic {
			out := make([]op.Fact, len(n.Out))
			for i, id := range n.Out {
				out[i] = b.fact(id)
			}
			s.macs = c.MACs(b.inFacts(n), out)
			p.macs = addMACs(p.macs, s.macs)
		}
		p.steps = append(p.steps, s)
	}
}

func macCount(n int64) string {
	if n < 0 {
		return "more than 2⁶³"
	}
	return fmt.Sprint(n)
}

// addMACs adds counts; the result is negative if it cannot be represented.
func addMACs(a, b int64) int64 {
	if a < 0 || b < 0 || a+b < 0 {
		return -1
	}
	return a + b
}

func (b *builder) allConst(n *graph.Node) bool {
	for _, id := range n.Out {
		if id != graph.None && b.g.Value(id).Kind != graph.Constant {
			return false
		}
	}
	return true
}

// packing is a constant input that an operator wants in another form.
type packing struct {
	step  *step
	in    []op.Fact
	input int
	form  string
}

// choosePacked finds the constant inputs that operators want in another form, and takes
// their plain form away from the steps.
func (b *builder) choosePacked() []packing {
	p := b.plan
	var jobs []packing
	for i := range p.steps {
		s := &p.steps[i]
		pp, ok := s.op.(op.Prepacker)
		if !ok || s.dynamic {
			continue
		}
		in := b.inFacts(s.node)
		for k := range in {
			if in[k].Const == nil {
				continue
			}
			form, ok := pp.PackKey(k, in)
			if !ok {
				continue
			}
			jobs = append(jobs, packing{s, in, k, form})
			s.in[k] = -1
		}
	}
	return jobs
}

// unpacked returns the bytes of the constants that are to be packed and have not been for
// another plan: what their packed form will take, but for padding.
func (p *Plan) unpacked(jobs []packing) int {
	n := 0
	seen := map[weightKey]bool{}
	for _, j := range jobs {
		key := weightKey{j.in[j.input].Const, j.form}
		if !seen[key] && !p.weights.has(key) {
			n += op.SizeOf(key.data)
		}
		seen[key] = true
	}
	return n
}

func (b *builder) pack(jobs []packing) error {
	for _, j := range jobs {
		s := j.step
		packed, err := b.plan.weights.get(j.in[j.input].Const, j.form, func() (op.Packed, error) {
			w := b.plan.weights
			return s.op.(op.Prepacker).Prepack(j.input, j.in, op.Slices{Pool: b.plan.pool, Enter: w.Enter, Packed: w.Packed})
		})
		if err != nil {
			return nodeError(s.node, j.in, err)
		}
		if s.packed == nil {
			s.packed = make([]op.Packed, len(j.in))
		}
		s.packed[j.input] = packed
	}
	return nil
}

package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// shared is what a session and the sessions made from it by Sub have in common.
type shared struct {
	once    sync.Once
	weights *plan.Weights
	pool    *parallel.Pool

	mu    sync.Mutex
	users int
	file  *mapping // the model file; nil if the caller gave bytes
}

func (sh *shared) init(threads int) {
	sh.once.Do(func() {
		sh.weights = plan.NewWeights()
		if sh.file != nil {
			sh.weights.Packed = sh.file.forget
			sh.weights.Enter = sh.file.enter
		}
		sh.pool = parallel.New(threads)
	})
}

func (sh *shared) use() {
	sh.mu.Lock()
	sh.users++
	sh.mu.Unlock()
}

// drop ends one use; the last one releases everything.
func (sh *shared) drop() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.users--
	if sh.users > 0 {
		return
	}
	sh.pool.Close()
	if sh.file != nil {
		sh.file.close()
		sh.file = nil
	}
}

// nativeBackend runs models on this module's own kernels.
type nativeBackend struct{ share *shared }

func (nativeBackend) Name() string { return "native" }

func (b nativeBackend) Compile(m *onnx.Model, o Options) (Executor, error) {
	m, err := onnx.Inline(m, o.Limits.Nodes)
	if err != nil {
		return nil, err
	}
	g, err := graph.New(m, graph.Config{Set: op.Core, Body: plan.Body, Late: true})
	if err != nil {
		return nil, err
	}
	if err := graph.Optimize(g); err != nil {
		return nil, err
	}
	if op.Complete {
		if err := graph.FuseActivations(g); err != nil {
			return nil, err
		}
		if err := graph.JoinGemms(g); err != nil {
			return nil, err
		}
	}
	if b.share == nil {
		b.share = &shared{}
	}
	if file := b.share.file; file != nil {
		file.forget(file.data) // what the passes have read
	}
	b.share.init(o.Threads)
	n := &native{graph: g, opts: o, share: b.share}
	for _, id := range g.Inputs {
		for _, d := range g.Value(id).Type.Shape {
			if d.Value >= 0 && int64(int(d.Value)) != d.Value {
				return nil, &plan.LimitError{What: "extent of an axis of input " + strconv.Quote(g.Value(id).Name), Value: strconv.FormatInt(d.Value, 10), Limit: "what an int counts"}
			}
		}
		n.ins = append(n.ins, infoOf(g.Value(id)))
	}
	for i, id := range g.Outputs {
		v := infoOf(g.Value(id))
		v.Name = m.Graph.Outputs[i].Name
		n.outs = append(n.outs, v)
	}
	if n.opts.MaxPlans <= 0 {
		n.opts.MaxPlans = 8
	}
	if err := n.load(); err != nil {
		return nil, err
	}
	return n, nil
}

// load prepares the first plan. Constants that were not packed are then copied if they lie
// in a mapped file, so that running touches the file no more: its pages can be dropped, and
// a file that is changed or truncated later does no harm. Those that are not aligned are
// copied too.
func (n *native) load() (err error) {
	file := n.share.file
	if err := n.prepare(); err != nil {
		return err
	}
	defer file.guard(&err)()
	plain := map[*tensor.Tensor]bool{}
	for _, p := range n.plans {
		p.plan.Plain(func(t *tensor.Tensor) { plain[t] = true })
	}
	known, copied := len(n.plans) > 0, false
	for _, v := range n.graph.Values {
		if v.Data != nil && (!known || plain[v.Data]) && (file.holds(v.Data.Bytes()) || !aligned(v.Data)) {
			old := v.Data
			v.Data, copied = file.cloned(old), true
			if file != nil {
				file.forget(old.Bytes())
			}
		}
	}
	if copied {
		n.plans = nil
		if err := n.prepare(); err != nil {
			return err
		}
	}
	if file != nil {
		file.forget(file.data)
	}
	return nil
}

func infoOf(v *graph.Value) ValueInfo {
	info := ValueInfo{Name: v.Name, DType: v.Type.Elem}
	if v.Type.HasShape {
		info.Shape = tensor.Shape{}
		for _, d := range v.Type.Shape {
			e := -1
			if d.Value >= 0 && int64(int(d.Value)) == d.Value {
				e = int(d.Value)
			}
			info.Shape = append(info.Shape, e)
			info.Dims = append(info.Dims, d.Param)
		}
	}
	return info
}

// native executes a graph: it keeps a plan for each of the last few combinations of input
// shapes.
type native struct {
	graph *graph.Graph
	opts  Options
	share *shared
	ins   []ValueInfo
	outs  []ValueInfo

	mu    sync.Mutex
	plans []*prepared // most recently used first
}

// prepared is a plan with the memory of executions that are not running.
type prepared struct {
	shapes []tensor.Shape
	dtypes []tensor.DType
	plan   *plan.Plan
	states sync.Pool
	keep   atomic.Pointer[plan.State] // one state that the garbage collector does not take
}

func (n *native) Inputs() []ValueInfo  { return n.ins }
func (n *native) Outputs() []ValueInfo { return n.outs }

func (n *native) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plans = nil
	return nil
}

// prepare builds the plan for batch 1 where no other axis is open, so that errors of the model
// are found when it is loaded, and weights are packed. A model may demand another batch than
// 1: it loads if there is one with which it works, and if several extents are open, which
// may differ.
func (n *native) prepare() error {
	shapes := make([]tensor.Shape, len(n.ins))
	dtypes := make([]tensor.DType, len(n.ins))
	var open []*int
	var elems int // of one row of the last input with an open extent
	names := map[string]bool{}
	for i, v := range n.ins {
		if v.Shape == nil || v.DType == tensor.Undefined {
			return nil
		}
		shapes[i] = v.Shape.Clone()
		dtypes[i] = v.DType
		for k, d := range shapes[i] {
			if d >= 0 {
				continue
			}
			if k > 0 {
				return nil
			}
			shapes[i][k] = 1
			open = append(open, &shapes[i][k])
			elems, _ = shapes[i].Elems()
			name := v.Dims[k]
			if name == "" {
				name = "of " + strconv.Itoa(i)
			}
			names[name] = true
		}
	}
	_, err := n.build(context.Background(), shapes, dtypes, nil)
	var limit *plan.LimitError
	if err == nil || len(open) == 0 || errors.As(err, &limit) || errors.Is(err, ErrLimit) || errors.Is(err, errFileChanged) {
		return err
	}
	if len(names) > 1 {
		return nil
	}
	budget := n.graph.Clone().FoldBudget() // of all attempts together
	for _, batch := range n.batches(elems) {
		for _, d := range open {
			*d = batch
		}
		if _, again := n.build(context.Background(), shapes, dtypes, budget); again == nil {
			return nil
		}
	}
	return err
}

const (
	smallBatches = 64      // prepare tries all batches up to here
	batchWork    = 1 << 13 // nodes that prepare looks at for other batches than 1
	leastBatches = 8       // that it tries of a graph of any size
	maxDims      = 8       // length of a constant that may be a shape
)

// batches returns extents, other than 1, that the model may demand of its batch: those of
// its values, those that turn rows of elems elements into a constant shape, and small ones.
func (n *native) batches(elems int) []int {
	var found []int
	add := func(d int64) {
		if d > 1 && d <= math.MaxInt32 && !slices.Contains(found, int(d)) && len(found) < batchWork/leastBatches {
			found = append(found, int(d))
		}
	}
	for _, v := range n.graph.Values {
		for _, d := range v.Type.Shape {
			add(d.Value)
		}
		if v.Data == nil {
			continue
		}
		for _, d := range v.Data.Shape() {
			add(int64(d))
		}
		if v.Data.DType() == tensor.Int64 && v.Data.Elems() <= maxDims {
			product := int64(1)
			for _, d := range v.Data.Int64s() {
				add(d)
				if product *= max(d, 1); product > math.MaxInt32 {
					break
				}
			}
			if elems > 0 {
				add(product / int64(elems))
			}
		}
	}
	for d := range int64(smallBatches) {
		add(d + 1)
	}
	return found[:min(len(found), max(leastBatches, batchWork/max(1, len(n.graph.Nodes))))]
}

// reservePlan checks that there is memory for a plan.
func reservePlan(packed, arena int) error {
	if packed > math.MaxInt-arena {
		packed = math.MaxInt - arena
	}
	return reserve(packed+arena, fmt.Sprintf("packed weights %d, activations %d", packed, arena))
}

// build makes a plan. What it computes in advance is within folding, if that is not nil.
func (n *native) build(ctx context.Context, shapes []tensor.Shape, dtypes []tensor.DType, folding *op.FoldBudget) (_ *prepared, err error) {
	defer n.share.file.guard(&err)()
	facts := make([]op.Fact, len(shapes))
	for i := range facts {
		facts[i] = op.Fact{DType: dtypes[i], Shape: shapes[i]}
	}
	l := n.opts.Limits
	p, err := plan.Build(n.graph, facts, plan.Options{
		Pool:    n.share.pool,
		Weights: n.share.weights,
		Limits:  plan.Limits{Elements: l.Elements, Arena: l.Arena, MACs: l.MACs},
		Reserve: reservePlan,
		Folding: folding,
	})
	if err != nil {
		return nil, err
	}
	pr := &prepared{plan: p, dtypes: dtypes}
	for _, s := range shapes {
		pr.shapes = append(pr.shapes, s.Clone())
	}
	if log := n.opts.Logger; log != nil {
		st := p.Stats()
		log.DebugContext(ctx, "plan built", "inputs", fmt.Sprint(shapes), "steps", st.Steps, "macs", st.MACs, "arena_bytes", st.Arena, "packed_bytes", st.Packed)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plans = append([]*prepared{pr}, n.plans...)
	if len(n.plans) > n.opts.MaxPlans {
		n.plans = n.plans[:n.opts.MaxPlans]
	}
	return pr, nil
}

// find returns the plan for these inputs and makes it the most recently used one.
func (n *native) find(ins []*tensor.Tensor) *prepared {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, p := range n.plans {
		if p.matches(ins) {
			copy(n.plans[1:k+1], n.plans[:k])
			n.plans[0] = p
			return p
		}
	}
	return nil
}

func (p *prepared) matches(ins []*tensor.Tensor) bool {
	for i, t := range ins {
		if t.DType() != p.dtypes[i] || !t.Shape().Equal(p.shapes[i]) {
			return false
		}
	}
	return true
}

func (n *native) planFor(ctx context.Context, ins []*tensor.Tensor) (*prepared, error) {
	if p := n.find(ins); p != nil {
		return p, nil
	}
	shapes := make([]tensor.Shape, len(ins))
	dtypes := make([]tensor.DType, len(ins))
	for i, t := range ins {
		shapes[i], dtypes[i] = t.Shape(), t.DType()
	}
	return n.build(ctx, shapes, dtypes, nil)
}

func (n *native) Run(ctx context.Context, outs, ins []*tensor.Tensor) error {
	p, err := n.planFor(ctx, ins)
	if err != nil {
		return err
	}
	st, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release(st)
	return p.plan.Run(ctx, st, outs, ins)
}

// acquire returns the memory of one execution, as much as it takes.
func (p *prepared) acquire() (*plan.State, error) {
	if st := p.keep.Swap(nil); st != nil {
		return st, nil
	}
	if st, ok := p.states.Get().(*plan.State); ok {
		return st, nil
	}
	if err := reserve(p.plan.Stats().Arena, "activations"); err != nil {
		return nil, err
	}
	return p.plan.NewState(), nil
}

func (p *prepared) release(st *plan.State) {
	if !p.keep.CompareAndSwap(nil, st) {
		p.states.Put(st)
	}
}
